//! The arguments of `muslin serve` about the cluster's DNS and the search domains of nodes.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgAction, Args};

use crate::cluster::{Profiles, SearchCheckSettings, SearchDomains};
use crate::verdicts::system_files::ResolvConf;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// The addresses of the cluster's DNS, for profiles with `search` [default: as in muslin's own resolv.conf, if muslin's pod uses the
    /// cluster's DNS]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', env = "MUSLIN_CLUSTER_DNS")]
    cluster_dns: Vec<IpAddr>,

    /// The resolv.conf of muslin's own pod
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf", env = "MUSLIN_RESOLV_CONF")]
    resolv_conf: PathBuf,

    /// Check the search domains of muslin's own resolv.conf with random names, while a profile has `search`
    #[arg(long, value_name = "WHEN", default_value = "on", env = "MUSLIN_SEARCH_CHECKS", action = ArgAction::Set,
          value_parser = PossibleValuesParser::new(["on", "off"]).map(|text| text == "on"))]
    search_checks: bool,

    /// The node of muslin's pod, for which the DNSObservation is named
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    node_name: Option<String>,
}

// === impl SearchArgs ===

impl SearchArgs {
    /// Returns the addresses of the cluster's DNS; none if they are unknown.
    pub(super) fn cluster_dns(&self, cluster_domain: &str) -> Vec<IpAddr> {
        if !self.cluster_dns.is_empty() {
            return self.cluster_dns.clone();
        }
        self.own_file().map(|file| cluster_dns_of(&file, cluster_domain)).unwrap_or_default()
    }

    /// Starts the checks, unless they are off, or there is no cluster, or its DNS is unknown.
    pub(super) fn check(
        &self,
        client: Option<&kube::Client>,
        profiles: &Profiles,
        cluster_domain: &str,
        instance: String,
    ) -> SearchDomains {
        let nameservers = self.cluster_dns(cluster_domain);
        let Some(client) = client.filter(|_| self.search_checks && !nameservers.is_empty()) else {
            return SearchDomains::default();
        };
        let settings = SearchCheckSettings {
            nameservers,
            domains: self.own_file().map(|file| domains_of(&file, cluster_domain)).unwrap_or_default(),
            cluster_domain: cluster_domain.to_owned(),
            node: self.node_name.clone(),
            instance,
        };
        let profiles = profiles.clone();
        SearchDomains::check(client.clone(), settings, move || profiles.uses_search())
    }

    fn own_file(&self) -> Option<ResolvConf> {
        Some(ResolvConf::parse(&std::fs::read_to_string(&self.resolv_conf).ok()?))
    }
}

/// Returns the nameservers of a pod's file that names the cluster's domain. A file that does not is the node's.
fn cluster_dns_of(file: &ResolvConf, cluster_domain: &str) -> Vec<IpAddr> {
    let services = format!("svc.{cluster_domain}");
    if !file.search.contains(&services) {
        return Vec::new();
    }
    file.nameservers.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Returns the search domains, those of the node first: the cluster's own are healthy if its DNS is.
fn domains_of(file: &ResolvConf, cluster_domain: &str) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for domain in &file.search {
        let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
        if !domain.is_empty() && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains.sort_by_key(|domain| domain.ends_with(cluster_domain));
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "search muslin.svc.cluster.local svc.cluster.local cluster.local Corp.example.com. .\n\
                       nameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5\n";

    #[test]
    fn takes_the_nameservers_of_a_file_that_names_the_cluster_s_domain() {
        let file = ResolvConf::parse(POD);
        assert_eq!(cluster_dns_of(&file, "cluster.local").len(), 2);
        assert!(cluster_dns_of(&file, "k8s.example.com").is_empty());
        let node = ResolvConf::parse("search corp.example.com\nnameserver 192.0.2.53\n");
        assert!(cluster_dns_of(&node, "cluster.local").is_empty());
    }

    #[test]
    fn the_node_s_domains_come_first_and_each_once() {
        let domains = domains_of(&ResolvConf::parse(POD), "cluster.local");
        assert_eq!(domains, ["corp.example.com", "muslin.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
    }
}
