//! ResolverProfiles that set the `ndots` which the evidence allows, each for the pods of one workload.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::{NDOTS_EVIDENCE_ANNOTATION, NdotsEvidence};
use crate::queries::{Evidence, Pods, WorkloadName};
use crate::text::Line;

use super::output::safe_ndots;

/// The kubelet's own `ndots`.
const CLUSTER_NDOTS: u32 = 5;

/// The `ndots` below which the rule `ndots-breaks-musl` sees a risk: some usual name of a Service has two dots.
const RISKY_BELOW: u32 = 3;

/// The most bytes of a profile's name, which namespaces name in a label.
const NAME_MAX: usize = 63;

/// Returns a profile for each workload that can have a lower `ndots`, and notes about the others.
pub(super) fn profiles(pods: &Pods, evidence: &[Evidence]) -> (Vec<Value>, Vec<Line>) {
    let (mut profiles, mut notes) = (Vec::new(), Vec::new());
    for one in evidence {
        match profile(pods, one, evidence) {
            Ok(profile) => profiles.push(profile),
            Err(why) => {
                let WorkloadName { namespace, kind, name } = &one.workload;
                notes.push(Line::new(format!("no profile for {namespace}/{kind}/{name}: {why}")));
            }
        }
    }
    (profiles, notes)
}

fn profile(pods: &Pods, evidence: &Evidence, all: &[Evidence]) -> Result<Value, String> {
    let WorkloadName { namespace, name, .. } = &evidence.workload;
    let labels = pods.labels_of(&evidence.workload);
    if labels.is_empty() {
        return Err("its pods have no label in common that a selector can name".to_owned());
    }
    let meets = |pod: &BTreeMap<String, String>| labels.iter().all(|(key, value)| pod.get(key) == Some(value));
    let mut together = Vec::new();
    for selected in pods.workloads_with(namespace, meets) {
        match all.iter().find(|one| one.workload == *selected) {
            Some(one) => together.push(one),
            None => {
                return Err(format!(
                    "its labels also select {}/{}, of which the log shows nothing",
                    selected.kind, selected.name
                ));
            }
        }
    }
    let mut ndots = 0;
    for one in &together {
        if one.dropped_names > 0 {
            return Err("names were dropped to bound the memory, so the log does not show all".to_owned());
        }
        ndots = ndots.max(safe_ndots(one).ok_or("its search list is unknown")?);
    }
    if ndots >= CLUSTER_NDOTS {
        return Err(format!("it needs ndots:{ndots}"));
    }
    let attached = NdotsEvidence {
        workloads: together.iter().map(|one| shown(&one.workload)).collect(),
        ndots,
        queries: together.iter().map(|one| one.queries).sum(),
        pods: together.iter().map(|one| one.pods).sum(),
        from: evidence.from.map(|from| from.to_string()),
        to: evidence.to.map(|to| to.to_string()),
    };
    let attached = serde_json::to_string(&attached).map_err(|error| error.to_string())?;
    let option = [format!("ndots:{ndots}")];
    let mut spec = json!({
        "summary": format!("ndots:{ndots} by the queries of {}", shown_short(&evidence.workload)),
        "options": {"musl": option, "mixed": option, "others": option},
        "podSelector": {"matchLabels": labels},
    });
    if ndots < RISKY_BELOW {
        spec["acceptRisk"] = json!(["ndots-breaks-musl"]);
    }
    Ok(json!({
        "apiVersion": "muslin.dev/v1alpha1",
        "kind": "ResolverProfile",
        "metadata": {
            "name": profile_name(namespace, name, ndots),
            "annotations": {NDOTS_EVIDENCE_ANNOTATION: attached},
        },
        "spec": spec,
    }))
}

/// Returns a name that is also a valid value of a label.
fn profile_name(namespace: &str, workload: &str, ndots: u32) -> String {
    let end = format!("-ndots-{ndots}");
    let mut start = format!("{namespace}-{workload}");
    start.truncate(NAME_MAX - end.len());
    format!("{}{end}", start.trim_end_matches(['-', '.']))
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
    fn a_profile_s_name_fits_in_a_label() {
        assert_eq!(profile_name("shop", "web", 2), "shop-web-ndots-2");
        let long = profile_name("shop", &format!("{}-x", "w".repeat(49)), 2);
        assert_eq!((long.len(), long.ends_with("w-ndots-2")), (62, true), "{long}");
    }
}
