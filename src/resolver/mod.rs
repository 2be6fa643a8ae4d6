//! What each stub resolver does with each option, by version: the ground floor. Every fact about a resolver stands here
//! once, with its source. Must not know of pods, images, rules or Kubernetes.

pub mod alpine;
mod changes;
mod lookup;
mod options;
mod options_line;
pub mod resolv_conf_crate;
mod settings;
mod stubs;
mod timing;
mod version;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use changes::{Change, changes};
pub use lookup::{Answer, Lookup, candidates, lookup, resolves, search_domains_read};
pub use options::{Effect, OptionFact, Support, known_option, known_options, option_facts, takes_number, zero_digits};
pub use settings::{Fate, Pairing, Settings, Transport};
pub use stubs::{glibc, go, musl, uclibc};
pub use timing::NAMESERVERS_MAX;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolver {
    /// Whose code it is.
    pub family: Family,
    /// Its release; `None` when only the family is known.
    pub version: Option<Version>,
    /// What a Go program has besides; not known for every other family.
    pub cgo: Cgo,
}

/// Whether a Go program also holds the C library's resolver, to which it can leave its lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cgo {
    /// Not known, or no Go program.
    #[default]
    Unknown,
    /// It does not: built with `CGO_ENABLED=0` or `-tags netgo` (Go: src/net/cgo_stub.go).
    Absent,
    /// It does.
    Linked {
        /// Whose C library it is.
        libc: Family,
        /// Its release, where it is known.
        version: Option<Version>,
    },
}

/// A text that names no resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResolver {
    /// The first word is no family.
    #[error("`{name}` is no resolver: use {}", Family::NAMED.map(Family::name).join(", "))]
    Family {
        /// The word.
        name: String,
    },
    /// The second word is no version.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// There are more than two words, or none.
    #[error("`{0}` is not a resolver and its version, such as `musl 1.2.5`")]
    Words(String),
}

// === impl Family ===

impl Family {
    /// Those that somebody can say an image has.
    pub const NAMED: [Self; 6] = [Self::Musl, Self::Glibc, Self::Go, Self::Uclibc, Self::CAres, Self::Static];

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
        Resolver { family: self, version: None, cgo: Cgo::Unknown }
    }

    /// This family in the given release.
    pub const fn at(self, version: Version) -> Resolver {
        Resolver { family: self, version: Some(version), cgo: Cgo::Unknown }
    }
}

// === impl Resolver ===

impl Resolver {
    /// The same resolver in a Go program of which that is known.
    pub const fn with_cgo(self, cgo: Cgo) -> Self {
        Self { cgo, ..self }
    }
}

impl fmt::Display for Resolver {
    /// `musl 1.2.4`, or `musl` alone where the release is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, version, cgo: _ } = self;
        match version {
            Some(version) => write!(f, "{} {version}", family.name()),
            None => f.write_str(family.name()),
        }
    }
}

impl FromStr for Resolver {
    type Err = InvalidResolver;

    /// Reads what [`fmt::Display`] writes: `musl 1.2.4`, or `musl` alone.
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
