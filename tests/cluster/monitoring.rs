//! The dashboard and the alert rules, checked against muslin's metrics.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::profiles::applied;
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    dashboard_alerts_and_docs_name_exactly_the_existing_metrics,
    promtool_accepts_the_alert_rules,
    the_certificate_alert_fires_three_days_before_expiry,
    the_alerts_about_missed_pods_fire_and_end
];

fn rules() -> Result<Value> {
    let text = fs::read_to_string(format!("{MANIFESTS}/monitoring/prometheus-rule.yaml"))?;
    let resource: Value = serde_saphyr::from_str(&text)?;
    Ok(resource["spec"].clone())
}

/// Collects the texts below a key anywhere in a document.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => found.push(text),
            _ => texts(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

/// Returns the names of muslin's metrics in expressions.
fn metrics(expressions: &[&str]) -> BTreeSet<String> {
    let words = expressions.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("muslin_")).map(str::to_owned).collect()
}

fn dashboard_alerts_and_docs_name_exactly_the_existing_metrics(cluster: &Cluster) -> Result<()> {
    let muslin = cluster.muslin_with(&["--inspect-images", "--inspection-budget", "0"].map(str::to_owned))?;
    cluster.namespace("measured", &[])?;
    cluster.created(&pod("measured", "web", "alpine:3.19"))?;
    // Nothing listens there.
    let risks = ["node-searches-lost", "nameserver-blocked", "cache-missing", "loopback-nameserver"];
    let cache = json!({ "nodeLocal": { "address": "127.53.0.9" }, "acceptRisk": risks });
    let (_profile, _) = applied(cluster, "measured", &cache)?;
    wait("the trial of the cache", || Ok(muslin.metrics()?.contains("muslin_node_local_reachable{")))?;
    let text = muslin.metrics()?;
    let there: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(format!("{MANIFESTS}/monitoring/dashboard.json"))?)?;
    let rules = rules()?;
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    texts(&rules, "expr", &mut expressions);
    ensure!(expressions.len() > 15, "{expressions:?}");
    let shown = metrics(&expressions);
    for metric in &shown {
        ensure!(there.contains(metric.as_str()), "there is no {metric} in\n{text}");
    }
    // No panel uses the sum or the count of a histogram.
    let read = |metric: &&&str| !metric.ends_with("_sum") && !metric.ends_with("_count");
    for metric in there.iter().filter(read) {
        ensure!(shown.contains(*metric), "{metric} is neither in the dashboard nor in an alert");
    }
    let list = include_str!("../../docs/metrics.md");
    let listed: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let parts = ["_bucket", "_sum", "_count"];
    let whole = |metric: &&'_ str| parts.iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric).to_owned();
    let whole: BTreeSet<String> = there.iter().map(whole).collect();
    ensure!(whole.iter().map(String::as_str).eq(listed.iter().copied()), "{whole:#?}\n{listed:#?}");
    for counted in [
        r#"muslin_reviews_total{hook="mutate",outcome="changed",mode="inject"} "#,
        r#"muslin_findings_total{rule="musl-slow-retry",level="warn"} "#,
        r#"muslin_injected_options_total{option="attempts"} "#,
        r#"muslin_watch_lag_seconds{resource="namespaces"} "#,
        r#"muslin_watch_lag_seconds{resource="resolverprofiles"} "#,
        r#"muslin_watch_lag_seconds{resource="pods"} "#,
    ] {
        ensure!(text.lines().any(|line| line.starts_with(counted)), "no {counted}in\n{text}");
    }
    for forbidden in ["pod=", "image=", "namespace="] {
        ensure!(!text.contains(forbidden), "a label is unbounded: {forbidden}\n{text}");
    }
    Ok(())
}

fn promtool_accepts_the_alert_rules(_: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rules.yaml");
    fs::write(&file, serde_saphyr::to_string(&rules()?)?)?;
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output();
    let output = output.context("cannot run promtool, which scripts/test installs")?;
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && said.contains("12 rules found"), "{said}{complaint}");
    Ok(())
}

