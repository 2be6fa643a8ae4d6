//! DNS settings without containers: a kustomize patch, Helm values, an operator's pod template, operations of a JSON Patch.

use super::super::node::Node;
use super::view::{Part, PodView};

/// The fields that make DNS settings, with the names that operators give to `dnsConfig`.
const FIELDS: [(&str, &str); 4] = [
    ("dnsConfig", "dnsConfig"),
    ("podDnsConfig", "dnsConfig"),
    ("dnsPolicy", "dnsPolicy"),
    ("hostNetwork", "hostNetwork"),
];

/// Returns the settings that a map holds in fields of its own; `None` if it holds none that can be judged.
pub(in super::super) fn settings_of(node: Node<'_>, pointer: &str) -> Option<PodView> {
    let is_config = |field: &str| node.get(field).is_some_and(is_dns_config);
    let is_policy = || node.get("dnsPolicy").is_some_and(|policy| policy.as_text().is_some());
    if !is_config("dnsConfig") && !is_config("podDnsConfig") && !is_policy() {
        return None;
    }
    let parts = parts_of(node, pointer);
    Some(PodView::guessed_settings(pointer.to_owned(), parts))
}

/// Returns the parts of DNS settings in a map.
pub(super) fn parts_of(node: Node<'_>, pointer: &str) -> Vec<Part> {
    let present = FIELDS.iter().filter(|(field, _)| {
        node.get(field).is_some_and(|value| match *field {
            "dnsPolicy" => value.as_text().is_some(),
            "hostNetwork" => true,
            _ => value.is_map(),
        })
    });
    let part = |(field, in_pod): &(&str, &str)| Part {
        in_pod: format!("/spec/{in_pod}"),
        in_object: format!("{pointer}/{field}"),
        name: None,
    };
    present.map(part).collect()
}

/// Returns whether a value is a `dnsConfig`: a map in which at least one of the three lists is one. Others have another meaning, such as
/// the schema of the field.
fn is_dns_config(node: Node<'_>) -> bool {
    ["nameservers", "searches", "options"].into_iter().any(|list| node.get(list).is_some_and(|list| list.is_list()))
}

/// Returns the settings that the operations of a JSON Patch (RFC 6902) add; `None` if the value is no JSON Patch, or adds none.
pub(in super::super) fn operations(patch: Node<'_>) -> Option<PodView> {
    let mut parts: Vec<Part> = Vec::new();
    let mut options = 0;
    for (index, operation) in patch.as_list()?.into_iter().enumerate() {
        let text = |field: &str| operation.get(field).and_then(Node::as_text);
        let (op, path) = (text("op")?, text("path")?);
        let Some(value) = operation.get("value").filter(|_| matches!(op, "add" | "replace")) else { continue };
        let in_object = format!("/{index}/value");
        let in_pod = match path.rsplit_once("/dnsConfig") {
            Some((_, "")) if value.is_map() => "/spec/dnsConfig".to_owned(),
            Some((_, list @ ("/nameservers" | "/searches" | "/options"))) if value.is_list() => {
                format!("/spec/dnsConfig{list}")
            }
            Some((_, item)) if item.starts_with("/options/") && value.is_map() => {
                options += 1;
                format!("/spec/dnsConfig/options/{}", options - 1)
            }
            None if path.ends_with("/dnsPolicy") && value.as_text().is_some() => "/spec/dnsPolicy".to_owned(),
            _ => continue,
        };
        if in_pod.ends_with("/options") {
            options = value.items().count();
        } else if in_pod.ends_with("/dnsConfig") {
            options = value.get("options").map_or(0, |options| options.items().count());
        }
        parts.push(Part { in_pod, in_object, name: None });
    }
    (!parts.is_empty()).then(|| PodView::guessed_settings(String::new(), parts))
}
