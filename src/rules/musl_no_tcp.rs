//! musl before 1.2.4 cannot use TCP, so large answers are cut or lost.
//!
//! ## Why it matters
//! An answer of over 512 bytes arrives truncated, with a flag that asks the resolver to repeat the query by TCP. musl does so since
//! 1.2.4 (51d4669f; Alpine 3.18). Older releases keep what fitted: 30 of 40 A records and 17 of 40 AAAA records (measured). If the
//! server sends a truncated answer without records, the name fails. A headless Service with some thirty pods reaches that size. No
//! option changes this: musl never reads `use-vc`.
//!
//! ## How to fix it
//! Use an image on Alpine 3.18 or later, or on another C library. musl returns at most 48 addresses of any answer (`MAXADDRS`,
//! `src/network/lookup.h`): of 100 A records musl 1.2.5 and 1.2.6 gave 48, glibc and Go 100 (measured). So a program that needs all
//! addresses of a large answer needs another C library. Or keep the answers small: use a Service with a cluster address instead of a
//! headless one.

use super::event_reason::EventReason;
use super::musl_advice::USE_NEWER_ALPINE;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, musl};

pub(super) static RULE: Rule = Rule {
    slug: "musl-no-tcp",
    level: Level::Warn,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_no_tcp.rs"),
    check,
};

/// The fix, and its limit.
const HELP: &str = "use Alpine 3.18 or later (musl 1.2.4), which returns up to 48 addresses, or another C library";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        if resolver.version.is_some_and(|release| release < musl::TCP_SINCE) {
            let message = || format!("{resolver} cannot ask by TCP: answers over 512 bytes are cut or lost");
            let texts = || Texts { message: message(), change: USE_NEWER_ALPINE, help: HELP };
            findings.container(container, container.image_path(), texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires, musl};

    #[test]
    fn fires_on_every_release_without_tcp() {
        for minor in 1..=17 {
            assert_eq!(fires("musl-no-tcp", Case::pod(&format!("alpine:3.{minor}"))).len(), 1, "Alpine 3.{minor}");
        }
        let findings = fires("musl-no-tcp", Case::declared(musl(1, 2, 3)));
        assert_eq!(findings[0].message, "musl 1.2.3 cannot ask by TCP: answers over 512 bytes are cut or lost");
        assert_eq!(findings[0].path, "/spec/containers/0/image");
    }

    #[test]
    fn silent_from_the_release_that_learned_it_and_where_no_release_is_known() {
        for image in ["alpine:3.18", "alpine:3.24", "alpine", "nginx:alpine", "debian:12", "busybox:1.28"] {
            assert!(fires("musl-no-tcp", Case::pod(image)).is_empty(), "{image}");
        }
    }
}
