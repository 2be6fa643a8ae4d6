//! Finds the Kubernetes objects of a document, and where each has its pod or pod template.

use super::node::Node;
use crate::pod::workload::template_pointer;

/// A Kubernetes object in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'n> {
    /// JSON pointer to the object, from the document.
    pub pointer: String,
    /// The kind.
    pub kind: &'n str,
    /// The namespace, if the object has one.
    pub namespace: Option<&'n str>,
    /// The name, or else `generateName`; empty if the object has neither.
    pub name: &'n str,
    /// JSON pointer to the pod or pod template, from the object; `None` if the object has none.
    pub template: Option<&'static str>,
}

/// The version and kind of list items that have none of their own.
#[derive(Clone, Copy, Default)]
struct ItemDefaults<'n> {
    api_version: Option<&'n str>,
    kind: Option<&'n str>,
}

// === impl Object ===

impl Object<'_> {
    /// Returns the JSON pointer to the pod or pod template, from the document.
    pub fn pod_pointer(&self) -> Option<String> {
        Some(format!("{}{}", self.pointer, self.template?))
    }
}

/// Returns the Kubernetes objects of a document in order. A `List` is replaced by its items.
pub fn objects(document: Node<'_>) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    collect(document, ItemDefaults::default(), String::new(), &mut found);
    found
}

fn collect<'n>(object: Node<'n>, defaults: ItemDefaults<'n>, pointer: String, found: &mut Vec<Object<'n>>) {
    let text = |field: &str| object.get(field).and_then(Node::as_text);
    let (Some(api_version), Some(kind)) = (text("apiVersion").or(defaults.api_version), text("kind").or(defaults.kind))
    else {
        return;
    };
    // `List` itself, and the lists of one kind that the API server writes (PodList), whose items have neither field.
    let items = object.get("items").filter(|items| items.is_list());
    if let (Some(item_kind), Some(items)) = (kind.strip_suffix("List"), items) {
        let defaults = if item_kind.is_empty() {
            ItemDefaults::default()
        } else {
            ItemDefaults { api_version: Some(api_version), kind: Some(item_kind) }
        };
        for (index, item) in items.items().enumerate() {
            collect(item, defaults, format!("{pointer}/items/{index}"), found);
        }
        return;
    }
    let metadata = object.get("metadata");
    let metadata = |field: &str| metadata.and_then(|metadata| metadata.get(field)?.as_text());
    found.push(Object {
        kind,
        namespace: metadata("namespace"),
        name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default(),
        template: template_pointer(api_version, kind)
            .filter(|template| object.pointer(template).is_some_and(Node::is_map)),
        pointer,
    });
}
