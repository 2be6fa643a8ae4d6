//! What is kept of an image: enough to tell the resolver of any command that a pod may run in it, and small enough to store. Of
//! all programs only those are named that differ from the most; of those it is kept which folders hold them. Must not know
//! commands: `process.rs` asks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::files::elf::Elf;
use super::files::file_scan::Node;
use super::files::go_build::GoBuild;
use super::files::libc::{Libc, LibcKind};
use super::files::release_files::{ALPINE_RELEASE, APK_DATABASES, Document, OS_RELEASES};
use super::files::script::Script;
use super::layers::filesystem::{Found, Tree};
use super::layers::layer::split;
use super::path_filter::Names;
use super::shell::wrappers::is_starter;
use crate::resolver::{Family, Version};

/// The most programs that are named. Images hold a few that differ; a Go toolchain has some 20, a Nix profile hundreds of links.
const NAMED_MAX: usize = 256;
/// The most folders of ordinary programs, and the most links to folders, that are kept.
pub(crate) const FOLDERS_MAX: usize = 64;
/// The most loaders that are kept. A Nix image has one for each release of glibc in it.
const LOADERS_MAX: usize = 32;
/// How many bytes all of these may take. Real images need some KiB; what somebody made to be large is cut off.
const KEPT_MAX: usize = 64 << 10;
/// The search path where neither image nor pod sets one (containerd v2 `pkg/oci/spec.go` `defaultUnixEnv`).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the image's configuration says of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `Entrypoint`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Of `Env`, what decides which program runs and how it resolves: [`Config::KEPT`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `WorkingDir`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
}

/// What is kept of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// What the configuration says.
    pub config: Config,
    /// The distribution, by its `os-release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Box<str>>,
    /// The loaders that programs ask for, by path, and what is found there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub loaders: BTreeMap<Box<str>, Loader>,
    /// What programs of this image are; the named and the ordinary ones count in this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<Kind>,
    /// What most are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ordinary: Option<usize>,
    /// Whose resolvers all programs of the image use, but for those that only start another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) families: Vec<Box<str>>,
    /// Where the ordinary ones are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) folders: BTreeSet<Box<str>>,
    /// Programs, scripts and links to them that differ, or share their name with one that does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) programs: BTreeMap<Box<str>, usize>,
    /// The names of the ordinary ones.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub(crate) names: Names,
    /// Links to programs that only start others, under names that do not say so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) aliases: BTreeMap<Box<str>, Box<str>>,
    /// Links to folders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) links: BTreeMap<Box<str>, Box<str>>,
    /// Not all layers were read: as many as the image's own command needs. Of any other command nothing is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// There are more programs or folders than are kept, so that what is not named is not told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What is found where programs look for their loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loader {
    /// The C library; `None` if there is no file that is known as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libc: Option<Libc>,
    /// Where its release was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Where the release of a C library was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The package database and the library itself agree, or only the database tells.
    Apk,
    /// The library itself.
    Library,
    /// The name of its file.
    FileName,
    /// `os-release` names a branch of Alpine.
    OsRelease,
    /// `alpine-release` does.
    AlpineRelease,
}

/// What a program is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// It is loaded by a loader.
    Dynamic {
        loader: Box<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        go: Option<GoBuild>,
        /// Of a Go program: whether it asks its C library for addresses.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        getaddrinfo: bool,
    },
    /// It has all in it.
    Static {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        libc: Option<Libc>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        go: Option<GoBuild>,
    },
    /// The C library itself, which loads the program in its arguments.
    Loader(Libc),
    /// A script.
    Script(Script),
    /// It cannot be told, and why.
    Unreadable(Box<str>),
}

// === impl Config ===

