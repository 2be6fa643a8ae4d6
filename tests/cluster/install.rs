//! `muslin install` and `muslin uninstall` on a real API server, and compared with kustomize.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::certificates::is_settled;
use crate::cluster::replicas::{forget_certificates, wait};
use crate::common::harness::tests;
use crate::common::registration::{MANIFESTS, unregister};
use crate::common::webhook::Process;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    install_prints_what_kustomize_builds,
    kubectl_reads_what_install_prints_as_it_reads_what_kustomize_prints,
    what_install_prints_is_applied_and_what_uninstall_prints_deletes_it,
    tools_that_compare_see_no_drift_while_muslin_runs
];

const IMAGE: &str = "registry.example.com/muslin:0.1.0";

/// Arguments of `muslin install`, and the kustomization that has the same: its components, and more lines.
pub(crate) const CHOICES: [(&[&str], &[&str], &str); 18] = [
    (&[], &[], ""),
    (&["--ha"], &["high-availability"], ""),
    (&["--inspect-images", "--ha"], &["high-availability", "image-inspection"], ""),
    (&["--private-registries"], &["image-inspection", "private-registries"], ""),
    (&["--pull-secrets", "--inspect-images"], &["image-inspection", "pull-secrets"], ""),
    (&["--policies"], &["policies"], ""),
    (
        &["--policies", "--mode", "enforce", "--namespace", "dns-system"],
        &["high-availability", "enforce-everywhere-but-system", "policies"],
        "namespace: dns-system\n",
    ),
    (&["--reports"], &["reports"], ""),
    (&["--own-certificate"], &["own-certificate"], ""),
    (&["--host-network", "--ha"], &["high-availability", "host-network"], ""),
    (&["--cert-manager", "--network-policy"], &["cert-manager", "network-policy"], ""),
    (
        &["--cert-manager", "--namespace", "dns-system"],
        &["cert-manager"],
        "namespace: dns-system\ntransformers: [manifests/transformers/cert-manager]\n",
    ),
    (
        &["--mode", "enforce", "--namespace", "dns-system"],
        &["high-availability", "enforce-everywhere-but-system"],
        "namespace: dns-system\n",
    ),
    (&["--platform", "gke", "--monitoring"], &["gke"], "resources: [manifests/base, manifests/monitoring]\n"),
    (&["--platform", "openshift", "--cert-manager"], &["cert-manager", "openshift"], ""),
    (&["--watch"], &["watch-rights", "watch"], ""),
    (&["--watch", "--watch-node-files"], &["watch-rights", "watch", "watch-node-files"], ""),
    (&["--watch=zones", "--namespace", "dns-system"], &["watch-rights", "watch-zones"], "namespace: dns-system\n"),
];

fn install_prints_what_kustomize_builds(cluster: &Cluster) -> Result<()> {
    for (arguments, components, more) in CHOICES {
        let kustomized = kustomized(cluster, components, more)?;
        let installed = installed(arguments)?;
        let (kustomized, installed) = (objects(&kustomized)?, objects(&installed)?);
        ensure!(installed.len() == kustomized.len(), "{arguments:?}: {} and {}", installed.len(), kustomized.len());
        for object in &kustomized {
            ensure!(installed.contains(object), "{arguments:?}: install prints another\n{object:#}");
        }
    }
    Ok(())
}

/// kubectl reads YAML 1.1, in which a plain `off` is no text.
fn kubectl_reads_what_install_prints_as_it_reads_what_kustomize_prints(cluster: &Cluster) -> Result<()> {
    let read = |manifests: &str| -> Result<Vec<String>> {
        let arguments = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
        let output = cluster.control_plane.kubectl(&arguments, Some(manifests))?;
        ensure!(output.status.success(), "{}", output.stderr);
        let objects = serde_json::Deserializer::from_str(&output.stdout).into_iter::<Value>();
        let mut objects = objects.map(|object| Ok(sorted(&object?))).collect::<Result<Vec<String>>>()?;
        objects.sort();
        Ok(objects)
    };
    let installed = read(&installed(&["--mode", "enforce"])?)?;
    let components = ["high-availability", "enforce-everywhere-but-system"];
    ensure!(installed == read(&kustomized(cluster, &components, "")?)?, "kubectl reads other objects");
    ensure!(installed.len() > 15, "{}", installed.len());
    Ok(())
}

