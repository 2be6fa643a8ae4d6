//! The example cluster of the pages: its names, the options of a pod, and lookups in it.

use super::page::seconds;
use crate::pod::cluster_searches;
use crate::resolver::{Answer, Resolver, Settings, lookup};

/// The namespace of the example pod.
pub(super) const NAMESPACE: &str = "default";
/// The domain of the cluster.
pub(super) const CLUSTER_DOMAIN: &str = "cluster.local";
/// The options that the kubelet gives a pod without any of its own.
pub(super) const CLUSTER_OPTIONS: &str = "ndots:5";
/// Names that programs in a cluster look up: a Service, by all its names, and a name outside the cluster.
pub(super) const EXAMPLE_NAMES: [&str; 5] =
    ["db", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "www.example.com"];
/// The example names that only a search list can complete.
pub(super) const CLUSTER_NAMES: [&str; 3] = ["db", "db.shop", "db.shop.svc"];
/// The names that exist.
const EXISTING: [&str; 3] = ["db.default.svc.cluster.local", "db.shop.svc.cluster.local", "www.example.com"];
/// The names that a lookup tries if none of the search list exists: three domains, and the name as is.
pub(super) const NAMES_TRIED: u32 = 4;

/// Returns the number of queries of a lookup of this name; `None` if it fails.
pub(super) fn queries(resolver: Resolver, name: &str, ndots: u32) -> Option<u32> {
    let searches = cluster_searches(NAMESPACE, CLUSTER_DOMAIN);
    let searches: Vec<&str> = searches.iter().map(String::as_str).collect();
    let answer = |name: &str| if EXISTING.contains(&name) { Answer::Address } else { Answer::NxDomain };
    let lookup = lookup(resolver, name, ndots, &searches, answer)?;
    lookup.found.map(|_| lookup.queries)
}

/// Returns the time until a lookup fails if nothing answers.
pub(super) fn gives_up(settings: &Settings) -> String {
    settings.gives_up_after(1, NAMES_TRIED).map_or("no option bounds it".to_owned(), seconds)
}
