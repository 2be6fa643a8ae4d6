//! The certificates that muslin keeps by itself, on a real API server, which is the one to believe them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::cluster::replicas::{Replicas, SECRET, ask_to_rotate, get, patch, wait};
use crate::common::harness::tests;
use crate::common::pods::{default_options, pod};
use crate::common::registration::MUSLIN;
use crate::common::webhook::Certificate;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    muslin_makes_its_certificates_and_tells_the_api_server_whom_to_trust,
    a_ca_that_somebody_takes_out_of_a_configuration_is_put_back,
    a_rotation_of_the_ca_ends_with_the_new_one_alone,
    a_holder_of_the_lease_that_wakes_up_late_does_no_harm,
    muslin_may_write_its_own_certificates_and_no_others
];

/// The two kinds of configurations, and how many webhooks each has.
pub(crate) const CONFIGURATIONS: [(&str, usize); 2] =
    [("mutatingwebhookconfiguration", 1), ("validatingwebhookconfiguration", 4)];

/// What each webhook of both configurations trusts, as certificates in PEM.
pub(crate) fn trusted(cluster: &Cluster) -> Result<Vec<Vec<String>>> {
    let mut trusted = Vec::new();
    for (kind, number) in CONFIGURATIONS {
        let configuration = get(cluster, &[kind, MUSLIN])?;
        let webhooks = configuration["webhooks"].as_array().context("it has no webhooks")?;
        ensure!(webhooks.len() == number, "{configuration:#}");
        for webhook in webhooks {
            let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            let text = String::from_utf8(BASE64_STANDARD.decode(bundle)?)?;
            trusted.push(text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect());
        }
    }
    Ok(trusted)
}

/// What stands in the Secret by this name.
pub(crate) fn stored(cluster: &Cluster, name: &str) -> Result<String> {
    let secret = get(cluster, &["secret", SECRET, "-n", "muslin"])?;
    let text = secret["data"][name].as_str().unwrap_or_default();
    Ok(String::from_utf8(BASE64_STANDARD.decode(text)?)?)
}

/// Whether every webhook trusts the CA in the Secret and no other.
pub(crate) fn is_settled(cluster: &Cluster) -> Result<bool> {
    let authority = stored(cluster, "ca.crt")?;
    Ok(!authority.is_empty() && trusted(cluster)?.iter().all(|trusted| *trusted == [authority.clone()]))
}

fn wait_until_settled(cluster: &Cluster) -> Result<()> {
    wait("settled", || is_settled(cluster))
}

/// Empties the bundles of a configuration, and what muslin noted beside them.
pub(crate) fn empty(cluster: &Cluster, kind: &str, webhooks: usize) -> Result<()> {
    let bundles = (0..webhooks)
        .map(|number| json!({ "op": "add", "path": format!("/webhooks/{number}/clientConfig/caBundle"), "value": "" }));
    patch(cluster, &[kind, MUSLIN], &bundles.collect())
}

/// A pod that was created now is mended.
fn is_mended(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let (pod, _) = cluster.created(&pod(namespace, name, "alpine:3.19"))?;
    ensure!(pod["spec"]["dnsConfig"]["options"] == default_options(), "{pod:#}");
    Ok(())
}

/// When the serving certificate of a replica ends, in seconds since 1970.
fn expiry(metrics: &str) -> Result<i64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix("muslin_certificate_expiry_seconds "));
    Ok(line.context("no expiry")?.parse()?)
}

fn muslin_makes_its_certificates_and_tells_the_api_server_whom_to_trust(cluster: &Cluster) -> Result<()> {
    cluster.namespace("certified", &[])?;
    let asked = Instant::now();
    let replicas = Replicas::start(cluster, 2, &[])?;
    ensure!(asked.elapsed() < Duration::from_secs(20), "ready only after {:?}", asked.elapsed());
    wait_until_settled(cluster)?;
    is_mended(cluster, "certified", "first")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    for metrics in replicas.metrics()? {
        let left = expiry(&metrics)? - i64::try_from(now)?;
        ensure!((29 * 86_400..=30 * 86_400).contains(&left), "{left} s");
    }
    Ok(())
}

