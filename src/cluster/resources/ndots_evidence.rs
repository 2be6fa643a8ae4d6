//! The evidence for a profile's `ndots`, in an annotation of the profile: which log of queries showed that no name is lost. Must not
//! know how logs are read.
//!
//! An `ndots` below the kubelet's needs evidence in the rows for pods that have musl, or may have it, because musl never searches for a
//! name with as many dots. Pods with glibc or Go alone lose no name, so their rows need none.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};

use super::profile_conversion::ProfileProblem;
use super::resolver_profile::{Options, ResolverProfile};
use crate::policy::ndots;

/// The annotation of a ResolverProfile that holds the evidence, as JSON.
pub const NDOTS_EVIDENCE_ANNOTATION: &str = "muslin.dev/ndots-evidence";

/// The rule whose risk such a profile accepts.
const RISK: &str = "ndots-breaks-musl";

/// The kubelet's own `ndots` (kubernetes `pkg/kubelet/network/dns/dns.go`), with which every name was found.
const CLUSTER_NDOTS: u32 = 5;

/// The highest `ndots` that a resolver keeps (`src/resolver/stubs/`).
const NDOTS_MAX: u32 = 15;

/// The most by which the clock of the machine that read the log is ahead of muslin's.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// The first commit of Kubernetes: an earlier log is none of a cluster.
const KUBERNETES_BEGAN: &str = "2014-06-06T00:00:00Z";

/// The result of a log of queries for the pods of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NdotsEvidence {
    /// The workloads, each `NAMESPACE/KIND/NAME`.
    pub workloads: Vec<String>,
    /// The lowest `ndots` with which no resolver loses any of the names they asked for.
    pub ndots: u32,
    /// The queries of these workloads in the log.
    pub queries: u64,
    /// The number of their pods that asked.
    pub pods: usize,
    /// The time of the log's first query.
    pub from: Timestamp,
    /// The time of the log's last query.
    pub to: Timestamp,
}

// === impl NdotsEvidence ===

impl NdotsEvidence {
    /// Returns what is wrong with the evidence of a profile: nothing if it has none.
    pub(in crate::cluster) fn problem(resource: &ResolverProfile, now: Timestamp) -> Option<ProfileProblem> {
        let problem = |message: String| Some(ProfileProblem::new(NDOTS_EVIDENCE_ANNOTATION, message));
        let evidence = match serde_json::from_str::<Self>(resource.annotations().get(NDOTS_EVIDENCE_ANNOTATION)?) {
            Ok(evidence) => evidence,
            Err(error) => return problem(format!("cannot be read: {error}")),
        };
        if let Some(fault) = evidence.fault(&resource.spec.namespaces, now) {
            return problem(fault);
        }
        let lowest = resource.spec.options.musl_ndots().filter(|lowest| *lowest < evidence.ndots)?;
        let needed = evidence.ndots;
        problem(format!("the log shows names that need ndots:{needed}, and the profile sets ndots:{lowest}"))
    }

    /// Returns what no log of a cluster can show.
    fn fault(&self, namespaces: &[String], now: Timestamp) -> Option<String> {
        let Self { workloads, ndots, queries, pods, from, to } = self;
        let named = workloads.iter().map(|workload| namespace_of(workload)).collect::<Option<Vec<_>>>();
        let Some(named) = named.filter(|all| !all.is_empty()) else {
            return Some("workloads is a list of NAMESPACE/KIND/NAME, and not empty".to_owned());
        };
        if let Some(namespace) = namespaces.iter().find(|namespace| !named.contains(&namespace.as_str())) {
            return Some(format!("no workload is in the namespace {namespace}, which the profile names"));
        }
        if !(1..=NDOTS_MAX).contains(ndots) {
            return Some(format!("ndots is {ndots}, and not between 1 and {NDOTS_MAX}"));
        }
        if *pods == 0 || *queries < *pods as u64 {
            return Some(format!("{queries} queries of {pods} pods: each pod asked at least once"));
        }
        if from > to {
            return Some(format!("the log ends at {to}, before it begins at {from}"));
        }
        if to.duration_since(now) > CLOCKS_DIFFER {
            return Some(format!("the log ends at {to}, in the future"));
        }
        let is_older = KUBERNETES_BEGAN.parse::<Timestamp>().is_ok_and(|began| *from < began);
        is_older.then(|| format!("the log begins at {from}, before there was Kubernetes"))
    }

    /// Returns what a profile with a low `ndots` lacks: the evidence, or the name of the risk.
    pub(in crate::cluster) fn missing(resource: &ResolverProfile) -> Option<ProfileProblem> {
        let ndots = resource.spec.options.musl_ndots().filter(|ndots| *ndots < CLUSTER_NDOTS)?;
        let mut missing = Vec::new();
        if !resource.annotations().contains_key(NDOTS_EVIDENCE_ANNOTATION) {
            missing.push(format!(
                "attach the evidence that `muslin queries -o profile` prints ({NDOTS_EVIDENCE_ANNOTATION})"
            ));
        }
        if !resource.spec.accept_risk.iter().any(|risk| risk == RISK) {
            missing.push(format!("name {RISK} in acceptRisk"));
        }
        let message = format!("with ndots:{ndots} musl can lose names: {}", missing.join(", and "));
        (!missing.is_empty()).then(|| ProfileProblem::new("options", message))
    }
}

/// Returns the namespace of a workload, `NAMESPACE/KIND/NAME`.
fn namespace_of(workload: &str) -> Option<&str> {
    let parts: Vec<&str> = workload.split('/').collect();
    match *parts {
        [namespace, kind, name] if ![namespace, kind, name].contains(&"") => Some(namespace),
        _ => None,
    }
}

// === impl Options ===

