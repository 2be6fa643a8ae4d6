//! The file system of an image, as far as it matters: layers laid over each other as container runtimes do it. Resolves paths as
//! the kernel would inside the container, where no link leads out. Must not know what the files mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layer::{Folder, LayerFacts, name_hash, normalise, split};
use crate::image::contents::files::file_scan::Node;

/// How many symbolic links the kernel follows on one path (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;
/// How many components are walked for one path, those that links bring among them. Real paths have up to 30; somebody may write
/// thousands, in thousands of links.
const STEPS_MAX: usize = 1000;

/// Files and folders by name.
pub(crate) type Listing = BTreeMap<Box<str>, Item>;

/// The file system of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    root: Listing,
    /// How many layers were laid.
    layers: usize,
}

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Folder(Listing),
    /// A file, and which layer brought it, counted from the base up.
    Node(Arc<Node>, usize),
}

/// What is at the end of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A file that matters, and its path without links.
    Node(String, &'a Node),
    /// A folder, and its path without links.
    Folder(String),
    /// Nothing that matters, and the path without links as far as it goes.
    Nothing(String),
    /// Links that lead in circles, or to no end.
    Endless,
}

// === impl Tree ===

impl Tree {
    /// Lays a layer over those below it.
    pub fn lay(&mut self, layer: &LayerFacts) {
        self.layers += 1;
        let number = self.layers;
        let mut hard_links = Vec::new();
        // Parents stand before what is in them, so that a link of this layer is there when its folder is used as one.
        for (path, folder) in &layer.folders {
            let Some(real) = self.real_folder(path, folder.listed) else { continue };
            let Some(listing) = self.make_folder(&real) else { continue };
            folder.lay_over(listing, number);
            for (name, node) in &folder.nodes {
                if let Node::Hardlink(target) = &**node {
                    hard_links.push((join(&real, name), normalise(target)));
                }
            }
        }
        for (path, target) in hard_links {
            let node = self.end_of_hard_links(&target);
            let (parent, name) = split(&path);
            if let Some(listing) = self.listing_mut(parent) {
                match node {
                    Some(node) => listing.insert(name.into(), Item::Node(node, number)),
                    None => listing.remove(name),
                };
            }
        }
    }

    /// What is at the end of `path`, all links followed.
    pub(crate) fn find(&self, path: &str) -> Found<'_> {
        self.walk(path, true)
    }

    /// The file at the end of `path`, and its path without links.
    pub(crate) fn file(&self, path: &str) -> Option<(String, &Arc<Node>)> {
        let Found::Node(real, _) = self.find(path) else { return None };
        let (parent, name) = split(&real);
        match self.listing(parent)?.get(name)? {
            Item::Node(node, _) => Some((real, node)),
            Item::Folder(_) => None,
        }
    }

    /// Which layer brought the file at the end of `path`, counted from the base up.
    pub(crate) fn layer(&self, path: &str) -> Option<usize> {
        let Found::Node(real, _) = self.find(path) else { return None };
        let (parent, name) = split(&real);
        match self.listing(parent)?.get(name)? {
            Item::Node(_, layer) => Some(*layer),
            Item::Folder(_) => None,
        }
    }

    /// Every file that matters, with its path.
    pub(crate) fn each_node<'a>(&'a self, visit: &mut impl FnMut(&str, &'a Node)) {
        each(&self.root, &mut String::new(), visit);
    }

    fn end_of_hard_links(&self, target: &str) -> Option<Arc<Node>> {
        let mut target = target.to_owned();
        for _ in 0..LINKS_MAX {
            let Found::Node(real, _) = self.walk(&target, false) else { return None };
            let (parent, name) = split(&real);
            let Some(Item::Node(node, _)) = self.listing(parent)?.get(name) else { return None };
            match &**node {
                Node::Hardlink(next) => target = normalise(next),
                _ => return Some(Arc::clone(node)),
            }
        }
        None
    }

    fn walk(&self, path: &str, follow_last: bool) -> Found<'_> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut real: Vec<(String, Option<&Listing>)> = Vec::new();
        let (mut links, mut steps) = (0, 0);
        let joined = |real: &[(String, _)]| real.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("/");
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > STEPS_MAX {
                return Found::Endless;
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
                            if links > LINKS_MAX {
                                return Found::Endless;
                            }
                            if target.starts_with('/') {
                                real.clear();
                            }
                            todo.extend(target.split('/').rev().map(str::to_owned));
                        }
                        node if last => {
                            real.push((part, None));
                            return Found::Node(joined(&real), node);
                        }
                        _ => real.push((part, None)),
                    }
                }
                None => real.push((part, None)),
            }
        }
        match real.last() {
            Some((_, None)) => Found::Nothing(joined(&real)),
            Some((_, Some(_))) | None => Found::Folder(joined(&real)),
        }
    }

    /// Where a layer's folder is: its parents may be links of the layers below, and so may itself unless it is listed.
    fn real_folder(&self, path: &str, listed: bool) -> Option<String> {
        let end = |found| match found {
            Found::Node(real, _) | Found::Folder(real) | Found::Nothing(real) => Some(real),
            Found::Endless => None,
        };
        if listed && !path.is_empty() {
            let (parent, name) = split(path);
            Some(join(&end(self.find(parent))?, name))
        } else {
            end(self.find(path))
        }
    }

    /// The folder at a path without links. What stands in its way is replaced.
    fn make_folder(&mut self, real: &str) -> Option<&mut Listing> {
        let mut listing = &mut self.root;
        for name in real.split('/').filter(|name| !name.is_empty()) {
            let item = listing.entry(name.into()).or_insert_with(|| Item::Folder(Listing::new()));
            if let Item::Node(..) = item {
                *item = Item::Folder(Listing::new());
            }
            listing = match item {
                Item::Folder(inner) => inner,
                Item::Node(..) => return None,
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

fn each<'a>(listing: &'a Listing, path: &mut String, visit: &mut impl FnMut(&str, &'a Node)) {
    for (name, item) in listing {
        let length = path.len();
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        match item {
            Item::Folder(inner) => each(inner, path, visit),
            Item::Node(node, _) => visit(path, node),
        }
        path.truncate(length);
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

// === impl Folder ===

impl Folder {
    fn lay_over(&self, listing: &mut Listing, layer: usize) {
        let Self { listed: _, opaque, removed, nodes, plain } = self;
        if *opaque {
            listing.clear();
        }
        for name in removed {
            listing.remove(name);
        }
        if !plain.is_empty() {
            listing.retain(|name, _| plain.binary_search(&name_hash(name)).is_err());
        }
        for (name, node) in nodes {
            listing.insert(name.clone(), Item::Node(Arc::clone(node), layer));
        }
    }
}
