//! The decision about a rollout, from what was seen of it. Pure: must not know where the evidence is from, or where the decision goes.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::verdicts::statistics::Rate;

/// The limits that the administrator set.
#[derive(Clone, Copy, Debug)]
pub(super) struct RolloutLimits {
    pub(super) percent: u8,
    pub(super) soak: SignedDuration,
    /// The number of pods that may have a finding with the new settings alone.
    pub(super) max_findings: u64,
}

/// The evidence about a rollout from one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The pods with the new settings, and how many of them have a container that restarted.
    pub(super) canary: Rate,
    /// The pods with the last promoted settings that were created in the rollout, and how many of them have a container that restarted.
    pub(super) stable: Rate,
    /// The creation of the first pod with the new settings that still exists.
    pub(super) first_canary: Option<Timestamp>,
    /// The number of pods that have a finding with the new settings alone, and the first of them.
    pub(super) worse: u64,
    pub(super) worse_example: Option<WorsePod>,
    /// The nodes of the pods with the new settings.
    pub(super) nodes: BTreeSet<String>,
    /// The nodes of these that a watcher watches.
    pub(super) watched: usize,
    /// The first verdict of a watcher on one of these nodes that was raised since the rollout began.
    pub(super) verdict: Option<RaisedVerdict>,
    /// The nodes, of all, whose watcher looked names up with the new settings.
    pub(super) looked_up: usize,
    /// The first lookup that failed on a node with the new settings alone, since the rollout began.
    pub(super) failed_lookup: Option<FailedLookup>,
    /// Is true if there are more pods than were looked at.
    pub(super) is_cut: bool,
}

/// A lookup that failed on a node with the new settings alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedLookup {
    pub(super) node: String,
    /// The lookup in a sentence.
    pub(super) text: String,
    pub(super) since: Timestamp,
}

/// A pod with findings that it has with the new settings alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorsePod {
    /// The namespace and the name.
    pub(super) pod: String,
    pub(super) rules: Vec<&'static str>,
}

/// A verdict of the watcher on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RaisedVerdict {
    pub(super) node: String,
    pub(super) verdict: String,
    /// The problem in a sentence.
    pub(super) text: String,
    pub(super) since: Timestamp,
}

