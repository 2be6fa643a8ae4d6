//! The test pods of Kyverno's policies for DNS, through the profiles of docs/kyverno.md. Kyverno's own files say what the pods become.
//! The address of the policies is none of this machine: `tests/conformance/kyverno/run` runs this in a network namespace that has it.

#![expect(clippy::print_stdout, reason = "prints lines of docs/conformance.md")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Cluster;
use crate::cluster::install::objects;
use crate::cluster::profiles::becomes;
use crate::common::dns_server::{DnsServer, Manners};

/// The address of the cache in the policy.
const CACHE: Ipv4Addr = Ipv4Addr::new(169, 254, 25, 10);

/// A test of a policy: pods before and after.
struct Case {
    profile: &'static str,
    /// The cluster's domain in the test.
    domain: &'static str,
    namespace: &'static str,
    given: &'static str,
    expected: &'static str,
}

const CASES: [Case; 9] = [
    add_ndots(
        "other/add-ndots/.chainsaw-test/pod-resources.yaml",
        "other/add-ndots/.chainsaw-test/pod-resources-patched.yaml",
    ),
    add_ndots(
        "other/add-ndots/.chainsaw-test/podcontroller-resources.yaml",
        "other/add-ndots/.chainsaw-test/podcontroller-patched.yaml",
    ),
    add_ndots("other/add-ndots/.kyverno-test/resource.yaml", "other/add-ndots/.kyverno-test/patchedResource.yaml"),
    add_ndots(
        "other-mpol/add-ndots/.chainsaw-test/pod-resources.yaml",
        "other-mpol/add-ndots/.chainsaw-test/pod-resources-patched.yaml",
    ),
    add_ndots(
        "other-mpol/add-ndots/.chainsaw-test/podcontroller-resources.yaml",
        "other-mpol/add-ndots/.chainsaw-test/podcontroller-patched.yaml",
    ),
    add_ndots(
        "other-mpol/add-ndots/.kyverno-test/resource.yaml",
        "other-mpol/add-ndots/.kyverno-test/patchedResource.yaml",
    ),
    node_local(
        "kind",
        "dns-polconfig-ns",
        "other/dns-policy-and-dns-config/.chainsaw-test/pods.yaml",
        "other/dns-policy-and-dns-config/.chainsaw-test/pods-patched.yaml",
    ),
    node_local(
        "kind",
        "dns-polconfig-ns",
        "other/dns-policy-and-dns-config/.chainsaw-test/podcontrollers.yaml",
        "other/dns-policy-and-dns-config/.chainsaw-test/podcontrollers-patched.yaml",
    ),
    node_local(
        "mycluster",
        "kyverno-default",
        "other/dns-policy-and-dns-config/.kyverno-test/resource.yaml",
        "other/dns-policy-and-dns-config/.kyverno-test/patchedResource.yaml",
    ),
];

const fn add_ndots(given: &'static str, expected: &'static str) -> Case {
    Case { profile: "add-ndots-everywhere", domain: "kind", namespace: "kyverno-add-ndots", given, expected }
}

const fn node_local(
    domain: &'static str,
    namespace: &'static str,
    given: &'static str,
    expected: &'static str,
) -> Case {
    Case { profile: "node-local-only", domain, namespace, given, expected }
}

/// Returns the profiles of docs/kyverno.md.
pub(super) fn profiles() -> impl Iterator<Item = &'static str> {
    const PAGE: &str = include_str!("../../../docs/kyverno.md");
    PAGE.split("\n```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```\n")?.0))
}

/// Returns the pod that an object makes.
fn pod_of(object: &Value) -> Result<Value> {
    let template = match object["kind"].as_str() {
        Some("Pod") => object,
        Some("Deployment") => &object["spec"]["template"],
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"],
        other => anyhow::bail!("a new kind: {other:?}"),
    };
    let metadata = json!({ "name": object["metadata"]["name"], "labels": template["metadata"]["labels"] });
    Ok(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] }))
}

