//! Which facts of an image are worth keeping. Most programs of an image are of one kind, so only the others are named with their
//! kinds. Must not know commands.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::facts::{Config, DEFAULT_PATH, ImageFacts};
use super::files::script::Script;
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::split_path;
use super::loader::Loader;
use super::program_kind::ProgramKind;
use super::program_list::ProgramList;
use super::shell::wrappers::is_starter;
use crate::resolver::Family;

/// The most programs that are named. Most images have a few that differ, a Go toolchain some 20, a Nix profile hundreds of links.
const NAMED_MAX: usize = 256;
/// The most folders of common programs, and the most links of each kind.
const FOLDERS_MAX: usize = 64;
/// The most loaders. A Nix image has one for each release of glibc in it.
const LOADERS_MAX: usize = 32;
/// The approximate size of all names, paths and kinds, in bytes. Real images need 1 to 20 KiB.
const KEPT_MAX_BYTES: usize = 64 << 10;

type Programs = BTreeMap<String, ProgramKind>;

/// The number of bytes that may still be kept.
struct Budget(usize);

// === impl Budget ===

impl Budget {
    /// Takes bytes from the budget; returns false if there are not enough.
    const fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

// === impl ImageFacts ===

impl ImageFacts {
    /// Chooses the facts to keep of `tree`, which is `partial` if it lacks layers.
    pub fn new(tree: &Tree, config: Config, partial: bool) -> Self {
        let ProgramList { programs, starter_links, folder_links } = ProgramList::new(tree);
        let mut facts = Self { config, partial, ..Self::default() };
        let mut budget = Budget(KEPT_MAX_BYTES);
        facts.keep_loaders(&programs, tree);
        let common = facts.keep_common_kind(&programs, &mut budget);
        facts.keep_families(&programs);
        let (common_paths, other_paths) = facts.split_by_kind(&programs, common.as_ref(), tree);
        facts.keep_programs(&programs, &other_paths, &mut budget);
        facts.keep_folders(&common_paths, &mut budget);
        facts.keep_starter_links(starter_links, &mut budget);
        facts.keep_folder_links(folder_links, &mut budget);
        facts.keep_names(&common_paths, &mut budget);
        facts
    }

    fn keep_loaders(&mut self, programs: &Programs, tree: &Tree) {
        for kind in programs.values() {
            if let ProgramKind::Dynamic { loader, .. } = kind
                && !self.loaders.contains_key(loader)
            {
                if self.loaders.len() == LOADERS_MAX {
                    self.truncated = true;
                    break;
                }
                self.loaders.insert(loader.clone(), Loader::find(tree, loader));
            }
        }
    }

    /// Keeps the kind of most programs. Go programs, scripts and unreadable files never count as the common kind, and a partial
    /// image has none.
    fn keep_common_kind(&mut self, programs: &Programs, budget: &mut Budget) -> Option<ProgramKind> {
        let mut counts: HashMap<&ProgramKind, usize> = HashMap::new();
        for kind in programs.values() {
            *counts.entry(kind).or_default() += 1;
        }
        let is_plain = |kind: &ProgramKind| {
            matches!(kind, ProgramKind::Dynamic { go: None, .. } | ProgramKind::Static { go: None, .. })
        };
        let common = counts
            .into_iter()
            .filter(|(kind, _)| !self.partial && is_plain(kind))
            .max_by_key(|(kind, count)| (*count, format!("{kind:?}")))
            .map(|(kind, _)| kind.clone());
        self.common_kind = common.clone().filter(|kind| budget.take(kind.bytes())).map(|kind| self.index_of(kind));
        common
    }

    fn keep_families(&mut self, programs: &Programs) {
        let families: BTreeSet<Family> = programs
            .iter()
            .filter(|(path, _)| !is_starter(split_path(path).1))
            .filter_map(|(_, kind)| kind.family(&self.loaders))
            .collect();
        self.families = families.into_iter().map(Family::name).map(Into::into).collect();
    }

    /// Splits the paths into those of the common kind and all others. A script counts as common if the programs that it can start do.
    fn split_by_kind<'p>(
        &self,
        programs: &'p Programs,
        common: Option<&ProgramKind>,
        tree: &Tree,
    ) -> (BTreeSet<&'p str>, Vec<&'p str>) {
        let is_uniform = self.families.len() == 1 && common.is_some();
        let other_names: HashSet<&str> =
            programs.iter().filter(|(_, kind)| Some(*kind) != common).map(|(path, _)| split_path(path).1).collect();
        let is_common = |kind: &ProgramKind| match kind {
            // A shell script may start any program, and all are alike.
            ProgramKind::Script(_) if is_uniform => true,
            ProgramKind::Script(script) if script.is_shell() => false,
            ProgramKind::Script(Script { interpreter, argument, starts: _ }) => {
                let mut arguments = argument.as_deref().into_iter().flat_map(str::split_whitespace);
                common.is_some()
                    && interpreter_kind(tree, interpreter).as_ref() == common
                    && !arguments.any(|name| other_names.contains(name))
            }
            kind => Some(kind) == common,
        };
        let (common, other): (Vec<_>, Vec<_>) = programs.iter().partition(|(_, kind)| is_common(kind));
        (
            common.into_iter().map(|(path, _)| path.as_str()).collect(),
            other.into_iter().map(|(path, _)| path.as_str()).collect(),
        )
    }

