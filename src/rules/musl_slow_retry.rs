//! musl waits long before it sends a lost query again.
//!
//! ## Why it matters
//! musl sends `attempts` times within `timeout`. With its defaults of 5 s and 2, a lost packet costs 2.5 s, and each name of the search
//! list can cost as much again: 10 s were measured where one of each pair of queries is lost. musl ignores every option that is
//! advised against the 5 s delay of glibc (`single-request-reopen`, `use-vc`). Only the ratio of `timeout` and `attempts` helps.
//!
//! ## How to fix it
//! `timeout:5` with `attempts:10` resends after 0.5 s and gives up no sooner than before (measured: no lookup that succeeded with the
//! defaults failed with these). `timeout:5` with `attempts:5` resends after 1 s, for a pod that shares its file with glibc. musl 1.1.13
//! to 1.1.15 (Alpine 3.4 and 3.5) do not read `attempts`, so only a newer Alpine helps there. A NodeLocal DNSCache avoids most of the
//! loss.

use std::time::Duration;

use super::event_reason::EventReason;
use super::musl_advice::quicker_resend;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, Viability};

pub(super) static RULE: Rule = Rule {
    slug: "musl-slow-retry",
    level: Level::Warn,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_slow_retry.rs"),
    check,
};

/// The resend that the default profile reaches with `attempts:3`: 5/3 s.
const ACCEPTABLE: Duration = Duration::from_millis(1667);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for container in input.using(Family::Musl) {
        let Some(settings) = input.settings(container).filter(|settings| settings.viability() == Viability::Works)
        else {
            continue;
        };
        let resolver = container.resolver();
        let resend = settings.one_loss_delay();
        if resend.is_some_and(|after| after <= ACCEPTABLE) {
            continue;
        }
        let message = || match resend {
            Some(after) => format!("{resolver} resends a lost query only after {} s", after.as_secs_f64()),
            None => format!("{resolver} never resends a lost query (attempts:{})", settings.attempts),
        };
        findings.container(container, "/spec/dnsConfig/options", || (message(), quicker_resend(resolver)));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_a_plain_alpine_pod() {
        let findings = fires("musl-slow-retry", Case::pod("alpine:3.19"));
        assert_eq!(findings[0].message, "musl 1.2.4 resends a lost query only after 2.5 s");
        assert_eq!(findings[0].container.as_deref(), Some("app"));
    }

    #[test]
    fn fires_where_attempts_are_not_parsed() {
        // musl 1.1.14 (Alpine 3.4) does not read `attempts`.
        let pod = Case::pod("alpine:3.4").option("timeout", Some("5")).option("attempts", Some("10"));
        let findings = fires("musl-slow-retry", pod);
        assert!(findings[0].help.starts_with("use a newer Alpine"), "{}", findings[0].help);
    }

    #[test]
    fn fires_on_a_single_attempt_however_short_the_timeout() {
        let pod = Case::pod("alpine:3.19").option("timeout", Some("1")).option("attempts", Some("1"));
        assert_eq!(fires("musl-slow-retry", pod)[0].message, "musl 1.2.4 never resends a lost query (attempts:1)");
    }

    #[test]
    fn silent_with_the_options_that_muslin_injects() {
        let pod = Case::pod("alpine:3.19").option("attempts", Some("3"));
        assert!(fires("musl-slow-retry", pod).is_empty());
    }

    #[test]
    fn silent_on_glibc() {
        assert!(fires("musl-slow-retry", Case::pod("debian:12")).is_empty());
    }
}
