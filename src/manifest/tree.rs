//! A document as a flat list of entries in the order of the text, 16 bytes each, so that a file of 50 MB fits into memory. Values stay
//! in the text, and an alias stays a reference, so that no input becomes larger than it is. Must not know of syntax, or of what any
//! value means.

use super::scalar::{Scalar, resolve};

/// A parsed document.
#[derive(Debug)]
pub struct Tree<'t> {
    pub(super) text: &'t str,
    /// True for JSON, whose key `<<` is a key like others.
    pub(super) is_json: bool,
    /// The entries, in chunks: a single list would be copied, and be in memory twice, each time that it grows.
    chunks: Vec<Vec<Entry>>,
    /// Values that are not a part of the text: with escapes, folded, or tagged.
    pub(super) values: Vec<OwnedScalar>,
    /// The items of each long list, so that each item is found at once; in the order of the lists.
    long_lists: Vec<(u32, Box<[u32]>)>,
    /// Anchors in the order of the text: the entry, and the place of the name with its `&`.
    pub(super) anchors: Vec<(u32, Span)>,
    /// Entries of aliases in the order of the text.
    pub(super) aliases: Vec<u32>,
    pub(super) remarks: Vec<Remark>,
}

/// A place that `kubectl` reads otherwise than its author may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Byte range in the document's content.
    pub span: std::ops::Range<usize>,
    /// The kind of remark.
    pub kind: RemarkKind,
}

/// A kind of remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// A map has this key twice; the last one counts.
    RepeatedKey(String),
    /// Text follows the end of the document (`...`) and is not read.
    UnreadText,
}

/// A byte range of a text, at half the size of a `Range<usize>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A value, or a key, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// All of a value, with quotes or brackets, without its anchor and tag.
    pub(super) span: Span,
    /// The entry behind a list or map; the index of an owned value; the entry that an alias refers to.
    pub(super) link: u32,
    pub(super) kind: Kind,
    /// True for a map with a merge key (`<<`) or a repeated key.
    pub(super) is_irregular: bool,
    pub(super) has_anchor: bool,
    /// True for an anchored value that an alias refers to.
    pub(super) is_shared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plain scalar; its value follows from its text.
    Plain,
    /// The text without its quotes.
    Quoted,
    /// Text as it stands, such as a plain key.
    Bare,
    /// A JSON number.
    Number,
    /// An owned value.
    Owned,
    Alias,
    FlowList,
    BlockList,
    FlowMap,
    BlockMap,
}

/// A scalar that is not a part of the text.
#[derive(Clone, Debug)]
pub(super) enum OwnedScalar {
    Text(Box<str>),
    Other(Scalar<'static>),
}

/// Entries of a chunk: 1 MiB.
const CHUNK: usize = 1 << 16;

/// Lists with more items have an index of them.
const LONG: usize = 32;

// === impl Span ===

impl Span {
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

// === impl Kind ===

impl Kind {
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::FlowList | Self::BlockList)
    }

    pub(super) fn is_map(self) -> bool {
        matches!(self, Self::FlowMap | Self::BlockMap)
    }

    pub(super) fn is_flow(self) -> bool {
        matches!(self, Self::FlowMap | Self::FlowList)
    }

    fn is_leaf(self) -> bool {
        !self.is_list() && !self.is_map()
    }
}

// === impl Tree ===

