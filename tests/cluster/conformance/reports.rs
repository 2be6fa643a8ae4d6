//! Reports of findings, by the definitions of openreports.io and of wgpolicyk8s.io as their projects have them.

#![expect(clippy::print_stdout, reason = "prints lines of docs/conformance.md")]

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Cluster;
use crate::cluster::replicas::wait;
use crate::common::pods::pod;
use crate::common::webhook::Muslin;

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/components/reports/cluster-role.yaml");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reports.md");

/// The most results of a report, and the result that counts the others.
const RESULTS_MAX: usize = 200;
/// The time within which muslin looks for a definition again, and some more.
const LOOKS_AGAIN: Duration = Duration::from_secs(90);

/// A resource for reports.
struct Kind {
    resource: &'static str,
    /// The resource in the version that muslin writes, as kubectl takes it.
    versioned: &'static str,
    api_version: &'static str,
}

const OPEN_REPORTS: Kind = Kind {
    resource: "reports.openreports.io",
    versioned: "reports.v1alpha1.openreports.io",
    api_version: "openreports.io/v1alpha1",
};
const POLICY_REPORTS: Kind = Kind {
    resource: "policyreports.wgpolicyk8s.io",
    versioned: "policyreports.v1alpha2.wgpolicyk8s.io",
    api_version: "wgpolicyk8s.io/v1alpha2",
};

fn definition(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| format!("{variable} is not set: use `scripts/conformance reports`"))
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = cluster.control_plane.kubectl(arguments, None)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(output.stdout)
}

/// Returns muslin's report of a namespace; null without one.
fn report(cluster: &Cluster, kind: &Kind, namespace: &str) -> Result<Value> {
    let arguments = ["get", kind.versioned, "muslin-dns", "-n", namespace, "-o", "json"];
    Ok(serde_json::from_str(&cluster.control_plane.kubectl(&arguments, None)?.stdout).unwrap_or_default())
}

fn start(cluster: &Cluster) -> Result<Muslin<'_>> {
    cluster.muslin_with(&["--reports".to_owned()])
}

/// Creates a pod of a Deployment, with a finding of level `deny` and one of level `warn`.
fn create_broken(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let mut broken = pod(namespace, &format!("{name}-7d9f8c6b5-x2x4q"), "alpine:3.16");
    broken["metadata"]["labels"] = json!({ "app": name, "pod-template-hash": "7d9f8c6b5" });
    broken["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-7d9f8c6b5"), "controller": true,
        "uid": "5f0c6d1e-0000-4000-8000-000000000001",
    }]);
    broken["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    cluster.create(&broken).map(drop)
}

/// Waits for a pass over all pods that begins from now on: that of another leader.
fn pass<'c>(cluster: &'c Cluster, earlier: Muslin<'c>, kind: &Kind) -> Result<Muslin<'c>> {
    drop(earlier);
    let muslin = start(cluster)?;
    let line = format!("muslin_report_resource{{resource=\"{}\"}} 1\n", kind.resource);
    wait("a pass", || Ok(muslin.metrics()?.contains(&line)))?;
    Ok(muslin)
}

pub(super) fn reports_of_findings(cluster: &Cluster) -> Result<()> {
    let files = [definition("MUSLIN_POLICY_REPORTS")?, definition("MUSLIN_OPEN_REPORTS")?];
    kubectl(cluster, &["apply", "-f", COMPONENT])?;
    for namespace in ["shop", "reports-b", "reports-well", "reports-off", "reports-many"] {
        let mode = if namespace == "reports-off" { "off" } else { "audit" };
        cluster.namespace(namespace, &[("muslin.dev/mode", mode)])?;
    }
    for (namespace, name) in [("shop", "web"), ("reports-b", "one"), ("reports-off", "one")] {
        create_broken(cluster, namespace, name)?;
    }
    cluster.create(&pod("reports-well", "well", "debian:12"))?;
    let result = steps(cluster, &files);
    for file in &files {
        cluster.control_plane.kubectl(&["delete", "--ignore-not-found", "-f", file], None)?;
    }
    kubectl(cluster, &["delete", "-f", COMPONENT])?;
    for namespace in ["shop", "reports-b", "reports-well", "reports-off", "reports-many"] {
        cluster.delete_pods(namespace)?;
    }
    result
}

