//! An edit of a profile, by its effect on the rollout: what to deny, and what to tell the administrator. Must not know of reviews.

use kube::ResourceExt as _;

use super::rollout::{Reach, RolloutState};
use crate::cluster::resources::{ProfileProblem, ResolverProfile, Rollout};

/// Returns why an edit cannot roll out yet: the leader has not recorded the settings that pods get now, and the edit would lose them.
/// `before` was accepted.
pub fn unrecorded_settings(before: &ResolverProfile, after: &ResolverProfile) -> Option<ProfileProblem> {
    let begins = after.spec.rollout.is_some() && before.spec.rollout.is_none();
    let is_recorded = || before.stable_settings().is_some_and(|stable| stable.has_settings_of(&before.spec));
    if !begins || after.spec.has_settings_of(&before.spec) || is_recorded() {
        return None;
    }
    let message = "muslin has not recorded the settings that pods get now, to which it would roll back; apply this again in ten seconds, or \
                   add rollout alone first";
    Some(ProfileProblem::new("rollout", message))
}

/// Returns a sentence on what an edit does to the rollout, if there is one.
pub fn rollout_note(before: Option<&ResolverProfile>, after: &ResolverProfile) -> Option<String> {
    let unfinished = before.map(RolloutState::of).filter(|before| before.reach != Reach::All);
    let Some(Rollout { percent, soak, .. }) = &after.spec.rollout else {
        return unfinished.map(|_| "without rollout, all new pods get these settings at once".to_owned());
    };
    let stable = before.and_then(ResolverProfile::stable_settings);
    let name = after.name_any();
    let stable = stable
        .unwrap_or_else(|| before.map_or_else(|| after.spec.without_resource(&name), |before| before.spec.clone()));
    if stable.has_settings_of(&after.spec) {
        return unfinished.map(|_| "these are the last promoted settings, so all new pods get them".to_owned());
    }
    let is_unchanged = before.is_some_and(|before| before.spec == after.spec);
    (!is_unchanged).then(|| {
        format!(
            "{percent} % of new pods get these settings, the others the last promoted ones, until pods ran with them for {soak}; \
             kubectl describe resolverprofile {name} shows the rollout"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: Value, status: Value) -> ResolverProfile {
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "web", "generation": 2 },
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn settings(option: &str) -> Value {
        json!({ "options": { "mixed": [option] } })
    }

    fn rolling(option: &str) -> Value {
        let mut spec = settings(option);
        spec["rollout"] = json!({ "percent": 10 });
        spec
    }

    #[test]
    fn settings_that_are_not_recorded_are_not_rolled_out_from() {
        let recorded = |option: &str| json!({ "observedGeneration": 2, "stable": settings(option) });
        let (old, new) = (settings("attempts:3"), rolling("attempts:4"));
        for (case, before, status, after, is_denied) in [
            ("recorded", &old, recorded("attempts:3"), &new, false),
            ("not yet", &old, Value::Null, &new, true),
            ("an earlier release", &old, json!({ "observedGeneration": 2 }), &new, true),
            ("older ones", &old, recorded("attempts:2"), &new, true),
            ("the rollout alone", &old, Value::Null, &rolling("attempts:3"), false),
            ("no rollout", &old, Value::Null, &settings("attempts:4"), false),
            ("in a rollout", &rolling("attempts:3"), Value::Null, &new, false),
        ] {
            let problem = unrecorded_settings(&object(before.clone(), status), &object(after.clone(), Value::Null));
            assert_eq!(problem.is_some(), is_denied, "{case}");
        }
    }

    #[test]
    fn an_edit_says_who_gets_the_settings() {
        let stable = || json!({ "observedGeneration": 2, "stable": settings("attempts:3") });
        let note = |before: Option<&ResolverProfile>, after: Value| rollout_note(before, &object(after, Value::Null));
        let begins =
            "10 % of new pods get these settings, the others the last promoted ones, until pods ran with them for 1h; ";
        assert!(note(None, rolling("attempts:4")).unwrap().starts_with(begins));
        let plain = object(settings("attempts:3"), stable());
        assert!(note(Some(&plain), rolling("attempts:4")).unwrap().starts_with(begins));
        assert_eq!(note(Some(&plain), rolling("attempts:3")), None);
        assert_eq!(note(Some(&plain), settings("attempts:4")), None);
        let going = object(rolling("attempts:4"), stable());
        assert_eq!(note(Some(&going), rolling("attempts:4")), None);
        assert!(note(Some(&going), settings("attempts:4")).unwrap().contains("at once"));
        assert!(note(Some(&going), rolling("attempts:3")).unwrap().contains("the last promoted settings"));
    }
}
