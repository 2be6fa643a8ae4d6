//! Label selectors of webhooks, and the namespaces that they choose.

use std::collections::BTreeMap;

use serde_json::Value;

use super::observed::NamespaceLabels;
use super::shape::{array, text};

/// Returns whether a label selector chooses these labels (kubernetes `apimachinery/pkg/apis/meta/v1`, `LabelSelectorAsSelector`).
pub(super) fn chooses(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let has = |key: &str, value: &Value| labels.get(key).map(String::as_str) == value.as_str();
    let equal = selector["matchLabels"].as_object();
    equal.is_none_or(|equal| equal.iter().all(|(key, value)| has(key, value)))
        && array(selector, "/matchExpressions").iter().all(|expression| {
            let key = text(expression, "/key");
            let is_listed = || array(expression, "/values").iter().any(|value| has(key, value));
            match text(expression, "/operator") {
                "In" => labels.contains_key(key) && is_listed(),
                "NotIn" => !labels.contains_key(key) || !is_listed(),
                "Exists" => labels.contains_key(key),
                "DoesNotExist" => !labels.contains_key(key),
                _ => false,
            }
        })
}

/// Returns the webhook of this name in a configuration.
pub(super) fn webhook<'c>(configuration: &'c Value, name: &str) -> Option<&'c Value> {
    array(configuration, "/webhooks").iter().find(|webhook| text(webhook, "/name") == name)
}

/// Returns the namespace for a dry run: `default`, or the first whose pods the webhook reviews.
#[must_use]
pub fn namespace_for_dry_run(mutating: &Value, namespaces: &[NamespaceLabels]) -> Option<String> {
    first_chosen(mutating, "pods.muslin.dev", namespaces)
}

/// Returns a namespace of mode `enforce`, if there is one.
#[must_use]
pub fn enforced_namespace(validating: &Value, namespaces: &[NamespaceLabels]) -> Option<String> {
    first_chosen(validating, "enforce.muslin.dev", namespaces)
}

fn first_chosen(configuration: &Value, name: &str, namespaces: &[NamespaceLabels]) -> Option<String> {
    let webhook = webhook(configuration, name)?;
    let chosen = |namespace: &&NamespaceLabels| chooses(&webhook["namespaceSelector"], &namespace.labels);
    // Namespaces of the system may lack a service account, or have policies of their own.
    let rank = |namespace: &&NamespaceLabels| {
        let name = namespace.name.clone();
        (name != "default", name.starts_with("kube-") || name.starts_with("openshift-"), name)
    };
    namespaces.iter().filter(chosen).min_by_key(rank).map(|namespace| namespace.name.clone())
}
