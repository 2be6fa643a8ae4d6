//! All programs of an image, under all their names, in memory in proportion to the files and links: a folder's path and a program's
//! kind are kept once. Must not know which of them are worth keeping.

use std::collections::HashMap;

use super::files::file_scan::Node;
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::{join_path, split_path};
use super::program_kind::ProgramKind;
use super::shell::wrappers::is_starter;

/// The longest path of a folder or a link that is listed, in bytes; real ones have up to 200. A container that names a longer path runs
/// an unknown program.
const PATH_MAX_BYTES: usize = 512;
/// The most links of each kind that are listed. A Debian image has some hundred links to folders.
const LINKS_MAX: usize = 4096;

/// The programs of an image, and the links that lead to them.
#[derive(Debug, Default)]
pub(crate) struct ProgramList<'t> {
    /// Paths of the folders that hold programs.
    pub(crate) folders: Vec<String>,
    /// The kinds of programs, each once for each file.
    pub(crate) kinds: Vec<ProgramKind>,
    /// The programs. A link to a program counts as a program.
    pub(crate) programs: Vec<ListedProgram<'t>>,
    /// Links to programs that start another program, if the link's own name does not show this.
    pub(crate) starter_links: Vec<(String, String)>,
    /// Links to folders, with their targets.
    pub(crate) folder_links: Vec<(String, String)>,
    /// There are more links than are listed.
    pub(crate) is_truncated: bool,
    folder_indexes: HashMap<String, usize>,
    /// The index of the kind by the address of the file.
    kind_indexes: HashMap<*const Node, Option<usize>>,
    distinct_kinds: HashMap<ProgramKind, usize>,
}

/// A program; the folder and the kind are indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedProgram<'t> {
    pub(crate) folder: usize,
    pub(crate) name: &'t str,
    pub(crate) kind: usize,
}

// === impl ProgramList ===

impl<'t> ProgramList<'t> {
    /// Lists the programs of an image.
    pub(crate) fn new(tree: &'t Tree) -> Self {
        let mut list = Self::default();
        tree.each_node(&mut |folder, name, node| {
            if folder.len() > PATH_MAX_BYTES {
                return;
            }
            match node {
                Node::Symlink(_) => {
                    let path = join_path(folder, name);
                    list.add_link(folder, name, &path, tree.find(&path));
                }
                node => list.add(folder, name, node),
            }
        });
        list
    }

    /// Returns the path of a program.
    pub(crate) fn path(&self, program: ListedProgram<'_>) -> String {
        join_path(self.folder(program), program.name)
    }

    /// Returns the folder of a program.
    pub(crate) fn folder(&self, program: ListedProgram<'_>) -> &str {
        self.folders.get(program.folder).map_or("", String::as_str)
    }

    /// Returns the kind of a program.
    pub(crate) fn kind(&self, program: ListedProgram<'_>) -> Option<&ProgramKind> {
        self.kinds.get(program.kind)
    }

    fn add_link(&mut self, folder: &str, name: &'t str, path: &str, found: PathTarget<'t>) {
        let add = |links: &mut Vec<(String, String)>, target: String| {
            if links.len() == LINKS_MAX {
                return true;
            }
            if target.len() <= PATH_MAX_BYTES {
                links.push((path.to_owned(), target));
            }
            false
        };
        match found {
            PathTarget::Node(real, node) => {
                self.add(folder, name, node);
                if is_starter(split_path(&real).1) && !is_starter(name) {
                    self.is_truncated |= add(&mut self.starter_links, real);
                }
            }
            PathTarget::Folder(target) => self.is_truncated |= add(&mut self.folder_links, target),
            PathTarget::Nothing(_) | PathTarget::Endless => {}
        }
    }

    fn add(&mut self, folder: &str, name: &'t str, node: &'t Node) {
        let Some(kind) = self.kind_of(node) else { return };
        let folder = match self.folder_indexes.get(folder) {
            Some(known) => *known,
            None => {
                self.folders.push(folder.to_owned());
                self.folder_indexes.insert(folder.to_owned(), self.folders.len() - 1);
                self.folders.len() - 1
            }
        };
        self.programs.push(ListedProgram { folder, name, kind });
    }

    fn kind_of(&mut self, node: &'t Node) -> Option<usize> {
        if let Some(known) = self.kind_indexes.get(&std::ptr::from_ref(node)) {
            return *known;
        }
        let index = ProgramKind::new(node).map(|kind| {
            *self.distinct_kinds.entry(kind).or_insert_with_key(|kind| {
                self.kinds.push(kind.clone());
                self.kinds.len() - 1
            })
        });
        self.kind_indexes.insert(node, index);
        index
    }
}
