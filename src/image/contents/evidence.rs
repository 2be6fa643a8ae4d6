//! The files that an answer follows from, for people who want to check: where each is, in which layer, and what it says. Must not
//! decide anything.

use super::entrypoint::Invocation;
use super::facts::ImageFacts;
use super::files::elf::Elf;
use super::files::file_scan::Node;
use super::files::go_build::GoBuild;
use super::files::release_files::{ALPINE_RELEASE, APK_DATABASES, OS_RELEASES, Packages, ReleaseFile};
use super::files::script::Script;
use super::layers::filesystem::Tree;
use super::layers::layer::LayerFacts;
use super::loader::VersionSource;
use crate::resolver::Family;

/// A file that an answer follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFile {
    /// The path without links.
    pub path: String,
    /// The index of the layer that has the file.
    pub layer: usize,
    /// The end of a sentence that begins with the path.
    pub says: String,
}

impl ImageFacts {
    /// Returns the files that the fingerprint of a container started so follows from, in the order of the search: programs and
    /// libraries first, then the scripts that start them. `layers` are those of `tree`, in any order.
    pub fn evidence_files(
        &self,
        invocation: &Invocation<'_>,
        tree: &Tree,
        layers: &[&LayerFacts],
    ) -> Vec<EvidenceFile> {
        let (mut files, mut scripts) = (Vec::<EvidenceFile>::new(), Vec::<EvidenceFile>::new());
        let beside = self.fingerprint(invocation).beside.filter(|second| !second.in_program);
        let library = beside.and(self.c_ares.as_ref()).map(|found| found.file().to_owned());
        for path in self.files(invocation).into_iter().chain(library) {
            let source = self.loaders.get(&*format!("/{path}")).and_then(|loader| loader.source);
            for path in [path.as_str()].iter().chain(release_files(source)) {
                let Some((real, node)) = tree.file(path) else { continue };
                let layer = layers.iter().position(|layer| layer.holds(&real, node));
                if let (Some(layer), Some(says)) = (layer, statement(node))
                    && !files.iter().chain(&scripts).any(|file| file.path == real)
                {
                    let of_kind = if matches!(**node, Node::Script(_)) { &mut scripts } else { &mut files };
                    of_kind.push(EvidenceFile { path: real, layer, says });
                }
            }
        }
        files.append(&mut scripts);
        files
    }
}

/// Returns the paths of the files that may state the release.
const fn release_files(source: Option<VersionSource>) -> &'static [&'static str] {
    match source {
        Some(VersionSource::Apk) => &APK_DATABASES,
        Some(VersionSource::OsRelease) => &OS_RELEASES,
        Some(VersionSource::AlpineRelease) => &[ALPINE_RELEASE],
        Some(VersionSource::Library | VersionSource::FileName) | None => &[],
    }
}

/// Returns what a file says, as the end of a sentence that begins with its path; `None` if it says nothing about the resolver.
fn statement(node: &Node) -> Option<String> {
    Some(match node {
        Node::Program(Elf { loader, go, libc, getaddrinfo: _, c_ares, carriers: _ }) => {
            let built = go.as_ref().map(go_statement).unwrap_or_default();
            let beside = c_ares.map(|way| format!(", and {}", way.predicate())).unwrap_or_default();
            match (loader, libc) {
                (Some(loader), _) => format!("asks for the loader {loader}{built}{beside}"),
                (None, Some(libc)) => format!("is static, with {libc} in it{built}{beside}"),
                (None, None) => format!("is static{built}{beside}"),
            }
        }
        Node::Libc(libc) => format!("is {libc}"),
        Node::Library(way) => way.predicate().to_owned(),
        Node::Script(Script { interpreter, argument, .. }) => match argument {
            Some(argument) => format!("is a script for {interpreter} {argument}"),
            None => format!("is a script for {interpreter}"),
        },
        Node::ReleaseFile(ReleaseFile::Apk(Packages { musl: Some(musl), c_ares: None })) => {
            format!("lists the package musl {musl}")
        }
        Node::ReleaseFile(ReleaseFile::Apk(Packages { musl: None, c_ares: Some(release) })) => {
            format!("lists the package c-ares {release}")
        }
        Node::ReleaseFile(ReleaseFile::Apk(Packages { musl: Some(musl), c_ares: Some(release) })) => {
            format!("lists the packages musl {musl} and c-ares {release}")
        }
        Node::ReleaseFile(ReleaseFile::Os { id, alpine: Some(release) }) => {
            format!("says ID={id}, VERSION_ID={release}")
        }
        Node::ReleaseFile(ReleaseFile::Alpine(Some(release))) => format!("says {release}"),
        Node::Unreadable(reason) => format!("cannot be read: {reason}"),
        Node::ReleaseFile(_) | Node::Symlink(_) | Node::Hardlink(_) => return None,
    })
}

fn go_statement(build: &GoBuild) -> String {
    let builder = build.version.map_or_else(|| "Go".to_owned(), |version| Family::Go.at(version).to_string());
    let cgo = match build.is_pure() {
        Some(true) => " without cgo",
        Some(false) => " with cgo",
        None => "",
    };
    format!(", built by {builder}{cgo}")
}
