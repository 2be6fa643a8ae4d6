//! Which facts of an image are worth keeping. Most programs of an image are of one kind, so only the others are named with their
//! kinds. Must not know commands.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::facts::{Config, DEFAULT_PATH, FileNames, ImageFacts};
use super::files::script::Script;
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::split_path;
use super::loader::Loader;
use super::program_kind::ProgramKind;
use super::program_list::{ListedProgram, ProgramList};
use super::shell::wrappers::is_starter;
use crate::budget::count_turns;
use crate::resolver::Family;

/// The most memory for all names, paths and kinds, in bytes. A Debian tree of 91 MiB needs 2.5 KiB.
pub(crate) const FACTS_MAX_BYTES: usize = 8 << 10;
/// The approximate memory of a path or a name in a map, besides its text, in bytes.
const PATH_BYTES: usize = size_of::<Box<str>>() * 2;
/// The most programs that are named. Most images have a few that differ, a Go toolchain some 20.
const NAMED_MAX: usize = 256;
/// The most folders of common programs, and the most links of each kind.
const FOLDERS_MAX: usize = 64;

/// The number of bytes that may still be kept.
struct Room(usize);

// === impl Room ===

impl Room {
    /// Takes bytes; returns false if there are not enough.
    const fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// Takes the bytes of a path in a map.
    const fn take_path(&mut self, path: &str) -> bool {
        self.take(path.len() + PATH_BYTES)
    }
}

// === impl ImageFacts ===

impl ImageFacts {
    /// Chooses the facts to keep of `tree`, which is `partial` if it lacks layers.
    pub fn new(tree: &Tree, config: Config, partial: bool) -> Self {
        let list = ProgramList::new(tree);
        let mut facts = Self { config, partial, truncated: list.is_truncated, ..Self::default() };
        let mut room = Room(FACTS_MAX_BYTES);
        facts.keep_loaders(&list, tree, &mut room);
        let common = facts.keep_common_kind(&list, &mut room);
        facts.keep_families(&list);
        let (common_programs, others) = facts.split_by_kind(&list, common, tree);
        facts.keep_programs(&list, &others, &mut room);
        let folders = facts.keep_folders(&list, &common_programs, &mut room);
        facts.keep_starter_links(&list.starter_links, &mut room);
        facts.keep_folder_links(&list.folder_links, &mut room);
        facts.keep_names(&list, &common_programs, &folders, &mut room);
        facts
    }

    fn keep_loaders(&mut self, list: &ProgramList<'_>, tree: &Tree, room: &mut Room) {
        for kind in &list.kinds {
            if let ProgramKind::Dynamic { loader, .. } = kind
                && !self.loaders.contains_key(loader)
            {
                if !room.take_path(loader) {
                    self.truncated = true;
                    break;
                }
                self.loaders.insert(loader.clone(), Loader::find(tree, loader));
            }
        }
    }

    /// Keeps the kind of most programs, and returns its index in the list. Go programs, scripts and unreadable files never count as the
    /// common kind, and a partial image has none.
    fn keep_common_kind(&mut self, list: &ProgramList<'_>, room: &mut Room) -> Option<usize> {
        let mut counts: Vec<(usize, &ProgramKind)> = list.kinds.iter().map(|kind| (0, kind)).collect();
        count_turns(list.programs.len());
        for program in &list.programs {
            if let Some((count, _)) = counts.get_mut(program.kind) {
                *count += 1;
            }
        }
        let is_plain = |kind: &ProgramKind| {
            matches!(kind, ProgramKind::Dynamic { go: None, .. } | ProgramKind::Static { go: None, .. })
        };
        let (common, (_, kind)) = counts
            .into_iter()
            .enumerate()
            .filter(|(_, (_, kind))| !self.partial && is_plain(kind))
            .max_by_key(|(_, (count, kind))| (*count, format!("{kind:?}")))?;
        if room.take(kind.bytes()) {
            self.common_kind = Some(self.index_of(kind));
        }
        Some(common)
    }

