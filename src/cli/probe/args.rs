//! The arguments of `muslin probe`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::docs_args::DocsArgs;
use crate::cli::policy_args::{FailOn, fail_on};

use super::pod_args::PodArgs;
use super::watch_args::WatchArgs;

/// Find out what is wrong with DNS in this pod, on this node, or in a pod of a cluster.
///
/// Queries the nameservers of resolv.conf by UDP, TCP and EDNS, in pairs as musl, glibc and Go do, and in a burst; looks up the
/// same names by getaddrinfo of each C library here; and compares the results with resolv.conf, nsswitch.conf and hosts. Shows
/// each verdict with its confidence, the evidence, what to do, and which profile of muslin would help. `muslin explain
/// stale-nameserver` explains a verdict. Ctrl-C shows what was found so far. Needs no rights, except to probe POD (docs/probe.md). Sends at
/// most --max-queries queries, all to the nameservers, except for one to 192.0.2.1 (TEST-NET-1), an address that no host has.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin probe
  kubectl muslin probe web-7d4b9c -n shop
  kubectl muslin probe pod/web-7d4b9c -n shop --ephemeral -c app -o json
  muslin probe --name my-service.shop.svc.cluster.local --pid 1
  muslin probe --root /host --origins-only
  muslin probe --watch --metrics-bind 127.0.0.1:9100
  muslin probe --server 10.96.0.10 --external-name registry.example.com --binary /app -o json")]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(super) pod: PodArgs,

    #[command(flatten)]
    pub(super) watch: WatchArgs,

    /// Query these nameservers instead of those of resolv.conf, without lookups through C libraries
    #[arg(long, value_name = "IP[:PORT]", value_parser = parse_server)]
    pub(super) server: Vec<SocketAddr>,

    /// A full name in the cluster that has an address [default: kubernetes.default.svc and the cluster's domain]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) name: Vec<String>,

    /// An external name that has an address
    #[arg(long, value_name = "NAME", value_parser = parse_name, default_value = "example.com")]
    pub(super) external_name: Vec<String>,

    /// Only query names inside the cluster
    #[arg(long)]
    pub(super) inside_only: bool,

    /// Only query external names: for a node, or a pod that needs no name of the cluster
    #[arg(long, conflicts_with_all = ["inside_only", "name"])]
    pub(super) outside_only: bool,

    /// Invent names that do not exist below these domains [default: com, net, org and the external names]
    #[arg(long, value_name = "DOMAIN", value_parser = parse_name)]
    pub(super) invent_below: Vec<String>,

    /// A name with an answer over 512 bytes [default: the root's keys]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) large_name: Option<String>,

    /// The cluster's domain [default: from the search list, else cluster.local]
    #[arg(long, value_name = "DOMAIN", value_parser = parse_name)]
    pub(super) cluster_domain: Option<String>,

    /// Show which resolver these processes use, and what the verdicts mean for them; ask their C libraries too (on Linux) [default:
    /// process 1 of a pod, without its libraries]
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<u32>,

    /// The same for these program files
    #[arg(long, value_name = "FILE")]
    pub(super) binary: Vec<PathBuf>,

    /// Read this file instead of /etc/resolv.conf, without lookups through C libraries
    #[arg(long, value_name = "FILE")]
    pub(super) resolv_conf: Option<PathBuf>,

    /// The node's own resolv.conf, to show which of its nameservers are stale
    #[arg(long, value_name = "FILE")]
    pub(super) node_resolv_conf: Option<PathBuf>,

    /// The node's root folder, to show where its nameservers come from; they are queried too [default: / outside of containers]
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,

    /// Only show where the node's nameservers come from, and send no query
    #[arg(long, conflicts_with_all = ["server", "resolv_conf"])]
    pub(super) origins_only: bool,

    /// Also query these servers, to which the nameservers forward
    #[arg(long, value_name = "IP[:PORT]", value_parser = parse_server)]
    pub(super) upstream: Vec<SocketAddr>,

    /// CoreDNS's Corefile, to show where it forwards
    #[arg(long, value_name = "FILE")]
    pub(super) corefile: Option<PathBuf>,

    /// Read CoreDNS's Corefile from the ConfigMap kube-system/coredns
    #[arg(long, conflicts_with = "corefile", group = "in_cluster")]
    pub(super) from_cluster: bool,

    /// Do not send the query to TEST-NET-1 that detects interception
    #[arg(long)]
    pub(super) no_interception_query: bool,

    /// Do not look up names through C libraries
    #[arg(long)]
    pub(super) no_getaddrinfo: bool,

    /// Program that each C library's loader starts to look up a name [default: the one built into releases]
    #[arg(long, value_name = "FILE", conflicts_with = "no_getaddrinfo")]
    pub(super) lookup_program: Option<PathBuf>,

    /// Time limit of the whole probe
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) timeout: u64,

    /// Limit of queries sent in all
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    pub(super) max_queries: u32,

    /// Pairs of A and AAAA to send in each of four ways; up to three times as many if some are lost
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(super) pairs: u32,

    /// Queries to send at once at the end
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(super) burst: u32,

    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    pub(super) output: Output,

    /// Exit with 1 if there is a verdict of this level or above: deny, warn, info or never
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = clap::builder::TypedValueParser::map(
              clap::builder::PossibleValuesParser::new(["deny", "warn", "info", "never"]), fail_on))]
    pub(super) fail_on: FailOn,

    #[command(flatten)]
    pub(super) docs: DocsArgs,

    /// Only look up this name, through muslin's own C library
    #[arg(long, value_name = "NAME", hide = true)]
    pub(super) look_up: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    Human,
    /// One JSON document: verdicts, costs, lookups, pairs, asked, targets, surroundings and summary
    Json,
}

/// Parses an address with or without a port.
pub(super) fn parse_server(text: &str) -> Result<SocketAddr, &'static str> {
    let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    ip.or_else(|_| text.parse::<SocketAddr>())
        .map_err(|_| "not an address such as 10.96.0.10, 10.96.0.10:53 or [fd00::a]:53")
}

/// Parses a name, without its final dot.
fn parse_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim_end_matches('.');
    let is_name = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        });
    if is_name { Ok(name.to_owned()) } else { Err("not a name such as my-service.shop.svc.cluster.local") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_servers_with_and_without_a_port() {
        assert_eq!(parse_server("10.0.0.10"), Ok("10.0.0.10:53".parse().unwrap()));
        assert_eq!(parse_server("[fd00::a]:5353"), Ok("[fd00::a]:5353".parse().unwrap()));
        assert!(parse_server("dns.example.com").is_err());
    }

    #[test]
    fn accepts_names_that_fit_a_dns_message() {
        assert_eq!(parse_name("example.com."), Ok("example.com".to_owned()));
        for text in ["", ".", "a..b", "a b", &"x".repeat(64), &"x.".repeat(128)] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }
}
