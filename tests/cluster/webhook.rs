//! muslin itself in a test: the real binary on loopback, registered by the project's own webhook configuration.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::ControlPlane;

/// How long the server may take to know the namespaces: it takes milliseconds.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// Where it is tried whether the API server calls the webhook yet; made before the first test.
pub(crate) const PROBE_NAMESPACE: &str = "probe";

/// A running `muslin serve`; killed when dropped.
pub(crate) struct Muslin {
    process: Mutex<Child>,
    _folder: TempDir,
}

impl Muslin {
    /// Starts the server against the cluster, and registers it.
    pub(crate) fn start(control_plane: &ControlPlane) -> Result<Self> {
        let folder = TempDir::new()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let (certificate_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        fs::write(&certificate_file, &certificate)?;
        fs::write(&key_file, key.serialize_pem())?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_muslin"))
            .args(["serve", "--bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0", "--log-format", "json"])
            .args(["--shutdown-delay", "0", "--own-namespace", "muslin"])
            .arg("--kubeconfig")
            .arg(control_plane.kubeconfig())
            .arg("--tls-cert")
            .arg(&certificate_file)
            .arg("--tls-key")
            .arg(&key_file)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start muslin")?;
        let log = process.stderr.take().context("muslin has no standard error")?;
        let muslin = Self { process: Mutex::new(process), _folder: folder };
        let address = wait_until_ready(log)?;
        register(control_plane, &address, &certificate)?;
        Ok(muslin)
    }

    /// Ends the server as the kernel does when memory runs out.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut process = self.process.lock().map_err(|_| anyhow::anyhow!("a test panicked"))?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Takes the registration away.
    pub(crate) fn uninstall(&self, control_plane: &ControlPlane) -> Result<()> {
        let output =
            control_plane.kubectl(&["delete", "mutatingwebhookconfiguration", "--all", "--wait=false"], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    }
}

impl Drop for Muslin {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("cannot stop muslin: {error}");
        }
    }
}

/// Reads the log until the server serves and knows the namespaces; the address that it serves at.
fn wait_until_ready(log: impl std::io::Read + Send + 'static) -> Result<String> {
    let (sender, lines) = std::sync::mpsc::channel();
    // The log is read to its end, so that the server never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + READY_DEADLINE;
    let (mut address, mut listed) = (None, false);
    let mut seen = String::new();
    loop {
        let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            bail!("muslin is not ready:\n{seen}")
        };
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        match event["message"].as_str() {
            Some("serving") => address = event["address"].as_str().map(str::to_owned),
            Some("listed the namespaces") => listed = true,
            _ => {}
        }
        seen.push_str(&line);
        seen.push('\n');
        if let (Some(address), true) = (&address, listed) {
            return Ok(address.clone());
        }
    }
}

/// Applies the configuration of `manifests/`, its service replaced by an address on loopback.
fn register(control_plane: &ControlPlane, address: &str, certificate: &str) -> Result<()> {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
    let built = control_plane.kubectl(&["kustomize", base], None)?;
    ensure!(built.status.success(), "{}", built.stderr);
    let configuration = built
        .stdout
        .split("\n---\n")
        .find(|document| document.contains("kind: MutatingWebhookConfiguration"))
        .context("manifests/ has no MutatingWebhookConfiguration")?;
    let mut configuration: Value = serde_saphyr::from_str(configuration)?;
    configuration["webhooks"][0]["clientConfig"] =
        json!({ "url": format!("https://{address}/mutate"), "caBundle": BASE64_STANDARD.encode(certificate) });
    let applied = control_plane.kubectl(&["apply", "-f", "-"], Some(&configuration.to_string()))?;
    ensure!(applied.status.success(), "{}", applied.stderr);
    wait_until_called(control_plane)
}

/// The API server learns of a configuration by a watch: asks it until it calls the webhook.
fn wait_until_called(control_plane: &ControlPlane) -> Result<()> {
    let probe = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe", "namespace": PROBE_NAMESPACE },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "app", "image": "alpine:3.19" }] }
    });
    let deadline = Instant::now() + READY_DEADLINE;
    loop {
        let arguments = ["create", "--dry-run=server", "--validate=false", "-o", "json", "-f", "-"];
        let output = control_plane.kubectl(&arguments, Some(&probe.to_string()))?;
        if output.stdout.contains("muslin.dev/libc") {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the API server does not call the webhook: {}{}",
            output.stdout,
            output.stderr
        );
    }
}

/// The pod without identity and time, and without what muslin may write.
pub(crate) fn without_what_muslin_owns(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace"] {
            metadata.remove(field);
        }
        for field in ["annotations", "labels"] {
            let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) else { continue };
            map.retain(|key, _| !key.starts_with("muslin.dev/") || key == "muslin.dev/inject");
            if map.is_empty() {
                metadata.remove(field);
            }
        }
    }
    let ours = [("single-request-reopen", None), ("timeout", Some("5")), ("attempts", Some("5"))];
    if let Some(options) = pod.pointer_mut("/spec/dnsConfig/options").and_then(Value::as_array_mut) {
        options.retain(|option| {
            !ours.iter().any(|(name, value)| option["name"] == *name && option["value"].as_str() == *value)
        });
        if options.is_empty() {
            pod["spec"]["dnsConfig"].as_object_mut().map(|config| config.remove("options"));
        }
    }
    if pod["spec"]["dnsConfig"] == json!({}) {
        pod["spec"].as_object_mut().map(|spec| spec.remove("dnsConfig"));
    }
    pod
}

/// Pods of odd shapes that the API server accepts.
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
