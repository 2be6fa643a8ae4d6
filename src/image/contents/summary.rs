//! Which facts of an image are worth keeping. Names are kept of all programs if there is room: first those of the image's own command and
//! of the folders on its search path. The kinds of programs take less room, as most programs of an image are of a few kinds. Must not
//! know commands.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::facts::{Config, FileNames, Folder, ImageFacts, NAME_BYTES, NameHash, name_hash};
use super::files::libc::{Libc, LibcKind};
use super::layers::filesystem::Tree;
use super::loader::Loader;
use super::own_command::{own_programs, searched_folders};
use super::program_kind::ProgramKind;
use super::program_list::{ListedProgram, ProgramList};
use crate::budget::count_turns;
use crate::resolver::{Family, Version};

/// The most memory for all names, paths and kinds, in bytes. A Debian tree of 91 MiB needs 2.5 KiB.
pub(crate) const FACTS_MAX_BYTES: usize = 8 << 10;
/// The part of it for loaders and kinds, and the part for links to folders.
const KINDS_MAX_BYTES: usize = 3 << 10;
const LINKS_MAX_BYTES: usize = 1 << 10;
/// The part of the kinds' memory for the commands of scripts that the image's own command does not start: each is a kind of its own.
const COMMANDS_MAX_BYTES: usize = 1 << 10;
/// The approximate memory of a path or a name in a map, besides its text, in bytes.
const PATH_BYTES: usize = size_of::<Box<str>>() * 2;
/// The approximate memory of the programs of one kind in a folder, besides their names, in bytes.
const GROUP_BYTES: usize = size_of::<(usize, FileNames)>();
/// Folders of files that no machine runs as they are, by the filesystem hierarchy standard 3.0: state, settings and documentation.
const DATA_FOLDERS: [&str; 6] = ["etc", "usr/include", "usr/share", "usr/share/doc", "usr/src", "var"];

/// The number of bytes that may still be kept.
struct Room(usize);

/// The choice of facts to keep.
struct Summary<'a, 't> {
    tree: &'t Tree,
    list: &'a ProgramList<'t>,
    /// Paths of the programs that the image's own command may start.
    own: BTreeSet<String>,
    /// The folders of the search path.
    searched: Vec<String>,
    facts: ImageFacts,
    room: Room,
    /// The kept names by folder and kind.
    names: BTreeMap<(usize, usize), Vec<NameHash>>,
}

/// The likelihood that a program is started; the first ones are kept first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    OwnCommand,
    Searched,
    /// In a folder near the root, or one called `bin`.
    Likely,
    Other,
    Data,
}

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
        let (own, searched) = (own_programs(tree, &config), searched_folders(tree, &config));
        let c_ares = list.c_ares.in_image(tree);
        let facts = Self { config, partial, truncated: list.is_truncated, c_ares, ..Self::default() };
        let room = Room(KINDS_MAX_BYTES);
        let mut summary = Summary { tree, list: &list, own, searched, facts, room, names: BTreeMap::new() };
        let ranks = summary.ranks();
        let order = summary.order_of_kinds(&ranks);
        summary.keep_loaders(&order);
        summary.keep_families();
        let kept = summary.keep_kinds(&order, &ranks);
        summary.room.0 += FACTS_MAX_BYTES - KINDS_MAX_BYTES - LINKS_MAX_BYTES;
        summary.keep_starter_links();
        summary.keep_searched_folders();
        summary.keep_names(&kept, &ranks);
        summary.room.0 += LINKS_MAX_BYTES;
        summary.keep_folder_links();
        let Summary { mut facts, .. } = summary;
        if !facts.truncated {
            facts.folders.retain(|_, folder| !folder.programs.is_empty() || folder.is_truncated);
        }
        facts
    }
}

// === impl Summary ===

