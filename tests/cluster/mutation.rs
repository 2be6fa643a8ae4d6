//! The changes to pods, and the warnings to their authors.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::enforcement::debug;
use crate::cluster::impostor::{self, Impostor};
use crate::common::harness::tests;
use crate::common::pods::{awkward_pods, injected_options, planned, pod, without_identity};
use crate::common::registration::Registration;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    an_alpine_pod_is_fixed_without_a_warning,
    the_default_profile_adds_no_option_and_takes_back_those_of_0_1_0,
    each_mode_annotates_warns_and_injects_as_documented,
    keeps_the_options_that_the_author_set,
    leaves_opted_out_and_windows_pods_alone,
    the_api_server_calls_muslin_only_for_relevant_pods,
    a_dry_run_gives_the_same_answer_and_stores_nothing,
    the_audit_log_has_findings_in_every_mode_but_off,
    a_sidecar_of_another_webhook_is_reviewed_without_duplicate_options,
    a_fixed_pod_created_again_is_unchanged,
    ephemeral_containers_can_be_added_to_a_fixed_pod,
    awkward_pods_differ_only_by_the_plan
];

fn an_alpine_pod_is_fixed_without_a_warning(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("fixed-alpine", &[])?;
    let (pod, warnings) = cluster.created(&pod("fixed-alpine", "web", "alpine:3.19"))?;
    ensure!(pod["spec"]["dnsConfig"]["options"] == injected_options(), "{pod:#}");
    ensure!(pod["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{pod:#}");
    let annotations = &pod["metadata"]["annotations"];
    ensure!(annotations["muslin.dev/injected"] == "timeout:3 attempts:6", "{annotations}");
    ensure!(annotations["muslin.dev/resolvers"] == "app=musl-1.2.4 (assumed)", "{annotations}");
    ensure!(!warnings.contains("musl-slow-retry"), "a warning about what is fixed: {warnings}");
    let described = cluster.control_plane.kubectl(&["describe", "pod", "web", "-n", "fixed-alpine"], None)?;
    ensure!(described.stdout.contains("musl-slow-retry") && !described.stdout.contains("..."), "{}", described.stdout);
    Ok(())
}

/// A pod as version 0.1.0 left it, created again, loses what that version injected.
fn the_default_profile_adds_no_option_and_takes_back_those_of_0_1_0(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin_with(&["--profile".to_owned(), "default".to_owned()])?;
    cluster.namespace("harmless", &[])?;
    let (created, warnings) = cluster.created(&pod("harmless", "web", "alpine:3.19"))?;
    ensure!(created["spec"]["dnsConfig"].is_null(), "{created:#}");
    ensure!(created["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{created:#}");
    let slow =
        "Warning: muslin: app: set attempts:3 if the DNS has room (musl 1.2.4 resends a lost query only after 2.5 s)";
    ensure!(warnings.contains(&format!("{slow} [musl-slow-retry]")), "{warnings}");
    let mut old = pod("harmless", "old", "alpine:3.19");
    old["metadata"]["annotations"] = json!({ "muslin.dev/injected": "single-request-reopen timeout:5 attempts:5" });
    old["spec"]["dnsConfig"] = json!({ "options": [
        { "name": "ndots", "value": "2" }, { "name": "single-request-reopen" },
        { "name": "timeout", "value": "5" }, { "name": "attempts", "value": "5" }
    ] });
    let (old, _) = cluster.created(&old)?;
    ensure!(old["spec"]["dnsConfig"]["options"] == json!([{ "name": "ndots", "value": "2" }]), "{old:#}");
    ensure!(old["metadata"]["annotations"]["muslin.dev/injected"].is_null(), "{old:#}");
    Ok(())
}

fn each_mode_annotates_warns_and_injects_as_documented(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    for (mode, annotated, warned, injected) in [
        ("off", false, false, false),
        ("audit", false, false, false),
        ("warn", true, true, false),
        ("inject", true, true, true),
        ("enforce", true, true, true),
    ] {
        let namespace = format!("mode-{mode}");
        cluster.namespace(&namespace, &[("muslin.dev/mode", mode)])?;
        let (pod, warnings) = cluster.created(&pod(&namespace, "web", "alpine:3.17"))?;
        ensure!(pod["metadata"]["annotations"]["muslin.dev/warnings"].is_string() == annotated, "{mode}: {pod:#}");
        ensure!(pod["metadata"]["labels"]["muslin.dev/libc"].is_string() == annotated, "{mode}: {pod:#}");
        ensure!(warnings.contains("muslin") == warned, "{mode}: {warnings}");
        ensure!(pod["spec"]["dnsConfig"]["options"].is_array() == injected, "{mode}: {pod:#}");
    }
    Ok(())
}

fn keeps_the_options_that_the_author_set(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("survives", &[])?;
    let mut wanted = pod("survives", "web", "alpine:3.19");
    wanted["spec"]["dnsConfig"] = json!({
        "nameservers": ["192.0.2.1"], "searches": ["example.com"],
        "options": [{ "name": "ndots", "value": "2" }, { "name": "timeout", "value": "9" }]
    });
    let (pod, _) = cluster.created(&wanted)?;
    let config = &pod["spec"]["dnsConfig"];
    ensure!(config["nameservers"] == json!(["192.0.2.1"]) && config["searches"] == json!(["example.com"]), "{config}");
    // No attempts beside the author's own timeout.
    let options = json!([{ "name": "ndots", "value": "2" }, { "name": "timeout", "value": "9" }]);
    ensure!(config["options"] == options, "{config}");
    Ok(())
}

fn leaves_opted_out_and_windows_pods_alone(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("untouched", &[])?;
    let mut opted_out = pod("untouched", "opted-out", "alpine:3.19");
    opted_out["metadata"]["annotations"] = json!({ "muslin.dev/inject": "false" });
    let mut windows = pod("untouched", "windows", "alpine:3.19");
    windows["spec"]["os"] = json!({ "name": "windows" });
    for wanted in [opted_out, windows] {
        let (pod, warnings) = cluster.created(&wanted)?;
        ensure!(pod["spec"].get("dnsConfig").is_none(), "{pod:#}");
        ensure!(pod["metadata"]["labels"].get("muslin.dev/libc").is_none(), "{pod:#}");
        ensure!(!warnings.contains("muslin"), "{warnings}");
    }
    Ok(())
}

/// Checks the selectors and conditions of the configuration from the webhook's side: it receives no other reviews.
fn the_api_server_calls_muslin_only_for_relevant_pods(cluster: &Cluster) -> Result<()> {
    let (impostor, _registration) = cluster.impostor(impostor::allow)?;
    cluster.namespace("concerned", &[])?;
    cluster.namespace("concerned-off", &[("muslin.dev/mode", "off")])?;
    cluster.runtime.block_on(cluster.control_plane.prepare_service_account("kube-system"))?;
    cluster.create(&pod("concerned-off", "web", "alpine:3.19"))?;
    cluster.create(&pod("kube-system", "web", "alpine:3.19"))?;
    let mut own = restricted(pod("muslin", "web", "alpine:3.19"));
    own["spec"]["serviceAccountName"] = json!("muslin");
    cluster.create(&own)?;
    let mut windows = pod("concerned", "windows", "alpine:3.19");
    windows["spec"]["os"] = json!({ "name": "windows" });
    cluster.create(&windows)?;
    let mut mirror = pod("concerned", "mirror", "alpine:3.19");
    mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "1" });
    mirror["spec"]["nodeName"] = json!("node");
    mirror["spec"].as_object_mut().context("a pod has a spec")?.remove("automountServiceAccountToken");
    cluster.create(&mirror)?;
    for namespace in ["concerned-off", "kube-system", "muslin", "concerned"] {
        ensure!(impostor.reviews_of(namespace) == 0, "called for a pod in {namespace}");
    }
    cluster.create(&pod("concerned", "web", "alpine:3.19"))?;
    ensure!(impostor.reviews_of("concerned") == 1, "not called for an ordinary pod");
    Ok(())
}