fn a_ca_that_somebody_takes_out_of_a_configuration_is_put_back(cluster: &Cluster) -> Result<()> {
    cluster.namespace("emptied", &[])?;
    let _replicas = Replicas::start(cluster, 1, &[])?;
    wait_until_settled(cluster)?;
    let before = trusted(cluster)?;
    for (number, (kind, webhooks)) in CONFIGURATIONS.into_iter().enumerate() {
        empty(cluster, kind, webhooks)?;
        wait("put back", || Ok(trusted(cluster)? == before))?;
        is_mended(cluster, "emptied", &format!("after-{number}"))?;
    }
    // Whom somebody else trusts, muslin's callers do not.
    let more = BASE64_STANDARD.encode(before[0].concat() + &Certificate::new()?.certificate);
    let more = json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": more }]);
    patch(cluster, &[CONFIGURATIONS[0].0, MUSLIN], &more)?;
    wait("put back", || Ok(trusted(cluster)? == before))
}

fn a_rotation_of_the_ca_ends_with_the_new_one_alone(cluster: &Cluster) -> Result<()> {
    cluster.namespace("rotated", &[])?;
    let replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "2"])?;
    wait_until_settled(cluster)?;
    let (old, leaf) = (stored(cluster, "ca.crt")?, stored(cluster, "tls.crt")?);
    ask_to_rotate(cluster, "authority")?;
    wait("both CAs are trusted", || Ok(trusted(cluster)?.iter().all(|trusted| trusted.len() == 2)))?;
    ensure!(stored(cluster, "tls.crt")? == leaf, "the serving certificate changed before its CA was known");
    is_mended(cluster, "rotated", "between")?;
    wait("the CA is new", || Ok(stored(cluster, "ca.crt")? != old))?;
    is_mended(cluster, "rotated", "after")?;
    wait_until_settled(cluster)?;
    is_mended(cluster, "rotated", "at-rest")?;
    ensure!(stored(cluster, "tls.crt")? != leaf, "the serving certificate is the old one");
    let secret = get(cluster, &["secret", SECRET, "-n", "muslin"])?;
    ensure!(secret["metadata"]["annotations"]["muslin.dev/rotate"].is_null(), "the wish is still there: {secret:#}");
    ensure!(replicas.metrics()?.len() == 2);
    Ok(())
}

/// The holder stands still while another takes over and changes the CA; then it goes on, believing that nothing happened.
fn a_holder_of_the_lease_that_wakes_up_late_does_no_harm(cluster: &Cluster) -> Result<()> {
    cluster.namespace("late", &[])?;
    let replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "1"])?;
    wait_until_settled(cluster)?;
    let old = stored(cluster, "ca.crt")?;
    let late = replicas.suspend_the_lease_holder()?;
    // As if it had run out, which takes a while.
    let output = cluster.control_plane.kubectl(&["delete", "lease", "muslin", "-n", "muslin"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    ask_to_rotate(cluster, "authority")?;
    wait("the CA is new", || Ok(stored(cluster, "ca.crt")? != old))?;
    ensure!(replicas.lease_holder()? != late, "nobody took over");
    replicas.resume_all()?;
    wait_until_settled(cluster)?;
    let new = stored(cluster, "ca.crt")?;
    // The time in which one that was late could do something: it renews, or gives up, every five seconds.
    let deadline = Instant::now() + Duration::from_secs(6);
    let mut number = 0;
    while Instant::now() < deadline {
        ensure!(stored(cluster, "ca.crt")? == new, "the CA changed");
        ensure!(trusted(cluster)?.iter().all(|trusted| *trusted == [new.clone()]), "what is trusted changed");
        is_mended(cluster, "late", &format!("pod-{number}"))?;
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
