//! The name of muslin's namespace, wherever the manifests name it.

use serde_json::Value;

use super::conditional::Conditional;

/// muslin's namespace in the manifests.
pub const NAMESPACE: &str = "muslin";

/// Replaces the name of muslin's namespace in all objects, as `namespace:` in a kustomization does with the name references of
/// `manifests/base` and the transformers of `manifests/transformers`.
pub(super) fn rename(objects: &mut [Value], namespace: &str) {
    if namespace == NAMESPACE {
        return;
    }
    for object in objects {
        let places: &[&str] = match Conditional::inner(object)["kind"].as_str().unwrap_or_default() {
            "Namespace" => &["/metadata/name"],
            "Certificate" => &["/metadata/namespace", "/spec/commonName", "/spec/dnsNames/*"],
            "RoleBinding" | "ClusterRoleBinding" => &["/metadata/namespace", "/subjects/*/namespace"],
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => &[
                "/metadata/annotations/cert-manager.io~1inject-ca-from",
                "/webhooks/*/clientConfig/service/namespace",
                "/webhooks/*/namespaceSelector/matchExpressions/*/values/*",
            ],
            _ => &["/metadata/namespace"],
        };
        for place in places {
            let tokens: Vec<String> =
                place.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
            for_each(object, &tokens, &mut |text| *text = renamed(text, namespace));
        }
    }
}

/// Calls a function with every text at a path, in which `*` stands for every item of a list.
pub(super) fn for_each(value: &mut Value, path: &[String], change: &mut impl FnMut(&mut String)) {
    if let Some(values) = Conditional::values_mut(value) {
        values.into_iter().for_each(|value| for_each(value, path, change));
        return;
    }
    match (path, value) {
        ([], Value::String(text)) => change(text),
        ([star, rest @ ..], Value::Array(items)) if star == "*" => {
            items.iter_mut().for_each(|item| for_each(item, rest, change));
        }
        ([name, rest @ ..], Value::Object(fields)) => {
            if let Some(field) = fields.get_mut(name) {
                for_each(field, rest, change);
            }
        }
        _ => {}
    }
}

/// Returns a text with another namespace: the name itself, `muslin/muslin-ca` or `muslin.muslin.svc`.
fn renamed(text: &str, namespace: &str) -> String {
    if text == NAMESPACE {
        return namespace.to_owned();
    }
    if let Some(name) = text.strip_prefix("muslin/") {
        return format!("{namespace}/{name}");
    }
    if let Some(domain) = text.strip_prefix("muslin.muslin.") {
        return format!("muslin.{namespace}.{domain}");
    }
    text.to_owned()
}
