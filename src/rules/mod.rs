//! The rules on a pod's DNS, one file each. A file's doc comment is the rule's documentation (what the rule finds, why it matters, how
//! to fix it), read from the source itself. Must not know of plans, patches or the webhook.
//!
//! Every rule keeps these promises:
//! - A rule is about the resolver of one container, in its release. For an unknown release, a rule claims only what is true of all
//!   releases. A fault of some releases is reported as advice that names them, and only if the pod sets something
//!   that matters to them.
//! - A finding on a healthy pod without options is a warning only if there is a fix: a plain Alpine pod gets at most two.
//! - A rule takes time in proportion to the pod. Rules walk over options, search names and containers one after the other, at most once
//!   for each resolver that occurs, and never over each of one for each of another. A pod can be 1.5 MB of any of them.
//!
//! To add a rule, write its file, and name it in the list at the end of this file. Tests ask for its examples in `tests/rules`.

mod docs_url;
mod event_reason;
mod musl_advice;
mod rule;
mod rule_input;
mod zero_value;

use std::cmp::Reverse;

use crate::policy::Level;

pub use docs_url::{DOCS_URL_MAX, DocsUrl, InvalidDocsUrl};
pub use event_reason::{
    CERTIFICATE_UNUSABLE, DNS_FAULT, DNS_FAULT_ENDED, EventReason, PODS_MISSED, RISK_NOT_ACCEPTED, ROLLOUT_PROMOTED,
    ROLLOUT_ROLLED_BACK, SEARCH_DOMAIN_BROKEN, SEARCH_DOMAIN_HEALTHY,
};
pub use rule::{CHANGE_MAX, Finding, Findings, HOLDER, Rule};
pub use rule_input::{Container, Ignored, RuleInput, option_path};
pub(crate) use strict_parser_breaks::is_judged_by_image_name;
pub use unread_key::unread_key_texts;

/// Returns the findings of every rule on a pod, the most serious first, in the order of [`RULES`] among equals.
///
/// A finding for which `wants_texts` returns `false` has no message and no advice: most findings are only counted.
pub fn check(input: &RuleInput<'_>, wants_texts: &dyn Fn(&Rule, Level) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in RULES {
        let level = rule.level;
        (rule.check)(input, &mut Findings { rule, level, rules: RULES, wants_texts, found: &mut found });
    }
    found.sort_by_key(|finding| Reverse(finding.level));
    found
}

// === impl Rule ===

impl Rule {
    /// Returns the rule with this slug.
    pub fn named(slug: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.slug == slug).copied()
    }
}

macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule; among those of one level, the most useful finding comes first.
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
    broken_search_domain,
    ndots_breaks_musl,
    short_total_timeout,
    use_vc_hangs,
    outdated_injection,
    retry_storm,
    single_request_waits,
    strict_parser_breaks,
    go_falls_back_to_libc,
    musl_queries_all_nameservers,
    musl_attempts_ignored,
    option_ignored,
    musl_slow_retry,
    musl_no_tcp,
    no_cluster_nameserver,
    node_resolv_conf,
    go_netdns_ineffective,
    musl_stops_search,
    parallel_a_aaaa,
    musl_aaaa_all_or_nothing,
    musl_query_id_collision,
    ndots_amplification,
    unknown_rule,
    unread_key,
}

#[cfg(test)]
mod tests;
