//! Rollouts of profiles that real watchers try on their nodes: options that break lookups there are rolled back, harmless ones promoted.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::profiles::applied;
use super::rollouts::{condition, create_canary, edit, wait_for};
use crate::cluster::replicas::wait;
use crate::common::dns_server::{DnsServer, Manners};
use crate::common::harness::tests;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_watcher_rolls_back_what_breaks_lookups_and_harmless_settings_are_promoted,
    a_watcher_rolls_back_a_cache_that_does_not_know_the_clusters_names
];

/// Run on request: the lookups wait for a slow nameserver.
pub(crate) const ON_REQUEST: Topic = tests![a_watcher_rolls_back_a_timeout_that_is_too_short_for_its_nameserver];

/// A watcher, ended when dropped.
struct Watcher(Child);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the resolv.conf of a pod with this nameserver.
fn resolv_conf(server: Ipv4Addr) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    writeln!(
        file,
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver {server}\noptions ndots:5"
    )?;
    Ok(file)
}

/// Starts a watcher with the rights of its role.
fn start(cluster: &Cluster, node: &str, file: &NamedTempFile) -> Result<Watcher> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/components/watch-rights");
    for file in ["service-account.yaml", "cluster-role.yaml"] {
        let output = cluster.control_plane.kubectl(&["apply", "-f", &format!("{folder}/{file}")], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    let account = cluster.control_plane.service_account_kubeconfig("muslin", "muslin-watch")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.args(["probe", "--watch", "--interval", "300ms", "--inside-only", "--node", node, "--resolv-conf"]);
    command.arg(file.path()).arg("--kubeconfig").arg(&account).env("POD_NAME", format!("muslin-watch-{node}"));
    Ok(Watcher(command.stdout(Stdio::null()).spawn()?))
}

/// Returns what the watcher of a node says of the rollout of a profile; null without that.
fn observed(cluster: &Cluster, node: &str, profile: &str) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&["get", "dnsobservation", node, "-o", "json"], None)?;
    let observation: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let rollouts = observation["spec"]["watch"]["rollouts"].as_array().cloned().unwrap_or_default();
    Ok(rollouts.into_iter().find(|rollout| rollout["profile"] == profile).unwrap_or_default())
}

fn rolled_back(cluster: &Cluster, profile: &str) -> Result<String> {
    let status = wait_for(cluster, profile, "RolledBack", "LookupsFail")?;
    let message = condition(&status, "RolledBack")?["message"].as_str().context("no message")?.to_owned();
    Ok(message)
}

