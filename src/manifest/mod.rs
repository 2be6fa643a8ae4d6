//! Files of manifests: a stream of YAML or JSON documents, the pods and pod templates in them, and edits that keep what people
//! wrote around them. Works on text in memory; must not know of files or of the cluster.

mod edit;
mod stream;

use serde_json::Value;

use crate::pod::workload::template_pointer;

pub use edit::{EditError, Edited};
pub use stream::{Document, Stream, SyntaxError};

/// A pod, or a pod template, in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Where it stands, as a JSON pointer from the document.
    pub pointer: String,
    /// The kind of the object that holds it.
    pub kind: String,
    /// That object's namespace, where it says one.
    pub namespace: Option<String>,
    /// That object's name, or what its name is made from; empty where it has neither.
    pub name: String,
}

/// The pods and pod templates of a document, those in a `List` among them, in order.
pub fn templates(document: &Value) -> Vec<Template> {
    let mut found = Vec::new();
    collect(document, String::new(), &mut found);
    found
}

fn collect(object: &Value, pointer: String, found: &mut Vec<Template>) {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else { return };
    // `List` itself, and the lists of one kind that the API server writes: PodList, DeploymentList.
    if let (true, Some(items)) = (kind.ends_with("List"), object.get("items").and_then(Value::as_array)) {
        for (index, item) in items.iter().enumerate() {
            collect(item, format!("{pointer}/items/{index}"), found);
        }
        return;
    }
    let Some(template) = template_pointer(api_version, kind) else { return };
    if !object.pointer(template).is_some_and(Value::is_object) {
        return;
    }
    let metadata = |field: &str| object.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
    found.push(Template {
        pointer: format!("{pointer}{template}"),
        kind: kind.to_owned(),
        namespace: metadata("namespace").map(str::to_owned),
        name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default().to_owned(),
    });
}

#[cfg(test)]
mod tests;
