//! A search domain of the node, or of the pod, keeps names outside the cluster from being found.
//!
//! ## Why it matters
//! A name with fewer dots than `ndots` is first tried below each search domain, and the kubelet adds the node's domains to the cluster's
//! three (kubernetes `pkg/kubelet/network/dns/dns.go`, `generateSearchesForDNSClusterFirst`). A name that does not exist should get
//! NXDOMAIN there. musl ends the lookup at every other answer: NODATA, SERVFAIL, REFUSED, silence (musl `src/network/lookup_name.c`,
//! `name_from_dns_search`; measured, `docs/proof.md`), so that no name outside the cluster resolves. A domain with an address for every
//! name (a wildcard) gives every resolver a wrong address. With `www.example.org` and the node's domain `corp.example.com`, musl asks:
//!
//! | name | answer |
//! |---|---|
//! | `www.example.org.shop.svc.cluster.local` | NXDOMAIN: the next name |
//! | `www.example.org.svc.cluster.local` | NXDOMAIN: the next name |
//! | `www.example.org.cluster.local` | NXDOMAIN: the next name |
//! | `www.example.org.corp.example.com` | NODATA: the lookup ends |
//! | `www.example.org` | never asked |
//!
//! k3s-io/k3s#13472, k3s-io/k3s#6132, k3s-io/k3s#6561 and rancher/rancher#5041 are such reports. muslin knows a domain as broken from its
//! own checks (`kubectl get dnsobservations`), or from `broken-search-domains` in `muslin.toml`.
//!
//! ## How to fix it
//! Fix the domain's servers, or remove the domain from the node's resolv.conf. Until then end names outside the cluster with a dot in
//! the program's configuration (`www.example.org.`), or use a profile with `search: whenBroken`: new pods with musl then get the cluster's
//! search domains alone.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, excerpt, search_path, short};
use crate::pod::Base;
use crate::policy::{BrokenDomain, DomainFault, Level};
use crate::resolver::{Answer, Resolver, lookup};

pub(super) static RULE: Rule = Rule {
    slug: "broken-search-domain",
    level: Level::Warn,
    reason: EventReason::DnsSearch,
    can_break_names: false,
    source: include_str!("broken_search_domain.rs"),
    check,
};

/// A name outside the cluster with as few dots as possible.
const OUTSIDE: &str = "example.org";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for broken in input.broken.iter().filter(|broken| is_searched(broken, input)) {
        let own = input.dns.searches.iter().position(|name| is_same(name, broken));
        for (container, is_lost) in input.judge(|resolver| loses_outside_names(resolver, broken, input)) {
            if !is_lost {
                continue;
            }
            let path = own.map_or_else(|| "/spec/dnsPolicy".to_owned(), search_path);
            let BrokenDomain { domain, fault } = broken;
            let message = || match fault {
                DomainFault::Wildcard => {
                    format!("{} stops at {}, which {fault}", container.resolver(), excerpt(domain))
                }
                _ => format!("{} ends each search at {}, which {fault}", container.resolver(), excerpt(domain)),
            };
            let change = || match own {
                Some(_) => format!("remove the search name {}", short(domain)),
                None => "end names outside the cluster with a dot".to_owned(),
            };
            let help = "names outside the cluster do not resolve; fix the domain, end outside names with a dot, or use a profile \
                        with `search: whenBroken` for musl";
            findings.container(container, path, || Texts { message: message(), change: change(), help });
        }
    }
}

/// Returns whether the pod's search list has the domain: by its own searches, or by the node's, which a pod with the cluster's DNS gets.
/// A pod with the node's file gets its options too, which are unknown here.
fn is_searched(broken: &BrokenDomain, input: &RuleInput<'_>) -> bool {
    input.conf.base == Base::Cluster || input.dns.searches.iter().any(|name| is_same(name, broken))
}

fn is_same(name: &str, broken: &BrokenDomain) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(&broken.domain)
}

