//! Mode `enforce` on a real API server: it cannot be bypassed, and it stands in the way of nothing but containers that start.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::policy::{apply, label, object, specification, without_token};
use crate::cluster::replicas::{get, patch, wait};
use crate::common::control_plane::KubectlOutput;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MUSLIN;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    an_update_of_an_image_is_denied_for_what_it_adds,
    an_update_is_not_denied_for_earlier_findings,
    an_ephemeral_container_is_denied_for_its_findings,
    a_priority_class_exempts_no_pod,
    with_muslin_down_only_new_containers_wait,
    with_muslin_down_a_pod_of_many_containers_can_be_labelled,
    the_documented_condition_exempts_a_service_account
];

/// An image whose name says nothing about its resolver.
const UNKNOWN: &str = "registry.example.com/shop/app:1";

/// The text of the API server where muslin does not answer.
const UNREACHABLE: &str = r#"failed calling webhook "enforce.muslin.dev""#;

/// Returns a pod of containers with these images, called `c0`, `c1`, …, with an option that is invalid for glibc.
pub(crate) fn pod_of(namespace: &str, name: &str, images: &[&str]) -> Value {
    let mut specification = without_token(specification("deny"));
    let containers =
        images.iter().enumerate().map(|(number, image)| json!({ "name": format!("c{number}"), "image": image }));
    specification["containers"] = containers.collect();
    object("Pod", namespace, name, &specification)
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<KubectlOutput> {
    cluster.control_plane.kubectl(arguments, None)
}

/// Runs kubectl, which must succeed.
fn succeeds(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let output = kubectl(cluster, arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(())
}

fn set_image(cluster: &Cluster, namespace: &str, pod: &str, image: &str) -> Result<KubectlOutput> {
    kubectl(cluster, &["set", "image", &format!("pod/{pod}"), image, "-n", namespace])
}

/// Adds an ephemeral container, as `kubectl debug` does. `kubectl patch` of Kubernetes 1.30 does not know the subresource.
pub(crate) fn debug(cluster: &Cluster, namespace: &str, pod: &str, name: &str, image: &str) -> Result<KubectlOutput> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/ephemeralcontainers");
    let mut wanted = cluster.pod(namespace, pod)?;
    let mut containers = wanted["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default();
    containers.push(json!({ "name": name, "image": image }));
    wanted["spec"]["ephemeralContainers"] = containers.into();
    cluster.control_plane.kubectl(&["replace", "--raw", &path, "-f", "-"], Some(&wanted.to_string()))
}

fn is_denied_for(output: &KubectlOutput, finding: &str) -> Result<()> {
    let expected = "muslin enforces DNS settings in namespace";
    ensure!(!output.status.success() && output.stderr.contains(expected), "{}{}", output.stdout, output.stderr);
    ensure!(output.stderr.contains(finding), "no {finding} in {}", output.stderr);
    Ok(())
}

fn an_update_of_an_image_is_denied_for_what_it_adds(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let namespace = "updated-images";
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    let mut wanted = pod_of(namespace, "web", &[UNKNOWN, UNKNOWN]);
    wanted["spec"]["initContainers"] = json!([{ "name": "init", "image": UNKNOWN }]);
    cluster.create(&wanted)?;
    for container in ["c0", "c1", "init"] {
        let output = set_image(cluster, namespace, "web", &format!("{container}=debian:12"))?;
        is_denied_for(&output, &format!("attempts-zero: {container}: "))?;
        // A dry run and a replacement of the whole object take the same way.
        let dry = ["set", "image", "pod/web", &format!("{container}=debian:12"), "-n", namespace, "--dry-run=server"];
        is_denied_for(&kubectl(cluster, &dry)?, "attempts-zero")?;
    }
    let mut replaced = cluster.pod(namespace, "web")?;
    replaced["spec"]["containers"][0]["image"] = json!("debian:12");
    let output = cluster.control_plane.kubectl(&["replace", "-f", "-"], Some(&replaced.to_string()))?;
    is_denied_for(&output, "attempts-zero: c0: ")?;
    let output = set_image(cluster, namespace, "web", "c0=registry.example.com/shop/app:2")?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// The pod ran before its namespace enforced.
fn an_update_is_not_denied_for_earlier_findings(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let namespace = "enforced-later";
    cluster.namespace(namespace, &[("muslin.dev/mode", "warn")])?;
    cluster.create(&pod_of(namespace, "web", &["debian:12", UNKNOWN]))?;
    let output = label(cluster, namespace, &["muslin.dev/mode=enforce"])?;
    ensure!(output.status.success(), "{}", output.stderr);
    let output = set_image(cluster, namespace, "web", "c0=debian:11")?;
    ensure!(output.status.success(), "{}", output.stderr);
    // The same finding on another container is new.
    is_denied_for(&set_image(cluster, namespace, "web", "c1=debian:11")?, "attempts-zero: c1: ")?;
    let output = set_image(cluster, namespace, "web", &format!("c0={UNKNOWN}"))?;
    ensure!(output.status.success(), "{}", output.stderr);
    // The finding is gone, so it would be new.
    is_denied_for(&set_image(cluster, namespace, "web", "c0=debian:12")?, "attempts-zero: c0: ")
}

fn an_ephemeral_container_is_denied_for_its_findings(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let namespace = "debugged";
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    cluster.create(&pod_of(namespace, "web", &[UNKNOWN]))?;
    let output = debug(cluster, namespace, "web", "first", UNKNOWN)?;
    ensure!(output.status.success(), "{}", output.stderr);
    is_denied_for(&debug(cluster, namespace, "web", "second", "debian:12")?, "attempts-zero: second: ")?;
    // The pod's own settings are sound.
    cluster.create(&pod(namespace, "sound", "alpine:3.19"))?;
    let output = debug(cluster, namespace, "sound", "shell", "debian:12")?;
    ensure!(output.status.success(), "{}", output.stderr);
    let after = cluster.pod(namespace, "sound")?;
    ensure!(after["spec"]["ephemeralContainers"][0]["name"] == "shell", "{after:#}");
    Ok(())
}

fn a_priority_class_exempts_no_pod(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let namespace = "critical";
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    for class in ["system-node-critical", "system-cluster-critical"] {
        let mut wanted = pod_of(namespace, class, &["debian:12"]);
        wanted["spec"]["priorityClassName"] = json!(class);
        is_denied_for(&apply(cluster, &wanted)?, "attempts-zero: c0: ")?;
    }
    Ok(())
}

fn with_muslin_down_only_new_containers_wait(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    let namespace = "waiting";
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    for name in ["web", "bound", "evicted"] {
        let mut wanted = pod_of(namespace, name, &[UNKNOWN]);
        wanted["metadata"]["finalizers"] = json!(["example.com/wait"]);
        cluster.create(&wanted)?;
    }
    muslin.kill()?;
    for output in [
        apply(cluster, &pod(namespace, "new", "alpine:3.19"))?,
        set_image(cluster, namespace, "web", "c0=registry.example.com/shop/app:2")?,
        debug(cluster, namespace, "web", "shell", UNKNOWN)?,
    ] {
        ensure!(!output.status.success() && output.stderr.contains(UNREACHABLE), "{}{}", output.stdout, output.stderr);
    }

    succeeds(cluster, &["label", "pod", "web", "-n", namespace, "team=shop"])?;
    succeeds(cluster, &["annotate", "pod", "web", "-n", namespace, "example.com/note=text"])?;
    let tolerate = json!([{ "op": "add", "path": "/spec/tolerations/-", "value": { "operator": "Exists" } }]);
    patch(cluster, &["pod", "web", "-n", namespace], &tolerate)?;
    let deadline = json!({ "spec": { "activeDeadlineSeconds": 3600 } }).to_string();
    succeeds(cluster, &["patch", "pod", "web", "-n", namespace, "-p", &deadline])?;
    let status = json!({ "status": { "phase": "Running" } }).to_string();
    succeeds(cluster, &["patch", "pod", "web", "-n", namespace, "--subresource=status", "-p", &status])?;
    let resize = json!({ "spec": { "containers": [{ "name": "c0", "resources": { "requests": { "cpu": "10m" } } }] } });
    let output =
        kubectl(cluster, &["patch", "pod", "web", "-n", namespace, "--subresource=resize", "-p", &resize.to_string()])?;
    // The API server has other reasons to reject it: no node runs the pod.
    ensure!(!output.stderr.contains("webhook"), "{}", output.stderr);

    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "bound", "namespace": namespace },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "node" }
    });
    raw(cluster, &format!("/api/v1/namespaces/{namespace}/pods/bound/binding"), &binding)?;
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "evicted", "namespace": namespace }
    });
    raw(cluster, &format!("/api/v1/namespaces/{namespace}/pods/evicted/eviction"), &eviction)?;
    // The end of a pod that runs on a node: the API server notes the deletion, and the finalizers go.
    for name in ["web", "bound"] {
        succeeds(cluster, &["delete", "pod", name, "-n", namespace, "--wait=false"])?;
    }
    for name in ["web", "bound", "evicted"] {
        let none = json!([{ "op": "remove", "path": "/metadata/finalizers" }]);
        patch(cluster, &["pod", name, "-n", namespace], &none)?;
    }
    succeeds(cluster, &["delete", "pod", "bound", "-n", namespace, "--force", "--grace-period=0"])?;
    let left = kubectl(cluster, &["get", "pods", "-n", namespace, "-o", "name"])?;
    ensure!(left.stdout.is_empty(), "{}", left.stdout);
    Ok(())
}

