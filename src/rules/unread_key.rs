//! A label or an annotation of the pod begins with `muslin.dev/`, and nothing reads it.
//!
//! ## Why it matters
//! The author expects an effect that does not come: `muslin.dev/inject: "false"` as a label opts no pod out, and `muslin.dev/mode` on a pod
//! changes no mode. Kubernetes accepts any key, so nothing else reports the mistake.
//!
//! ## How to fix it
//! Write `muslin.dev/inject` and `muslin.dev/ignore` as annotations of the pod. Write `muslin.dev/mode` and `muslin.dev/profile` as labels of
//! the namespace. muslin itself writes the label `muslin.dev/libc` and the other annotations.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule};
use super::rule_input::{RuleInput, excerpt};
use crate::pod::{
    IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, KeyPlace, LIBC_LABEL, RESOLVERS_ANNOTATION,
    WARNINGS_ANNOTATION,
};
use crate::policy::{Level, MODE_LABEL, PROFILE_LABEL, did_you_mean};

pub(super) static RULE: Rule = Rule {
    slug: "unread-key",
    level: Level::Warn,
    reason: EventReason::UnknownRule,
    can_break_names: false,
    source: include_str!("unread_key.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for (place, key) in input.unread {
        let path = format!("/metadata/{}/{}", place.field(), key.replace('~', "~0").replace('/', "~1"));
        let message = || format!("nothing reads the {} `{}`", place.name(), excerpt(key));
        findings.pod(path, || (message(), help(*place, key)));
    }
}

/// Returns where the key belongs.
fn help(place: KeyPlace, key: &str) -> String {
    match (key, place) {
        (MODE_LABEL | PROFILE_LABEL, _) => format!("write {key} as a label of the namespace"),
        (INJECT_ANNOTATION | IGNORE_ANNOTATION, _) => format!("write {key} as an annotation"),
        (LIBC_LABEL | RESOLVERS_ANNOTATION | INJECTED_ANNOTATION | WARNINGS_ANNOTATION, _) => {
            "remove it: muslin writes it itself".to_owned()
        }
        (_, KeyPlace::Labels | KeyPlace::Annotations) => {
            did_you_mean(key, [INJECT_ANNOTATION, IGNORE_ANNOTATION, MODE_LABEL, PROFILE_LABEL])
                .unwrap_or_else(|| "remove it, or write muslin.dev/inject or muslin.dev/ignore".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::KeyPlace;
    use crate::rules::tests::{Case, fires};

    fn help(place: KeyPlace, key: &'static str) -> String {
        fires("unread-key", Case::pod("debian:12").unread(place, key))[0].help.to_string()
    }

    #[test]
    fn says_where_the_key_belongs() {
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/inject"), "write muslin.dev/inject as an annotation");
        let mode = "write muslin.dev/mode as a label of the namespace";
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/mode"), mode);
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/mode"), mode);
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/warnings"), "remove it: muslin writes it itself");
    }

    #[test]
    fn proposes_what_was_meant() {
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/mod"), "did you mean `muslin.dev/mode`?");
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/ignores"), "did you mean `muslin.dev/ignore`?");
    }

    #[test]
    fn names_the_place_of_the_key() {
        let findings = fires("unread-key", Case::pod("debian:12").unread(KeyPlace::Labels, "muslin.dev/a~b"));
        assert_eq!(findings[0].path, "/metadata/labels/muslin.dev~1a~0b");
        assert_eq!(findings[0].message, "nothing reads the label `muslin.dev/a~b`");
    }
}
