//! The annotation `muslin.dev/ignore` names a rule that does not exist.
//!
//! ## Why it matters
//! A misspelt rule silences nothing: muslin still reports the findings that the annotation should hide. Kubernetes does not check the
//! values of annotations, so nothing else reports the mistake.
//!
//! ## How to fix it
//! Write the name before the colon, or in brackets, of a finding, such as `musl-slow-retry`. Separate several names by commas. `muslin
//! explain` lists every rule.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Ignored, RuleInput, excerpt, short};
use crate::policy::{Level, meant_word};

pub(super) static RULE: Rule = Rule {
    slug: "unknown-rule",
    level: Level::Warn,
    reason: EventReason::UnknownRule,
    can_break_names: false,
    source: include_str!("unknown_rule.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for Ignored { slug, path } in input.ignored {
        let known = findings.rules.iter().map(|rule| rule.slug);
        if known.clone().any(|known| known == *slug) {
            continue;
        }
        let (change, help) = match meant_word(slug, known) {
            Some(meant) => (format!("write `{meant}`"), format!("did you mean `{meant}`?")),
            None => (
                format!("remove `{}` from muslin.dev/ignore", short(slug)),
                "remove it, or write the name of a rule as findings show it".to_owned(),
            ),
        };
        let message = || format!("muslin.dev/ignore names `{}`, which is not a rule", excerpt(slug));
        findings.pod(*path, || Texts { message: message(), change, help });
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_a_slip_of_the_pen_and_proposes_what_was_meant() {
        let findings = fires("unknown-rule", Case::pod("debian:12").ignoring("musl-slow-rety"));
        assert_eq!(findings[0].message, "muslin.dev/ignore names `musl-slow-rety`, which is not a rule");
        assert_eq!(findings[0].help, "did you mean `musl-slow-retry`?");
        assert_eq!(findings[0].path, "/metadata/annotations/muslin.dev~1ignore");
    }

    #[test]
    fn silent_on_a_rule_even_one_that_would_not_have_fired() {
        assert!(fires("unknown-rule", Case::pod("debian:12").ignoring("musl-slow-retry")).is_empty());
    }
}
