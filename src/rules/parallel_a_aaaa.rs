//! glibc sends the A and the AAAA query from one socket, and older kernels can lose one of them.
//!
//! ## Why it matters
//! Two packets of one connection that conntrack has not yet confirmed clash, and the kernel drops one: the lookup then takes 5 s. The
//! kernel resolves every clash since about 5.6 (0 lost of 900,000 pairs measured on 6.18), so this is advice. It needs DNAT to one of
//! several DNS endpoints, as a Service does it. The rule is silent if the pod's first nameserver is a cache on its node (a link-local
//! address such as 169.254.20.10), and behind a service mesh's DNS proxy, because such queries pass no DNAT to another endpoint. A cache
//! behind the address of the cluster's DNS (NodeLocal DNSCache in its usual form, GKE) is not seen: there the race does not happen
//! either.
//!
//! ## How to fix it
//! A NodeLocal DNSCache avoids conntrack, and costs no time. `single-request-reopen` gives each query a socket of its own: 3876 clashes
//! of 4,000 lookups became 0, and a healthy lookup took 83 ms instead of 42 ms (measured, 10 ms network). glibc before 2.41 without the
//! fix for bug 30081 then waits for timeouts where a server answers SERVFAIL, and Go takes twice as long to fail (`muslin explain
//! single-request-reopen`).

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::pod::Base;
use crate::policy::Level;
use crate::resolver::{Family, QueryPairing, Transport, Viability};

pub(super) static RULE: Rule = Rule {
    slug: "parallel-a-aaaa",
    level: Level::Info,
    reason: EventReason::GlibcResolver,
    can_break_names: false,
    source: include_str!("parallel_a_aaaa.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.nearby_server(Family::Glibc).is_some() {
        return;
    }
    let hides_options = input.conf.base == Base::Node;
    let in_pod = input.option_path("no-aaaa");
    for container in input.using(Family::Glibc) {
        let Some(settings) = input.settings(container) else { continue };
        let resolver = container.resolver();
        let leave_together = settings.pairing == QueryPairing::OneSocket && settings.transport == Transport::Udp;
        // A glibc of an unknown release may be one that then asks for A alone.
        let asks_for_aaaa =
            container.option_path("no-aaaa", in_pod.as_deref()).is_none() || resolver.support("no-aaaa").is_ignored();
        if leave_together && asks_for_aaaa && settings.viability() == Viability::Works {
            let message = || {
                if hides_options {
                    format!("{resolver} sends A and AAAA from one socket, unless the node's file has other options")
                } else {
                    format!("{resolver} sends A and AAAA from one socket, which kernels before 5.6 can race")
                }
            };
            let help = if resolver.support("single-request-reopen").is_ignored() {
                "use a newer kernel or a NodeLocal DNSCache"
            } else if input.others_honour("single-request-reopen", &[Family::Glibc]) {
                "use a newer kernel or a NodeLocal DNSCache; single-request-reopen would slow other resolvers of the pod"
            } else if container.second_resolver().is_some() {
                "use a newer kernel or a NodeLocal DNSCache; c-ares, which the program has too, ignores single-request-reopen"
            } else {
                "use a newer kernel or a NodeLocal DNSCache, or set single-request-reopen and wait for two round trips"
            };
            let texts = || Texts { message: message(), change: "use a NodeLocal DNSCache", help };
            findings.container(container, "/spec/dnsConfig/options", texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Fingerprint, Reason, SecondResolver};
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::resolver::{Family, Version};
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_a_plain_glibc_pod_as_advice() {
        assert_eq!(fires("parallel-a-aaaa", Case::pod("debian:12"))[0].level, Level::Info);
    }

    #[test]
    fn silent_where_the_queries_do_not_leave_together() {
        for option in ["single-request-reopen", "single-request", "use-vc"] {
            assert!(fires("parallel-a-aaaa", Case::pod("debian:12").option(option, None)).is_empty(), "{option}");
        }
    }

    #[test]
    fn silent_where_no_aaaa_is_asked_for() {
        assert!(fires("parallel-a-aaaa", Case::pod("debian:12").option("no-aaaa", None)).is_empty());
        let fired = |minor| {
            let glibc = Family::Glibc.at(Version::new(2, minor, 0));
            fires("parallel-a-aaaa", Case::declared(glibc).option("no-aaaa", None)).len()
        };
        assert_eq!([fired(35), fired(36)], [1, 0]);
    }

    #[test]
    fn silent_behind_a_cache_on_the_node_and_a_mesh_s_dns_proxy() {
        let of = |policy, nameservers: &[&str]| {
            fires("parallel-a-aaaa", Case::pod("debian:12").policy(policy).nameservers(nameservers)).len()
        };
        assert_eq!(of(Policy::None, &["169.254.20.10", "10.96.0.10"]), 0);
        assert_eq!(of(Policy::None, &["10.96.0.10", "169.254.20.10"]), 1, "glibc asks the first one first");
        assert_eq!(of(Policy::ClusterFirst, &["169.254.20.10"]), 1, "the cluster's nameserver stands before it");
        assert!(fires("parallel-a-aaaa", Case::pod("debian:12").behind_a_mesh()).is_empty());
    }

    #[test]
    fn leaves_open_what_the_node_s_file_says() {
        let findings = fires("parallel-a-aaaa", Case::pod("debian:12").policy(Policy::Default));
        assert!(findings[0].message.ends_with("unless the node's file has other options"), "{}", findings[0].message);
    }

    #[test]
    fn advises_no_second_socket_beside_a_resolver_that_it_slows_down() {
        let go = Case::declared(Family::Go.unversioned()).and("debian:12");
        assert!(fires("parallel-a-aaaa", go)[0].help.contains("would slow"));
    }

    #[test]
    fn advises_no_option_that_the_program_s_other_resolver_ignores() {
        let second = |in_program| SecondResolver {
            resolver: Family::CAres.unversioned(),
            in_program,
            reason: Reason::Fixed("`/usr/bin/node` contains c-ares"),
        };
        let help = |in_program| {
            let glibc = Fingerprint::inspected(Family::Glibc.unversioned(), Reason::Fixed("it is glibc"));
            let pod = Case::of(Fingerprint { beside: Some(second(in_program)), ..glibc });
            fires("parallel-a-aaaa", pod)[0].help.to_string()
        };
        assert!(help(true).ends_with("c-ares, which the program has too, ignores single-request-reopen"));
        assert!(help(false).ends_with("or set single-request-reopen and wait for two round trips"));
        // A program that has c-ares alone is not slowed.
        let beside_envoy = fires("parallel-a-aaaa", Case::pod("debian:12").and("envoyproxy/envoy:v1.32.1"));
        assert!(beside_envoy[0].help.ends_with("wait for two round trips"), "{}", beside_envoy[0].help);
    }

    #[test]
    fn silent_where_nothing_is_sent() {
        assert!(fires("parallel-a-aaaa", Case::pod("debian:12").option("attempts", Some("0"))).is_empty());
    }

    #[test]
    fn silent_on_musl_which_no_option_would_help() {
        assert!(fires("parallel-a-aaaa", Case::pod("alpine:3.19")).is_empty());
    }
}
