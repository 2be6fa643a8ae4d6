//! Suites that others wrote, on a real API server: `scripts/conformance` gets them. See docs/conformance.md.

mod kyverno;
mod manifests;
mod metrics;
mod pod_security;
mod reports;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::cluster::profiles::becomes;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic =
    tests![prometheus_reads_the_metrics, the_profiles_of_kyverno_md_give_what_the_policies_give];

/// Run with `--ignored` only, and each by `scripts/conformance`.
pub(crate) const ON_REQUEST: Topic =
    tests![conformance_pod_security, conformance_kyverno, conformance_manifests, conformance_reports];

fn conformance_pod_security(cluster: &Cluster) -> Result<()> {
    pod_security::pods_of_pod_security(cluster)
}

fn conformance_kyverno(cluster: &Cluster) -> Result<()> {
    kyverno::pods_of_kyverno(cluster)
}

fn conformance_manifests(cluster: &Cluster) -> Result<()> {
    manifests::manifests_of_muslin(cluster)
}

fn conformance_reports(cluster: &Cluster) -> Result<()> {
    reports::reports_of_findings(cluster)
}

fn prometheus_reads_the_metrics(cluster: &Cluster) -> Result<()> {
    metrics::prometheus_reads(cluster)
}

/// Kyverno's policy `add-ndots` gives every pod `ndots:1`, whatever its author wrote.
fn the_profiles_of_kyverno_md_give_what_the_policies_give(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let profiles: Vec<&str> = kyverno::profiles().collect();
    let [without_musl, everywhere, on_node] = profiles[..] else { bail!("{} profiles", profiles.len()) };
    let apply = |profile: &str, arguments: &[&str]| -> Result<()> {
        let arguments = [&["apply", "-f", "-"], arguments].concat();
        let output = cluster.control_plane.kubectl(&arguments, Some(profile))?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{}\n{profile}", output.stderr);
        Ok(())
    };
    // No cache is tried at the page's address, which is none of this machine.
    apply(on_node, &["--dry-run=server"])?;
    apply(without_musl, &[])?;
    apply(everywhere, &[])?;
    let (own, one) = (json!([{ "name": "ndots", "value": "4" }]), json!([{ "name": "ndots", "value": "1" }]));
    for (namespace, image, expected) in [
        ("add-ndots", "debian:12", &one),
        ("add-ndots", "alpine:3.20", &own),
        ("add-ndots-everywhere", "debian:12", &one),
        ("add-ndots-everywhere", "alpine:3.20", &one),
        ("add-ndots-everywhere", "registry.example.com/unknown:1", &one),
    ] {
        let label = [("muslin.dev/profile", namespace)];
        let there = cluster.control_plane.kubectl(&["get", "namespace", namespace], None)?;
        if !there.status.success() {
            cluster.namespace(namespace, &label)?;
        }
        let mut wanted = pod(namespace, "web", image);
        wanted["spec"]["dnsConfig"] = json!({ "options": own });
        becomes(cluster, namespace, &wanted, |pod, _| pod["spec"]["dnsConfig"]["options"] == *expected)
            .with_context(|| format!("{namespace}: {image}"))?;
    }
    let names = ["add-ndots", "add-ndots-everywhere"];
    let arguments = [&["delete", "resolverprofile"][..], &names].concat();
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Builds the Go module in a folder of tests/conformance, and returns the path of the program.
fn go_program(folder: &str) -> Result<PathBuf> {
    const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");
    let script = format!("{SUITES}/go_program");
    let built = Command::new(&script).arg(format!("{SUITES}/{folder}")).output().context(script)?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(PathBuf::from(String::from_utf8(built.stdout)?.trim_end()))
}
