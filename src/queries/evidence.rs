//! The conclusion for each workload: the lowest `ndots` that loses none of the names it asked for, by resolver, and what it saves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::pods::WorkloadName;
use super::search_list::dots;
use super::traffic::{Certainty, DOTS, Found, Traffic};
use crate::resolver::{Answer, Family, resolves};

/// The lowest `ndots` that is advised. Names without dots need the search list nearly everywhere, and lower is no saving for others.
const LOWEST: usize = 1;

/// The resolvers that JSON has a result for, whatever the workload uses.
const RESOLVERS: [Family; 3] = [Family::Musl, Family::Glibc, Family::Go];

/// The time that a log covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    seconds: Option<f64>,
}

/// The evidence of a log about one workload.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The workload.
    #[serde(flatten)]
    pub workload: WorkloadName,
    /// The resolvers of its containers, by muslin's annotation or by the images' names.
    #[serde(serialize_with = "names_of")]
    #[schemars(with = "Vec<String>")]
    pub uses: BTreeSet<Family>,
    /// The number of its pods that asked.
    pub pods: usize,
    /// The time of the log's first query.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// The time of the log's last query.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
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
    /// A name of the log that no Service can have: the server searches for the pods, as with `autopath`, so that the log does not show
    /// which names need the search. Then nothing is known of `ndots`.
    pub searched_by_server: Option<String>,
    /// The result for the resolvers of the workload; `None` if nothing is known of `ndots`.
    pub result: Option<NdotsResult>,
    /// The lowest `ndots` with which no resolver loses a name, and none asks for a name of the cluster outside of it first.
    pub safe_ndots: Option<u32>,
    /// The result for each resolver alone.
    pub resolvers: Vec<ResolverEvidence>,
}

/// A proposed `ndots` and its effect.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NdotsResult {
    /// The lowest `ndots` with which every name of the log still resolves.
    pub ndots: u32,
    /// The queries of the log that this would have saved; below zero where it costs more than it saves.
    pub saved: i64,
    /// The part of the workload's queries that these are.
    pub saved_share: f64,
    /// Names of the cluster that the resolver would first ask for as they are, outside of the cluster too.
    pub leaked: usize,
}

/// A name that a workload found through the search list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ResolverEvidence {
    /// The resolver's family.
    pub resolver: &'static str,
    /// The result.
    #[serde(flatten)]
    pub result: NdotsResult,
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
    pub(super) fn new(
        workload: &WorkloadName,
        traffic: &Traffic,
        period: &Period,
        is_whole: bool,
        no_leaks: bool,
    ) -> Self {
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
            uses: traffic.resolvers.clone(),
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
            searched_by_server: traffic.searched_by_server.as_deref().map(str::to_owned),
            result: None,
            safe_ndots: None,
            resolvers: Vec::new(),
        };
        evidence.resolvers = RESOLVERS
            .map(|family| ResolverEvidence {
                resolver: family.name(),
                result: evidence.result_for(&BTreeSet::from([family]), traffic, no_leaks),
            })
            .to_vec();
        if !evidence.has_unknown_list && evidence.searched_by_server.is_none() {
            evidence.result = Some(evidence.result_for(&traffic.resolvers, traffic, no_leaks));
            evidence.safe_ndots = Some(evidence.lowest(Family::Musl));
        }
        evidence
    }

    /// Returns the result for a pod with these resolvers, which read one resolv.conf.
    fn result_for(&self, resolvers: &BTreeSet<Family>, traffic: &Traffic, no_leaks: bool) -> NdotsResult {
        let may_be_musl = may_be_musl(resolvers);
        let lowest = resolvers.iter().map(|family| self.lowest(*family)).max();
        let ndots = if may_be_musl || no_leaks { self.lowest(Family::Musl) } else { lowest.unwrap_or_default() };
        let wasted = if may_be_musl { &traffic.wasted } else { &traffic.wasted_before_found };
        let saved: u64 = wasted[(ndots as usize).min(DOTS)..].iter().sum();
        let leaked: Vec<&SearchedName> = self.leaked(ndots).collect();
        // A resolver that falls back asks once more for each of these. An answer counts once, whatever spellings it can belong to.
        let mut more: BTreeMap<&str, u64> = BTreeMap::new();
        for name in &leaked {
            let queries = more.entry(&name.found).or_default();
            *queries = name.queries.max(*queries);
        }
        let more: u64 = more.values().sum();
        let saved = i64::try_from(saved).unwrap_or(i64::MAX).saturating_sub_unsigned(more);
        NdotsResult { ndots, saved, saved_share: share(saved as f64, self.queries), leaked: leaked.len() }
    }

    /// Returns the lowest `ndots` with which a resolver still finds each name of the log, by the resolver's model. An unknown resolver
    /// may be musl. A name with more dots never needs a lower `ndots`, so the one with the most dots decides.
    fn lowest(&self, family: Family) -> u32 {
        let most = self.found_by_search.first().map_or(0, |searched| dots(&searched.name));
        let has_names = !self.found_by_search.is_empty();
        let finds = |ndots: &u32| !has_names || finds_by_search(family, most, *ndots);
        (LOWEST as u32..DOTS as u32).find(finds).unwrap_or(DOTS as u32 - 1)
    }

    /// Returns the names that a resolver would lose with this `ndots`. An unknown resolver may be musl, which never searches for a name
    /// with as many dots.
    pub fn lost(&self, family: Family, ndots: u32) -> impl Iterator<Item = &SearchedName> {
        self.found_by_search.iter().filter(move |searched| !finds_by_search(family, dots(&searched.name), ndots))
    }

    /// Returns the names that a resolver would first ask for as they are, outside of the cluster too, with this `ndots`.
    pub fn leaked(&self, ndots: u32) -> impl Iterator<Item = &SearchedName> {
        self.found_by_search.iter().filter(move |searched| dots(&searched.name) >= ndots as usize)
    }

    /// Returns whether a container of the workload uses musl, or may use it.
    pub fn may_be_musl(&self) -> bool {
        may_be_musl(&self.uses)
    }
}

/// Returns whether one of these resolvers is musl, or may be: an unknown one may.
fn may_be_musl(resolvers: &BTreeSet<Family>) -> bool {
    let may_be = |family: &Family| matches!(family, Family::Musl | Family::Static | Family::Unknown);
    resolvers.is_empty() || resolvers.iter().any(may_be)
}

/// Returns whether a resolver finds a name with so many dots that exists below a search domain, and not as it is.
fn finds_by_search(family: Family, dots: usize, ndots: u32) -> bool {
    const DOMAIN: &str = "cluster.local";
    let name = vec!["a"; dots + 1].join(".");
    let exists = |asked: &str| match asked.strip_suffix(DOMAIN).and_then(|bare| bare.strip_suffix('.')) {
        Some(bare) if bare == name => Answer::Address,
        _ => Answer::NxDomain,
    };
    let family = if may_be_musl(&BTreeSet::from([family])) { Family::Musl } else { family };
    resolves(family.unversioned(), &name, ndots, &[DOMAIN], exists).unwrap_or(false)
}

fn names_of<S: Serializer>(families: &BTreeSet<Family>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(families.iter().map(|family| family.name()))
}

fn share(part: f64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}
