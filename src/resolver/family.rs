//! The names of the resolvers: a family, a release, and the C library that a Go program may hold besides. Knows nothing
//! of what a resolver does.

use std::fmt;
use std::str::FromStr;

use super::version::{InvalidVersion, Version};

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
    /// An unknown resolver inside a static program, on an image with no C library.
    Static,
    /// An unknown resolver.
    Unknown,
}

/// A stub resolver and, where it is known, its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolver {
    /// The resolver's family.
    pub family: Family,
    /// The release; `None` when only the family is known.
    pub version: Option<Version>,
    /// The C library inside a Go program; unknown for every other family.
    pub cgo: Cgo,
}

/// The C library's resolver inside a Go program, to which the program can leave its lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cgo {
    /// Not known, or not a Go program.
    #[default]
    Unknown,
    /// None: built with `CGO_ENABLED=0` or `-tags netgo` (Go: src/net/cgo_stub.go).
    Absent,
    /// Linked into the program.
    Linked {
        /// The C library's family.
        libc: Family,
        /// The C library's release, where it is known.
        version: Option<Version>,
    },
}

/// A text that names no resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResolver {
    /// The first word is not a family.
    #[error("`{name}` is not a resolver: use {}", Family::NAMED.map(Family::name).join(", "))]
    Family {
        /// The word.
        name: String,
    },
    /// The second word is not a version.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// There are more than two words, or none.
    #[error("`{0}` is not a resolver and its version, such as `musl 1.2.5`")]
    Words(String),
}

// === impl Family ===

impl Family {
    /// The families accepted in a declaration.
    pub const NAMED: [Self; 6] = [Self::Musl, Self::Glibc, Self::Go, Self::Uclibc, Self::CAres, Self::Static];

    /// The families that muslin models, the most common in containers first.
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

    /// This family in an unknown release.
    pub const fn unversioned(self) -> Resolver {
        Resolver { family: self, version: None, cgo: Cgo::Unknown }
    }

    /// This family in the given release.
    pub const fn at(self, version: Version) -> Resolver {
        Resolver { family: self, version: Some(version), cgo: Cgo::Unknown }
    }
}

// === impl Resolver ===

impl Resolver {
    /// The same resolver, with what is known of the C library in its Go program.
    pub const fn with_cgo(self, cgo: Cgo) -> Self {
        Self { cgo, ..self }
    }

    /// The release as the project writes it: `2.41`, not `2.41.0`.
    pub fn release(self) -> Option<String> {
        self.version.map(|version| self.family.release_name(version))
    }

    /// Returns true if this release is older than `version`. An unknown release is not.
    pub(super) fn is_before(self, version: Version) -> bool {
        self.version.is_some_and(|release| release < version)
    }
}

impl fmt::Display for Resolver {
    /// `musl 1.2.4`, or `musl` alone where the release is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.release() {
            Some(release) => write!(f, "{} {release}", self.family.name()),
            None => f.write_str(self.family.name()),
        }
    }
}

impl FromStr for Resolver {
    type Err = InvalidResolver;

    /// Reads the form that [`fmt::Display`] writes: `musl 1.2.4`, or `musl` alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (name, version) = match words[..] {
            [name] => (name, None),
            [name, version] => (name, Some(version)),
            _ => return Err(InvalidResolver::Words(text.to_owned())),
        };
        let family = Family::NAMED.into_iter().find(|family| family.name() == name);
        let family = family.ok_or_else(|| InvalidResolver::Family { name: name.to_owned() })?;
        Ok(Self { version: version.map(str::parse::<Version>).transpose()?, ..family.unversioned() })
    }
}
