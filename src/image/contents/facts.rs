//! The facts that muslin keeps of an image: enough to find the resolver of any command that a pod may run in it, and small enough
//! to store. Must not know how they are chosen (`summary.rs`), nor commands (`entrypoint.rs`).

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fnv::FnvHasher;
use serde::{Deserialize, Serialize};

use super::c_ares::CAresInImage;
use super::files::libc::Libc;
use super::layers::path::{normalise_path, split_path};
use super::loader::{Loader, VersionSource};
use super::program_kind::ProgramKind;

/// The search path if neither image nor pod sets one (containerd v2 `pkg/oci/spec.go` `defaultUnixEnv`).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most links to folders that one path may lead through.
const LINKS_MAX: usize = 40;
/// The length of a name in [`FileNames`]: 24 bits, so that 1,000 programs take 4 KB.
pub(crate) const NAME_BYTES: usize = 4;
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

/// The facts of an image. Programs are kept as names by folder and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// The image's configuration.
    pub config: Config,
    /// The loaders that programs ask for, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) loaders: BTreeMap<Box<str>, Loader>,
    /// The kinds of programs; folders and `common_kind` have indexes into this list.
    #[serde(default, rename = "kinds", skip_serializing_if = "Vec::is_empty")]
    pub(crate) program_kinds: Vec<ProgramKind>,
    /// The kind of most programs.
    #[serde(default, rename = "ordinary", skip_serializing_if = "Option::is_none")]
    pub(crate) common_kind: Option<usize>,
    /// The resolver families of all programs, without those that only start another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) families: Vec<Box<str>>,
    /// The programs have C libraries of several releases.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) several_releases: bool,
    /// The folders that hold programs, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) folders: BTreeMap<Box<str>, Folder>,
    /// Links to programs that start another program, if the link's own name does not show this.
    #[serde(default, rename = "aliases", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) starter_links: BTreeMap<Box<str>, Box<str>>,
    /// Links to folders.
    #[serde(default, rename = "links", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) folder_links: BTreeMap<Box<str>, Box<str>>,
    /// The c-ares that programs of the image may load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) c_ares: Option<CAresInImage>,
    /// Only the layers that the image's own command needs were read. Other commands are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The image has programs in more folders than muslin keeps, or more links to folders.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The programs of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Folder {
    /// The names of programs, by the index of their kind.
    #[serde(default, rename = "names", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) programs: BTreeMap<usize, FileNames>,
    /// The folder has more programs than muslin keeps.
    #[serde(default, rename = "more", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_truncated: bool,
}

/// File names, each as [`NAME_BYTES`] of base64, in order. A folder of 1,000 programs contains a name that it does not have with a
/// probability of 0.00006.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileNames(Box<str>);

/// The form of a file name in [`FileNames`].
pub(crate) type NameHash = [u8; NAME_BYTES];

/// The answer of the facts about a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'f> {
    /// A program: its path without links to folders, and its kind.
    Program(String, &'f ProgramKind),
    /// The image has no program there.
    Nothing,
    /// The image may have a program there. With `true`, muslin knows the folder and does not keep all programs in it.
    Perhaps(bool),
}

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
        let Self { config, loaders, program_kinds, families, folders, starter_links, folder_links, .. } = self;
        let Config { entrypoint, cmd, env, working_dir } = config;
        let each = size_of::<Box<str>>() * 2;
        let words = entrypoint.iter().chain(cmd).chain(env.values()).chain([working_dir]).map(|word| word.len() + each);
        let paths = folders.keys().chain(loaders.keys()).chain(families);
        let links = starter_links.iter().chain(folder_links).flat_map(|(path, target)| [path, target]);
        size_of::<Self>()
            + words.sum::<usize>()
            + paths.chain(links).map(|path| path.len() + each).sum::<usize>()
            + program_kinds.iter().map(ProgramKind::bytes).sum::<usize>()
            + folders.values().map(Folder::bytes).sum::<usize>()
            + self.c_ares.as_ref().map_or(0, |found| found.file().len())
    }

    /// Returns the C library at a loader's path, and where its release was read.
    pub(crate) fn libc_of_loader(&self, path: &str) -> Option<(Libc, Option<VersionSource>)> {
        let Loader { libc, source } = self.loaders.get(path)?;
        libc.map(|libc| (libc, *source))
    }

    /// Returns the program at `path`, which starts at the root.
    pub(crate) fn program_at(&self, path: &str) -> Found<'_> {
        let path = self.follow_folder_links(path);
        let path = self.starter_links.get(path.as_str()).map_or(path, ToString::to_string);
        let (folder, name) = split_path(&path);
        let Some(folder) = self.folders.get(folder) else {
            return if self.truncated { Found::Perhaps(false) } else { Found::Nothing };
        };
        match folder.kind_of(name).and_then(|index| self.program_kinds.get(index)) {
            Some(kind) => Found::Program(path, kind),
            None if folder.is_truncated => Found::Perhaps(true),
            None => Found::Nothing,
        }
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

// === impl Folder ===

impl Folder {
    /// Returns the approximate memory use, in bytes.
    fn bytes(&self) -> usize {
        let Self { programs, is_truncated: _ } = self;
        size_of::<Self>()
            + programs.values().map(|FileNames(names)| names.len() + size_of::<(usize, FileNames)>()).sum::<usize>()
    }

    /// Returns true if the folder has a program of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.kind_of(name).is_some()
    }

    fn kind_of(&self, name: &str) -> Option<usize> {
        let hash = name_hash(name);
        self.programs.iter().find(|(_, names)| names.contains(hash)).map(|(kind, _)| *kind)
    }
}

// === impl FileNames ===

impl FileNames {
    fn contains(&self, name: NameHash) -> bool {
        let Self(names) = self;
        let (names, _) = names.as_bytes().as_chunks::<NAME_BYTES>();
        names.binary_search(&name).is_ok()
    }
}

impl FromIterator<NameHash> for FileNames {
    fn from_iter<I: IntoIterator<Item = NameHash>>(names: I) -> Self {
        let mut names: Vec<NameHash> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(String::from_utf8(names.concat()).unwrap_or_default().into())
    }
}

/// Returns the form of a file name in [`FileNames`], the same in every release of muslin: 24 bits of FNV-1a, in base64.
pub(crate) fn name_hash(name: &str) -> NameHash {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    let hash = hasher.finish();
    // FNV mixes the last bytes into the upper bits least.
    let [.., a, b, c] = (hash ^ (hash >> 24) ^ (hash >> 48)).to_be_bytes();
    let mut text = NameHash::default();
    // Three bytes are four characters.
    let _ = STANDARD_NO_PAD.encode_slice([a, b, c], &mut text);
    text
}