impl<'t> Tree<'t> {
    /// Returns the tree of an empty document, to which a parser adds entries.
    pub(super) fn new(text: &'t str, is_json: bool) -> Self {
        Self {
            text,
            is_json,
            chunks: Vec::new(),
            values: Vec::new(),
            long_lists: Vec::new(),
            anchors: Vec::new(),
            aliases: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Returns what the document's author should know about how `kubectl` reads it, in the order of the text.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> u32 {
        let last = self.chunks.last().map_or(0, Vec::len);
        as_u32(self.chunks.len().saturating_sub(1) * CHUNK + last)
    }

    /// Adds an entry, and returns its index.
    pub(super) fn push(&mut self, entry: Entry) -> u32 {
        let at = self.len();
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            full => {
                let mut chunk = if full.is_some() { Vec::with_capacity(CHUNK) } else { Vec::new() };
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        at
    }

    pub(super) fn entry(&self, at: u32) -> Entry {
        self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    pub(super) fn entry_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// Closes a list or map whose last entry was just added.
    pub(super) fn close(&mut self, at: u32, end: u32, items: &[u32]) {
        let next = self.len();
        let entry = self.entry_mut(at);
        entry.link = next;
        entry.span.end = end;
        if entry.kind.is_list() && items.len() > LONG {
            self.long_lists.push((at, items.into()));
        }
    }

    /// Removes the last entries and owned values.
    pub(super) fn truncate(&mut self, entries: u32, values: usize) {
        let entries = entries as usize;
        self.chunks.truncate(entries.div_ceil(CHUNK));
        if let Some(last) = self.chunks.last_mut() {
            last.truncate(entries - (entries - 1) / CHUNK * CHUNK);
        }
        self.values.truncate(values);
    }

    /// Brings what was recorded at the ends of values into the order of the text.
    pub(super) fn finish(&mut self) {
        self.long_lists.sort_unstable_by_key(|(at, _)| *at);
        self.remarks.sort_by_key(|remark| remark.span.start);
    }

    /// Returns the entry behind a value.
    pub(super) fn after(&self, at: u32) -> u32 {
        let entry = self.entry(at);
        if entry.kind.is_leaf() { at + 1 } else { entry.link }
    }

    /// Returns the entry that an entry stands for: itself, or what an alias refers to.
    pub(super) fn resolved(&self, at: u32) -> u32 {
        let entry = self.entry(at);
        if entry.kind == Kind::Alias { entry.link } else { at }
    }

    /// Returns the entries directly inside a list or map: items, or keys and values in turn.
    pub(super) fn children(&self, at: u32) -> impl Iterator<Item = u32> {
        let end = if self.entry(at).kind.is_leaf() { at + 1 } else { self.after(at) };
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let at = Some(next).filter(|next| *next < end)?;
            next = self.after(at);
            Some(at)
        })
    }

    /// Returns the entries of the keys and values that a map itself has.
    pub(super) fn members(&self, at: u32) -> impl Iterator<Item = (u32, u32)> {
        let end = if self.entry(at).kind.is_map() { self.after(at) } else { at + 1 };
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let key = Some(next).filter(|next| *next < end)?;
            let value = self.after(key);
            next = self.after(value);
            Some((key, value))
        })
    }

    /// Returns an item of a list.
    pub(super) fn item(&self, list: u32, index: usize) -> Option<u32> {
        match self.long_lists.binary_search_by_key(&list, |(at, _)| *at) {
            Ok(found) => self.long_lists[found].1.get(index).copied(),
            Err(_) => self.children(list).nth(index),
        }
    }

    /// Returns the value of a scalar; null for anything else.
    pub(super) fn scalar(&self, at: u32) -> Scalar<'_> {
        let entry = self.entry(at);
        let text = self.text.get(entry.span.range()).unwrap_or_default();
        match entry.kind {
            Kind::Plain => resolve(text),
            Kind::Bare => Scalar::Text(text),
            Kind::Quoted => Scalar::Text(&text[1..text.len() - 1]),
            Kind::Number => text.parse().map_or(Scalar::Text(text), Scalar::Number),
            Kind::Owned => match &self.values[entry.link as usize] {
                OwnedScalar::Text(text) => Scalar::Text(text),
                OwnedScalar::Other(scalar) => scalar.clone(),
            },
            _ => Scalar::Null,
        }
    }

    /// Returns the text of a key.
    pub(super) fn key(&self, at: u32) -> &str {
        let at = self.resolved(at);
        let entry = self.entry(at);
        let text = self.text.get(entry.span.range()).unwrap_or_default();
        match entry.kind {
            Kind::Quoted => &text[1..text.len() - 1],
            Kind::Owned => match &self.values[entry.link as usize] {
                OwnedScalar::Text(text) => text,
                OwnedScalar::Other(_) => "",
            },
            _ => text,
        }
    }

    /// Returns true if a key merges another map in (`<<: *defaults`).
    pub(super) fn is_merge(&self, key: u32) -> bool {
        let entry = self.entry(key);
        !self.is_json && entry.kind == Kind::Bare && self.text.get(entry.span.range()) == Some("<<")
    }

    /// Returns the keys and values that a map has for its readers, in order: with those of merged maps, and the last of equal keys.
    pub(super) fn effective_members(&self, map: u32) -> Vec<(u32, u32)> {
        if !self.entry(map).is_irregular {
            return self.members(map).collect();
        }
        let mut all = Vec::new();
        let mut open = vec![self.members(map).collect::<Vec<_>>().into_iter()];
        // Depth first, in the order in which kubectl sets the keys of the merged map: each sets what an earlier one set.
        while let Some(members) = open.last_mut() {
            let Some((key, value)) = members.next() else {
                open.pop();
                continue;
            };
            if !self.is_merge(key) {
                all.push((key, value));
                continue;
            }
            let merged = self.resolved(value);
            if self.entry(merged).kind.is_list() {
                // The first map of the list counts most, so it comes last.
                let maps: Vec<u32> = self.children(merged).map(|item| self.resolved(item)).collect();
                open.extend(maps.into_iter().map(|map| self.members(map).collect::<Vec<_>>().into_iter()));
            } else {
                open.push(self.members(merged).collect::<Vec<_>>().into_iter());
            }
        }
        let mut last = std::collections::HashMap::new();
        for (index, (key, _)) in all.iter().enumerate() {
            last.insert(self.key(*key), index);
        }
        let mut index = 0..;
        all.retain(|(key, _)| last.get(self.key(*key)).copied() == index.next());
        all
    }

    /// Returns the key and value of a map by the key's text.
    pub(super) fn member(&self, map: u32, name: &str) -> Option<(u32, u32)> {
        if self.entry(map).is_irregular {
            return self.effective_members(map).into_iter().find(|(key, _)| self.key(*key) == name);
        }
        self.members(map).find(|(key, _)| self.key(*key) == name)
    }
}

/// Converts an offset or an index: parsers refuse texts of 4 GiB, and no text has more entries than bytes.
pub(super) fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
