//! muslin's own certificates on a real API server, which has to trust them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::cluster::replicas::{Replicas, SECRET, get, patch, request_rotation, wait};
use crate::common::harness::tests;
use crate::common::pods::{injected_options, pod};
use crate::common::registration::MUSLIN;
use crate::common::webhook::Certificate;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    muslin_makes_its_certificates_and_publishes_its_ca,
    a_ca_that_is_removed_from_a_configuration_is_restored,
    after_a_rotation_only_the_new_ca_is_trusted,
    a_former_leader_that_wakes_up_late_does_no_harm,
    muslin_may_write_its_own_certificates_and_no_others
];

/// The two kinds of configurations with their numbers of webhooks.
pub(crate) const CONFIGURATIONS: [(&str, usize); 2] =
    [("mutatingwebhookconfiguration", 1), ("validatingwebhookconfiguration", 4)];

/// Returns the CAs of each webhook of both configurations, in PEM.
pub(crate) fn trusted(cluster: &Cluster) -> Result<Vec<Vec<String>>> {
    let mut trusted = Vec::new();
    for (kind, number) in CONFIGURATIONS {
        let configuration = get(cluster, &[kind, MUSLIN])?;
        let webhooks = configuration["webhooks"].as_array().context("no webhooks")?;
        ensure!(webhooks.len() == number, "{configuration:#}");
        for webhook in webhooks {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            let text = String::from_utf8(BASE64_STANDARD.decode(bundle)?)?;
            trusted.push(text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect());
        }
    }
    Ok(trusted)
}

/// Returns the value of a key of the Secret.
pub(crate) fn stored(cluster: &Cluster, name: &str) -> Result<String> {
    let secret = get(cluster, &["secret", SECRET, "-n", "muslin"])?;
    let text = secret["data"][name].as_str().unwrap_or_default();
    Ok(String::from_utf8(BASE64_STANDARD.decode(text)?)?)
}

/// Returns whether every webhook trusts exactly the CA in the Secret.
pub(crate) fn is_settled(cluster: &Cluster) -> Result<bool> {
    let authority = stored(cluster, "ca.crt")?;
    Ok(!authority.is_empty() && trusted(cluster)?.iter().all(|trusted| *trusted == [authority.clone()]))
}

pub(crate) fn wait_until_settled(cluster: &Cluster) -> Result<()> {
    wait("settled", || is_settled(cluster))
}

/// Empties the CA bundles of a configuration.
pub(crate) fn empty(cluster: &Cluster, kind: &str, webhooks: usize) -> Result<()> {
    let bundles = (0..webhooks)
        .map(|number| json!({ "op": "add", "path": format!("/webhooks/{number}/clientConfig/caBundle"), "value": "" }));
    patch(cluster, &[kind, MUSLIN], &bundles.collect())
}

/// Checks that a new pod is fixed.
pub(crate) fn is_fixed(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let (pod, _) = cluster.created(&pod(namespace, name, "alpine:3.19"))?;
    ensure!(pod["spec"]["dnsConfig"]["options"] == injected_options(), "{pod:#}");
    Ok(())
}

/// Returns the time at which a replica's serving certificate expires, in seconds since 1970.
fn expiry(metrics: &str) -> Result<i64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix("muslin_certificate_expiry_seconds "));
    Ok(line.context("no expiry")?.parse()?)
}

fn muslin_makes_its_certificates_and_publishes_its_ca(cluster: &Cluster) -> Result<()> {
    cluster.namespace("certified", &[])?;
    let asked = Instant::now();
    let replicas = Replicas::start(cluster, 2, &[])?;
    ensure!(asked.elapsed() < Duration::from_secs(20), "ready only after {:?}", asked.elapsed());
    wait_until_settled(cluster)?;
    is_fixed(cluster, "certified", "first")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    for metrics in replicas.metrics()? {
        let left = expiry(&metrics)? - i64::try_from(now)?;
        ensure!((29 * 86_400..=30 * 86_400).contains(&left), "{left} s");
    }
    Ok(())
}

