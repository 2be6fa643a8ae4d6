//! What one layer says, apart from all others, so that a layer which many images share is read once. It keeps the files that
//! matter, the links, what the layer removes, and of each other file only that it is there: it may stand in the place of one that
//! matters in a lower layer. Must not know how a layer is stored.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::image::contents::files::file_scan::Node;
use crate::image::contents::files::go_build::GoBuild;

/// What begins the name of a file that removes another from the layers below (OCI image-spec v1.1 layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// The name of a file that removes all that its folder has in the layers below.
const OPAQUE: &str = ".wh..wh..opq";
/// What begins the names that AUFS kept for itself.
const AUFS: &str = ".wh..wh.";
/// What a map's node costs besides its key and value, roughly, in bytes.
const OVERHEAD_BYTES: usize = 96;
/// The longest path; Linux takes no longer one (`PATH_MAX`).
const PATH_MAX: usize = 4096;

/// What one layer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// By path relative to the root, without a slash at either end; the root itself is the empty path.
    pub(crate) folders: BTreeMap<Box<str>, Folder>,
    /// About how much memory this takes, in bytes.
    bytes: usize,
}

/// What a layer says of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    /// The layer has an entry for the folder, which is therefore no link here. Otherwise only something in it.
    pub(crate) listed: bool,
    /// Nothing of it is left from the layers below.
    pub(crate) opaque: bool,
    /// What is not left from the layers below, by name.
    pub(crate) removed: Vec<Box<str>>,
    /// What matters in it, by name.
    pub(crate) nodes: BTreeMap<Box<str>, Arc<Node>>,
    /// The names of all other files, as [`name_hash`].
    pub(crate) plain: Vec<u64>,
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

/// A layer has more files than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the layer has so many files that what they are takes more than {limit_bytes} bytes")]
pub struct LayerTooLarge {
    limit_bytes: usize,
}

/// Takes in the entries of a layer, one after the other.
#[derive(Debug)]
pub struct LayerBuilder {
    facts: LayerFacts,
    limit_bytes: usize,
}

/// Stands for a name: a file in a higher layer hides the one of the same name below. 64 bits, so that two names of one image
/// collide in 1 of 10^8 images of a million files, and then only if one of them matters.
pub(crate) fn name_hash(name: &str) -> u64 {
    // Its keys are fixed, so that the layers of one process agree.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// The path of an entry as it counts from the root: without `.`, empty components, or a way out by `..`.
pub fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// A path's folder and name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

// === impl LayerBuilder ===

impl LayerBuilder {
    /// A layer whose facts may take `limit_bytes` of memory.
    pub fn new(limit_bytes: usize) -> Self {
        Self { facts: LayerFacts::default(), limit_bytes }
    }

    /// Takes in the next entry. Of two with one path the later counts.
    ///
    /// # Errors
    /// [`LayerTooLarge`] if the facts take more memory than they may.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), LayerTooLarge> {
        let limit_bytes = self.limit_bytes;
        let path = normalise(path);
        if path.is_empty() || path.len() > PATH_MAX {
            return Ok(());
        }
        self.facts.add(&path, entry);
        if self.facts.bytes > limit_bytes { Err(LayerTooLarge { limit_bytes }) } else { Ok(()) }
    }

    /// What the layer says.
    pub fn finish(self) -> LayerFacts {
        let Self { mut facts, limit_bytes: _ } = self;
        for folder in facts.folders.values_mut() {
            folder.plain.sort_unstable();
            folder.plain.dedup();
            folder.plain.shrink_to_fit();
        }
        facts
    }
}

// === impl LayerFacts ===

impl LayerFacts {
    /// About how much memory this takes, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a file of an image, at a path without links, comes from this layer.
    pub(crate) fn holds(&self, path: &str, node: &Arc<Node>) -> bool {
        let is_it = |other: &Arc<Node>| Arc::ptr_eq(node, other);
        let (parent, name) = split(path);
        let in_place = self.folders.get(parent).and_then(|folder| folder.nodes.get(name));
        // It may have come through a link to a folder, or by another name.
        in_place.is_some_and(is_it) || self.folders.values().flat_map(|folder| folder.nodes.values()).any(is_it)
    }

    fn add(&mut self, path: &str, entry: Entry) {
        let (parent, name) = split(path);
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
                self.folder(path).listed = true;
            }
            Entry::Node(node) => {
                self.bytes += name.len() + OVERHEAD_BYTES + node.bytes();
                self.folder(parent).nodes.insert(name.into(), Arc::new(node));
            }
            Entry::Other => {
                self.bytes += size_of::<u64>();
                let folder = self.folder(parent);
                folder.nodes.remove(name);
                folder.plain.push(name_hash(name));
            }
        }
    }

    fn folder(&mut self, path: &str) -> &mut Folder {
        if !self.folders.contains_key(path) {
            self.bytes += path.len() + OVERHEAD_BYTES + size_of::<Folder>();
        }
        self.folders.entry(path.into()).or_default()
    }

    /// A file has taken the place of a folder that the same layer had at `path`.
    fn forget_folder(&mut self, path: &str) {
        if self.folders.remove(path).is_some() {
            let below = format!("{path}/");
            let doomed: Vec<Box<str>> = self
                .folders
                .range::<str, _>((std::ops::Bound::Included(below.as_str()), std::ops::Bound::Unbounded))
                .map(|(path, _)| path.clone())
                .take_while(|path| path.starts_with(&below))
                .collect();
            for path in doomed {
                self.folders.remove(&path);
            }
        }
    }
}

// === impl Node ===

impl Node {
    /// About how much memory this takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Symlink(target) | Self::Hardlink(target) => target.len(),
                Self::Program(elf) => {
                    let loader = elf.loader.as_ref().map_or(0, |loader| loader.len());
                    loader + elf.go.as_ref().map_or(0, GoBuild::bytes)
                }
                Self::Script(script) => script.bytes(),
                Self::Unreadable(reason) => reason.len(),
                Self::Libc(_) | Self::Document(_) => 0,
            }
    }
}
