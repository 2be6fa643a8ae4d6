//! The part of resolv.conf that a pod gets in place of what `ClusterFirst` implies, with the policy `None`: for a cache on the node, or
//! without the search domains of the node. Must not know options.

use super::cache_risks::NODE_SEARCHES_LOST;
use super::context::Context;
use crate::pod::{Base, Dns, Injected, Policy, cluster_searches};
use crate::policy::{BrokenDomain, NodeLocal, SearchList};
use crate::resolver::Family;
use crate::rules::Container;

/// The annotation's entry for the policy that was replaced.
pub(super) const ENTRY: &str = "dnsPolicy:None";

/// The limits of the API server on `dnsConfig` (kubernetes `pkg/apis/core/validation/validation.go`: `MaxDNSNameservers`,
/// `MaxDNSSearchPaths`, `MaxDNSSearchListChars`).
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LIST_MAX: usize = 2048;

/// The nameservers and the search domains before the author's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClusterFile {
    pub(super) nameservers: Vec<String>,
    pub(super) searches: Vec<String>,
}

/// The settings of a pod before an earlier pass replaced the policy.
#[derive(Clone, Debug)]
pub(super) struct Undone {
    pub(super) dns: Dns,
    /// The earlier pass dropped the node's search domains.
    has_cluster_search: bool,
}

// === impl ClusterFile ===

impl ClusterFile {
    /// Returns what the pod gets, or `None` if it keeps what its policy implies. Only a pod that uses the cluster's DNS gets anything. A
    /// cache on the node comes first: its file has no search domain of the node either.
    pub(super) fn of(
        dns: &Dns,
        undone: Option<&Undone>,
        containers: &[Container<'_>],
        context: &Context<'_>,
        notes: &mut Vec<String>,
    ) -> Option<Self> {
        if dns.policy.base() != Base::Cluster {
            return None;
        }
        if let Some(node_local) = &context.profile.node_local {
            match node_local_file(dns, node_local, context) {
                Ok(file) => return Some(file),
                Err(why) => notes.push(format!("the node-local cache is not used: {why}")),
            }
        }
        let is_kept = undone.is_some_and(|undone| undone.has_cluster_search);
        if !is_kept && !drops_node_searches(containers, context) {
            return None;
        }
        let name = &context.profile.name;
        match cluster_search_file(dns, context) {
            Ok(file) => {
                notes.push(format!(
                    "profile {name} accepts {NODE_SEARCHES_LOST}: write names below the node's search domains in full"
                ));
                Some(file)
            }
            Err(why) => {
                notes.push(format!("profile {name} keeps the node's search domains: {why}"));
                None
            }
        }
    }

    fn new(nameservers: Vec<String>, context: &Context<'_>) -> Self {
        Self { nameservers, searches: cluster_searches(context.namespace, context.cluster_domain) }
    }

    /// Returns whether the API server accepts the file together with the author's own nameservers and searches.
    fn fits(&self, dns: &Dns) -> bool {
        let Self { nameservers, searches } = self;
        let searches: Vec<&str> = searches.iter().chain(&dns.searches).map(String::as_str).collect();
        nameservers.len() + dns.nameservers.len() <= NAMESERVERS_MAX
            && searches.len() <= SEARCHES_MAX
            && searches.join(" ").len() <= SEARCH_LIST_MAX
    }

    fn checked(self, dns: &Dns) -> Result<Self, String> {
        if self.fits(dns) { Ok(self) } else { Err("dnsConfig has no room for another nameserver or search".to_owned()) }
    }
}

/// Returns the file with the cache on the node.
///
/// # Errors
/// The reason why the cache is not used.
fn node_local_file(dns: &Dns, node_local: &NodeLocal, context: &Context<'_>) -> Result<ClusterFile, String> {
    if let Some(fault) = context.cache_fault {
        return Err(format!("{} {fault}", node_local.address));
    }
    ClusterFile::new(vec![node_local.address.to_string()], context).checked(dns)
}

/// Returns the file without the node's search domains.
///
/// # Errors
/// The reason why they stay.
fn cluster_search_file(dns: &Dns, context: &Context<'_>) -> Result<ClusterFile, String> {
    let nameservers: Vec<String> = context.cluster_addresses.iter().map(ToString::to_string).collect();
    if nameservers.is_empty() {
        return Err("muslin does not know the addresses of the cluster's DNS".to_owned());
    }
    ClusterFile::new(nameservers, context).checked(dns)
}

/// Returns whether the profile drops the node's search domains from a pod with these containers.
fn drops_node_searches(containers: &[Container<'_>], context: &Context<'_>) -> bool {
    let is_wanted = match context.profile.search {
        SearchList::Inherit => false,
        SearchList::Cluster => true,
        SearchList::WhenBroken => has_broken_node_domain(context.broken_domains, context.cluster_domain),
    };
    is_wanted && containers.iter().any(|container| container.resolver().family == Family::Musl)
}

/// Returns whether a domain is broken that the cluster's own search list does not have.
fn has_broken_node_domain(broken: &[BrokenDomain], cluster_domain: &str) -> bool {
    broken.iter().any(|BrokenDomain { domain, .. }| {
        domain.strip_suffix(cluster_domain).is_none_or(|rest| !rest.is_empty() && !rest.ends_with('.'))
    })
}

/// Returns the settings of the pod before an earlier pass replaced the policy; `None` if no pass did. Anyone can write the annotation,
/// so the pod must have what this profile gives.
pub(super) fn undo(current: &Dns, earlier: &Injected, context: &Context<'_>) -> Option<Undone> {
    let entry = earlier.options.iter().find(|entry| entry.option == ENTRY)?;
    let policy = Policy::of(Some(entry.replaced.as_deref()?.strip_prefix("dnsPolicy:")?), false);
    let searches = cluster_searches(context.namespace, context.cluster_domain);
    if current.policy != Policy::None || policy.base() != Base::Cluster || !current.searches.starts_with(&searches) {
        return None;
    }
    let cache: Vec<String> = context.profile.node_local.iter().map(|cache| cache.address.to_string()).collect();
    let cluster: Vec<String> = match context.profile.search {
        SearchList::Inherit => Vec::new(),
        SearchList::Cluster | SearchList::WhenBroken => {
            context.cluster_addresses.iter().map(ToString::to_string).collect()
        }
    };
    let is_ours = |nameservers: &&Vec<String>| !nameservers.is_empty() && current.nameservers.starts_with(nameservers);
    let ours = [&cache, &cluster].into_iter().find(is_ours)?;
    Some(Undone {
        dns: Dns {
            policy,
            nameservers: current.nameservers[ours.len()..].to_vec(),
            searches: current.searches[searches.len()..].to_vec(),
            options: current.options.clone(),
            mesh_dns_proxy: current.mesh_dns_proxy,
        },
        has_cluster_search: *ours == cluster,
    })
}
