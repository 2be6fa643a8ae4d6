//! The alert rules, judged by promtool: each fires when it should, not before its `for`, and is silent otherwise.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::harness::tests;
use crate::common::registration::MANIFESTS;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    promtool_accepts_the_alert_rules,
    each_alert_fires_after_its_time_and_is_silent_otherwise,
    the_alerts_about_missed_pods_end
];

/// The minute of the last sample before the trouble.
const WELL: u32 = 30;

/// A series, with one value a minute, as promtool writes them.
type Series = (&'static str, &'static str);

/// An alert, the series with which it fires from the minute after [`WELL`] on, and those with which it never does.
struct Case {
    alert: &'static str,
    /// Labels of the alert besides those of its rule.
    labels: &'static [(&'static str, &'static str)],
    fires: &'static [Series],
    silent: &'static [Series],
}

const FAILED: &str = r#"muslin_reviews_total{hook="mutate",outcome="failed",mode="inject"}"#;
const FAIL_OPEN: &str = r#"apiserver_admission_webhook_fail_open_count{name="pods.muslin.dev",type="admit"}"#;
const OTHER_FAIL_OPEN: &str = r#"apiserver_admission_webhook_fail_open_count{name="other.example.com",type="admit"}"#;
const QUICK: &str = r#"muslin_review_duration_seconds_bucket{hook="mutate",le="0.5"}"#;
const SLOW: &str = r#"muslin_review_duration_seconds_bucket{hook="mutate",le="2.0"}"#;
const ALL: &str = r#"muslin_review_duration_seconds_bucket{hook="mutate",le="+Inf"}"#;

