//! The webhook configurations, as admission policies stand beside them: which pods the webhooks are called for, whether another webhook
//! runs after muslin's, and the condition that leaves the pods of the policies out. Must not know policies.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::compilation::{Reach, WEBHOOK_CONDITION, webhook_condition};

/// The name of both of muslin's configurations.
pub(super) const CONFIGURATION: &str = "muslin.dev";
/// The webhook that changes pods.
const CHANGES: &str = "pods.muslin.dev";
/// The webhook that denies pods.
const DENIES: &str = "enforce.muslin.dev";

/// Returns the pods that the webhook which changes pods is called for; `None` if the configuration has no such webhook.
pub(super) fn changed(configuration: &DynamicObject) -> Option<Reach> {
    reach(configuration, CHANGES)
}

/// Returns the pods that the webhook which denies pods is called for.
pub(super) fn denied(configuration: &DynamicObject) -> Option<Reach> {
    reach(configuration, DENIES)
}

fn reach(configuration: &DynamicObject, name: &str) -> Option<Reach> {
    let webhook = webhooks(configuration).iter().find(|webhook| webhook["name"] == name)?;
    let conditions = webhook["matchConditions"].as_array().into_iter().flatten();
    Some(Reach {
        namespaces: webhook["namespaceSelector"].clone(),
        objects: webhook["objectSelector"].clone(),
        conditions: conditions.filter(|condition| condition["name"] != WEBHOOK_CONDITION).cloned().collect(),
    })
}

fn webhooks(configuration: &DynamicObject) -> &[Value] {
    configuration.data["webhooks"].as_array().map_or(&[], Vec::as_slice)
}

/// Returns whether the configuration has webhooks for new pods that run after muslin's: API servers call configurations in the order of
/// their names (kubernetes `pkg/admission/configuration/mutating_webhook_manager.go`, `MutatingWebhookConfigurationSorter`).
pub(super) fn comes_later(configuration: &DynamicObject) -> bool {
    let has = |rule: &Value, field: &str, words: &[&str]| {
        rule[field].as_array().into_iter().flatten().any(|word| word.as_str().is_some_and(|word| words.contains(&word)))
    };
    let is_for_pods = |rule: &Value| {
        has(rule, "apiGroups", &["", "*"])
            && has(rule, "resources", &["pods", "*", "*/*"])
            && has(rule, "operations", &["CREATE", "*"])
    };
    configuration.metadata.name.as_deref().is_some_and(|name| name > CONFIGURATION)
        && webhooks(configuration)
            .iter()
            .any(|webhook| webhook["rules"].as_array().into_iter().flatten().any(is_for_pods))
}

/// Returns the configuration with the condition on the webhook that changes pods, or without it; `None` if it is so already. The resource
/// version makes a write from an older configuration fail.
pub(super) fn with_condition(configuration: &DynamicObject, is_wanted: bool) -> Option<DynamicObject> {
    let mut object = configuration.clone();
    let list = object.data["webhooks"].as_array_mut()?;
    let webhook = list.iter_mut().find(|webhook| webhook["name"] == CHANGES)?;
    let before: Vec<Value> = webhook["matchConditions"].as_array().cloned().unwrap_or_default();
    let mut after: Vec<Value> =
        before.iter().filter(|condition| condition["name"] != WEBHOOK_CONDITION).cloned().collect();
    after.extend(is_wanted.then(webhook_condition));
    if before == after {
        return None;
    }
    webhook["matchConditions"] = json!(after);
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(name: &str, webhooks: &Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": name }, "webhooks": webhooks,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_condition_comes_and_goes_and_other_conditions_stay() {
        let own = json!([{ "name": "mine", "expression": "true" }]);
        let webhooks = json!([{ "name": CHANGES, "matchConditions": own }, { "name": "other" }]);
        let plain = configuration(CONFIGURATION, &webhooks);
        assert_eq!(with_condition(&plain, false), None);
        let with = with_condition(&plain, true).unwrap();
        assert_eq!(with_condition(&with, true), None);
        assert_eq!(changed(&with), changed(&plain));
        assert_eq!(with.data["webhooks"][0]["matchConditions"].as_array().unwrap().len(), 2);
        assert_eq!(with.data["webhooks"][1], json!({ "name": "other" }));
        assert_eq!(with_condition(&with, false).unwrap().data, plain.data);
        assert_eq!(with_condition(&configuration(CONFIGURATION, &json!([])), true), None);
    }

    #[test]
    fn a_webhook_for_pods_with_a_later_name_comes_later() {
        let for_pods = |groups: &str, resource: &str, operation: &str| json!([{ "rules": [{ "apiGroups": [groups], "resources": [resource], "operations": [operation] }] }]);
        for (name, webhooks, expected) in [
            ("vault-agent-injector-cfg", for_pods("", "pods", "CREATE"), true),
            ("pod-identity-webhook", for_pods("*", "*", "*"), true),
            ("istio-sidecar-injector", for_pods("", "pods", "CREATE"), false),
            ("vault-agent-injector-cfg", for_pods("apps", "deployments", "CREATE"), false),
            ("vault-agent-injector-cfg", for_pods("", "pods", "UPDATE"), false),
            ("vault-agent-injector-cfg", for_pods("", "pods/exec", "CREATE"), false),
            (CONFIGURATION, for_pods("", "pods", "CREATE"), false),
        ] {
            assert_eq!(comes_later(&configuration(name, &webhooks)), expected, "{name}: {webhooks}");
        }
    }
}
