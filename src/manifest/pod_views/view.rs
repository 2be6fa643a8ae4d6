//! The view of a pod in an object: its JSON for rules and plans, and the places and patches in the object.

use std::collections::HashMap;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value, json};

use super::super::node::Node;
use crate::pod::kinds::{DnsSource, GUESSED, Layout, PodPlace, SETTINGS};

/// The pods of one place in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    /// JSON pointer from the object to the place.
    pub at: String,
    /// The row of the table about the place.
    pub place: &'static PodPlace,
    /// Is true if the place takes labels and annotations for its pods for certain: a pod template of Kubernetes' own.
    takes_metadata: bool,
    /// The parts of the pod, unless it is in one piece. An inner part comes after the one that holds it.
    parts: Vec<Part>,
    /// Pointer from the pod → index of the last such part.
    by_pointer: HashMap<String, usize>,
    /// Name → index of the first container of that name.
    by_name: HashMap<String, usize>,
}

/// A part of a pod that stands in a place of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// JSON pointer from the pod, such as `/spec/containers/0`.
    pub(super) in_pod: String,
    /// JSON pointer from the object.
    pub(super) in_object: String,
    /// The name of a container that has none of its own, or none that is unique in the pod.
    pub(super) name: Option<String>,
}

/// The lists of a PodSpec.
pub(super) const CONTAINER_FIELDS: [&str; 2] = ["initContainers", "containers"];

// === impl PodView ===

impl PodView {
    /// Returns the view of a pod in one piece, for which `parts` is empty, or of one in parts.
    pub(super) fn new(at: String, place: &'static PodPlace, takes_metadata: bool, parts: Vec<Part>) -> Self {
        let (mut by_pointer, mut by_name) = (HashMap::new(), HashMap::new());
        for (index, part) in parts.iter().enumerate() {
            by_pointer.insert(part.in_pod.clone(), index);
            if let Some(name) = &part.name {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        Self { at, place, takes_metadata, parts, by_pointer, by_name }
    }

    /// A PodTemplateSpec in an object of a kind that the table does not have.
    pub(super) fn guessed(at: String) -> Self {
        Self::new(at, &GUESSED, false, Vec::new())
    }

    /// DNS settings in a document that the table says nothing about.
    pub(super) fn guessed_settings(at: String, parts: Vec<Part>) -> Self {
        Self::new(at, &SETTINGS, false, parts)
    }

    /// Returns whether the table says that there are pods; otherwise the values only look like it.
    pub fn is_certain(&self) -> bool {
        ![&GUESSED, &SETTINGS].into_iter().any(|guess| *guess == *self.place)
    }

    /// Returns the pod as the webhook would see it, in JSON; `None` if the place is gone.
    pub fn json(&self, object: Node<'_>) -> Option<String> {
        match (&self.place.layout, &*self.parts) {
            (Layout::Template, []) => Some(object.pointer(&self.at)?.to_json()),
            (Layout::Spec, []) => Some(format!("{{\"spec\":{}}}", object.pointer(&self.at)?.to_json())),
            (_, parts) => {
                let mut pod = assembled(object, parts);
                if !self.is_certain() {
                    quote_options(&mut pod);
                }
                serde_json::to_string(&pod).ok()
            }
        }
    }

    /// Returns the JSON pointer from the object of a JSON pointer from the pod.
    pub fn in_object(&self, in_pod: &str) -> String {
        let ends = [in_pod.len()].into_iter().chain(in_pod.rmatch_indices('/').map(|(index, _)| index));
        let of_part = ends.map(|end| in_pod.split_at(end)).find_map(|(start, rest)| {
            let part = &self.parts[*self.by_pointer.get(start)?];
            Some(format!("{}{rest}", part.in_object))
        });
        match (of_part, &self.place.layout) {
            (Some(pointer), _) => pointer,
            (None, Layout::Template) => format!("{}{in_pod}", self.at),
            // The object may have no such value.
            (None, Layout::Spec | Layout::Fields { .. } | Layout::Settings) => {
                format!("{}{}", self.at, in_pod.strip_prefix("/spec").unwrap_or(in_pod))
            }
        }
    }

    /// Returns the container of this name: its JSON pointer from the object, and its image and its command.
    pub fn container<'n>(&self, object: Node<'n>, name: &str) -> Option<ContainerView<'n>> {
        if !self.parts.is_empty() {
            let pointer = &self.parts[*self.by_name.get(name)?].in_object;
            let node = object.pointer(pointer)?;
            // Of the place itself, only the image is a part.
            return Some(match pointer.strip_suffix("/image") {
                Some(pointer) if !node.is_map() => {
                    ContainerView { pointer: pointer.to_owned(), image: Some(node), command: None, variables: None }
                }
                _ => ContainerView::of(pointer.clone(), node),
            });
        }
        CONTAINER_FIELDS.into_iter().find_map(|field| {
            let list = self.in_object(&format!("/spec/{field}"));
            let is_it = |container: &Node<'_>| container.get("name").and_then(Node::as_text) == Some(name);
            let mut containers = object.pointer(&list)?.items().enumerate();
            let (index, container) = containers.find(|(_, container)| is_it(container))?;
            Some(ContainerView::of(format!("{list}/{index}"), container))
        })
    }