    fn keep_families(&mut self, list: &ProgramList<'_>) {
        let of_kinds: Vec<Option<Family>> = list.kinds.iter().map(|kind| kind.family(&self.loaders)).collect();
        let families: BTreeSet<Family> = list
            .programs
            .iter()
            .filter(|program| !is_starter(program.name))
            .filter_map(|program| of_kinds.get(program.kind).copied().flatten())
            .collect();
        self.families = families.into_iter().map(Family::name).map(Into::into).collect();
    }

    /// Splits the programs into those of the common kind and all others. A script counts as common if the programs that it can start do.
    fn split_by_kind<'t>(
        &self,
        list: &ProgramList<'t>,
        common: Option<usize>,
        tree: &Tree,
    ) -> (Vec<ListedProgram<'t>>, Vec<ListedProgram<'t>>) {
        let is_uniform = self.families.len() == 1 && common.is_some();
        let common_kind = common.and_then(|index| list.kinds.get(index));
        let others = list.programs.iter().filter(|program| Some(program.kind) != common);
        let other_names: HashSet<&str> = others.map(|program| program.name).collect();
        let is_common = |(index, kind): (usize, &ProgramKind)| match kind {
            // A shell script may start any program, and all are alike.
            ProgramKind::Script(_) if is_uniform => true,
            ProgramKind::Script(script) if script.is_shell() => false,
            ProgramKind::Script(Script { interpreter, argument, starts: _ }) => {
                let mut arguments = argument.as_deref().into_iter().flat_map(str::split_whitespace);
                common_kind.is_some()
                    && interpreter_kind(tree, interpreter).as_ref() == common_kind
                    && !arguments.any(|name| other_names.contains(name))
            }
            _ => Some(index) == common,
        };
        let are_common: Vec<bool> = list.kinds.iter().enumerate().map(is_common).collect();
        list.programs.iter().partition(|program| are_common.get(program.kind) == Some(&true))
    }

    /// Names every program that has a file name in common with one of `others`, likely ones first.
    fn keep_programs(&mut self, list: &ProgramList<'_>, others: &[ListedProgram<'_>], room: &mut Room) {
        let names: HashSet<&str> = others.iter().map(|program| program.name).collect();
        let path = self.config.env.get("PATH").cloned();
        let searched = search_path(path.as_deref());
        let are_searched: Vec<bool> = list.folders.iter().map(|folder| searched.contains(folder.as_str())).collect();
        let own = self.config.entrypoint.iter().chain(&self.config.cmd).map(|word| word.trim_start_matches('/'));
        let own: HashMap<&str, &str> = own.map(|word| (split_path(word).1, word)).collect();
        let is_likely = |program: &ListedProgram<'_>| {
            are_searched.get(program.folder) == Some(&true)
                || own.get(program.name).is_some_and(|word| list.path(*program) == *word)
        };
        let named = list.programs.iter().copied().filter(|program| names.contains(program.name));
        let (mut named, unlikely): (Vec<_>, Vec<_>) = named.partition(is_likely);
        named.extend(unlikely);
        self.truncated |= named.len() > NAMED_MAX;
        for program in named.into_iter().take(NAMED_MAX) {
            let (path, Some(kind)) = (list.path(program), list.kind(program)) else { continue };
            let kind_bytes = if self.program_kinds.contains(kind) { 0 } else { kind.bytes() };
            if !room.take(path.len() + PATH_BYTES + kind_bytes) {
                self.truncated = true;
                break;
            }
            let index = self.index_of(kind);
            self.programs.insert(path.into(), index);
        }
    }

    /// Keeps the folders of common programs, without the names in them, and returns their indexes: folders of the search path first,
    /// then by depth.
    fn keep_folders(&mut self, list: &ProgramList<'_>, common: &[ListedProgram<'_>], room: &mut Room) -> Vec<usize> {
        let folders: BTreeSet<usize> = common.iter().map(|program| program.folder).collect();
        let mut folders: Vec<(usize, &str)> =
            folders.into_iter().filter_map(|index| Some((index, list.folders.get(index)?.as_str()))).collect();
        let path = self.config.env.get("PATH").cloned();
        let searched = search_path(path.as_deref());
        folders.sort_unstable_by_key(|(_, folder)| (!searched.contains(folder), folder.matches('/').count(), *folder));
        self.truncated |= folders.len() > FOLDERS_MAX;
        let mut kept = Vec::new();
        for (index, folder) in folders.into_iter().take(FOLDERS_MAX) {
            if !room.take_path(folder) {
                self.truncated = true;
                break;
            }
            self.folders.entry(folder.into()).or_default();
            kept.push(index);
        }
        kept
    }

    fn keep_starter_links(&mut self, links: &[(String, String)], room: &mut Room) {
        self.truncated |= links.len() > FOLDERS_MAX;
        for (path, real) in links.iter().take(FOLDERS_MAX) {
            if !(room.take_path(path) && room.take_path(real)) {
                self.truncated = true;
                break;
            }
            self.starter_links.insert(path.as_str().into(), real.as_str().into());
        }
    }

    /// Keeps the links that lead to a folder with programs, or to a parent of one.
    fn keep_folder_links(&mut self, links: &[(String, String)], room: &mut Room) {
        let mut parents: HashSet<&str> = HashSet::from([""]);
        for path in self.folders.keys().chain(self.programs.keys()) {
            parents.insert(path);
            parents.extend(path.match_indices('/').map(|(end, _)| path.split_at(end).0));
        }
        let mut links: Vec<_> = links.iter().filter(|(_, target)| parents.contains(target.as_str())).collect();
        links.sort_by_key(|(path, _)| path.matches('/').count());
        self.truncated |= links.len() > FOLDERS_MAX;
        for (path, target) in links.into_iter().take(FOLDERS_MAX) {
            if !(room.take_path(path) && room.take_path(target)) {
                self.truncated = true;
                break;
            }
            self.folder_links.insert(path.as_str().into(), target.as_str().into());
        }
    }

    /// Keeps the names of the common programs in the folders that were kept, as many as there is room for. Truncated facts need none:
    /// they conclude nothing from the common kind.
    fn keep_names(&mut self, list: &ProgramList<'_>, common: &[ListedProgram<'_>], folders: &[usize], room: &mut Room) {
        if self.truncated {
            self.folders.clear();
            return;
        }
        let mut names: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for program in common {
            names.entry(program.folder).or_default().push(program.name);
        }
        for index in folders {
            let (Some(folder), Some(names)) = (list.folders.get(*index), names.remove(index)) else { continue };
            let all = names.len();
            let kept: Vec<&str> = names.into_iter().take_while(|name| room.take(name.len() + 1)).collect();
            self.shortened |= kept.len() < all;
            self.folders.insert(folder.as_str().into(), FileNames::from_iter(kept));
        }
    }

    /// Returns the index of a kind among those that are kept, and keeps it if it is new.
    fn index_of(&mut self, kind: &ProgramKind) -> usize {
        self.program_kinds.iter().position(|known| known == kind).unwrap_or_else(|| {
            self.program_kinds.push(kind.clone());
            self.program_kinds.len() - 1
        })
    }
}

/// Returns the folders of a search path.
fn search_path(path: Option<&str>) -> HashSet<&str> {
    path.unwrap_or(DEFAULT_PATH).split(':').map(|folder| folder.trim_matches('/')).collect()
}

/// Returns the kind of the program that reads a script; `None` if that program only starts another one.
fn interpreter_kind(tree: &Tree, path: &str) -> Option<ProgramKind> {
    match tree.find(path) {
        PathTarget::Node(real, _) if is_starter(split_path(&real).1) => None,
        PathTarget::Node(_, node) => ProgramKind::new(node),
        _ => None,
    }
}
