//! An old musl does not read the `attempts` that the pod sets.
//!
//! ## Why it matters
//! musl 1.1.13 broke the reading of `attempts` (d6cb08bc) and 1.1.17 mended it (1a7fa5e5): in between it sends twice
//! within its timeout, whatever the number says, as does Alpine 3.4 and 3.5. musl 1.1.16 reads it only with the patch
//! that Alpine 3.6 carries (aports 27bff2a1), so of that release it is advice.
//!
//! ## How to mend it
//! Use Alpine 3.7 or later. Until then only `timeout` changes how soon a lost query is sent again, and it also bounds
//! how long an answer may take. A NodeLocal DNSCache loses fewer queries.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Effect, Family, Resolver};

pub(super) static RULE: Rule = Rule {
    slug: "musl-attempts-ignored",
    level: Level::Warn,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_attempts_ignored.rs"),
    check,
};

/// How often musl sends where it does not read the option (musl v1.1.14 `src/network/resolvconf.c`): who asks for that
/// gets it.
const SENT: &str = "attempts:2";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let asked = input.authored_options().iter().find(|(_, text)| text.starts_with("attempts:") && *text != SENT);
    if asked.is_none() {
        return;
    }
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        let (Some(level), Some(path)) = (level(resolver), input.place_of(container, "attempts")) else { continue };
        let message = match level {
            Level::Info => {
                format!("{resolver} reads `attempts` only with the patch of Alpine 3.6; else it sends twice")
            }
            _ => format!("{resolver} does not read `attempts`: it sends twice, whatever the number"),
        };
        let help = "use Alpine 3.7 or later; until then only a shorter timeout makes it resend sooner";
        findings.container(container, path, message, help).level(level);
    }
}

/// How certain it is that this release ignores the option; `None` where it is not known to.
fn level(resolver: Resolver) -> Option<Level> {
    resolver.version?;
    match resolver.facts("attempts").next()?.effect {
        Effect::Honoured => None,
        Effect::Ignored => Some(Level::Warn),
        Effect::Sometimes => Some(Level::Info),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires, musl, says};

    fn level(pod: Case) -> Option<Level> {
        says("musl-attempts-ignored", pod.option("attempts", Some("5"))).first().map(|(level, _)| *level)
    }

    #[test]
    fn fires_on_the_releases_that_do_not_read_it() {
        let levels = [12, 13, 14, 15, 16, 17].map(|patch| level(Case::declared(musl(1, 1, patch))));
        let warn = Some(Level::Warn);
        assert_eq!(levels, [None, warn, warn, warn, Some(Level::Info), None]);
    }

    #[test]
    fn points_at_the_option() {
        let pod = Case::pod("alpine:3.4").option("ndots", Some("2")).option("attempts", Some("5"));
        let findings = fires("musl-attempts-ignored", pod);
        assert_eq!(findings[0].message, "musl 1.1.14 does not read `attempts`: it sends twice, whatever the number");
        assert_eq!(findings[0].path, "/spec/dnsConfig/options/1");
    }

    #[test]
    fn silent_where_the_release_is_not_known_and_on_other_resolvers() {
        for image in ["alpine", "alpine:3.19", "debian:12"] {
            assert_eq!(level(Case::pod(image)), None, "{image}");
        }
    }

    #[test]
    fn silent_where_nothing_else_was_asked_for() {
        assert!(fires("musl-attempts-ignored", Case::pod("alpine:3.4")).is_empty());
        assert!(fires("musl-attempts-ignored", Case::pod("alpine:3.4").option("attempts", Some("2"))).is_empty());
    }
}
