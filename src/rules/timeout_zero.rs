//! `timeout:0` makes lookups fail on musl, which then sends no query.
//!
//! ## Why it matters
//! musl sends queries while less than the timeout has passed, so with 0 it never does: every lookup fails at once, with no packet
//! sent (musl `src/network/res_msend.c`; seen on every Alpine from 3.3). glibc and Go read 0 as one second.
//!
//! ## How to fix it
//! Remove the option, or set it to at least 1 second. In the modes `inject` and `enforce`, muslin always fixes it.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
use super::zero_value::{self, ZeroOption};
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "timeout-zero",
    level: Level::Deny,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("timeout_zero.rs"),
    check,
};

const TIMEOUT: ZeroOption = ZeroOption {
    name: "timeout",
    change: "set timeout to 5",
    help: "remove the option, or set timeout to at least 1 second",
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    zero_value::check(&TIMEOUT, input, findings);
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_where_musl_would_send_nothing() {
        let findings = fires("timeout-zero", Case::pod("alpine:3.19").option("timeout", Some("0")));
        assert_eq!(findings[0].message, "timeout:0 makes musl 1.2.4 fail every lookup without sending a query");
    }

    #[test]
    fn fires_on_a_fraction_that_is_read_as_zero() {
        assert_eq!(fires("timeout-zero", Case::pod("alpine:3.19").option("timeout", Some("0.5"))).len(), 1);
    }

    #[test]
    fn silent_where_glibc_reads_it_as_a_second() {
        assert!(fires("timeout-zero", Case::pod("debian:12").option("timeout", Some("0"))).is_empty());
    }
}
