//! The pods of an object of a kind that the table has.

use super::super::node::Node;
use super::pattern::matches;
use super::settings::parts_of;
use super::view::{CONTAINER_FIELDS, Part, PodView};
use crate::pod::kinds::{DnsSource, Layout, PodKind, PodPlace};

/// Fields of a PodSpec, besides containers, that decide about DNS.
const SPEC_FIELDS: [&str; 6] =
    ["hostNetwork", "nodeSelector", "affinity", "serviceAccountName", "imagePullSecrets", "os"];

/// Returns the pods of an object of a kind that the table has.
pub(crate) fn pods_of(object: Node<'_>, row: &'static PodKind) -> Vec<PodView> {
    let takes_metadata = row.is_builtin();
    let mut views = Vec::new();
    for place in row.pods {
        for found in matches(object, "", place.at).into_iter().filter(|found| found.node.is_map()) {
            let parts = match place.layout {
                Layout::Template | Layout::Spec => Vec::new(),
                Layout::Settings => parts_of(found.node, &found.pointer),
                Layout::Fields { init, containers } => {
                    field_parts(object, &found.pointer, row.kind, place, [init, containers])
                }
            };
            let view = PodView::new(found.pointer, place, takes_metadata, parts);
            if matches!(place.layout, Layout::Template | Layout::Spec) || view.shows_anything(object) {
                views.push(view);
            }
        }
    }
    views
}

/// Returns the parts of a pod whose containers stand in fields of their own.
fn field_parts(object: Node<'_>, at: &str, kind: &str, place: &PodPlace, lists: [&[&str]; 2]) -> Vec<Part> {
    let (map, field) = match place.dns {
        DnsSource::Elsewhere { map, field } => (format!("{at}{map}"), Some(field)),
        DnsSource::Spec | DnsSource::SpecIf(_) => (at.to_owned(), Some("dnsConfig")),
        DnsSource::Nowhere(_) => (at.to_owned(), None),
    };
    let part = |in_pod: String, in_object: String| Part { in_pod, in_object, name: None };
    let mut parts = Vec::new();
    if let Some(field) = field {
        parts.push(part("/spec/dnsConfig".to_owned(), format!("{map}/{field}")));
        parts.push(part("/spec/dnsPolicy".to_owned(), format!("{map}/dnsPolicy")));
    }
    for field in SPEC_FIELDS {
        let places = [format!("{map}/{field}"), format!("{at}/{field}")];
        if let Some(place) = places.into_iter().find(|place| object.pointer(place).is_some()) {
            parts.push(part(format!("/spec/{field}"), place));
        }
    }
    for (field, patterns) in CONTAINER_FIELDS.into_iter().zip(lists) {
        let mut index = 0;
        for pattern in patterns {
            for found in matches(object, at, pattern) {
                let image = found.node.get("image");
                // The place itself is no container: only its image counts, and in some kinds that is a map.
                let (in_object, in_pod, is_container) = if pattern.is_empty() {
                    (
                        format!("{at}/image"),
                        format!("/spec/{field}/{index}/image"),
                        image.is_some_and(|image| image.as_text().is_some()),
                    )
                } else {
                    (found.pointer, format!("/spec/{field}/{index}"), found.node.is_map())
                };
                if is_container {
                    let name = match &*found.names {
                        _ if pattern.is_empty() => main_name(at, kind),
                        [] => pattern.rsplit('/').next().unwrap_or_default().to_owned(),
                        names => names.join("/"),
                    };
                    parts.push(Part { in_pod, in_object, name: Some(name) });
                    index += 1;
                }
            }
        }
    }
    parts
}

/// Returns the name of the container that an operator makes from the place itself: the part of the program, or the program.
fn main_name(at: &str, kind: &str) -> String {
    match at.rsplit('/').next().unwrap_or_default() {
        "" | "spec" => kind.to_ascii_lowercase(),
        part => part.to_owned(),
    }
}
