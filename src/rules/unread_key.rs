//! A label or an annotation begins with `muslin.dev/`, and nothing reads it there.
//!
//! ## Why it matters
//! The author expects an effect that does not come: `muslin.dev/inject: "false"` as a label, or on a Deployment instead of its pod template,
//! opts no pod out, and `muslin.dev/mode` on a pod changes no mode. Kubernetes accepts any key, so nothing else reports the mistake.
//!
//! ## How to fix it
//! Write `muslin.dev/inject` and `muslin.dev/ignore` as annotations of the pod, in `spec.template.metadata` of a workload;
//! `muslin.dev/ignore` may also be an annotation of the workload itself. Write `muslin.dev/mode` and `muslin.dev/profile` as labels of the
//! namespace. muslin itself writes the label `muslin.dev/libc` and the other annotations, and `muslin.dev/rollout` as both.

use super::event_reason::EventReason;
use super::rule::{Findings, HOLDER, Rule, Texts};
use super::rule_input::{RuleInput, excerpt, short};
use crate::pod::{
    DOCTOR_ANNOTATION, IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, KeyOwner, LIBC_LABEL,
    POLICIES_ANNOTATION, RESOLVERS_ANNOTATION, ROLLOUT_KEY, UnreadKey, WARNINGS_ANNOTATION,
};
use crate::policy::{Level, MODE_LABEL, PROFILE_LABEL, meant_word};

pub(super) static RULE: Rule = Rule {
    slug: "unread-key",
    level: Level::Warn,
    reason: EventReason::UnknownRule,
    can_break_names: false,
    source: include_str!("unread_key.rs"),
    check,
};

/// The keys that a person writes.
const WRITTEN: [&str; 4] = [INJECT_ANNOTATION, IGNORE_ANNOTATION, MODE_LABEL, PROFILE_LABEL];
/// The keys that muslin writes.
const MUSLINS: [&str; 7] = [
    LIBC_LABEL,
    RESOLVERS_ANNOTATION,
    INJECTED_ANNOTATION,
    WARNINGS_ANNOTATION,
    POLICIES_ANNOTATION,
    ROLLOUT_KEY,
    DOCTOR_ANNOTATION,
];

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for unread in input.unread {
        let UnreadKey { owner, place, key } = unread;
        let object = match owner {
            KeyOwner::Pod | KeyOwner::Namespace => "",
            KeyOwner::Workload => HOLDER,
            KeyOwner::JobTemplate => "../spec/jobTemplate",
        };
        let path = format!("{object}/metadata/{}/{}", place.field(), key.replace('~', "~0").replace('/', "~1"));
        findings.pod(path, || Texts { message: message(unread), change: change(unread), help: help(unread) });
    }
}

/// Returns the change and the reason for a warning about a key of an object without a pod, such as a namespace.
pub fn unread_key_texts(unread: &UnreadKey<'_>) -> (String, String) {
    (change(unread), message(unread))
}

fn message(UnreadKey { owner, place, key }: &UnreadKey<'_>) -> String {
    let key = excerpt(key);
    match owner {
        KeyOwner::Pod | KeyOwner::Namespace => format!("nothing reads the {} `{key}`", place.name()),
        KeyOwner::Workload => format!("nothing reads `{key}` on a workload"),
        KeyOwner::JobTemplate => format!("nothing reads `{key}` on a Job template"),
    }
}

/// Returns the key that a person wanted to write, if that can be told. Only what follows the common prefix is compared.
fn wanted(key: &str) -> Option<&'static str> {
    fn name(key: &str) -> &str {
        key.rsplit('/').next().unwrap_or(key)
    }
    if MUSLINS.contains(&key) {
        return None;
    }
    WRITTEN.into_iter().find(|written| *written == key).or_else(|| {
        let meant = meant_word(name(key), WRITTEN.map(name))?;
        WRITTEN.into_iter().find(|written| name(written) == meant)
    })
}

