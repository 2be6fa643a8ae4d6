//! The reason for a fingerprint. Copying one is cheap; only `Display` formats the sentence. The sentence does not repeat the reference,
//! which is always shown beside it, so that a fingerprint borrows nothing and can be stored. Must not decide anything.

use std::fmt;
use std::sync::Arc;

use super::by_name::publishers::row::{Base, Row, Tags};
use crate::resolver::alpine::Release;

/// A reason, which [`fmt::Display`] formats as the end of a sentence: "assumed, because …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Part of the reference says Alpine.
    Alpine {
        /// The part.
        part: Part,
        /// The release, if the part names one whose musl is known.
        release: Option<Release>,
    },
    /// Part of the reference has a word such as `bookworm` or `musl`.
    Word {
        /// The part.
        part: Part,
        /// The word.
        word: &'static str,
        /// The distribution that the word means, if it does not name a resolver.
        distribution: Option<&'static str>,
    },
    /// The publisher's base is known.
    Publisher {
        /// The registry; `None` for Docker's official images, also on mirrors.
        registry: Option<&'static str>,
        /// The row of the publisher.
        row: &'static Row,
        /// The Alpine release, if the tag names one whose musl is known.
        release: Option<Release>,
    },
    /// The name says both Alpine and glibc, and the program may use either.
    GlibcBesideMusl,
    /// Two words name different resolvers.
    Conflict {
        /// The first word.
        one: &'static str,
        /// The word that contradicts it.
        other: &'static str,
    },
    /// The name says distroless.
    Distroless {
        /// True if the name says that the image has a C library, false if it says that it has none.
        libc: Option<bool>,
    },
    /// The name says Windows.
    Windows {
        /// The word.
        word: &'static str,
    },
    /// The reference has only a digest, and the repository has images on different bases.
    DigestOnly,
    /// No word and no row is about this reference.
    NoHint,
    /// A constant sentence from another part of muslin.
    Fixed(&'static str),
    /// A sentence from another part of muslin: about an inspection or a declaration.
    Text(Arc<str>),
}

/// A part of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The tag.
    Tag,
    /// The last component of the repository's path.
    Repository,
}

// === impl Reason ===

impl Reason {
    /// Returns the source of a row about a publisher: repository, commit and file.
    pub const fn source(&self) -> Option<&'static str> {
        match self {
            Self::Publisher { row, .. } => Some(row.source),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alpine { part, release } => {
                write!(f, "the {part} says ")?;
                write_alpine(f, *release)
            }
            Self::Word { part, word, distribution: Some(distribution) } => {
                write!(f, "the {part} says `{word}`: that is {distribution}, which has glibc")
            }
            Self::Word { part, word, distribution: None } => write!(f, "the {part} says `{word}`"),
            Self::Publisher { registry, row, release } => write_publisher(f, *registry, row, *release),
            Self::GlibcBesideMusl => {
                f.write_str("the name says both Alpine and glibc, but not which of the two the program uses")
            }
            Self::Conflict { one, other } => write!(f, "the name says both `{one}` and `{other}`"),
            Self::Distroless { libc: Some(true) } => {
                f.write_str("the name says distroless with a C library, which is glibc")
            }
            Self::Distroless { libc: Some(false) } => f.write_str("the name says distroless without a C library"),
            Self::Distroless { libc: None } => {
                f.write_str("the name says distroless, but not whether with glibc or without a C library")
            }
            Self::Windows { word } => {
                write!(f, "`{word}` in the name means a Windows image, which reads no resolv.conf")
            }
            Self::DigestOnly => {
                f.write_str("the reference has a digest but no tag, and this repository has images on several bases")
            }
            Self::NoHint => f.write_str("neither the tag nor the repository says what the image is built on"),
            Self::Fixed(text) => f.write_str(text),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Repository => "repository's name",
        })
    }
}

fn write_alpine(f: &mut fmt::Formatter<'_>, release: Option<Release>) -> fmt::Result {
    match release.and_then(|release| Some((release, release.musl()?))) {
        Some((release, musl)) => write!(f, "Alpine {release}, which has musl {musl}"),
        None => f.write_str("Alpine, which has musl, but names no release"),
    }
}

fn write_publisher(
    f: &mut fmt::Formatter<'_>,
    registry: Option<&str>,
    row: &Row,
    release: Option<Release>,
) -> fmt::Result {
    let Row { name, tags, base, source: _ } = row;
    match registry {
        None => write!(f, "official `{name}` images")?,
        Some(registry) => match name.strip_suffix('/') {
            Some(owner) => write!(f, "images in `{registry}/{owner}`")?,
            None => write!(f, "`{registry}/{name}` images")?,
        },
    }
    match tags {
        Tags::Every => {}
        Tags::Plain => f.write_str(" whose tag names no other base")?,
        Tags::Latest => f.write_str(" tagged `latest`")?,
        Tags::From(major, minor) => write!(f, " from {major}.{minor} on")?,
        Tags::Before(major, minor) => write!(f, " before {major}.{minor}")?,
        Tags::Between((major, minor), (below, below_minor)) => {
            write!(f, " from {major}.{minor} to before {below}.{below_minor}")?;
        }
        Tags::Word(word) => write!(f, " tagged `{word}`")?,
    }
    match base {
        Base::Alpine => f.write_str(" are built on Alpine, which has musl"),
        Base::AlpineItself if release.is_none() => f.write_str(" are Alpine, which has musl; the tag names no release"),
        Base::AlpineItself => {
            f.write_str(" are ")?;
            write_alpine(f, release)
        }
        Base::Glibc(distribution) => write!(f, " are built on {distribution}, which has glibc"),
        Base::Uclibc(on) => write!(f, " are built on {on}, which has uClibc on amd64 and arm64"),
        Base::Bare(on) => write!(f, " are built on {on}, which has no C library"),
        Base::Windows => f.write_str(" are Windows images, which read no resolv.conf"),
        Base::GlibcBesideMusl => {
            f.write_str(" have glibc beside Alpine's musl, and the name does not say which one the program uses")
        }
    }
}
