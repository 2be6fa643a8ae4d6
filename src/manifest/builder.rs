//! Builds a tree from a parser's events, and bounds what aliases make of it. Must not know of syntax.

use std::collections::HashSet;
use std::ops::Range;

use super::fingerprint;
use super::parse_error::ParseError;
use super::scalar::Scalar;
use super::tree::{Entry, Kind, OwnedScalar, Remark, RemarkKind, Span, Tree, as_u32};

/// A tree that is being built.
pub(super) struct Builder<'t> {
    tree: Tree<'t>,
    open: Vec<Open>,
    /// The items of open lists, and the keys of open maps, one list or map behind the other.
    pending: Vec<u32>,
    work: Work,
    /// The work that each closed anchor adds where an alias refers to it; in the order of the anchors.
    anchored: Vec<Work>,
    /// The fingerprint of each entry, if only that of the document is wanted.
    folded: Option<Vec<u64>>,
    /// A map had a merge key or a repeated key.
    is_irregular: bool,
}

/// An open list or map.
struct Open {
    at: u32,
    is_map: bool,
    /// The next entry is a key.
    expects_key: bool,
    /// Where its entries begin in [`Builder::pending`].
    first: usize,
    /// End of the last child.
    end: u32,
    /// The anchor, and the work before the value.
    anchor: Option<(usize, Work)>,
    has_merge: bool,
    /// Number of owned values before it.
    values: usize,
}

/// The work of decoding, as go.yaml.in/yaml/v2 counts it in decode.go.
#[derive(Clone, Copy, Default)]
struct Work {
    /// Values decoded, those of aliases as often as they are referred to.
    nodes: u64,
    /// Values that are decoded because of an alias.
    aliased: u64,
    /// Bytes of the text, those of aliases as often as they are referred to.
    bytes: u64,
}

/// Deepest nesting: kubectl's own limit (`max_depth` of go.yaml.in/yaml/v2, and `maxNestingDepth` of Go's encoding/json).
pub(super) const DEPTH_MAX: usize = 10_000;

/// Most bytes that aliases add to a document. kubectl bounds only the number of values.
const ALIASED_BYTES_MAX: u64 = 64 << 20;

// === impl Work ===

impl Work {
    /// Returns true if kubectl refuses the document: `allowedAliasRatio` of decode.go, with its numbers.
    fn is_excessive(self) -> bool {
        let (nodes, aliased) = (self.nodes as f64, self.aliased as f64);
        let allowed = (0.99 - 0.89 * (nodes - 400_000.0) / 3_600_000.0).clamp(0.10, 0.99);
        self.aliased > 100 && self.nodes > 1000 && aliased / nodes > allowed
    }

    fn since(self, before: Self) -> Self {
        Self { nodes: self.nodes - before.nodes, aliased: 0, bytes: self.bytes - before.bytes }
    }
}

// === impl Builder ===

