//! Namespaces by mode and profile, and labels and profiles that do not mean what they say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::names::{counted, some_of};
use super::observed::{Observed, ObservedProfile};
use super::problem::{Kind, Problem};
use crate::doctor::NamespaceLabels;
use crate::policy::{Level, MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL, SELF_LABEL};

/// The namespaces of one mode and profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceGroup {
    /// The mode.
    #[schemars(extend("enum" = ["off", "audit", "warn", "inject", "enforce"]))]
    pub mode: &'static str,
    /// The name of the profile; empty in mode `off`, which needs none.
    pub profile: String,
    /// The namespaces, by name.
    pub namespaces: Vec<String>,
}

/// Returns namespaces by mode and profile, the largest group first. muslin's own namespace is in none.
pub(super) fn groups(observed: &Observed) -> Vec<NamespaceGroup> {
    let mut groups: BTreeMap<(Reverse<Mode>, String), Vec<String>> = BTreeMap::new();
    for namespace in policies(observed).iter().filter(|one| !is_own(observed, one.namespace)) {
        let mode = namespace.policy.mode(observed.defaults.mode);
        let profile = match mode {
            Mode::Off => String::new(),
            _ => namespace.policy.profile().unwrap_or(&observed.defaults.profile).to_owned(),
        };
        groups.entry((Reverse(mode), profile)).or_default().push(namespace.namespace.name.clone());
    }
    let group = |((Reverse(mode), profile), mut namespaces): ((Reverse<Mode>, String), Vec<String>)| {
        namespaces.sort_unstable();
        NamespaceGroup { mode: mode.name(), profile, namespaces }
    };
    let mut groups: Vec<NamespaceGroup> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| Reverse(group.namespaces.len()));
    groups
}

struct Labelled<'o> {
    namespace: &'o NamespaceLabels,
    policy: NamespacePolicy,
}

fn policies(observed: &Observed) -> Vec<Labelled<'_>> {
    let namespaces = observed.namespaces.as_deref().unwrap_or_default().iter();
    let policy = |namespace: &NamespaceLabels| {
        let label = |key: &str| namespace.labels.get(key).map(String::as_str);
        NamespacePolicy::from_labels(label(MODE_LABEL), label(PROFILE_LABEL))
    };
    namespaces.map(|namespace| Labelled { namespace, policy: policy(namespace) }).collect()
}

fn is_own(observed: &Observed, namespace: &NamespaceLabels) -> bool {
    namespace.name == observed.namespace || namespace.labels.get(SELF_LABEL).is_some_and(|value| value == "true")
}

/// Returns labels that mean nothing, and profiles that are not in use as they are written.
pub(super) fn problems(observed: &Observed) -> Vec<Problem> {
    let mut problems = Vec::new();
    let policies = policies(observed);
    let mut invalid: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for namespace in &policies {
        if let Some(mode) = namespace.policy.invalid_mode() {
            invalid.entry(mode.to_string()).or_default().push(&namespace.namespace.name);
        }
    }
    problems.extend(invalid.into_iter().map(|(message, names)| {
        let title = format!("the label {MODE_LABEL} of {} is invalid and counts as warn: {message}", of(&names));
        Problem::new(Level::Warn, Kind::Namespace, title)
    }));
    let Ok(profiles) = &observed.profiles else { return problems };
    let known: BTreeSet<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for namespace in &policies {
        if let Some(profile) = namespace.policy.profile().filter(|profile| !known.contains(profile)) {
            missing.entry(profile).or_default().push(&namespace.namespace.name);
        }
    }
    problems.extend(missing.into_iter().map(|(profile, names)| {
        let title =
            format!("the label {PROFILE_LABEL} of {} names no profile: {profile}; the default one counts", of(&names));
        Problem::new(Level::Warn, Kind::Namespace, title).detail("kubectl get resolverprofiles lists the profiles")
    }));
    for ObservedProfile { name, unmet } in profiles {
        problems.extend(unmet.iter().map(|(condition, message)| {
            let title = format!("the profile {name} is not {condition}");
            let title = if condition == "Accepted" { format!("the profile {name} is not accepted") } else { title };
            Problem::new(Level::Warn, Kind::Profile, title).detail(message.clone())
        }));
    }
    problems
}

fn of(names: &[&str]) -> String {
    match names {
        [one] => format!("namespace {one}"),
        names => format!("{} ({})", counted(names.len(), "namespace"), some_of(names)),
    }
}