fn raw(cluster: &Cluster, path: &str, object: &Value) -> Result<()> {
    let output = cluster.control_plane.kubectl(&["create", "--raw", path, "-f", "-"], Some(&object.to_string()))?;
    ensure!(output.status.success(), "{path}: {}", output.stderr);
    Ok(())
}

/// The API server bounds the cost of a condition, and denies a request whose condition it gives up. Tried with 10,000 containers, near the
/// largest object that it stores.
fn with_muslin_down_a_pod_of_many_containers_can_be_labelled(cluster: &Cluster) -> Result<()> {
    const CONTAINERS: usize = 1000;
    let mut muslin = cluster.muslin()?;
    let namespace = "many-containers";
    cluster.namespace(namespace, &[("muslin.dev/mode", "off")])?;
    let mut wanted = pod_of(namespace, "large", &[UNKNOWN; CONTAINERS]);
    wanted["spec"]["initContainers"] = wanted["spec"]["containers"].clone();
    for container in wanted["spec"]["initContainers"].as_array_mut().context("it is a list")? {
        container["name"] = json!(format!("init-{}", container["name"].as_str().unwrap_or_default()));
    }
    cluster.create(&wanted)?;
    let output = label(cluster, namespace, &["muslin.dev/mode=enforce"])?;
    ensure!(output.status.success(), "{}", output.stderr);
    // More than muslin plans.
    let output = set_image(cluster, namespace, "large", "c999=registry.example.com/shop/app:2")?;
    ensure!(!output.status.success() && output.stderr.contains("too many containers"), "{}", output.stderr);
    muslin.kill()?;
    succeeds(cluster, &["label", "pod", "large", "-n", namespace, "team=shop"])?;
    let output = set_image(cluster, namespace, "large", "c999=registry.example.com/shop/app:2")?;
    ensure!(!output.status.success() && output.stderr.contains(UNREACHABLE), "{}", output.stderr);

    drop(muslin);
    let namespace = "200-containers";
    let _muslin = cluster.muslin()?;
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    cluster.create(&pod_of(namespace, "web", &[UNKNOWN; 200]))?;
    is_denied_for(&set_image(cluster, namespace, "web", "c199=debian:12")?, "attempts-zero: c199: ")?;
    let output = set_image(cluster, namespace, "web", "c199=registry.example.com/shop/app:2")?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Adds the condition of `docs/policy.md` to the webhook.
fn the_documented_condition_exempts_a_service_account(cluster: &Cluster) -> Result<()> {
    const PAGE: &str = include_str!("../../docs/policy.md");
    let mut muslin = cluster.muslin()?;
    for namespace in ["storage", "shop-storage"] {
        cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
        succeeds(cluster, &["create", "serviceaccount", "csi-node", "-n", namespace])?;
    }
    let example = PAGE.split("```yaml\n").find(|text| text.contains("matchConditions/-")).context("no example")?;
    let example = example.split("\n```").next().unwrap_or_default();
    let example: Value = serde_saphyr::from_str(example)?;
    let operations = example["patches"][0]["patch"].as_str().context("no patch")?;
    patch(cluster, &["validatingwebhookconfiguration", MUSLIN], &serde_saphyr::from_str(operations)?)?;
    muslin.kill()?;
    let pod_as = |namespace: &str, account: &str| {
        let mut pod = pod(namespace, account, "alpine:3.19");
        pod["spec"]["serviceAccountName"] = json!(account);
        pod
    };
    wait("exempt", || Ok(apply(cluster, &pod_as("storage", "csi-node"))?.status.success()))?;
    for (namespace, account) in [("storage", "default"), ("shop-storage", "csi-node")] {
        let output = apply(cluster, &pod_as(namespace, account))?;
        ensure!(!output.status.success() && output.stderr.contains(UNREACHABLE), "{}", output.stderr);
    }
    ensure!(get(cluster, &["pod", "csi-node", "-n", "storage"])?["metadata"]["name"] == "csi-node");
    Ok(())
}
