//! The pods with which Kubernetes tests Pod Security Admission, in namespaces of each mode: accepted and denied as without muslin, and
//! changed by the plan alone. The tests are Kubernetes' own (tests/conformance/pod-security/fixtures).

#![expect(clippy::print_stdout, reason = "prints lines of docs/conformance.md")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use muslin::policy::Mode;
use serde::Deserialize;
use serde_json::Value;

use super::go_program;
use crate::Cluster;
use crate::common::pods::{planned_in, without_identity};

/// The modes, and how the list of results names the changes of each.
const MODES: [(Mode, &str); 5] = [
    (Mode::Off, "no change is planned"),
    (Mode::Audit, "no change is planned"),
    (Mode::Warn, "changed by the label and annotations of their plans"),
    (Mode::Inject, "changed by the label, annotations and options of their plans"),
    (Mode::Enforce, "changed by the label, annotations and options of their plans"),
];

/// A request of Kubernetes' tests, and the API server's answer.
#[derive(Deserialize)]
struct Exchange {
    path: String,
    request: Value,
    status: u16,
    answer: Value,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

// === impl Exchange ===

impl Exchange {
    /// Returns the key under which the same request of another run is found.
    fn key(&self) -> String {
        format!("{} {}", self.path, self.request)
    }

    fn is_accepted(&self) -> bool {
        self.status == 201
    }

    /// Returns the warnings of muslin, and those of others.
    fn warnings(&self) -> (Vec<&str>, Vec<&str>) {
        self.warnings.iter().flatten().map(String::as_str).partition(|warning| warning.contains("muslin:"))
    }
}

/// Runs Kubernetes' tests in namespaces of a mode, and reads what they recorded; also returns the names of the tests that failed.
fn run(cluster: &Cluster, program: &Path, mode: Option<Mode>) -> Result<(Vec<Exchange>, BTreeSet<String>)> {
    let name = mode.map_or("without", Mode::name);
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("record");
    let output = Command::new(program)
        .arg("-test.v")
        .env("KUBECONFIG", cluster.control_plane.admin_kubeconfig())
        .env("PREFIX", format!("{name}-"))
        .env("MODE", mode.map_or("", Mode::name))
        .env("RECORD", &record)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = said.lines().filter_map(|line| line.trim_start().strip_prefix("--- FAIL: ")?.split(' ').next());
    let failed: BTreeSet<String> = failed.map(str::to_owned).collect();
    ensure!(output.status.success() != failed.contains("TestFixtures"), "{name}: {said}");
    let text = fs::read_to_string(&record).with_context(|| format!("{name}: nothing was recorded: {said}"))?;
    let exchanges: Vec<Exchange> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(exchanges.len() > 1000, "{name}: only {} requests: {said}", exchanges.len());
    Ok((exchanges, failed))
}

/// Returns an object as the API server would store it, without what differs between two requests.
fn stored(object: &Value) -> Result<Value> {
    let text = without_identity(object).to_string();
    // The volume of a service account's token has a random name.
    let mut parts = text.split("\"kube-api-access-");
    let mut same = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        same.push_str("\"kube-api-access-");
        same.push_str(part.get(5..).context("a short name")?);
    }
    Ok(serde_json::from_str(&same)?)
}

/// Checks the answer to one request against that without muslin. Returns whether muslin changed the object.
fn compare(before: &Exchange, after: &Exchange, mode: Mode) -> Result<bool> {
    let (own, others) = after.warnings();
    ensure!(before.warnings() == (Vec::new(), others.clone()), "other warnings: {others:?}");
    ensure!(own.is_empty() || !matches!(mode, Mode::Off | Mode::Audit), "mode {mode} warns: {own:?}");
    ensure!(before.status == after.status, "{} without muslin, {}: {}", before.status, after.status, after.answer);
    if !before.is_accepted() {
        ensure!(before.answer["message"] == after.answer["message"], "{}\n{}", before.answer, after.answer);
        return Ok(false);
    }
    let (before, after) = (stored(&before.answer)?, stored(&after.answer)?);
    let is_pod = before["kind"] == "Pod";
    let expected = if is_pod { planned_in(&before, "default", mode)? } else { before.clone() };
    ensure!(expected == after, "expected {expected:#}\nfound {after:#}");
    Ok(expected != before)
}

/// Compares each pod and Deployment of the tests in each mode.
pub(super) fn pods_of_pod_security(cluster: &Cluster) -> Result<()> {
    let program = go_program("pod-security/fixtures")?;
    let (without, failed_without) = run(cluster, &program, None)?;
    let pods = without.iter().filter(|exchange| exchange.path.ends_with("/pods")).count();
    let denied = without.iter().filter(|exchange| !exchange.is_accepted()).count();
    ensure!(denied > 500 && pods - denied > 200, "{pods} pods, {denied} denied");
    // The harness has begun a line.
    println!("\n- {pods} pods, and as many Deployments with them; {denied} pods are denied without muslin");
    let without: HashMap<String, Exchange> = without.into_iter().map(|exchange| (exchange.key(), exchange)).collect();
    let _muslin = cluster.muslin()?;
    let mut faults = Vec::new();
    for (mode, says) in MODES {
        let (exchanges, failed) = run(cluster, &program, Some(mode))?;
        let (mut changed, mut warned) = (0, 0);
        let before = faults.len();
        for exchange in &exchanges {
            let same = without.get(&exchange.key()).with_context(|| format!("a new request: {}", exchange.key()))?;
            warned += usize::from(!exchange.warnings().0.is_empty());
            match compare(same, exchange, mode) {
                Ok(is_changed) => changed += usize::from(is_changed),
                Err(error) => faults.push(format!("mode {mode}: {}: {error:#}", exchange.path)),
            }
        }
        if failed != failed_without {
            faults.push(format!("mode {mode}: other tests of Kubernetes fail: {failed:?}, without {failed_without:?}"));
        }
        let is_changing = matches!(mode, Mode::Warn | Mode::Inject | Mode::Enforce);
        ensure!((changed > 200) == is_changing, "mode {mode}: {changed} changed");
        let differ = faults.len() - before;
        let changes = if changed == 0 { says.to_owned() } else { format!("{changed} pods {says}") };
        println!(
            "- mode `{mode}`: {} answers as without muslin and as planned ({changes}; {warned} with muslin's warnings), {differ} others",
            exchanges.len() - differ
        );
    }
    if !failed_without.is_empty() {
        println!("- {} of Kubernetes' own tests fail here without muslin: {failed_without:?}", failed_without.len());
    }
    ensure!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
    Ok(())
}
