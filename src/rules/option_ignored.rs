//! An option has no effect on the resolver of a container that relies on it.
//!
//! ## Why it matters
//! musl reads `ndots`, `timeout` and `attempts`, and nothing else (musl `src/network/resolvconf.c`). Options copied from advice on
//! glibc change nothing there: over 6 versions, 3 options and 32 faults, `single-request`, `single-request-reopen` and `use-vc` never
//! changed a musl lookup (measured). People who believe that the option helps look for the fault elsewhere.
//!
//! ## How to fix it
//! For musl: a NodeLocal DNSCache, a newer Alpine, or an image on another C library; `attempts:3` where the nameservers are never near
//! their capacity (`musl-slow-retry`). An option that no resolver knows is probably misspelt: correct or remove it.

use std::collections::HashSet;

use super::event_reason::EventReason;
use super::musl_advice::{NEWER_ALPINE, USE_NEWER_ALPINE, quicker_resend};
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Container, RuleInput, excerpt, option_name, option_path, short};
use crate::policy::{Level, meant_word};
use crate::resolver::{Family, Resolver, known_option, known_options};

pub(super) static RULE: Rule = Rule {
    slug: "option-ignored",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: false,
    source: include_str!("option_ignored.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    for (index, text) in input.authored_options().iter().copied() {
        let name = option_name(text);
        if name.is_empty() || name.contains(char::is_whitespace) {
            continue; // malformed-option reports it
        }
        if !seen.insert(name) {
            continue; // duplicate-option reports it
        }
        if known_option(name) {
            ignored_by_some(input, index, name, findings);
        } else {
            let message = || format!("no resolver knows the option `{}`", excerpt(name));
            findings.pod(option_path(index), || {
                let (change, help) = match meant_word(name, known_options()) {
                    Some(meant) => (format!("write `{meant}`"), format!("did you mean `{meant}`?")),
                    None => (format!("remove `{}`", short(name)), "remove it".to_owned()),
                };
                Texts { message: message(), change, help }
            });
        }
    }
}

/// Reports a warning if the option has no effect on the whole pod, and advice if it has on other containers.
fn ignored_by_some(input: &RuleInput<'_>, index: usize, name: &str, findings: &mut Findings<'_>) {
    // c-ares beside the C library may honour what that ignores.
    let honoured_beside = |container: &Container<'_>| {
        container.second_resolver().is_some_and(|second| !second.support(name).is_ignored())
    };
    let ignored: Vec<_> = input
        .judge(|resolver| resolver.support(name).is_ignored())
        .map(|(container, is_ignored)| (container, is_ignored && !honoured_beside(container)))
        .collect();
    let level = if ignored.iter().all(|(_, is_ignored)| *is_ignored) { Level::Warn } else { Level::Info };
    for (container, _) in ignored.into_iter().filter(|(_, is_ignored)| *is_ignored) {
        let resolver = container.resolver();
        if resolver.family == Family::Musl && name == "attempts" {
            continue; // musl-attempts-ignored reports it
        }
        let texts = || Texts {
            message: format!("{resolver} ignores `{name}`"),
            // No release of Go, glibc or c-ares ignores ndots.
            change: if name == "ndots" { USE_NEWER_ALPINE.to_owned() } else { format!("remove `{name}`") },
            help: alternative(input, name, resolver),
        };
        findings.at(level).container(container, option_path(index), texts);
    }
}

/// Returns what to do in place of an option that this resolver ignores.
fn alternative(input: &RuleInput<'_>, name: &str, resolver: Resolver) -> &'static str {
    match (resolver.family, name) {
        (Family::Musl, "single-request" | "single-request-reopen" | "use-vc") => quicker_resend(input, resolver),
        (Family::Musl, "rotate") => "remove it: musl asks all nameservers at once",
        (Family::Musl, "no-aaaa") => "musl always asks for both families: filter AAAA in the cluster's DNS instead",
        (Family::Musl, "ndots") => NEWER_ALPINE,
        (Family::Go, "no-aaaa") => "remove it: the program has to ask for IPv4 alone (network \"ip4\")",
        _ => "remove it, or use an image whose resolver honours it",
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Fingerprint, Reason, SecondResolver};
    use crate::policy::Level;
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_what_musl_ignores_and_says_what_helps_musl() {
        let findings = fires("option-ignored", Case::pod("alpine:3.19").option("single-request-reopen", None));
        assert_eq!(findings[0].message, "musl 1.2.4 ignores `single-request-reopen`");
        assert!(findings[0].help.starts_with("use a NodeLocal DNSCache"), "{}", findings[0].help);
        assert_eq!(findings[0].level, Level::Warn);
    }

    #[test]
    fn leaves_attempts_on_old_musl_to_the_rule_that_is_about_it() {
        assert!(fires("option-ignored", Case::pod("alpine:3.4").option("attempts", Some("5"))).is_empty());
    }

    #[test]
    fn names_an_option_once_however_often_it_is_hidden_in_a_name() {
        let pod = Case::pod("alpine:3.19").option("rotate:1", None).option("rotate:2", None);
        assert_eq!(fires("option-ignored", pod).len(), 1);
    }

    #[test]
    fn is_advice_where_another_container_has_use_for_it() {
        let pod = Case::pod("alpine:3.19").and("debian:12").option("single-request-reopen", None);
        let findings = fires("option-ignored", pod);
        assert_eq!((findings.len(), findings[0].level), (1, Level::Info));
    }

    #[test]
    fn silent_on_what_c_ares_in_the_program_honours() {
        let fingerprint = |in_program| {
            let (resolver, reason) = (Family::CAres.unversioned(), Reason::Fixed("the test says so"));
            let second = SecondResolver { resolver, in_program, reason: reason.clone() };
            Fingerprint { beside: Some(second), ..Fingerprint::inspected(Family::Musl.unversioned(), reason) }
        };
        let pod = |in_program| Case::of(fingerprint(in_program)).option("rotate", None);
        assert!(fires("option-ignored", pod(true)).is_empty());
        assert_eq!(fires("option-ignored", pod(false)).len(), 1, "the program may not load it");
    }

    #[test]
    fn proposes_the_name_that_was_meant() {
        let findings = fires("option-ignored", Case::pod("debian:12").option("single-request-repoen", None));
        assert_eq!(findings[0].message, "no resolver knows the option `single-request-repoen`");
        assert_eq!(findings[0].help, "did you mean `single-request-reopen`?");
    }

    #[test]
    fn silent_on_what_every_container_honours() {
        let pod = Case::pod("alpine:3.19").and("debian:12").option("ndots", Some("2")).option("attempts", Some("5"));
        assert!(fires("option-ignored", pod).is_empty());
    }

    #[test]
    fn claims_nothing_of_an_image_of_which_nothing_is_known() {
        assert!(fires("option-ignored", Case::pod("example.com/app:1").option("use-vc", None)).is_empty());
    }
}
