//! The file system of an image, as far as it matters: layers over each other, as container runtimes stack them. Resolves paths as the
//! kernel does inside the container, where no link leads out. Work is charged to the current budget, and memory is limited. Must not
//! know what the files mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layer::{LayerFacts, LayerFolder, name_hash};
use super::path::{join_path, normalise_path, split_path};
use crate::budget::{self, Work, count_turns};
use crate::image::contents::files::file_scan::Node;

/// The most symbolic links that the kernel follows on one path (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;
/// The most components that are walked for one path, including those from links. Real paths have up to 30; an attacker can write
/// thousands, in thousands of links. Also the greatest depth of a folder, and so of every recursion over folders.
const STEPS_MAX: usize = 256;
/// The steps of a walk that are charged at once.
const STEPS_CHARGED: usize = 16;
/// The most memory for one image, in bytes, unless another limit is set.
const TREE_MAX_BYTES: usize = 16 << 20;
/// The approximate memory of a folder and of a file, besides its name, in bytes: a node of a B-tree has room for eleven entries.
const FOLDER_BYTES: usize = 640;
const FILE_BYTES: usize = 64;

/// Files and folders by name.
pub(crate) type Listing = BTreeMap<Box<str>, Item>;

/// The file system of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: Listing,
    /// The number of layers.
    layers: usize,
    /// The memory that files and folders may still take.
    bytes_left: usize,
    is_too_large: bool,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Folder(Listing),
    /// A file, and the number of the layer that has it, counted from the base up.
    Node(Arc<Node>, usize),
}

/// The end of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PathTarget<'a> {
    /// A file that matters, and its path without links.
    Node(String, &'a Node),
    /// A folder, and its path without links.
    Folder(String),
    /// Nothing that matters, and the path without links.
    Nothing(String),
    /// A circle of links, or too many.
    Endless,
}

// === impl Tree ===

impl Default for Tree {
    fn default() -> Self {
        Self::new(TREE_MAX_BYTES)
    }
}

impl Tree {
    /// Creates an empty file system that may use this much memory.
    pub const fn new(limit_bytes: usize) -> Self {
        Self { root: Listing::new(), layers: 0, bytes_left: limit_bytes, is_too_large: false }
    }

    /// Returns true if some files were left out, because the file system would use more memory than allowed.
    pub const fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Puts a layer over those below it.
    pub fn add_layer(&mut self, layer: &LayerFacts) {
        self.layers += 1;
        let number = self.layers;
        let mut hard_links = Vec::new();
        // Parents come before their contents, so that a link of this layer exists before it is used as a folder.
        for (path, folder) in &layer.folders {
            let Some(real) = self.real_folder(path, folder.has_entry) else { continue };
            let files: usize = folder.nodes.keys().map(|name| FILE_BYTES + name.len()).sum();
            let left = self.bytes_left.checked_sub(files);
            self.is_too_large |= left.is_none();
            let Some(left) = left.filter(|_| !self.is_too_large) else { return };
            self.bytes_left = left;
            // A folder without files that matter is not kept, but hides what is below it.
            let Some(listing) = self.folder_at(&real, !folder.nodes.is_empty()) else { continue };
            folder.apply_to(listing, number);
            for (name, node) in &folder.nodes {
                if let Node::Hardlink(target) = &**node {
                    hard_links.push((join_path(&real, name), normalise_path(target)));
                }
            }
        }
        for (path, target) in hard_links {
            if self.is_too_large {
                return;
            }
            let node = self.end_of_hard_links(&target);
            let (parent, name) = split_path(&path);
            if let Some(listing) = self.listing_mut(parent) {
                match node {
                    Some(node) => listing.insert(name.into(), Item::Node(node, number)),
                    None => listing.remove(name),
                };
            }
        }
    }

