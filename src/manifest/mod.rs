//! Files of manifests: a stream of YAML or JSON documents, the pods and pod templates in them, and edits that keep what people
//! wrote around them. Works on text in memory; must not know of files or of the cluster.

mod edit;
mod lines;
mod node;
mod stream;

use crate::pod::workload::template_pointer;

pub use edit::{EditError, Edited};
pub use lines::{Lines, Place, Position};
pub use node::{Kind, Member, Node};
pub use stream::{Document, Stream, SyntaxError};

/// A Kubernetes object in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'n> {
    /// Where it stands, as a JSON pointer from the document.
    pub pointer: String,
    /// Its kind.
    pub kind: &'n str,
    /// Its namespace, where it says one.
    pub namespace: Option<&'n str>,
    /// Its name, or what its name is made from; empty where it has neither.
    pub name: &'n str,
    /// Where its pod or pod template stands, as a JSON pointer from the object; `None` where it has none.
    pub template: Option<&'static str>,
}

impl Object<'_> {
    /// Where its pod or pod template stands, as a JSON pointer from the document.
    pub fn pod_pointer(&self) -> Option<String> {
        Some(format!("{}{}", self.pointer, self.template?))
    }
}

/// The Kubernetes objects of a document, those in a `List` in its place, in order.
pub fn objects(document: &Node) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    collect(document, (None, None), String::new(), &mut found);
    found
}

/// `unsaid` is the version and kind of an object that says none.
fn collect<'n>(
    object: &'n Node,
    unsaid: (Option<&'n str>, Option<&'n str>),
    pointer: String,
    found: &mut Vec<Object<'n>>,
) {
    let text = |field: &str| object.get(field).and_then(Node::as_text);
    let (Some(api_version), Some(kind)) = (text("apiVersion").or(unsaid.0), text("kind").or(unsaid.1)) else { return };
    // `List` itself, and the lists of one kind that the API server writes (PodList), whose items say neither.
    let items = object.get("items").and_then(Node::as_list);
    if let (Some(item_kind), Some(items)) = (kind.strip_suffix("List"), items) {
        let unsaid = if item_kind.is_empty() { (None, None) } else { (Some(api_version), Some(item_kind)) };
        for (index, item) in items.iter().enumerate() {
            collect(item, unsaid, format!("{pointer}/items/{index}"), found);
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

#[cfg(test)]
mod tests;