    /// Names every program that has a file name in common with one of `other_paths`, likely ones first.
    fn keep_programs(&mut self, programs: &Programs, other_paths: &[&str], budget: &mut Budget) {
        let names: HashSet<&str> = other_paths.iter().map(|path| split_path(path).1).collect();
        let mut named: Vec<(&String, &ProgramKind)> =
            programs.iter().filter(|(path, _)| names.contains(split_path(path).1)).collect();
        named.sort_by_key(|(path, _)| (!self.is_likely(path), path.as_str()));
        self.truncated |= named.len() > NAMED_MAX;
        for (path, kind) in named.into_iter().take(NAMED_MAX) {
            let kind_bytes = if self.program_kinds.contains(kind) { 0 } else { kind.bytes() };
            if !budget.take(path.len() + kind_bytes) {
                self.truncated = true;
                break;
            }
            let index = self.index_of(kind.clone());
            self.programs.insert(path.as_str().into(), index);
        }
    }

    /// Keeps the folders of common programs, without the names in them: folders of the search path first, then by depth.
    fn keep_folders(&mut self, common_paths: &BTreeSet<&str>, budget: &mut Budget) {
        let folders: BTreeSet<&str> = common_paths.iter().map(|path| split_path(path).0).collect();
        let mut folders: Vec<&str> = folders.into_iter().collect();
        folders.sort_by_key(|folder| (!self.is_on_search_path(folder), folder.matches('/').count()));
        self.truncated |= folders.len() > FOLDERS_MAX;
        for folder in folders.into_iter().take(FOLDERS_MAX) {
            if !budget.take(folder.len()) {
                self.truncated = true;
                break;
            }
            self.folders.entry(folder.into()).or_default();
        }
    }

    fn keep_starter_links(&mut self, links: BTreeMap<String, String>, budget: &mut Budget) {
        self.truncated |= links.len() > FOLDERS_MAX;
        for (path, real) in links.into_iter().take(FOLDERS_MAX) {
            if !budget.take(path.len() + real.len()) {
                self.truncated = true;
                break;
            }
            self.starter_links.insert(path.into(), real.into());
        }
    }

    /// Keeps the links that lead to a folder with programs, or to a parent of one.
    fn keep_folder_links(&mut self, links: Vec<(String, String)>, budget: &mut Budget) {
        let leads_to_programs = |target: &str| {
            let is_below =
                |path: &str| path.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            self.folders.keys().any(|folder| is_below(folder)) || self.programs.keys().any(|path| is_below(path))
        };
        let mut links: Vec<_> = links.into_iter().filter(|(_, target)| leads_to_programs(target)).collect();
        links.sort_by_key(|(path, _)| path.matches('/').count());
        self.truncated |= links.len() > FOLDERS_MAX;
        for (path, target) in links.into_iter().take(FOLDERS_MAX) {
            if !budget.take(path.len() + target.len()) {
                self.truncated = true;
                break;
            }
            self.folder_links.insert(path.into(), target.into());
        }
    }

    /// Keeps the names of the common programs in the folders that were kept. Truncated facts need none: they conclude nothing from
    /// the common kind.
    fn keep_names(&mut self, common_paths: &BTreeSet<&str>, budget: &mut Budget) {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (folder, name) in common_paths.iter().map(|path| split_path(path)) {
            names.entry(folder).or_default().push(name);
        }
        let kept = || names.iter().filter(|(folder, _)| self.folders.contains_key(**folder));
        self.truncated |= !budget.take(kept().flat_map(|(_, names)| names).map(|name| name.len() + 1).sum());
        if self.truncated {
            self.folders.clear();
            return;
        }
        let kept = kept().map(|(folder, names)| ((*folder).into(), names.iter().copied().collect())).collect();
        self.folders = kept;
    }

    /// Returns the index of a kind in the list, and adds the kind if it is new.
    fn index_of(&mut self, kind: ProgramKind) -> usize {
        self.program_kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            self.program_kinds.push(kind);
            self.program_kinds.len() - 1
        })
    }

    /// Returns true for programs on the search path and for those that the image's own command names.
    fn is_likely(&self, path: &str) -> bool {
        let own = self.config.entrypoint.iter().chain(&self.config.cmd);
        self.is_on_search_path(split_path(path).0)
            || own.map(|word| word.trim_start_matches('/')).any(|word| word == path)
    }

    fn is_on_search_path(&self, folder: &str) -> bool {
        let path = self.config.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        path.split(':').any(|searched| searched.trim_matches('/') == folder)
    }
}

/// Returns the kind of the program that reads a script; `None` if that program only starts another one.
fn interpreter_kind(tree: &Tree, path: &str) -> Option<ProgramKind> {
    match tree.find(path) {
        PathTarget::Node(real, _) if is_starter(split_path(&real).1) => None,
        PathTarget::Node(_, node) => ProgramKind::new(node),
        _ => None,
    }
}
