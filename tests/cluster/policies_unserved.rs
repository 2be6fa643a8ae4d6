//! `serve --policies` on an API server without MutatingAdmissionPolicy: policies deny, and the webhook does all the rest.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::cluster::inspection::{Fingerprints, overlay};
use crate::cluster::policies::{BETA, kubernetes};
use crate::cluster::policies_beside_webhook::{
    KNOWN, MARK, arguments, declare, dry_run, has_condition, is_reviewed, let_the_webhook_of_enforce_fail_open,
    mark_of, options,
};
use crate::cluster::policies_way_back::giving;
use crate::cluster::profiles::applied;
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![without_mutating_policies_the_webhook_changes_all_pods];

const PROFILE: &str = "unserved";
const NAMESPACE: &str = "unserved";
const ENFORCING: &str = "unserved-enforcing";

fn without_mutating_policies_the_webhook_changes_all_pods(_: &Cluster) -> Result<()> {
    if kubernetes().is_some_and(|version| version != BETA) {
        return Ok(());
    }
    // Releases with the beta serve it only with flags; earlier ones do not have it.
    let cluster = &Cluster::start_with(&[])?;
    let _fingerprints = Fingerprints::apply(cluster)?;
    let applied_role =
        cluster.control_plane.kubectl(&["apply", "-f", &overlay("components/policies/cluster-role.yaml")], None)?;
    ensure!(applied_role.status.success(), "{}", applied_role.stderr);
    let (_profile, _) = applied(cluster, PROFILE, &giving(4))?;
    let profile = ("muslin.dev/profile", PROFILE);
    cluster.namespace(NAMESPACE, &[profile])?;
    cluster.namespace(ENFORCING, &[profile, ("muslin.dev/mode", "enforce")])?;
    declare(cluster, '1', KNOWN, "musl 1.2.5")?;

    let mut muslin = cluster.muslin_with(&arguments())?;
    let written = || -> Result<String> {
        let written = ["get", "validatingadmissionpolicies", "-l", "app.kubernetes.io/managed-by=muslin", "-o", "name"];
        Ok(cluster.control_plane.kubectl(&written, None)?.stdout)
    };
    let denials = format!("/muslin-{PROFILE}-denials\n");
    wait("a policy that denies", || Ok(written()?.contains(&denials)))?;
    let text = muslin.metrics()?;
    for line in ["muslin_policies_served 0", "muslin_policies_replace_webhook 0", "muslin_policy_failures_total 0"] {
        ensure!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    let written = written()?;
    ensure!(written.lines().all(|name| name.ends_with("-denials")), "{written}");
    ensure!(!has_condition(cluster)?, "the webhook leaves pods out");
    for forged in [json!({}), json!({ MARK: mark_of(KNOWN, "") })] {
        let mut pod = pod(NAMESPACE, "known", KNOWN);
        pod["metadata"]["annotations"] = forged;
        let (pod, _) = dry_run(cluster, &pod)?;
        ensure!(is_reviewed(&pod) && options(&pod) == "timeout:4", "{pod:#}");
    }
    ensure!(muslin.ended()?.is_none(), "muslin ended");

    // Mode enforce without muslin.
    let_the_webhook_of_enforce_fail_open(cluster)?;
    muslin.kill()?;
    let mut broken = pod(ENFORCING, "broken", KNOWN);
    let (healthy, _) = dry_run(cluster, &broken)?;
    ensure!(!is_reviewed(&healthy), "{healthy:#}");
    broken["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    // An API server learns of a policy some seconds after it is written.
    wait("a denial", || Ok(dry_run(cluster, &broken).is_err()))?;
    let denied = dry_run(cluster, &broken).err().context("a pod with attempts:0 is not denied")?;
    ensure!(format!("{denied:#}").contains("attempts-zero: app"), "{denied:#}");

    // What `muslin compile` prints needs a later release, as kubectl says.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_muslin")).args(["compile", "default"]).output()?;
    let printed = String::from_utf8(output.stdout)?;
    let arguments = ["apply", "--dry-run=server", "-f", "-"];
    let refused = cluster.control_plane.kubectl(&arguments, Some(&printed))?;
    ensure!(!refused.status.success() && refused.stderr.contains("\"MutatingAdmissionPolicy\""), "{}", refused.stderr);
    Ok(())
}
