//! Finds the Kubernetes objects of a document, and the pods that each makes.

use std::borrow::Cow;
use std::iter::{self, Enumerate};
use std::vec;

use super::node::Node;
use super::pod_views::{self, Embedded, PodView};
use crate::pod::kinds::{Layout, PodKind};

/// A Kubernetes object in a document, or another document with pods or DNS settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'n> {
    /// JSON pointer to the object, from the document.
    pub pointer: String,
    /// The kind; [`SETTINGS_KIND`] for what is no object, such as Helm values.
    pub kind: &'n str,
    /// The namespace, if the object has one.
    pub namespace: Option<&'n str>,
    /// The name, or else `generateName`; empty if the object has neither. For DNS settings, the keys that lead to them.
    pub name: Cow<'n, str>,
    /// The pods that the object makes.
    pub pods: Vec<PodView>,
    /// Is true if the object lists containers with images in a form that muslin does not understand.
    pub is_unclear: bool,
}

/// The version and kind of list items that have none of their own.
#[derive(Clone, Copy, Default)]
struct ItemDefaults<'n> {
    api_version: Option<&'n str>,
    kind: Option<&'n str>,
}

/// The items of a list that are not read yet.
struct Items<'n> {
    /// JSON pointer to the list's object; `None` for the document itself.
    list: Option<String>,
    nodes: Enumerate<vec::IntoIter<Node<'n>>>,
    defaults: ItemDefaults<'n>,
}

/// The kind of DNS settings in a document without kind, such as Helm values or a JSON Patch.
pub const SETTINGS_KIND: &str = "DNS settings";

/// Kinds without pods that hold much else: the schema of a field is no value of it.
const NEVER_SEARCHED: [&str; 1] = ["CustomResourceDefinition"];

// === impl Items ===

impl<'n> Items<'n> {
    fn document(document: Node<'n>) -> Self {
        Self { list: None, nodes: vec![document].into_iter().enumerate(), defaults: ItemDefaults::default() }
    }

    /// Returns the next item and the JSON pointer to it.
    fn next_item(&mut self) -> Option<(String, Node<'n>, ItemDefaults<'n>)> {
        let (index, node) = self.nodes.next()?;
        let pointer = self.list.as_ref().map(|list| format!("{list}/items/{index}")).unwrap_or_default();
        Some((pointer, node, self.defaults))
    }
}

// === impl Object ===

impl<'n> Object<'n> {
    /// Returns the JSON pointer to the first pod that is in one piece, from the document.
    pub fn pod_pointer(&self) -> Option<String> {
        let whole = self.pods.iter().find(|pod| pod.place.layout == Layout::Template)?;
        Some(format!("{}{}", self.pointer, whole.at))
    }

    fn new(node: Node<'n>, kind: &'n str, pointer: String, pods: Vec<PodView>) -> Self {
        let metadata = node.get("metadata");
        let metadata = |field: &str| metadata.and_then(|metadata| metadata.get(field)?.as_text());
        Object {
            kind,
            namespace: metadata("namespace"),
            name: Cow::Borrowed(metadata("name").or_else(|| metadata("generateName")).unwrap_or_default()),
            pods,
            is_unclear: false,
            pointer,
        }
    }
}

/// Returns the Kubernetes objects of a document in order. A `List` is replaced by its items. Objects inside of others, as in a Template
/// of OpenShift, come after their holder. They are made one at a time, because a List can have a hundred thousand.
pub fn objects(document: Node<'_>) -> impl Iterator<Item = Object<'_>> {
    let mut lists = vec![Items::document(document)];
    let mut found = Vec::new().into_iter();
    iter::from_fn(move || {
        loop {
            if let Some(object) = found.next() {
                return Some(object);
            }
            match lists.last_mut()?.next_item() {
                Some((pointer, node, defaults)) => {
                    found = read_item(pointer, node, defaults, &mut lists).into_iter();
                }
                None => drop(lists.pop()),
            }
        }
    })
}

/// Reads an item of a list, or the document. The items of a `List` come next.
fn read_item<'n>(
    pointer: String,
    node: Node<'n>,
    defaults: ItemDefaults<'n>,
    lists: &mut Vec<Items<'n>>,
) -> Vec<Object<'n>> {
    let text = |field: &str| node.get(field).and_then(Node::as_text);
    let (api_version, kind) = (text("apiVersion").or(defaults.api_version), text("kind").or(defaults.kind));
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        // Items of a list that are no objects say nothing.
        return if pointer.is_empty() { other_document(node) } else { Vec::new() };
    };
    // `List` itself, and the lists of one kind that the API server writes (PodList), whose items have neither field.
    let items = node.get("items").and_then(Node::as_list);
    if let (Some(item_kind), Some(items)) = (kind.strip_suffix("List"), items) {
        let defaults = if item_kind.is_empty() {
            ItemDefaults::default()
        } else {
            ItemDefaults { api_version: Some(api_version), kind: Some(item_kind) }
        };
        lists.push(Items { list: Some(pointer), nodes: items.into_iter().enumerate(), defaults });
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(node, api_version, kind, pointer, &mut found);
    found
}

fn collect<'n>(node: Node<'n>, api_version: &str, kind: &'n str, pointer: String, found: &mut Vec<Object<'n>>) {
    if let Some(row) = PodKind::named(api_version, kind) {
        found.push(Object::new(node, kind, pointer, pod_views::pods_of(node, row)));
        return;
    }
    let mut object = Object::new(node, kind, pointer, Vec::new());
    if NEVER_SEARCHED.contains(&kind) {
        found.push(object);
        return;
    }
    let Embedded { objects, pods, has_containers } = pod_views::search(node, "");
    object.is_unclear = has_containers;
    object.pods = pods;
    let at = object.pointer.clone();
    found.push(object);
    found.extend(inner_objects(objects, &at));
}

fn inner_objects<'n>(objects: Vec<(String, Node<'n>, &'static PodKind)>, at: &str) -> impl Iterator<Item = Object<'n>> {
    objects.into_iter().map(move |(pointer, node, row)| {
        Object::new(node, row.kind, format!("{at}{pointer}"), pod_views::pods_of(node, row))
    })
}

/// Returns what a document without kind holds: DNS settings in Helm values or in a JSON Patch, objects in a list.
fn other_document(node: Node<'_>) -> Vec<Object<'_>> {
    let Embedded { objects, pods, has_containers: _ } = pod_views::search(node, "");
    let mut found: Vec<Object<'_>> = inner_objects(objects, "").collect();
    for pod in pods.into_iter().chain(pod_views::operations(node)) {
        let name = Cow::Owned(pod.at.trim_start_matches('/').replace('/', "."));
        found.push(Object { name, ..Object::new(node, SETTINGS_KIND, String::new(), vec![pod]) });
    }
    found
}
