//! The mark of pods that policies change instead of the webhook, in a cluster with muslin: the annotation `muslin.dev/policies` with the
//! images, the commands and the DNS settings that the policies left. A condition of the webhook leaves out the pods with that mark.
//!
//! A policy sets the mark on each pod that it handles whole, and removes it from each other pod, so that no author can write it: the
//! policies of profiles do that in their own namespaces, and a policy without a profile everywhere else. If another webhook has added a
//! container since then, or changed the options, the mark says something else, and muslin's webhook sees the pod. Must not know cases.

use serde_json::{Value, json};

use super::bindings::{BindingPlace, NAME_LABEL, expression};
use super::cel;
use super::conditions::{self, CONTAINERS};
use super::object_parts::{GROUP, constraints, escaped, labels};
use super::settings::ApiVersion;
use crate::pod::POLICIES_ANNOTATION;
use crate::policy::{MODE_LABEL, Mode, PROFILE_LABEL};

/// The name of the webhook's condition.
pub const WEBHOOK_CONDITION: &str = "not-changed-by-policies";

/// The name of the policy that removes marks.
const NAME: &str = "muslin-marks";

/// The modes in which policies change pods.
pub(super) const CHANGING: [Mode; 3] = [Mode::Warn, Mode::Inject, Mode::Enforce];

/// The namespaces whose pods a profile's policy looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered<'c> {
    /// The names of the profiles with policies.
    pub profiles: Vec<&'c str>,
    /// The profile of namespaces without a label.
    pub default_profile: &'c str,
    /// The mode of namespaces without a label.
    pub default_mode: Option<Mode>,
    /// The namespaces that are left to the webhook.
    pub left: &'c [String],
}

/// Returns the mark of the pod with these options, as an expression.
pub(super) fn mark(options: &str) -> String {
    format!(
        "({CONTAINERS}).map(c, (has(c.image) ? c.image : '') + (has(c.command) && size(c.command) > 0 ? ' ' + c.command[0] : \
         '')).join(', ') + '; ' + {} + '; ' + {options}.join(' ')",
        conditions::dns_policy()
    )
}

/// Returns whether the pod has a mark that holds for it as it is.
pub(super) fn is_marked() -> String {
    let options = conditions::texts(&format!("({})", conditions::OPTIONS));
    format!("{} && object.metadata.annotations[{}] == {}", has_mark(), key(), mark(&options))
}

/// Returns whether the pod has any mark.
fn has_mark() -> String {
    format!("has(object.metadata.annotations) && {} in object.metadata.annotations", key())
}

fn key() -> String {
    cel::text(POLICIES_ANNOTATION)
}

/// Returns the webhook's condition: the reverse of the policies' own. Another webhook may also have added what no policy knows.
#[must_use]
pub fn webhook_condition() -> Value {
    let known = conditions::of_any_profile().map(|condition| format!(" && ({})", condition.expression));
    json!({ "name": WEBHOOK_CONDITION, "expression": format!("!({}{})", is_marked(), known.concat()) })
}

/// Returns the operations that remove the mark, if the pod has it.
pub(super) fn removal() -> String {
    let path = cel::text(&format!("/metadata/annotations/{}", escaped(POLICIES_ANNOTATION)));
    format!("({} ? [JSONPatch{{op: 'remove', path: {path}}}] : [])", has_mark())
}

/// Returns the policy that removes marks where no profile's policy looks at pods, with its bindings.
#[must_use]
pub fn marks(version: ApiVersion, covered: &Covered<'_>) -> Vec<Value> {
    let api_version = format!("{GROUP}/{}", version.name());
    let policy = json!({
        "apiVersion": api_version,
        "kind": "MutatingAdmissionPolicy",
        "metadata": { "name": NAME, "labels": labels() },
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": constraints(),
            "matchConditions": [{ "name": "has-a-mark", "expression": has_mark() }],
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": removal() } }],
        },
    });
    let binding = |(suffix, expressions): (&str, Vec<Value>)| {
        json!({
            "apiVersion": api_version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": format!("{NAME}-{suffix}"), "labels": labels() },
            "spec": {
                "policyName": NAME,
                "matchResources": { "namespaceSelector": { "matchExpressions": expressions } },
            },
        })
    };
    [policy].into_iter().chain(places(covered).into_iter().map(binding)).collect()
}

/// Returns the places that no profile's policy covers, each as the end of a name and a selector of namespaces.
fn places(covered: &Covered<'_>) -> Vec<BindingPlace> {
    let Covered { profiles, default_profile, default_mode, left } = covered;
    let changing = CHANGING.map(Mode::name).to_vec();
    let is_default_changing = default_mode.is_some_and(|mode| CHANGING.contains(&mode));
    let mut modes = vec![expression(MODE_LABEL, "NotIn", changing)];
    if is_default_changing {
        modes.push(expression(MODE_LABEL, "Exists", Vec::new()));
    }
    let mut labelled = vec![expression(PROFILE_LABEL, "Exists", Vec::new())];
    if !profiles.is_empty() {
        labelled.push(expression(PROFILE_LABEL, "NotIn", profiles.clone()));
    }
    let mut places = vec![("modes", modes), ("profiles", labelled)];
    if !profiles.contains(default_profile) {
        places.push(("default", vec![expression(PROFILE_LABEL, "DoesNotExist", Vec::new())]));
    }
    if !left.is_empty() {
        let left = left.iter().map(String::as_str).collect();
        places.push(("left", vec![expression(NAME_LABEL, "In", left)]));
    }
    places
}
