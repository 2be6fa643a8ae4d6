//! The selectors of bindings: which namespaces and pods a policy looks at. The labels of a namespace select the bindings of one profile
//! alone. Must not know policies.

use serde_json::{Value, json};

use super::settings::{Reach, Settings};
use crate::policy::{MODE_LABEL, Mode, PROFILE_LABEL, SELF_LABEL, SYSTEM_NAMESPACE};

/// The end of a binding's name, and the expressions of its namespace selector.
pub(super) type BindingPlace = (&'static str, Vec<Value>);

/// The label of each namespace with its name (kubernetes.io, "Automatic labelling").
pub(super) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Returns one expression of a selector.
pub(super) fn expression(key: &str, operator: &str, values: Vec<&str>) -> Value {
    if values.is_empty() {
        return json!({ "key": key, "operator": operator });
    }
    json!({ "key": key, "operator": operator, "values": values })
}

/// Returns the places of a profile in one of these modes: the namespaces whose label names it, and those without a label if it is the
/// default.
pub(super) fn places(settings: &Settings<'_>, modes: &[Mode]) -> Vec<BindingPlace> {
    let Settings { profile, default_mode, default_profile, .. } = settings;
    let mode = if modes.contains(default_mode) {
        // An absent label is in no list.
        let others = Mode::ALL.into_iter().filter(|mode| !modes.contains(mode)).map(Mode::name).collect();
        expression(MODE_LABEL, "NotIn", others)
    } else {
        expression(MODE_LABEL, "In", modes.iter().map(|mode| mode.name()).collect())
    };
    let mut places = vec![("", vec![mode.clone(), expression(PROFILE_LABEL, "In", vec![&profile.name])])];
    if profile.name == **default_profile {
        places.push(("-unlabelled", vec![mode, expression(PROFILE_LABEL, "DoesNotExist", Vec::new())]));
    }
    places
}

/// Returns the resources of a binding: the namespaces of a place, as far as the webhook is called for them. Standalone, the cluster's own
/// namespace and muslin's are excluded.
pub(super) fn resources(settings: &Settings<'_>, reach: Option<&Reach>, more: Vec<Value>) -> Value {
    let Some(Reach { namespaces, objects, conditions: _ }) = reach else {
        let mut expressions = vec![
            expression(NAME_LABEL, "NotIn", vec![SYSTEM_NAMESPACE]),
            expression(SELF_LABEL, "NotIn", vec!["true"]),
        ];
        expressions.extend(more);
        let mut resources = json!({ "namespaceSelector": { "matchExpressions": expressions } });
        if let Some(selector) = settings.pod_selector {
            resources["objectSelector"] = selector.clone();
        }
        return resources;
    };
    let mut selector = if namespaces.is_object() { namespaces.clone() } else { json!({}) };
    let own = selector["matchExpressions"].as_array().into_iter().flatten().cloned();
    let expressions: Vec<Value> = own.chain(more).collect();
    selector["matchExpressions"] = json!(expressions);
    let mut resources = json!({ "namespaceSelector": selector });
    if objects.as_object().is_some_and(|objects| !objects.is_empty()) {
        resources["objectSelector"] = objects.clone();
    }
    resources
}

/// Returns the expression that leaves namespaces to the webhook.
pub(super) fn without(left: &[String]) -> Option<Value> {
    (!left.is_empty()).then(|| expression(NAME_LABEL, "NotIn", left.iter().map(String::as_str).collect()))
}