fn steps(cluster: &Cluster, [policy_reports, open_reports]: &[String; 2]) -> Result<()> {
    // Without a definition muslin runs, and goes on looking.
    let muslin = start(cluster)?;
    let unused = |kind: &Kind| format!("muslin_report_resource{{resource=\"{}\"}} 0\n", kind.resource);
    let metrics = muslin.metrics()?;
    ensure!(metrics.contains(&unused(&OPEN_REPORTS)) && metrics.contains(&unused(&POLICY_REPORTS)), "{metrics}");
    // The lease of an earlier leader ends after 15 s, and the first look follows within 5 s.
    thread::sleep(Duration::from_secs(25));
    kubectl(cluster, &["apply", "-f", policy_reports])?;
    let began = Instant::now();
    while report(cluster, &POLICY_REPORTS, "shop")?.is_null() {
        ensure!(began.elapsed() < LOOKS_AGAIN, "muslin does not find the definition: {}", muslin.metrics()?);
        thread::sleep(Duration::from_secs(1));
    }
    let first = checked(cluster, &POLICY_REPORTS)?;
    println!(
        "\n- {}: found by a running muslin, {} results accepted with strict validation",
        POLICY_REPORTS.resource, first
    );

    // The next leader finds the same, and writes nothing.
    let version =
        |kind: &Kind| -> Result<Value> { Ok(report(cluster, kind, "shop")?["metadata"]["resourceVersion"].clone()) };
    let before = version(&POLICY_REPORTS)?;
    let muslin = pass(cluster, muslin, &POLICY_REPORTS)?;
    ensure!(version(&POLICY_REPORTS)? == before, "an unchanged report is written again");

    // OpenReports are preferred, and the reports of the other resource go.
    kubectl(cluster, &["apply", "-f", open_reports])?;
    wait("served", || {
        Ok(cluster.control_plane.kubectl(&["get", OPEN_REPORTS.resource, "-A"], None)?.status.success())
    })?;
    let muslin = pass(cluster, muslin, &OPEN_REPORTS)?;
    let found = checked(cluster, &OPEN_REPORTS)?;
    ensure!(report(cluster, &POLICY_REPORTS, "shop")?.is_null(), "the other report is still there");
    println!(
        "- {}: preferred where both exist, {found} results accepted with strict validation",
        OPEN_REPORTS.resource
    );
    shown_by_the_page(cluster)?;

    let muslin = edited_by_hand(cluster, muslin)?;

    // A report goes with its last finding, and is rewritten only where something changed.
    let before = version(&OPEN_REPORTS)?;
    cluster.delete_pods("reports-b")?;
    many(cluster)?;
    let _muslin = pass(cluster, muslin, &OPEN_REPORTS)?;
    ensure!(report(cluster, &OPEN_REPORTS, "reports-b")?.is_null(), "the report outlives its findings");
    ensure!(version(&OPEN_REPORTS)? == before, "an unchanged report is written again");
    let large = report(cluster, &OPEN_REPORTS, "reports-many")?;
    let results = large["results"].as_array().context("no results")?;
    ensure!(results.len() == RESULTS_MAX + 1 && large["summary"]["skip"] == 1, "{:#}", large["summary"]);
    let left_out = &large["metadata"]["annotations"]["muslin.dev/results-left-out"];
    let last = &results[RESULTS_MAX];
    let message = last["message"].as_str().unwrap_or_default();
    ensure!(last["result"] == "skip" && message.ends_with(left_out.as_str().context("not counted")?), "{last:#}");
    println!("- bounded: {message}");
    // The report of a namespace is in the namespace, so that Kubernetes deletes both.
    let others = kubectl(cluster, &["get", OPEN_REPORTS.resource, "-A", "-o", "name"])?;
    ensure!(others.lines().count() == 2, "{others}");
    Ok(())
}

