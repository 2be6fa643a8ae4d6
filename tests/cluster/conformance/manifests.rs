//! muslin's manifests before Kubernetes' own judges: the API server, and the level `restricted` of its Pod Security Standards. Whole
//! installations as `muslin install` prints them, and each overlay. `MUSLIN_KUBERNETES` chooses the API server's release.

#![expect(clippy::print_stdout, reason = "prints lines of docs/conformance.md")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use muslin::manifest::{Stream, objects};
use serde_json::{Value, json};

use crate::Cluster;
use crate::cluster::install::{CHOICES, installed};
use crate::cluster::installation::{overlays, with_definitions};
use crate::common::registration::MANIFESTS;

/// Options of `muslin install` that are not among the choices of install.rs.
const MORE: [&[&str]; 9] = [
    &["--inspect-images"],
    &["--pull-secrets"],
    &["--network-policy"],
    &["--host-network"],
    &["--cert-manager"],
    &["--monitoring"],
    &["--platform", "aks"],
    &["--platform", "eks", "--host-network"],
    &["--mode", "audit"],
];

/// Manifests whose pods the level `restricted` does not allow, by a word of their name, with the beginning of the complaint and the reason.
const NOT_RESTRICTED: [(&str, &str, &str); 4] = [
    ("host-network", "hostNetwork=true", "muslin in the network of its nodes, for API servers that reach no pods"),
    (
        "watch-node-files",
        "hostPath",
        "sees the node's files read-only, to say where a nameserver comes from; nobody gets it unasked",
    ),
    ("probe-node", "hostPath", "reads the node's files, which only root may read"),
    ("examples/", "allowPrivilegeEscalation != false", "pods of users, to try muslin with"),
];

/// Returns the manifests by name: each overlay, each choice of `muslin install`, and each file that users apply by itself.
fn manifests(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for overlay in overlays()? {
        let name = overlay.file_name().and_then(|name| name.to_str()).context("the folder's name is not UTF-8")?;
        let folder = overlay.to_str().context("the folder's name is not UTF-8")?;
        let output = cluster.control_plane.kubectl(&["kustomize", folder], None)?;
        ensure!(output.status.success(), "{name}: {}", output.stderr);
        all.insert(format!("manifests/{name}"), output.stdout);
    }
    for arguments in CHOICES.iter().map(|(arguments, ..)| arguments).chain(&MORE) {
        all.insert(["install"].iter().chain(*arguments).copied().collect::<Vec<_>>().join(" "), installed(arguments)?);
    }
    for file in ["probe.yaml", "probe-node.yaml", "examples/alpine-pod.yaml", "examples/deployment.yaml"] {
        all.insert(format!("manifests/{file}"), fs::read_to_string(Path::new(MANIFESTS).join(file))?);
    }
    Ok(all)
}

/// Returns the pods of a manifest, as their controllers make them.
fn pods(manifest: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut pods = Vec::new();
    for document in Stream::new(manifest).documents {
        let tree = document.parse().ok().context("no YAML")?;
        for pointer in objects(tree.root()).filter_map(|object| object.pod_pointer()) {
            let mut pod = tree.root().pointer(&pointer).context("no pod")?.to_value()?;
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!("pod");
            pod["metadata"]["namespace"] = json!(namespace);
            // No controller makes service accounts here, and none of theirs is in this namespace.
            if let Some(spec) = pod["spec"].as_object_mut() {
                spec.remove("serviceAccountName");
            }
            pods.push(pod);
        }
    }
    Ok(pods)
}

/// Applies all manifests as dry runs. Returns the number of objects.
fn apply(cluster: &Cluster, manifests: &BTreeMap<String, String>) -> Result<usize> {
    let mut objects = 0;
    for (name, text) in manifests {
        // A dry run makes no namespace, in which the others are looked for.
        let namespace = text.lines().find_map(|line| line.strip_prefix("  namespace: ")).unwrap_or("default");
        let there = cluster.control_plane.kubectl(&["get", "namespace", namespace], None)?;
        if !there.status.success() {
            let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            let made = cluster.control_plane.kubectl(&["apply", "-f", "-"], Some(&object.to_string()))?;
            ensure!(made.status.success(), "{}", made.stderr);
        }
        let output = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-f", "-"], Some(text))?;
        // The namespace keeps its label in a dry run, which forbids the host's network and the node's files.
        let is_excepted = NOT_RESTRICTED.iter().any(|(word, ..)| name.contains(word));
        let is_known = |line: &str| is_excepted && line.contains("would violate PodSecurity");
        let warns = output.stderr.lines().any(|line| line.contains("Warning") && !is_known(line));
        ensure!(output.status.success() && !warns, "{name}: {}", output.stderr);
        objects += output.stdout.lines().count();
    }
    Ok(objects)
}

