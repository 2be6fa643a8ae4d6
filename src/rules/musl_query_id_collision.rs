//! musl before 1.2.4 can give its two queries for a name the same id, and then takes one answer for both.
//!
//! ## Why it matters
//! musl makes the id from the clock alone. If the A and the AAAA query share it, musl stops listening after two answers to one of them
//! (musl 6c858d6f, first in 1.2.4; Alpine 3.18). If the answer to the other is lost, the name seems not to exist, or to have only IPv6
//! (60 of 60 such lookups, measured on musl 1.1.24). This needs a coarse clock: none of 408,000 pairs shared an id on an ordinary
//! clock, and nearly all did on one that was made coarse. So this is advice. The rule is silent if a nameserver of the pod is a cache on
//! its node (a link-local address), where hardly any answer is lost.
//!
//! ## How to fix it
//! Use an image on Alpine 3.18 or later, or on another C library. No option changes this.

use super::event_reason::EventReason;
use super::musl_advice::{NEWER_ALPINE, USE_NEWER_ALPINE};
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{NearbyServer, RuleInput};
use crate::policy::Level;
use crate::resolver::{Family, musl};

pub(super) static RULE: Rule = Rule {
    slug: "musl-query-id-collision",
    level: Level::Info,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_query_id_collision.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.nearby_server(Family::Musl) == Some(NearbyServer::NodeCache) {
        return;
    }
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        if resolver.version.is_some_and(|release| release < musl::DISTINCT_IDS_SINCE) {
            let message = || format!("{resolver} can give the A and the AAAA query one id, and lose an answer");
            let texts = || Texts { message: message(), change: USE_NEWER_ALPINE, help: NEWER_ALPINE };
            findings.container(container, container.image_path(), texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires, musl};

    #[test]
    fn advises_on_every_release_that_can_do_it() {
        for minor in 1..=17 {
            let findings = fires("musl-query-id-collision", Case::pod(&format!("alpine:3.{minor}")));
            assert_eq!((findings.len(), findings[0].level), (1, Level::Info), "Alpine 3.{minor}");
        }
    }

    #[test]
    fn silent_from_the_release_that_cannot_and_where_no_release_is_known() {
        assert!(fires("musl-query-id-collision", Case::declared(musl(1, 2, 4))).is_empty());
        for image in ["alpine:3.18", "alpine", "debian:12"] {
            assert!(fires("musl-query-id-collision", Case::pod(image)).is_empty(), "{image}");
        }
    }

    #[test]
    fn silent_behind_a_cache_on_the_node() {
        let cached = Case::pod("alpine:3.17").policy(Policy::None).nameservers(&["169.254.20.10"]);
        assert!(fires("musl-query-id-collision", cached).is_empty());
    }
}