    /// Returns the end of `path`, following all links.
    pub(crate) fn find(&self, path: &str) -> PathTarget<'_> {
        self.walk(path, true)
    }

    /// Returns the file that `path` leads to, and its path without links.
    pub(crate) fn file(&self, path: &str) -> Option<(String, &Arc<Node>)> {
        let PathTarget::Node(real, _) = self.find(path) else { return None };
        let (parent, name) = split_path(&real);
        match self.listing(parent)?.get(name)? {
            Item::Node(node, _) => Some((real, node)),
            Item::Folder(_) => None,
        }
    }

    /// Returns the number of the layer that has the file that `path` leads to, counted from the base up.
    pub(crate) fn layer(&self, path: &str) -> Option<usize> {
        let PathTarget::Node(real, _) = self.find(path) else { return None };
        let (parent, name) = split_path(&real);
        match self.listing(parent)?.get(name)? {
            Item::Node(_, layer) => Some(*layer),
            Item::Folder(_) => None,
        }
    }

    /// Visits every file that matters, with the path of its folder, and its name.
    pub(crate) fn each_node<'a>(&'a self, visit: &mut impl FnMut(&str, &'a str, &'a Node)) {
        let mut folder = String::new();
        let mut open = vec![(self.root.iter(), 0)];
        while let Some((items, parent_bytes)) = open.last_mut() {
            match items.next() {
                Some((name, Item::Node(node, _))) => visit(&folder, name, node),
                Some((name, Item::Folder(inner))) => {
                    open.push((inner.iter(), folder.len()));
                    if !folder.is_empty() {
                        folder.push('/');
                    }
                    folder.push_str(name);
                }
                None => {
                    folder.truncate(*parent_bytes);
                    open.pop();
                }
            }
        }
    }

    fn end_of_hard_links(&self, target: &str) -> Option<Arc<Node>> {
        let mut target = target.to_owned();
        for _ in 0..LINKS_MAX {
            let PathTarget::Node(real, _) = self.walk(&target, false) else { return None };
            let (parent, name) = split_path(&real);
            let Some(Item::Node(node, _)) = self.listing(parent)?.get(name) else { return None };
            match &**node {
                Node::Hardlink(next) => target = normalise_path(next),
                _ => return Some(Arc::clone(node)),
            }
        }
        None
    }

    fn walk(&self, path: &str, follow_last: bool) -> PathTarget<'_> {
        if budget::charge(Work::Path, 1 + path.len() / 64).is_err() {
            return PathTarget::Endless;
        }
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut real: Vec<(String, Option<&Listing>)> = Vec::new();
        let (mut links, mut steps) = (0, 0);
        let joined = |real: &[(String, _)]| real.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("/");
        while let Some(part) = todo.pop() {
            steps += 1;
            count_turns(1);
            if steps > STEPS_MAX || (steps % STEPS_CHARGED == 0 && budget::charge(Work::Path, 1).is_err()) {
                return PathTarget::Endless;
            }
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => {}
            }
            let here = match real.last() {
                Some((_, listing)) => *listing,
                None => Some(&self.root),
            };
            match here.and_then(|listing| listing.get(part.as_str())) {
                Some(Item::Folder(listing)) => real.push((part, Some(listing))),
                Some(Item::Node(node, _)) => {
                    let last = todo.iter().all(|rest| rest.is_empty() || rest == ".");
                    match &**node {
                        Node::Symlink(target) if follow_last || !last => {
                            links += 1;
                            if links > LINKS_MAX || budget::charge(Work::Path, 1 + target.len() / 64).is_err() {
                                return PathTarget::Endless;
                            }
                            if target.starts_with('/') {
                                real.clear();
                            }
                            todo.extend(target.split('/').rev().map(str::to_owned));
                        }
                        node if last => {
                            real.push((part, None));
                            return PathTarget::Node(joined(&real), node);
                        }
                        _ => real.push((part, None)),
                    }
                }
                None => real.push((part, None)),
            }
        }
        match real.last() {
            Some((_, None)) => PathTarget::Nothing(joined(&real)),
            Some((_, Some(_))) | None => PathTarget::Folder(joined(&real)),
        }
    }

    /// Returns where a layer's folder is: its parents may be links of the layers below, and so may the folder itself if it has no entry.
    fn real_folder(&self, path: &str, has_entry: bool) -> Option<String> {
        let end = |found| match found {
            PathTarget::Node(real, _) | PathTarget::Folder(real) | PathTarget::Nothing(real) => Some(real),
            PathTarget::Endless => None,
        };
        if has_entry && !path.is_empty() {
            let (parent, name) = split_path(path);
            Some(join_path(&end(self.find(parent))?, name))
        } else {
            end(self.find(path))
        }
    }

    /// Returns the folder at a path without links, and creates it if asked to. Files in its way are removed.
    fn folder_at(&mut self, real: &str, create: bool) -> Option<&mut Listing> {
        let mut listing = &mut self.root;
        for name in real.split('/').filter(|name| !name.is_empty()) {
            count_turns(1);
            if matches!(listing.get(name), Some(Item::Node(..))) {
                listing.remove(name);
            }
            if !listing.contains_key(name) {
                let left = self.bytes_left.checked_sub(FOLDER_BYTES + name.len());
                self.is_too_large |= create && left.is_none();
                self.bytes_left = left.filter(|_| create)?;
                listing.insert(name.into(), Item::Folder(Listing::new()));
            }
            listing = match listing.get_mut(name) {
                Some(Item::Folder(inner)) => inner,
                Some(Item::Node(..)) | None => return None,
            };
        }
        Some(listing)
    }

    fn listing_mut(&mut self, real: &str) -> Option<&mut Listing> {
        real.split('/').filter(|name| !name.is_empty()).try_fold(&mut self.root, |listing, name| {
            match listing.get_mut(name) {
                Some(Item::Folder(inner)) => Some(inner),
                _ => None,
            }
        })
    }

    fn listing(&self, real: &str) -> Option<&Listing> {
        real.split('/').filter(|name| !name.is_empty()).try_fold(&self.root, |listing, name| match listing.get(name) {
            Some(Item::Folder(inner)) => Some(inner),
            _ => None,
        })
    }
}

// === impl LayerFolder ===

impl LayerFolder {
    fn apply_to(&self, listing: &mut Listing, layer: usize) {
        let Self { has_entry: _, opaque, removed, nodes, other_names } = self;
        if *opaque {
            listing.clear();
        }
        for name in removed {
            listing.remove(name);
        }
        if !other_names.is_empty() {
            listing.retain(|name, _| other_names.binary_search(&name_hash(name)).is_err());
        }
        for (name, node) in nodes {
            listing.insert(name.clone(), Item::Node(Arc::clone(node), layer));
        }
    }
}
