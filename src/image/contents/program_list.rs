//! All programs of an image, under all their names. Must not know which of them are worth keeping.

use std::collections::BTreeMap;

use super::files::file_scan::Node;
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::split_path;
use super::program_kind::ProgramKind;
use super::shell::wrappers::is_starter;

/// The programs of an image, and the links that lead to them.
#[derive(Debug, Default)]
pub(crate) struct ProgramList {
    /// Kinds by path. A link to a program counts as a program.
    pub(crate) programs: BTreeMap<String, ProgramKind>,
    /// Links to programs that start another program, if the link's own name does not show this.
    pub(crate) starter_links: BTreeMap<String, String>,
    /// Links to folders, with their targets.
    pub(crate) folder_links: Vec<(String, String)>,
}

// === impl ProgramList ===

impl ProgramList {
    /// Lists the programs of an image.
    pub(crate) fn new(tree: &Tree) -> Self {
        let mut list = Self::default();
        tree.each_node(&mut |path, node| match node {
            Node::Symlink(_) => list.add_link(path, tree.find(path)),
            node => list.add(path, node),
        });
        list
    }

    fn add_link(&mut self, path: &str, found: PathTarget<'_>) {
        match found {
            PathTarget::Node(real, node) => {
                self.add(path, node);
                if is_starter(split_path(&real).1) && !is_starter(split_path(path).1) {
                    self.starter_links.insert(path.to_owned(), real);
                }
            }
            PathTarget::Folder(target) => self.folder_links.push((path.to_owned(), target)),
            PathTarget::Nothing(_) | PathTarget::Endless => {}
        }
    }

    fn add(&mut self, path: &str, node: &Node) {
        if let Some(kind) = ProgramKind::new(node) {
            self.programs.insert(path.to_owned(), kind);
        }
    }
}