const CASES: [Case; 16] = [
    Case {
        alert: "MuslinIsGone",
        labels: &[],
        fires: &[(r#"muslin_build_info{pod="one"}"#, "1x30 stale")],
        silent: &[(r#"muslin_build_info{pod="one"}"#, "1x30 stale"), (r#"muslin_build_info{pod="two"}"#, "1x120")],
    },
    Case {
        alert: "MuslinMissesPods",
        labels: &[],
        fires: &[
            (r#"muslin_pods_missed_total{pod="one"}"#, "0x30 2x90"),
            (r#"muslin_pods_missed_total{pod="two"}"#, "0x120"),
        ],
        silent: &[(r#"muslin_pods_missed_total{pod="one"}"#, "7x120")],
    },
    Case {
        alert: "MuslinApiServerFailsOpen",
        labels: &[("name", "pods.muslin.dev")],
        // The series of the API server begins with its first failure.
        fires: &[(FAIL_OPEN, "_x31 1x90"), (OTHER_FAIL_OPEN, "0x120"), ("up", "1x120")],
        // Prometheus begins to read an API server that has counted before.
        silent: &[(FAIL_OPEN, "3x120"), (OTHER_FAIL_OPEN, "0+1x120"), ("up", "1x120")],
    },
    Case {
        alert: "MuslinCertificateExpires",
        labels: &[],
        // In the 31st minute, the certificate of one replica has three days left, and a second less.
        fires: &[
            (r#"muslin_certificate_expiry_seconds{pod="one"}"#, "2592000x120"),
            (r#"muslin_certificate_expiry_seconds{pod="two"}"#, "261059x120"),
        ],
        silent: &[(r#"muslin_certificate_expiry_seconds{pod="one"}"#, "266401x120")],
    },
    Case {
        alert: "MuslinIsSlow",
        labels: &[("hook", "mutate")],
        fires: &[(QUICK, "0x30 0x90"), (SLOW, "0x30 60+60x90"), (ALL, "0x30 60+60x90")],
        // 1 of 200 is slow.
        silent: &[(QUICK, "0+199x120"), (SLOW, "0+200x120"), (ALL, "0+200x120")],
    },
    Case {
        alert: "MuslinFails",
        labels: &[],
        fires: &[(FAILED, "0x30 1+1x90"), ("muslin_panics_total", "0x120")],
        silent: &[(FAILED, "5x120"), ("muslin_panics_total", "1x120")],
    },
    Case {
        alert: "MuslinWatchBroken",
        labels: &[("resource", "namespaces")],
        fires: &[
            (r#"muslin_watch_lag_seconds{resource="namespaces"}"#, "0x30 121+60x90"),
            (r#"muslin_watch_lag_seconds{resource="pods"}"#, "0x120"),
        ],
        silent: &[(r#"muslin_watch_lag_seconds{resource="namespaces"}"#, "119x120")],
    },
    Case {
        alert: "MuslinInspectionsGivenUp",
        labels: &[],
        fires: &[("muslin_inspections_given_up_total", "0x30 1+1x90")],
        silent: &[("muslin_inspections_given_up_total", "4x120")],
    },
    Case {
        alert: "MuslinCannotWriteEvents",
        labels: &[],
        fires: &[("muslin_events_failed_total", "0x30 1+1x90")],
        // A single failure is over before the alert fires.
        silent: &[("muslin_events_failed_total", "0x30 1x90")],
    },
    Case {
        alert: "MuslinRefusesConnections",
        labels: &[],
        fires: &[("muslin_connections_refused_total", "0x30 1+1x90")],
        silent: &[("muslin_connections_refused_total", "0x30 9x90")],
    },
    Case {
        alert: "MuslinSearchDomainBroken",
        labels: &[],
        fires: &[
            (r#"muslin_search_domains_broken{pod="one"}"#, "0x30 1x90"),
            (r#"muslin_search_domains_broken{pod="two"}"#, "0x120"),
        ],
        silent: &[(r#"muslin_search_domains_broken{pod="one"}"#, "0x120")],
    },
    Case {
        alert: "MuslinNodeLocalUnreachable",
        labels: &[("address", "169.254.20.10")],
        fires: &[
            (r#"muslin_node_local_reachable{address="169.254.20.10",pod="one"}"#, "1x30 0x90"),
            (r#"muslin_node_local_reachable{address="169.254.20.10",pod="two"}"#, "1x120"),
        ],
        silent: &[(r#"muslin_node_local_reachable{address="169.254.20.10",pod="one"}"#, "1x120")],
    },
    Case {
        alert: "MuslinProfileRolledBack",
        labels: &[("profile", "web")],
        fires: &[
            (r#"muslin_profile_rollout{profile="web",phase="RolledBack",pod="one"}"#, "0x30 1x90"),
            (r#"muslin_profile_rollout{profile="web",phase="RolledBack",pod="two"}"#, "0x30 1x90"),
        ],
        silent: &[(r#"muslin_profile_rollout{profile="web",phase="Promoted",pod="one"}"#, "0x30 1x90")],
    },
    Case {
        alert: "MuslinDnsFault",
        labels: &[("node", "worker-1"), ("verdict", "fake-ip")],
        fires: &[
            (r#"muslin_probe_verdict{node="worker-1",verdict="fake-ip"}"#, "0x30 1x90"),
            (r#"muslin_probe_verdict{node="worker-2",verdict="fake-ip"}"#, "0x120"),
        ],
        silent: &[(r#"muslin_probe_verdict{node="worker-1",verdict="fake-ip"}"#, "0x120")],
    },
    Case {
        alert: "MuslinDnsFaultOnManyNodes",
        labels: &[("verdict", "stale-nameserver")],
        fires: &[
            (r#"muslin_probe_verdict{node="worker-1",verdict="stale-nameserver"}"#, "0x30 1x90"),
            (r#"muslin_probe_verdict{node="worker-2",verdict="stale-nameserver"}"#, "0x30 1x90"),
            (r#"muslin_probe_verdict{node="worker-3",verdict="stale-nameserver"}"#, "0x30 1x90"),
            (r#"muslin_probe_verdict{node="worker-4",verdict="stale-nameserver"}"#, "0x120"),
        ],
        // Two of three nodes are the fault of these nodes.
        silent: &[
            (r#"muslin_probe_verdict{node="worker-1",verdict="stale-nameserver"}"#, "1x120"),
            (r#"muslin_probe_verdict{node="worker-2",verdict="stale-nameserver"}"#, "1x120"),
            (r#"muslin_probe_verdict{node="worker-3",verdict="stale-nameserver"}"#, "0x120"),
        ],
    },
    Case {
        alert: "MuslinDnsWatchStopped",
        labels: &[("node", "worker-1")],
        // After ten minutes without a round the increase is 0.
        fires: &[
            (r#"muslin_probe_rounds_total{node="worker-1"}"#, "0+2x22 44x97"),
            (r#"muslin_probe_rounds_total{node="worker-2"}"#, "0+2x120"),
        ],
        silent: &[(r#"muslin_probe_rounds_total{node="worker-1"}"#, "0+1x120")],
    },
];

/// The groups of rules in the manifest.
struct Rules(Value);

// === impl Rules ===

impl Rules {
    fn read() -> Result<Self> {
        let text = fs::read_to_string(format!("{MANIFESTS}/monitoring/prometheus-rule.yaml"))?;
        let resource: Value = serde_saphyr::from_str(&text)?;
        Ok(Self(resource["spec"].clone()))
    }

    fn all(&self) -> Result<&[Value]> {
        Ok(self.0["groups"][0]["rules"].as_array().context("there are no rules")?)
    }

    /// Returns an alert with these labels, as promtool expects it.
    fn expected(&self, name: &str, labels: &[(&str, &str)]) -> Result<Value> {
        let rule = self.all()?.iter().find(|rule| rule["alert"] == name).with_context(|| format!("no {name}"))?;
        let mut annotations = rule["annotations"].clone();
        let mut all = rule["labels"].clone();
        for (label, value) in labels {
            all[label] = json!(value);
            for text in annotations.as_object_mut().context("no annotations")?.values_mut() {
                let replaced = text.as_str().unwrap_or_default().replace(&format!("{{{{ $labels.{label} }}}}"), value);
                *text = replaced.into();
            }
        }
        ensure!(!annotations.to_string().contains("{{"), "{name} has a label that the test has not: {annotations}");
        Ok(json!({ "exp_labels": all, "exp_annotations": annotations }))
    }

    /// Returns the minutes that an alert waits before it fires.
    fn waits(&self, name: &str) -> Result<u32> {
        let rule = self.all()?.iter().find(|rule| rule["alert"] == name).with_context(|| format!("no {name}"))?;
        let wait = rule["for"].as_str().with_context(|| format!("{name} has no `for`"))?;
        wait.strip_suffix('m').context("not in minutes")?.parse().with_context(|| wait.to_owned())
    }

    /// Runs promtool with these tests.
    fn test(&self, tests: &[Value]) -> Result<()> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("rules.yaml"), serde_saphyr::to_string(&self.0)?)?;
        let test = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests });
        fs::write(folder.path().join("test.yaml"), serde_saphyr::to_string(&test)?)?;
        promtool(Command::new("promtool").args(["test", "rules", "test.yaml"]).current_dir(folder.path())).map(drop)
    }
}

fn promtool(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot run promtool, which scripts/test installs")?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

fn series(series: &[Series]) -> Vec<Value> {
    series.iter().map(|(series, values)| json!({ "series": series, "values": values })).collect()
}

fn at(name: &str, minute: u32, alerts: &[Value]) -> Value {
    json!({ "alertname": name, "eval_time": format!("{minute}m"), "exp_alerts": alerts })
}

fn promtool_accepts_the_alert_rules(_: &Cluster) -> Result<()> {
    let rules = Rules::read()?;
    let folder = TempDir::new()?;
    let file = folder.path().join("rules.yaml");
    fs::write(&file, serde_saphyr::to_string(&rules.0)?)?;
    let said = promtool(Command::new("promtool").args(["check", "rules"]).arg(&file))?;
    ensure!(said.contains(&format!("{} rules found", CASES.len())), "{said}");
    let tested: Vec<_> = CASES.iter().map(|case| case.alert).collect();
    let alerts: Vec<_> = rules.all()?.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    ensure!(alerts == tested, "{alerts:?}");
    Ok(())
}

fn each_alert_fires_after_its_time_and_is_silent_otherwise(_: &Cluster) -> Result<()> {
    let rules = Rules::read()?;
    let mut tests = Vec::new();
    for Case { alert, labels, fires, silent } in &CASES {
        let begins = WELL + 1;
        let fires_at = begins + rules.waits(alert)?;
        tests.push(json!({
            "interval": "1m",
            "input_series": series(fires),
            "alert_rule_test": [
                at(alert, WELL, &[]),
                at(alert, fires_at - 1, &[]),
                at(alert, fires_at + 1, &[rules.expected(alert, labels)?]),
            ]
        }));
        let never = (0..=100).step_by(5).map(|minute| at(alert, minute, &[])).collect::<Vec<_>>();
        tests.push(json!({ "interval": "1m", "input_series": series(silent), "alert_rule_test": never }));
    }
    rules.test(&tests)
}

fn the_alerts_about_missed_pods_end(_: &Cluster) -> Result<()> {
    let rules = Rules::read()?;
    let ends = |alert: &str, minute: u32| at(alert, minute, &[]);
    let [missed, open] =
        ["MuslinMissesPods", "MuslinApiServerFailsOpen"].map(|alert| CASES.iter().find(|case| case.alert == alert));
    let (missed, open) = missed.zip(open).context("there are no such cases")?;
    let fires = [missed.fires, open.fires].concat();
    rules.test(&[json!({
        "interval": "1m",
        "input_series": series(&fires),
        "alert_rule_test": [ends(missed.alert, WELL + 20), ends(open.alert, WELL + 20)]
    })])
}