    /// Returns why nothing may be written for these pods; `None` if the object takes `dnsConfig`. An existing `dnsConfig` shows that a
    /// condition holds.
    pub fn refusal(&self, object: Node<'_>) -> Option<&'static str> {
        let has_dns_config = || object.pointer(&self.in_object("/spec/dnsConfig")).is_some_and(Node::is_map);
        match self.place.dns {
            DnsSource::Spec | DnsSource::Elsewhere { .. } => None,
            DnsSource::SpecIf(condition) => (!has_dns_config()).then_some(condition),
            DnsSource::Nowhere(instead) => Some(instead),
        }
    }

    /// Returns a patch of the pod as a patch of the object. Labels and annotations are left out, unless the kind is Kubernetes' own:
    /// other controllers pass on some of them, or none, and the webhook writes them into the pods.
    pub fn patch(&self, object: Node<'_>, patch: Patch) -> Patch {
        let mut made: Vec<String> = Vec::new();
        let mut operations = Vec::new();
        for operation in patch.0 {
            let in_pod = operation.path().to_string();
            if !self.takes_metadata && !is_in_spec(&in_pod) {
                continue;
            }
            let pointer = self.in_object(&in_pod);
            let Ok(path) = PointerBuf::parse(&pointer) else { continue };
            match operation {
                PatchOperation::Add(AddOperation { value, .. }) => {
                    // Only maps of their own can be missing, and they are missing from the outside in.
                    for parent in self.missing_parents(object, &pointer) {
                        if !made.contains(&parent) {
                            if let Ok(path) = PointerBuf::parse(&parent) {
                                operations.push(PatchOperation::Add(AddOperation { path, value: json!({}) }));
                            }
                            made.push(parent);
                        }
                    }
                    operations.push(PatchOperation::Add(AddOperation { path, value }));
                }
                PatchOperation::Remove(_) => operations.push(PatchOperation::Remove(RemoveOperation { path })),
                // A plan has no others.
                _ => {}
            }
        }
        Patch(operations)
    }

    /// Returns the maps that have to be added above a place for DNS settings, the outermost first.
    fn missing_parents(&self, object: Node<'_>, pointer: &str) -> Vec<String> {
        let DnsSource::Elsewhere { map, .. } = self.place.dns else { return Vec::new() };
        let map = format!("{}{map}", self.at);
        if !pointer.starts_with(&*map) {
            return Vec::new();
        }
        let ends = map.match_indices('/').map(|(index, _)| index).skip(1).chain([map.len()]);
        let parents = ends.map(|end| map[..end].to_owned());
        parents.filter(|parent| object.pointer(parent).is_none()).collect()
    }

    /// Returns whether the object has a part of the pod.
    pub(super) fn shows_anything(&self, object: Node<'_>) -> bool {
        let is_telling = |part: &Part| part.in_pod.starts_with("/spec/dns") || part.name.is_some();
        self.parts.iter().any(|part| is_telling(part) && object.pointer(&part.in_object).is_some())
    }
}

/// A container in an object.
pub struct ContainerView<'n> {
    /// JSON pointer from the object to the map that holds the image.
    pub pointer: String,
    /// The image.
    pub image: Option<Node<'n>>,
    /// The entrypoint in place of the image's.
    pub command: Option<Node<'n>>,
    /// The environment variables.
    pub variables: Option<Node<'n>>,
}

// === impl ContainerView ===

impl<'n> ContainerView<'n> {
    fn of(pointer: String, node: Node<'n>) -> Self {
        Self { pointer, image: node.get("image"), command: node.get("command"), variables: node.get("env") }
    }
}

/// Returns whether a JSON pointer from a pod leads into its spec.
pub(crate) fn is_in_spec(in_pod: &str) -> bool {
    in_pod == "/spec" || in_pod.starts_with("/spec/")
}

/// Returns the pod that the parts make.
fn assembled(object: Node<'_>, parts: &[Part]) -> Value {
    let mut pod = json!({ "spec": {} });
    for Part { in_pod, in_object, name } in parts {
        let Some(node) = object.pointer(in_object) else { continue };
        // What is nested too deep says nothing about DNS.
        let Ok(mut value) = node.to_value() else { continue };
        if let Some(name) = name {
            if in_pod.ends_with("/image") && value.is_string() {
                put(&mut pod, in_pod.trim_end_matches("/image"), json!({ "image": value, "name": name }));
                continue;
            }
            if let Value::Object(container) = &mut value {
                container.insert("name".to_owned(), json!(name));
            }
        }
        put(&mut pod, in_pod, value);
    }
    pod
}

/// Puts a value at a JSON pointer. Missing maps and lists above it are made; in a list, a value goes to the end.
fn put(pod: &mut Value, pointer: &str, value: Value) {
    let mut place = pod;
    let mut tokens = pointer.split('/').skip(1).peekable();
    while let Some(token) = tokens.next() {
        let below = match tokens.peek() {
            Some(next) if next.bytes().all(|byte| byte.is_ascii_digit()) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
        place = match place {
            Value::Array(items) => {
                let index = token.parse::<usize>().unwrap_or(usize::MAX);
                let index = if index < items.len() {
                    index
                } else {
                    items.push(below);
                    items.len() - 1
                };
                &mut items[index]
            }
            Value::Object(members) => members.entry(token.to_owned()).or_insert(below),
            // A value that is no map, as the object has it, cannot hold another.
            _ => return,
        };
    }
    *place = value;
}

/// Writes the values of options as strings. A chart may quote the number that its values hold.
fn quote_options(pod: &mut Value) {
    let options = pod.pointer_mut("/spec/dnsConfig/options").and_then(Value::as_array_mut);
    for value in options.into_iter().flatten().filter_map(|option| option.get_mut("value")) {
        if value.is_number() || value.is_boolean() {
            *value = Value::String(value.to_string());
        }
    }
}
