//! An option makes Rust programs that use the resolv-conf crate reject the whole resolv.conf.
//!
//! ## Why it matters
//! hickory-resolver and programs built on it (reqwest's `hickory-dns`, linkerd's proxy) read resolv.conf with that crate. For an
//! unknown option or an invalid number, the crate returns an error for the whole file (resolv-conf 0.7.6 `src/lib.rs`
//! `Config::parse`; hickory-dns#1285 and resolv-conf#25 were outages over `trust-ad`). hickory skips such an option only since 0.26.3.
//! linkerd's proxy then stops at its start (linkerd2-proxy `linkerd/app/core/src/dns.rs`: "system DNS config must be valid"; with
//! hickory 0.26.1 as late as v2.366.0 of August 2026). reqwest 0.13.5 asks Google's servers instead, which know no Service
//! (`src/dns/hickory.rs`). No image shows which other programs use the crate, so for them this is advice.
//!
//! ## How to fix it
//! Remove the option, or write its number in digits. `trust-ad` and `no-reload` need resolv-conf 0.7.0 in the program, `no-aaaa` needs
//! 0.7.5.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Container, RuleInput, excerpt, option_path, short};
use crate::image::Reference;
use crate::policy::Level;
use crate::resolver::Family;
use crate::resolver::resolv_conf_crate::{Acceptance, LENIENT_HICKORY, acceptance};

pub(super) static RULE: Rule = Rule {
    slug: "strict-parser-breaks",
    level: Level::Info,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("strict_parser_breaks.rs"),
    check,
};

/// The repository of linkerd's proxy at cr.l5d.io and ghcr.io, and the end of its name in mirrors.
const LINKERD_PROXY: &str = "linkerd/proxy";

/// The releases of the proxy that are known to stop: the stable ones from 2.7, which first had the words above (a7f22f6c), to 2.14,
/// the last stable one; the monthly ones from 2020 to the last that was seen to stop, as year and month.
const STOPPING_STABLE: [(u16, u16); 2] = [(2, 7), (2, 14)];
const STOPPING_EDGE: [(u16, u16); 2] = [(20, 1), (26, 7)];

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let rejected: Vec<_> = input
        .authored_options()
        .iter()
        .map(|(index, text)| (*index, *text, acceptance(text)))
        .filter(|(_, _, acceptance)| *acceptance != Acceptance::Always)
        .collect();
    if rejected.is_empty() {
        return;
    }
    if let Some((index, text, _)) = rejected.iter().find(|(_, _, acceptance)| *acceptance == Acceptance::Never) {
        for container in input.containers.iter().filter(|container| is_stopping_linkerd(container)) {
            let message = || format!("linkerd's proxy stops at its start over the option `{}`", excerpt(text));
            findings.at(Level::Warn).container(container, option_path(*index), || Texts {
                message: message(),
                change: format!("remove `{}`", short(text)),
                help: "remove the option",
            });
        }
    }
    if !input.containers.iter().any(may_use_the_crate) {
        return;
    }
    for (index, text, acceptance) in rejected {
        let change = format!("remove `{}`", short(text));
        let text = excerpt(text);
        let (message, help) = match acceptance {
            Acceptance::Always => continue,
            Acceptance::Since(version) => (
                format!("Rust programs on resolv-conf before {version} refuse the file over `{text}`"),
                format!("remove it, or see that such programs hold resolv-conf {version} or later"),
            ),
            Acceptance::Never => (
                format!("Rust programs on hickory before {LENIENT_HICKORY} refuse the file over `{text}`"),
                "remove it, if a program here resolves names with hickory-resolver".to_owned(),
            ),
        };
        findings.pod(option_path(index), || Texts { message, change, help });
    }
}

/// Returns whether the container's program may use the crate: no other resolver of its own is known.
fn may_use_the_crate(container: &Container<'_>) -> bool {
    !matches!(container.resolver().family, Family::Go | Family::CAres) && !is_stopping_linkerd(container)
}

/// Returns whether the rule has a finding of its own about an image with this name.
pub(crate) fn is_judged_by_image_name(image: &str) -> bool {
    Reference::parse(image).is_ok_and(|reference| is_linkerd_proxy(&reference))
}

fn is_linkerd_proxy(reference: &Reference<'_>) -> bool {
    let before = reference.path().strip_suffix(LINKERD_PROXY);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Returns whether the container is linkerd's proxy in a release that is known to stop.
fn is_stopping_linkerd(container: &Container<'_>) -> bool {
    let Ok(reference) = Reference::parse(container.image) else { return false };
    if !is_linkerd_proxy(&reference) {
        return false;
    }
    let Some((line, release)) = reference.tag().and_then(|tag| tag.split_once('-')) else { return false };
    let mut numbers = release.split('.').map_while(|number| number.parse::<u16>().ok());
    let (Some(first), Some(second)) = (numbers.next(), numbers.next()) else { return false };
    let [oldest, newest] = match line {
        "stable" => STOPPING_STABLE,
        "edge" => STOPPING_EDGE,
        _ => return false,
    };
    (oldest..=newest).contains(&(first, second))
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires, says};

    #[test]
    fn advises_on_an_option_that_the_crate_does_not_know() {
        let findings = fires("strict-parser-breaks", Case::pod("debian:12").option("strict-error", None));
        assert_eq!(findings[0].message, "Rust programs on hickory before 0.26.3 refuse the file over `strict-error`");
        assert_eq!((findings[0].level, &*findings[0].path), (Level::Info, "/spec/dnsConfig/options/0"));
    }

    #[test]
    fn names_the_release_that_learned_an_option() {
        let says = says("strict-parser-breaks", Case::pod("debian:12").option("no-aaaa", None));
        assert_eq!(says[0].1, "Rust programs on resolv-conf before 0.7.5 refuse the file over `no-aaaa`");
    }

    #[test]
    fn warns_where_linkerd_s_proxy_stops_over_it() {
        for image in
            ["cr.l5d.io/linkerd/proxy:stable-2.14.10", "mirror.example.com/cr.l5d.io/linkerd/proxy:edge-25.1.1"]
        {
            let pod = Case::pod(image).option("strict-error", None);
            assert_eq!(
                says("strict-parser-breaks", pod),
                [(Level::Warn, "linkerd's proxy stops at its start over the option `strict-error`".to_owned())],
                "{image}"
            );
        }
    }

    #[test]
    fn only_advises_on_what_is_not_known_to_stop() {
        for image in [
            "cr.l5d.io/linkerd/proxy:edge-26.8.1",
            "cr.l5d.io/linkerd/proxy:latest",
            "cr.l5d.io/linkerd/proxy",
            "cr.l5d.io/linkerd/controller:edge-25.1.1",
            "example.com/notlinkerd/proxy:edge-25.1.1",
        ] {
            let levels: Vec<_> = says("strict-parser-breaks", Case::pod(image).option("strict-error", None));
            assert!(levels.iter().all(|(level, _)| *level == Level::Info), "{image}: {levels:?}");
        }
    }

    #[test]
    fn fires_on_a_number_that_is_none() {
        assert_eq!(fires("strict-parser-breaks", Case::pod("debian:12").option("timeout", Some("1.5"))).len(), 1);
    }

    #[test]
    fn silent_on_what_every_release_takes_and_on_programs_with_a_resolver_of_their_own() {
        let pod = Case::pod("debian:12").option("ndots", Some("2")).option("single-request-reopen", None);
        assert!(fires("strict-parser-breaks", pod).is_empty());
        let go = Case::declared(Family::Go.unversioned()).option("strict-error", None);
        assert!(fires("strict-parser-breaks", go).is_empty());
    }
}
