//! Rollouts of profiles: the share of new pods, and what promotes new settings or rolls them back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::profiles::{SOON, applied, apply, becomes};
use super::scan::scan;
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_api_server_alone_rejects_an_invalid_rollout,
    a_share_of_new_pods_gets_new_settings_which_are_promoted_and_no_running_pod_changes,
    a_watchers_verdict_on_a_node_of_the_share_rolls_back,
    settings_that_would_deny_pods_deny_none_and_are_rolled_back,
    a_new_profile_rolls_out_from_nothing
];

/// The pods whose shares are counted.
const PODS: usize = 200;

fn settings(option: &str, rollout: Value) -> Value {
    let mut spec = json!({ "options": { "mixed": [option] } });
    if !rollout.is_null() {
        spec["rollout"] = rollout;
    }
    spec
}

/// Edits a profile. An edit is denied until muslin has recorded the settings that it would roll back to.
pub(super) fn edit(cluster: &Cluster, name: &str, spec: &Value) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        let output = apply(cluster, name, spec)?;
        if output.status.success() {
            return Ok(output.stderr);
        }
        ensure!(output.stderr.contains("has not recorded the settings"), "{}", output.stderr);
        ensure!(Instant::now() < deadline, "{}", output.stderr);
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn profile(cluster: &Cluster, name: &str) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&["get", "resolverprofile", name, "-o", "json"], None)?;
    Ok(serde_json::from_str(&output.stdout)?)
}

/// Waits until the rollout of a profile is in a phase for a reason, and returns the profile.
pub(super) fn wait_for(cluster: &Cluster, name: &str, phase: &str, reason: &str) -> Result<Value> {
    let deadline = Instant::now() + SOON;
    loop {
        let profile = profile(cluster, name)?;
        let rollout = &profile["status"]["rollout"];
        let is_current = rollout["generation"] == profile["metadata"]["generation"];
        if is_current && (rollout["phase"] == phase, rollout["reason"] == reason) == (true, true) {
            return Ok(profile);
        }
        ensure!(Instant::now() < deadline, "not {phase} for {reason}: {:#}", profile["status"]);
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(super) fn condition<'p>(profile: &'p Value, type_: &str) -> Result<&'p Value> {
    let conditions = profile["status"]["conditions"].as_array().context("no conditions")?;
    conditions.iter().find(|condition| condition["type"] == type_).with_context(|| format!("{profile:#}"))
}

/// Creates pods with generated names at once, and returns all pods of the namespace.
fn create_pods(cluster: &Cluster, namespace: &str, number: usize) -> Result<Vec<Value>> {
    let mut one = pod(namespace, "", "alpine:3.19");
    one["metadata"] = json!({ "generateName": "web-", "namespace": namespace });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": vec![one; number] });
    cluster.create(&list)?;
    pods(cluster, namespace, "")
}

