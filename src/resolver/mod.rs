//! What each stub resolver does with each option, by version: the ground floor. Every fact about a resolver stands here once,
//! with its source. Must not know of pods, images, rules or Kubernetes.

pub mod alpine;
mod c_ares;
mod changes;
mod glibc;
mod go;
mod line;
pub mod musl;
mod options;
mod search;
mod settings;
mod timing;
mod uclibc;
mod version;

#[cfg(test)]
mod tests;

use std::fmt;

pub use changes::{Change, changes};
pub use options::{Effect, OptionFact, Support, known_option, known_options, option_facts, takes_number, zero_digits};
pub use search::{Answer, Lookup, candidates, lookup, resolves};
pub use settings::{Fate, Pairing, Settings, Transport};
pub use version::{InvalidVersion, Version};

/// The code that answers `getaddrinfo`, or its like, in a container's main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// musl libc.
    Musl,
    /// The GNU C library.
    Glibc,
    /// Go's own resolver, built in by the `net` package.
    Go,
    /// uClibc and uClibc-ng.
    Uclibc,
    /// c-ares, as in Node's `dns.resolve`.
    CAres,
    /// A static program on an image with no C library: which resolver is inside it is not known.
    Static,
    /// Nothing is known.
    Unknown,
}

/// A stub resolver and, where it is known, its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolver {
    /// Whose code it is.
    pub family: Family,
    /// Its release; `None` when only the family is known.
    pub version: Option<Version>,
}

// === impl Family ===

impl Family {
    /// All of which something is known, the most common in containers first.
    pub const KNOWN: [Self; 5] = [Self::Musl, Self::Glibc, Self::Go, Self::Uclibc, Self::CAres];

    /// The name used in annotations and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Glibc => "glibc",
            Self::Go => "go",
            Self::Uclibc => "uclibc",
            Self::CAres => "c-ares",
            Self::Static => "static",
            Self::Unknown => "unknown",
        }
    }

    /// This family in a release that is not known.
    pub const fn unversioned(self) -> Resolver {
        Resolver { family: self, version: None }
    }

    /// This family in the given release.
    pub const fn at(self, version: Version) -> Resolver {
        Resolver { family: self, version: Some(version) }
    }
}

// === impl Resolver ===

impl fmt::Display for Resolver {
    /// `musl 1.2.4`, or `musl` alone where the release is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, version } = self;
        match version {
            Some(version) => write!(f, "{} {version}", family.name()),
            None => f.write_str(family.name()),
        }
    }
}
