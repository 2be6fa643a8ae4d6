//! A fingerprint of what a reader of a document gets: equal for documents that differ only in layout. So an edited document is compared
//! with what it should say without both in memory. Aliases and merged maps count as what they stand for.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::scalar::Scalar;
use super::tree::Tree;

/// A value as a reader reaches it: an aliased value is at several places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The entry, never that of an alias.
    pub(super) at: u32,
    /// Differs for each way of aliases and merged maps that leads to the entry; 0 without any.
    pub(super) way: u64,
}

/// Members of maps whose values are replaced; in order once [finished](Replaced::finish).
#[derive(Debug, Default)]
pub(super) struct Replaced(Vec<Member>);

/// The fingerprints of a key and of its new value; `None` if the member is removed.
#[derive(Debug)]
struct Member {
    map: Place,
    key: u64,
    value: Option<u64>,
}

/// A list or map of which a part is read.
struct Open {
    place: Place,
    is_map: bool,
    children: Children,
    sum: u64,
    key: u64,
}

enum Children {
    /// Entries from the first to the second.
    Entries(u32, u32),
    Members(std::vec::IntoIter<(u32, u32)>),
}

// === impl Place ===

impl Place {
    /// Returns the place of a document's value.
    pub(super) fn root(tree: &Tree<'_>) -> Self {
        Self { at: 0, way: 0 }.through(tree, 0)
    }

    /// Returns the place of a value inside the list or map at this place.
    pub(super) fn child(self, tree: &Tree<'_>, value: u32) -> Self {
        let way = if tree.entry(self.at).is_irregular { hash_of(&(self.way, self.at)) } else { self.way };
        Self { at: self.at, way }.through(tree, value)
    }

    fn through(self, tree: &Tree<'_>, value: u32) -> Self {
        let at = tree.resolved(value);
        let way = if at == value { self.way } else { hash_of(&(self.way, value)) };
        Self { at, way }
    }
}

// === impl Replaced ===

impl Replaced {
    /// Replaces a member of the map at a place.
    pub(super) fn insert(&mut self, map: Place, key: &str, value: Option<&Value>) {
        self.0.push(Member { map, key: of_key(key), value: value.map(of_value) });
    }

    /// Brings the members into order, after the last was inserted.
    pub(super) fn finish(&mut self) {
        self.0.sort_unstable_by_key(|member| member.map);
    }

    fn of(&self, map: Place) -> &[Member] {
        let start = self.0.partition_point(|member| member.map < map);
        let count = self.0[start..].iter().take_while(|member| member.map == map).count();
        &self.0[start..start + count]
    }
}

/// Returns the fingerprint of a document.
pub(super) fn of_tree(tree: &Tree<'_>, replaced: &Replaced) -> u64 {
    let mut open: Vec<Open> = Vec::new();
    let mut done = start(tree, Place::root(tree), &mut open);
    loop {
        let Some(outer) = open.last_mut() else { return done.unwrap_or_default() };
        if let Some(value) = done.take() {
            outer.sum =
                if outer.is_map { with_member(outer.sum, outer.key, value) } else { with_item(outer.sum, value) };
        }
        let changed = if outer.is_map { replaced.of(outer.place) } else { &[] };
        match next_child(tree, outer, changed) {
            Some(value) => {
                let place = outer.place.child(tree, value);
                done = start(tree, place, &mut open);
            }
            None => {
                for member in changed {
                    if let Some(value) = member.value {
                        outer.sum = with_member(outer.sum, member.key, value);
                    }
                }
                done = Some(of_closed(outer.is_map, outer.sum));
                open.pop();
            }
        }
    }
}

/// Returns the next value inside a list or map, without the members that are replaced.
fn next_child(tree: &Tree<'_>, outer: &mut Open, changed: &[Member]) -> Option<u32> {
    loop {
        let (key, value) = match &mut outer.children {
            Children::Entries(next, end) if next == end => return None,
            Children::Entries(next, _) if !outer.is_map => {
                let item = *next;
                *next = tree.after(item);
                return Some(item);
            }
            Children::Entries(next, _) => {
                let key = *next;
                let value = tree.after(key);
                *next = tree.after(value);
                (key, value)
            }
            Children::Members(members) => members.next()?,
        };
        let key = of_key(tree.key(key));
        if changed.iter().all(|member| member.key != key) {
            outer.key = key;
            return Some(value);
        }
    }
}

/// Returns the fingerprint of a scalar, or opens a list or map.
fn start(tree: &Tree<'_>, place: Place, open: &mut Vec<Open>) -> Option<u64> {
    let entry = tree.entry(place.at);
    if !entry.kind.is_list() && !entry.kind.is_map() {
        return Some(of_scalar(&tree.scalar(place.at)));
    }
    let children = if entry.is_irregular {
        Children::Members(tree.effective_members(place.at).into_iter())
    } else {
        Children::Entries(place.at + 1, tree.after(place.at))
    };
    open.push(Open { place, is_map: entry.kind.is_map(), children, sum: 0, key: 0 });
    None
}

/// Returns the fingerprint of a value, whose depth its parser bounds.
fn of_value(value: &Value) -> u64 {
    match value {
        Value::Null => of_scalar(&Scalar::Null),
        Value::Bool(value) => of_scalar(&Scalar::Bool(*value)),
        Value::Number(number) => of_scalar(&Scalar::Number(number.clone())),
        Value::String(text) => of_scalar(&Scalar::Text(text)),
        Value::Array(items) => of_closed(false, items.iter().fold(0, |sum, item| with_item(sum, of_value(item)))),
        Value::Object(members) => {
            let sum = |sum, (key, value): (&String, &Value)| with_member(sum, of_key(key), of_value(value));
            of_closed(true, members.iter().fold(0, sum))
        }
    }
}

pub(super) fn of_scalar(scalar: &Scalar<'_>) -> u64 {
    match scalar {
        Scalar::Null => hash_of(&0),
        Scalar::Bool(value) => hash_of(value),
        Scalar::Number(number) => hash_of(&(1, number.to_string())),
        Scalar::Text(text) => hash_of(&(2, text)),
    }
}

pub(super) fn of_key(key: &str) -> u64 {
    hash_of(key)
}

/// Adds a member to the sum of a map's; members have no order.
pub(super) fn with_member(sum: u64, key: u64, value: u64) -> u64 {
    sum.wrapping_add(hash_of(&(key, value)))
}

/// Adds the next item to the sum of a list's.
pub(super) fn with_item(sum: u64, item: u64) -> u64 {
    hash_of(&(sum, item))
}

/// Returns the fingerprint of a map or list with this sum.
pub(super) fn of_closed(is_map: bool, sum: u64) -> u64 {
    hash_of(&(is_map, sum))
}

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