impl Config {
    /// The variables that are kept: the search path, and what changes how Go or glibc resolve names.
    pub const KEPT: [&'static str; 4] = ["PATH", "GODEBUG", "RES_OPTIONS", "LOCALDOMAIN"];

    /// Keeps of `NAME=value` texts what matters.
    pub fn keep_env<'a>(&mut self, env: impl IntoIterator<Item = &'a str>) {
        for (name, value) in env.into_iter().filter_map(|text| text.split_once('=')) {
            if Self::KEPT.contains(&name) {
                self.env.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

// === impl ImageFacts ===

impl ImageFacts {
    /// What is kept of `tree`, which is `partial` if not all layers are in it.
    pub fn new(tree: &Tree, config: Config, partial: bool) -> Self {
        let mut facts = Self { config, partial, distribution: distribution(tree), ..Self::default() };
        let census = Census::of(tree);
        for kind in census.programs.values() {
            if let Kind::Dynamic { loader, .. } = kind
                && !facts.loaders.contains_key(loader)
            {
                if facts.loaders.len() == LOADERS_MAX {
                    facts.truncated = true;
                    break;
                }
                facts.loaders.insert(loader.clone(), Loader::find(tree, loader));
            }
        }
        facts.keep(census, tree);
        facts
    }

    fn keep(&mut self, census: Census, tree: &Tree) {
        let Census { programs, aliases, folder_links } = census;
        let mut counts: HashMap<&Kind, usize> = HashMap::new();
        for kind in programs.values() {
            *counts.entry(kind).or_default() += 1;
        }
        // Scripts and what cannot be told are never the rule, from which a program that is not named is concluded.
        let ordinary = counts
            .into_iter()
            .filter(|(kind, _)| matches!(kind, Kind::Dynamic { go: None, .. } | Kind::Static { go: None, .. }))
            .max_by_key(|(kind, count)| (*count, format!("{kind:?}")))
            .map(|(kind, _)| kind.clone())
            // Of an image that was not read whole nothing is concluded from what most are.
            .filter(|_| !self.partial);
        let mut room = Room(KEPT_MAX);
        self.ordinary = ordinary.clone().filter(|kind| room.take(kind.bytes())).map(|kind| self.kind(kind));
        let families: BTreeSet<Family> = programs
            .iter()
            .filter(|(path, _)| !is_starter(split(path).1))
            .filter_map(|(_, kind)| kind.family(&self.loaders))
            .collect();
        self.families = families.into_iter().map(Family::name).map(Into::into).collect();
        let is_uniform = self.families.len() == 1 && ordinary.is_some();
        // What differs in itself, whatever a script says.
        let differing: HashSet<&str> = programs
            .iter()
            .filter(|(_, kind)| Some(*kind) != ordinary.as_ref())
            .map(|(path, _)| split(path).1)
            .collect();
        let is_ordinary = |kind: &Kind| match kind {
            // What a shell script starts is any program of the image, and they are all alike.
            Kind::Script(_) if is_uniform => true,
            Kind::Script(script) if script.is_shell() => false,
            Kind::Script(Script { interpreter, argument, starts: _ }) => {
                let mut named = argument.as_deref().into_iter().flat_map(str::split_whitespace);
                let read_by = match tree.find(interpreter) {
                    Found::Node(real, _) if is_starter(split(&real).1) => None,
                    Found::Node(_, node) => Kind::of(node),
                    _ => None,
                };
                read_by == ordinary && ordinary.is_some() && !named.any(|name| differing.contains(name))
            }
            kind => Some(kind) == ordinary.as_ref(),
        };
        let (is_ordinary, differing): (HashSet<&str>, HashSet<&str>) = {
            let (ordinary, other): (Vec<_>, Vec<_>) = programs.iter().partition(|(_, kind)| is_ordinary(kind));
            let paths = ordinary.into_iter().map(|(path, _)| path.as_str()).collect();
            (paths, other.into_iter().map(|(path, _)| split(path).1).collect())
        };
        // What the image itself runs, and what the search path finds, is kept before the rest.
        let mut named: Vec<(&String, &Kind)> =
            programs.iter().filter(|(path, _)| differing.contains(split(path).1)).collect();
        named.sort_by_key(|(path, _)| (!self.is_likely(path), path.as_str()));
        self.truncated |= named.len() > NAMED_MAX;
        for (path, kind) in named.iter().take(NAMED_MAX) {
            let is_known = self.kinds.contains(kind);
            if !room.take(path.len() + if is_known { 0 } else { kind.bytes() }) {
                self.truncated = true;
                break;
            }
            let at = self.kind((*kind).clone());
            self.programs.insert(path.as_str().into(), at);
        }
        let mut folders: Vec<&str> = is_ordinary.iter().map(|path| split(path).0).collect();
        folders.sort_unstable();
        folders.dedup();
        folders.sort_by_key(|folder| (!self.is_searched(folder), folder.matches('/').count()));
        self.truncated |= folders.len() > FOLDERS_MAX;
        for folder in folders.into_iter().take(FOLDERS_MAX) {
            if !room.take(folder.len()) {
                self.truncated = true;
                break;
            }
            self.folders.insert(folder.into());
        }
        self.names = is_ordinary.into_iter().filter(|path| self.folders.contains(split(path).0)).collect();
        self.truncated |= aliases.len() > FOLDERS_MAX;
        for (path, real) in aliases.into_iter().take(FOLDERS_MAX) {
            if !room.take(path.len() + real.len()) {
                self.truncated = true;
                break;
            }
            self.aliases.insert(path.into(), real.into());
        }
        // A link to a folder matters if what it leads to holds programs, or leads there.
        let leads = |target: &str| {
            let below =
                |path: &str| path.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            self.folders.iter().any(|folder| below(folder)) || self.programs.keys().any(|path| below(path))
        };
        let mut links: Vec<(String, String)> = folder_links.into_iter().filter(|(_, target)| leads(target)).collect();
        links.sort_by_key(|(path, _)| path.matches('/').count());
        self.truncated |= links.len() > FOLDERS_MAX;
        for (path, target) in links.into_iter().take(FOLDERS_MAX) {
            if !room.take(path.len() + target.len()) {
                self.truncated = true;
                break;
            }
            self.links.insert(path.into(), target.into());
        }
    }

    /// About how much memory this takes, in bytes.
    pub fn bytes(&self) -> usize {
        let Self { config, loaders, kinds, families, folders, programs, names, aliases, links, .. } = self;
        let Config { entrypoint, cmd, env, working_dir } = config;
        let each = size_of::<Box<str>>() * 2;
        let words = entrypoint.iter().chain(cmd).chain(env.values()).chain([working_dir]).map(|word| word.len() + each);
        let paths = folders.iter().chain(programs.keys()).chain(loaders.keys()).chain(families);
        let links = aliases.iter().chain(links).flat_map(|(path, target)| [path, target]);
        size_of::<Self>()
            + words.sum::<usize>()
            + paths.chain(links).map(|path| path.len() + each).sum::<usize>()
            + kinds.iter().map(Kind::bytes).sum::<usize>()
            + names.bytes()
    }

    /// The place of a kind in the list, which it joins if it is not there.
    fn kind(&mut self, kind: Kind) -> usize {
        self.kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        })
    }

    fn is_likely(&self, path: &str) -> bool {
        let own = self.config.entrypoint.iter().chain(&self.config.cmd);
        self.is_searched(split(path).0) || own.map(|word| word.trim_start_matches('/')).any(|word| word == path)
    }

    fn is_searched(&self, folder: &str) -> bool {
        let path = self.config.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        path.split(':').any(|searched| searched.trim_matches('/') == folder)
    }
}

// === impl Loader ===

impl Loader {
    /// Looks for what `path` leads to, and for its release.
    fn find(tree: &Tree, path: &str) -> Self {
        let (real, libc) = match tree.find(path) {
            Found::Node(real, Node::Libc(libc)) => (real, *libc),
            Found::Node(real, Node::Program(Elf { libc: Some(libc), .. })) => (real, *libc),
            _ => return Self { libc: None, source: None },
        };
        let (version, source) = match libc.kind {
            LibcKind::Musl => musl_version(tree, &real, libc.version),
            LibcKind::Glibc => glibc_version(tree, &real, libc.version),
            LibcKind::Uclibc => (libc.version, libc.version.map(|_| Source::Library)),
        };
        Self { libc: Some(Libc { version, ..libc }), source }
    }
}

/// musl's release: of apk's database, which is of the library that its package brought; of the library itself, where that was
/// replaced by a later layer or there is no database; or of the distribution's release.
fn musl_version(tree: &Tree, loader: &str, own: Option<Version>) -> (Option<Version>, Option<Source>) {
    let documents = |paths: &[&str]| -> Vec<Document> {
        let document = |path: &&str| match tree.find(path) {
            Found::Node(_, Node::Document(document)) => Some(document.clone()),
            _ => None,
        };
        paths.iter().filter_map(document).collect()
    };
    let apk = APK_DATABASES.into_iter().find_map(|path| match tree.find(path) {
        Found::Node(_, Node::Document(Document::Apk(version))) => Some((path, (*version)?)),
        _ => None,
    });
    match (apk, own) {
        (Some((path, apk)), Some(own)) if apk != own && tree.layer(loader) > tree.layer(path) => {
            return (Some(own), Some(Source::Library));
        }
        (Some((_, apk)), _) => return (Some(apk), Some(Source::Apk)),
        (None, Some(own)) => return (Some(own), Some(Source::Library)),
        (None, None) => {}
    }
    for document in documents(&OS_RELEASES).into_iter().chain(documents(&[ALPINE_RELEASE])) {
        let (release, source) = match document {
            Document::Os { alpine, .. } => (alpine, Source::OsRelease),
            Document::Alpine(release) => (release, Source::AlpineRelease),
            Document::Apk(_) => (None, Source::Apk),
        };
        if let Some(version) = release.and_then(crate::resolver::alpine::Release::musl) {
            return (Some(version), Some(source));
        }
    }
    (None, None)
}

/// glibc's release: of the loader itself since 2.33, of its file `ld-2.31.so` before 2.34, or of the library beside it.
fn glibc_version(tree: &Tree, loader: &str, own: Option<Version>) -> (Option<Version>, Option<Source>) {
    if own.is_some() {
        return (own, Some(Source::Library));
    }
    let (folder, name) = split(loader);
    let by_name = name.strip_prefix("ld-").and_then(|rest| rest.strip_suffix(".so")).and_then(|text| text.parse().ok());
    if by_name.is_some() {
        return (by_name, Some(Source::FileName));
    }
    for library in ["libc.so.6", "libc.so.6.1"] {
        if let Found::Node(_, Node::Libc(Libc { kind: LibcKind::Glibc, version: Some(version) })) =
            tree.find(&format!("{folder}/{library}"))
        {
            return (Some(*version), Some(Source::Library));
        }
    }
    (None, None)
}

fn distribution(tree: &Tree) -> Option<Box<str>> {
    OS_RELEASES.iter().find_map(|path| match tree.find(path) {
        Found::Node(_, Node::Document(Document::Os { id, .. })) => Some(id.clone()),
        _ => None,
    })
}

/// How many bytes are left for what is kept.
struct Room(usize);

impl Room {
    /// Whether there is room for so many more.
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

// === the census ===

/// All programs of an image, under all their names.
struct Census {
    programs: BTreeMap<String, Kind>,
    /// Links to programs that only start others, under names that do not say so.
    aliases: BTreeMap<String, String>,
    /// Links to folders, and where they lead.
    folder_links: Vec<(String, String)>,
}

// === impl Census ===

impl Census {
    fn of(tree: &Tree) -> Self {
        let mut census = Self { programs: BTreeMap::new(), aliases: BTreeMap::new(), folder_links: Vec::new() };
        tree.each_node(&mut |path, node| match node {
            Node::Symlink(_) => match tree.find(path) {
                Found::Node(real, node) => {
                    census.count(path, node);
                    if is_starter(split(&real).1) && !is_starter(split(path).1) {
                        census.aliases.insert(path.to_owned(), real);
                    }
                }
                Found::Folder(target) => census.folder_links.push((path.to_owned(), target)),
                Found::Nothing(_) | Found::Endless => {}
            },
            node => census.count(path, node),
        });
        census
    }

    fn count(&mut self, path: &str, node: &Node) {
        if let Some(kind) = Kind::of(node) {
            self.programs.insert(path.to_owned(), kind);
        }
    }
}

// === impl Kind ===

impl Kind {
    fn of(node: &Node) -> Option<Self> {
        match node {
            Node::Program(Elf { loader: Some(loader), go, libc: _, getaddrinfo }) => Some(Self::Dynamic {
                loader: loader.clone(),
                getaddrinfo: go.is_some() && *getaddrinfo,
                go: go.clone(),
            }),
            Node::Program(Elf { loader: None, go, libc, getaddrinfo: _ }) => {
                Some(Self::Static { libc: *libc, go: go.clone() })
            }
            Node::Libc(libc) => Some(Self::Loader(*libc)),
            Node::Script(script) => Some(Self::Script(script.clone())),
            Node::Unreadable(reason) => Some(Self::Unreadable(reason.clone())),
            Node::Symlink(_) | Node::Hardlink(_) | Node::Document(_) => None,
        }
    }

    /// About how many bytes it takes to keep it.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Dynamic { loader, go, getaddrinfo: _ } => loader.len() + go.as_ref().map_or(0, GoBuild::bytes),
                Self::Static { libc: _, go } => go.as_ref().map_or(0, GoBuild::bytes),
                Self::Script(script) => script.bytes(),
                Self::Unreadable(reason) => reason.len(),
                Self::Loader(_) => 0,
            }
    }

    /// Whose resolver such a program uses; `None` for what is no program by itself.
    fn family(&self, loaders: &BTreeMap<Box<str>, Loader>) -> Option<Family> {
        Some(match self {
            Self::Dynamic { go: Some(_), .. } | Self::Static { go: Some(_), .. } => Family::Go,
            Self::Dynamic { loader, go: None, .. } => {
                loaders.get(loader).and_then(|loader| loader.libc).map_or(Family::Unknown, |libc| libc.kind.family())
            }
            Self::Static { libc, go: None } => libc.map_or(Family::Static, |libc| libc.kind.family()),
            Self::Unreadable(_) => Family::Unknown,
            Self::Loader(_) | Self::Script(_) => return None,
        })
    }
}
