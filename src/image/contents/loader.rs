//! The loader that programs ask for: which C library the image has at that path, and where the release of this library was read.
//! Must not know programs.

use serde::{Deserialize, Serialize};

use super::files::elf::Elf;
use super::files::file_scan::Node;
use super::files::libc::{Libc, LibcKind};
use super::files::release_files::{ALPINE_RELEASE, APK_DATABASES, OS_RELEASES, ReleaseFile};
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::split_path;
use crate::resolver::Version;
use crate::resolver::alpine::Release;

/// The C library at the path of a loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loader {
    /// The C library; `None` if the path has no file that muslin knows as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) libc: Option<Libc>,
    /// The source of the library's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<VersionSource>,
}

/// The source of a C library's release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VersionSource {
    /// apk's package database.
    Apk,
    /// The library itself.
    Library,
    /// The name of the library's file.
    FileName,
    /// The branch of Alpine in `os-release`.
    OsRelease,
    /// The branch of Alpine in `alpine-release`.
    AlpineRelease,
}

// === impl Loader ===

impl Loader {
    /// Finds the C library at `path`, and its release.
    pub(crate) fn find(tree: &Tree, path: &str) -> Self {
        let (real, libc) = match tree.find(path) {
            PathTarget::Node(real, Node::Libc(libc)) => (real, *libc),
            PathTarget::Node(real, Node::Program(Elf { libc: Some(libc), .. })) => (real, *libc),
            _ => return Self { libc: None, source: None },
        };
        let version = match libc.kind {
            LibcKind::Musl => musl_version(tree, &real, libc.version),
            LibcKind::Glibc => glibc_version(tree, &real, libc.version),
            LibcKind::Uclibc => libc.version.map(|version| (version, VersionSource::Library)),
        };
        let (version, source) = version.unzip();
        Self { libc: Some(Libc { version, ..libc }), source }
    }
}

/// Returns musl's release, from the first source that has one: apk's database; the library itself, which wins if a later layer
/// replaced the packaged library; the release of Alpine.
fn musl_version(tree: &Tree, loader: &str, own: Option<Version>) -> Option<(Version, VersionSource)> {
    let apk = APK_DATABASES.into_iter().find_map(|path| match tree.find(path) {
        PathTarget::Node(_, Node::ReleaseFile(ReleaseFile::Apk(packages))) => Some((path, packages.musl?)),
        _ => None,
    });
    match (apk, own) {
        (Some((path, apk)), Some(own)) if apk != own && tree.layer(loader) > tree.layer(path) => {
            Some((own, VersionSource::Library))
        }
        (Some((_, apk)), _) => Some((apk, VersionSource::Apk)),
        (None, Some(own)) => Some((own, VersionSource::Library)),
        (None, None) => OS_RELEASES.into_iter().chain([ALPINE_RELEASE]).find_map(|path| alpine_musl(tree, path)),
    }
}

/// Returns the musl of the Alpine release that the file at `path` states.
fn alpine_musl(tree: &Tree, path: &str) -> Option<(Version, VersionSource)> {
    let PathTarget::Node(_, Node::ReleaseFile(file)) = tree.find(path) else { return None };
    let (release, source) = match file {
        ReleaseFile::Os { alpine, .. } => (alpine, VersionSource::OsRelease),
        ReleaseFile::Alpine(release) => (release, VersionSource::AlpineRelease),
        ReleaseFile::Apk(_) => return None,
    };
    Some((release.and_then(Release::musl)?, source))
}

/// Returns glibc's release, from the first source that has one: the loader itself (since 2.33), its file name `ld-2.31.so` (before
/// 2.34), the library beside it.
fn glibc_version(tree: &Tree, loader: &str, own: Option<Version>) -> Option<(Version, VersionSource)> {
    if let Some(own) = own {
        return Some((own, VersionSource::Library));
    }
    let (folder, name) = split_path(loader);
    let by_name = name.strip_prefix("ld-").and_then(|rest| rest.strip_suffix(".so")).and_then(|text| text.parse().ok());
    if let Some(by_name) = by_name {
        return Some((by_name, VersionSource::FileName));
    }
    ["libc.so.6", "libc.so.6.1"].iter().find_map(|library| match tree.find(&format!("{folder}/{library}")) {
        PathTarget::Node(_, Node::Libc(Libc { kind: LibcKind::Glibc, version: Some(version) })) => {
            Some((*version, VersionSource::Library))
        }
        _ => None,
    })
}

// === impl VersionSource ===

impl VersionSource {
    /// Returns the words that follow a C library in a sentence.
    pub(crate) const fn phrase(self) -> &'static str {
        match self {
            Self::Library => " as it says itself",
            Self::Apk => " by apk's database",
            Self::FileName => " by the name of its file",
            Self::OsRelease => " by os-release",
            Self::AlpineRelease => " by alpine-release",
        }
    }
}
