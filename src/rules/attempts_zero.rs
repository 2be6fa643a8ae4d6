//! `attempts:0` makes musl crash or flood the nameserver, and glibc fail without a query.
//!
//! ## Why it matters
//! musl divides by the number of attempts (musl `src/network/res_msend.c`). On x86-64 the process dies of SIGFPE at its first lookup
//! (seen on Alpine 3.6 to 3.20, edge, and musl 1.2.6). arm64 does not trap on the division: musl then sends packets without a pause,
//! 390 for a healthy lookup of 5 ms, and 194,886 in 5 s where nothing answers (measured, musl 1.2.5). glibc sends no query and fails
//! at once (measured, Debian's glibc 2.36). Go reads 0 as 1. The API server accepts the value, because it only checks that an
//! option's name is not empty.
//!
//! ## How to fix it
//! Remove the option, or set it to 2, the default. Each attempt more adds to an overload (`musl-slow-retry`). In the modes `inject` and
//! `enforce`, muslin always fixes it.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
use super::zero_value::{self, ZeroOption};
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "attempts-zero",
    level: Level::Deny,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("attempts_zero.rs"),
    check,
};

const ATTEMPTS: ZeroOption =
    ZeroOption { name: "attempts", change: "set attempts to 2", help: "remove the option, or set attempts to 2 or 3" };

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    zero_value::check(&ATTEMPTS, input, findings);
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_where_musl_would_crash() {
        let findings = fires("attempts-zero", Case::pod("alpine:3.19").option("attempts", Some("0")));
        assert_eq!(findings[0].message, "attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver");
    }

    #[test]
    fn fires_where_glibc_would_send_nothing() {
        let findings = fires("attempts-zero", Case::pod("debian:12").option("attempts", Some("0")));
        assert_eq!(findings[0].message, "attempts:0 makes glibc fail every lookup without sending a query");
    }

    #[test]
    fn fires_where_the_name_holds_the_value() {
        assert_eq!(fires("attempts-zero", Case::pod("alpine:3.19").option("attempts:0", None)).len(), 1);
    }

    #[test]
    fn silent_on_one_attempt_and_where_a_later_option_replaces_it() {
        assert!(fires("attempts-zero", Case::pod("alpine:3.19").option("attempts", Some("1"))).is_empty());
        let replaced = Case::pod("alpine:3.19").option("attempts", Some("0")).option("attempts", Some("3"));
        assert!(fires("attempts-zero", replaced).is_empty());
    }

    #[test]
    fn silent_on_an_image_of_which_nothing_is_known() {
        assert!(fires("attempts-zero", Case::pod("example.com/app:1").option("attempts", Some("0"))).is_empty());
    }

    #[test]
    fn says_what_zero_does_where_no_container_is_known() {
        let findings = fires("attempts-zero", Case::settings().option("attempts", Some("0")));
        assert_eq!(
            findings[0].message,
            "attempts:0 makes musl crash (SIGFPE), or on arm64 flood the nameserver; glibc fail every lookup without sending a query"
        );
        assert_eq!((findings.len(), &findings[0].container), (1, &None));
        assert!(fires("attempts-zero", Case::settings().option("attempts", Some("2"))).is_empty());
    }
}
