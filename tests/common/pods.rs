//! Pods for tests: a plain one, many of odd shapes, and the expected result of muslin's review.

#![allow(dead_code, reason = "each program uses a part of this")]

use anyhow::{Context as _, Result};
use muslin::image;
use muslin::plan::{Context, Plan, plan};
use muslin::pod::Pod;
use muslin::policy::{Mode, Profile};
use muslin::rules::Finding;
use serde_json::{Value, json};

/// Returns a pod with one container.
pub(crate) fn pod(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "app", "image": image }] }
    })
}

/// Returns the options that the profile of the tests, `fast`, injects into every pod.
pub(crate) fn injected_options() -> Value {
    json!([{ "name": "timeout", "value": "3" }, { "name": "attempts", "value": "6" }])
}

/// Returns a stored pod without the fields that identify it.
pub(crate) fn without_identity(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace", "generation"] {
            metadata.remove(field);
        }
    }
    pod
}

/// Returns the pod after its plan: computed by the library from the pod as the API server stores it without a webhook.
pub(crate) fn planned(pod: &Value, namespace: &str) -> Result<Value> {
    planned_in(pod, namespace, Mode::Inject)
}

/// Returns the pod after its plan in a mode.
pub(crate) fn planned_in(pod: &Value, namespace: &str, mode: Mode) -> Result<Value> {
    let mut planned = without_identity(pod);
    if let Some(plan) = plan_of(pod, namespace, mode)? {
        json_patch::patch(&mut planned, &plan.patch).context("the plan's patch does not apply")?;
    }
    Ok(planned)
}

/// Returns muslin's findings on a pod that it does not change.
pub(crate) fn found(pod: &Value, namespace: &str) -> Result<Vec<Finding>> {
    let findings = plan_of(pod, namespace, Mode::Warn)?.map(|plan| plan.findings).unwrap_or_default();
    Ok(findings.into_iter().map(|planned| planned.finding).collect())
}

/// Returns the plan; `None` if muslin skips the pod.
fn plan_of(pod: &Value, namespace: &str, mode: Mode) -> Result<Option<Plan>> {
    let text = without_identity(pod).to_string();
    let pod: Pod<'_> = serde_json::from_str(&text).context("the library cannot read the pod")?;
    let fingerprints = pod
        .containers()
        .map(|container| image::assume_started(container.image(), container.started().as_deref()))
        .collect();
    let profile = Profile::builtin("fast")?;
    let context = Context { namespace, mode, ..Context::usual(&profile) };
    Ok(plan(&pod, fingerprints, &context).ok())
}

/// Returns pods of odd shapes that the API server accepts.
pub(crate) fn awkward_pods() -> Vec<Value> {
    let images = [
        "alpine:3.19",
        "debian:12",
        "example.com/app:1",
        "registry.example.com:5000/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let configs = [
        Value::Null,
        json!({}),
        json!({ "options": null }),
        json!({ "options": [] }),
        json!({ "options": [{ "name": "rotate" }] }),
        json!({ "options": [{ "name": "ndots", "value": "" }] }),
        json!({ "options": [{ "name": "ndots", "value": "2" }, { "name": "ndots", "value": "3" }] }),
        json!({ "options": [{ "name": "ndots:2" }, { "name": "~/ß\u{1F600}", "value": "a b" }] }),
        json!({ "nameservers": ["192.0.2.1"], "searches": ["example.com"] }),
    ];
    let mut pods = Vec::new();
    for image in images {
        for config in &configs {
            let mut pod = base(pods.len(), image);
            pod["spec"]["dnsConfig"] = config.clone();
            pods.push(pod);
        }
    }
    for metadata in [
        json!({ "annotations": null, "labels": null }),
        json!({ "annotations": {}, "labels": {} }),
        json!({ "annotations": { "example.com/a": "~/\u{1F600}\n\"quoted\"" }, "labels": { "a.b/c": "" } }),
        json!({ "annotations": { "big": "x".repeat(200_000) } }),
    ] {
        let mut pod = base(pods.len(), "alpine:3.19");
        for (key, value) in metadata.as_object().into_iter().flatten() {
            pod["metadata"][key] = value.clone();
        }
        pods.push(pod);
    }
    let mut many = base(pods.len(), "alpine:3.19");
    many["spec"]["containers"] =
        (0..100).map(|index| json!({ "name": format!("c{index}"), "image": "alpine:3.19" })).collect();
    pods.push(many);
    let mut init = base(pods.len(), "debian:12");
    init["spec"]["initContainers"] = json!([
        { "name": "init", "image": "alpine:3.19" },
        { "name": "sidecar", "image": "alpine", "restartPolicy": "Always" }
    ]);
    pods.push(init);
    let mut large = base(pods.len(), "alpine:3.19");
    large["spec"]["containers"][0]["env"] = json!([{ "name": "BIG", "value": "\"x\"".repeat(300_000) }]);
    pods.push(large);
    let mut newer = base(pods.len(), "alpine:3.19");
    newer["spec"]["resolverPolicy"] = json!({ "of": ["a", "newer", "version"] });
    newer["spec"]["dnsConfig"] = json!({ "options": [{ "name": "rotate", "newer": true }], "newer": {} });
    pods.push(newer);
    let mut host = base(pods.len(), "alpine:3.19");
    host["spec"]["hostNetwork"] = json!(true);
    pods.push(host);
    pods
}

fn base(index: usize, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("pod-{index}") },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "app", "image": image }] }
    })
}
