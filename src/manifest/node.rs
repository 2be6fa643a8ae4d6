//! A value of a document as a small handle, with its place in the text, so that a finding can point at it. Must not know what any
//! value means.

use std::ops::Range;

use serde_json::Value;

use super::scalar::Scalar;
use super::tree::{Kind, Tree};

/// A value and its place. The value of an alias is the one that the alias refers to.
#[derive(Clone, Copy, Debug)]
pub struct Node<'d> {
    pub(super) tree: &'d Tree<'d>,
    pub(super) at: u32,
}

/// Undoes the escapes of a JSON Pointer (RFC 6901, 3).
pub(super) fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

// === impl Tree ===

impl Tree<'_> {
    /// Returns the document's value; null if the document is empty.
    pub fn root(&self) -> Node<'_> {
        Node { tree: self, at: self.resolved(0) }
    }
}

// === impl Node ===

impl<'d> Node<'d> {
    /// Returns the value of a key, or at an index.
    pub fn get(self, token: &str) -> Option<Self> {
        self.member(token).map(|(_, node)| node)
    }

    /// Returns the value at a JSON pointer.
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |node, token| node.get(&unescaped(token)))
    }

    /// Returns the string, if the value is one.
    pub fn as_text(self) -> Option<&'d str> {
        match self.tree.scalar(self.at) {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items, if the value is a list.
    pub fn as_list(self) -> Option<Vec<Self>> {
        self.is_list().then(|| self.items().collect())
    }

    /// Returns the items; none if the value is no list.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let list = Some(self).filter(|node| node.is_list());
        list.into_iter().flat_map(Self::children)
    }

    /// Returns the keys and values; none if the value is no map.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Self)> {
        let map = Some(self).filter(|node| node.is_map());
        let members = map.into_iter().flat_map(|map| map.tree.effective_members(map.at));
        members.map(move |(key, value)| (self.tree.key(key), self.child(value)))
    }

    /// Returns the keys, if the value is a map.
    pub fn keys(self) -> impl Iterator<Item = &'d str> {
        self.members().map(|(key, _)| key)
    }

    /// Returns the boolean, if the value is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.tree.scalar(self.at) {
            Scalar::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the byte range of the value from the start of the document's content. The value of an alias has the place of the
    /// anchor.
    pub fn span(self) -> Range<usize> {
        self.tree.entry(self.at).span.range()
    }

    /// Returns true if the value is a map.
    pub fn is_map(self) -> bool {
        self.tree.entry(self.at).kind.is_map()
    }

    /// Returns true if the value is a list.
    pub fn is_list(self) -> bool {
        self.tree.entry(self.at).kind.is_list()
    }

    /// Returns the byte range to point at for a JSON pointer: the scalar, or the key of the list or map. If the pointer leads
    /// nowhere, returns the nearest key above.
    pub fn locate(self, pointer: &str) -> Range<usize> {
        let mut node = self;
        let mut span = self.first_span();
        for token in pointer.split('/').skip(1) {
            let Some((key, next)) = node.member(&unescaped(token)) else { return span };
            span = match key {
                Some(key) => self.tree.entry(key).span.range(),
                None => next.first_span(),
            };
            node = next;
        }
        let value = self.tree.entry(node.at).span.range();
        if !node.is_scalar() || value.is_empty() { span } else { value }
    }

    /// Returns the value without places.
    ///
    /// # Errors
    /// Lists and maps are nested more than 128 deep.
    pub fn to_value(self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.to_json())
    }

    pub(super) fn is_scalar(self) -> bool {
        !self.is_map() && !self.is_list()
    }

    pub(super) fn child(self, at: u32) -> Self {
        Self { tree: self.tree, at: self.tree.resolved(at) }
    }

    fn children(self) -> impl Iterator<Item = Self> {
        self.tree.children(self.at).map(move |at| self.child(at))
    }

    /// Returns a child, with its key if it has one.
    fn member(self, token: &str) -> Option<(Option<u32>, Self)> {
        let kind = self.tree.entry(self.at).kind;
        if kind.is_map() {
            let (key, value) = self.tree.member(self.at, token)?;
            return Some((Some(key), self.child(value)));
        }
        if kind.is_list() {
            return Some((None, self.child(self.tree.item(self.at, token.parse().ok()?)?)));
        }
        None
    }

    /// Returns the first range inside the value to point at.
    fn first_span(self) -> Range<usize> {
        let mut node = self;
        loop {
            let entry = self.tree.entry(node.at);
            let first = self.tree.children(node.at).next();
            match (entry.kind, first) {
                (Kind::FlowMap | Kind::BlockMap, Some(key)) => return self.tree.entry(key).span.range(),
                (Kind::FlowList | Kind::BlockList, Some(item)) => node = self.child(item),
                (Kind::FlowMap | Kind::BlockMap | Kind::FlowList | Kind::BlockList, None) => {
                    let start = entry.span.start as usize;
                    return start..start + 1;
                }
                _ => return entry.span.range(),
            }
        }
    }
}

impl PartialEq for Node<'_> {
    /// Compares places: two handles of one value are equal.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.at == other.at
    }
}

impl Eq for Node<'_> {}
