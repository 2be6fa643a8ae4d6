//! The search list holds a `.`, and some resolvers fail every name that reaches it.
//!
//! ## Why it matters
//! Kubernetes accepts `.` in `dnsConfig.searches` (KEP-4427). For glibc it is useful: names are tried as they are at that place. musl
//! before 1.2.4 sends a malformed query for it and waits for an answer that never comes: after 5 s the lookup fails, without trying
//! later search names or the name itself (measured on Alpine 3.4 to 3.17; fixed by musl 001c1afb and 1e7fb12f). uClibc fails the name
//! at once (`libc/inet/resolv.c` `__encode_dotted`, not measured). musl since 1.2.4 and Go skip the entry.
//!
//! ## How to fix it
//! Remove the `.`. To try outside names first, end them with a dot in the program's configuration (`www.example.com.`), which every
//! resolver honours. Or use Alpine 3.18 or later.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, search_path};
use crate::policy::Level;
use crate::resolver::{Answer, Family, Resolver, Settings, Version, resolves};

pub(super) static RULE: Rule = Rule {
    slug: "search-dot",
    level: Level::Warn,
    reason: EventReason::DnsSearch,
    can_break_names: false,
    source: include_str!("search_dot.rs"),
    check,
};

/// Stands for a musl of an unknown release, which may be one that fails.
const FAILING_MUSL: Resolver = Family::Musl.at(Version::new(1, 2, 3));

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let Some(index) = input.dns.searches.iter().position(|name| name == ".") else { return };
    let fault_of = |resolver| {
        let Settings { ndots, .. } = input.file_settings(resolver)?;
        fault(resolver, ndots, input.searches())
    };
    for (container, fault) in input.judge(fault_of) {
        let Some((level, message)) = fault else { continue };
        let help = match container.resolver().family {
            Family::Musl => "remove the `.` from dnsConfig.searches, or use Alpine 3.18 or later (musl 1.2.4)",
            _ => "remove the `.` from dnsConfig.searches",
        };
        let texts = || Texts { message, change: "remove the search name `.`", help };
        findings.at(level).container(container, search_path(index), texts);
    }
}

/// Returns the effect of the `.`, and the level by its certainty.
fn fault(resolver: Resolver, ndots: u32, search: &[&str]) -> Option<(Level, String)> {
    match resolver.family {
        Family::Musl if resolver.version.is_none() => fails(FAILING_MUSL, ndots, search).then(|| {
            (Level::Info, "musl before 1.2.4 waits in vain at the search name `.`, and the lookup fails".to_owned())
        }),
        Family::Musl => fails(resolver, ndots, search)
            .then(|| (Level::Warn, format!("{resolver} waits in vain at the search name `.`, and the lookup fails"))),
        Family::Uclibc => fails(resolver, ndots, search)
            .then(|| (Level::Warn, format!("{resolver} fails every name that reaches the search name `.`"))),
        _ => None,
    }
}

/// Returns whether the lookup of a name that exists as it is never reaches that name.
fn fails(resolver: Resolver, ndots: u32, search: &[&str]) -> bool {
    const NAME: &str = "host";
    let exists = |name: &str| if name == NAME { Answer::Address } else { Answer::NxDomain };
    resolves(resolver, NAME, ndots, search, exists) == Some(false)
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires, says};

    fn levels(image: &str) -> Vec<Level> {
        let pod = Case::pod(image).searches(["example.com", "."]);
        says("search-dot", pod).into_iter().map(|(level, _)| level).collect()
    }

    #[test]
    fn fires_on_the_musl_that_waits_in_vain() {
        let findings = fires("search-dot", Case::pod("alpine:3.17").searches(["example.com", "."]));
        assert_eq!(findings[0].message, "musl 1.2.3 waits in vain at the search name `.`, and the lookup fails");
        assert_eq!(findings[0].path, "/spec/dnsConfig/searches/1");
    }

    #[test]
    fn fires_from_the_first_musl_that_searches_to_the_last_that_fails() {
        let fired = (1..=24).filter(|minor| levels(&format!("alpine:3.{minor}")) == [Level::Warn]);
        assert_eq!(fired.collect::<Vec<_>>(), (4..=17).collect::<Vec<_>>());
    }

    #[test]
    fn is_advice_where_the_release_is_not_known() {
        assert_eq!(levels("nginx:alpine"), [Level::Info]);
    }

    #[test]
    fn fires_on_uclibc_which_refuses_the_name() {
        assert_eq!(levels("busybox:1.28"), [Level::Warn]);
    }

    #[test]
    fn silent_where_the_entry_does_no_harm() {
        for image in ["alpine:3.18", "debian:12", "gcr.io/distroless/static", "example.com/app:1"] {
            assert_eq!(levels(image), [], "{image}");
        }
    }

    #[test]
    fn silent_where_nothing_is_searched() {
        let unsearched = Case::pod("alpine:3.17").searches(["."]).option("ndots", Some("0"));
        assert!(fires("search-dot", unsearched).is_empty());
        let long = "x".repeat(240);
        let dropped = Case::pod("alpine:3.17").searches([&long, "."]);
        assert!(fires("search-dot", dropped).is_empty(), "musl drops so long a list");
    }
}
