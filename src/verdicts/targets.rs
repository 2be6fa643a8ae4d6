//! The names that a probe queries and the servers that it asks. Must not know of answers.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::query::Purpose;

/// The names to query, and the servers to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Targets {
    /// The nameservers, in the order of resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// Names inside the cluster that have an address, without a final dot.
    pub names: Vec<String>,
    /// External names that have an address.
    pub external_names: Vec<String>,
    /// External domains below which names are invented that cannot exist.
    pub invented_below: Vec<String>,
    /// A name with a large answer; the root's keys are queried if unset.
    pub large_name: Option<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
}

// === impl Targets ===

impl Targets {
    /// Returns all names that were to be looked up.
    pub(super) fn requested(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain(&self.external_names).map(String::as_str)
    }

    /// Returns the name of the Service that every cluster has, in full.
    pub(crate) fn api_server_name(cluster_domain: &str) -> String {
        format!("kubernetes.default.svc.{cluster_domain}")
    }

    /// Returns whether a name is below the cluster's domain.
    pub(super) fn is_in_cluster(&self, name: &str) -> bool {
        is_below(name, &self.cluster_domain)
    }

    /// Returns the name of which many queries are sent, as pairs and as a burst, and the purpose of single queries for it.
    pub(crate) fn first_name(&self) -> Option<(Purpose, &str)> {
        let name = self.names.first().map(|name| (Purpose::Name, name.as_str()));
        name.or_else(|| Some((Purpose::External, self.external_names.first()?)))
    }
}

/// Returns whether a name is below a domain.
pub(super) fn is_below(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.trim_end_matches('.').to_ascii_lowercase(), domain.trim_end_matches('.'));
    name.strip_suffix(&domain.to_ascii_lowercase()).is_some_and(|rest| rest.ends_with('.'))
}
