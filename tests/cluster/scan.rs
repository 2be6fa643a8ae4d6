//! `muslin scan` on the real API server: with all rights, with some rights, and as a plugin of kubectl.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::cluster::inspection::registry;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::common::schemas::{ensure_sarif, ensure_valid};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_scan_lists_running_pods_with_options_of_0_1_0,
    a_scan_groups_findings_by_workload_and_rule,
    a_scan_reads_the_custom_resources_that_the_cluster_has,
    a_scan_lists_the_images_in_use,
    a_scan_writes_sarif_and_exits_as_the_other_commands_do,
    a_scan_reports_missing_rights_and_goes_on,
    a_scan_inspects_images_on_request,
    a_scan_shows_progress_on_a_terminal,
    a_scan_is_a_plugin_of_kubectl
];

pub(crate) fn scan(kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["scan", "--kubeconfig"])
        .arg(kubeconfig)
        .args(arguments)
        .output()?;
    Ok(output)
}

fn owned(mut object: Value, kind: &str, name: &str) -> Value {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": kind, "name": name, "controller": true,
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002"
    }]);
    object
}

fn workload(kind: &str, namespace: &str, name: &str, image: &str) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "app", "image": image }] }
            }
        }
    })
}

/// Creates a Deployment with two pods, one without pods, and a pod without an owner; muslin does not run.
fn fill(cluster: &Cluster, namespace: &str) -> Result<()> {
    cluster.namespace(namespace, &[])?;
    cluster.create(&workload("Deployment", namespace, "web", "alpine:3.19"))?;
    cluster.create(&owned(workload("ReplicaSet", namespace, "web-5d", "alpine:3.19"), "Deployment", "web"))?;
    for name in ["web-5d-1", "web-5d-2"] {
        cluster.create(&owned(pod(namespace, name, "alpine:3.19"), "ReplicaSet", "web-5d"))?;
    }
    cluster.create(&workload("Deployment", namespace, "idle", "alpine:3.16"))?;
    let mut alone = pod(namespace, "alone", "debian:12");
    alone["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    cluster.create(&alone)?;
    Ok(())
}

fn a_scan_lists_running_pods_with_options_of_0_1_0(cluster: &Cluster) -> Result<()> {
    cluster.namespace("outdated", &[])?;
    let mut old = pod("outdated", "old", "alpine:3.19");
    old["metadata"]["annotations"] = json!({ "muslin.dev/injected": "timeout:5 attempts:10" });
    old["spec"]["dnsConfig"] =
        json!({ "options": [{ "name": "timeout", "value": "5" }, { "name": "attempts", "value": "10" }] });
    cluster.create(&old)?;
    let admin = cluster.control_plane.admin_kubeconfig();
    let output = scan(&admin, &["-n", "outdated", "-o", "json", "--fail-on", "never"])?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let findings = document["objects"][0]["findings"].as_array().cloned().unwrap_or_default();
    let found = findings.iter().find(|finding| finding["rule"] == "outdated-injection");
    let message = found.map(|finding| finding["message"].as_str().unwrap_or_default());
    ensure!(message.is_some_and(|message| message.contains("timeout:5 attempts:10")), "{document:#}");
    Ok(())
}

fn a_scan_groups_findings_by_workload_and_rule(cluster: &Cluster) -> Result<()> {
    fill(cluster, "scanned")?;
    let admin = cluster.control_plane.admin_kubeconfig();
    let output = scan(&admin, &["-n", "scanned", "-o", "json", "--fail-on", "never"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure_valid("scan", &document)?;
    let objects = document["objects"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = objects.iter().map(|object| format!("{}/{}", object["kind"], object["name"])).collect();
    // The only one with a finding of level deny comes first.
    ensure!(names == [r#""Pod"/"alone""#, r#""Deployment"/"idle""#, r#""Deployment"/"web""#], "{document:#}");
    let [alone, idle, web] = &objects[..] else { return Ok(()) };
    let rules = |object: &Value| -> Vec<String> {
        let findings = object["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().map(|finding| format!("{} {} {}", finding["rule"], finding["pods"], finding["fixed"])).collect()
    };
    ensure!(rules(idle).contains(&r#""musl-slow-retry" 0 false"#.to_owned()), "{idle:#}");
    ensure!(web["pods"] == 2 && rules(web).contains(&r#""musl-slow-retry" 2 false"#.to_owned()), "{web:#}");
    ensure!(rules(alone).contains(&r#""attempts-zero" 1 false"#.to_owned()), "{alone:#}");
    let slow = document["rules"].as_array().into_iter().flatten().find(|row| row["rule"] == "musl-slow-retry");
    ensure!(slow.is_some_and(|row| row["objects"] == 2 && row["pods"] == 2), "{document:#}");

    let table = scan(&admin, &["-n", "scanned"])?;
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    ensure!(table.status.code() == Some(1), "attempts-zero is of the level deny: {text}");
    ensure!(text.contains("NAMESPACE") && text.contains("Deployment/web") && text.contains("OBJECTS"), "{text}");
    let selected = scan(&admin, &["-n", "scanned", "-l", "app=idle"])?;
    let text = String::from_utf8_lossy(&selected.stdout).into_owned();
    ensure!(selected.status.success() && !text.contains("Pod/alone"), "{text}");
    Ok(())
}

/// Defines a kind of `argoproj.io` without a schema, and waits until it is served.
fn define(cluster: &Cluster, kind: &str, plural: &str) -> Result<()> {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    cluster.create(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.argoproj.io") },
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": { "kind": kind, "plural": plural },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema }
            }]
        }
    }))?;
    let name = format!("crd/{plural}.argoproj.io");
    let waited = ["wait", "--for=condition=Established", "--timeout=30s", &name];
    let output = cluster.control_plane.kubectl(&waited, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

fn a_scan_reads_the_custom_resources_that_the_cluster_has(cluster: &Cluster) -> Result<()> {
    let kinds = [("Rollout", "rollouts"), ("Workflow", "workflows")];
    kinds.iter().try_for_each(|(kind, plural)| define(cluster, kind, plural))?;
    cluster.namespace("custom", &[])?;
    let custom = |kind: &str, name: &str, spec: Value, status: Value| {
        let metadata = json!({ "name": name, "namespace": "custom" });
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": status
        })
    };
    let zero = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    let rollout = |name: &str| {
        let spec = json!({ "containers": [{ "name": "app", "image": "alpine:3.19" }], "dnsConfig": zero });
        custom("Rollout", name, json!({ "template": { "spec": spec } }), json!({}))
    };
    let workflow = |name: &str, status: Value| {
        let templates = json!([{ "name": "m", "container": { "image": "alpine:3.19" } }]);
        custom("Workflow", name, json!({ "templates": templates, "dnsConfig": zero }), status)
    };
    cluster.create(&rollout("idle"))?;
    cluster.create(&rollout("web"))?;
    let mut set = owned(workload("ReplicaSet", "custom", "web-1", "alpine:3.19"), "Rollout", "web");
    set["metadata"]["ownerReferences"][0]["apiVersion"] = json!("argoproj.io/v1alpha1");
    cluster.create(&set)?;
    cluster.create(&owned(pod("custom", "web-1-x", "alpine:3.19"), "ReplicaSet", "web-1"))?;
    cluster.create(&workflow("running", json!({ "phase": "Running" })))?;
    cluster.create(&workflow("over", json!({ "finishedAt": "2026-11-30T00:00:00Z" })))?;

    let result = (|| {
        let admin = cluster.control_plane.admin_kubeconfig();
        let output = scan(&admin, &["-n", "custom", "-o", "json", "--fail-on", "never"])?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let objects = document["objects"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = objects
            .iter()
            .map(|object| {
                format!("{}/{} {} {}", object["kind"], object["name"], object["pods"], object["findings"][0]["rule"])
            })
            .map(|line| line.replace('"', ""))
            .collect();
        // The pod of `web` has another dnsConfig than the template, and counts in its place.
        let expected =
            ["Rollout/idle 0 attempts-zero", "Workflow/running 0 attempts-zero", "Rollout/web 1 musl-slow-retry"];
        ensure!(found == expected, "{document:#}");
        ensure!(objects.iter().all(|object| object["group"] == "argoproj.io"), "{document:#}");
        Ok(())
    })();
    for (_, plural) in kinds {
        let output = cluster.control_plane.kubectl(&["delete", "crd", &format!("{plural}.argoproj.io")], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    result
}

fn a_scan_lists_the_images_in_use(cluster: &Cluster) -> Result<()> {
    cluster.namespace("pictured", &[])?;
    cluster.create(&pod("pictured", "one", "alpine:3.19"))?;
    cluster.create(&pod("pictured", "two", "alpine:3.19"))?;
    let output = scan(&cluster.control_plane.admin_kubeconfig(), &["-n", "pictured", "--images", "-o", "json"])?;
    let images: Value = serde_json::from_slice(&output.stdout)?;
    ensure_valid("scan-images", &images)?;
    ensure!(images.as_array().is_some_and(|images| images.len() == 1), "{images:#}");
    ensure!(images[0]["image"] == "alpine:3.19" && images[0]["pods"] == 2, "{images:#}");
    ensure!(images[0]["resolver"] == "musl 1.2.4" && images[0]["evidence"] == "assumed", "{images:#}");
    Ok(())
}

fn a_scan_writes_sarif_and_exits_as_the_other_commands_do(cluster: &Cluster) -> Result<()> {
    fill(cluster, "sarif")?;
    let output = scan(&cluster.control_plane.admin_kubeconfig(), &["-n", "sarif", "-o", "sarif"])?;
    ensure!(output.status.code() == Some(1));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure_sarif(&document)?;
    let results = document["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    let is_of_web = |result: &Value| {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sarif/deployment/web"
            && result["ruleId"] == "musl-slow-retry"
    };
    ensure!(results.iter().any(is_of_web), "{document:#}");
    Ok(())
}

fn a_scan_reports_missing_rights_and_goes_on(cluster: &Cluster) -> Result<()> {
    fill(cluster, "half-seen")?;
    let kubectl = |arguments: &[&str]| -> Result<()> {
        let output = cluster.control_plane.kubectl(arguments, None)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(())
    };
    kubectl(&["create", "serviceaccount", "scanner", "-n", "half-seen"])?;
    let account = cluster.control_plane.service_account_kubeconfig("half-seen", "scanner")?;
    let nothing = scan(&account, &["-n", "half-seen"])?;
    let told = String::from_utf8_lossy(&nothing.stderr).into_owned();
    ensure!(nothing.status.code() == Some(3) && told.contains("no right to list workloads or pods"), "{told}");

    kubectl(&["create", "role", "see-pods", "--verb=list", "--resource=pods", "-n", "half-seen"])?;
    let bound = "--serviceaccount=half-seen:scanner";
    kubectl(&["create", "rolebinding", "see-pods", "--role=see-pods", bound, "-n", "half-seen"])?;
    let some = scan(&account, &["-n", "half-seen", "--fail-on", "never"])?;
    let (text, told) = (String::from_utf8_lossy(&some.stdout).into_owned(), String::from_utf8_lossy(&some.stderr));
    // Without the right to list Deployments, the ReplicaSet is the top.
    ensure!(text.contains("ReplicaSet/web-5d") && text.contains("Pod/alone"), "{text}");
    ensure!(told.contains("no right to list deployments") && !told.contains("list pods"), "{told}");

    kubectl(&["apply", "-k", &format!("{MANIFESTS}/scan")])?;
    kubectl(&["create", "clusterrolebinding", "scanner", "--clusterrole=muslin-scan", bound])?;
    let all = scan(&account, &["-A", "--fail-on", "never"])?;
    let text = String::from_utf8_lossy(&all.stdout).into_owned();
    ensure!(all.status.success() && all.stderr.is_empty(), "{}", String::from_utf8_lossy(&all.stderr));
    ensure!(text.contains("Deployment/web"), "{text}");
    kubectl(&["delete", "clusterrolebinding", "scanner"])
}

fn a_scan_is_a_plugin_of_kubectl(cluster: &Cluster) -> Result<()> {
    cluster.namespace("plugged", &[])?;
    cluster.create(&pod("plugged", "web", "alpine:3.19"))?;
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_muslin"), folder.path().join("kubectl-muslin"))?;
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let kubectl = |arguments: &[&str]| {
        let mut command = cluster.control_plane.kubectl_command();
        command.env("PATH", &path).env("KUBECONFIG", cluster.control_plane.admin_kubeconfig());
        command.args(arguments).output()
    };
    let output = kubectl(&["muslin", "scan", "-n", "plugged"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("Pod/web"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let help = kubectl(&["muslin", "scan", "--help"])?;
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    ensure!(text.contains("kubectl muslin scan [OPTIONS]"), "{text}");
    Ok(())
}

fn a_scan_inspects_images_on_request(cluster: &Cluster) -> Result<()> {
    let (registry, reference) = registry("team/scanned:1", "musl-lookup")?;
    cluster.namespace("scanned-images", &[])?;
    cluster.create(&pod("scanned-images", "web", &reference))?;
    let address = registry.address.to_string();
    let namespace = ["-n", "scanned-images", "--fail-on", "never", "-o", "json"];
    let reach = ["--inspect", "--allow-network", "127.0.0.1", "--plain-http", &address];
    let rules = |arguments: &[&str]| -> Result<Vec<String>> {
        let output = scan(&cluster.control_plane.admin_kubeconfig(), arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let rules = document["rules"].as_array().into_iter().flatten();
        Ok(rules.map(|row| row["rule"].as_str().unwrap_or_default().to_owned()).collect())
    };
    let no_tcp = "musl-no-tcp".to_owned();
    ensure!(!rules(&namespace)?.contains(&no_tcp), "{:?}", rules(&namespace)?);
    let inspected = rules(&[namespace.as_slice(), &reach].concat())?;
    ensure!(inspected.contains(&no_tcp), "{inspected:?}");
    Ok(())
}

/// Scans with a registry that accepts connections and never answers.
fn a_scan_shows_progress_on_a_terminal(cluster: &Cluster) -> Result<()> {
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?;
    cluster.namespace("waited-for", &[])?;
    cluster.create(&pod("waited-for", "web", &format!("{address}/team/silent:1")))?;
    let folder = tempfile::tempdir()?;
    let shown = folder.path().join("typescript");
    // `script` provides a terminal.
    let command = format!(
        "{} scan -n waited-for --inspect --allow-network 127.0.0.1 --plain-http {address} --kubeconfig {}",
        env!("CARGO_BIN_EXE_muslin"),
        cluster.control_plane.admin_kubeconfig().display(),
    );
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command])
        .arg(&shown)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    let result = loop {
        let text = std::fs::read_to_string(&shown).unwrap_or_default();
        if text.contains("0 of 1 images inspected") {
            break Ok(());
        }
        if Instant::now() > deadline {
            break Err(anyhow::anyhow!("no progress: {text}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    script.kill()?;
    script.wait()?;
    result
}
