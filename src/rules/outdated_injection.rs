//! The pod still has options that muslin 0.1.0 injected and that can make lookups worse.
//!
//! ## Why it matters
//! The built-in profiles of 0.1.0 set `timeout:5 attempts:10`, or `single-request-reopen timeout:5 attempts:5`. Later measurements
//! showed harm (docs/proof.md): dnspython and gRPC lose names when one packet is lost, Go waits 200 s instead of 40 s where nothing
//! answers, glibc 2.31 waits 25 s after a SERVFAIL, and an overloaded nameserver gets five times the packets. Running pods keep their
//! resolv.conf until they are created anew.
//!
//! ## How to fix it
//! Restart the workload: muslin then replaces the options that the annotation `muslin.dev/injected` lists by those of today's profile.
//! If a template in your repository has them, delete them there.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, option_path};
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "outdated-injection",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: false,
    source: include_str!("outdated_injection.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let Some(first) = input.outdated.first() else { return };
    let message = || {
        let options = input.outdated.iter().filter_map(|index| input.dns.options.get(*index));
        let options: Vec<String> = options.map(|option| option.text()).collect();
        format!("muslin 0.1.0 set {}, which can break lookups", options.join(" "))
    };
    findings.pod(option_path(*first), || Texts {
        message: message(),
        change: "restart the workload",
        help: "restart the workload, or delete these options and muslin.dev/injected",
    });
}
