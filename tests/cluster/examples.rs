//! The examples of each rule (`tests/rules/<slug>/`), created on the API server.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use muslin::manifest::{Stream, objects};
use muslin::policy::Level;
use muslin::rules::RULES;
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::pods::found;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_fixed_example_of_each_rule_is_accepted_without_its_warning,
    the_firing_example_of_each_rule_gets_its_warning,
    the_examples_of_policy_md_can_be_applied
];

fn the_fixed_example_of_each_rule_is_accepted_without_its_warning(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("fixed", &[("muslin.dev/mode", "warn")])?;
    cluster.namespace("fixed-injected", &[])?;
    for rule in RULES {
        for namespace in ["fixed", "fixed-injected"] {
            let pod = example(rule.slug, "fixed.yaml", namespace)?;
            let (created, warnings) = cluster.created(&pod).context(rule.slug)?;
            let told = created["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
            ensure!(!told.contains(rule.slug) && !warnings.contains(rule.slug), "{}: {warnings}{told}", rule.slug);
            let (before, after) = (&pod["spec"], &created["spec"]);
            ensure!(namespace != "fixed" || after["dnsConfig"] == before["dnsConfig"], "{}: {created:#}", rule.slug);
            ensure!(
                kept(&before["dnsConfig"]["options"], &after["dnsConfig"]["options"]),
                "{}: {created:#}",
                rule.slug
            );
        }
    }
    Ok(())
}

fn the_firing_example_of_each_rule_gets_its_warning(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("troubled", &[("muslin.dev/mode", "warn")])?;
    let mut told = 0;
    // What muslin sees of a search domain is tested in search_domains.rs.
    for rule in RULES.iter().filter(|rule| rule.slug != "broken-search-domain") {
        let pod = example(rule.slug, "fires.yaml", "troubled")?;
        let findings = found(&pod, "troubled")?;
        let level = findings.iter().filter(|finding| finding.rule.slug == rule.slug).map(|finding| finding.level).max();
        let (created, warnings) = cluster.created(&pod).context(rule.slug)?;
        let annotation = created["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
        // Advice stays out of warnings.
        let warns = level.with_context(|| format!("{} does not fire", rule.slug))? >= Level::Warn;
        ensure!(annotation.contains(rule.slug) == warns, "{}: {annotation}", rule.slug);
        ensure!(warnings.contains(rule.slug) == warns, "{}: {warnings}", rule.slug);
        told += usize::from(warns);
    }
    ensure!(told > RULES.len() / 3, "only {told} rules warn");
    Ok(())
}

/// Applies each whole object of the page as a dry run: the profile with a cache on the node, the NetworkPolicy that lets pods reach it,
/// the profile without the node's search domains, and the one that rolls out.
fn the_examples_of_policy_md_can_be_applied(cluster: &Cluster) -> Result<()> {
    const PAGE: &str = include_str!("../../docs/policy.md");
    let _muslin = cluster.muslin_with(&["--cluster-dns", "127.53.0.9", "--search-checks", "off"].map(str::to_owned))?;
    cluster.namespace("storefront", &[])?;
    let blocks = PAGE.split("\n```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```\n")?.0));
    let mut kinds = Vec::new();
    for block in blocks.filter(|block| block.starts_with("apiVersion:")) {
        let output = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-f", "-"], Some(block))?;
        let object: Value = serde_saphyr::from_str(block)?;
        // An author of a rollout reads whom it reaches; nothing else is worth a warning.
        let is_quiet = match object["spec"]["rollout"].is_null() {
            true => output.stderr.is_empty(),
            false => output.stderr.lines().count() == 1 && output.stderr.contains("% of new pods get these settings"),
        };
        ensure!(output.status.success() && is_quiet, "{}\n{block}", output.stderr);
        if object["kind"] == "NetworkPolicy" {
            let rule = &object["spec"]["egress"][0];
            ensure!(rule["to"] == json!([{ "ipBlock": { "cidr": "169.254.20.10/32" } }]), "{rule}");
            let ports = json!([{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }]);
            ensure!(rule["ports"] == ports, "{rule}");
        }
        kinds.push(object["kind"].as_str().unwrap_or_default().to_owned());
    }
    kinds.sort();
    ensure!(kinds == ["NetworkPolicy", "ResolverProfile", "ResolverProfile", "ResolverProfile"], "{kinds:?}");
    Ok(())
}

/// Returns the pod or pod template of an example, as a controller would create it.
fn example(slug: &str, file: &str, namespace: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(slug).join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for document in Stream::new(&text).documents {
        let document = document.parse().ok().context("an example that is not YAML")?;
        if let Some(pointer) = objects(document.root()).find_map(|object| object.pod_pointer()) {
            let mut pod = document.root().pointer(&pointer).context("an example without a pod")?.to_value()?;
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!(slug);
            pod["metadata"]["namespace"] = json!(namespace);
            return Ok(pod);
        }
    }
    anyhow::bail!("{}: no pod", path.display())
}

/// Returns whether every option of the author is still there.
fn kept(before: &Value, after: &Value) -> bool {
    let list = |options: &Value| options.as_array().cloned().unwrap_or_default();
    let after = list(after);
    list(before).iter().all(|option| after.contains(option))
}
