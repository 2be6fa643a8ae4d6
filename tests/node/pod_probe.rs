//! `muslin probe POD` on a real node: the output of both ways, from a pod in a namespace with the Pod Security standard `restricted`.

use std::fs;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::real_node::{Node, REGISTRY, eventually};

pub(crate) const TESTS: Topic = tests![both_ways_probe_a_pod_and_show_its_settings];

const NAMESPACE: &str = "inspected";

/// Time limit until the inspected pod runs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Fewer queries than by default, so that a probe takes a few seconds.
const SHORT: [&str; 4] = ["--pairs", "5", "--burst", "10"];

fn both_ways_probe_a_pod_and_show_its_settings(node: &mut Node) -> Result<()> {
    start_pod(node)?;
    // CoreDNS forwards to a server that is gone, so each way has a verdict of the level deny.
    let output = probe(node, &["pod/web", "-o", "json"])?;
    let beside = document(&output, "probing from the pod")?;
    let output = probe(node, &["web", "--ephemeral", "-o", "json"])?;
    let inside = document(&output, "stays in the pod's specification")?;
    ensure!(resolv_conf(&beside).contains("ndots:2"), "{beside:#}");
    ensure!(resolv_conf(&beside) == resolv_conf(&inside), "{}\n{}", resolv_conf(&beside), resolv_conf(&inside));
    // The ephemeral container sees the process of the pod.
    let programs = inside["surroundings"]["programs"].to_string();
    ensure!(programs.contains("process 1") && programs.contains("musl"), "{programs}");

    let output = probe(node, &["web"])?;
    let (report, messages) = texts(&output);
    ensure!(output.status.code() == Some(1), "{}: {report}{messages}", output.status);
    ensure!(report.contains("stale-nameserver") && !report.contains("error: "), "{report}");
    ensure!(messages.contains("error: there are findings at or above --fail-on"), "{messages}");

    let output = probe(node, &["web", "--image", &format!("{REGISTRY}/no-such:1")])?;
    let (report, messages) = texts(&output);
    ensure!(output.status.code() == Some(3) && messages.contains("cannot pull the image"), "{report}{messages}");
    let (pods, _) = node.kubectl(&["get", "pods", "-n", NAMESPACE, "-o", "name"])?;
    ensure!(pods == "pod/web\n", "left: {pods}");
    let (spec, _) =
        node.kubectl(&["get", "pod", "web", "-n", NAMESPACE, "-o", "jsonpath={.spec.ephemeralContainers[*].name}"])?;
    ensure!(spec.starts_with("muslin-probe-"), "{spec}");

    // The Job has the same image.
    let job = node.command(env!("CARGO_BIN_EXE_muslin")).args(["install", "probe", "-n", NAMESPACE]).output()?;
    let (job, complaint) = texts(&job);
    let image = format!("image: \"{REGISTRY}/muslin:{}\"\n", env!("CARGO_PKG_VERSION"));
    ensure!(job.contains(&image) && job.contains("namespace: \"inspected\"\n"), "{job}{complaint}");
    node.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    Ok(())
}

/// Starts a pod with DNS settings of its own, as a user without any right runs it.
fn start_pod(node: &Node) -> Result<()> {
    let context = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "namespace": NAMESPACE },
        "spec": {
            "automountServiceAccountToken": false,
            // The program does not handle SIGTERM.
            "terminationGracePeriodSeconds": 0,
            "dnsConfig": { "options": [{ "name": "ndots", "value": "2" }] },
            "containers": [{
                "name": "app", "image": format!("{REGISTRY}/shop:1.4"),
                "args": ["shop.shop.svc.cluster.local"], "securityContext": context,
            }],
        },
    });
    node.kubectl(&["create", "namespace", NAMESPACE])?;
    node.kubectl(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"])?;
    let file = node.folder().join("inspected.json");
    fs::write(&file, pod.to_string())?;
    // The namespace's service account comes a moment after it.
    eventually(DEADLINE, || node.kubectl(&["create", "-f", file.to_str().context("UTF-8")?]))?;
    node.kubectl(&["wait", "-n", NAMESPACE, "pod/web", "--for=condition=Ready", "--timeout=60s"])?;
    Ok(())
}

fn probe(node: &Node, arguments: &[&str]) -> Result<Output> {
    let mut command = node.command(env!("CARGO_BIN_EXE_muslin"));
    command.args(["probe", "-n", NAMESPACE]).args(arguments).args(SHORT).output().context("starting muslin")
}

/// Returns the file that a probe read. The kubelet writes its options in any order.
fn resolv_conf(document: &Value) -> String {
    let mut conf = document["surroundings"]["resolv_conf"].clone();
    if let Some(options) = conf["options"].as_array_mut() {
        options.sort_by_key(Value::to_string);
    }
    conf.to_string()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Returns the JSON document of a probe that found a stale nameserver and showed this message.
fn document(output: &Output, message: &str) -> Result<Value> {
    let (report, messages) = texts(output);
    ensure!(output.status.code() == Some(1), "{}: {report}{messages}", output.status);
    ensure!(messages.contains(message) && messages.contains("findings at or above --fail-on"), "{messages}");
    let document: Value = serde_json::from_str(&report).with_context(|| report.clone())?;
    ensure!(document["verdicts"].to_string().contains("stale-nameserver"), "{:#}", document["verdicts"]);
    Ok(document)
}
