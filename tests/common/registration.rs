//! Webhook configurations for tests: muslin's own from `manifests/` with a loopback address in place of its Service, or one for another
//! webhook.

#![allow(dead_code, reason = "each program uses a part of this")]
#![allow(
    clippy::print_stderr,
    reason = "the benchmark does not print otherwise, and what cannot be cleaned up must be said"
)]

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::common::control_plane::ControlPlane;
use crate::common::pods::pod;

/// The folder for `kubectl apply -k`.
pub(crate) const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");

/// The namespace for checks whether the API server calls a webhook; created before the first test.
pub(crate) const PROBE_NAMESPACE: &str = "probe";

/// The name of muslin's configurations.
pub(crate) const MUSLIN: &str = "muslin.dev";

/// Time limit until the API server learns of a configuration, which takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// Pause between two tries.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Installs muslin as the README describes.
pub(crate) fn apply(control_plane: &ControlPlane) -> Result<String> {
    let output = control_plane.kubectl(&["apply", "-k", MANIFESTS], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    ensure!(!output.stderr.contains("Warning"), "{}", output.stderr);
    Ok(output.stdout)
}

/// Deletes the webhook configurations, so that a test can register a muslin on loopback.
pub(crate) fn unregister(control_plane: &ControlPlane) -> Result<()> {
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let output = control_plane.kubectl(&["delete", kind, MUSLIN], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    Ok(())
}

/// A webhook configuration in the cluster; deleted when dropped.
pub(crate) struct Registration<'c> {
    control_plane: &'c ControlPlane,
    kind: String,
    name: String,
}

// === impl Registration ===

impl<'c> Registration<'c> {
    /// Registers a server at this address as muslin's mutating webhook.
    pub(crate) fn of_muslin(control_plane: &'c ControlPlane, url: &str, ca: &str) -> Result<Self> {
        Self::of_kind(control_plane, "MutatingWebhookConfiguration", |_| url.to_owned(), Some(ca))
    }

    /// Registers a server at this address as muslin's validating webhooks.
    pub(crate) fn of_policy(control_plane: &'c ControlPlane, server: &str, ca: &str) -> Result<Self> {
        let url = |webhook: &Value| format!("{server}{}", path(webhook));
        Self::of_kind(control_plane, "ValidatingWebhookConfiguration", url, Some(ca))
    }

    /// Registers both as in `manifests/`, without a CA, for a server at this address that publishes its own.
    pub(crate) fn of_both(control_plane: &'c ControlPlane, server: &str) -> Result<[Self; 2]> {
        let url = |webhook: &Value| format!("{server}{}", path(webhook));
        Ok([
            Self::of_kind(control_plane, "MutatingWebhookConfiguration", url, None)?,
            Self::of_kind(control_plane, "ValidatingWebhookConfiguration", url, None)?,
        ])
    }

    /// Registers the configuration of this kind from `manifests/` at another address.
    fn of_kind(
        control_plane: &'c ControlPlane,
        kind: &str,
        url: impl Fn(&Value) -> String,
        ca: Option<&str>,
    ) -> Result<Self> {
        let built = control_plane.kubectl(&["kustomize", MANIFESTS], None)?;
        ensure!(built.status.success(), "{}", built.stderr);
        let configuration = built
            .stdout
            .split("\n---\n")
            .find(|document| document.contains(&format!("kind: {kind}")))
            .with_context(|| format!("manifests/ has no {kind}"))?;
        let mut configuration: Value = serde_saphyr::from_str(configuration)?;
        for webhook in configuration["webhooks"].as_array_mut().context("it has no webhooks")? {
            let mut client = json!({ "url": url(webhook) });
            if let Some(ca) = ca {
                client["caBundle"] = BASE64_STANDARD.encode(ca).into();
            }
            webhook["clientConfig"] = client;
        }
        Self::create(control_plane, &configuration)
    }

    /// Registers another webhook for all new pods, called after muslin: the API server calls them in the order of their names.
    pub(crate) fn of_another(control_plane: &'c ControlPlane, url: &str, ca: &str) -> Result<Self> {
        Self::of_another_called("sidecars.example.com", control_plane, url, ca)
    }

    /// Registers another webhook for all new pods with this name.
    pub(crate) fn of_another_called(name: &str, control_plane: &'c ControlPlane, url: &str, ca: &str) -> Result<Self> {
        Self::create(
            control_plane,
            &json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": { "name": name },
                "webhooks": [{
                    "name": "sidecars.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                    "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                    "clientConfig": { "url": url, "caBundle": BASE64_STANDARD.encode(ca) },
                    "rules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]
                    }]
                }]
            }),
        )
    }

    fn create(control_plane: &'c ControlPlane, configuration: &Value) -> Result<Self> {
        let created = control_plane.kubectl(&["create", "-f", "-"], Some(&configuration.to_string()))?;
        ensure!(created.status.success(), "{}", created.stderr);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&configuration["kind"]), text(&configuration["metadata"]["name"]));
        Ok(Self { control_plane, kind, name })
    }

    /// Waits until the API server calls muslin, and muslin answers.
    pub(crate) fn wait_until_muslin_answers(&self) -> Result<()> {
        self.wait_until(|answer| answer.contains("muslin.dev/libc"))
    }

    /// Waits until the API server calls muslin for namespaces, and muslin answers.
    pub(crate) fn wait_until_labels_are_judged(&self) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let arguments = ["label", "namespace", PROBE_NAMESPACE, "muslin.dev/mode=probe", "--dry-run=server"];
            let output = self.control_plane.kubectl(&arguments, None)?;
            if output.stderr.contains("is not a mode") {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "no label is judged: {}{}", output.stdout, output.stderr);
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Creates pods in the probe namespace, as dry runs, until the API server's answer is as expected.
    pub(crate) fn wait_until(&self, expected: impl Fn(&str) -> bool) -> Result<()> {
        let probe = pod(PROBE_NAMESPACE, "probe", "alpine:3.19").to_string();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
            let output = self.control_plane.kubectl(&arguments, Some(&probe))?;
            if expected(&output.stdout) {
                return Ok(());
            }
            let Self { name, .. } = self;
            ensure!(Instant::now() < deadline, "{name} is not called: {}{}", output.stdout, output.stderr);
            thread::sleep(POLL_INTERVAL);
        }
    }
}

fn path(webhook: &Value) -> &str {
    webhook["clientConfig"]["service"]["path"].as_str().unwrap_or_default()
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let Self { control_plane, kind, name } = self;
        let deleted = control_plane.kubectl(&["delete", kind, name], None);
        if let Err(error) = deleted.and_then(|output| {
            ensure!(output.status.success(), "{}", output.stderr);
            Ok(())
        }) {
            eprintln!("cannot unregister {name}: {error}");
        }
    }
}
