//! musl asks all nameservers at once and takes the first answer, even one that says there is no such name.
//!
//! ## Why it matters
//! Other resolvers ask the second nameserver when the first is silent. musl sends every query to all of them and takes the first
//! answer, NOERROR or NXDOMAIN (musl `src/network/res_msend.c`; measured: one server that answers NXDOMAIN early wins). If the
//! nameservers do not know the same names, names fail now and then: a public nameserver beside the cluster's knows no Service
//! (kubernetes#16534). If all know the same names, this only costs queries. So this is advice, unless a public address stands beside
//! the cluster's nameserver or a private one.
//!
//! ## How to fix it
//! Give the pod one nameserver that knows all names: leave `nameservers` out, and let the cluster's DNS forward other domains.

use std::net::IpAddr;

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::pod::Base;
use crate::policy::Level;
use crate::resolver::{Family, NAMESERVERS_MAX};

pub(super) static RULE: Rule = Rule {
    slug: "musl-queries-all-nameservers",
    level: Level::Info,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_queries_all_nameservers.rs"),
    check,
};

const PATH: &str = "/spec/dnsConfig/nameservers";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    // At least one nameserver comes before the pod's own, unless the policy is `None`.
    let before = usize::from(input.conf.base != Base::Nothing);
    let own = input.conf.nameservers.iter().take(NAMESERVERS_MAX as usize - before);
    let addresses: Vec<IpAddr> = own.filter_map(|text| text.parse().ok()).collect();
    if before + addresses.len() < 2 {
        return;
    }
    let beside_private = input.conf.base == Base::Cluster || addresses.iter().any(is_private);
    let public = addresses.iter().find(|address| !is_private(address)).filter(|_| beside_private);
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        let message = || match public {
            Some(public) => format!("{resolver} asks {public} at the same time, and its early NXDOMAIN wins"),
            None => format!("{resolver} asks all nameservers at the same time: an early NXDOMAIN wins"),
        };
        let level = if public.is_some() { Level::Warn } else { Level::Info };
        let help = "keep one nameserver that knows all names: the cluster's DNS can forward other domains";
        findings.at(level).container(container, PATH, || Texts {
            message: message(),
            change: "keep one nameserver",
            help,
        });
    }
}

/// Returns whether an address is private, so that its nameserver knows private names (RFC 1918, 3927, 4193, 4291, 6598).
fn is_private(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires, says};

    fn level(policy: Policy, nameservers: &[&str]) -> Option<Level> {
        let pod = Case::pod("alpine:3.19").policy(policy).nameservers(nameservers);
        says("musl-queries-all-nameservers", pod).first().map(|(level, _)| *level)
    }

    #[test]
    fn fires_on_a_public_nameserver_beside_the_cluster_s() {
        let pod = Case::pod("alpine:3.19").nameservers(&["8.8.8.8"]);
        let findings = fires("musl-queries-all-nameservers", pod);
        assert_eq!(findings[0].message, "musl 1.2.4 asks 8.8.8.8 at the same time, and its early NXDOMAIN wins");
        assert_eq!((findings[0].level, &*findings[0].path), (Level::Warn, "/spec/dnsConfig/nameservers"));
        assert_eq!(level(Policy::None, &["10.96.0.10", "2001:4860:4860::8888"]), Some(Level::Warn));
    }

    #[test]
    fn is_advice_where_all_may_know_the_same_names() {
        assert_eq!(level(Policy::None, &["169.254.20.10", "10.96.0.10"]), Some(Level::Info));
        assert_eq!(level(Policy::None, &["8.8.8.8", "1.1.1.1"]), Some(Level::Info));
        assert_eq!(level(Policy::Default, &["8.8.8.8"]), Some(Level::Info), "what the node asks is not known");
    }

    #[test]
    fn silent_with_one_nameserver() {
        assert_eq!(level(Policy::ClusterFirst, &[]), None);
        assert_eq!(level(Policy::None, &["8.8.8.8"]), None);
        assert_eq!(level(Policy::None, &["8.8.8.8", "8.8.8.8"]), None, "the kubelet writes it once");
    }

    #[test]
    fn silent_on_what_stands_behind_the_three_that_musl_reads() {
        assert_eq!(level(Policy::ClusterFirst, &["10.0.0.2", "10.0.0.3", "8.8.8.8"]), Some(Level::Info));
    }

    #[test]
    fn silent_on_a_resolver_that_asks_them_in_turn() {
        let pod = Case::pod("debian:12").nameservers(&["8.8.8.8"]);
        assert!(fires("musl-queries-all-nameservers", pod).is_empty());
    }

    #[test]
    fn knows_private_addresses_from_public_ones() {
        for (text, private) in [
            ("10.96.0.10", true),
            ("172.20.0.10", true),
            ("192.168.1.1", true),
            ("169.254.20.10", true),
            ("100.100.2.136", true),
            ("127.0.0.1", true),
            ("fd00:10:96::a", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.2", true),
            ("8.8.8.8", false),
            ("100.128.0.1", false),
            ("172.32.0.1", false),
            ("2001:4860:4860::8888", false),
        ] {
            assert_eq!(text.parse().as_ref().map(is_private), Ok(private), "{text}");
        }
    }
}
