//! `muslin doctor` on a real API server, with a muslin beside it: there is no node, so no pod of muslin runs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::cluster::replicas::wait;
use crate::common::diagnosis::Diagnosis;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::schemas::ensure_valid;
use crate::common::webhook::Process;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_doctor_proves_the_call_in_each_mode_but_off,
    the_doctor_names_missing_rights,
    the_doctor_says_why_the_api_server_does_not_reach_muslin,
    a_caller_without_rights_gets_no_healthy_check,
    an_unreachable_cluster_ends_with_3
];

/// Waits for the time in which no missed pod counts.
pub(crate) const ON_REQUEST: Topic = tests![pods_without_a_review_are_counted_and_reported];

/// Returns one run of `muslin doctor` as a cluster admin.
fn diagnosis(cluster: &Cluster) -> Result<Diagnosis> {
    diagnosis_by(&cluster.control_plane.admin_kubeconfig().display().to_string())
}

fn diagnosis_by(kubeconfig: &str) -> Result<Diagnosis> {
    let found = Diagnosis::of(Command::new(env!("CARGO_BIN_EXE_muslin")), &["--kubeconfig", kubeconfig])?;
    ensure_valid("doctor", &found.report)?;
    Ok(found)
}

fn the_doctor_proves_the_call_in_each_mode_but_off(cluster: &Cluster) -> Result<()> {
    prepare(cluster)?;
    let label = |mode: &str| -> Result<()> {
        let arguments = ["label", "--overwrite", "namespace", "default", &format!("muslin.dev/mode{mode}")];
        let output = cluster.control_plane.kubectl(&arguments, None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    };
    // Other tests have such namespaces, too.
    cluster.namespace("mislabelled", &[("muslin.dev/mode", "on")])?;
    let muslin = cluster.muslin()?;
    for mode in ["audit", "warn", "inject", "enforce"] {
        label(&format!("={mode}"))?;
        wait("answered in this mode", || {
            Ok(diagnosis(cluster)?
                .expect("call", "ok", &["namespace default came back marked", &format!("mode={mode}")])
                .is_ok())
        })?;
    }
    // Another namespace takes its place.
    label("=off")?;
    let found = diagnosis(cluster)?;
    label("-")?;
    found.expect("call", "ok", &["came back marked"])?;
    ensure!(!found.report.to_string().contains("namespace default came"), "{}", found.report);
    ensure!(found.report["schemaVersion"] == 1 && found.report["healthy"] == false && found.code == Some(1));
    found.expect("api-server", "ok", &["Kubernetes v1."])?;
    found.expect("definitions", "ok", &["current"])?;
    found.expect("rights", "ok", &["all"])?;
    found.expect("selectors", "warning", &["muslin.dev/mode", "is no mode"])?;
    // Tests register muslin by its address.
    found.expect("webhooks", "warning", &["https://127.0.0.1"])?;
    found.expect("deployment", "wrong", &["0 of 1 replicas"])?;
    found.expect("pods", "wrong", &["no pod"])?;
    drop(muslin);
    let found = diagnosis(cluster)?;
    found.expect("webhooks", "wrong", &["MutatingWebhookConfiguration muslin.dev is missing", "muslin install"])
}

/// Makes the service account without which no pod is created in the namespace `default`.
fn prepare(cluster: &Cluster) -> Result<()> {
    let output = cluster.control_plane.kubectl(&["create", "serviceaccount", "default", "-n", "default"], None)?;
    ensure!(output.status.success() || output.stderr.contains("already exists"), "{}", output.stderr);
    Ok(())
}

fn the_doctor_names_missing_rights(cluster: &Cluster) -> Result<()> {
    let subjects = |subjects: Value| -> Result<()> {
        let patch = json!([{ "op": "replace", "path": "/subjects", "value": subjects }]).to_string();
        let arguments = ["patch", "clusterrolebinding", "muslin", "--type=json", "-p", &patch];
        let output = cluster.control_plane.kubectl(&arguments, None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    };
    subjects(json!([]))?;
    let found = diagnosis(cluster);
    subjects(json!([{ "kind": "ServiceAccount", "name": "muslin", "namespace": "muslin" }]))?;
    found?.expect("rights", "wrong", &["get namespaces", "and ", "more", "muslin install"])?;
    diagnosis(cluster)?.expect("rights", "ok", &[])
}

fn the_doctor_says_why_the_api_server_does_not_reach_muslin(cluster: &Cluster) -> Result<()> {
    prepare(cluster)?;
    let mut muslin = cluster.muslin()?;
    diagnosis(cluster)?.expect("call", "ok", &["mode=inject"])?;
    cluster.namespace("doctored", &[("muslin.dev/mode", "enforce")])?;
    muslin.kill()?;
    let found = diagnosis(cluster)?;
    let deleted = cluster.control_plane.kubectl(&["label", "namespace", "doctored", "muslin.dev/mode-"], None)?;
    ensure!(deleted.status.success(), "{}", deleted.stderr);
    found.expect("call", "wrong", &["unmarked", "connection refused", "MUSLIN_BIND"])?;
    found.expect("fail-open", "wrong", &["while muslin doctor ran"])?;
    ensure!(found.code == Some(1), "{:?}", found.code);
    Ok(())
}

fn a_caller_without_rights_gets_no_healthy_check(cluster: &Cluster) -> Result<()> {
    cluster.namespace("patient", &[])?;
    let kubeconfig = cluster.control_plane.service_account_kubeconfig("patient", "default")?;
    let found = diagnosis_by(&kubeconfig.display().to_string())?;
    for check in ["definitions", "deployment", "rights", "service", "webhooks", "selectors", "certificate", "call"] {
        found.expect(check, "unknown", &[])?;
    }
    found.expect("rights", "unknown", &["subjectaccessreviews", "cluster admin"])?;
    ensure!(found.code == Some(1) && found.report["healthy"] == false, "{:?}", found.code);
    Ok(())
}

fn an_unreachable_cluster_ends_with_3(cluster: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.control_plane.admin_kubeconfig())?;
    let mut config: Value = serde_json::from_str(&text)?;
    // The port 1 is closed.
    config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    std::fs::write(&file, config.to_string())?;
    let file = file.display().to_string();
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_muslin")).args(arguments).output();
    let output = run(&["doctor", "--kubeconfig", &file])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && stderr.contains("cannot reach the API server"), "{stderr}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    for wrong in [&["doctor", "--namespace", "../x"][..], &["doctor", "-o", "xml"]] {
        ensure!(run(wrong)?.status.code() == Some(2), "{wrong:?}");
    }
    Ok(())
}

