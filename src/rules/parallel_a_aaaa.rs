//! glibc sends the A and the AAAA query from one socket, and older kernels can lose one of them.
//!
//! ## Why it matters
//! Two packets of one connection that conntrack has not yet confirmed clash, and the kernel drops one: the lookup then takes 5 s. The
//! kernel resolves every clash since about 5.6 (0 lost of 900,000 pairs measured on 6.18), so this is advice.
//!
//! ## How to fix it
//! `single-request-reopen` gives each query a socket of its own: 3876 clashes of 4,000 lookups became 0, and a healthy lookup took 83
//! ms instead of 42 ms (measured, 10 ms network). A NodeLocal DNSCache avoids conntrack without that cost.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
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
    let in_pod = input.option_path("no-aaaa");
    for container in input.using(Family::Glibc) {
        let Some(settings) = input.settings(container) else { continue };
        let resolver = container.resolver();
        let leave_together = settings.pairing == QueryPairing::OneSocket && settings.transport == Transport::Udp;
        // A glibc of an unknown release may be one that then asks for A alone.
        let asks_for_aaaa =
            container.option_path("no-aaaa", in_pod.as_deref()).is_none() || resolver.support("no-aaaa").is_ignored();
        if leave_together && asks_for_aaaa && settings.viability() == Viability::Works {
            let message = || format!("{resolver} sends A and AAAA from one socket, which kernels before 5.6 can race");
            let help = "on such nodes set single-request-reopen, or use a NodeLocal DNSCache";
            findings.container(container, "/spec/dnsConfig/options", || (message(), help));
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn silent_where_nothing_is_sent() {
        assert!(fires("parallel-a-aaaa", Case::pod("debian:12").option("attempts", Some("0"))).is_empty());
    }

    #[test]
    fn silent_on_musl_which_no_option_would_help() {
        assert!(fires("parallel-a-aaaa", Case::pod("alpine:3.19")).is_empty());
    }
}
