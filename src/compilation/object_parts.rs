//! The parts that all objects share. Must not know any one object.

use serde_json::{Value, json};

/// The API group of policies.
pub(super) const GROUP: &str = "admissionregistration.k8s.io";

pub(super) fn labels() -> Value {
    json!({ "app.kubernetes.io/name": "muslin", "app.kubernetes.io/component": "policies" })
}

pub(super) fn constraints() -> Value {
    json!({ "matchPolicy": "Equivalent", "resourceRules": [rule(&["CREATE"], "pods")] })
}

pub(super) fn rule(operations: &[&str], resource: &str) -> Value {
    json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": [resource], "scope": "Namespaced",
    })
}

pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
