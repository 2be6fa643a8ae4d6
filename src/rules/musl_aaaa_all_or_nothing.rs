//! musl since 1.2.1 fails a lookup if one of its two queries fails, even if the other was answered.
//!
//! ## Why it matters
//! Nameservers that answer A and have trouble with AAAA are common: old appliances, broken zones, firewalls. musl since 1.2.1 (5cf1ac24;
//! Alpine 3.13) then fails the name: at once if AAAA gets NXDOMAIN, after the full timeout if it gets SERVFAIL, REFUSED or nothing
//! (measured on 1.2.2 to 1.2.6; 1.1.24, glibc and Go return the IPv4 address). musl needs NOERROR without records. This is advice,
//! because no option changes it: musl ignores `no-aaaa`.
//!
//! ## How to fix it
//! Fix the nameserver, or put an answer in front of it: CoreDNS's `template` plugin answers AAAA for a zone with NOERROR and no records.
//! A program that asks for IPv4 alone is not affected, nor is an image on another C library.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, musl};

pub(super) static RULE: Rule = Rule {
    slug: "musl-aaaa-all-or-nothing",
    level: Level::Info,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_aaaa_all_or_nothing.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        // Current tags without a release have a later one; the message holds for old ones as well.
        if resolver.version.is_none_or(|release| release >= musl::ALL_OR_NOTHING_SINCE) {
            let musl = match resolver.version {
                Some(_) => resolver.to_string(),
                None => format!("musl since {} (Alpine 3.13)", musl::ALL_OR_NOTHING_SINCE),
            };
            let message = || format!("{musl} fails a name whose AAAA query fails, though it has an IPv4 address");
            let help =
                "have the nameserver answer AAAA with NOERROR and no records, or use an image on another C library";
            let texts = || Texts { message: message(), change: "make the nameserver answer AAAA", help };
            findings.container(container, container.image_path(), texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires, musl};

    #[test]
    fn advises_from_the_release_that_does_it() {
        for (patch, fired) in [(0, 0), (1, 1), (6, 1)] {
            let findings = fires("musl-aaaa-all-or-nothing", Case::declared(musl(1, 2, patch)));
            assert_eq!(findings.len(), fired, "1.2.{patch}");
            assert!(findings.iter().all(|finding| finding.level == Level::Info));
        }
        for (minor, fired) in [(12, 0), (13, 1), (24, 1)] {
            let findings = fires("musl-aaaa-all-or-nothing", Case::pod(&format!("alpine:3.{minor}")));
            assert_eq!(findings.len(), fired, "Alpine 3.{minor}");
        }
    }

    #[test]
    fn names_the_releases_where_the_image_s_own_is_not_known() {
        for image in ["alpine", "node:20-alpine", "php:7.4-fpm-alpine", "php:8.3-fpm-alpine"] {
            let findings = fires("musl-aaaa-all-or-nothing", Case::pod(image));
            let message =
                "musl since 1.2.1 (Alpine 3.13) fails a name whose AAAA query fails, though it has an IPv4 address";
            assert_eq!(findings[0].message, message, "{image}");
        }
    }

    #[test]
    fn silent_on_other_resolvers() {
        for image in ["debian:12", "busybox:1.28", "gcr.io/distroless/static"] {
            assert!(fires("musl-aaaa-all-or-nothing", Case::pod(image)).is_empty(), "{image}");
        }
    }
}
