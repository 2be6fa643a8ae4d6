//! The results of one namespace: equal findings on the pods of one workload are one result, and their number is bounded. Must not know
//! the API.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::finding::ReportedFinding;
use crate::policy::Level;
use crate::queries::top_level;
use crate::text::Line;

/// The most results of one report: some hundred kilobytes, where an object may have 1.5 MiB.
pub(super) const RESULTS_MAX: usize = 200;
/// The most pods that one result names.
const PODS_MAX: usize = 10;
/// The longest text, in bytes.
const TEXT_MAX: usize = 1024;

/// The source of each result, by which Policy Reporter groups them.
const SOURCE: &str = "muslin";
/// The category of each result.
const CATEGORY: &str = "DNS";
/// The policy of the result that says how many findings did not fit.
const LEFT_OUT: &str = "results-left-out";

/// The part of a pod that a result names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodMetadata {
    #[serde(default)]
    pub(super) namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: PodLabels,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PodLabels {
    #[serde(default, rename = "pod-template-hash")]
    template_hash: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Owner {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    controller: bool,
}

/// The results of one namespace.
#[derive(Debug, Default)]
pub(super) struct NamespaceResults {
    pub(super) namespace: String,
    /// By workload and finding, the most serious first.
    results: BTreeMap<(Reverse<Level>, String, ReportedFinding), Pods>,
    /// Number of findings that did not fit.
    left_out: usize,
    /// The findings on a pod could not be told.
    is_unknown: bool,
}

/// The pods that have a finding.
#[derive(Debug, Default)]
struct Pods {
    count: usize,
    /// Name and uid of the first ones by name, so that the order of a list does not matter.
    named: BTreeSet<(String, String)>,
}

// === impl PodMetadata ===

impl PodMetadata {
    /// Returns the workload's kind and name, such as `Deployment/web`.
    fn workload(&self) -> String {
        let Self { name, labels, owner_references, .. } = self;
        match owner_references.iter().find(|owner| owner.controller) {
            Some(Owner { kind, name, .. }) => {
                let (kind, name) = top_level(kind, name, labels.template_hash.as_deref());
                format!("{kind}/{name}")
            }
            None => format!("Pod/{name}"),
        }
    }
}

// === impl NamespaceResults ===

impl NamespaceResults {
    pub(super) fn of(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Returns whether the findings on a pod could not be told, so that the results are not all.
    pub(super) fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Adds the findings on a pod; `None` if they cannot be told now.
    pub(super) fn add_pod(&mut self, findings: Option<Vec<ReportedFinding>>, pod: &PodMetadata) {
        let Some(findings) = findings else {
            self.is_unknown = true;
            return;
        };
        if findings.is_empty() {
            return;
        }
        let workload = pod.workload();
        for finding in findings {
            self.add(finding, &workload, pod);
        }
    }

    /// Adds a finding. Beyond the limit, the least serious result makes room for a more serious one.
    fn add(&mut self, finding: ReportedFinding, workload: &str, pod: &PodMetadata) {
        let key = (Reverse(finding.level), workload.to_owned(), finding);
        if !self.results.contains_key(&key) && self.results.len() >= RESULTS_MAX {
            let is_worse = self.results.last_key_value().is_some_and(|(last, _)| key.0 < last.0);
            if !is_worse {
                self.left_out += 1;
                return;
            }
            self.left_out += self.results.pop_last().map_or(0, |(_, pods)| pods.count);
        }
        let pods = self.results.entry(key).or_default();
        pods.count += 1;
        pods.named.insert((pod.name.clone(), pod.uid.clone()));
        if pods.named.len() > PODS_MAX {
            pods.named.pop_last();
        }
    }

    /// Returns the results as both APIs have them, seen at this second since 1970.
    pub(super) fn to_json(&self, at: i64) -> Vec<Value> {
        let timestamp = json!({ "seconds": at, "nanos": 0 });
        let mut results: Vec<Value> =
            self.results.iter().map(|((_, workload, finding), pods)| self.result(workload, finding, pods)).collect();
        if self.left_out > 0 {
            let message = format!(
                "findings left out of this report, which has room for {RESULTS_MAX} results: {}",
                self.left_out
            );
            results.push(json!({
                "policy": LEFT_OUT, "rule": LEFT_OUT, "result": "skip", "severity": "info", "scored": false,
                "message": message,
                "properties": { "explain": format!("muslin scan --namespace {}", self.namespace) },
            }));
        }
        for result in &mut results {
            result["source"] = json!(SOURCE);
            result["category"] = json!(CATEGORY);
            result["timestamp"] = timestamp.clone();
        }
        results
    }

    fn result(&self, workload: &str, finding: &ReportedFinding, pods: &Pods) -> Value {
        let ReportedFinding { level, rule, container, message, help } = finding;
        // `warn` is for requirements that are not scored (wg-policy-prototypes
        // policy-report/pkg/api/wgpolicyk8s.io/v1alpha2/policyreport_types.go).
        let (result, severity) = match level {
            Level::Deny => ("fail", "high"),
            Level::Warn => ("warn", "medium"),
            Level::Info => ("warn", "info"),
        };
        let text = |text: &str| Line::cut(text.to_owned(), TEXT_MAX).into_string();
        let named = pods.named.iter().map(|(name, uid)| {
            json!({ "apiVersion": "v1", "kind": "Pod", "namespace": self.namespace, "name": name, "uid": uid })
        });
        let mut properties = json!({
            "workload": text(workload), "pods": pods.count.to_string(), "help": text(help),
            "explain": format!("muslin explain {rule}"),
        });
        if let Some(container) = container {
            properties["container"] = json!(text(container));
        }
        json!({
            "policy": rule, "rule": rule, "result": result, "severity": severity, "scored": result == "fail",
            "message": text(message), "properties": properties, "resources": named.collect::<Vec<_>>(),
        })
    }
}

/// Returns the counts of results, by their `result`.
pub(super) fn summary(results: &[Value]) -> Value {
    let count = |word: &str| results.iter().filter(|result| result["result"] == word).count();
    json!({
        "pass": count("pass"), "fail": count("fail"), "warn": count("warn"), "error": count("error"), "skip": count("skip"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level, message: &str) -> ReportedFinding {
        let (rule, container, help) = ("attempts-zero", Some("app".to_owned()), "remove it".to_owned());
        ReportedFinding { level, rule, container, message: message.to_owned(), help }
    }

    fn pod(number: usize, workload: &str) -> PodMetadata {
        let owners = json!([{ "kind": "ReplicaSet", "name": format!("{workload}-7d9f"), "controller": true }]);
        let metadata = json!({
            "namespace": "shop", "name": format!("{workload}-7d9f-{number:04}"), "uid": number.to_string(),
            "labels": { "pod-template-hash": "7d9f", "app": "x" }, "ownerReferences": owners, "generation": 1,
        });
        serde_json::from_value(metadata).unwrap()
    }

    fn add(results: &mut NamespaceResults, found: ReportedFinding, pod: &PodMetadata) {
        results.add_pod(Some(vec![found]), pod);
    }

    #[test]
    fn equal_findings_of_one_workload_are_one_result_that_names_some_pods() {
        let mut results = NamespaceResults::of("shop");
        (0..300).for_each(|index| add(&mut results, finding(Level::Deny, "attempts:0"), &pod(index, "web")));
        add(&mut results, finding(Level::Deny, "attempts:0"), &pod(1, "worker"));
        add(&mut results, finding(Level::Warn, "timeout:1"), &pod(1, "web"));
        let json = results.to_json(7);
        let words: Vec<_> = json.iter().map(|result| (&result["result"], &result["properties"]["workload"])).collect();
        let [fail, warn] = [json!("fail"), json!("warn")];
        let [web, worker] = [json!("Deployment/web"), json!("Deployment/worker")];
        assert_eq!(words, [(&fail, &web), (&fail, &worker), (&warn, &web)]);
        assert_eq!(json[0]["properties"]["pods"], "300");
        assert_eq!(json[0]["resources"].as_array().map(Vec::len), Some(PODS_MAX));
        assert_eq!(json[0]["timestamp"], json!({ "seconds": 7, "nanos": 0 }));
        assert_eq!(summary(&json), json!({ "pass": 0, "fail": 2, "warn": 1, "error": 0, "skip": 0 }));
    }

    #[test]
    fn the_order_of_pods_does_not_matter() {
        let (mut one, mut other) = (NamespaceResults::of("shop"), NamespaceResults::of("shop"));
        (0..30).for_each(|index| add(&mut one, finding(Level::Deny, "attempts:0"), &pod(index, "web")));
        (0..30).rev().for_each(|index| add(&mut other, finding(Level::Deny, "attempts:0"), &pod(index, "web")));
        assert_eq!(one.to_json(0), other.to_json(0));
    }

    #[test]
    fn the_results_are_bounded_and_the_serious_ones_stay_and_the_others_are_counted() {
        let mut results = NamespaceResults::of("shop");
        let long = "\u{202e}\"".repeat(10_000);
        for index in 0..1_000 {
            (0..30).for_each(|of| {
                add(&mut results, finding(Level::Warn, &format!("{index}{long}")), &pod(of, "web"));
            });
        }
        add(&mut results, finding(Level::Deny, "d"), &pod(1, "web"));
        let json = results.to_json(0);
        // One result of 30 findings made room.
        let left_out = 801 * 30;
        assert_eq!((json.len(), results.left_out(), &json[0]["message"]), (RESULTS_MAX + 1, left_out, &json!("d")));
        let last = &json[RESULTS_MAX];
        assert_eq!((&last["result"], &last["policy"]), (&json!("skip"), &json!("results-left-out")));
        assert!(last["message"].as_str().unwrap().ends_with(&format!(": {left_out}")), "{last}");
        assert_eq!(summary(&json), json!({ "pass": 0, "fail": 1, "warn": 199, "error": 0, "skip": 1 }));
        // etcd takes 1.5 MiB.
        assert!(json!(json).to_string().len() < 1_400_000, "{}", json!(json).to_string().len());
    }

    #[test]
    fn a_pod_that_cannot_be_judged_makes_the_results_incomplete() {
        let mut results = NamespaceResults::of("shop");
        results.add_pod(None, &pod(1, "web"));
        assert!(results.is_empty() && results.is_unknown());
    }

    #[test]
    fn a_workload_is_the_controllers_or_the_pod_itself() {
        let of = |metadata: Value| serde_json::from_value::<PodMetadata>(metadata).unwrap().workload();
        let owned = |kind: &str, name: &str, controller: bool| {
            of(json!({ "name": "p", "ownerReferences": [{ "kind": kind, "name": name, "controller": controller }] }))
        };
        assert_eq!(owned("StatefulSet", "db", true), "StatefulSet/db");
        assert_eq!(owned("Job", "clean-29000000", true), "CronJob/clean");
        assert_eq!(owned("ReplicaSet", "web-7d9f", true), "ReplicaSet/web-7d9f");
        assert_eq!(owned("ConfigMap", "x", false), "Pod/p");
        assert_eq!(of(json!({ "name": "p" })), "Pod/p");
    }
}
