//! The kind of a program: how it is built and loaded, as far as this decides its resolver. Must not know where the program is.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::files::c_ares::CAres;
use super::files::elf::Elf;
use super::files::file_scan::Node;
use super::files::go_build::GoBuild;
use super::files::libc::Libc;
use super::files::script::Script;
use super::loader::Loader;
use crate::resolver::Family;

/// The kind of a program. Programs of one kind have the same resolver.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProgramKind {
    /// A program that a loader loads.
    Dynamic {
        loader: Box<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        go: Option<GoBuild>,
        /// The program is in Go and can call its C library's `getaddrinfo`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        getaddrinfo: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        c_ares: Option<CAres>,
    },
    /// A program that needs no loader.
    Static {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        libc: Option<Libc>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        go: Option<GoBuild>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        c_ares: Option<CAres>,
    },
    /// The C library itself, which loads the program named in its arguments.
    Loader(Libc),
    /// A script.
    Script(Script),
    /// A program that cannot be read, with the reason.
    Unreadable(Box<str>),
    /// A shell script; muslin does not keep what it starts.
    ShellScript,
    /// A program; muslin does not keep its kind.
    LeftOut,
}

// === impl ProgramKind ===

impl ProgramKind {
    /// Returns the kind of a file, if the file is a program. `carriers` are the names of the libraries of the image that have or need
    /// c-ares.
    pub(crate) fn new(node: &Node, carriers: &HashSet<&str>) -> Option<Self> {
        match node {
            Node::Program(elf) => {
                let Elf { loader, go, libc, getaddrinfo, c_ares, carriers: needed } = elf;
                let go = go.clone();
                let is_carried = go.is_none() && needed.iter().any(|name| carriers.contains(&**name));
                let c_ares = c_ares.or(is_carried.then_some(CAres::LinkedThrough));
                Some(match loader.clone() {
                    Some(loader) => {
                        let getaddrinfo = go.is_some() && *getaddrinfo;
                        Self::Dynamic { loader, go, getaddrinfo, c_ares }
                    }
                    None => Self::Static { libc: *libc, go, c_ares },
                })
            }
            Node::Libc(libc) => Some(Self::Loader(*libc)),
            Node::Script(script) => Some(Self::Script(script.clone())),
            Node::Unreadable(reason) => Some(Self::Unreadable(reason.clone())),
            Node::Symlink(_) | Node::Hardlink(_) | Node::Library(_) | Node::ReleaseFile(_) => None,
        }
    }

    /// Returns the way in which the program has c-ares.
    pub(crate) const fn c_ares(&self) -> Option<CAres> {
        match self {
            Self::Dynamic { c_ares, .. } | Self::Static { c_ares, .. } => *c_ares,
            Self::Loader(_) | Self::Script(_) | Self::ShellScript | Self::Unreadable(_) | Self::LeftOut => None,
        }
    }

    /// Returns the approximate memory use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Dynamic { loader, go, getaddrinfo: _, c_ares: _ } => {
                    loader.len() + go.as_ref().map_or(0, GoBuild::bytes)
                }
                Self::Static { libc: _, go, c_ares: _ } => go.as_ref().map_or(0, GoBuild::bytes),
                Self::Script(script) => script.bytes(),
                Self::Unreadable(reason) => reason.len(),
                Self::Loader(_) | Self::ShellScript | Self::LeftOut => 0,
            }
    }

    /// Returns false if the kernel does not start such a file.
    pub(crate) const fn is_executable(&self) -> bool {
        !matches!(self, Self::Script(Script { lacks_exec_bit: true, .. }))
    }

    /// Returns the resolver family of such a program; `None` for loaders and scripts, which run another program.
    pub(crate) fn family(&self, loaders: &BTreeMap<Box<str>, Loader>) -> Option<Family> {
        Some(match self {
            kind if kind.c_ares() == Some(CAres::Envoy) => Family::CAres,
            Self::Dynamic { go: Some(_), .. } | Self::Static { go: Some(_), .. } => Family::Go,
            Self::Dynamic { loader, go: None, .. } => {
                loaders.get(loader).and_then(|loader| loader.libc).map_or(Family::Unknown, |libc| libc.kind.family())
            }
            Self::Static { libc, go: None, c_ares: _ } => libc.map_or(Family::Static, |libc| libc.kind.family()),
            Self::Unreadable(_) | Self::LeftOut => Family::Unknown,
            Self::Loader(_) | Self::Script(_) | Self::ShellScript => return None,
        })
    }
}