/// Returns where the key, or the one that was meant, belongs.
fn change(UnreadKey { owner, place: _, key }: &UnreadKey<'_>) -> String {
    match (wanted(key), owner) {
        (Some(key @ (MODE_LABEL | PROFILE_LABEL)), KeyOwner::Namespace) => format!("write {key} as a label"),
        (Some(key @ (MODE_LABEL | PROFILE_LABEL)), _) => format!("write {key} as a label of the namespace"),
        (Some(key), KeyOwner::Pod) => format!("write {key} as an annotation"),
        (Some(key @ IGNORE_ANNOTATION), KeyOwner::Workload) => format!("write {key} as an annotation"),
        (Some(key), KeyOwner::Workload | KeyOwner::JobTemplate) => format!("annotate the pod template with {key}"),
        (Some(key), KeyOwner::Namespace) => format!("annotate the pods with {key}"),
        (None, _) => format!("remove {}", short(key)),
    }
}

fn help(unread: &UnreadKey<'_>) -> String {
    let UnreadKey { owner: _, place: _, key } = unread;
    match wanted(key) {
        None if MUSLINS.contains(key) => "remove it: muslin writes it itself".to_owned(),
        None => "remove it, or write muslin.dev/inject or muslin.dev/ignore".to_owned(),
        Some(wanted) if wanted != *key => format!("did you mean `{wanted}`? {}", change(unread)),
        Some(_) => change(unread),
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::{KeyOwner, KeyPlace};
    use crate::rules::Finding;
    use crate::rules::tests::{Case, fires};

    fn finding(owner: KeyOwner, place: KeyPlace, key: &'static str) -> Finding {
        fires("unread-key", Case::pod("debian:12").unread(owner, place, key)).remove(0)
    }

    fn help(place: KeyPlace, key: &'static str) -> String {
        finding(KeyOwner::Pod, place, key).help.to_string()
    }

    #[test]
    fn says_where_the_key_belongs() {
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/inject"), "write muslin.dev/inject as an annotation");
        let mode = "write muslin.dev/mode as a label of the namespace";
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/mode"), mode);
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/mode"), mode);
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/warnings"), "remove it: muslin writes it itself");
        assert_eq!(help(KeyPlace::Labels, "muslin.dev/doctor"), "remove it: muslin writes it itself");
    }

    #[test]
    fn a_workload_s_own_keys_belong_to_its_template_or_its_namespace() {
        let texts = |owner, place, key| {
            let finding = finding(owner, place, key);
            (finding.change.to_string(), finding.path.to_string())
        };
        for (owner, place, key, change, path) in [
            (
                KeyOwner::Workload,
                KeyPlace::Annotations,
                "muslin.dev/inject",
                "annotate the pod template with muslin.dev/inject",
                "../metadata/annotations/muslin.dev~1inject",
            ),
            (
                KeyOwner::JobTemplate,
                KeyPlace::Annotations,
                "muslin.dev/ignore",
                "annotate the pod template with muslin.dev/ignore",
                "../spec/jobTemplate/metadata/annotations/muslin.dev~1ignore",
            ),
            (
                KeyOwner::Workload,
                KeyPlace::Labels,
                "muslin.dev/ignore",
                "write muslin.dev/ignore as an annotation",
                "../metadata/labels/muslin.dev~1ignore",
            ),
            (
                KeyOwner::Workload,
                KeyPlace::Labels,
                "muslin.dev/mode",
                "write muslin.dev/mode as a label of the namespace",
                "../metadata/labels/muslin.dev~1mode",
            ),
        ] {
            assert_eq!(texts(owner, place, key), (change.to_owned(), path.to_owned()));
        }
    }

    #[test]
    fn proposes_what_was_meant() {
        let mode = "did you mean `muslin.dev/mode`? write muslin.dev/mode as a label of the namespace";
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/mod"), mode);
        let ignore = "did you mean `muslin.dev/ignore`? write muslin.dev/ignore as an annotation";
        assert_eq!(help(KeyPlace::Annotations, "muslin.dev/ignores"), ignore);
        // The prefix alone makes no two keys similar.
        assert!(help(KeyPlace::Labels, "muslin.dev/team").starts_with("remove it"));
    }

    #[test]
    fn names_the_place_of_the_key() {
        let finding = finding(KeyOwner::Pod, KeyPlace::Labels, "muslin.dev/a~b");
        assert_eq!(finding.path, "/metadata/labels/muslin.dev~1a~0b");
        assert_eq!(finding.message, "nothing reads the label `muslin.dev/a~b`");
    }
}