/// No webhook is registered, so that every pod is missed.
fn pods_without_a_review_are_counted_and_reported(cluster: &Cluster) -> Result<()> {
    let muslin = Process::start(&cluster.account, &["--own-namespace".to_owned(), "muslin".to_owned()])?;
    cluster.namespace("missed", &[])?;
    cluster.namespace("audited", &[("muslin.dev/mode", "audit")])?;
    cluster.create(&pod("missed", "early", "alpine:3.19"))?;
    std::thread::sleep(Duration::from_secs(90));
    let mut opted_out = pod("missed", "opted-out", "alpine:3.19");
    opted_out["metadata"]["annotations"] = json!({ "muslin.dev/inject": "false" });
    let mut windows = pod("missed", "windows", "alpine:3.19");
    windows["spec"]["os"] = json!({ "name": "windows" });
    for pod in [opted_out, windows, pod("audited", "web", "alpine:3.19"), pod("missed", "web", "alpine:3.19")] {
        cluster.create(&pod)?;
    }
    wait("the missed pod", || Ok(muslin.get("/metrics")?.1.contains("\nmuslin_pods_missed_total 1\n")))?;
    wait("its Event", || {
        let arguments = ["get", "events", "-n", "muslin", "-o", "jsonpath={.items[*].message}"];
        let output = cluster.control_plane.kubectl(&arguments, None)?;
        Ok(output.stdout.contains("1 pod was created without a review by muslin, the last of them missed/web"))
    })
}
