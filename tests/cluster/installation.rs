//! `manifests/` and `certs/` on a real API server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::certificates::{is_settled, trusted};
use crate::cluster::replicas::{forget_certificates, wait};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::{MANIFESTS, MUSLIN};
pub(crate) use crate::common::registration::{apply, unregister};
use crate::common::webhook::Process;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    applying_the_manifests_again_changes_nothing,
    a_pod_of_muslins_deployment_is_admitted_without_a_warning,
    muslin_has_exactly_the_rights_it_needs,
    the_development_certificates_kustomization_can_be_applied,
    the_examples_can_be_created,
    applying_the_manifests_again_keeps_the_ca,
    each_overlay_can_be_applied,
    each_overlay_can_be_applied_to_another_namespace,
    muslins_pods_start_again_in_any_namespace_with_enforce_everywhere,
    the_network_policy_selects_muslin_and_its_ports,
    only_high_availability_has_two_replicas_and_a_disruption_budget
];

/// Runs last, because uninstalling deletes the service account that other tests use.
pub(crate) const LAST: Topic = tests![uninstalling_leaves_nothing_and_blocks_nothing];

/// The sources of the other projects' resource definitions that overlays use: Go module, checksum as in `go.sum`, folder, files.
const DEFINITIONS: [(&str, &str, &str, &[&str]); 2] = [
    (
        "github.com/cert-manager/cert-manager@v1.18.2",
        "h1:H2P75ycGcTMauV3gvpkDqLdS3RSXonWF2S49QGA1PZE=",
        "deploy/crds",
        &["crd-certificates.yaml", "crd-issuers.yaml"],
    ),
    (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd",
        &["monitoring.coreos.com_podmonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"],
    ),
];

/// The namespace of muslin in the manifests.
const MUSLIN_NAMESPACE: &str = "muslin";