fn what_install_prints_is_applied_and_what_uninstall_prints_deletes_it(cluster: &Cluster) -> Result<()> {
    const NAMESPACE: &str = "dns-trial";
    let namespaced = |objects: &str| -> Result<String> {
        // The objects of the whole cluster are those of other tests, too.
        let of_namespace =
            |object: &Value| object["metadata"]["namespace"] == NAMESPACE || object["metadata"]["name"] == NAMESPACE;
        Ok(serde_json::to_string(&serde_json::json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": self::objects(objects)?.into_iter().filter(of_namespace).collect::<Vec<_>>(),
        }))?)
    };
    let kubectl = |arguments: &[&str], input: &str| -> Result<String> {
        let output = cluster.control_plane.kubectl(arguments, Some(input))?;
        ensure!(output.status.success() && !output.stderr.contains("Warning"), "{arguments:?}: {}", output.stderr);
        Ok(output.stdout)
    };
    let whole = installed(&["--ha", "--namespace", NAMESPACE, "--mode", "audit"])?;
    kubectl(&["apply", "-f", "-"], &namespaced(&whole)?)?;
    kubectl(&["apply", "--dry-run=server", "-f", "-"], &whole)?;
    let uninstalled = muslin(&["uninstall", "--namespace", NAMESPACE])?;
    kubectl(&["delete", "--dry-run=server", "--ignore-not-found", "-f", "-"], &uninstalled)?;
    let deleted = kubectl(&["delete", "--wait=false", "--ignore-not-found", "-f", "-"], &namespaced(&uninstalled)?)?;
    for object in [
        "deployment.apps \"muslin\"",
        "namespace \"dns-trial\"",
        "service \"muslin\"",
        "secret \"muslin-certificates\"",
    ] {
        ensure!(deleted.contains(object), "{object} was not deleted:\n{deleted}");
    }
    Ok(())
}

/// Argo CD and Flux compare manifests with the cluster, as `kubectl diff` does. muslin writes its CA and its certificate.
fn tools_that_compare_see_no_drift_while_muslin_runs(cluster: &Cluster) -> Result<()> {
    let whole = installed(&["--mode", "audit"])?;
    let kubectl = |arguments: &[&str]| cluster.control_plane.kubectl(arguments, Some(&whole));
    forget_certificates(cluster)?;
    let applied = kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"])?;
    ensure!(applied.status.success(), "{}", applied.stderr);
    let compared = (|| {
        let muslin = Process::start(&cluster.account, &[])?;
        wait("ready", || Ok(muslin.get("/readyz")?.0 == "200"))?;
        wait("settled", || is_settled(cluster))?;
        for arguments in [&["diff", "-f", "-"][..], &["diff", "--server-side", "--force-conflicts", "-f", "-"]] {
            let diff = kubectl(arguments)?;
            ensure!(diff.status.success() && diff.stdout.is_empty(), "{arguments:?}: {}{}", diff.stdout, diff.stderr);
        }
        let other = cluster.control_plane.kubectl(&["diff", "-f", "-"], Some(&installed(&["--mode", "warn"])?))?;
        ensure!(other.status.code() == Some(1) && other.stdout.contains("MUSLIN_DEFAULT_MODE"), "{}", other.stdout);
        Ok(())
    })();
    unregister(&cluster.control_plane)?;
    compared
}

pub(crate) fn installed(arguments: &[&str]) -> Result<String> {
    muslin(&[&["install", "--image", IMAGE], arguments].concat())
}

fn muslin(arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_muslin")).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns what `kubectl kustomize` builds.
fn kustomized(cluster: &Cluster, components: &[&str], more: &str) -> Result<String> {
    let folder = TempDir::new()?;
    // kustomize rejects absolute paths.
    let root = "../".repeat(folder.path().components().count() - 1) + MANIFESTS.trim_start_matches('/');
    let resources = if more.contains("resources:") { "" } else { "resources: [manifests/base]\n" };
    let components: String =
        components.iter().map(|component| format!("  - manifests/components/{component}\n")).collect();
    let components = if components.is_empty() { String::new() } else { format!("components:\n{components}") };
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{resources}{components}{more}\
         images: [{{name: muslin, newName: registry.example.com/muslin, newTag: 0.1.0}}]\n"
    );
    fs::write(folder.path().join("kustomization.yaml"), kustomization.replace("manifests/", &format!("{root}/")))?;
    let folder = folder.path().to_str().context("the folder's name is not UTF-8")?;
    let output = cluster.control_plane.kubectl(&["kustomize", folder], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(output.stdout)
}

/// Returns the JSON of a value with its fields in alphabetical order.
fn sorted(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

pub(crate) fn objects(manifests: &str) -> Result<Vec<Value>> {
    let read = |document: &str| {
        let object: Value = serde_saphyr::from_str(document)?;
        // kustomize writes `1.0` as `1`.
        Ok(serde_json::from_str(&object.to_string().replace(".0,", ",").replace(".0}", "}"))?)
    };
    manifests.split("\n---\n").map(read).collect()
}
