//! The pod's `timeout` is so short that answers which only take long are lost.
//!
//! ## Why it matters
//! To musl `timeout` is for all attempts together, and to Go for each of them, with no ear for a late answer to an
//! earlier one: with `timeout:1` no answer was heard that took 1.5 s, with `timeout:2` none of 2.5 s, and with
//! `timeout:3` none of 4 s (measured). glibc hears most late answers, up to `timeout` times `attempts`. Answers do take
//! that long: CoreDNS waits 2 s for an upstream server before it asks the next, and gives up after 5 s (coredns
//! `plugin/forward/forward.go`). A patience of up to 2 s makes a failed lookup of one packet that is lost behind
//! CoreDNS (a warning), one of less than 5 s of two (advice).
//!
//! ## How to mend it
//! Leave `timeout` at 5. musl resends sooner with more `attempts` and the same timeout: `timeout:5` with `attempts:10`
//! resends after 0.5 s. In a pod whose containers all use glibc, `single-request-reopen` cures what short timeouts are
//! set for.

use std::collections::HashMap;
use std::time::Duration;

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, Fate, Resolver, Settings};

pub(super) static RULE: Rule = Rule {
    slug: "short-total-timeout",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("short_total_timeout.rs"),
    check,
};

/// How long CoreDNS waits for an upstream server before it asks the next (coredns `plugin/forward/forward.go`,
/// `defaultReadTimeout`).
const ONE_UPSTREAM: Duration = Duration::from_secs(2);

/// After how long it gives up on all of them (there, `defaultTimeout`).
const ALL_UPSTREAMS: Duration = Duration::from_secs(5);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let mut untouched: HashMap<Resolver, Option<Settings>> = HashMap::new();
    for container in input.containers {
        let Some(settings) = input.settings(container).filter(|settings| settings.fate() == Fate::Works) else {
            continue;
        };
        let Settings { resolver, .. } = settings;
        let on_its_own = *untouched.entry(resolver).or_insert_with(|| Settings::read(resolver, &[]));
        let patience = settings.slowest_answer();
        let is_shortened = on_its_own.is_some_and(|on_its_own| patience < on_its_own.slowest_answer());
        if !is_shortened || patience >= ALL_UPSTREAMS {
            continue;
        }
        let level = if patience <= ONE_UPSTREAM { Level::Warn } else { Level::Info };
        let path = input.place_of(container, "timeout").unwrap_or_else(|| "/spec/dnsConfig/options".to_owned());
        let seconds = patience.as_secs_f64();
        let (message, help) = match resolver.family {
            Family::Musl => (
                format!("{resolver} gives up on a name after {seconds} s in all: slower answers are lost"),
                if resolver.support("attempts").is_ignored() {
                    "set timeout:5, and use a newer Alpine to resend sooner"
                } else {
                    "set timeout:5; more attempts make musl resend sooner, a shorter timeout only makes it give up"
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
        findings.container(container, path, message, help).level(level);
    }
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
