//! All programs of an image, under all their names, in memory in proportion to the files and links: a folder's path and a program's
//! kind are kept once. Must not know which of them are worth keeping.

use std::collections::{HashMap, HashSet};

use super::c_ares::CAresLibraries;
use super::files::file_scan::Node;
use super::files::script::{Script, is_shell};
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
    /// Links to wrappers, launchers and shells, if the link's own name does not show this.
    pub(crate) starter_links: Vec<(String, String)>,
    /// Links to folders, with their targets.
    pub(crate) folder_links: Vec<(String, String)>,
    /// There are more links to folders than are listed, or folders with longer paths.
    pub(crate) is_truncated: bool,
    /// For each kind, whether a program that does not only start another one has it, listed or not.
    pub(crate) is_used: Vec<bool>,
    /// The libraries that have or need c-ares.
    pub(crate) c_ares: CAresLibraries<'t>,
    /// The file names of the programs that have or need it.
    c_ares_programs: HashSet<&'t str>,
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
        let mut list = Self { c_ares: CAresLibraries::find(tree), ..Self::default() };
        tree.each_node(&mut |folder, name, node| {
            if folder.len() > PATH_MAX_BYTES {
                list.is_truncated = true;
                list.mark_used(name, node);
                return;
            }
            match node {
                Node::Symlink(_) => {
                    let path = join_path(folder, name);
                    list.add_link(folder, name, &path, tree.find(&path));
                }
                node => {
                    list.mark_used(name, node);
                    list.add(folder, name, node);
                }
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

    /// Returns true if a script may start a program that has c-ares: the script names one, or starts an unknown program.
    pub(crate) fn may_start_c_ares(&self, script: &Script) -> bool {
        let mut words = script.starts.iter().flatten();
        !self.c_ares_programs.is_empty()
            && words.any(|word| word.contains('$') || self.c_ares_programs.contains(split_path(word).1))
    }

    fn add_link(&mut self, folder: &str, name: &'t str, path: &str, found: PathTarget<'t>) {
        match found {
            PathTarget::Node(real, node) => {
                let real_name = split_path(&real).1;
                // The link is left out of the list if there is no room: its own name would be taken for the program's.
                let is_alias = starts_others(real_name) && !starts_others(name);
                if !is_alias || keep_link(&mut self.starter_links, path, real) {
                    self.add(folder, name, node);
                } else {
                    self.is_truncated = true;
                }
            }
            PathTarget::Folder(target) => self.is_truncated |= !keep_link(&mut self.folder_links, path, target),
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
        if self.kinds.get(kind).is_some_and(|kind| kind.c_ares().is_some()) {
            self.c_ares_programs.insert(name);
        }
        self.programs.push(ListedProgram { folder, name, kind });
    }

    fn mark_used(&mut self, name: &str, node: &'t Node) {
        let kind = self.kind_of(node).filter(|_| !is_starter(name));
        if let Some(is_used) = kind.and_then(|kind| self.is_used.get_mut(kind)) {
            *is_used = true;
        }
    }

    fn kind_of(&mut self, node: &'t Node) -> Option<usize> {
        if let Some(known) = self.kind_indexes.get(&std::ptr::from_ref(node)) {
            return *known;
        }
        // Only a shell runs a script without the exec bit, and then only the commands in it matter.
        let matters = |kind: &ProgramKind| !matches!(kind, ProgramKind::Script(script) if script.lacks_exec_bit && script.starts.is_empty());
        let index = ProgramKind::new(node, &self.c_ares.names).filter(matters).map(|kind| {
            *self.distinct_kinds.entry(kind).or_insert_with_key(|kind| {
                self.kinds.push(kind.clone());
                self.is_used.push(false);
                self.kinds.len() - 1
            })
        });
        self.kind_indexes.insert(node, index);
        index
    }
}

/// Returns true if a program of this name starts another one: a wrapper, a launcher or a shell.
fn starts_others(name: &str) -> bool {
    is_starter(name) || is_shell(name)
}

/// Keeps a link; returns false if there is no room.
fn keep_link(links: &mut Vec<(String, String)>, path: &str, target: String) -> bool {
    let is_kept = links.len() < LINKS_MAX && target.len() <= PATH_MAX_BYTES;
    if is_kept {
        links.push((path.to_owned(), target));
    }
    is_kept
}
