//! `manifests/` and `certs/` on a real API server.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::ControlPlane;
use crate::registration::{MANIFESTS, MUSLIN};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = &[
    ("applying_the_manifests_again_changes_nothing", applying_again_changes_nothing),
    ("a_pod_of_the_deployment_is_admitted_without_a_warning", a_pod_of_the_deployment_is_admitted),
    ("muslin_may_read_namespaces_and_pods_and_write_events_and_nothing_else", muslin_may_read_namespaces),
    ("the_development_certificate_s_kustomization_can_be_applied", the_development_certificate_can_be_applied),
    ("the_examples_can_be_created", the_examples_can_be_created),
    ("each_overlay_can_be_applied", each_overlay_can_be_applied),
];

/// Does what the README says.
pub(crate) fn apply(control_plane: &ControlPlane) -> Result<String> {
    let output = control_plane.kubectl(&["apply", "-k", MANIFESTS], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    ensure!(!output.stderr.contains("Warning"), "{}", output.stderr);
    Ok(output.stdout)
}

/// Takes the webhook's configuration away, so that a test can register a muslin that runs on loopback.
pub(crate) fn unregister(control_plane: &ControlPlane) -> Result<()> {
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let output = control_plane.kubectl(&["delete", kind, MUSLIN], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    Ok(())
}

fn applying_again_changes_nothing(cluster: &Cluster) -> Result<()> {
    let versions = || -> Result<Vec<(Value, Value)>> {
        let output = cluster.control_plane.kubectl(&["get", "-k", MANIFESTS, "-o", "json"], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        let list: Value = serde_json::from_str(&output.stdout)?;
        let items = list["items"].as_array().context("kubectl get gave no list")?;
        let version = |item: &Value| (item["kind"].clone(), item["metadata"]["resourceVersion"].clone());
        Ok(items.iter().map(version).collect())
    };
    apply(&cluster.control_plane)?;
    let before = versions()?;
    apply(&cluster.control_plane)?;
    let after = versions()?;
    unregister(&cluster.control_plane)?;
    ensure!(before.len() >= 8, "{before:?}");
    ensure!(before == after, "{before:?}\n{after:?}");
    Ok(())
}

/// There is no controller here that makes pods of the Deployment, so the test makes one: under the namespace's own Pod Security
/// Standard.
fn a_pod_of_the_deployment_is_admitted(cluster: &Cluster) -> Result<()> {
    let output = cluster.control_plane.kubectl(&["get", "deployment", "muslin", "-n", "muslin", "-o", "json"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let deployment: Value = serde_json::from_str(&output.stdout)?;
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("replica");
    pod["metadata"]["namespace"] = json!("muslin");
    let arguments = ["create", "--dry-run=server", "-f", "-"];
    let created = cluster.control_plane.kubectl(&arguments, Some(&pod.to_string()))?;
    ensure!(created.status.success() && created.stderr.is_empty(), "{}", created.stderr);
    Ok(())
}

fn muslin_may_read_namespaces(cluster: &Cluster) -> Result<()> {
    let may = |verb: &str, resource: &str| -> Result<bool> {
        let account = "--as=system:serviceaccount:muslin:muslin";
        let output =
            cluster.control_plane.kubectl(&["auth", "can-i", verb, resource, account, "--all-namespaces"], None)?;
        Ok(output.status.success())
    };
    for verb in ["get", "list", "watch"] {
        ensure!(may(verb, "namespaces")?, "{verb} namespaces");
    }
    for (verb, resource) in [
        ("get", "pods"),
        ("list", "pods"),
        ("watch", "pods"),
        ("get", "replicasets.apps"),
        ("get", "jobs.batch"),
        ("create", "events.events.k8s.io"),
    ] {
        ensure!(may(verb, resource)?, "{verb} {resource}");
    }
    for (verb, resource) in [
        ("update", "namespaces"),
        ("create", "pods"),
        ("get", "deployments.apps"),
        ("list", "replicasets.apps"),
        ("get", "secrets"),
        ("list", "secrets"),
        ("update", "mutatingwebhookconfigurations"),
        ("patch", "events.events.k8s.io"),
        ("create", "events"),
    ] {
        ensure!(!may(verb, resource)?, "{verb} {resource}");
    }
    Ok(())
}

fn the_development_certificate_can_be_applied(cluster: &Cluster) -> Result<()> {
    // Beside the manifests: kustomize refuses an absolute path to its base.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-development-certificate");
    let made =
        Command::new(script).arg(folder.path()).output().context("cannot run certs/make-development-certificate")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let folder = folder.path().to_str().context("the folder's name is not UTF-8")?;
    let applied = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-k", folder], None)?;
    ensure!(applied.status.success(), "{}", applied.stderr);
    for object in [
        "secret/muslin-tls",
        "mutatingwebhookconfiguration.admissionregistration.k8s.io/muslin.dev",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/muslin.dev",
    ] {
        ensure!(applied.stdout.contains(object), "no {object}:\n{}", applied.stdout);
    }
    Ok(())
}

fn the_examples_can_be_created(cluster: &Cluster) -> Result<()> {
    cluster.namespace("examples", &[])?;
    let _muslin = cluster.muslin()?;
    for example in ["examples/alpine-pod.yaml", "examples/deployment.yaml", "probe.yaml"] {
        let file = format!("{MANIFESTS}/{example}");
        let created =
            cluster.control_plane.kubectl(&["create", "--dry-run=server", "-n", "examples", "-f", &file], None)?;
        ensure!(created.status.success(), "{example}: {}", created.stderr);
    }
    Ok(())
}

fn each_overlay_can_be_applied(cluster: &Cluster) -> Result<()> {
    for overlay in ["image-inspection", "private-registries", "pull-secrets"] {
        let folder = format!("{MANIFESTS}/{overlay}");
        let output = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-k", &folder], None)?;
        ensure!(output.status.success() && !output.stderr.contains("Warning"), "{overlay}: {}", output.stderr);
    }
    Ok(())
}
