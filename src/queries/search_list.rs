//! The search list of a client, and the names that a query can be a candidate of.

use crate::pod::{Base, ResolvConf};

/// The most domains of a search list that are kept apart. glibc and Go keep more; the API server admits 32 of a pod's own.
pub(super) const DOMAINS_MAX: usize = 16;

/// The search list of a pod: its own domains, then those of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SearchList {
    /// In lower case, without a dot at the end.
    domains: Vec<String>,
    /// Is true if the kubelet adds the node's domains.
    has_node_domains: bool,
}

/// A reading of a query: the program gave `bare`, and the resolver added the domain of this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'n> {
    pub(super) domain: usize,
    pub(super) bare: &'n str,
}

// === impl SearchList ===

impl SearchList {
    /// Returns the search list of a pod; `None` if the pod has the node's file, whose content is unknown.
    pub(super) fn of(conf: &ResolvConf) -> Option<Self> {
        let normal = |domain: &String| domain.trim_end_matches('.').to_ascii_lowercase();
        let domains = conf.searches.iter().map(normal).filter(|domain| !domain.is_empty()).take(DOMAINS_MAX);
        match conf.base {
            Base::Cluster => Some(Self { domains: domains.collect(), has_node_domains: true }),
            Base::Nothing => Some(Self { domains: domains.collect(), has_node_domains: false }),
            Base::Node => None,
        }
    }

    /// The number of the pod's own domains.
    pub(super) fn own(&self) -> usize {
        self.domains.len()
    }

    /// Returns whether a query shows that the server searches for its clients, as CoreDNS's plugin `autopath` does: an answer below the
    /// first domain for a name that no Service can have. Below `NAMESPACE.svc.DOMAIN`, Services have names with at most one dot
    /// (`POD.SERVICE`), apart from those that begin with an underscore (`_PORT._PROTOCOL.SERVICE`).
    pub(super) fn no_service_has(&self, candidate: Candidate<'_>) -> bool {
        let is_of_namespace = self.domains.first().is_some_and(|first| first.split('.').nth(1) == Some("svc"));
        candidate.domain == 0 && is_of_namespace && dots(candidate.bare) >= 2 && !candidate.bare.starts_with('_')
    }

    /// Returns whether the node's domains belong to the list.
    pub(super) fn has_node_domains(&self) -> bool {
        self.has_node_domains
    }

    /// Returns each reading of a name as a candidate of the search, in the order of the domains.
    pub(super) fn candidates<'n>(&self, name: &'n str, node_domains: &[String]) -> Vec<Candidate<'n>> {
        let of_node = if self.has_node_domains { node_domains } else { &[] };
        let domains = self.domains.iter().chain(of_node).take(DOMAINS_MAX).enumerate();
        domains.filter_map(|(domain, suffix)| Some(Candidate { domain, bare: below(name, suffix)? })).collect()
    }
}

/// Returns the part of a name before a domain.
pub(super) fn below<'n>(name: &'n str, domain: &str) -> Option<&'n str> {
    name.strip_suffix(domain)?.strip_suffix('.').filter(|bare| !bare.is_empty())
}

/// Returns the number of dots in a name.
pub(super) fn dots(name: &str) -> usize {
    name.bytes().filter(|byte| *byte == b'.').count()
}
