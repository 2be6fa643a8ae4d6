//! The facts of one layer by itself, so that a layer which many images share is read once. Keeps the files that matter, the links,
//! what the layer removes, and the names of all other files: they may replace one that matters in a lower layer. Must not know how
//! a layer is stored.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::path::{normalise_path, split_path};
use crate::budget::count_turns;
use crate::image::contents::files::file_scan::Node;

/// The prefix of a file name that removes another file from the layers below (OCI image-spec v1.1 layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// The name of a file that removes everything in its folder from the layers below.
const OPAQUE: &str = ".wh..wh..opq";
/// The prefix of the names that AUFS reserved for itself.
const AUFS: &str = ".wh..wh.";
/// The approximate memory of an entry of a map, besides its key and value, in bytes.
const OVERHEAD_BYTES: usize = 96;
/// The longest path that Linux accepts (`PATH_MAX`).
const PATH_MAX_BYTES: usize = 4096;

/// The facts of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// By path relative to the root, without a slash at either end; the root itself is the empty path.
    pub(crate) folders: BTreeMap<Box<str>, LayerFolder>,
    /// The approximate memory use, in bytes.
    bytes: usize,
}

/// The facts of one folder in a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerFolder {
    /// The layer has an entry for the folder itself, which is therefore no link. Otherwise it only has entries in the folder.
    pub(crate) has_entry: bool,
    /// The folder hides everything that the layers below have in it.
    pub(crate) opaque: bool,
    /// The names that are removed from the layers below.
    pub(crate) removed: Vec<Box<str>>,
    /// The files that matter, by name.
    pub(crate) nodes: BTreeMap<Box<str>, Arc<Node>>,
    /// The names of all other files, as [`name_hash`].
    pub(crate) other_names: Vec<u64>,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file that matters.
    Node(Node),
    /// Any other file, a device, a pipe.
    Other,
}

/// A layer has more files than muslin keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the layer has too many files: their description needs more than {limit_bytes} bytes")]
pub struct LayerTooLarge {
    limit_bytes: usize,
}

/// Collects the entries of a layer, one after the other.
#[derive(Debug)]
pub struct LayerBuilder {
    facts: LayerFacts,
    limit_bytes: usize,
}

/// Returns a hash that stands for a file name: a file in a higher layer hides the one of the same name below. With 64 bits, two names
/// of one image collide in 1 of 10^8 images of a million files, and then only if one of them matters.
pub(crate) fn name_hash(name: &str) -> u64 {
    // The hasher's keys are fixed, so that all layers of one process agree.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

// === impl LayerBuilder ===

impl LayerBuilder {
    /// Creates a builder for a layer whose facts may use `limit_bytes` of memory.
    pub fn new(limit_bytes: usize) -> Self {
        Self { facts: LayerFacts::default(), limit_bytes }
    }

    /// Adds the next entry. The last of several entries with one path counts.
    ///
    /// # Errors
    /// [`LayerTooLarge`] if the facts use more memory than allowed.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), LayerTooLarge> {
        let limit_bytes = self.limit_bytes;
        let path = normalise_path(path);
        if path.is_empty() || path.len() > PATH_MAX_BYTES {
            return Ok(());
        }
        self.facts.add(&path, entry);
        if self.facts.bytes > limit_bytes { Err(LayerTooLarge { limit_bytes }) } else { Ok(()) }
    }

    /// Returns the facts of the layer.
    pub fn finish(self) -> LayerFacts {
        let Self { mut facts, limit_bytes: _ } = self;
        for folder in facts.folders.values_mut() {
            folder.other_names.sort_unstable();
            folder.other_names.dedup();
            folder.other_names.shrink_to_fit();
        }
        facts
    }
}

// === impl LayerFacts ===

impl LayerFacts {
    /// Returns the approximate memory use, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns true if a file of an image, at a path without links, comes from this layer.
    pub(crate) fn holds(&self, path: &str, node: &Arc<Node>) -> bool {
        let is_same = |other: &Arc<Node>| Arc::ptr_eq(node, other);
        let (parent, name) = split_path(path);
        let in_place = self.folders.get(parent).and_then(|folder| folder.nodes.get(name));
        // The layer may have the file under another path, through a link to a folder or as a hard link.
        in_place.is_some_and(is_same) || self.folders.values().flat_map(|folder| folder.nodes.values()).any(is_same)
    }

    fn add(&mut self, path: &str, entry: Entry) {
        count_turns(1);
        let (parent, name) = split_path(path);
        if name == OPAQUE {
            self.folder(parent).opaque = true;
            return;
        }
        if name.starts_with(AUFS) {
            return;
        }
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            if !removed.is_empty() {
                self.bytes += removed.len() + size_of::<Box<str>>();
                self.folder(parent).removed.push(removed.into());
            }
            return;
        }
        if !matches!(entry, Entry::Folder) {
            self.forget_folder(path);
        }
        match entry {
            Entry::Folder => {
                self.folder(parent).nodes.remove(name);
                self.folder(path).has_entry = true;
            }
            // The kernel follows no longer link.
            Entry::Node(Node::Symlink(target) | Node::Hardlink(target)) if target.len() > PATH_MAX_BYTES => {
                self.add(path, Entry::Other);
            }
            Entry::Node(node) => {
                self.bytes += name.len() + OVERHEAD_BYTES + node.bytes();
                self.folder(parent).nodes.insert(name.into(), Arc::new(node));
            }
            Entry::Other => {
                self.bytes += size_of::<u64>();
                let folder = self.folder(parent);
                folder.nodes.remove(name);
                folder.other_names.push(name_hash(name));
            }
        }
    }

    fn folder(&mut self, path: &str) -> &mut LayerFolder {
        if !self.folders.contains_key(path) {
            self.bytes += path.len() + OVERHEAD_BYTES + size_of::<LayerFolder>();
        }
        self.folders.entry(path.into()).or_default()
    }

    /// Removes a folder at `path` with its contents: a file of the same layer replaces it.
    fn forget_folder(&mut self, path: &str) {
        if self.folders.remove(path).is_some() {
            let below = format!("{path}/");
            let replaced: Vec<Box<str>> = self
                .folders
                .range::<str, _>((std::ops::Bound::Included(below.as_str()), std::ops::Bound::Unbounded))
                .map(|(path, _)| path.clone())
                .take_while(|path| path.starts_with(&below))
                .collect();
            count_turns(replaced.len());
            for path in replaced {
                self.folders.remove(&path);
            }
        }
    }
}
