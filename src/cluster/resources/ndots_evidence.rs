//! The evidence for a profile's `ndots`, in an annotation of the profile: which log of queries showed that no name is lost. Must not
//! know how logs are read.

use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};

use super::profile_conversion::ProfileProblem;
use super::resolver_profile::{Options, ResolverProfile};

/// The annotation of a ResolverProfile that holds the evidence, as JSON.
pub const NDOTS_EVIDENCE_ANNOTATION: &str = "muslin.dev/ndots-evidence";

/// The result of a log of queries for the pods of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NdotsEvidence {
    /// The workloads, each `NAMESPACE/KIND/NAME`.
    pub workloads: Vec<String>,
    /// The lowest `ndots` that loses none of the names they asked for.
    pub ndots: u32,
    /// The queries of these workloads in the log.
    pub queries: u64,
    /// The number of their pods that asked.
    pub pods: usize,
    /// The time of the log's first query, if the log has times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The time of the log's last query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

// === impl NdotsEvidence ===

impl NdotsEvidence {
    /// Returns what is wrong with the evidence of a profile: nothing if it has none, as risks are accepted by name.
    pub(in crate::cluster) fn problem(resource: &ResolverProfile) -> Option<ProfileProblem> {
        let problem = |message: String| Some(ProfileProblem::new(NDOTS_EVIDENCE_ANNOTATION, message));
        let evidence = match serde_json::from_str::<Self>(resource.annotations().get(NDOTS_EVIDENCE_ANNOTATION)?) {
            Ok(evidence) => evidence,
            Err(error) => return problem(format!("cannot be read: {error}")),
        };
        let lowest = resource.spec.options.musl_ndots().filter(|lowest| *lowest < evidence.ndots)?;
        let needed = evidence.ndots;
        problem(format!("the log shows names that need ndots:{needed}, and the profile sets ndots:{lowest}"))
    }
}

// === impl Options ===

impl Options {
    /// Returns the lowest `ndots` of the rows for pods that have musl, or may have it; `None` if none of them sets it.
    pub fn musl_ndots(&self) -> Option<u32> {
        let Self { musl, musl_releases, mixed, others, glibc: _, go: _ } = self;
        let releases = musl_releases.iter().flat_map(|row| &row.options);
        let options = releases.chain(musl).chain(mixed).chain(others);
        options.filter_map(|option| option.strip_prefix("ndots:")?.parse().ok()).min()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(options: &serde_json::Value, evidence: &str) -> Option<String> {
        let resource = json!({
            "apiVersion": "muslin.dev/v1alpha1",
            "kind": "ResolverProfile",
            "metadata": {"name": "web", "annotations": {NDOTS_EVIDENCE_ANNOTATION: evidence}},
            "spec": {"options": options},
        });
        NdotsEvidence::problem(&serde_json::from_value(resource).unwrap()).map(|problem| problem.to_string())
    }

    #[test]
    fn a_profile_sets_no_lower_ndots_than_its_evidence() {
        let evidence = r#"{"workloads":["shop/Deployment/web"],"ndots":2,"queries":9,"pods":1}"#;
        for (options, is_lower) in [
            (json!({"musl": ["ndots:1"], "others": ["ndots:2"]}), true),
            (json!({"others": ["ndots:1"]}), true),
            (json!({"muslReleases": [{"options": ["ndots:1"]}]}), true),
            (json!({"mixed": ["ndots:2"], "glibc": ["ndots:1"], "go": ["ndots:1"]}), false),
            (json!({"musl": ["attempts:3"]}), false),
        ] {
            let problem = problem(&options, evidence);
            assert_eq!(problem.is_some(), is_lower, "{options}: {problem:?}");
        }
        let problem = problem(&json!({}), "{}").unwrap();
        assert!(problem.starts_with("muslin.dev/ndots-evidence: cannot be read: missing field"), "{problem}");
    }
}
