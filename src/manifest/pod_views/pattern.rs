//! Places in an object that match a pattern such as `/spec/templates/*/container`.

use super::super::node::Node;

/// A place that matches a pattern.
pub(in super::super) struct Found<'n> {
    /// JSON pointer from the object.
    pub(in super::super) pointer: String,
    /// The value.
    pub(in super::super) node: Node<'n>,
    /// The name of each item on the way, or else its number or its key.
    pub(in super::super) names: Vec<String>,
}

/// Returns the places that match a pattern from the value at `start`, in order. The pattern decides the depth, and each place is
/// visited once.
pub(in super::super) fn matches<'n>(object: Node<'n>, start: &str, pattern: &str) -> Vec<Found<'n>> {
    let first = object.pointer(start).map(|node| Found { pointer: start.to_owned(), node, names: Vec::new() });
    let mut places: Vec<Found<'n>> = first.into_iter().collect();
    for token in pattern.split('/').skip(1) {
        places = places
            .into_iter()
            .flat_map(|place| if token == "*" { place.items() } else { place.member(token) })
            .collect();
    }
    places
}

// === impl Found ===

impl<'n> Found<'n> {
    fn member(self, token: &str) -> Vec<Self> {
        let Self { pointer, node, names } = self;
        let found = node.get(token).map(|node| Self { pointer: format!("{pointer}/{token}"), node, names });
        found.into_iter().collect()
    }

    fn items(self) -> Vec<Self> {
        let Self { pointer, node, names } = self;
        let item = |token: String, number: String, node: Node<'n>| {
            let name = node.get("name").and_then(Node::as_text).map_or(number, str::to_owned);
            let names = names.iter().cloned().chain([name]).collect();
            Self { pointer: format!("{pointer}/{token}"), node, names }
        };
        match node.is_list() {
            true => {
                let items = node.items().enumerate();
                items.map(|(index, node)| item(index.to_string(), (index + 1).to_string(), node)).collect()
            }
            false => node.members().map(|(key, node)| item(escaped(key), key.to_owned(), node)).collect(),
        }
    }
}

/// Escapes a key for a JSON pointer (RFC 6901, 3).
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
