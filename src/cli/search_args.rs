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
    /// Up to three addresses of the cluster's DNS, separated by commas, for profiles with `search` [default: as in muslin's own
    /// resolv.conf, if muslin's pod uses the cluster's DNS]
    #[arg(long, value_name = "ADDRESSES", env = "MUSLIN_CLUSTER_DNS", value_parser = addresses)]
    cluster_dns: Option<Addresses>,

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

/// Addresses of nameservers, at least one and at most [`NAMESERVERS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Addresses(Vec<IpAddr>);

/// The most nameservers of a pod (kubernetes `pkg/apis/core/validation/validation.go`, `MaxDNSNameservers`).
const NAMESERVERS_MAX: usize = 3;

/// The most search domains that are checked: as many as a pod may have (`MaxDNSSearchPaths`).
const DOMAINS_MAX: usize = 32;

fn addresses(text: &str) -> Result<Addresses, String> {
    let mut addresses = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let address: IpAddr = word.parse().map_err(|_| format!("`{word}` is not an IP address"))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.len() {
        0 => Err("there is no address".to_owned()),
        1..=NAMESERVERS_MAX => Ok(Addresses(addresses)),
        many => Err(format!("a pod can have {NAMESERVERS_MAX} nameservers, not {many}")),
    }
}

// === impl SearchArgs ===

impl SearchArgs {
    /// Returns the addresses of the cluster's DNS; none if they are unknown.
    pub(super) fn cluster_dns(&self, cluster_domain: &str) -> Vec<IpAddr> {
        if let Some(Addresses(given)) = &self.cluster_dns {
            return given.clone();
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
    let services = plain(&format!("svc.{cluster_domain}"));
    if !file.search.iter().any(|domain| plain(domain) == services) {
        return Vec::new();
    }
    file.nameservers.iter().filter_map(|address| address.parse().ok()).take(NAMESERVERS_MAX).collect()
}

/// Returns the search domains, those of the node first: the cluster's own are healthy if its DNS is.
fn domains_of(file: &ResolvConf, cluster_domain: &str) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for domain in file.search.iter().map(|domain| plain(domain)) {
        if !domain.is_empty() && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    let cluster_domain = plain(cluster_domain);
    let is_of_cluster = |domain: &String| {
        domain.strip_suffix(&cluster_domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    domains.sort_by_key(is_of_cluster);
    domains.truncate(DOMAINS_MAX);
    domains
}

/// Returns a domain in lower case, without the final dot.
fn plain(domain: &str) -> String {
    domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase()
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

    #[test]
    fn case_and_final_dots_make_no_difference() {
        let file = ResolvConf::parse(
            "search shop.svc.Cluster.Local. SVC.cluster.local. cluster.local\nnameserver 10.96.0.10\n",
        );
        assert_eq!(cluster_dns_of(&file, "Cluster.local."), ["10.96.0.10".parse::<IpAddr>().unwrap()]);
    }

    /// Files that a node may have, and that muslin must survive.
    #[test]
    fn hostile_files_give_a_list_of_bounded_size() {
        let many: Vec<String> = (0..100).map(|number| format!("D{}.Example.com", number % 50)).collect();
        let searches = |line: &str| domains_of(&ResolvConf::parse(&format!("search {line}\n")), "cluster.local");
        assert_eq!(searches(&many.join(" ")).len(), DOMAINS_MAX);
        assert_eq!(
            searches(&format!("{} cluster.local", many.join(" "))).iter().filter(|d| d.starts_with('d')).count(),
            32
        );
        assert_eq!(searches("."), [""; 0]);
        assert_eq!(
            searches("cluster.local CLUSTER.LOCAL cluster.local. mycluster.local"),
            ["mycluster.local", "cluster.local"]
        );
        assert_eq!(searches(&"a".repeat(70_000)).len(), 1);
        let servers = |text: &str| cluster_dns_of(&ResolvConf::parse(text), "cluster.local").len();
        assert_eq!(servers("search svc.cluster.local\nnameserver fe80::1%eth0\nnameserver fd00::a\nnameserver x\n"), 1);
        assert_eq!(servers(&format!("search svc.cluster.local\n{}", "nameserver 10.96.0.10\n".repeat(100))), 3);
        assert_eq!((searches("").len(), servers("")), (0, 0));
    }

    #[test]
    fn the_addresses_of_the_argument_are_read_as_a_pod_can_have_them() {
        let read = |text: &str| addresses(text).map(|Addresses(addresses)| addresses.len());
        assert_eq!(read("10.96.0.10, fd00::a,10.96.0.10"), Ok(2));
        assert_eq!(read("10.96.0.10:53"), Err("`10.96.0.10:53` is not an IP address".to_owned()));
        assert_eq!(read("kube-dns"), Err("`kube-dns` is not an IP address".to_owned()));
        assert_eq!(read(" , "), Err("there is no address".to_owned()));
        assert_eq!(read("::1,::2,::3,::4"), Err("a pod can have 3 nameservers, not 4".to_owned()));
    }
}