/// Returns whether a name outside the cluster is not found, or found at the domain, where all other answers are as they should be.
fn loses_outside_names(resolver: Resolver, broken: &BrokenDomain, input: &RuleInput<'_>) -> bool {
    let Some(settings) = input.file_settings(resolver) else { return false };
    let mut searches = input.searches().to_vec();
    if !searches.iter().any(|name| is_same(name, broken)) {
        // The kubelet writes the cluster's three, the node's, and then the pod's own.
        searches.insert(searches.len().min(3), &broken.domain);
    }
    let answer = |name: &str| match name {
        OUTSIDE => Answer::Address,
        _ if broken.has(name) => broken.fault.answer(),
        _ => Answer::NxDomain,
    };
    let found = lookup(resolver, OUTSIDE, settings.ndots, &searches, answer);
    found.is_some_and(|lookup| lookup.found.as_deref() != Some(OUTSIDE))
}

#[cfg(test)]
mod tests {
    use super::lookup;
    use crate::pod::Policy;
    use crate::policy::DomainFault;
    use crate::resolver::{Answer, Family, musl, query_names};
    use crate::rules::tests::{Case, fires, says};

    const DOMAIN: &str = "corp.example.com";

    fn with(image: &str, fault: DomainFault) -> Case {
        Case::pod(image).broken(DOMAIN, fault)
    }

    #[test]
    fn names_the_domain_that_ends_musl_s_search() {
        for fault in DomainFault::ALL {
            assert_eq!(fires("broken-search-domain", with("alpine:3.19", fault)).len(), 1, "{fault:?}");
        }
        let findings = fires("broken-search-domain", with("alpine:3.19", DomainFault::NoData));
        assert_eq!(findings[0].message, "musl 1.2.4 ends each search at corp.example.com, which answers NODATA");
        assert_eq!(findings[0].change, "end names outside the cluster with a dot");
        assert_eq!(findings[0].path, "/spec/dnsPolicy");
    }

    /// `muslin explain broken-search-domain` shows the chain of a name through the search list.
    #[test]
    fn the_documented_chain_is_the_one_of_musl() {
        let rows = super::RULE.source.lines().filter_map(|line| line.strip_prefix("//! | `"));
        let documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let searches = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", DOMAIN];
        let musl = Family::Musl.at(musl::RECENT);
        assert_eq!(documented, query_names(musl, "www.example.org", 5, &searches));
        let answer = |name: &str| if name.ends_with(DOMAIN) { Answer::NoData } else { Answer::NxDomain };
        let asked = lookup(musl, "www.example.org", 5, &searches, answer).unwrap();
        // For A and AAAA of the first four names.
        assert_eq!((asked.found, asked.queries), (None, 8));
    }

    #[test]
    fn glibc_goes_on_except_behind_a_wildcard() {
        for fault in [DomainFault::NoData, DomainFault::ServFail, DomainFault::Refused, DomainFault::Silence] {
            assert!(fires("broken-search-domain", with("debian:12", fault)).is_empty(), "{fault:?}");
        }
        let said = says("broken-search-domain", with("debian:12", DomainFault::Wildcard));
        assert!(said[0].1.ends_with("stops at corp.example.com, which has an address for every name"), "{said:?}");
    }

    #[test]
    fn silent_where_no_outside_name_is_searched() {
        let once = with("alpine:3.19", DomainFault::NoData).option("ndots", Some("1"));
        assert!(fires("broken-search-domain", once).is_empty());
        let before_search = with("alpine:3.3", DomainFault::NoData);
        assert!(fires("broken-search-domain", before_search).is_empty());
    }

    #[test]
    fn silent_where_the_node_s_domains_are_not_in_the_file() {
        let searches = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
        let fixed = || with("alpine:3.19", DomainFault::NoData).policy(Policy::None).option("ndots", Some("5"));
        assert!(fires("broken-search-domain", fixed().searches(searches)).is_empty());
        assert!(fires("broken-search-domain", fixed().policy(Policy::Default)).is_empty());
    }

    #[test]
    fn a_domain_of_the_pod_s_own_is_to_be_removed() {
        let own = with("alpine:3.19", DomainFault::ServFail).policy(Policy::None).option("ndots", Some("5"));
        let findings = fires("broken-search-domain", own.searches(["cluster.local", "Corp.Example.com."]));
        assert_eq!(findings[0].path, "/spec/dnsConfig/searches/1");
        assert_eq!(findings[0].change, "remove the search name corp.example.com");
    }
}
