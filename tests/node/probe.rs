//! `muslin probe` in a node whose CoreDNS forwards to a server that is gone.

use std::fs;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Topic;
use crate::common::harness::tests;
use crate::node::real_node::{Node, REGISTRY};

pub(crate) const TESTS: Topic = tests![
    the_probe_job_reports_a_stale_nameserver,
    the_probe_reads_corednss_upstream_from_the_cluster,
    the_probe_finds_the_nodes_nameserver_on_the_node_and_in_a_pod
];

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/probe.yaml");

const NODE_MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/probe-node.yaml");

/// The Service of the cluster's DNS.
const DNS: &str = "10.96.0.10";
/// The upstream server of CoreDNS.
const OUTSIDE: &str = "192.0.2.53";

fn the_probe_job_reports_a_stale_nameserver(node: &mut Node) -> Result<()> {
    let manifest = fs::read_to_string(MANIFEST)?;
    let image = format!("image: {REGISTRY}/muslin:{}\n", env!("CARGO_PKG_VERSION"));
    ensure!(manifest.contains("image: muslin\n"), "{MANIFEST} has another image");
    let job = node.folder().join("probe.yaml");
    fs::write(&job, manifest.replace("image: muslin\n", &image))?;
    node.kubectl(&["create", "-n", "shop", "-f", job.to_str().context("UTF-8")?])?;
    // The Job fails, because the verdict has the level `deny`.
    node.kubectl(&["wait", "-n", "shop", "job/dns-probe", "--for=condition=Failed", "--timeout=60s"]).with_context(
        || node.kubectl(&["describe", "-n", "shop", "job,pod"]).map_or_else(|e| e.to_string(), |it| it.0),
    )?;
    let (log, _) = node.kubectl(&["logs", "-n", "shop", "job/dns-probe"])?;
    ensure!(log.contains("stale-nameserver"), "{log}");
    ensure!(log.contains(&format!("through {DNS}, while the cluster's names do")), "{log}");
    Ok(())
}

fn the_probe_reads_corednss_upstream_from_the_cluster(node: &mut Node) -> Result<()> {
    let output = probe(node, "admin")?;
    let document: Value = serde_json::from_slice(&output.stdout).context("reading what the probe wrote")?;
    let verdicts = document["verdicts"].as_array().context("no verdicts")?;
    let stale = verdicts.iter().find(|verdict| verdict["verdict"] == "stale-nameserver");
    let stale = stale.with_context(|| format!("nothing is stale: {verdicts:?}"))?;
    let known = format!("{OUTSIDE}, from the Corefile of kube-system/coredns");
    ensure!(stale["evidence"].to_string().contains(&known), "{stale:#}");

    // Without the right to read the Corefile, the probe reports that, and gives the verdict without it.
    let output = probe(node, "proxy")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        complaint.contains("it is unknown where CoreDNS forwards") && complaint.contains("forbidden"),
        "{complaint}"
    );
    ensure!(String::from_utf8_lossy(&output.stdout).contains("stale-nameserver"), "no verdict");
    Ok(())
}

fn the_probe_finds_the_nodes_nameserver_on_the_node_and_in_a_pod(node: &mut Node) -> Result<()> {
    let file = format!("{}/resolv.conf", node.folder().display());
    // The running kubelet names its configuration, which names the file.
    let output = node
        .command(env!("CARGO_BIN_EXE_muslin"))
        .args(["probe", "--root=/", "--origins-only", "--output=json"])
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout).context("reading what the probe wrote")?;
    let found = &document["surroundings"]["nameserver_origins"];
    ensure!(found["resolv_conf"] == file.as_str(), "{found:#}");
    let origins = found["origins"].as_array().context("no origins")?;
    let of_kubelet =
        |origin: &&Value| origin["file"] == file.as_str() && origin["setting"] == "resolvConf" && origin["line"] == 1;
    ensure!(origins.iter().any(|origin| of_kubelet(&origin)), "{found:#}");

    let manifest = fs::read_to_string(NODE_MANIFEST)?;
    let image = format!("image: {REGISTRY}/muslin:{}\n", env!("CARGO_PKG_VERSION"));
    ensure!(manifest.contains("image: muslin\n"), "{NODE_MANIFEST} has another image");
    let job = node.folder().join("probe-node.yaml");
    fs::write(&job, manifest.replace("image: muslin\n", &image))?;
    node.kubectl(&["create", "-n", "kube-system", "-f", job.to_str().context("UTF-8")?])?;
    // The Job fails, because the verdict has the level `deny`.
    node.kubectl(&["wait", "-n", "kube-system", "job/dns-probe-node", "--for=condition=Failed", "--timeout=60s"])?;
    let (log, _) = node.kubectl(&["logs", "-n", "kube-system", "job/dns-probe-node"])?;
    let words = log.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(words.contains(&format!("{file} line 1 (kubelet, resolvConf)")), "{log}");
    Ok(())
}

/// Runs the probe on the node with this account.
fn probe(node: &Node, account: &str) -> Result<Output> {
    node.command(env!("CARGO_BIN_EXE_muslin"))
        .args(["probe", "--from-cluster", "--output=json", "--server", DNS, "--kubeconfig"])
        .arg(node.folder().join(format!("{account}.kubeconfig")))
        .output()
        .context("starting muslin")
}
