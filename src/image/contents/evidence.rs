//! The files from which an answer follows, for people who want to see for themselves: where each is, in which layer, and what it
//! says. Must not decide anything.

use std::sync::Arc;

use super::entrypoint::Invocation;
use super::facts::{ImageFacts, Source};
use super::files::elf::Elf;
use super::files::file_scan::Node;
use super::files::release_files::{ALPINE_RELEASE, APK_DATABASES, Document, OS_RELEASES};
use super::files::script::Script;
use super::layers::filesystem::Tree;
use super::layers::layer::LayerFacts;

/// One file, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Its path, without links.
    pub path: String,
    /// Which of the layers it is in.
    pub layer: usize,
    /// What it says, as the end of a sentence that begins with its path.
    pub says: String,
}

impl ImageFacts {
    /// The files from which it follows what a container is that is started so, in the order in which they were met. `layers` are
    /// those of which `tree` was made, in any order.
    pub fn evidence_files(
        &self,
        invocation: &Invocation<'_>,
        tree: &Tree,
        layers: &[&LayerFacts],
    ) -> Vec<EvidenceFile> {
        let mut files: Vec<EvidenceFile> = Vec::new();
        for path in self.files(invocation) {
            let documents: &[&str] = match self.loaders.get(&*format!("/{path}")).and_then(|loader| loader.source) {
                Some(Source::Apk) => &APK_DATABASES,
                Some(Source::OsRelease) => &OS_RELEASES,
                Some(Source::AlpineRelease) => &[ALPINE_RELEASE],
                Some(Source::Library | Source::FileName) | None => &[],
            };
            for path in [path.as_str()].iter().chain(documents) {
                let Some((real, node)) = tree.file(path) else { continue };
                let layer = layers.iter().position(|layer| layer.holds(&real, node));
                if let (Some(layer), Some(says)) = (layer, says(node))
                    && !files.iter().any(|file| file.path == real)
                {
                    files.push(EvidenceFile { path: real, layer, says });
                }
            }
        }
        files
    }
}

fn says(node: &Arc<Node>) -> Option<String> {
    Some(match &**node {
        Node::Program(Elf { loader, go, libc, getaddrinfo: _ }) => {
            let built = go.as_ref().map(|build| match (build.version, build.is_pure()) {
                (Some(version), Some(true)) => format!(", built by go {version} without cgo"),
                (Some(version), Some(false)) => format!(", built by go {version} with cgo"),
                (Some(version), None) => format!(", built by go {version}"),
                (None, _) => ", built by Go".to_owned(),
            });
            let built = built.unwrap_or_default();
            match (loader, libc) {
                (Some(loader), _) => format!("asks for the loader {loader}{built}"),
                (None, Some(libc)) => format!("is static, with {libc} in it{built}"),
                (None, None) => format!("is static{built}"),
            }
        }
        Node::Libc(libc) => format!("is {libc}"),
        Node::Script(Script { interpreter, argument, starts: _ }) => match argument {
            Some(argument) => format!("is a script for {interpreter} {argument}"),
            None => format!("is a script for {interpreter}"),
        },
        Node::Document(Document::Apk(Some(version))) => format!("lists the package musl {version}"),
        Node::Document(Document::Os { id, alpine: Some(release) }) => format!("says ID={id}, VERSION_ID={release}"),
        Node::Document(Document::Alpine(Some(release))) => format!("says {release}"),
        Node::Unreadable(reason) => format!("cannot be read: {reason}"),
        Node::Document(_) | Node::Symlink(_) | Node::Hardlink(_) => return None,
    })
}
