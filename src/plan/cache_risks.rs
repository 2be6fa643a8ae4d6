//! The risks of a cache on the node that no rule reports on a pod: they depend on the node and on the network. Each follows from the
//! policy, the nameservers and the searches that the pod gets. Must not know profiles.

use std::net::IpAddr;

use crate::pod::{Base, Dns};

/// A risk of other nameservers.
#[derive(Debug)]
pub struct CacheRisk {
    /// The name for `acceptRisk`.
    pub slug: &'static str,
    /// The problem, in one clause that follows the address.
    pub about: &'static str,
    /// The source.
    pub source: &'static str,
    /// Returns whether a pod takes the risk with settings that it did not have before.
    pub(super) is_taken: fn(before: &Dns, after: &Dns) -> bool,
}

/// The risk of a file without the node's search domains.
pub(super) const NODE_SEARCHES_LOST: &str = "node-searches-lost";

/// All risks, in the order in which they are shown.
pub static CACHE_RISKS: [CacheRisk; 4] = [
    CacheRisk {
        slug: NODE_SEARCHES_LOST,
        about: "with dnsPolicy None, pods lose the search domains of the node's resolv.conf",
        source: "kubernetes pkg/kubelet/network/dns/dns.go",
        is_taken: |before, after| before.policy.base() != Base::Nothing && after.policy.base() == Base::Nothing,
    },
    CacheRisk {
        slug: "nameserver-blocked",
        about: "a NetworkPolicy that allows DNS only to the pods of kube-dns blocks it",
        source: "kubernetes#70555, calico#3795, tektoncd/operator#4000",
        is_taken: |before, after| after.nameservers.iter().any(|server| !before.nameservers.contains(server)),
    },
    CacheRisk {
        slug: "cache-missing",
        about: "on a node where no cache runs, no lookup of these pods works",
        source: "the pod has no other nameserver",
        is_taken: |_, after| after.policy.base() == Base::Nothing && after.nameservers.len() == 1,
    },
    CacheRisk {
        slug: "loopback-nameserver",
        about: "a loopback address is the pod itself, and no cache runs there",
        source: "each pod has a loopback interface of its own",
        is_taken: |_, after| after.nameservers.iter().any(|server| is_loopback(server)),
    },
];

fn is_loopback(server: &str) -> bool {
    server.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