/// Edits a report and takes another one's owner away, and checks that the next pass writes both again.
fn edited_by_hand<'c>(cluster: &'c Cluster, muslin: Muslin<'c>) -> Result<Muslin<'c>> {
    let written = |namespace: &str| anyhow::Ok(timeless(report(cluster, &OPEN_REPORTS, namespace)?));
    let before = [written("shop")?, written("reports-b")?];
    let patch = |namespace: &str, patch: &str| {
        let arguments = ["patch", OPEN_REPORTS.versioned, "muslin-dns", "-n", namespace, "--type=merge", "-p", patch];
        kubectl(cluster, &arguments)
    };
    patch("shop", r#"{"results": [], "summary": {"fail": 0}}"#)?;
    patch("reports-b", r#"{"metadata": {"ownerReferences": null}}"#)?;
    let muslin = pass(cluster, muslin, &OPEN_REPORTS)?;
    let after = [written("shop")?, written("reports-b")?];
    let fields = |report: &Value| ["results", "summary"].map(|field| report[field].clone());
    for (before, after) in before.iter().zip(&after) {
        let owners = |report: &Value| report["metadata"]["ownerReferences"].clone();
        ensure!(fields(before) == fields(after) && owners(before) == owners(after), "{before:#} became {after:#}");
    }
    println!("- edited by hand: written again");
    Ok(muslin)
}

/// Creates more workloads with findings than a report has room for.
fn many(cluster: &Cluster) -> Result<()> {
    let mut broken = pod("reports-many", "", "alpine:3.19");
    broken["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    let named = |number: usize| {
        let mut broken = broken.clone();
        broken["metadata"]["name"] = json!(format!("many-{number}"));
        broken
    };
    let pods: Vec<Value> = (0..RESULTS_MAX + 10).map(named).collect();
    cluster.create(&json!({ "apiVersion": "v1", "kind": "List", "items": pods })).map(drop)
}

/// Checks the reports of all namespaces, and returns the number of results in `shop`.
fn checked(cluster: &Cluster, kind: &Kind) -> Result<usize> {
    let found = report(cluster, kind, "shop")?;
    ensure!(found["apiVersion"] == kind.api_version, "{found:#}");
    let results = found["results"].as_array().context("no results")?;
    let of = |rule: &str| results.iter().find(|result| result["policy"] == rule).context("no finding");
    let denied = of("attempts-zero")?;
    let expected = json!({
        "policy": "attempts-zero", "rule": "attempts-zero", "result": "fail", "severity": "high", "category": "DNS",
        "source": "muslin", "scored": true,
    });
    for (field, value) in expected.as_object().into_iter().flatten() {
        ensure!(denied[field] == *value, "{field}: {found:#}");
    }
    ensure!(denied["properties"]["pods"] == "1" && denied["properties"]["workload"] == "Deployment/web", "{found:#}");
    let pod = &denied["resources"][0];
    ensure!((&pod["kind"], &pod["namespace"]) == (&json!("Pod"), &json!("shop")), "{found:#}");
    let seconds = denied["timestamp"]["seconds"].as_i64().context("no time")?;
    ensure!((jiff::Timestamp::now().as_second() - seconds).abs() < 600, "{found:#}");
    for word in ["pass", "fail", "warn", "error", "skip"] {
        let count = results.iter().filter(|result| result["result"] == word).count();
        ensure!(found["summary"][word] == count, "{found:#}");
    }
    ensure!(results.iter().any(|result| result["result"] == "warn" && result["scored"] == false), "{found:#}");
    let owner = &found["metadata"]["ownerReferences"][0];
    ensure!(owner["kind"] == "ClusterRole" && owner["name"] == "muslin-reports", "{found:#}");
    for empty in ["reports-well", "reports-off"] {
        ensure!(report(cluster, kind, empty)?.is_null(), "{empty} has a report");
    }
    // The API server warns about fields that the definition does not have.
    let mut copy = found.clone();
    copy["metadata"] = json!({ "name": "copy", "namespace": "shop" });
    let arguments = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    let output = cluster.control_plane.kubectl(&arguments, Some(&copy.to_string()))?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
    Ok(results.len())
}

/// Compares the report with that of docs/reports.md, but for what differs in each cluster.
fn shown_by_the_page(cluster: &Cluster) -> Result<()> {
    let page = fs::read_to_string(PAGE)?;
    let sample = page.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("\n```")).context("no sample")?.0;
    let shown: Value = serde_saphyr::from_str(sample)?;
    let found = kubectl(cluster, &["get", OPEN_REPORTS.resource, "muslin-dns", "-n", "shop", "-o", "yaml"])?;
    ensure!(
        timeless(shown) == timeless(serde_saphyr::from_str(&found)?),
        "docs/reports.md shows another report than\n{found}"
    );
    Ok(())
}

/// Removes ids and times.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for field in
                ["uid", "resourceVersion", "creationTimestamp", "generation", "seconds", "muslin.dev/results-hash"]
            {
                fields.remove(field);
            }
            fields.values_mut().for_each(|field| *field = timeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}
