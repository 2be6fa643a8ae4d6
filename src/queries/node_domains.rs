//! The domains that nodes add to the search list, as given, and as learned from queries.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// The most endings that are remembered before one is seen a second time.
const ENDINGS_MAX: usize = 4096;

/// The most domains that are learned. The kubelet warns above 32 in all; nodes have one or two.
const DOMAINS_MAX: usize = 6;

/// The domains of the nodes' search lists.
#[derive(Default)]
pub(super) struct NodeDomains {
    domains: Vec<String>,
    /// An ending that followed a failed search, and a hash of the name that was searched for.
    endings: HashMap<String, u64>,
    hasher: RandomState,
}

// === impl NodeDomains ===

impl NodeDomains {
    /// The domains that an administrator names.
    pub(super) fn given(domains: &[String]) -> Self {
        let normal = |domain: &String| domain.trim_matches('.').to_ascii_lowercase();
        Self { domains: domains.iter().map(normal).filter(|domain| !domain.is_empty()).collect(), ..Self::default() }
    }

    pub(super) fn domains(&self) -> &[String] {
        &self.domains
    }

    /// Notes that after a search for `bare` in vain the same name was asked for below `ending`. An ending of two different names is a
    /// domain of the node's search list.
    pub(super) fn note(&mut self, bare: &str, ending: &str) {
        let hash = self.hasher.hash_one(bare);
        if self.domains.len() >= DOMAINS_MAX {
            return;
        }
        match self.endings.get(ending) {
            Some(other) if *other != hash => {
                self.endings.remove(ending);
                self.domains.push(ending.to_owned());
            }
            None if self.endings.len() < ENDINGS_MAX => {
                self.endings.insert(ending.to_owned(), hash);
            }
            Some(_) | None => {}
        }
    }
}