impl<'t> Builder<'t> {
    pub(super) fn new(text: &'t str, is_json: bool) -> Result<Self, ParseError> {
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError { offset: 0, message: "the document is larger than 4 GiB; split it".into() });
        }
        let work = Work { nodes: 1, aliased: 0, bytes: 0 };
        let tree = Tree::new(text, is_json);
        Ok(Self {
            tree,
            open: Vec::new(),
            pending: Vec::new(),
            work,
            anchored: Vec::new(),
            folded: None,
            is_irregular: false,
        })
    }

    /// Keeps no entry of a list or map that is closed, but its fingerprint.
    pub(super) fn folding(self) -> Self {
        Self { folded: Some(Vec::new()), ..self }
    }

    /// Returns the fingerprint of the document; `None` if it has merged maps or repeated keys, whose meaning depends on entries that were
    /// not kept.
    pub(super) fn fingerprint(&self) -> Option<u64> {
        let folded = self.folded.as_ref()?;
        (!self.is_irregular).then(|| folded.first().copied().unwrap_or_else(|| fingerprint::of_scalar(&Scalar::Null)))
    }

    /// Returns the tree, of an empty document if nothing was added.
    pub(super) fn finish(mut self) -> Tree<'t> {
        if self.tree.len() == 0 {
            self.tree.push(entry(Kind::Plain, 0..0, 0));
        }
        self.tree.finish();
        self.tree
    }

    /// Returns the end of the key, if the next entry is its value.
    pub(super) fn key_before(&self) -> Option<Range<usize>> {
        let open = self.open.last().filter(|open| open.is_map && !open.expects_key)?;
        let key = *self.pending[open.first..].last()?;
        Some(self.tree.entry(key).span.range())
    }

    /// Returns the end of what was added last to the open list or map.
    pub(super) fn end(&self) -> usize {
        self.open.last().map_or(0, |open| open.end as usize)
    }

    /// Returns the start of the outermost open brackets.
    pub(super) fn outermost_flow(&self) -> Option<usize> {
        let entries = self.open.iter().map(|open| self.tree.entry(open.at));
        entries.into_iter().find(|entry| entry.kind.is_flow()).map(|entry| entry.span.start as usize)
    }

    /// Returns the start of the innermost open list or map, and whether brackets are around it.
    pub(super) fn innermost(&self) -> Option<(usize, bool)> {
        let entry = self.tree.entry(self.open.last()?.at);
        Some((entry.span.start as usize, entry.kind.is_flow()))
    }

    pub(super) fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_map && open.expects_key)
    }

    /// Adds a remark.
    pub(super) fn remark(&mut self, span: Range<usize>, kind: RemarkKind) {
        self.tree.remarks.push(Remark { span, kind });
    }

    /// Adds the remark that the line with the first text from an offset, and all below it, is not read.
    pub(super) fn remark_unread(&mut self, start: usize) {
        let text = self.tree.text;
        let rest = &text[start..];
        let start = start + (rest.len() - rest.trim_start().len());
        let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        self.remark(start..end, RemarkKind::UnreadText);
    }

    /// Adds a scalar.
    pub(super) fn leaf(&mut self, kind: Kind, span: Range<usize>) -> Result<(), ParseError> {
        let is_merge = kind == Kind::Bare && !self.tree.is_json && &self.tree.text[span.clone()] == "<<";
        self.work.nodes += u64::from(!is_merge);
        self.work.bytes += span.len() as u64;
        self.add(entry(kind, span, 0), is_merge)
    }

    /// Adds a scalar whose value is not a part of the text.
    pub(super) fn owned(&mut self, scalar: OwnedScalar, span: Range<usize>) -> Result<(), ParseError> {
        let link = as_u32(self.tree.values.len());
        self.tree.values.push(scalar);
        self.work.nodes += 1;
        self.work.bytes += span.len() as u64;
        self.add(entry(Kind::Owned, span, link), false)
    }

    /// Adds an alias of an anchor, given by its number.
    pub(super) fn alias(&mut self, anchor: usize, span: Range<usize>) -> Result<(), ParseError> {
        let offset = span.start;
        if self.folded.is_some() {
            return Err(ParseError { offset, message: "an alias needs the entries that it refers to".into() });
        }
        let (Some(work), Some((target, _))) = (self.anchored.get(anchor), self.tree.anchors.get(anchor)) else {
            return Err(ParseError { offset, message: "this alias stands inside its own anchor's value".into() });
        };
        if work.nodes == 0 {
            return Err(ParseError { offset, message: "this alias stands inside its own anchor's value".into() });
        }
        self.work.nodes += 1 + work.nodes;
        self.work.aliased += work.nodes;
        self.work.bytes += work.bytes;
        if self.work.is_excessive() {
            let message = "the aliases up to here make the document many times larger, and kubectl refuses it";
            return Err(ParseError { offset, message: message.into() });
        }
        if self.work.bytes > self.tree.text.len() as u64 + ALIASED_BYTES_MAX {
            let message = "the aliases up to here add more than 64 MiB to the document; write out the large value once";
            return Err(ParseError { offset, message: message.into() });
        }
        let target = *target;
        self.tree.entry_mut(target).is_shared = true;
        let at = self.tree.len();
        self.tree.aliases.push(at);
        self.add(entry(Kind::Alias, span, target), false)
    }

    /// Opens a list or map.
    pub(super) fn open(&mut self, kind: Kind, start: usize) -> Result<(), ParseError> {
        if self.open.len() >= DEPTH_MAX {
            let message = format!("lists and maps are nested more than {DEPTH_MAX} deep");
            return Err(ParseError { offset: start, message });
        }
        if self.expects_key() {
            let message = "a list or map stands where a map has its key, which kubectl refuses";
            return Err(ParseError { offset: start, message: message.into() });
        }
        self.work.nodes += 1;
        let at = self.tree.len();
        self.add(entry(kind, start..start + 1, 0), false)?;
        self.open.push(Open {
            at,
            is_map: kind.is_map(),
            expects_key: kind.is_map(),
            first: self.pending.len(),
            end: as_u32(start + 1),
            anchor: None,
            has_merge: false,
            values: self.tree.values.len(),
        });
        Ok(())
    }

    /// Gives the anchor with the next number to the value that was added or opened last.
    pub(super) fn anchor(&mut self, name: Range<usize>, is_open: bool) {
        let at = if is_open { self.open.last().map(|open| open.at) } else { self.tree.len().checked_sub(1) };
        let Some(at) = at else { return };
        self.tree.entry_mut(at).has_anchor = true;
        self.tree.anchors.push((at, Span { start: as_u32(name.start), end: as_u32(name.end) }));
        let number = self.anchored.len();
        if is_open {
            // Nothing refers to it before its end.
            self.anchored.push(Work::default());
            let mut before = self.work;
            before.nodes -= 1;
            if let Some(open) = self.open.last_mut() {
                open.anchor = Some((number, before));
            }
        } else {
            let bytes = self.tree.entry(at).span.range().len() as u64;
            self.anchored.push(Work { nodes: 1, aliased: 0, bytes });
        }
    }

    /// Closes the list or map that was opened last; one in brackets ends at `end`, another where its last child ends.
    pub(super) fn close(&mut self, end: usize) -> Result<(), ParseError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let is_flow = self.tree.entry(open.at).kind.is_flow();
        let end = if is_flow { as_u32(end) } else { open.end };
        if open.is_map {
            let is_repeated = self.remark_repeated_keys(open.first);
            let is_irregular = open.has_merge || is_repeated;
            self.tree.entry_mut(open.at).is_irregular = is_irregular;
            self.is_irregular |= is_irregular;
        }
        if self.folded.is_some() {
            self.fold(&open, end);
        } else {
            self.tree.close(open.at, end, &self.pending[open.first..]);
        }
        self.pending.truncate(open.first);
        if let Some((number, before)) = open.anchor {
            self.anchored[number] = self.work.since(before);
        }
        if let Some(outer) = self.open.last_mut() {
            outer.end = end;
        }
        Ok(())
    }

    /// Puts the fingerprint of a list or map in place of its entries.
    fn fold(&mut self, open: &Open, end: u32) {
        let Some(folded) = &mut self.folded else { return };
        let inside = &folded[open.at as usize + 1..];
        let sum = if open.is_map {
            let (members, _) = inside.as_chunks::<2>();
            members.iter().fold(0, |sum, [key, value]| fingerprint::with_member(sum, *key, *value))
        } else {
            inside.iter().fold(0, |sum, item| fingerprint::with_item(sum, *item))
        };
        folded.truncate(open.at as usize + 1);
        folded[open.at as usize] = fingerprint::of_closed(open.is_map, sum);
        self.tree.truncate(open.at + 1, open.values);
        // What is left of it is as good as a scalar.
        let entry = self.tree.entry_mut(open.at);
        entry.kind = if entry.kind.is_flow() { Kind::Bare } else { Kind::Plain };
        entry.span.end = end;
    }

    fn add(&mut self, entry: Entry, is_merge: bool) -> Result<(), ParseError> {
        let at = self.tree.push(entry);
        if let Some(folded) = &mut self.folded {
            let is_key = self.open.last().is_some_and(|open| open.is_map && open.expects_key);
            folded.push(match entry.kind {
                _ if is_key => fingerprint::of_key(self.tree.key(at)),
                kind if kind.is_list() || kind.is_map() => 0,
                _ => fingerprint::of_scalar(&self.tree.scalar(at)),
            });
        }
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        open.end = entry.span.end;
        if !open.is_map {
            self.pending.push(at);
        } else if open.expects_key {
            open.has_merge |= is_merge;
            open.expects_key = false;
            self.pending.push(at);
        } else {
            open.expects_key = true;
            let key = self.pending.last().copied().unwrap_or_default();
            if open.has_merge && self.tree.is_merge(key) {
                return self.check_merged(entry);
            }
        }
        Ok(())
    }

    /// Refuses what cannot be merged. The items of a list are not known yet, and are left out of the value if they are no maps.
    fn check_merged(&self, value: Entry) -> Result<(), ParseError> {
        let kind = if value.kind == Kind::Alias { self.tree.entry(value.link).kind } else { value.kind };
        if kind.is_map() || kind.is_list() && value.kind != Kind::Alias {
            return Ok(());
        }
        let message = "<< needs a map, an alias of one, or a list of them";
        Err(ParseError { offset: value.span.start as usize, message: message.into() })
    }

    /// Records the keys of a map that it already has; returns true if there are any.
    fn remark_repeated_keys(&mut self, first: usize) -> bool {
        let keys = &self.pending[first..];
        let tree = &self.tree;
        let is_counted = |key: &&u32| !tree.is_merge(**key);
        let mut repeated = Vec::new();
        if keys.len() <= 8 {
            for (index, key) in keys.iter().enumerate().filter(|(_, key)| is_counted(key)) {
                if keys[..index].iter().any(|other| tree.key(*other) == tree.key(*key)) {
                    repeated.push(*key);
                }
            }
        } else {
            let mut seen = HashSet::with_capacity(keys.len());
            repeated.extend(keys.iter().filter(is_counted).filter(|key| !seen.insert(tree.key(**key))));
        }
        let remarks: Vec<Remark> = repeated
            .iter()
            .map(|key| Remark {
                span: tree.entry(*key).span.range(),
                kind: RemarkKind::RepeatedKey(tree.key(*key).to_owned()),
            })
            .collect();
        self.tree.remarks.extend(remarks);
        !repeated.is_empty()
    }
}

fn entry(kind: Kind, span: Range<usize>, link: u32) -> Entry {
    let span = Span { start: as_u32(span.start), end: as_u32(span.end) };
    Entry { span, link, kind, is_irregular: false, has_anchor: false, is_shared: false }
}
