//! An option that Go does not know makes a Go program leave all its lookups to the C library.
//!
//! ## Why it matters
//! Go's resolver knows few options. If resolv.conf holds another one and the program was built with cgo, Go hands every lookup to the
//! C library's `getaddrinfo` (Go `src/net/conf.go`, `unknownOpt`; tried with Go 1.26.8 and `no-aaaa`). The program then sends both
//! queries from one socket, uses a thread for each lookup, and on Alpine follows musl's rules on `ndots` and on failing AAAA queries.
//! Programs built without cgo skip the option. Inspection of the image shows how a program was built; if only `GODEBUG` shows that a
//! program is Go, this is advice.
//!
//! ## How to fix it
//! Remove the option. Or keep Go's resolver: `GODEBUG=netdns=go` in the container's environment, or a build with `CGO_ENABLED=0` or
//! `-tags netgo`.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Container, RuleInput, excerpt, option_path, short};
use crate::policy::Level;
use crate::resolver::{Cgo, Family, Resolver, go};

pub(super) static RULE: Rule = Rule {
    slug: "go-falls-back-to-libc",
    level: Level::Warn,
    reason: EventReason::GoResolver,
    can_break_names: false,
    source: include_str!("go_falls_back_to_libc.rs"),
    check,
};

const HELP: &str = "remove it, or set GODEBUG=netdns=go in the container's environment";

/// A Go program that may leave its lookups to a C library.
struct Program {
    go: Resolver,
    libc: &'static str,
    level: Level,
    is_certain: bool,
}

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.authored_options().is_empty() {
        return;
    }
    let first_unknown = |resolver| {
        let is_unknown = |word: &str| go::knows_word(as_go(resolver), word).is_ignored();
        let mut options = input.authored_options().iter().copied();
        options.find(|(_, text)| text.split_ascii_whitespace().any(is_unknown))
    };
    for (container, first_unknown) in input.judge(first_unknown) {
        let Some((index, text)) = first_unknown else { continue };
        let Some(Program { go, libc, level, is_certain }) = Program::of(container) else { continue };
        let change = || format!("remove `{}`, or set GODEBUG=netdns=go", short(text));
        let text = excerpt(text);
        let message = || {
            if is_certain {
                format!("`{text}` is unknown to {go}, which leaves all lookups to {libc}")
            } else {
                format!("`{text}` makes a Go program with cgo leave all lookups to {libc}")
            }
        };
        findings.at(level).container(container, option_path(index), || Texts {
            message: message(),
            change: change(),
            help: HELP,
        });
    }
}

/// Returns Go's resolver in the container's release, or in an unknown release if the image suggests another resolver.
fn as_go(resolver: Resolver) -> Resolver {
    if resolver.family == Family::Go { resolver } else { Family::Go.unversioned() }
}

// === impl Program ===

impl Program {
    fn of(container: &Container<'_>) -> Option<Self> {
        let resolver = container.resolver();
        let godebug = container.env.godebug.as_deref();
        if godebug.is_some_and(|godebug| go::netdns(godebug).is_some()) {
            return None; // the environment chooses the resolver
        }
        match (resolver.family, resolver.cgo) {
            (Family::Go, Cgo::Linked { libc, .. }) => {
                // glibc resolves the same names as Go.
                let level = if libc == Family::Glibc { Level::Info } else { Level::Warn };
                Some(Self { go: resolver, libc: libc.name(), level, is_certain: true })
            }
            (Family::Go, Cgo::Absent) | (Family::Uclibc | Family::CAres | Family::Static, _) => None,
            (Family::Go | Family::Unknown, _) => {
                let is_go = resolver.family == Family::Go || godebug.is_some();
                is_go.then(|| Self::guessed(resolver, "the C library"))
            }
            (Family::Musl | Family::Glibc, _) => {
                godebug.is_some().then(|| Self::guessed(resolver, resolver.family.name()))
            }
        }
    }

