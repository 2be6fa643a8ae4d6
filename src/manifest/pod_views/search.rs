//! Pods in documents of kinds that the table does not have: pod templates, objects inside objects, DNS settings, and lists of
//! containers that stand in no pod template.

use super::super::node::Node;
use super::pattern::escaped;
use super::settings::settings_of;
use super::view::PodView;
use crate::pod::kinds::PodKind;

/// The pods and objects that a search found in a document.
#[derive(Default)]
pub(in super::super) struct Embedded<'n> {
    /// Objects of kinds that the table has, each with its JSON pointer from the document.
    pub(in super::super) objects: Vec<(String, Node<'n>, &'static PodKind)>,
    /// Pod templates and DNS settings.
    pub(in super::super) pods: Vec<PodView>,
    /// Is true if there are lists of containers with images that stand in none of these.
    pub(in super::super) has_containers: bool,
}

/// Searches a value, of which `pointer` is the JSON pointer. Values that are still to be searched wait on a list, so that no depth of the
/// document is too deep.
pub(in super::super) fn search<'n>(root: Node<'n>, pointer: &str) -> Embedded<'n> {
    let mut found = Embedded::default();
    let mut waiting = vec![(pointer.to_owned(), root)];
    while let Some((pointer, node)) = waiting.pop() {
        if node.is_list() {
            // Scalars hold nothing, and lists of them can be long.
            let items = node.items().enumerate().filter(|(_, item)| item.is_map() || item.is_list());
            let start = waiting.len();
            waiting.extend(items.map(|(index, item)| (format!("{pointer}/{index}"), item)));
            waiting[start..].reverse();
            continue;
        }
        if let Some(row) = row_of(node).filter(|_| node != root) {
            found.objects.push((pointer, node, row));
            continue;
        }
        if is_template(node) {
            found.pods.push(PodView::guessed(pointer));
            continue;
        }
        found.has_containers |= has_containers(node);
        found.pods.extend(settings_of(node, &pointer));
        let members = node.members().filter(|(_, value)| value.is_map() || value.is_list());
        let start = waiting.len();
        waiting.extend(members.map(|(key, value)| (format!("{pointer}/{}", escaped(key)), value)));
        waiting[start..].reverse();
    }
    found
}

/// Returns the row about an object.
fn row_of(node: Node<'_>) -> Option<&'static PodKind> {
    let text = |field: &str| node.get(field).and_then(Node::as_text);
    PodKind::named(text("apiVersion")?, text("kind")?)
}

/// Returns whether a map is a pod template for certain: its spec has a list of containers with names and images.
fn is_template(node: Node<'_>) -> bool {
    let containers = node.get("spec").and_then(|spec| spec.get("containers")?.as_list()).unwrap_or_default();
    let is_container = |container: &Node<'_>| {
        ["name", "image"].into_iter().all(|field| container.get(field).is_some_and(|value| value.as_text().is_some()))
    };
    !containers.is_empty() && containers.iter().all(is_container)
}

/// Returns whether a map has a list of containers with images.
fn has_containers(node: Node<'_>) -> bool {
    let has_image = |container: Node<'_>| container.get("image").is_some_and(|image| image.as_text().is_some());
    let lists = ["containers", "initContainers", "sidecars"].into_iter().filter_map(|field| node.get(field)?.as_list());
    lists.flatten().any(has_image)
}