fn applying_the_manifests_again_changes_nothing(cluster: &Cluster) -> Result<()> {
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

/// No controller makes pods of the Deployment here, so the test makes one, under the namespace's Pod Security Standard.
fn a_pod_of_muslins_deployment_is_admitted_without_a_warning(cluster: &Cluster) -> Result<()> {
    let pod = replica(cluster, "muslin")?;
    let arguments = ["create", "--dry-run=server", "-f", "-"];
    let created = cluster.control_plane.kubectl(&arguments, Some(&pod.to_string()))?;
    ensure!(created.status.success() && created.stderr.is_empty(), "{}", created.stderr);
    Ok(())
}

/// Returns a pod as the ReplicaSet of muslin's Deployment in this namespace makes it.
fn replica(cluster: &Cluster, namespace: &str) -> Result<Value> {
    let output =
        cluster.control_plane.kubectl(&["get", "deployment", "muslin", "-n", namespace, "-o", "json"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(replica_of(&serde_json::from_str(&output.stdout)?, namespace))
}

/// Returns a pod as the ReplicaSet of this Deployment makes it.
pub(crate) fn replica_of(deployment: &Value, namespace: &str) -> Value {
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("replica");
    pod["metadata"]["namespace"] = json!(namespace);
    pod
}

fn muslin_has_exactly_the_rights_it_needs(cluster: &Cluster) -> Result<()> {
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

fn the_development_certificates_kustomization_can_be_applied(cluster: &Cluster) -> Result<()> {
    // Near the manifests: kustomize rejects an absolute path to its base.
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
    for example in ["examples/alpine-pod.yaml", "examples/deployment.yaml", "probe.yaml", "probe-node.yaml"] {
        let file = format!("{MANIFESTS}/{example}");
        let created =
            cluster.control_plane.kubectl(&["create", "--dry-run=server", "-n", "examples", "-f", &file], None)?;
        ensure!(created.status.success(), "{example}: {}", created.stderr);
    }
    Ok(())
}

/// Covers client-side apply, and server-side apply with force.
fn applying_the_manifests_again_keeps_the_ca(cluster: &Cluster) -> Result<()> {
    forget_certificates(cluster)?;
    apply(&cluster.control_plane)?;
    let kept = (|| {
        let muslin = Process::start(&cluster.account, &[])?;
        wait("ready", || Ok(muslin.get("/readyz")?.0 == "200"))?;
        wait("settled", || is_settled(cluster))?;
        let before = trusted(cluster)?;
        // Without a running muslin, which would restore it.
        drop(muslin);
        apply(&cluster.control_plane)?;
        ensure!(trusted(cluster)? == before, "kubectl apply removed it");
        let forced = ["apply", "--server-side", "--force-conflicts", "-k", MANIFESTS];
        let output = cluster.control_plane.kubectl(&forced, None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        ensure!(trusted(cluster)? == before, "kubectl apply --server-side removed it");
        ensure!(is_settled(cluster)?, "the Secret was emptied");
        Ok(())
    })();
    unregister(&cluster.control_plane)?;
    kept
}

/// Applies each overlay as a dry run, which must give no warning.
fn each_overlay_can_be_applied(cluster: &Cluster) -> Result<()> {
    with_definitions(cluster, || {
        for overlay in overlays()? {
            let folder = overlay.to_str().context("the folder's name is not UTF-8")?;
            let output = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-k", folder], None)?;
            // A dry run does not change the namespace, whose standard forbids the host's network: see host_network.rs.
            let is_known = |line: &str| folder.ends_with("/host-network") && line.contains("would violate PodSecurity");
            let warns = output.stderr.lines().any(|line| line.contains("Warning") && !is_known(line));
            ensure!(output.status.success() && !warns, "{folder}: {}", output.stderr);
        }
        Ok(())
    })
}

/// Calls a function while the cluster has the other projects' resource definitions.
pub(crate) fn with_definitions<T>(cluster: &Cluster, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let definitions = definitions()?;
    for definition in &definitions {
        let output = cluster.control_plane.kubectl(&["create", "-f", "-"], Some(&definition.to_string()))?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    let established = ["wait", "--for=condition=Established", "--all", "customresourcedefinitions"];
    let output = cluster.control_plane.kubectl(&established, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let called = call()?;
    for definition in &definitions {
        let output = cluster.control_plane.kubectl(&["delete", "-f", "-"], Some(&definition.to_string()))?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    Ok(called)
}

/// Returns the folders for `kubectl apply -k manifests/...`.
pub(crate) fn overlays() -> Result<Vec<PathBuf>> {
    let folders = fs::read_dir(MANIFESTS)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let overlays: Vec<PathBuf> =
        folders.into_iter().filter(|folder| folder.join("kustomization.yaml").is_file()).collect();
    ensure!(overlays.len() >= 10, "{overlays:?}");
    Ok(overlays)
}

/// Returns the folder of a user's kustomization that sets another namespace for one of the manifests' folders.
pub(crate) fn in_namespace(namespace: &str, manifests: &str, more: &str) -> Result<TempDir> {
    let folder = TempDir::new()?;
    // kustomize rejects absolute paths.
    let root = "../".repeat(folder.path().components().count() - 1) + MANIFESTS.trim_start_matches('/');
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {namespace}\n\
         resources: [{root}/{manifests}]\n{}",
        more.replace("manifests/", &format!("{root}/"))
    );
    fs::write(folder.path().join("kustomization.yaml"), kustomization)?;
    Ok(folder)
}

/// Returns the places below a value where a string is the name of muslin's usual namespace, not of something else called muslin.
fn places_of_the_usual_namespace(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| places_of_the_usual_namespace(&format!("{path}/{key}"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| places_of_the_usual_namespace(&format!("{path}/{index}"), item))
            .collect(),
        Value::String(text) => {
            let is_namespace = path.ends_with("/namespace") || path.contains("/namespaceSelector/");
            let names = is_namespace && text == MUSLIN_NAMESPACE
                || text.starts_with("muslin.muslin.")
                || text.starts_with("muslin/");
            names.then(|| format!("{path}: {text}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// `namespace:` of a kustomization is enough, and for cert-manager one more line, which certs/README.md documents.
fn each_overlay_can_be_applied_to_another_namespace(cluster: &Cluster) -> Result<()> {
    const LINE: &str = "transformers: [manifests/transformers/cert-manager]";
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/certs/README.md"))?;
    ensure!(page.contains("path/to/manifests/transformers/cert-manager"), "certs/README.md lacks the line");
    let mut seen = 0;
    for overlay in overlays()? {
        let name = overlay.file_name().and_then(|name| name.to_str()).context("the folder's name is not UTF-8")?;
        let folder = in_namespace("dns-system", name, if name == "cert-manager" { LINE } else { "" })?;
        let folder = folder.path().to_str().context("the folder's name is not UTF-8")?;
        let output = cluster.control_plane.kubectl(&["kustomize", folder], None)?;
        ensure!(output.status.success(), "{name}: {}", output.stderr);
        for document in output.stdout.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document)?;
            let (kind, left) = (&object["kind"], places_of_the_usual_namespace("", &object));
            ensure!(left.is_empty(), "{name}: {kind}: {left:?}");
            ensure!(*kind != "Namespace" || object["metadata"]["name"] == "dns-system", "{name}: {object:#}");
            if kind.as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration")) {
                let webhooks = object["webhooks"].as_array().context("no webhooks")?;
                let selectors = webhooks.iter().filter_map(|webhook| webhook.get("namespaceSelector"));
                ensure!(
                    selectors.clone().all(|selector| selector.to_string().contains("\"dns-system\"")),
                    "{object:#}"
                );
                seen += selectors.count();
            }
        }
    }
    ensure!(seen >= 3 * 7, "{seen} selectors");
    Ok(())
}

/// muslin in a namespace of another name, with every other namespace in mode enforce and no replica left.
fn muslins_pods_start_again_in_any_namespace_with_enforce_everywhere(cluster: &Cluster) -> Result<()> {
    const NAMESPACE: &str = "dns-system";
    let kubectl = |arguments: &[&str]| -> Result<String> {
        let output = cluster.control_plane.kubectl(arguments, None)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(output.stdout)
    };
    let create = |pod: &Value| cluster.control_plane.kubectl(&["create", "-f", "-"], Some(&pod.to_string()));
    let folder = in_namespace(NAMESPACE, "enforce-everywhere-but-system", "")?;
    kubectl(&["apply", "-k", folder.path().to_str().context("the folder's name is not UTF-8")?])?;
    let result = (|| {
        // A replica works there: it has its certificate, which both configurations trust.
        let account = cluster.control_plane.service_account_kubeconfig(NAMESPACE, "muslin")?;
        let mut process = Process::start(&account, &["--own-namespace", NAMESPACE].map(str::to_owned))?;
        wait("ready", || Ok(process.get("/readyz")?.0 == "200"))?;
        ensure!(trusted(cluster)?.iter().all(|trusted| trusted.len() == 1), "a webhook trusts no CA");
        let certificate =
            kubectl(&["get", "secret", "muslin-certificates", "-n", NAMESPACE, "-o", "jsonpath={.data.tls\\.crt}"])?;
        ensure!(names_in(&certificate)?.contains("DNS:muslin.dns-system.svc,"), "{}", names_in(&certificate)?);
        process.kill()?;

        cluster.namespace("everywhere", &[])?;
        cluster.namespace("everywhere-labelled", &[("muslin.dev/self", "true")])?;
        let is_denied =
            || Ok(create(&pod("everywhere", "web", "alpine:3.19"))?.stderr.contains("failed calling webhook"));
        wait("enforcing", is_denied)?;
        let replica = replica(cluster, NAMESPACE)?;
        // All replicas are gone, and one comes back: by both guards, by the name alone, by the label alone.
        for labels in [["muslin.dev/self=true"], ["muslin.dev/self-"]] {
            kubectl(&[&["label", "--overwrite", "namespace", NAMESPACE][..], &labels].concat())?;
            let created = create(&replica)?;
            ensure!(created.status.success() && created.stderr.is_empty(), "{labels:?}: {}", created.stderr);
            kubectl(&["delete", "pod", "replica", "-n", NAMESPACE, "--force", "--grace-period=0"])?;
        }
        let created = create(&pod("everywhere-labelled", "web", "alpine:3.19"))?;
        ensure!(created.status.success(), "{}", created.stderr);
        ensure!(is_denied()?, "a pod was created without a review");
        Ok(())
    })();
    // The cluster-wide roles are bound to the usual namespace again.
    unregister(&cluster.control_plane)?;
    apply(&cluster.control_plane)?;
    unregister(&cluster.control_plane)?;
    result
}

/// Returns the names in a certificate, which is PEM in base64.
fn names_in(certificate: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), BASE64_STANDARD.decode(certificate)?)?;
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
        .arg(file.path())
        .output()
        .context("cannot run openssl")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the real definitions from Go modules, which are pinned and verified.
fn definitions() -> Result<Vec<Value>> {
    let modules = DEFINITIONS.map(|(module, ..)| module);
    let nowhere = TempDir::new()?;
    let output =
        Command::new("go").args(["mod", "download", "-json"]).args(modules).current_dir(nowhere.path()).output();
    let output = output.context("cannot run go, which the control plane is built with")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut definitions = Vec::new();
    let downloaded = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    for (downloaded, (module, sum, folder, files)) in downloaded.zip(DEFINITIONS) {
        let downloaded = downloaded?;
        ensure!(downloaded["Sum"] == sum, "{module} has another checksum: {downloaded:#}");
        let root = PathBuf::from(downloaded["Dir"].as_str().context("there is no folder")?).join(folder);
        for file in files {
            let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(root.join(file))?)?;
            // Some files are templates with labels.
            if let Some(metadata) = definition["metadata"].as_object_mut() {
                metadata.remove("labels");
            }
            definitions.push(definition);
        }
    }
    ensure!(definitions.len() == 4, "{} definitions", definitions.len());
    Ok(definitions)
}

fn the_network_policy_selects_muslin_and_its_ports(cluster: &Cluster) -> Result<()> {
    let output = cluster.control_plane.kubectl(&["kustomize", &format!("{MANIFESTS}/network-policy")], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let objects = output.stdout.split("\n---\n").map(|document| Ok(serde_saphyr::from_str(document)?));
    let objects: Vec<Value> = objects.collect::<Result<_>>()?;
    let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind).context(kind.to_owned());
    let (policy, template) = (&of_kind("NetworkPolicy")?["spec"], &of_kind("Deployment")?["spec"]["template"]);
    let selected = policy["podSelector"]["matchLabels"].as_object().context("it selects no labels")?;
    for (label, value) in selected {
        ensure!(template["metadata"]["labels"][label] == *value, "{label}: {template:#}");
    }
    let allowed = policy["ingress"].as_array().into_iter().flatten().map(|rule| &rule["ports"][0]["port"]);
    let ports = template["spec"]["containers"][0]["ports"].as_array().into_iter().flatten().map(|port| &port["name"]);
    ensure!(allowed.eq(ports), "{policy:#}");
    Ok(())
}

fn only_high_availability_has_two_replicas_and_a_disruption_budget(cluster: &Cluster) -> Result<()> {
    let built = |folder: &str| -> Result<Vec<Value>> {
        let output = cluster.control_plane.kubectl(&["kustomize", folder], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        output.stdout.split("\n---\n").map(|document| Ok(serde_saphyr::from_str(document)?)).collect()
    };
    let replicas = |objects: &[Value]| {
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        deployment.map(|deployment| deployment["spec"]["replicas"].clone())
    };
    let has_budget = |objects: &[Value]| objects.iter().any(|object| object["kind"] == "PodDisruptionBudget");
    let base = built(MANIFESTS)?;
    // A budget for a single replica would block the draining of its node.
    ensure!(replicas(&base) == Some(json!(1)) && !has_budget(&base), "{base:#?}");
    let two = built(&format!("{MANIFESTS}/high-availability"))?;
    ensure!(replicas(&two) == Some(json!(2)) && has_budget(&two), "{two:#?}");
    Ok(())
}

/// Follows `docs/operations.md` in a cluster where a namespace in mode enforce waits for a muslin that does not answer.
fn uninstalling_leaves_nothing_and_blocks_nothing(cluster: &Cluster) -> Result<()> {
    cluster.namespace("enforced-no-more", &[("muslin.dev/mode", "enforce")])?;
    apply(&cluster.control_plane)?;
    let pod = pod("enforced-no-more", "web", "alpine:3.19").to_string();
    let create = || cluster.control_plane.kubectl(&["create", "-f", "-"], Some(&pod));
    wait("blocked", || Ok(create()?.stderr.contains("failed calling webhook")))?;

    let configurations = "mutatingwebhookconfiguration,validatingwebhookconfiguration";
    let output = cluster.control_plane.kubectl(&["delete", configurations, MUSLIN], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    wait("let go", || Ok(create()?.status.success()))?;
    // No controller ends a namespace here, so do not wait for it.
    let rest = ["delete", "-k", MANIFESTS, "--ignore-not-found", "--wait=false"];
    let output = cluster.control_plane.kubectl(&rest, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let left = || -> Result<String> {
        let output =
            cluster.control_plane.kubectl(&["get", "-k", MANIFESTS, "--ignore-not-found", "-o", "name"], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(output.stdout)
    };
    wait("gone", || Ok(left()?.trim() == "namespace/muslin"))?;

    let mut namespace: Value = {
        let output = cluster.control_plane.kubectl(&["get", "namespace", "muslin", "-o", "json"], None)?;
        serde_json::from_str(&output.stdout)?
    };
    namespace["spec"]["finalizers"] = json!([]);
    let arguments = ["replace", "--raw", "/api/v1/namespaces/muslin/finalize", "-f", "-"];
    let output = cluster.control_plane.kubectl(&arguments, Some(&namespace.to_string()))?;
    ensure!(output.status.success(), "{}", output.stderr);
    wait("gone", || Ok(left()?.is_empty()))
}
