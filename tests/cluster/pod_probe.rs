//! `muslin probe POD` on a real API server without a kubelet: what is created, with which rights, what is cleaned up, and the errors. The test
//! itself writes the status that a kubelet would.

use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_pod_beside_has_the_pods_settings_and_is_deleted,
    a_signal_deletes_the_pod_beside,
    an_ephemeral_container_meets_the_standard_restricted,
    a_pod_that_does_not_start_or_vanishes_ends_the_probe,
    missing_rights_are_named_before_anything_is_made,
    pod_security_and_other_refusals_are_named,
    pods_without_a_resolver_to_probe_are_refused,
    a_pod_that_muslin_must_change_is_not_probed,
    kubectl_completes_the_names_of_pods
];

const IMAGE: &str = "registry.example.com/tools/muslin:9";

/// A running `muslin probe`.
struct Probe<'c> {
    cluster: &'c Cluster,
    namespace: String,
    child: Child,
}

/// Returns a pod on a node, as the kubelet runs it.
fn running(cluster: &Cluster, namespace: &str, name: &str, spec: &Value) -> Result<Value> {
    let mut wanted = pod(namespace, name, "debian:12");
    wanted["spec"]["nodeName"] = json!("worker-1");
    for (field, value) in spec.as_object().context("no fields")? {
        wanted["spec"][field] = value.clone();
    }
    let created = cluster.created(&wanted)?.0;
    set_status(cluster, namespace, name, &json!({ "phase": "Running" }))?;
    Ok(created)
}

fn set_status(cluster: &Cluster, namespace: &str, name: &str, status: &Value) -> Result<()> {
    let patch = json!({ "status": status }).to_string();
    kubectl(cluster, &["patch", "pod", name, "-n", namespace, "--subresource=status", "-p", &patch]).map(drop)
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = cluster.control_plane.kubectl(arguments, None)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(output.stdout)
}

/// Returns the names of the probes' pods.
fn beside(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let names = kubectl(cluster, &["get", "pods", "-n", namespace, "-o", "name"])?;
    let names = names.lines().filter_map(|line| line.strip_prefix("pod/"));
    Ok(names.filter(|name| name.starts_with("muslin-probe-")).map(str::to_owned).collect())
}

/// Returns a status in which the container waits, with a reason.
fn waiting(container: &str, reason: &str, message: &str) -> Value {
    json!([{
        "name": container, "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": reason, "message": message } },
    }])
}

// === impl Probe ===

impl<'c> Probe<'c> {
    fn start(cluster: &'c Cluster, namespace: &str, arguments: &[&str]) -> Result<Self> {
        let kubeconfig = cluster.control_plane.admin_kubeconfig().display().to_string();
        Self::start_by(cluster, namespace, &kubeconfig, arguments)
    }

    fn start_by(cluster: &'c Cluster, namespace: &str, kubeconfig: &str, arguments: &[&str]) -> Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_muslin"))
            .args(["probe", "-n", namespace, "--kubeconfig", kubeconfig])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { cluster, namespace: namespace.to_owned(), child })
    }

    /// Waits for the pod beside, and returns it.
    fn made(&self) -> Result<Value> {
        wait("a pod beside", || Ok(beside(self.cluster, &self.namespace)?.len() == 1))?;
        let name = beside(self.cluster, &self.namespace)?.pop().context("it is gone")?;
        self.cluster.pod(&self.namespace, &name)
    }

    /// Waits for the end, which must have this code, these words on standard error, nothing on standard output, and leave no pod.
    fn ends(self, code: i32, words: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&stderr).into_owned();
        ensure!(status.code() == Some(code), "{status}, not {code}: {text}");
        for word in words {
            ensure!(text.contains(word), "no {word:?} in {text}");
        }
        ensure!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
        let left = beside(self.cluster, &self.namespace)?;
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(text)
    }
}