fn a_watcher_rolls_back_what_breaks_lookups_and_harmless_settings_are_promoted(cluster: &Cluster) -> Result<()> {
    const NODE: &str = "trying-node";
    let _muslin = cluster.muslin()?;
    let address = Ipv4Addr::new(127, 53, 2, 3);
    let (_server, file) = (DnsServer::start(address, Manners::FullNameAlone)?, resolv_conf(address)?);
    let _watcher = start(cluster, NODE, &file)?;
    let risk = json!(["ndots-breaks-musl"]);
    cluster.namespace("tried", &[("muslin.dev/profile", "tried")])?;
    let stable = json!({ "options": { "musl": ["attempts:3"] }, "acceptRisk": risk });
    let (_profile, _) = applied(cluster, "tried", &stable)?;

    // The log of the evidence did not show this name. With one dot, musl takes `kubernetes.default` for a name in full.
    let rollout = json!({ "percent": 10, "soak": "1h" });
    let broken = json!({ "options": { "musl": ["ndots:1"] }, "acceptRisk": risk, "rollout": rollout });
    let evidence = json!({
        "workloads": ["tried/Deployment/web"], "ndots": 1, "queries": 10, "pods": 1,
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"
    });
    let annotation = format!("muslin.dev/ndots-evidence={evidence}");
    let output = cluster.control_plane.kubectl(&["annotate", "resolverprofile", "tried", &annotation], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    edit(cluster, "tried", &broken)?;
    let message = rolled_back(cluster, "tried")?;
    let expected = "musl does not resolve kubernetes.default with the new settings (NXDOMAIN";
    ensure!(message.starts_with("lookups on node trying-node since ") && message.contains(expected), "{message}");
    wait("the end of the trial", || Ok(observed(cluster, NODE, "tried")?.is_null()))?;

    // A resolver that is unlike the present one, and as good.
    let harmless = json!({
        "options": { "musl": ["timeout:6"], "glibc": ["single-request"], "go": ["timeout:4"] }, "acceptRisk": risk,
        "rollout": { "percent": 100, "soak": "3s" }
    });
    edit(cluster, "tried", &harmless)?;
    wait_for(cluster, "tried", "Progressing", "WaitingForPods")?;
    wait("lookups", || Ok(observed(cluster, NODE, "tried")?["lookups"].as_u64() > Some(0)))?;
    create_canary(cluster, "tried", "elsewhere")?;
    let promoted = wait_for(cluster, "tried", "Promoted", "Soaked")?;
    let message = condition(&promoted, "Promoted")?["message"].as_str().context("no message")?;
    let tried = "no lookup of the watchers on 1 node fails with the new settings alone";
    ensure!(message.contains(tried), "{message}");
    cluster.control_plane.kubectl(&["delete", "dnsobservation", NODE], None)?;
    cluster.delete_pods("tried")
}

fn a_watcher_rolls_back_a_cache_that_does_not_know_the_clusters_names(cluster: &Cluster) -> Result<()> {
    const NODE: &str = "caching-node";
    let _muslin = cluster.muslin()?;
    let [address, cache] = [Ipv4Addr::new(127, 53, 2, 5), Ipv4Addr::new(127, 53, 2, 6)];
    let (_server, file) = (DnsServer::start(address, Manners::FullNameAlone)?, resolv_conf(address)?);
    let _cache = DnsServer::start(cache, Manners::KnowsNoClusterNames)?;
    let _watcher = start(cluster, NODE, &file)?;
    cluster.namespace("cached", &[("muslin.dev/profile", "cached")])?;
    let risks = json!(["node-searches-lost", "nameserver-blocked", "cache-missing", "loopback-nameserver"]);
    let (_profile, _) = applied(cluster, "cached", &json!({ "acceptRisk": risks }))?;
    let cached = json!({
        "nodeLocal": { "address": cache }, "acceptRisk": risks, "rollout": { "percent": 10, "soak": "1h" }
    });
    edit(cluster, "cached", &cached)?;
    let message = rolled_back(cluster, "cached")?;
    let expected = "musl does not resolve kubernetes.default with the new settings (NXDOMAIN";
    ensure!(message.starts_with("lookups on node caching-node since ") && message.contains(expected), "{message}");
    cluster.control_plane.kubectl(&["delete", "dnsobservation", NODE], None)?;
    Ok(())
}

fn a_watcher_rolls_back_a_timeout_that_is_too_short_for_its_nameserver(cluster: &Cluster) -> Result<()> {
    const NODE: &str = "slow-node";
    let _muslin = cluster.muslin()?;
    let address = Ipv4Addr::new(127, 53, 2, 4);
    let (_server, file) = (DnsServer::start(address, Manners::Slow)?, resolv_conf(address)?);
    let _watcher = start(cluster, NODE, &file)?;
    cluster.namespace("hasty", &[("muslin.dev/profile", "hasty")])?;
    let risk = json!(["short-total-timeout"]);
    let (_profile, _) = applied(cluster, "hasty", &json!({ "acceptRisk": risk }))?;
    let hasty = json!({
        "options": { "glibc": ["timeout:1", "attempts:1"] }, "acceptRisk": risk,
        "rollout": { "percent": 10, "soak": "1h" }
    });
    edit(cluster, "hasty", &hasty)?;
    let message = rolled_back(cluster, "hasty")?;
    // One second for the name below the first search domain, and one for the name as it is: after a timeout glibc tries no other domain.
    let expected = "with the new settings (no answer in time after 2";
    ensure!(message.contains("glibc does not resolve ") && message.contains(expected), "{message}");
    cluster.control_plane.kubectl(&["delete", "dnsobservation", NODE], None)?;
    Ok(())
}