fn a_ca_that_is_removed_from_a_configuration_is_restored(cluster: &Cluster) -> Result<()> {
    cluster.namespace("emptied", &[])?;
    let _replicas = Replicas::start(cluster, 1, &[])?;
    wait_until_settled(cluster)?;
    let before = trusted(cluster)?;
    for (number, (kind, webhooks)) in CONFIGURATIONS.into_iter().enumerate() {
        empty(cluster, kind, webhooks)?;
        wait("restored", || Ok(trusted(cluster)? == before))?;
        is_fixed(cluster, "emptied", &format!("after-{number}"))?;
    }
    // A foreign CA in the bundle is removed.
    let more = BASE64_STANDARD.encode(before[0].concat() + &Certificate::new()?.certificate);
    let more = json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": more }]);
    patch(cluster, &[CONFIGURATIONS[0].0, MUSLIN], &more)?;
    wait("restored", || Ok(trusted(cluster)? == before))
}

fn after_a_rotation_only_the_new_ca_is_trusted(cluster: &Cluster) -> Result<()> {
    cluster.namespace("rotated", &[])?;
    let replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "2"])?;
    wait_until_settled(cluster)?;
    let (old, leaf) = (stored(cluster, "ca.crt")?, stored(cluster, "tls.crt")?);
    request_rotation(cluster, "authority")?;
    wait("both CAs are trusted", || Ok(trusted(cluster)?.iter().all(|trusted| trusted.len() == 2)))?;
    ensure!(stored(cluster, "tls.crt")? == leaf, "the serving certificate changed before its CA was published");
    is_fixed(cluster, "rotated", "between")?;
    wait("the CA is new", || Ok(stored(cluster, "ca.crt")? != old))?;
    is_fixed(cluster, "rotated", "after")?;
    wait_until_settled(cluster)?;
    is_fixed(cluster, "rotated", "at-rest")?;
    ensure!(stored(cluster, "tls.crt")? != leaf, "the serving certificate is the old one");
    let secret = get(cluster, &["secret", SECRET, "-n", "muslin"])?;
    ensure!(secret["metadata"]["annotations"]["muslin.dev/rotate"].is_null(), "the request is still there: {secret:#}");
    ensure!(replicas.metrics()?.len() == 2);
    Ok(())
}

/// The leader is suspended while another replica takes over and rotates the CA; then it continues with its old knowledge.
fn a_former_leader_that_wakes_up_late_does_no_harm(cluster: &Cluster) -> Result<()> {
    cluster.namespace("late", &[])?;
    let replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "1"])?;
    wait_until_settled(cluster)?;
    let old = stored(cluster, "ca.crt")?;
    let late = replicas.suspend_the_leader()?;
    // Instead of waiting until the lease expires.
    let output = cluster.control_plane.kubectl(&["delete", "lease", "muslin", "-n", "muslin"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    request_rotation(cluster, "authority")?;
    wait("the CA is new", || Ok(stored(cluster, "ca.crt")? != old))?;
    ensure!(replicas.leader()? != late, "no replica took over");
    replicas.resume_all()?;
    wait_until_settled(cluster)?;
    let new = stored(cluster, "ca.crt")?;
    // The late replica renews or releases the lease every five seconds; until then it could do harm.
    let deadline = Instant::now() + Duration::from_secs(6);
    let mut number = 0;
    while Instant::now() < deadline {
        ensure!(stored(cluster, "ca.crt")? == new, "the CA changed");
        ensure!(trusted(cluster)?.iter().all(|trusted| *trusted == [new.clone()]), "the trusted CAs changed");
        is_fixed(cluster, "late", &format!("pod-{number}"))?;
        number += 1;
    }
    Ok(())
}

fn muslin_may_write_its_own_certificates_and_no_others(cluster: &Cluster) -> Result<()> {
    let may = |verb: &str, what: &str| -> Result<bool> {
        let account = "--as=system:serviceaccount:muslin:muslin";
        let arguments = ["auth", "can-i", verb, what, account, "-n", "muslin"];
        Ok(cluster.control_plane.kubectl(&arguments, None)?.status.success())
    };
    for verb in ["list", "watch", "update"] {
        for what in [
            "secret/muslin-certificates",
            "mutatingwebhookconfiguration/muslin.dev",
            "validatingwebhookconfiguration/muslin.dev",
        ] {
            ensure!(may(verb, what)?, "may not {verb} {what}");
        }
    }
    for (verb, what) in [
        ("create", "secrets"),
        ("get", "secret/others"),
        ("list", "secrets"),
        ("delete", "secret/muslin-certificates"),
        ("create", "mutatingwebhookconfigurations"),
        ("update", "mutatingwebhookconfiguration/others"),
        ("delete", "mutatingwebhookconfiguration/muslin.dev"),
    ] {
        ensure!(!may(verb, what)?, "may {verb} {what}");
    }
    Ok(())
}
