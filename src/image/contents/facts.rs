//! The facts that muslin keeps of an image: enough to find the resolver of any command that a pod may run in it, and small enough
//! to store. Must not know how they are chosen (`summary.rs`), nor commands (`entrypoint.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::libc::Libc;
use super::layers::path::{normalise_path, split_path};
use super::loader::{Loader, VersionSource};
use super::program_kind::ProgramKind;

/// The search path if neither image nor pod sets one (containerd v2 `pkg/oci/spec.go` `defaultUnixEnv`).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most links to folders that one path may lead through.
const LINKS_MAX: usize = 40;
/// The longest path that links may make, in bytes (`PATH_MAX`).
const PATH_MAX_BYTES: usize = 4096;

/// The part of an image's configuration that decides which program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `Entrypoint`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// The variables of `Env` that decide which program runs and how it resolves names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `WorkingDir`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
}

/// The facts of an image. Each program that differs from the common kind is named; the common ones are kept as names by folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// The image's configuration.
    pub config: Config,
    /// The loaders that programs ask for, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) loaders: BTreeMap<Box<str>, Loader>,
    /// The kinds of programs; `programs` and `common_kind` are indexes into this list.
    #[serde(default, rename = "kinds", skip_serializing_if = "Vec::is_empty")]
    pub(crate) program_kinds: Vec<ProgramKind>,
    /// The kind of most programs.
    #[serde(default, rename = "ordinary", skip_serializing_if = "Option::is_none")]
    pub(crate) common_kind: Option<usize>,
    /// The resolver families of all programs, without those that only start another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) families: Vec<Box<str>>,
    /// The programs of the common kind, by folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) folders: BTreeMap<Box<str>, FileNames>,
    /// Paths of the programs, scripts and links that have another kind, or a file name in common with one that has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) programs: BTreeMap<Box<str>, usize>,
    /// Links to programs that start another program, if the link's own name does not show this.
    #[serde(default, rename = "aliases", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) starter_links: BTreeMap<Box<str>, Box<str>>,
    /// Links to folders.
    #[serde(default, rename = "links", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) folder_links: BTreeMap<Box<str>, Box<str>>,
    /// Only the layers that the image's own command needs were read. Other commands are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The image has more programs or folders than muslin keeps. Programs that are not named are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The image has more programs of the common kind than muslin keeps names of. Those that are not named are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// The file names in one folder, joined by `/`, which no file name can contain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileNames(Box<str>);

// === impl Config ===

impl Config {
    /// The variables that are kept: the search path, and the settings of Go's and glibc's resolvers.
    const KEPT: [&'static str; 4] = ["PATH", "GODEBUG", "RES_OPTIONS", "LOCALDOMAIN"];

    /// Keeps the variables that matter of `NAME=value` texts.
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
    /// Returns the approximate memory use, in bytes.
    pub fn bytes(&self) -> usize {
        let Self { config, loaders, program_kinds, families, folders, programs, starter_links, folder_links, .. } =
            self;
        let Config { entrypoint, cmd, env, working_dir } = config;
        let each = size_of::<Box<str>>() * 2;
        let words = entrypoint.iter().chain(cmd).chain(env.values()).chain([working_dir]).map(|word| word.len() + each);
        let paths = folders.keys().chain(programs.keys()).chain(loaders.keys()).chain(families);
        let links = starter_links.iter().chain(folder_links).flat_map(|(path, target)| [path, target]);
        size_of::<Self>()
            + words.sum::<usize>()
            + paths.chain(links).map(|path| path.len() + each).sum::<usize>()
            + program_kinds.iter().map(ProgramKind::bytes).sum::<usize>()
            + folders.values().map(|names| names.bytes() + each).sum::<usize>()
    }

    /// Returns the C library at a loader's path, and where its release was read.
    pub(crate) fn libc_of_loader(&self, path: &str) -> Option<(Libc, Option<VersionSource>)> {
        let Loader { libc, source } = self.loaders.get(path)?;
        libc.map(|libc| (libc, *source))
    }

    /// Returns the program at `path`, which starts at the root: its path without links to folders, and its kind.
    pub(crate) fn program_at(&self, path: &str) -> Option<(String, &ProgramKind)> {
        let path = self.follow_folder_links(path);
        let path = self.starter_links.get(path.as_str()).map_or(path, ToString::to_string);
        let named = self.programs.get(path.as_str()).and_then(|index| self.program_kinds.get(*index));
        let kind = named.or_else(|| self.common_kind_at(&path))?;
        Some((path, kind))
    }

    fn common_kind_at(&self, path: &str) -> Option<&ProgramKind> {
        let (folder, name) = split_path(path);
        let is_complete = !self.partial && !self.truncated;
        let is_there = is_complete && self.folders.get(folder).is_some_and(|names| names.contains(name));
        self.common_kind.filter(|_| is_there).and_then(|index| self.program_kinds.get(index))
    }

    fn follow_folder_links(&self, path: &str) -> String {
        let mut path = normalise_path(path);
        for _ in 0..LINKS_MAX {
            let parents = path.match_indices('/').map(|(end, _)| path.split_at(end));
            let mut links = parents.filter_map(|(parent, rest)| Some((self.folder_links.get(parent)?, rest)));
            match links.next() {
                Some((target, rest)) if target.len() + rest.len() <= PATH_MAX_BYTES => {
                    path = format!("{target}{rest}").trim_start_matches('/').to_owned();
                }
                _ => break,
            }
        }
        path
    }
}

// === impl FileNames ===

impl FileNames {
    /// Returns the approximate memory use, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the folder has a file of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.split('/').any(|known| known == name)
    }
}

impl<'n> FromIterator<&'n str> for FileNames {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        Self(names.into_iter().collect::<Vec<_>>().join("/").into())
    }
}