impl Summary<'_, '_> {
    /// Returns the rank of each program.
    fn ranks(&self) -> Vec<Rank> {
        let searched: HashSet<&str> = self.searched.iter().map(String::as_str).collect();
        let is_bin = |folder: &str| matches!(folder.rsplit('/').next(), Some("bin" | "sbin"));
        let own_folders: HashSet<&str> =
            self.own.iter().map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
        let of_folders: Vec<(Rank, bool)> = self
            .list
            .folders
            .iter()
            .map(|folder| {
                let is_data = DATA_FOLDERS.iter().any(|data| is_below(folder, data));
                let rank = match searched.contains(folder.as_str()) {
                    true => Rank::Searched,
                    false if is_data => Rank::Data,
                    false if folder.matches('/').count() <= 1 || is_bin(folder) => Rank::Likely,
                    false => Rank::Other,
                };
                (rank, own_folders.contains(folder.as_str()))
            })
            .collect();
        let rank = |program: &ListedProgram<'_>| {
            count_turns(1);
            match of_folders.get(program.folder) {
                Some((_, true)) if self.own.contains(&self.list.path(*program)) => Rank::OwnCommand,
                Some((rank, _)) => *rank,
                None => Rank::Data,
            }
        };
        self.list.programs.iter().map(rank).collect()
    }

    /// Returns the indexes of all kinds in the order in which they are kept: those of the image's own command, then the most frequent,
    /// then scripts with commands, of which each is a kind of its own.
    fn order_of_kinds(&self, ranks: &[Rank]) -> Vec<usize> {
        let mut kinds: Vec<(Rank, usize)> = vec![(Rank::Data, 0); self.list.kinds.len()];
        for (program, rank) in self.list.programs.iter().zip(ranks) {
            if let Some((best, count)) = kinds.get_mut(program.kind) {
                (*best, *count) = ((*best).min(*rank), *count + 1);
            }
        }
        let mut order: Vec<usize> = (0..kinds.len()).collect();
        order.sort_by_key(|index| {
            let (best, count) = kinds.get(*index).copied().unwrap_or((Rank::Data, 0));
            let starts =
                matches!(self.list.kinds.get(*index), Some(ProgramKind::Script(script)) if !script.starts.is_empty());
            let is_own = best == Rank::OwnCommand;
            let starts = starts && !is_own;
            (!is_own, starts, if starts { best } else { Rank::OwnCommand }, Reverse(count), *index)
        });
        order
    }

    fn keep_loaders(&mut self, order: &[usize]) {
        for index in order {
            if let Some(ProgramKind::Dynamic { loader, .. }) = self.list.kinds.get(*index)
                && !self.facts.loaders.contains_key(loader)
                && self.room.take_path(loader)
            {
                self.facts.loaders.insert(loader.clone(), Loader::find(self.tree, loader));
            }
        }
    }

    /// Keeps the families of all programs, listed or not, and whether their C libraries are of several releases.
    fn keep_families(&mut self) {
        let Self { list, facts, .. } = self;
        let used = list.kinds.iter().zip(&list.is_used).filter(|(_, is_used)| **is_used).map(|(kind, _)| kind);
        let mut families: BTreeSet<Family> = BTreeSet::new();
        let mut releases: BTreeSet<Option<Version>> = BTreeSet::new();
        for kind in used {
            families.extend(kind.family(&facts.loaders));
            let libc = match kind {
                ProgramKind::Dynamic { loader, .. } => facts.libc_of_loader(loader).map(|(libc, _)| libc),
                ProgramKind::Static { libc, .. } => *libc,
                _ => None,
            };
            // A static program with glibc does not say its release, and nothing depends on it.
            if let Some(Libc { kind, version }) = libc
                && (version.is_some() || kind == LibcKind::Musl)
            {
                releases.insert(version);
            }
        }
        facts.several_releases = releases.len() > 1;
        facts.families = families.into_iter().map(Family::name).map(Into::into).collect();
    }

    /// Keeps the kinds, and returns for each kind of the list the index of the one that is kept for it. If the programs are all alike, the
    /// commands of a shell script do not matter.
    fn keep_kinds(&mut self, order: &[usize], ranks: &[Rank]) -> Vec<Option<usize>> {
        let is_uniform = self.facts.families.len() == 1 && !self.facts.partial;
        let programs = self.list.programs.iter().zip(ranks);
        let own: HashSet<usize> =
            programs.filter(|(_, rank)| **rank == Rank::OwnCommand).map(|(program, _)| program.kind).collect();
        let mut kept = vec![None; self.list.kinds.len()];
        let mut commands = Room(COMMANDS_MAX_BYTES);
        for index in order {
            let Some(kind) = self.list.kinds.get(*index) else { continue };
            let is_shell = matches!(kind, ProgramKind::Script(script) if script.is_shell());
            let is_known = self.facts.program_kinds.contains(kind);
            let is_own = own.contains(index);
            let has_commands = matches!(kind, ProgramKind::Script(script) if !script.starts.is_empty());
            let may_differ = matches!(kind, ProgramKind::Script(script) if self.list.may_start_c_ares(script));
            let is_kept = (is_own || !is_shell || !is_uniform || may_differ)
                && (is_known
                    || ((is_own || !has_commands || commands.take(kind.bytes())) && self.room.take(kind.bytes())));
            let kind = match kind {
                kind if is_kept => kind,
                // No entry says as much.
                kind if !kind.is_executable() => continue,
                _ if is_shell => &ProgramKind::ShellScript,
                _ => &ProgramKind::LeftOut,
            };
            let at = self.index_of(kind);
            if let Some(kept) = kept.get_mut(*index) {
                *kept = Some(at);
            }
        }
        self.facts.common_kind = self.common_kind().and_then(|common| kept.get(common).copied().flatten());
        kept
    }

    /// Returns the index of the kind of most programs. Go programs, scripts and unreadable files never count as the common kind, and a
    /// partial image has none.
    fn common_kind(&self) -> Option<usize> {
        let Self { list, facts, .. } = self;
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
        counts
            .into_iter()
            .enumerate()
            .filter(|(_, (_, kind))| !facts.partial && is_plain(kind))
            .max_by_key(|(_, (count, kind))| (*count, format!("{kind:?}")))
            .map(|(common, _)| common)
    }

    /// Returns the index of a kind among those that are kept, and keeps it if it is new.
    fn index_of(&mut self, kind: &ProgramKind) -> usize {
        let kinds = &mut self.facts.program_kinds;
        kinds.iter().position(|known| known == kind).unwrap_or_else(|| {
            kinds.push(kind.clone());
            kinds.len() - 1
        })
    }

    /// Keeps the folders of the search path, also empty ones: truncated facts know no other empty folder.
    fn keep_searched_folders(&mut self) {
        for folder in &self.searched {
            if self.room.take(folder.len() + PATH_BYTES + size_of::<Folder>()) {
                self.facts.folders.entry(folder.as_str().into()).or_default();
            }
        }
    }

    /// Keeps the names of programs: likely ones first, then by the place on the search path or the depth of the folder; in one folder,
    /// short names first.
    fn keep_names(&mut self, kept: &[Option<usize>], ranks: &[Rank]) {
        let list = self.list;
        let place = |folder: &String| self.searched.iter().position(|searched| searched == folder);
        let depth = |folder: &String| folder.matches('/').count();
        let places: Vec<usize> =
            list.folders.iter().map(|folder| place(folder).unwrap_or_else(|| depth(folder))).collect();
        let ambiguous = self.ambiguous_names(kept);
        let mut order: Vec<(Rank, &ListedProgram<'_>)> = ranks.iter().copied().zip(&list.programs).collect();
        order.sort_by_key(|(rank, program)| {
            (*rank, places.get(program.folder), program.folder, program.name.len(), program.name)
        });
        for (_, program) in order {
            count_turns(1);
            let Some(kind) = kept.get(program.kind).copied().flatten() else { continue };
            let hash = name_hash(program.name);
            if ambiguous.contains(&(program.folder, hash)) || !self.keep_name(program.folder, hash, kind) {
                match self.facts.folders.get_mut(list.folder(*program)) {
                    Some(folder) => folder.is_truncated = true,
                    None => self.facts.truncated = true,
                }
            }
        }
        for ((folder, kind), names) in std::mem::take(&mut self.names) {
            let folder = list.folders.get(folder).and_then(|folder| self.facts.folders.get_mut(folder.as_str()));
            if let Some(Folder { programs, is_truncated: _ }) = folder {
                programs.insert(kind, names.into_iter().collect());
            }
        }
    }

    /// Returns the names that two programs of different kinds in a folder have in common once they are shortened, and those of links that
    /// are not kept: these would be taken for the program that the link leads to.
    fn ambiguous_names(&self, kept: &[Option<usize>]) -> HashSet<(usize, NameHash)> {
        let Self { list, facts, .. } = self;
        let mut kinds: HashMap<(usize, NameHash), Option<usize>> = HashMap::with_capacity(list.programs.len());
        let mut ambiguous = HashSet::new();
        let links_are_kept = facts.starter_links.len() == list.starter_links.len();
        let links: HashSet<&str> = list.starter_links.iter().map(|(path, _)| path.as_str()).collect();
        for program in &list.programs {
            count_turns(1);
            let name = (program.folder, name_hash(program.name));
            let kind = kept.get(program.kind).copied().flatten();
            let is_lost = || {
                let path = list.path(*program);
                links.contains(path.as_str()) && !facts.starter_links.contains_key(path.as_str())
            };
            if *kinds.entry(name).or_insert(kind) != kind || (!links_are_kept && is_lost()) {
                ambiguous.insert(name);
            }
        }
        ambiguous
    }

    /// Keeps the name of one program; returns false if there is no room.
    fn keep_name(&mut self, folder: usize, name: NameHash, kind: usize) -> bool {
        let Self { list, facts, room, names, .. } = self;
        let path = list.folders.get(folder).map_or("", String::as_str);
        let is_new_folder = !facts.folders.contains_key(path);
        let is_new_group = !names.contains_key(&(folder, kind));
        let bytes = NAME_BYTES
            + if is_new_folder { path.len() + PATH_BYTES + size_of::<Folder>() } else { 0 }
            + if is_new_group { GROUP_BYTES } else { 0 };
        if !room.take(bytes) {
            return false;
        }
        facts.folders.entry(path.into()).or_default();
        names.entry((folder, kind)).or_default().push(name);
        true
    }

    /// Keeps the links to programs that start another one.
    fn keep_starter_links(&mut self) {
        for (path, real) in &self.list.starter_links {
            if self.room.take_path(path) && self.room.take_path(real) {
                self.facts.starter_links.insert(path.as_str().into(), real.as_str().into());
            }
        }
    }

    /// Keeps the links that lead to a folder with programs, or to a parent of one; first those to folders of the search path.
    fn keep_folder_links(&mut self) {
        let mut parents: HashSet<&str> = HashSet::from([""]);
        for path in self.facts.folders.keys() {
            parents.insert(path);
            parents.extend(path.match_indices('/').map(|(end, _)| path.split_at(end).0));
        }
        let is_searched = |target: &str| self.searched.iter().any(|folder| is_below(folder, target));
        let mut links: Vec<_> =
            self.list.folder_links.iter().filter(|(_, target)| parents.contains(target.as_str())).collect();
        links.sort_by_cached_key(|(path, target)| (!is_searched(target), path.matches('/').count()));
        for (path, target) in links {
            if self.room.take_path(path) && self.room.take_path(target) {
                self.facts.folder_links.insert(path.as_str().into(), target.as_str().into());
            } else {
                self.facts.truncated = true;
            }
        }
    }
}

/// Returns true if `path` is `folder` or below it.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.is_empty())
}
