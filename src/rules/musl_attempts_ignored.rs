//! An old musl does not read the `attempts` that the pod sets.
//!
//! ## Why it matters
//! musl 1.1.13 broke the reading of `attempts` (d6cb08bc), and 1.1.17 fixed it (1a7fa5e5). The releases in between, and so Alpine 3.4
//! and 3.5, send twice within the timeout, whatever the number. musl 1.1.16 reads the option only with the patch of Alpine 3.6 (aports
//! 27bff2a1), so for that release this is advice.
//!
//! ## How to fix it
//! Use Alpine 3.7 or later. Until then only `timeout` changes how soon a lost query is sent again, but it also limits how long an
//! answer may take. A NodeLocal DNSCache loses fewer queries.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
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

/// The number of sends of a musl that does not read the option (musl v1.1.14 `src/network/resolvconf.c`). A pod that sets this number
/// gets it.
const SENT: &str = "attempts:2";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if !input.authored_options().iter().any(|(_, text)| text.starts_with("attempts:") && *text != SENT) {
        return;
    }
    let Some(path) = input.option_path("attempts") else { return };
    for container in input.using(Family::Musl) {
        let resolver = container.resolver();
        let Some(level) = level(resolver) else { continue };
        let message = || match level {
            Level::Info => {
                format!("{resolver} reads `attempts` only with the patch of Alpine 3.6; else it sends twice")
            }
            _ => format!("{resolver} does not read `attempts`: it sends twice, whatever the number"),
        };
        let help = "use Alpine 3.7 or later; until then only a shorter timeout makes it resend sooner";
        let texts = || Texts { message: message(), change: "use Alpine 3.7+", help };
        findings.at(level).container(container, path.clone(), texts);
    }
}

/// Returns the level by the certainty that this release ignores the option; `None` if it is not known to.
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
