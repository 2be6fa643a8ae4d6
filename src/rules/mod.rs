//! What can be wrong with a pod's DNS: one file a rule. Each file's doc comment is the rule's documentation (what it
//! finds, why it matters, how to mend it), read from the source itself. Must not know of plans, patches or the webhook.
//!
//! What holds for all of them:
//! - A rule speaks of the resolver of one container, in that release. Of a release that is not known it claims what is
//!   true of all; what is true of some it says of those releases and as advice, and only where the pod sets something
//!   that they mind.
//! - What a healthy pod with no options has is a warning only if there is a remedy: a plain Alpine pod gets at most two.
//! - A rule takes time in proportion to the pod: it looks at options, search names and containers one after the other,
//!   at most once for each resolver that occurs, and never at each of one for each of another. A pod can be 1.5 MB of
//!   any of them.
//!
//! To add a rule: write its file, name it in the list at the end of this one, and show it in `tests/rules`.

mod event_reason;
mod musl_advice;
mod rule;
mod rule_input;
mod zero_value;

use std::cmp::Reverse;

pub use event_reason::EventReason;
pub use rule::{Finding, Findings, HOLDER, Rule};
pub use rule_input::{Container, Ignored, RuleInput, option_path};

/// Runs every rule on a pod. The findings come with the most serious first, and in the order of [`RULES`] among equals.
pub fn check(input: &RuleInput<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in RULES {
        (rule.check)(input, &mut Findings { rule, rules: RULES, found: &mut found });
    }
    found.sort_by_key(|finding| Reverse(finding.level));
    found
}

// === impl Rule ===

impl Rule {
    /// The rule of this slug.
    pub fn named(slug: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.slug == slug).copied()
    }
}

macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule, the most useful to read first among those of one level.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];
    };
}

rules! {
    attempts_zero,
    timeout_zero,
    malformed_option,
    duplicate_option,
    search_line_too_long,
    search_dot,
    ndots_breaks_musl,
    short_total_timeout,
    use_vc_hangs,
    strict_parser_breaks,
    go_falls_back_to_libc,
    musl_queries_all_nameservers,
    musl_attempts_ignored,
    option_ignored,
    musl_slow_retry,
    musl_no_tcp,
    node_resolv_conf,
    go_netdns_ineffective,
    musl_stops_search,
    parallel_a_aaaa,
    musl_aaaa_all_or_nothing,
    musl_query_id_collision,
    ndots_amplification,
    unknown_rule,
}

#[cfg(test)]
mod tests;