    /// A program that is Go by its `GODEBUG`, or was built in an unknown way.
    fn guessed(resolver: Resolver, libc: &'static str) -> Self {
        Self { go: as_go(resolver), libc, level: Level::Info, is_certain: false }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::resolver::{Cgo, Family, Version};
    use crate::rules::tests::{Case, fires, says};

    const SLUG: &str = "go-falls-back-to-libc";

    fn go(cgo: Cgo) -> Case {
        Case::declared(Family::Go.at(Version::new(1, 22, 0)).with_cgo(cgo))
    }

    fn linked(libc: Family) -> Cgo {
        Cgo::Linked { libc, version: None }
    }

    #[test]
    fn fires_on_an_option_that_go_does_not_know() {
        let pod = go(linked(Family::Musl)).option("rotate", None).option("no-aaaa", None);
        let findings = fires(SLUG, pod);
        assert_eq!(findings[0].message, "`no-aaaa` is unknown to go 1.22, which leaves all lookups to musl");
        assert_eq!((findings[0].level, &*findings[0].path), (Level::Warn, "/spec/dnsConfig/options/1"));
    }

    #[test]
    fn is_advice_where_the_c_library_resolves_the_same_names() {
        let pod = go(linked(Family::Glibc)).option("no-aaaa", None);
        assert_eq!(says(SLUG, pod)[0].0, Level::Info);
    }

    #[test]
    fn is_advice_on_a_program_that_its_environment_shows_to_be_go_s() {
        let pod = Case::pod("example.com/app:1-alpine").env("GODEBUG", "netdns=1").option("no-aaaa", None);
        assert_eq!(
            says(SLUG, pod),
            [(Level::Info, "`no-aaaa` makes a Go program with cgo leave all lookups to musl".to_owned())]
        );
    }

    #[test]
    fn silent_on_options_that_this_release_knows() {
        for option in ["rotate", "single-request-reopen", "use-vc", "trust-ad", "edns0", "no-reload", "tcp"] {
            assert!(fires(SLUG, go(linked(Family::Musl)).option(option, None)).is_empty(), "{option}");
        }
        let numbers = go(linked(Family::Musl)).option("ndots", Some("x")).option("timeout", Some("1.5"));
        assert!(fires(SLUG, numbers).is_empty(), "Go knows them, whatever the number");
        let old = Family::Go.at(Version::new(1, 12, 0)).with_cgo(linked(Family::Musl));
        assert_eq!(fires(SLUG, Case::declared(old).option("use-vc", None)).len(), 1);
    }

    #[test]
    fn silent_where_no_c_library_is_there_or_the_choice_is_made() {
        assert!(fires(SLUG, go(Cgo::Absent).option("no-aaaa", None)).is_empty());
        let forced = go(linked(Family::Musl)).env("GODEBUG", "netdns=go").option("no-aaaa", None);
        assert!(fires(SLUG, forced).is_empty());
        assert!(fires(SLUG, Case::pod("alpine:3.19").option("no-aaaa", None)).is_empty());
        let bare = Case::pod("gcr.io/distroless/static").env("GODEBUG", "netdns=1").option("no-aaaa", None);
        assert!(fires(SLUG, bare).is_empty());
    }

    #[test]
    fn a_program_that_already_uses_the_c_library_is_judged_as_such() {
        let pod = go(linked(Family::Musl)).env("GODEBUG", "netdns=cgo").option("no-aaaa", None);
        assert!(fires(SLUG, pod).is_empty());
        for (name, value) in [("GODEBUG", "netdns=cgo"), ("RES_OPTIONS", "ndots:1"), ("LOCALDOMAIN", "")] {
            assert_eq!(fires("musl-slow-retry", go(linked(Family::Musl)).env(name, value)).len(), 1, "{name}");
        }
        assert!(fires("musl-slow-retry", go(linked(Family::Musl))).is_empty());
    }
}
