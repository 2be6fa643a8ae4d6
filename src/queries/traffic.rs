//! The counts of one workload: its queries, those wasted on the search list, and the names that it found through the list.

use std::collections::{BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use super::search_list::dots;
use crate::resolver::Family;

/// Names are counted by their dots up to this number; no resolver takes a higher `ndots`.
pub(super) const DOTS: usize = 16;

/// The most names that are kept for one workload. Those with the fewest dots are dropped first, as they need the lowest `ndots`.
const NAMES_MAX: usize = 1000;

/// The most names of pods that are kept for one workload.
const PODS_MAX: usize = 10_000;

/// The certainty with which a log shows that a name was found through the search list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Certainty {
    /// The queries that come before it in a search are not in the log. The name was given in full if the log is whole.
    Cut,
    /// A name with dots was found at once below the first domain, or below a domain seen once: the name may have been given in full.
    MaybeFull,
    /// The queries before it in a search failed, or the name has no dot.
    Sure,
}

/// The queries of one workload.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) pods: BTreeSet<String>,
    /// The resolvers of the pods that asked.
    pub(super) resolvers: BTreeSet<Family>,
    /// All queries, reverse lookups too.
    pub(super) queries: u64,
    /// Queries for candidates of the search list that failed, by the dots of the name that was searched for.
    pub(super) wasted: [u64; DOTS],
    /// The part of `wasted` that belongs to names which exist as they are.
    pub(super) wasted_before_found: [u64; DOTS],
    names: HashMap<Box<str>, Found>,
    /// Names that were dropped, of clients and here.
    pub(super) dropped: u64,
    /// Is true if the pods have the node's file, whose search list is unknown.
    pub(super) has_unknown_list: bool,
    /// An answered name that no Service can have: the server searches for the pods.
    pub(super) searched_by_server: Option<Box<str>>,
}

/// A name that was found through the search list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The whole name.
    pub(super) found: Box<str>,
    pub(super) certainty: Certainty,
    pub(super) queries: u64,
}

// === impl Traffic ===

impl Traffic {
    pub(super) fn add_pod(&mut self, pod: &str, resolvers: &BTreeSet<Family>) {
        if !resolvers.is_subset(&self.resolvers) {
            self.resolvers.extend(resolvers);
        }
        if self.pods.len() < PODS_MAX && !self.pods.contains(pod) {
            self.pods.insert(pod.to_owned());
        }
    }

    /// Counts a query of a search that failed; `exists` says that the name exists as it is.
    pub(super) fn waste(&mut self, bare: &str, exists: bool) {
        self.wasted[class(bare)] += 1;
        if exists {
            self.wasted_before_found[class(bare)] += 1;
        }
    }

    /// Counts queries of a search for a name that turned out to exist as it is.
    pub(super) fn exists_as_is(&mut self, bare: &str, wasted: u64) {
        self.wasted_before_found[class(bare)] += wasted;
    }

    /// Notes that a name was found as `found` through the search list. The surest evidence counts.
    pub(super) fn find(&mut self, bare: &str, found: &str, certainty: Certainty, queries: u64) {
        if let Some(known) = self.names.get_mut(bare) {
            known.queries += queries;
            if certainty > known.certainty {
                known.certainty = certainty;
                known.found = found.into();
            }
            return;
        }
        if self.names.len() >= NAMES_MAX {
            self.dropped += 1;
            let least = self.names.keys().min_by_key(|name| dots(name)).filter(|least| dots(least) < dots(bare));
            let Some(least) = least.cloned() else { return };
            self.names.remove(&least);
        }
        self.names.insert(bare.into(), Found { found: found.into(), certainty, queries });
    }

    /// Notes surer evidence that the search list found a name which is known.
    pub(super) fn know_better(&mut self, bare: &str, certainty: Certainty) {
        if let Some(known) = self.names.get_mut(bare) {
            known.certainty = known.certainty.max(certainty);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.names.iter().map(|(name, found)| (&**name, found))
    }
}

/// Returns the index of a name's counter.
pub(super) fn class(name: &str) -> usize {
    dots(name).min(DOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_keeps_the_names_with_the_most_dots() {
        let mut traffic = Traffic::default();
        for index in 0..NAMES_MAX {
            traffic.find(&format!("n{index}"), "x", Certainty::Sure, 1);
        }
        traffic.find("a.b.c", "x", Certainty::Sure, 1);
        traffic.find("d", "x", Certainty::Sure, 1);
        assert_eq!((traffic.names().count(), traffic.dropped), (NAMES_MAX, 2));
        assert!(traffic.names().any(|(name, _)| name == "a.b.c"));
    }
}
