//! Verdicts that stand on nodes, and search domains that break lookups there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::names::{age, nodes};
use super::nodes::{NodeState, level};
use super::observed::{NodeWatch, Standing};
use super::origins::sentences;
use super::problem::{Kind, Problem};
use crate::policy::{DomainFault, Level};
use crate::verdicts::DIAGNOSES;

/// Returns one problem for each verdict with its subject, and the nodes where it stands.
pub(super) fn verdicts(states: &[NodeState], now: Timestamp) -> Vec<Problem> {
    let mut groups: BTreeMap<(Level, &str, &str), Vec<(&NodeState, &NodeWatch, &Standing)>> = BTreeMap::new();
    for state in states {
        let Some(watch) = state.fresh() else { continue };
        for standing in &watch.verdicts {
            let key = (level(&standing.level), standing.verdict.as_str(), standing.subject.as_str());
            groups.entry(key).or_default().push((state, watch, standing));
        }
    }
    let watched = states.iter().filter(|state| state.fresh().is_some()).count();
    let problem =
        |((level, verdict, subject), mut group): ((Level, &str, &str), Vec<(&NodeState, &NodeWatch, &Standing)>)| {
            group.sort_by(|(a, _, one), (b, _, other)| one.since.cmp(&other.since).then_with(|| a.node.cmp(&b.node)));
            let names: Vec<&str> = group.iter().map(|(state, ..)| state.node.as_str()).collect();
            let on = nodes(&names, watched);
            let since = group.first().map(|(_, _, standing)| standing.since);
            let of = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
            let lasting = since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
            let title = format!("{verdict}{of} on {on}{lasting}");
            let mut problem = Problem::new(level, Kind::Verdict, title).on(&names);
            problem.details.extend(group.first().map(|(_, _, standing)| standing.text.clone()));
            if subject.parse::<IpAddr>().is_ok() {
                let origins = group
                    .iter()
                    .flat_map(|(state, watch, _)| watch.origins.iter().map(|origin| (state.node.as_str(), origin)));
                problem.details.extend(sentences(subject, origins));
            }
            if DIAGNOSES.iter().any(|diagnosis| diagnosis.slug == verdict) {
                problem.details.push(format!("muslin explain {verdict} says what that is, and what to do"));
            }
            (problem.name, problem.since) = (Some(verdict.to_owned()), since);
            problem
        };
    groups.into_iter().map(problem).collect()
}

/// Returns one problem for each search domain that breaks lookups, with its answer and the nodes.
pub(super) fn broken_domains(states: &[NodeState], now: Timestamp) -> Vec<Problem> {
    let mut groups: BTreeMap<(&str, &str), Vec<(&str, Timestamp)>> = BTreeMap::new();
    for state in states {
        for domain in &state.search_domains {
            if DomainFault::named(&domain.answer).is_some() {
                let group = groups.entry((&domain.domain, &domain.answer)).or_default();
                group.push((&state.node, domain.since));
            }
        }
    }
    let checked = states.iter().filter(|state| !state.search_domains.is_empty()).count();
    let problem = |((domain, answer), group): ((&str, &str), Vec<(&str, Timestamp)>)| {
        let names: Vec<&str> = group.iter().map(|(node, _)| *node).collect();
        let since = group.iter().map(|(_, since)| *since).min();
        let lasting = since.map(|since| format!(", for {}", age(since, now))).unwrap_or_default();
        let title = format!(
            "the search domain {domain} answers {answer} for names that do not exist, on {}{lasting}",
            nodes(&names, checked)
        );
        let mut problem = Problem::new(Level::Warn, Kind::SearchDomain, title).on(&names);
        problem = problem.detail("muslin explain broken-search-domain says what that does to lookups, and what helps");
        problem.since = since;
        problem
    };
    groups.into_iter().map(problem).collect()
}
