//! The cluster that examples are about: its names, what the kubelet gives a pod, and how a lookup goes there.

use super::page::seconds;
use crate::pod::cluster_searches;
use crate::resolver::{Answer, Resolver, Settings, lookup};

/// The namespace and the domain of the cluster that examples are about.
pub(super) const NAMESPACE: &str = "default";
pub(super) const CLUSTER_DOMAIN: &str = "cluster.local";
/// What the kubelet gives a pod that says nothing.
pub(super) const CLUSTER_OPTIONS: &str = "ndots:5";
/// Names that programs in a cluster ask for: one Service, from its own namespace and from another, and one beyond the cluster.
pub(super) const EXAMPLE_NAMES: [&str; 5] =
    ["db", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "www.example.com"];
/// Those of them that only a search list can complete.
pub(super) const CLUSTER_NAMES: [&str; 3] = ["db", "db.shop", "db.shop.svc"];
/// The names that exist in the examples' cluster.
const EXISTING: [&str; 3] = ["db.default.svc.cluster.local", "db.shop.svc.cluster.local", "www.example.com"];
/// How many names a lookup tries that finds nothing in the search list: three domains, and the name as it stands.
pub(super) const CANDIDATES: u32 = 4;

/// How many queries a lookup of this name takes in the examples' cluster; `None` where it fails.
pub(super) fn queries(resolver: Resolver, name: &str, ndots: u32) -> Option<u32> {
    let searches = cluster_searches(NAMESPACE, CLUSTER_DOMAIN);
    let searches: Vec<&str> = searches.iter().map(String::as_str).collect();
    let answer = |name: &str| if EXISTING.contains(&name) { Answer::Address } else { Answer::NxDomain };
    let lookup = lookup(resolver, name, ndots, &searches, answer)?;
    lookup.found.map(|_| lookup.queries)
}

/// How long a lookup takes to fail where nothing answers.
pub(super) fn gives_up(settings: &Settings) -> String {
    settings.gives_up_after(1, CANDIDATES).map_or("no option bounds it".to_owned(), seconds)
}