/// A decision about a rollout, with the reason in one word and in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Continue(&'static str, String),
    Promote(&'static str, String),
    RollBack(&'static str, String),
}

/// Decides about a rollout. `soaking_since` is the time of the first pod with the new settings, and `now` that of the evidence. Evidence
/// against the new settings ends a rollout at once; only its absence after the whole soak time promotes them.
pub(super) fn decide(
    limits: &RolloutLimits,
    soaking_since: Option<Timestamp>,
    evidence: &Evidence,
    now: Timestamp,
) -> Decision {
    let RolloutLimits { percent, soak, max_findings } = *limits;
    let Evidence { canary, stable, worse, worse_example, verdict, failed_lookup, .. } = evidence;
    if let Some(FailedLookup { node, text, since }) = failed_lookup {
        return Decision::RollBack("LookupsFail", format!("lookups on node {node} since {since}: {text}"));
    }
    if let Some(RaisedVerdict { node, verdict, text, since }) = verdict {
        let message = format!("{verdict} on node {node}, which runs pods with the new settings, since {since}: {text}");
        return Decision::RollBack("VerdictRaised", message);
    }
    if *worse > max_findings {
        let example = worse_example
            .as_ref()
            .map(|WorsePod { pod, rules }| format!(", for example {} on {pod}", rules.join(" and ")));
        let example = example.unwrap_or_default();
        let message = format!(
            "{} with findings that they have with the new settings alone{example}; maxFindings is {max_findings}",
            pods(*worse)
        );
        return Decision::RollBack("WorseFindings", message);
    }
    if canary.exceeds(*stable) {
        let message = format!(
            "containers restarted in {} of {} with the new settings, and in {} of {} with the last promoted ones",
            canary.hits,
            pods(canary.total),
            stable.hits,
            pods(stable.total)
        );
        return Decision::RollBack("PodsRestart", message);
    }
    let Some(since) = soaking_since else {
        let message = format!(
            "{percent} % of new pods get the new settings; no pod has them yet, and the soak time begins with the first"
        );
        return Decision::Continue("WaitingForPods", message);
    };
    let until = since.saturating_add(soak).unwrap_or(Timestamp::MAX);
    let seen =
        format!("{} with the new settings, {} with the last promoted ones", pods(canary.total), pods(stable.total));
    if now < until {
        let message = format!("{percent} % of new pods get the new settings until {until}: {seen}");
        return Decision::Continue("Soaking", message);
    }
    Decision::Promote("Soaked", format!("all new pods get the new settings: {seen}; {}", nothing_against(evidence)))
}

/// Returns the evidence that there is nothing against the new settings, and its limits.
fn nothing_against(evidence: &Evidence) -> String {
    let Evidence { stable, worse, nodes, watched, looked_up, is_cut, .. } = evidence;
    let mut seen = vec![match (watched, nodes.len()) {
        (0, _) => "no node of them has a watcher, so findings and restarts alone decided".to_owned(),
        (watched, all) if *watched < all => format!("no verdict on the {watched} of {all} nodes with a watcher"),
        (_, all) => format!("no verdict on {all} nodes"),
    }];
    if *looked_up > 0 {
        let nodes = if *looked_up == 1 { "1 node".to_owned() } else { format!("{looked_up} nodes") };
        seen.push(format!("no lookup of the watchers on {nodes} fails with the new settings alone"));
    }
    if *worse > 0 {
        seen.push(format!("{} with findings of the new settings, within maxFindings", pods(*worse)));
    }
    if stable.total == 0 {
        seen.push("restarts could not be compared".to_owned());
    }
    if *is_cut {
        seen.push("there are more pods than muslin looks at".to_owned());
    }
    seen.join("; ")
}

fn pods(number: u64) -> String {
    format!("{number} pod{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RolloutLimits = RolloutLimits { percent: 10, soak: SignedDuration::from_hours(1), max_findings: 0 };

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn healthy() -> Evidence {
        Evidence {
            canary: Rate { hits: 0, total: 12 },
            stable: Rate { hits: 1, total: 108 },
            first_canary: Some(at(0)),
            nodes: BTreeSet::from(["node-1".to_owned(), "node-2".to_owned()]),
            watched: 2,
            ..Evidence::default()
        }
    }

    fn reason(decision: &Decision) -> (&'static str, &'static str) {
        match decision {
            Decision::Continue(reason, _) => ("continue", reason),
            Decision::Promote(reason, _) => ("promote", reason),
            Decision::RollBack(reason, _) => ("roll back", reason),
        }
    }

    fn message(decision: Decision) -> String {
        let (Decision::Continue(_, message) | Decision::Promote(_, message) | Decision::RollBack(_, message)) =
            decision;
        message
    }

    #[test]
    fn evidence_against_ends_a_rollout_at_once_and_its_absence_promotes_after_the_soak_time() {
        let verdict = RaisedVerdict {
            node: "node-2".to_owned(),
            verdict: "slow-server".to_owned(),
            text: "10.96.0.10 takes 3 s".to_owned(),
            since: at(5),
        };
        let raised = Evidence { verdict: Some(verdict), ..healthy() };
        let lookup =
            FailedLookup { node: "node-7".to_owned(), text: "musl does not resolve x".to_owned(), since: at(5) };
        let failing = Evidence { failed_lookup: Some(lookup), ..healthy() };
        let worse = Evidence { worse: 1, ..healthy() };
        let restarting = Evidence { canary: Rate { hits: 9, total: 12 }, ..healthy() };
        let flaky = Evidence { canary: Rate { hits: 1, total: 12 }, ..healthy() };
        let alone = Evidence { canary: Rate { hits: 12, total: 12 }, stable: Rate::default(), ..healthy() };
        for (evidence, since, now, expected) in [
            (&healthy(), None, at(1000), ("continue", "WaitingForPods")),
            (&healthy(), Some(at(0)), at(59), ("continue", "Soaking")),
            (&healthy(), Some(at(0)), at(60), ("promote", "Soaked")),
            (&healthy(), Some(at(30)), at(60), ("continue", "Soaking")),
            (&raised, Some(at(0)), at(6), ("roll back", "VerdictRaised")),
            (&raised, Some(at(0)), at(60), ("roll back", "VerdictRaised")),
            (&raised, None, at(6), ("roll back", "VerdictRaised")),
            (&failing, None, at(6), ("roll back", "LookupsFail")),
            (&failing, Some(at(0)), at(60), ("roll back", "LookupsFail")),
            (&worse, Some(at(0)), at(1), ("roll back", "WorseFindings")),
            (&worse, None, at(1), ("roll back", "WorseFindings")),
            (&restarting, Some(at(0)), at(1), ("roll back", "PodsRestart")),
            // One restart among a few pods is chance, and without others there is nothing to compare.
            (&flaky, Some(at(0)), at(60), ("promote", "Soaked")),
            (&alone, Some(at(0)), at(60), ("promote", "Soaked")),
        ] {
            assert_eq!(reason(&decide(&LIMITS, since, evidence, now)), expected, "{evidence:#?}");
        }
    }

    #[test]
    fn as_many_pods_as_the_administrator_allows_may_have_findings() {
        let limits = RolloutLimits { max_findings: 3, ..LIMITS };
        let of = |worse| reason(&decide(&limits, Some(at(0)), &Evidence { worse, ..healthy() }, at(60))).0;
        assert_eq!((of(3), of(4)), ("promote", "roll back"));
    }

    #[test]
    fn a_decision_names_its_evidence() {
        let example = WorsePod { pod: "shop/web-1".to_owned(), rules: vec!["musl-no-tcp", "use-vc-hangs"] };
        let worse = Evidence { worse: 2, worse_example: Some(example), ..healthy() };
        assert_eq!(
            message(decide(&LIMITS, None, &worse, at(0))),
            "2 pods with findings that they have with the new settings alone, for example musl-no-tcp and use-vc-hangs on shop/web-1; \
             maxFindings is 0"
        );
        assert_eq!(
            message(decide(&LIMITS, Some(at(0)), &healthy(), at(0))),
            "10 % of new pods get the new settings until 1970-01-01T01:00:00Z: 12 pods with the new settings, 108 pods with the last \
             promoted ones"
        );
        let promoted = |evidence: &Evidence| message(decide(&LIMITS, Some(at(0)), evidence, at(60)));
        assert!(promoted(&healthy()).ends_with("; no verdict on 2 nodes"));
        assert!(
            promoted(&Evidence { watched: 1, ..healthy() }).ends_with("no verdict on the 1 of 2 nodes with a watcher")
        );
        let tried = promoted(&Evidence { looked_up: 3, ..healthy() });
        assert!(
            tried.ends_with(
                "no verdict on 2 nodes; no lookup of the watchers on 3 nodes fails with the new settings alone"
            ),
            "{tried}"
        );
        let unwatched = promoted(&Evidence { watched: 0, stable: Rate::default(), ..healthy() });
        assert!(
            unwatched.ends_with(
                "no node of them has a watcher, so findings and restarts alone decided; restarts could not be compared"
            ),
            "{unwatched}"
        );
    }
}
