//! The search list that a profile gives to pods with musl, and the search domains that end musl's search. Must not know how a domain is
//! checked.

use std::fmt;

use crate::resolver::Answer;

/// The search list of pods that use the cluster's DNS and have a container with musl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SearchList {
    /// The cluster's domains and those of the node, as the kubelet writes them.
    #[default]
    Inherit,
    /// The cluster's domains and the author's own, without those of the node.
    Cluster,
    /// The same, but only while a domain of a node is seen to be broken.
    WhenBroken,
}

/// A search domain that answers names that do not exist with something else than NXDOMAIN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokenDomain {
    /// The domain, without a final dot.
    pub domain: String,
    /// The fault.
    pub fault: DomainFault,
}

/// The answer of a search domain for names that do not exist. Each ends musl's search (musl v1.2.5
/// `src/network/lookup_name.c`, `name_from_dns_search`); the last ends that of every resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DomainFault {
    /// NOERROR without an address.
    NoData,
    /// SERVFAIL.
    ServFail,
    /// REFUSED, or another error that is neither SERVFAIL nor NXDOMAIN.
    Refused,
    /// No answer.
    Silence,
    /// An address for every name.
    Wildcard,
}

// === impl BrokenDomain ===

impl BrokenDomain {
    /// Returns whether the domain answers for this name.
    pub fn has(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let Some(start) = name.len().checked_sub(self.domain.len()) else { return false };
        let is_domain = name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(&self.domain));
        is_domain && name[..start].ends_with('.')
    }
}

// === impl DomainFault ===

impl DomainFault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::NoData, Self::ServFail, Self::Refused, Self::Silence, Self::Wildcard];

    /// Returns the fault in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoData => "NODATA",
            Self::ServFail => "SERVFAIL",
            Self::Refused => "REFUSED",
            Self::Silence => "silence",
            Self::Wildcard => "wildcard",
        }
    }

    /// Returns the fault of this name, in upper or lower case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name().eq_ignore_ascii_case(name))
    }

    /// Returns the answer to every name below the domain.
    pub const fn answer(self) -> Answer {
        match self {
            Self::NoData => Answer::NoData,
            Self::ServFail => Answer::ServFail,
            Self::Refused => Answer::Refused,
            Self::Silence => Answer::Timeout,
            Self::Wildcard => Answer::Address,
        }
    }
}

/// Writes the end of a sentence that begins with the domain.
impl fmt::Display for DomainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoData => "answers NODATA",
            Self::ServFail => "answers SERVFAIL",
            Self::Refused => "answers REFUSED",
            Self::Silence => "does not answer",
            Self::Wildcard => "has an address for every name",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_answers_for_the_names_below_it_alone() {
        let broken = BrokenDomain { domain: "corp.example.com".to_owned(), fault: DomainFault::NoData };
        assert!(broken.has("www.example.org.corp.example.com"));
        assert!(!broken.has("corp.example.com") && !broken.has("www.mycorp.example.com") && !broken.has("example.com"));
    }

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        assert_eq!(DomainFault::ALL.map(|fault| DomainFault::named(fault.name())), DomainFault::ALL.map(Some));
        assert_eq!(DomainFault::named("nodata"), Some(DomainFault::NoData));
        assert_eq!(DomainFault::named("NXDOMAIN"), None);
    }
}