/// At the beginning, one of two replicas has a certificate for another three days and an hour.
fn the_certificate_alert_fires_three_days_before_expiry(_: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = rules()?;
    fs::write(folder.path().join("rules.yaml"), serde_saphyr::to_string(&rules)?)?;
    let name = "MuslinCertificateExpires";
    let mut all = rules["groups"][0]["rules"].as_array().context("there are no rules")?.iter();
    let rule = all.find(|rule| rule["alert"] == name).context("there is no such alert")?;
    let series = |replica: &str, hours: u32| {
        json!({
            "series": format!("muslin_certificate_expiry_seconds{{pod=\"{replica}\"}}"),
            "values": format!("{}x200", hours * 3600)
        })
    };
    let alert = json!({ "exp_labels": rule["labels"], "exp_annotations": rule["annotations"] });
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [series("one", 30 * 24), series("two", 3 * 24 + 1)],
            "alert_rule_test": [
                { "alertname": name, "eval_time": "59m", "exp_alerts": [] },
                { "alertname": name, "eval_time": "61m", "exp_alerts": [alert] }
            ]
        }]
    });
    fs::write(folder.path().join("test.yaml"), serde_saphyr::to_string(&test)?)?;
    let output = Command::new("promtool").args(["test", "rules", "test.yaml"]).current_dir(folder.path()).output();
    let output = output.context("cannot run promtool, which scripts/test installs")?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{said}");
    Ok(())
}

/// The series of the API server begins with its first failure.
fn the_alerts_about_missed_pods_fire_and_end(_: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = rules()?;
    fs::write(folder.path().join("rules.yaml"), serde_saphyr::to_string(&rules)?)?;
    let all = rules["groups"][0]["rules"].as_array().context("there are no rules")?;
    let rule =
        |name: &str| all.iter().find(|rule| rule["alert"] == name).with_context(|| format!("there is no {name}"));
    let missed = rule("MuslinMissesPods")?;
    let missed = json!({ "exp_labels": missed["labels"], "exp_annotations": missed["annotations"] });
    let mut open = rule("MuslinApiServerFailsOpen")?.clone();
    let summary = open["annotations"]["summary"].as_str().context("there is no summary")?;
    open["annotations"]["summary"] = summary.replace("{{ $labels.name }}", "pods.muslin.dev").into();
    open["labels"]["name"] = "pods.muslin.dev".into();
    let open = json!({ "exp_labels": open["labels"], "exp_annotations": open["annotations"] });
    let counts = "apiserver_admission_webhook_fail_open_count";
    let series = |series: String, values: &str| json!({ "series": series, "values": values });
    let at =
        |name: &str, time: &str, alerts: Value| json!({ "alertname": name, "eval_time": time, "exp_alerts": alerts });
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                series("muslin_pods_missed_total{pod=\"one\"}".to_owned(), "0x60 2x60"),
                series("muslin_pods_missed_total{pod=\"two\"}".to_owned(), "0x120"),
                series(format!("{counts}{{name=\"pods.muslin.dev\",type=\"admit\"}}"), "_x60 1x60"),
                series(format!("{counts}{{name=\"other.example.com\",type=\"admit\"}}"), "0+1x120"),
            ],
            "alert_rule_test": [
                at("MuslinMissesPods", "59m", json!([])),
                at("MuslinMissesPods", "65m", json!([missed])),
                at("MuslinMissesPods", "80m", json!([])),
                at("MuslinApiServerFailsOpen", "59m", json!([])),
                at("MuslinApiServerFailsOpen", "65m", json!([open])),
                at("MuslinApiServerFailsOpen", "80m", json!([])),
            ]
        }]
    });
    fs::write(folder.path().join("test.yaml"), serde_saphyr::to_string(&test)?)?;
    let output = Command::new("promtool").args(["test", "rules", "test.yaml"]).current_dir(folder.path()).output();
    let output = output.context("cannot run promtool, which scripts/test installs")?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{said}");
    Ok(())
}