impl Options {
    /// Returns the lowest `ndots` of the rows for pods that have musl, or may have it; `None` if none of them sets it.
    pub fn musl_ndots(&self) -> Option<u32> {
        self.lowest_ndots([&self.musl, &self.mixed, &self.others], true)
    }

    /// Returns the lowest `ndots` of these rows, and of those for releases of musl if asked for; `None` if none of them sets it.
    pub fn lowest_ndots<'r>(
        &'r self,
        rows: impl IntoIterator<Item = &'r Vec<String>>,
        with_releases: bool,
    ) -> Option<u32> {
        let releases = self.musl_releases.iter().filter(|_| with_releases).map(|row| &row.options);
        rows.into_iter().chain(releases).filter_map(|row| ndots(row)).min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn evidence() -> Value {
        json!({
            "workloads": ["shop/Deployment/web"], "ndots": 2, "queries": 9, "pods": 1,
            "from": "2026-11-30T10:00:00Z", "to": "2026-11-30T11:00:00Z",
        })
    }

    fn resource(spec: &Value, evidence: Option<&str>) -> ResolverProfile {
        let annotations: std::collections::BTreeMap<_, _> =
            evidence.map(|evidence| (NDOTS_EVIDENCE_ANNOTATION, evidence)).into_iter().collect();
        let resource = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile",
            "metadata": {"name": "web", "annotations": annotations}, "spec": spec,
        });
        serde_json::from_value(resource).unwrap()
    }

    fn problem(spec: &Value, evidence: &str) -> Option<String> {
        let problem = NdotsEvidence::problem(&resource(spec, Some(evidence)), NOW.parse().unwrap());
        problem.map(|problem| problem.to_string())
    }

    #[test]
    fn a_profile_sets_no_lower_ndots_than_its_evidence() {
        for (options, is_lower) in [
            (json!({"musl": ["ndots:1"], "others": ["ndots:2"]}), true),
            (json!({"others": ["ndots:1"]}), true),
            (json!({"muslReleases": [{"options": ["ndots:1"]}]}), true),
            (json!({"mixed": ["ndots:2"], "glibc": ["ndots:1"], "go": ["ndots:1"]}), false),
            (json!({"musl": ["attempts:3"]}), false),
        ] {
            let problem = problem(&json!({"options": options}), &evidence().to_string());
            assert_eq!(problem.is_some(), is_lower, "{options}: {problem:?}");
        }
    }

    #[test]
    fn evidence_that_no_log_can_show_is_rejected_with_the_reason() {
        let spec = json!({"options": {"musl": ["ndots:2"]}, "namespaces": ["shop"]});
        assert_eq!(problem(&spec, &evidence().to_string()), None);
        for (change, reason) in [
            (json!({"workloads": []}), "workloads is a list"),
            (json!({"workloads": ["web"]}), "workloads is a list"),
            (json!({"workloads": ["shop/Deployment/web/more"]}), "workloads is a list"),
            (json!({"workloads": ["shop//web"]}), "workloads is a list"),
            (json!({"workloads": ["other/Deployment/web"]}), "no workload is in the namespace shop"),
            (json!({"ndots": 0}), "ndots is 0"),
            (json!({"ndots": 16}), "ndots is 16"),
            (json!({"ndots": -1}), "cannot be read"),
            (json!({"queries": 0}), "0 queries of 1 pods"),
            (json!({"pods": 0}), "9 queries of 0 pods"),
            (json!({"pods": 10}), "9 queries of 10 pods"),
            (json!({"from": "2026-11-30T11:00:01Z"}), "before it begins"),
            (json!({"to": "2026-11-30T12:05:01Z"}), "in the future"),
            (json!({"from": "1970-01-01T00:00:00Z"}), "before there was Kubernetes"),
            (json!({"from": "yesterday"}), "cannot be read"),
            (json!({"from": null}), "cannot be read"),
        ] {
            let mut evidence = evidence();
            json_patch::merge(&mut evidence, &change);
            let problem = problem(&spec, &evidence.to_string()).unwrap_or_default();
            assert!(problem.contains(reason), "{change}: {problem}");
        }
        for text in ["", "{}", "[]", "yes", "{\"ndots\":2"] {
            let problem = problem(&spec, text).unwrap();
            assert!(problem.starts_with("muslin.dev/ndots-evidence: cannot be read: "), "{text}: {problem}");
        }
        let ahead = evidence().to_string().replace("11:00:00", "12:05:00");
        assert_eq!(problem(&spec, &ahead), None, "clocks differ");
    }

    #[test]
    fn an_ndots_below_five_for_pods_that_may_have_musl_needs_evidence_and_the_risk_s_name() {
        let missing = |options: Value, risks: &[&str], evidence: Option<&str>| {
            let resource = resource(&json!({"options": options, "acceptRisk": risks}), evidence);
            NdotsEvidence::missing(&resource).map(|problem| problem.to_string())
        };
        for row in ["musl", "mixed", "others"] {
            for ndots in [1, 4] {
                let problem = missing(json!({row: [format!("ndots:{ndots}")]}), &[RISK], None).unwrap_or_default();
                assert!(problem.contains("attach the evidence") && !problem.contains("acceptRisk"), "{row} {problem}");
            }
            assert_eq!(missing(json!({row: ["ndots:5"]}), &[], None), None);
        }
        let without = missing(json!({"musl": ["ndots:4"]}), &[], Some("{}"));
        assert!(
            without.is_some_and(|problem| problem.ends_with("can lose names: name ndots-breaks-musl in acceptRisk"))
        );
        assert_eq!(missing(json!({"musl": ["ndots:2"]}), &[RISK], Some("{}")), None);
        assert_eq!(missing(json!({"glibc": ["ndots:1"], "go": ["ndots:1"]}), &[], None), None);
    }
}