fn the_pod_beside_has_the_pods_settings_and_is_deleted(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("probed", &[])?;
    let dns = json!({
        "dnsConfig": { "searches": ["corp.example.com"], "options": [{ "name": "ndots", "value": "2" }] },
        "tolerations": [{ "key": "batch", "operator": "Exists" }],
        "imagePullSecrets": [{ "name": "registry" }],
    });
    let inspected = running(cluster, "probed", "web", &dns)?;
    kubectl(cluster, &["label", "namespace", "probed", "pod-security.kubernetes.io/enforce=restricted"])?;
    // muslin in the cluster has the image, if none is named.
    let image = kubectl(cluster, &["get", "deployment", "muslin", "-n", "muslin", "-o", "jsonpath={..image}"])?;
    for (named, expected) in [(&[][..], image.as_str()), (&["--image", IMAGE], IMAGE)] {
        let probe = Probe::start(cluster, "probed", &[&["pod/web", "--name", "a.b"][..], named].concat())?;
        let made = probe.made()?;
        for field in ["dnsPolicy", "dnsConfig", "nodeName", "imagePullSecrets"] {
            ensure!(made["spec"][field] == inspected["spec"][field], "{field}: {made:#}");
        }
        ensure!(made["spec"]["tolerations"].to_string().contains("batch"), "{made:#}");
        // The profile of the tests changes every pod that it may change.
        ensure!(inspected["metadata"]["annotations"]["muslin.dev/injected"].is_string(), "{inspected:#}");
        ensure!(!made["metadata"].to_string().contains("muslin.dev/injected"), "{made:#}");
        let container = &made["spec"]["containers"][0];
        ensure!(container["image"] == expected, "{container}");
        ensure!(container["args"].to_string().contains(r#""--name=a.b""#), "{container}");
        ensure!(made["spec"]["automountServiceAccountToken"] == false && made["spec"]["volumes"].is_null(), "{made:#}");
        ensure!(made["metadata"]["ownerReferences"][0]["uid"] == inspected["metadata"]["uid"], "{made:#}");
        let name = made["metadata"]["name"].as_str().context("no name")?;
        let pull = waiting("probe", "ErrImagePull", "manifest unknown");
        set_status(cluster, "probed", name, &json!({ "containerStatuses": pull }))?;
        probe.ends(
            3,
            &["note: probing from the pod", "cannot pull the image", expected, "manifest unknown", "--image"],
        )?;
    }
    cluster.delete_pods("probed")
}

fn a_signal_deletes_the_pod_beside(cluster: &Cluster) -> Result<()> {
    cluster.namespace("interrupted", &[])?;
    running(cluster, "interrupted", "web", &json!({}))?;
    for signal in ["INT", "TERM", "HUP"] {
        let probe = Probe::start(cluster, "interrupted", &["web", "--image", IMAGE])?;
        probe.made()?;
        let sent = Command::new("kill").args(["-s", signal, &probe.child.id().to_string()]).status()?;
        ensure!(sent.success(), "{sent}");
        probe.ends(3, &["stopped: the pod beside was deleted"])?;
    }
    cluster.delete_pods("interrupted")
}

fn an_ephemeral_container_meets_the_standard_restricted(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace(
        "entered",
        &[("pod-security.kubernetes.io/enforce", "restricted"), ("muslin.dev/mode", "enforce")],
    )?;
    let context = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsUser": 1234,
        "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let containers = ["app", "sidecar"]
        .map(|name| json!({ "name": name, "image": "registry.example.com/app:1", "securityContext": context }));
    running(cluster, "entered", "web", &json!({ "containers": containers }))?;
    let arguments = ["web", "--ephemeral", "-c", "sidecar", "--image", IMAGE, "-o", "json"];
    let probe = Probe::start(cluster, "entered", &arguments)?;
    let own = || -> Result<Value> { Ok(cluster.pod("entered", "web")?["spec"]["ephemeralContainers"][0].clone()) };
    wait("an ephemeral container", || Ok(own()?.is_object()))?;
    let container = own()?;
    ensure!(container["targetContainerName"] == "sidecar" && container["image"] == IMAGE, "{container}");
    ensure!(container["securityContext"]["runAsUser"] == 1234, "{container}");
    let name = container["name"].as_str().context("no name")?;
    let status = waiting(name, "CreateContainerConfigError", "image will run as root");
    set_status(cluster, "entered", "web", &json!({ "ephemeralContainerStatuses": status }))?;
    probe.ends(3, &["stays in the pod's specification", "cannot start", "image will run as root"])?;
    ensure!(own()?.is_object(), "the container is gone, and the documentation is wrong");
    cluster.delete_pods("entered")
}

fn a_pod_that_does_not_start_or_vanishes_ends_the_probe(cluster: &Cluster) -> Result<()> {
    let namespace = "started";
    cluster.namespace(namespace, &[])?;
    running(cluster, namespace, "web", &json!({}))?;
    let probe = Probe::start(cluster, namespace, &["web", "--image", IMAGE, "--start-timeout", "1"])?;
    probe.ends(3, &["did not start within 1 s", "--start-timeout"])?;
    // Also with -o json, standard output stays empty and standard error has the reason.
    for (status, words) in [
        (json!({ "phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource" }), "OutOfcpu"),
        (
            json!({ "containerStatuses": [{
            "name": "probe", "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 128, "reason": "StartError", "message": "no such file" } },
        }] }),
            "no such file",
        ),
        (
            json!({ "containerStatuses": [{
            "name": "probe", "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }] }),
            "OOMKilled",
        ),
        // No kubelet has the log.
        (
            json!({ "containerStatuses": [{
            "name": "probe", "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 0, "reason": "Completed" } },
        }] }),
            "cannot read the log of the probe",
        ),
    ] {
        let probe = Probe::start(cluster, namespace, &["web", "--image", IMAGE, "-o", "json"])?;
        let made = probe.made()?;
        set_status(cluster, namespace, made["metadata"]["name"].as_str().context("no name")?, &status)?;
        probe.ends(3, &[words])?;
    }
    let probe = Probe::start(cluster, namespace, &["web", "--image", IMAGE])?;
    probe.made()?;
    cluster.delete_pods(namespace)?;
    probe.ends(3, &["is gone"])?;
    Ok(())
}

fn missing_rights_are_named_before_anything_is_made(cluster: &Cluster) -> Result<()> {
    let namespace = "unentitled";
    cluster.namespace(namespace, &[])?;
    running(cluster, namespace, "web", &json!({}))?;
    let account = cluster.control_plane.service_account_kubeconfig(namespace, "default")?.display().to_string();
    let probe = |arguments: &[&str], words: &[&str]| -> Result<String> {
        Probe::start_by(cluster, namespace, &account, arguments)?.ends(3, words)
    };
    probe(&["web", "--image", IMAGE], &["no right to get pods in namespace unentitled", "docs/probe.md"])?;
    let binding = ["create", "rolebinding", "-n", namespace, "--serviceaccount=unentitled:default"];
    kubectl(cluster, &["create", "role", "reads", "-n", namespace, "--verb=get", "--resource=pods,pods/log"])?;
    kubectl(cluster, &[&binding[..], &["reads", "--role=reads"]].concat())?;
    let missing = "no right to create pods, delete pods in namespace";
    let text = wait_for(|| probe(&["web", "--image", IMAGE], &[missing]))?;
    ensure!(!text.contains("probing from"), "{text}");
    probe(&["web", "--image", IMAGE, "--ephemeral"], &["no right to patch pods/ephemeralcontainers in namespace"])?;
    // The image cannot be found either.
    let found = Probe::start_by(cluster, namespace, &account, &["web"])?;
    found
        .ends(2, &["found no image of muslin in the cluster", "cannot get resource", "hint: name one with --image"])?;

    kubectl(cluster, &["apply", "-f", &format!("{MANIFESTS}/probe-role.yaml")])?;
    kubectl(cluster, &[&binding[..], &["probes", "--clusterrole=muslin-probe"]].concat())?;
    kubectl(
        cluster,
        &[
            "create",
            "clusterrolebinding",
            "probe-image",
            "--clusterrole=muslin-probe-image",
            "--serviceaccount=unentitled:default",
        ],
    )?;
    let text = wait_for(|| probe(&["web", "--start-timeout", "1"], &["did not start within 1 s"]))?;
    ensure!(text.contains("probing from the pod"), "{text}");
    let text = probe(&["web", "--ephemeral", "--image", IMAGE, "--start-timeout", "1"], &["did not start within 1 s"])?;
    ensure!(text.contains("probing in the ephemeral container"), "{text}");
    cluster.delete_pods(namespace)
}

/// Repeats until it succeeds: the API server learns of a new role by a watch.
fn wait_for<T>(mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = ask();
    let succeeded = wait("a success", || {
        if last.is_err() {
            last = ask();
        }
        Ok(last.is_ok())
    });
    succeeded.and(last)
}

fn pod_security_and_other_refusals_are_named(cluster: &Cluster) -> Result<()> {
    let namespace = "refusing";
    cluster.namespace(namespace, &[])?;
    running(cluster, namespace, "host", &json!({ "hostNetwork": true }))?;
    running(cluster, namespace, "web", &json!({}))?;
    kubectl(cluster, &["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline"])?;
    for way in [&[][..], &["--ephemeral"]] {
        let probe = Probe::start(cluster, namespace, &[&["host", "--image", IMAGE][..], way].concat())?;
        probe.ends(3, &["Pod Security refuses it", "hostNetwork", "what the inspected pod has"])?;
    }
    kubectl(cluster, &["create", "quota", "none", "-n", namespace, "--hard=pods=2"])?;
    set_quota_used(cluster, namespace)?;
    let probe = Probe::start(cluster, namespace, &["web", "--image", IMAGE])?;
    probe.ends(3, &["refuses to create the pod beside", "exceeded quota"])?;
    kubectl(cluster, &["delete", "quota", "none", "-n", namespace])?;
    cluster.delete_pods(namespace)
}

/// Writes the status of a quota, as the controller manager does.
fn set_quota_used(cluster: &Cluster, namespace: &str) -> Result<()> {
    let patch = json!({ "status": { "hard": { "pods": "2" }, "used": { "pods": "2" } } }).to_string();
    let arguments = ["patch", "quota", "none", "-n", namespace, "--subresource=status", "--type=merge", "-p", &patch];
    kubectl(cluster, &arguments).map(drop)
}

fn pods_without_a_resolver_to_probe_are_refused(cluster: &Cluster) -> Result<()> {
    let namespace = "unfit";
    cluster.namespace(namespace, &[])?;
    running(cluster, namespace, "windows", &json!({ "os": { "name": "windows" } }))?;
    running(cluster, namespace, "finished", &json!({}))?;
    set_status(cluster, namespace, "finished", &json!({ "phase": "Succeeded" }))?;
    cluster.created(&pod(namespace, "pending", "debian:12"))?;
    running(cluster, namespace, "web", &json!({}))?;
    for (arguments, words) in [
        (&["windows"][..], "runs on Windows"),
        (&["windows", "--ephemeral"], "runs on Windows"),
        (&["finished"], "has finished (Succeeded)"),
        (&["pending"], "has no node yet"),
        (&["missing"], "there is no pod missing in namespace unfit"),
        (&["web", "-c", "ap"], "no container ap; it has app"),
        (&["web", "--pid", "1"], "--pid needs --ephemeral"),
        (&["deployment/web"], "needs a pod, not a deployment"),
        (&["web", "--root", "/"], "cannot be used with"),
    ] {
        Probe::start(cluster, namespace, &[arguments, &["--image", IMAGE]].concat())?.ends(2, &[words])?;
    }
    cluster.delete_pods(namespace)
}

/// In mode `enforce` muslin ignores opt-outs.
fn a_pod_that_muslin_must_change_is_not_probed(cluster: &Cluster) -> Result<()> {
    let namespace = "refuses-changes";
    cluster.namespace(namespace, &[])?;
    running(cluster, namespace, "web", &json!({}))?;
    kubectl(cluster, &["label", "namespace", namespace, "muslin.dev/mode=enforce"])?;
    let _muslin = cluster.muslin()?;
    let probe = Probe::start(cluster, namespace, &["web", "--image", "alpine:3.19"])?;
    probe
        .ends(3, &["an admission webhook changed the DNS settings", "options [timeout:3 attempts:6]", "--ephemeral"])?;
    // A server that does not answer is no error of the caller.
    let folder = tempfile::tempdir()?;
    let nowhere = folder.path().join("kubeconfig");
    let config = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}], \
                  users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}";
    std::fs::write(&nowhere, config)?;
    for image in [&[][..], &["--image", IMAGE]] {
        let probe =
            Probe::start_by(cluster, namespace, &nowhere.display().to_string(), &[&["web"][..], image].concat())?;
        probe.ends(3, &["refused"])?;
    }
    cluster.delete_pods(namespace)
}

fn kubectl_completes_the_names_of_pods(cluster: &Cluster) -> Result<()> {
    cluster.namespace("completing", &[])?;
    for name in ["web-1", "web-2", "api.example"] {
        cluster.created(&pod("completing", name, "debian:12"))?;
    }
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_muslin"), folder.path().join("kubectl_complete-muslin"))?;
    let complete = |words: &[&str]| -> Result<Vec<String>> {
        let output = Command::new(folder.path().join("kubectl_complete-muslin"))
            .env("KUBECONFIG", cluster.control_plane.admin_kubeconfig())
            .args(words)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter(|line| !line.starts_with(['-', ':'])).map(str::to_owned).collect())
    };
    for (words, expected) in [
        (&["probe", "-n", "completing", ""][..], &["api.example", "web-1", "web-2"][..]),
        (&["probe", "-ncompleting", "we"], &["web-1", "web-2"]),
        (&["probe", "--namespace=completing", "pod/we"], &["pod/web-1", "pod/web-2"]),
        (&["probe", "-n", "completing", "deployment/"], &[]),
        (&["probe", "-n", "completin"], &["completing"]),
        (&["probe", "-n", "no-such", ""], &[]),
    ] {
        let found = complete(words)?;
        ensure!(found == expected, "{words:?}: {found:?}");
    }
    cluster.delete_pods("completing")
}