/// Returns the pod with the fields that the Pod Security Standard `restricted` requires.
fn restricted(mut pod: Value) -> Value {
    pod["spec"]["securityContext"] =
        json!({ "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } });
    pod["spec"]["containers"][0]["securityContext"] =
        json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    pod
}

fn a_dry_run_gives_the_same_answer_and_stores_nothing(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("dry-run", &[])?;
    let text = pod("dry-run", "web", "alpine:3.17").to_string();
    let create = |arguments: &[&str]| -> Result<(Value, String)> {
        let output =
            cluster.control_plane.kubectl(&[&["create", "-o", "json", "-f", "-"], arguments].concat(), Some(&text))?;
        Ok((serde_json::from_str(&output.stdout)?, output.stderr))
    };
    let (dry, dry_warnings) = create(&["--dry-run=server"])?;
    ensure!(cluster.pod("dry-run", "web").is_err(), "the pod was stored");
    let (kept, warnings) = create(&[])?;
    ensure!(without_identity(&dry) == without_identity(&kept), "{dry:#}\n{kept:#}");
    ensure!(dry_warnings == warnings && warnings.contains("musl-no-tcp"), "{dry_warnings}{warnings}");
    Ok(())
}

fn the_audit_log_has_findings_in_every_mode_but_off(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    for (mode, noted) in [("off", false), ("audit", true), ("warn", true), ("inject", true)] {
        let namespace = format!("audited-{mode}");
        cluster.namespace(&namespace, &[("muslin.dev/mode", mode)])?;
        cluster.create(&pod(&namespace, "web", "alpine:3.19"))?;
        let log = cluster.control_plane.audit_log()?;
        let event = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["verb"] == "create" && event["objectRef"]["namespace"] == *namespace)
            .context("the audit log has no such event")?;
        let note = |key: &str| event["annotations"][format!("pods.muslin.dev/{key}")].as_str();
        ensure!(
            note("findings").is_some_and(|findings| findings.contains("musl-slow-retry(app)")) == noted,
            "{event:#}"
        );
        ensure!(note("libc") == noted.then_some("musl"), "{event:#}");
        ensure!(note("injected").is_some() == (mode == "inject"), "{event:#}");
    }
    Ok(())
}

/// The API server calls muslin for a pod without musl; then another webhook adds an Alpine container, and the API server calls muslin
/// again.
fn a_sidecar_of_another_webhook_is_reviewed_without_duplicate_options(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("sidecars", &[])?;
    let impostor = Impostor::start(&cluster.runtime, impostor::add_a_sidecar)?;
    let registration = Registration::of_another(&cluster.control_plane, &impostor.url, &impostor.ca)?;
    registration.wait_until(|answer| answer.contains("sidecar") && answer.contains("muslin.dev/libc"))?;
    for (name, image, resolvers, libc) in [
        ("glibc", "debian:12", "app=glibc (assumed), sidecar=musl-1.2.4 (assumed)", "mixed"),
        ("musl", "alpine:3.19", "app=musl-1.2.4 (assumed), sidecar=musl-1.2.4 (assumed)", "musl"),
    ] {
        let (pod, _) = cluster.created(&pod("sidecars", name, image))?;
        ensure!(pod["spec"]["containers"].as_array().is_some_and(|containers| containers.len() == 2), "{pod:#}");
        ensure!(pod["spec"]["dnsConfig"]["options"] == injected_options(), "{pod:#}");
        ensure!(pod["metadata"]["annotations"]["muslin.dev/resolvers"] == resolvers, "{pod:#}");
        ensure!(pod["metadata"]["labels"]["muslin.dev/libc"] == libc, "{pod:#}");
        let found = pod["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
        ensure!(found.contains("sidecar: musl 1.2.4 resends") || found.contains("app, sidecar: musl"), "{found}");
    }
    Ok(())
}

/// Copies a pod to another namespace, as with `kubectl get pod -o yaml` and `kubectl create`.
fn a_fixed_pod_created_again_is_unchanged(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("once", &[])?;
    cluster.namespace("twice", &[])?;
    let (once, _) = cluster.created(&pod("once", "web", "alpine:3.19"))?;
    let mut again = without_identity(&once);
    again["metadata"]["namespace"] = json!("twice");
    let (twice, warnings) = cluster.created(&again)?;
    ensure!(without_identity(&once) == without_identity(&twice), "{once:#}\n{twice:#}");
    let told = twice["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
    ensure!(told.contains("accepts retry-storm") && !warnings.contains("retry-storm"), "{warnings}\n{told}");
    Ok(())
}

/// Ephemeral containers can only be added to an existing pod.
fn ephemeral_containers_can_be_added_to_a_fixed_pod(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("ephemeral", &[])?;
    let (before, _) = cluster.created(&pod("ephemeral", "web", "alpine:3.19"))?;
    let changed = debug(cluster, "ephemeral", "web", "debug", "alpine:3.19")?;
    ensure!(changed.status.success(), "{}", changed.stderr);
    let after = cluster.pod("ephemeral", "web")?;
    ensure!(after["spec"]["ephemeralContainers"][0]["name"] == "debug", "{after:#}");
    ensure!(after["spec"]["dnsConfig"] == before["spec"]["dnsConfig"], "{after:#}");
    Ok(())
}

/// Creates pods of odd shapes: each is accepted, and differs only by the plan from the same pod without a webhook.
fn awkward_pods_differ_only_by_the_plan(cluster: &Cluster) -> Result<()> {
    let pods = awkward_pods();
    ensure!(pods.len() >= 40, "only {} pods", pods.len());
    cluster.namespace("plain", &[])?;
    cluster.namespace("awkward", &[])?;
    let create = |namespace: &str| -> Result<Vec<Value>> {
        pods.iter()
            .map(|pod| {
                let mut pod = pod.clone();
                pod["metadata"]["namespace"] = json!(namespace);
                Ok(cluster.created(&pod)?.0)
            })
            .collect()
    };
    let plain = create("plain")?;
    let _muslin = cluster.muslin()?;
    for (plain, fixed) in plain.iter().zip(create("awkward")?) {
        let (expected, fixed) = (planned(plain, "awkward")?, without_identity(&fixed));
        ensure!(expected == fixed, "{expected:#}\n{fixed:#}");
    }
    Ok(())
}
