//! The conclusion for each workload: the lowest `ndots` that loses none of the names it asked for, by resolver, and what it saves.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use super::pods::WorkloadName;
use super::search_list::dots;
use super::traffic::{Certainty, DOTS, Found, Traffic};
use crate::resolver::Family;

/// The lowest `ndots` that is advised. Names without dots need the search list nearly everywhere, and lower is no saving for others.
const LOWEST: usize = 1;

/// The resolvers that evidence is for.
const RESOLVERS: [Family; 3] = [Family::Musl, Family::Glibc, Family::Go];

/// The time that a log covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    seconds: Option<f64>,
}

/// The evidence of a log about one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The workload.
    #[serde(flatten)]
    pub workload: WorkloadName,
    /// The number of its pods that asked.
    pub pods: usize,
    /// The time of the log's first query.
    pub from: Option<Timestamp>,
    /// The time of the log's last query.
    pub to: Option<Timestamp>,
    /// The queries of the workload.
    pub queries: u64,
    /// The same for each second.
    pub queries_per_second: Option<f64>,
    /// Queries for candidates of the search list that did not exist.
    pub wasted: u64,
    /// The part of all queries that these are, from 0 to 1.
    pub wasted_share: f64,
    /// The names found through the search list, those with the most dots first.
    pub found_by_search: Vec<SearchedName>,
    /// The number of these names that may have been given in full. They count, which is the safe side.
    pub ambiguous: usize,
    /// Names that were dropped to bound the memory: the workload may need a higher `ndots`.
    pub dropped_names: u64,
    /// Is true if the pods have the node's file or their own search list is unknown; then nothing is known of `ndots`.
    pub has_unknown_list: bool,
    /// The result for each resolver.
    pub resolvers: Vec<ResolverEvidence>,
}

/// A name that a workload found through the search list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchedName {
    /// The name as a program gave it.
    pub name: String,
    /// The name that exists.
    pub found: String,
    /// The certainty that the search found it.
    pub certainty: Certainty,
    /// The queries that found it.
    pub queries: u64,
}

/// The result for one resolver.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolverEvidence {
    /// The resolver's family.
    pub resolver: &'static str,
    /// The lowest `ndots` with which every name of the log still resolves.
    pub lowest_ndots: u32,
    /// The queries of the log that this would have saved; below zero where it costs more than it saves.
    pub saved: i64,
    /// The part of the workload's queries that these are.
    pub saved_share: f64,
    /// Names of the cluster that the resolver would first ask for as they are, outside of the cluster too.
    pub leaked: usize,
}

// === impl Period ===

impl Period {
    /// The time between the first and the last query, or a number of seconds that is given.
    pub(super) fn new(from: Option<Timestamp>, to: Option<Timestamp>, seconds: Option<f64>) -> Self {
        let between = from.zip(to).map(|(from, to)| to.duration_since(from).as_secs_f64());
        Self { from, to, seconds: seconds.or(between).filter(|seconds| *seconds > 0.0) }
    }
}

// === impl Evidence ===

impl Evidence {
    pub(super) fn new(workload: &WorkloadName, traffic: &Traffic, period: &Period, is_whole: bool) -> Self {
        // In a whole log a search has all its queries, so a name without them was given in full.
        let drops_cut = is_whole && traffic.dropped == 0;
        let counts = |(_, known): &(&str, &Found)| !(drops_cut && known.certainty == Certainty::Cut);
        let mut names: Vec<SearchedName> = traffic
            .names()
            .filter(counts)
            .map(|(name, Found { found, certainty, queries })| SearchedName {
                name: name.to_owned(),
                found: found.to_string(),
                certainty: *certainty,
                queries: *queries,
            })
            .collect();
        names.sort_by_cached_key(|name| (Reverse(dots(&name.name)), Reverse(name.queries), name.name.clone()));
        let is_ambiguous = |name: &&SearchedName| name.certainty != Certainty::Sure && name.name.contains('.');
        let wasted = traffic.wasted.iter().sum();
        let mut evidence = Self {
            workload: workload.clone(),
            pods: traffic.pods.len(),
            from: period.from,
            to: period.to,
            queries: traffic.queries,
            queries_per_second: period.seconds.map(|seconds| traffic.queries as f64 / seconds),
            wasted,
            wasted_share: share(wasted as f64, traffic.queries),
            ambiguous: names.iter().filter(is_ambiguous).count(),
            found_by_search: names,
            dropped_names: traffic.dropped,
            has_unknown_list: traffic.has_unknown_list,
            resolvers: Vec::new(),
        };
        evidence.resolvers = RESOLVERS.map(|family| evidence.resolver(family, traffic)).to_vec();
        evidence
    }

    fn resolver(&self, family: Family, traffic: &Traffic) -> ResolverEvidence {
        // glibc and Go search after a name as it is was not found, so that no ndots loses a name.
        let falls_back = family != Family::Musl;
        let lowest = if falls_back { LOWEST } else { self.safe_ndots() as usize };
        let leaked: Vec<&SearchedName> = self.lost(lowest as u32).collect();
        let saved: u64 = if falls_back {
            traffic.wasted_before_found[lowest.min(DOTS)..].iter().sum()
        } else {
            traffic.wasted[lowest.min(DOTS)..].iter().sum()
        };
        let more: u64 = leaked.iter().map(|name| name.queries).sum();
        let saved = i64::try_from(saved).unwrap_or(i64::MAX).saturating_sub_unsigned(more);
        ResolverEvidence {
            resolver: family.name(),
            lowest_ndots: lowest as u32,
            saved,
            saved_share: share(saved as f64, self.queries),
            leaked: leaked.len(),
        }
    }

    /// Returns the lowest `ndots` with which no resolver loses a name, and none asks for a name of the cluster outside of it: more than
    /// the dots of every name that was found through the search list.
    pub fn safe_ndots(&self) -> u32 {
        let most = self.found_by_search.iter().map(|searched| dots(&searched.name) + 1).max();
        most.unwrap_or_default().clamp(LOWEST, DOTS - 1) as u32
    }

    /// Returns the names that musl would lose with this `ndots`: it never searches for a name with as many dots.
    pub fn lost(&self, ndots: u32) -> impl Iterator<Item = &SearchedName> {
        self.found_by_search.iter().filter(move |searched| dots(&searched.name) >= ndots as usize)
    }

    /// Returns the result for musl, whose `ndots` is safe for every resolver.
    pub fn musl(&self) -> Option<&ResolverEvidence> {
        self.resolvers.iter().find(|result| result.resolver == Family::Musl.name())
    }
}

fn share(part: f64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}