/// Returns the DNS settings of a pod, with its options in order of their names: resolvers read them in any order.
fn dns(pod: &Value) -> Value {
    let mut config = pod["spec"]["dnsConfig"].clone();
    if let Some(options) = config["options"].as_array_mut() {
        options.sort_by_key(|option| option["name"].to_string());
    }
    json!({ "policy": pod["spec"]["dnsPolicy"].as_str().unwrap_or("ClusterFirst"), "config": config })
}

/// Returns the settings that the profile gives to a pod, for which Kyverno's policy gives others, and the reason.
fn different(case: &Case, given: &Value, expected: &Value) -> Option<(Value, &'static str)> {
    if case.profile != "node-local-only" {
        return None;
    }
    let mut settings = dns(expected);
    if given["spec"]["dnsPolicy"] == "None" {
        settings["config"]["nameservers"] = given["spec"]["dnsConfig"]["nameservers"].clone();
        settings["config"].as_object_mut()?.remove("searches");
        return Some((settings, "keeps the nameservers of its author, and gets the options"));
    }
    let Case { domain, namespace, .. } = case;
    settings["config"]["searches"] = json!([format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain]);
    Some((settings, "gets the kubelet's search list in place of the policy's"))
}

/// Creates each pod of a test until it has the settings that Kyverno's files, or the listed differences, want. Returns the lines of the result.
fn check(cluster: &Cluster, folder: &Path, case: &Case) -> Result<Vec<String>> {
    let read = |path: &str| -> Result<Vec<Value>> {
        objects(&fs::read_to_string(folder.join(path)).with_context(|| path.to_owned())?)
            .with_context(|| path.to_owned())
    };
    let (given, expected) = (read(case.given)?, read(case.expected)?);
    let mut lines = Vec::new();
    for object in &given {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let pod = pod_of(object)?;
        let theirs =
            expected.iter().find(|theirs| theirs["kind"] == object["kind"] && theirs["metadata"]["name"] == name);
        let Some(theirs) = theirs else {
            // Kyverno's policy leaves it alone.
            becomes(cluster, case.namespace, &pod, |created, _| dns(created) == dns(&pod))?;
            lines.push(format!("{name}: unchanged by both"));
            continue;
        };
        let theirs = pod_of(theirs)?;
        let different = different(case, &pod, &theirs);
        let (wanted, reason) = different.unwrap_or_else(|| (dns(&theirs), "as the policy makes it"));
        becomes(cluster, case.namespace, &pod, |created, _| dns(created) == wanted)
            .with_context(|| format!("{}: {name}: wanted {wanted:#}", case.given))?;
        lines.push(format!("{name}: {reason}"));
    }
    ensure!(!lines.is_empty(), "{}: no pod", case.given);
    Ok(lines)
}

pub(super) fn pods_of_kyverno(cluster: &Cluster) -> Result<()> {
    let folder = env::var_os("MUSLIN_KYVERNO_POLICIES").context("run scripts/conformance kyverno")?;
    let folder = PathBuf::from(folder);
    let _server = DnsServer::start(CACHE, Manners::Answers)?;
    println!();
    for domain in ["kind", "mycluster"] {
        let _muslin = cluster.muslin_with(&["--cluster-domain", domain].map(str::to_owned))?;
        for profile in profiles() {
            let applied = cluster.control_plane.kubectl(&["apply", "-f", "-"], Some(profile))?;
            ensure!(applied.status.success(), "{}", applied.stderr);
        }
        for case in CASES.iter().filter(|case| case.domain == domain) {
            let label = [("muslin.dev/profile", case.profile)];
            let there = cluster.control_plane.kubectl(&["get", "namespace", case.namespace], None)?;
            if !there.status.success() {
                cluster.namespace(case.namespace, &label)?;
            }
            println!("- `{}`: {}", case.given, check(cluster, &folder, case)?.join("; "));
        }
    }
    Ok(())
}
