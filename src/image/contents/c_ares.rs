//! c-ares in an image, a resolver that programs may use beside or in place of their C library's: the libraries and the package. Must not
//! know which program is started.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::files::c_ares::CAres;
use super::files::file_scan::Node;
use super::files::libc::version;
use super::files::release_files::{APK_DATABASES, ReleaseFile};
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::join_path;
use crate::resolver::Version;
use crate::text::one_line;

/// The longest path that is kept, in bytes. Those of Python's packages have some 100.
pub(super) const PATH_MAX_BYTES: usize = 256;

/// The libraries of an image that have or need c-ares.
#[derive(Debug, Default)]
pub(crate) struct CAresLibraries<'t> {
    /// Their file names, those of links included.
    pub(crate) names: HashSet<&'t str>,
    /// The one to name as evidence, and the way in which it has c-ares.
    library: Option<(CAres, String)>,
}

/// The c-ares of an image that any of its programs may load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CAresInImage {
    /// The path of a library that has or needs c-ares, and the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    library: Option<(CAres, Box<str>)>,
    /// The release of the package.
    #[serde(default, with = "version", skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<Version>,
}

// === impl CAresLibraries ===

impl<'t> CAresLibraries<'t> {
    /// Finds these libraries in an image.
    pub(crate) fn find(tree: &'t Tree) -> Self {
        let mut libraries = Self::default();
        tree.each_node(&mut |folder, name, node| {
            let is_library_link = || matches!(node, Node::Symlink(_)) && CAres::may_carry(name);
            match node {
                Node::Library(way) => libraries.add(*way, folder, name),
                _ if is_library_link() => {
                    if let PathTarget::Node(_, Node::Library(_)) = tree.find(&join_path(folder, name)) {
                        libraries.names.insert(name);
                    }
                }
                _ => {}
            }
        });
        libraries
    }

    fn add(&mut self, way: CAres, folder: &str, name: &'t str) {
        self.names.insert(name);
        let path = join_path(folder, name);
        // The library itself says most, then one that contains it; of several, the first in order of paths.
        let rank = |way: CAres| (way != CAres::Itself, way);
        let is_better = self.library.as_ref().is_none_or(|(known, at)| (rank(way), &path) < (rank(*known), at));
        if is_better && path.len() <= PATH_MAX_BYTES {
            self.library = Some((way, path));
        }
    }

    /// Returns the c-ares that any program of the image may load.
    pub(crate) fn in_image(&self, tree: &Tree) -> Option<CAresInImage> {
        let release = APK_DATABASES.into_iter().find_map(|path| match tree.find(path) {
            PathTarget::Node(_, Node::ReleaseFile(ReleaseFile::Apk(packages))) => packages.c_ares,
            _ => None,
        });
        let library = self.library.as_ref().map(|(way, path)| (*way, path.as_str().into()));
        (library.is_some() || release.is_some()).then_some(CAresInImage { library, release })
    }
}

// === impl CAresInImage ===

impl CAresInImage {
    /// Returns the path of the file that is the evidence.
    pub(crate) fn file(&self) -> &str {
        self.library.as_ref().map_or(APK_DATABASES[0], |(_, path)| path)
    }

    /// Returns why programs of the image may use c-ares, as the end of a sentence.
    pub(super) fn reason(&self) -> String {
        match (&self.library, self.release) {
            (Some((way, path)), _) => {
                format!(
                    "`/{}` {}, and any program of the image may load it",
                    one_line(path, PATH_MAX_BYTES),
                    way.predicate()
                )
            }
            (None, Some(release)) => {
                format!("apk's database lists the package c-ares {release}, and any program of the image may load it")
            }
            (None, None) => String::new(),
        }
    }
}