fn pods(cluster: &Cluster, namespace: &str, selector: &str) -> Result<Vec<Value>> {
    let output =
        cluster.control_plane.kubectl(&["get", "pods", "-n", namespace, "-l", selector, "-o", "json"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let list: Value = serde_json::from_str(&output.stdout)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn timeout_of(pod: &Value) -> &str {
    pod["spec"]["dnsConfig"]["options"][0]["value"].as_str().unwrap_or_default()
}

/// The name and the version of each pod. A change gives it another version.
fn versions(pods: &[Value]) -> Vec<(String, String)> {
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    pods.iter().map(|pod| (text(pod, "name"), text(pod, "resourceVersion"))).collect()
}

fn the_api_server_alone_rejects_an_invalid_rollout(cluster: &Cluster) -> Result<()> {
    for (rollout, why) in [
        (json!({ "percent": 0 }), "spec.rollout.percent"),
        (json!({ "percent": 101 }), "spec.rollout.percent"),
        (json!({ "percent": "10%" }), "spec.rollout.percent"),
        (json!({ "soak": "1h" }), "spec.rollout.percent: Required value"),
        (json!({ "percent": 10, "soak": "soon" }), "spec.rollout.soak"),
        (json!({ "percent": 10, "soak": "0s" }), "the soak time is between 1s and 336h"),
        (json!({ "percent": 10, "soak": "337h" }), "the soak time is between 1s and 336h"),
        (json!({ "percent": 10, "maxFindings": -1 }), "spec.rollout.maxFindings"),
    ] {
        let output = apply(cluster, "refused", &settings("timeout:9", rollout.clone()))?;
        ensure!(
            !output.status.success() && output.stderr.contains(why),
            "{rollout}: {}{}",
            output.stdout,
            output.stderr
        );
    }
    let (_profile, _) = applied(cluster, "soaks-an-hour", &settings("timeout:9", json!({ "percent": 10 })))?;
    ensure!(profile(cluster, "soaks-an-hour")?["spec"]["rollout"]["soak"] == "1h", "no default");
    Ok(())
}

fn a_share_of_new_pods_gets_new_settings_which_are_promoted_and_no_running_pod_changes(
    cluster: &Cluster,
) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("gradual", &[("muslin.dev/profile", "gradual")])?;
    let (_profile, _) = applied(cluster, "gradual", &settings("timeout:9", Value::Null))?;
    becomes(cluster, "gradual", &pod("gradual", "first", "alpine:3.19"), |pod, _| timeout_of(pod) == "9")?;
    create_pods(cluster, "gradual", 1)?;

    let told = edit(cluster, "gradual", &settings("timeout:8", json!({ "percent": 25, "soak": "1h" })))?;
    ensure!(told.contains("25 % of new pods get these settings, the others the last promoted ones"), "{told}");
    wait_for(cluster, "gradual", "Progressing", "WaitingForPods")?;
    let all = create_pods(cluster, "gradual", PODS)?;
    let canary = pods(cluster, "gradual", "muslin.dev/rollout=canary")?;
    let stable = pods(cluster, "gradual", "muslin.dev/rollout=stable")?;
    ensure!(all.len() == PODS + 1 && canary.len() + stable.len() == PODS, "{} {}", canary.len(), stable.len());
    // A quarter of 200, and five times its deviation of 6.1: one error in a million.
    ensure!((20..=80).contains(&canary.len()), "{} of {PODS} pods are 25 %", canary.len());
    ensure!(canary.iter().all(|pod| timeout_of(pod) == "8") && stable.iter().all(|pod| timeout_of(pod) == "9"));

    let soaking = wait_for(cluster, "gradual", "Progressing", "Soaking")?;
    wait("all pods counted", || {
        let status = &profile(cluster, "gradual")?["status"]["rollout"];
        Ok(status["canaryPods"] == canary.len() && status["stablePods"] == stable.len())
    })?;
    ensure!(
        condition(&soaking, "Progressing")?["status"] == "True"
            && condition(&soaking, "Promoted")?["status"] == "False"
    );

    // The share goes on with a shorter time, and the pods of before the edit count.
    edit(cluster, "gradual", &settings("timeout:8", json!({ "percent": 25, "soak": "1s" })))?;
    let promoted = wait_for(cluster, "gradual", "Promoted", "Soaked")?;
    let condition = condition(&promoted, "Promoted")?;
    let message = condition["message"].as_str().unwrap_or_default();
    ensure!(message.contains("no node of them has a watcher, so findings and restarts alone decided"), "{message}");
    ensure!(condition["observedGeneration"] == promoted["metadata"]["generation"], "{condition:#}");
    becomes(cluster, "gradual", &pod("gradual", "after", "alpine:3.19"), |pod, _| {
        timeout_of(pod) == "8" && pod["metadata"]["labels"]["muslin.dev/rollout"].is_null()
    })?;
    let (settled, at) = (profile(cluster, "gradual")?["metadata"]["resourceVersion"].clone(), Instant::now());
    ensure!(versions(&pods(cluster, "gradual", "")?) == versions(&all), "a running pod changed");
    let table = cluster.control_plane.kubectl(&["get", "rprof", "gradual"], None)?.stdout;
    ensure!(table.contains("ROLLOUT") && table.contains("Promoted"), "{table}");
    // muslin compares statuses every five seconds, and writes none that says the same.
    std::thread::sleep(Duration::from_secs(6).saturating_sub(at.elapsed()));
    ensure!(profile(cluster, "gradual")?["metadata"]["resourceVersion"] == settled, "the status is written anew");
    let events = cluster.control_plane.kubectl(&["get", "events", "-n", "default", "-o", "json"], None)?.stdout;
    ensure!(events.contains("RolloutPromoted"), "{events}");
    cluster.delete_pods("gradual")
}

/// Creates pods on a node, one after the other, until one has the new settings.
pub(super) fn create_canary(cluster: &Cluster, namespace: &str, node: &str) -> Result<Value> {
    for number in 0..200 {
        let mut wanted = pod(namespace, &format!("on-node-{number}"), "alpine:3.19");
        wanted["spec"]["nodeName"] = json!(node);
        let (created, _) = cluster.created(&wanted)?;
        if created["metadata"]["labels"]["muslin.dev/rollout"] == "canary" {
            return Ok(created);
        }
    }
    anyhow::bail!("none of 200 pods has the new settings")
}

fn a_watchers_verdict_on_a_node_of_the_share_rolls_back(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("watched", &[("muslin.dev/profile", "watched")])?;
    let (_profile, _) = applied(cluster, "watched", &settings("timeout:9", Value::Null))?;
    edit(cluster, "watched", &settings("timeout:8", json!({ "percent": 50, "soak": "10s" })))?;
    let begun = wait_for(cluster, "watched", "Progressing", "WaitingForPods")?;
    let canary = create_canary(cluster, "watched", "canary-node")?;
    let before = versions(&pods(cluster, "watched", "")?);
    let observe = |node: &str, since: &Value| {
        let watch = json!({
            "pod": "watch-x", "version": "0", "checkedAt": since, "rounds": 3,
            "verdicts": [{ "verdict": "slow-server", "level": "warn", "subject": "10.96.0.10", "text": "takes 3 s", "since": since }],
        });
        let spec = json!({ "pod": "watch-x", "nameservers": ["10.96.0.10"], "checkedAt": since, "watch": watch });
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "DNSObservation", "metadata": { "name": node }, "spec": spec
        });
        let output = cluster.control_plane.kubectl(&["apply", "-f", "-"], Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    };
    // Neither a verdict of before the rollout nor one on another node counts.
    observe("canary-node", &json!("2026-01-01T00:00:00Z"))?;
    observe("other-node", &begun["status"]["rollout"]["startedAt"])?;
    wait_for(cluster, "watched", "Progressing", "Soaking")?;
    observe("canary-node", &canary["metadata"]["creationTimestamp"])?;
    let rolled_back = wait_for(cluster, "watched", "RolledBack", "VerdictRaised")?;
    let condition = condition(&rolled_back, "RolledBack")?;
    let message = condition["message"].as_str().unwrap_or_default();
    ensure!(condition["status"] == "True" && message.starts_with("slow-server on node canary-node"), "{condition:#}");
    becomes(cluster, "watched", &pod("watched", "after", "alpine:3.19"), |pod, _| timeout_of(pod) == "9")?;
    ensure!(versions(&pods(cluster, "watched", "")?) == before, "a running pod changed");
    // Without rollout the administrator takes the settings all the same, and gets a warning.
    let told = edit(cluster, "watched", &settings("timeout:8", Value::Null))?;
    ensure!(told.contains("without rollout, all new pods get these settings at once"), "{told}");
    becomes(cluster, "watched", &pod("watched", "forced", "alpine:3.19"), |pod, _| timeout_of(pod) == "8")?;
    for node in ["canary-node", "other-node"] {
        cluster.control_plane.kubectl(&["delete", "dnsobservation", node], None)?;
    }
    cluster.delete_pods("watched")
}

fn settings_that_would_deny_pods_deny_none_and_are_rolled_back(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let labels = [("muslin.dev/profile", "stricter"), ("muslin.dev/mode", "enforce")];
    cluster.namespace("stricter", &labels)?;
    let (_profile, _) = applied(cluster, "stricter", &json!({ "rules": { "musl-no-tcp": "warn" } }))?;
    let spec = json!({ "rules": { "musl-no-tcp": "deny" }, "rollout": { "percent": 100, "soak": "1h" } });
    edit(cluster, "stricter", &spec)?;
    wait_for(cluster, "stricter", "Progressing", "WaitingForPods")?;
    let (fine, _) = cluster.created(&pod("stricter", "new", "alpine:3.19"))?;
    ensure!(fine["metadata"]["labels"]["muslin.dev/rollout"] == "canary", "{fine:#}");
    // The pod is warned about with both settings, and would be denied with the new ones alone.
    let (spared, _) = cluster.created(&pod("stricter", "old", "alpine:3.16"))?;
    ensure!(spared["metadata"]["labels"]["muslin.dev/rollout"] == "stable", "{spared:#}");
    let rolled_back = wait_for(cluster, "stricter", "RolledBack", "WorseFindings")?;
    let message = condition(&rolled_back, "RolledBack")?["message"].as_str().unwrap_or_default();
    ensure!(message.contains("1 pod with findings") && message.contains("musl-no-tcp on stricter/old"), "{message}");
    cluster.delete_pods("stricter")
}

/// A second pass of the webhook sees the pod as the first left it, in a review with another uid. So does a pod that is made from a copy.
fn keeps_its_draw_in_a_second_pass(cluster: &Cluster, created: &[Value]) -> Result<()> {
    let mut copies = Vec::new();
    for pod in &created[..20] {
        let mut copy = pod.clone();
        let metadata = &pod["metadata"];
        copy["metadata"] = json!({
            "generateName": "copy-", "namespace": metadata["namespace"],
            "labels": metadata["labels"], "annotations": metadata["annotations"],
        });
        copy["status"] = Value::Null;
        copies.push(copy);
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": copies });
    let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let output = cluster.control_plane.kubectl(&arguments, Some(&list.to_string()))?;
    ensure!(output.status.success(), "{}", output.stderr);
    // One document for each pod.
    let again = serde_json::Deserializer::from_str(&output.stdout).into_iter::<Value>();
    let again = again.collect::<Result<Vec<_>, _>>()?;
    ensure!(again.len() == copies.len(), "{} pods", again.len());
    for (copy, again) in copies.iter().zip(&again) {
        for field in ["/metadata/labels", "/metadata/annotations", "/spec/dnsConfig"] {
            ensure!(copy.pointer(field) == again.pointer(field), "{field} changed: {copy:#}{again:#}");
        }
    }
    Ok(())
}

fn a_new_profile_rolls_out_from_nothing(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("from-nothing", &[("muslin.dev/profile", "from-nothing")])?;
    let rollout = json!({ "percent": 50, "soak": "1h" });
    let (profile, _) = applied(cluster, "from-nothing", &settings("timeout:8", rollout.clone()))?;
    wait_for(cluster, "from-nothing", "Progressing", "WaitingForPods")?;
    let created = create_pods(cluster, "from-nothing", 40)?;
    keeps_its_draw_in_a_second_pass(cluster, &created)?;
    let output = scan(&cluster.control_plane.admin_kubeconfig(), &["-n", "from-nothing", "--fail-on", "never"])?;
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success() && notes.contains("the profile from-nothing rolls out to 50 % of new pods"),
        "{notes}"
    );
    let mut seen = [0, 0];
    for pod in created {
        let is_canary = pod["metadata"]["labels"]["muslin.dev/rollout"] == "canary";
        ensure!(timeout_of(&pod) == if is_canary { "8" } else { "" }, "{pod:#}");
        seen[usize::from(is_canary)] += 1;
    }
    ensure!(seen.iter().all(|pods| *pods > 5), "{seen:?}");
    // The settings themselves are gone with the resource.
    drop(profile);
    becomes(cluster, "from-nothing", &pod("from-nothing", "after", "alpine:3.19"), |pod, warnings| {
        timeout_of(pod).is_empty() && warnings.contains("there is no profile `from-nothing`")
    })?;
    cluster.delete_pods("from-nothing")
}
