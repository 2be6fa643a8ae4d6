//! ResolverProfiles that set the `ndots` which the evidence allows, each for the pods of one workload.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::{NDOTS_EVIDENCE_ANNOTATION, NdotsEvidence};
use crate::queries::{Evidence, Pods, Summary, WorkloadName};
use crate::text::Line;

/// The kubelet's own `ndots`.
const CLUSTER_NDOTS: u32 = 5;

/// The most bytes of an object's name (a DNS subdomain).
const NAME_MAX: usize = 253;

/// The numbers of a profile's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    /// For pods with musl, and for pods whose resolver is unknown.
    safe: u32,
    /// For pods with glibc or Go alone.
    falls_back: u32,
}

/// Returns a profile for each workload that can have a lower `ndots`, and notes about the others.
pub(super) fn profiles(
    pods: &Pods,
    summary: &Summary,
    evidence: &[&Evidence],
    all: &[Evidence],
) -> (Vec<Value>, Vec<Line>) {
    let (mut profiles, mut notes) = (Vec::new(), Vec::new());
    for one in evidence {
        match profile(pods, summary, one, all) {
            Ok(profile) => profiles.push(profile),
            Err(why) => notes.push(Line::new(format!("no profile for {}: {why}", shown(&one.workload)))),
        }
    }
    (profiles, notes)
}

fn profile(pods: &Pods, summary: &Summary, evidence: &Evidence, all: &[Evidence]) -> Result<Value, String> {
    if !summary.is_whole {
        return Err("the log lacks queries of many searches, or shows none".to_owned());
    }
    let (Some(from), Some(to)) = (evidence.from, evidence.to) else {
        return Err("the log has no times, which are part of the evidence (`kubectl logs --timestamps`)".to_owned());
    };
    let WorkloadName { namespace, kind, name } = &evidence.workload;
    let labels = pods.labels_of(&evidence.workload);
    if labels.is_empty() {
        return Err("its pods have no label in common that a selector can name".to_owned());
    }
    let together = selected_by(&labels, pods, namespace, all)?;
    let mut rows = Rows { safe: 0, falls_back: 0 };
    for one in &together {
        if one.dropped_names > 0 {
            return Err("names were dropped to bound the memory, so the log does not show all".to_owned());
        }
        let unknown = || unknown_because(one);
        let (safe, result) = one.safe_ndots.zip(one.result.as_ref()).ok_or_else(unknown)?;
        rows = Rows { safe: rows.safe.max(safe), falls_back: rows.falls_back.max(result.ndots) };
    }
    let object_name = format!("{namespace}.{}.{name}", kind.to_ascii_lowercase());
    if object_name.len() > NAME_MAX {
        return Err(format!("its profile's name would have more than {NAME_MAX} bytes"));
    }
    let options = rows.options().ok_or_else(|| format!("it needs ndots:{}", rows.falls_back))?;
    let attached = NdotsEvidence {
        workloads: together.iter().map(|one| shown(&one.workload)).collect(),
        ndots: rows.safe,
        queries: together.iter().map(|one| one.queries).sum(),
        pods: together.iter().map(|one| one.pods).sum(),
        from,
        to,
    };
    let attached = serde_json::to_string(&attached).map_err(|error| error.to_string())?;
    let summary = format!("ndots:{} by the queries of {}", rows.falls_back, shown_short(&evidence.workload));
    let mut spec = json!({
        "summary": summary,
        "namespaces": [namespace],
        "podSelector": {"matchLabels": labels},
        "options": options,
    });
    if rows.safe < CLUSTER_NDOTS {
        spec["acceptRisk"] = json!(["ndots-breaks-musl"]);
    }
    Ok(json!({
        "apiVersion": "muslin.dev/v1alpha1",
        "kind": "ResolverProfile",
        "metadata": {"name": object_name, "annotations": {NDOTS_EVIDENCE_ANNOTATION: attached}},
        "spec": spec,
    }))
}

/// Returns the evidence for each workload that the labels select: a profile must suit all of them.
fn selected_by<'e>(
    labels: &BTreeMap<String, String>,
    pods: &Pods,
    namespace: &str,
    all: &'e [Evidence],
) -> Result<Vec<&'e Evidence>, String> {
    let meets = |pod: &BTreeMap<String, String>| labels.iter().all(|(key, value)| pod.get(key) == Some(value));
    let selected = pods.workloads_with(namespace, meets).into_iter();
    let evidence = |workload: &WorkloadName| {
        all.iter().find(|one| one.workload == *workload).ok_or_else(|| {
            format!("its labels also select {}/{}, of which the log shows nothing", workload.kind, workload.name)
        })
    };
    selected.map(evidence).collect()
}

/// Returns why nothing is known of a workload's `ndots`.
fn unknown_because(evidence: &Evidence) -> String {
    match &evidence.searched_by_server {
        Some(name) => format!("the server searches for its pods, as with autopath ({name} was answered)"),
        None => "it has the node's resolv.conf, so its search list is unknown".to_owned(),
    }
}

// === impl Rows ===

impl Rows {
    /// Returns the profile's options; `None` if no row can be below the kubelet's `ndots`.
    fn options(self) -> Option<Value> {
        let Self { safe, falls_back } = self;
        let row = |ndots: u32| (ndots < CLUSTER_NDOTS).then(|| [format!("ndots:{ndots}")]);
        let mut options = json!({});
        if let Some(row) = row(safe) {
            for key in ["musl", "mixed", "others"] {
                options[key] = json!(row);
            }
        }
        if let Some(row) = row(falls_back).filter(|_| falls_back != safe) {
            for key in ["glibc", "go"] {
                options[key] = json!(row);
            }
        }
        options.as_object().is_some_and(|rows| !rows.is_empty()).then_some(options)
    }
}

fn shown(WorkloadName { namespace, kind, name }: &WorkloadName) -> String {
    format!("{namespace}/{kind}/{name}")
}

/// Returns a workload's name in at most half of the bytes that a profile's summary may have.
fn shown_short(workload: &WorkloadName) -> String {
    crate::text::cut(&shown(workload), 100).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_the_number_of_its_resolvers_below_the_kubelets() {
        let options = |safe, falls_back| Rows { safe, falls_back }.options();
        let row = |ndots: u32| json!([format!("ndots:{ndots}")]);
        assert_eq!(options(2, 2), Some(json!({"musl": row(2), "mixed": row(2), "others": row(2)})));
        let both = json!({"musl": row(4), "mixed": row(4), "others": row(4), "glibc": row(1), "go": row(1)});
        assert_eq!(options(4, 1), Some(both));
        assert_eq!(options(5, 1), Some(json!({"glibc": row(1), "go": row(1)})));
        assert_eq!((options(5, 5), options(6, 6)), (None, None));
    }
}
