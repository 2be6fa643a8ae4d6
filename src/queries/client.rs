//! Lookups from the queries of one pod. Order does not matter: lookups may overlap and be repeated, and the logs of several replicas may
//! follow each other. If a query has several readings, each reading that needs a higher `ndots` stays possible.

use super::node_domains::NodeDomains;
use super::query::{Outcome, Query};
use super::search_list::{Candidate, SearchList, below};
use super::traffic::{Certainty, Traffic};
use super::tried::{AsIs, Tried, TriedNames};

/// The state of one pod.
pub(super) struct Client {
    pub(super) list: SearchList,
    pub(super) names: TriedNames,
}

// === impl Client ===

impl Client {
    pub(super) fn new(list: SearchList) -> Self {
        Self { list, names: TriedNames::default() }
    }

    /// Adds a query to the pod's lookups. Returns false for a candidate of a search that this pod did not begin.
    pub(super) fn add(&mut self, query: &Query<'_>, nodes: &mut NodeDomains, traffic: &mut Traffic) -> bool {
        let name = &*query.name;
        let candidates = self.list.candidates(name, nodes.domains());
        let is_searched = self.names.get(name).is_some_and(Tried::is_searched);
        let searched_in_vain = self.searched_in_vain(name);
        if candidates.is_empty() && self.list.has_node_domains() {
            self.learn(query, is_searched, nodes, traffic);
        }
        if query.outcome == Outcome::Found {
            self.found(name, &candidates, traffic);
            return true;
        }
        if candidates.is_empty() || searched_in_vain {
            if is_searched {
                let tried = self.names.entry(name);
                tried.as_is = if tried.as_is == AsIs::Found { AsIs::Found } else { AsIs::Missing };
            }
            return true;
        }
        self.missing(query, &candidates, traffic)
    }

    /// Returns whether every domain was asked for a name in vain, so that the resolver ends with the name as it is.
    fn searched_in_vain(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|tried| tried.is_searched() && tried.missed_before(self.list.own()))
    }

    fn found(&mut self, name: &str, candidates: &[Candidate<'_>], traffic: &mut Traffic) {
        for candidate in candidates {
            let tried = self.names.entry(candidate.bare);
            tried.found |= 1 << candidate.domain;
            if traffic.searched_by_server.is_none() && self.list.no_service_has(*candidate) {
                traffic.searched_by_server = Some(name.into());
            }
            traffic.find(candidate.bare, name, certainty(*candidate, tried), 1);
        }
        let tried = self.names.entry(name);
        tried.as_is = AsIs::Found;
        traffic.exists_as_is(name, std::mem::take(&mut tried.wasted));
    }

    /// Adds a candidate that does not exist, to the longest name whose search has come to it; otherwise it begins a search.
    fn missing(&mut self, query: &Query<'_>, candidates: &[Candidate<'_>], traffic: &mut Traffic) -> bool {
        let continues = |candidate: &&Candidate<'_>| {
            candidate.domain > 0
                && self
                    .names
                    .get(candidate.bare)
                    .is_some_and(|tried| tried.is_searched() && tried.missed_before(candidate.domain))
        };
        let continued = candidates.iter().rev().find(continues);
        let begun = candidates.first().filter(|first| first.domain < self.list.own());
        let Some(Candidate { domain, bare }) = continued.or(begun).copied() else { return true };
        let is_first = domain == 0 || continued.is_some();
        let tried = self.names.entry(bare);
        match query.outcome {
            Outcome::NxDomain => tried.missing |= 1 << domain,
            _ => tried.failed |= 1 << domain,
        }
        if query.outcome == Outcome::NoData {
            return is_first; // most often AAAA of a name that has A
        }
        let exists = tried.as_is == AsIs::Found;
        if !exists {
            tried.wasted += 1;
        }
        traffic.waste(bare, exists);
        if tried.found != 0 {
            // Now that an earlier candidate is known, it may be surer that the search found the name.
            let domain = tried.found.trailing_zeros() as usize;
            traffic.know_better(bare, certainty(Candidate { domain, bare }, tried));
        }
        is_first
    }

    /// Learns the node's domains: after a search in vain, resolvers ask for the same name below them.
    fn learn(&self, query: &Query<'_>, is_searched: bool, nodes: &mut NodeDomains, traffic: &mut Traffic) {
        let name = &*query.name;
        for (dot, _) in name.match_indices('.') {
            let (bare, ending) = (&name[..dot], &name[dot + 1..]);
            if !self.searched_in_vain(bare) {
                continue;
            }
            nodes.note(bare, ending);
            let exists_as_is = self.names.get(bare).is_some_and(|tried| tried.as_is == AsIs::Found);
            if query.outcome == Outcome::Found && !is_searched && !exists_as_is {
                traffic.find(bare, name, Certainty::MaybeFull, 1);
            }
        }
    }
}

/// Returns how sure it is that a candidate which exists was found by a search.
fn certainty(candidate: Candidate<'_>, tried: &Tried) -> Certainty {
    match candidate.domain {
        0 if candidate.bare.contains('.') => Certainty::MaybeFull,
        0 => Certainty::Sure,
        domain if tried.missed_before(domain) => Certainty::Sure,
        _ => Certainty::Cut,
    }
}

/// Returns the namespace below which a resolver with `ndots` searched for a name with dots: that of `NAME.NAMESPACE.svc.DOMAIN`.
pub(super) fn namespace_of_search<'n>(name: &'n str, cluster_domain: &str) -> Option<&'n str> {
    let (bare, namespace) = below(below(name, cluster_domain)?, "svc")?.rsplit_once('.')?;
    (bare.contains('.') && namespace != "svc").then_some(namespace)
}