/// Checks the CRDs, which the start of the tests has applied, and applies them again. Returns their number.
fn definitions_are_established(cluster: &Cluster) -> Result<usize> {
    let definitions = cluster.control_plane.kubectl(&["get", "crds", "-o", "json"], None)?;
    let definitions: Value = serde_json::from_str(&definitions.stdout)?;
    let definitions = definitions["items"].as_array().context("kubectl get gave no list")?;
    for definition in definitions {
        for condition in definition["status"]["conditions"].as_array().into_iter().flatten() {
            let is_good = matches!(condition["type"].as_str(), Some("Established" | "NamesAccepted"));
            ensure!(is_good == (condition["status"] == "True"), "{}: {condition:#}", definition["metadata"]["name"]);
        }
    }
    ensure!(definitions.len() >= 3, "{} CRDs", definitions.len());
    let crds = format!("{MANIFESTS}/base/crds.yaml");
    let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", &crds];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
    Ok(definitions.len())
}

/// Creates the pods of all manifests, as dry runs, in a namespace that enforces `restricted`. Returns the number of those that are accepted,
/// and the lines of the result about the others.
fn restricted(cluster: &Cluster, manifests: &BTreeMap<String, String>) -> Result<(usize, Vec<String>)> {
    let label = |mode: &'static str| (mode, "restricted");
    let labels = [label("pod-security.kubernetes.io/enforce"), label("pod-security.kubernetes.io/warn")];
    cluster.namespace("restricted", &labels)?;
    let (mut accepted, mut others) = (0, [0; NOT_RESTRICTED.len()]);
    for (name, text) in manifests {
        for pod in pods(text, "restricted")? {
            let arguments = ["create", "--dry-run=server", "-f", "-"];
            let output = cluster.control_plane.kubectl(&arguments, Some(&pod.to_string()))?;
            if output.status.success() && output.stderr.is_empty() {
                accepted += 1;
                continue;
            }
            let known = NOT_RESTRICTED.iter().position(|(word, ..)| name.contains(word));
            let known = known.with_context(|| format!("{name}: {}", output.stderr))?;
            ensure!(output.stderr.contains(NOT_RESTRICTED[known].1), "{name}: {}", output.stderr);
            others[known] += 1;
        }
    }
    ensure!(accepted > 20 && others.iter().all(|pods| *pods > 0), "{accepted} {others:?}");
    let lines = NOT_RESTRICTED.iter().zip(others).map(|((word, _, reason), pods)| {
        format!("  - not restricted, {pods} pods of `{}`: {reason}", word.trim_end_matches('/'))
    });
    Ok((accepted, lines.collect()))
}

pub(super) fn manifests_of_muslin(cluster: &Cluster) -> Result<()> {
    let version = cluster.control_plane.kubectl(&["version", "-o", "json"], None)?;
    let version: Value = serde_json::from_str(&version.stdout)?;
    let version = version["serverVersion"]["gitVersion"].as_str().context("the API server has no version")?;
    let definitions = definitions_are_established(cluster)?;
    let manifests = manifests(cluster)?;
    // The examples name no namespace.
    cluster.runtime.block_on(cluster.control_plane.prepare_service_account("default"))?;
    let objects = with_definitions(cluster, || apply(cluster, &manifests))?;
    let (accepted, others) = restricted(cluster, &manifests)?;
    println!(
        "\n- API server {version}: {definitions} CRDs established, and applied again with strict validation; {objects} objects of {} manifests applied as dry runs, without a warning; `restricted` accepts {accepted} pods",
        manifests.len()
    );
    others.iter().for_each(|line| println!("{line}"));
    Ok(())
}
