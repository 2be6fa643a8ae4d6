//! The pod's `timeout` is so short that slow answers are lost.
//!
//! ## Why it matters
//! musl's `timeout` covers all attempts together. Go's covers each attempt, and Go ignores late answers to earlier attempts. With
//! `timeout:1`, neither heard an answer that took 1.5 s, with `timeout:2` none of 2.5 s, and with `timeout:3` none of 4 s (measured).
//! glibc hears most late answers, up to `timeout` times `attempts`. Answers can take that long: CoreDNS waits 2 s for an upstream
//! server before it asks the next, and gives up after 5 s (coredns `plugin/forward/forward.go`). With a total of up to 2 s, one packet
//! lost upstream of CoreDNS fails the lookup (warn); with less than 5 s, two do (info).
//!
//! ## How to fix it
//! Leave `timeout` at 5. Short timeouts are usually set against the conntrack race of kernels before 5.6: a newer kernel or a NodeLocal
//! DNSCache ends it, and `muslin explain single-request-reopen` says where that option helps.

use std::time::Duration;

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, Resolver, Settings, Viability};

pub(super) static RULE: Rule = Rule {
    slug: "short-total-timeout",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("short_total_timeout.rs"),
    check,
};

/// The time that CoreDNS waits for an upstream server before it asks the next (coredns `plugin/forward/forward.go`,
/// `defaultReadTimeout`).
const ONE_UPSTREAM: Duration = Duration::from_secs(2);

/// The time after which CoreDNS gives up on all upstream servers (same file, `defaultTimeout`).
const ALL_UPSTREAMS: Duration = Duration::from_secs(5);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let in_pod = input.option_path("timeout");
    let by_default = |resolver| Settings::read_options(resolver, &[]).map(|settings| settings.slowest_answer());
    for (container, by_default) in input.judge(by_default) {
        let Some(settings) = input.settings(container).filter(|settings| settings.viability() == Viability::Works)
        else {
            continue;
        };
        let patience = settings.slowest_answer();
        let is_shortened = by_default.is_some_and(|by_default| patience < by_default);
        if !is_shortened || patience >= ALL_UPSTREAMS {
            continue;
        }
        let level = if patience <= ONE_UPSTREAM { Level::Warn } else { Level::Info };
        let path = container.option_path("timeout", in_pod.as_deref());
        let path = path.unwrap_or_else(|| "/spec/dnsConfig/options".to_owned());
        findings.at(level).container(container, path, || texts(container.resolver(), patience));
    }
}

/// Returns the texts for a resolver that waits so long in all.
fn texts(resolver: Resolver, patience: Duration) -> Texts<String, &'static str, &'static str> {
    let seconds = patience.as_secs_f64();
    let (message, help) = match resolver.family {
        Family::Musl => (
            format!("{resolver} gives up on a name after {seconds} s in all: slower answers are lost"),
            if resolver.support("attempts").is_ignored() {
                "set timeout:5, and use a newer Alpine to resend sooner"
            } else {
                "set timeout:5: a shorter timeout makes musl give up sooner"
            },
        ),
        Family::Glibc => (
            format!("{resolver} gives up on a nameserver after {seconds} s: slower answers are lost"),
            "set timeout:5, or more attempts (at most 5): glibc waits for their product",
        ),
        _ => (
            format!("{resolver} gives up on each query after {seconds} s: slower answers are lost"),
            "set timeout:5; more attempts do not help, as each of them waits no longer",
        ),
    };
    Texts { message, change: "set timeout:5", help }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires, says};

    fn level(pod: Case, timeout: &str, attempts: &str) -> Option<Level> {
        let pod = pod.option("timeout", Some(timeout)).option("attempts", Some(attempts));
        says("short-total-timeout", pod).first().map(|(level, _)| *level)
    }

    #[test]
    fn fires_where_musl_gives_up_before_an_answer_that_takes_long() {
        let pod = Case::pod("alpine:3.19").option("timeout", Some("1")).option("attempts", Some("3"));
        let findings = fires("short-total-timeout", pod);
        assert_eq!(findings[0].message, "musl 1.2.4 gives up on a name after 1 s in all: slower answers are lost");
        assert_eq!(findings[0].path, "/spec/dnsConfig/options/0");
    }

    #[test]
    fn is_as_serious_as_the_answers_that_were_lost() {
        let levels = |timeout, attempts| {
            [Case::pod("alpine:3.19"), Case::pod("debian:12"), Case::declared(Family::Go.unversioned())]
                .map(|pod| level(pod, timeout, attempts))
        };
        let (warn, info) = (Some(Level::Warn), Some(Level::Info));
        assert_eq!(levels("1", "3"), [warn, info, warn]);
        assert_eq!(levels("2", "5"), [warn, None, warn]);
        assert_eq!(levels("3", "6"), [info, None, info]);
        assert_eq!(levels("5", "10"), [None, None, None]);
        assert_eq!(levels("1", "1"), [warn, warn, warn]);
    }

    #[test]
    fn silent_on_what_resolvers_do_on_their_own() {
        let cares = Case::declared(Family::CAres.unversioned());
        for pod in [Case::pod("alpine"), Case::pod("debian:12"), cares, Case::pod("busybox:1.28")] {
            assert!(fires("short-total-timeout", pod).is_empty());
        }
    }

    #[test]
    fn leaves_a_timeout_of_zero_to_the_rule_that_is_about_it() {
        assert_eq!(level(Case::pod("alpine:3.19"), "0", "2"), None);
    }

    #[test]
    fn reads_what_the_environment_adds_for_glibc() {
        let pod = Case::pod("debian:12").env("RES_OPTIONS", "timeout:1 attempts:1");
        assert_eq!(fires("short-total-timeout", pod)[0].path, "/spec/containers/0/env");
    }
}
