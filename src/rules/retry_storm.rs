//! Many attempts at short intervals can keep an overloaded nameserver from recovering.
//!
//! ## Why it matters
//! A nameserver that stalls for a second or two finds its queue full of repeated queries, and answers lookups that have already given up.
//! Once utilisation times attempts exceeds its capacity, it never catches up. While CoreDNS's upstream stalled for 2 s at 67 % load,
//! lookups of musl found 3,000 of 3,000 names with 2 and 3 attempts, 1,049 with 4, and 900 with 10; after a stall of 1 s, 1,064 with 10
//! (measured, musl 1.2.5). glibc and Go behave alike once their `timeout` is as short as musl's interval (tests/model).
//!
//! ## How to fix it
//! Set `attempts` to 2, or to 3 where nameservers have room, and leave `timeout` at 5.

use std::time::Duration;

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::Viability;

pub(super) static RULE: Rule = Rule {
    slug: "retry-storm",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("retry_storm.rs"),
    check,
};

/// The least attempts and the longest interval that were measured to keep a nameserver from recovering at 67 % load: `attempts:4` on
/// musl, which sends each 1.25 s.
const ATTEMPTS: u32 = 4;
const INTERVAL: Duration = Duration::from_millis(1_250);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let in_pod = input.option_path("attempts");
    for container in input.containers {
        let Some(settings) = input.settings(container).filter(|settings| settings.viability() == Viability::Works)
        else {
            continue;
        };
        let (attempts, interval) = (settings.attempts, settings.resend_after());
        if attempts < ATTEMPTS || interval > INTERVAL {
            continue;
        }
        let path = container.option_path("attempts", in_pod.as_deref());
        let path = path.unwrap_or_else(|| "/spec/dnsConfig/options".to_owned());
        let message = || {
            let (resolver, seconds) = (container.resolver(), interval.as_secs_f64());
            format!("{resolver} sends an unanswered query {attempts} times, each {seconds} s")
        };
        findings.container(container, path, || Texts {
            message: message(),
            change: "set attempts to 2 or 3",
            help: "set attempts to 2 or 3, and leave timeout at 5",
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires};

    fn count(pod: Case, timeout: &str, attempts: &str) -> usize {
        fires("retry-storm", pod.option("timeout", Some(timeout)).option("attempts", Some(attempts))).len()
    }

    #[test]
    fn fires_on_musl_from_four_attempts_on() {
        let counts = ["2", "3", "4", "10"].map(|attempts| count(Case::pod("alpine:3.19"), "5", attempts));
        assert_eq!(counts, [0, 0, 1, 1]);
    }

    #[test]
    fn says_how_often_a_query_is_sent() {
        let pod = Case::pod("alpine:3.19").option("attempts", Some("10"));
        let found = fires("retry-storm", pod);
        assert_eq!(found[0].message, "musl 1.2.4 sends an unanswered query 10 times, each 0.5 s");
    }

    #[test]
    fn fires_on_other_resolvers_only_with_a_short_timeout() {
        let glibc = |timeout| count(Case::pod("debian:12"), timeout, "5");
        let go = |timeout| count(Case::declared(Family::Go.unversioned()), timeout, "5");
        assert_eq!([glibc("1"), glibc("2"), glibc("5")], [1, 0, 0]);
        assert_eq!([go("1"), go("2"), go("5")], [1, 0, 0]);
    }
}
