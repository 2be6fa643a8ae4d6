//! The pod names its own nameservers alone, and all of them are outside of the cluster.
//!
//! ## Why it matters
//! With `dnsPolicy: None` the kubelet writes only what `dnsConfig` holds (kubernetes `pkg/kubelet/network/dns/dns.go`, `GetPodDNS`). A
//! public nameserver knows no Service, so no name of the cluster resolves, and the names that programs ask for leave the cluster:
//! `db.shop.svc.cluster.local` tells strangers what runs inside.
//!
//! ## How to fix it
//! Leave `dnsPolicy` out: the cluster's DNS resolves outside names too. For other servers for some domains, forward these domains in
//! the cluster's DNS (CoreDNS's `forward` plugin). A pod that must not depend on the cluster's DNS can ignore this rule.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, excerpt};
use crate::pod::Base;
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "no-cluster-nameserver",
    level: Level::Warn,
    reason: EventReason::DnsPolicy,
    can_break_names: true,
    source: include_str!("no_cluster_nameserver.rs"),
    check,
};

const PATH: &str = "/spec/dnsConfig/nameservers";

/// Networks that are public by IANA's registry, and private by custom: clusters use them inside because their owner, the US Department of
/// Defense, long announced none of them.
const USED_INSIDE: [u8; 10] = [6, 7, 11, 21, 22, 26, 28, 29, 30, 33];

/// The first 32 bits of public resolvers with IPv6 addresses. Clusters have global IPv6 addresses too, so others say nothing.
const PUBLIC_RESOLVERS: [(u16, u16); 5] =
    [(0x2001, 0x4860), (0x2606, 0x4700), (0x2620, 0x00fe), (0x2620, 0x0119), (0x2a10, 0x50c0)];

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let nameservers = &input.conf.nameservers;
    if input.conf.base != Base::Nothing || nameservers.is_empty() || !nameservers.iter().all(|text| is_outside(text)) {
        return;
    }
    let first = &nameservers[0];
    let are = if nameservers.len() > 1 { " and others are" } else { " is" };
    let message = || format!("no Service resolves: {}{are} outside of the cluster", excerpt(first));
    let help = "leave dnsPolicy out: the cluster's DNS resolves outside names too";
    findings.pod(PATH, || Texts { message: message(), change: "remove dnsPolicy and nameservers", help });
}

/// Returns whether a nameserver is on the internet for certain.
fn is_outside(text: &str) -> bool {
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => is_public(address),
        Ok(IpAddr::V6(address)) => is_public_resolver(address),
        Err(_) => false,
    }
}

fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // Shared addresses (RFC 6598) and those for benchmarks (RFC 2544) are used inside of clusters.
    let is_shared = first == 100 && second & 0xc0 == 64 || first == 198 && second & 0xfe == 18;
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || first == 0
        || first >= 224;
    !is_shared && !is_special && !USED_INSIDE.contains(&first) && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_resolver(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    PUBLIC_RESOLVERS.contains(&(first, second))
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::rules::tests::{Case, fires};

    fn number(nameservers: &[&str]) -> usize {
        fires("no-cluster-nameserver", Case::pod("debian:12").policy(Policy::None).nameservers(nameservers)).len()
    }

    #[test]
    fn fires_where_all_nameservers_are_public() {
        for nameservers in [&["8.8.8.8"][..], &["4.2.2.4"], &["1.1.1.1", "8.8.8.8"], &["2001:4860:4860::8888"]] {
            assert_eq!(number(nameservers), 1, "{nameservers:?}");
        }
        let findings =
            fires("no-cluster-nameserver", Case::pod("alpine:3.11").policy(Policy::None).nameservers(&["4.2.2.4"]));
        assert_eq!(findings[0].message, "no Service resolves: 4.2.2.4 is outside of the cluster");
        let both = Case::pod("alpine:3.11").policy(Policy::None).nameservers(&["1.1.1.1", "8.8.8.8"]);
        let findings = fires("no-cluster-nameserver", both);
        assert_eq!(findings[0].message, "no Service resolves: 1.1.1.1 and others are outside of the cluster");
    }

    #[test]
    fn silent_where_one_may_be_in_the_cluster() {
        for nameserver in [
            "10.96.0.10",
            "172.20.0.10",
            "169.254.20.10",
            "100.64.0.10",
            "198.18.0.10",
            "11.0.0.10",
            "127.0.0.1",
            "fd00::a",
            "2600:1f18::a",
            "168.63.129.16",
            "not an address",
        ] {
            assert_eq!(number(&[nameserver]), 0, "{nameserver}");
            assert_eq!(number(&["8.8.8.8", nameserver]), 0, "8.8.8.8 and {nameserver}");
        }
    }

    #[test]
    fn silent_where_the_cluster_s_dns_comes_first() {
        let pod = Case::pod("debian:12").nameservers(&["8.8.8.8"]);
        assert!(fires("no-cluster-nameserver", pod).is_empty());
    }
}
