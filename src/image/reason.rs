//! Why an image is thought to have its resolver. On the hot path a reason is a few words and numbers, copied and never formatted;
//! only `Display` writes the sentence, when somebody reads it. It does not repeat the reference, which stands beside it wherever
//! it is shown, so that a fingerprint borrows nothing and can be kept. Must not decide anything.

use std::fmt;
use std::sync::Arc;

use super::by_name::publishers::row::{Base, Row, Tags};
use crate::resolver::alpine::Release;

/// A reason, written out by [`fmt::Display`] as the end of a sentence: "assumed, because …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A name says Alpine.
    Alpine {
        /// Which part of the reference says so.
        part: Part,
        /// The release, if the name tells one whose musl is known.
        release: Option<Release>,
    },
    /// A name holds a word that tells: `bookworm`, `musl`.
    Word {
        /// Which part of the reference holds it.
        part: Part,
        /// The word.
        word: &'static str,
        /// What it stands for, if not for itself.
        names: Option<&'static str>,
    },
    /// It is known what the publisher builds on.
    Publisher {
        /// The registry; `None` for Docker's official images, wherever they are mirrored.
        registry: Option<&'static str>,
        /// What is known, and who says so.
        row: &'static Row,
        /// The Alpine release, if the tag tells one whose musl is known.
        release: Option<Release>,
    },
    /// The names say both Alpine and glibc: which of the two the program uses is not told.
    GlibcBesideMusl,
    /// Two words contradict each other.
    Conflict {
        /// The word that stands first.
        one: &'static str,
        /// The word against it.
        other: &'static str,
    },
    /// A name says distroless.
    Distroless {
        /// Whether it says that there is a C library.
        libc: Option<bool>,
    },
    /// A name says Windows.
    Windows {
        /// The word that says so.
        word: &'static str,
    },
    /// There is only a digest, and the repository holds images on different bases.
    DigestOnly,
    /// No word and no row tells anything.
    NoHint,
    /// Another part of muslin says why, in a sentence that is always the same.
    Fixed(&'static str),
    /// Another part of muslin says why: what an inspection read, who declared it.
    Text(Arc<str>),
}

/// A part of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What follows `:`.
    Tag,
    /// The last component of the path.
    Repository,
}

// === impl Reason ===

impl Reason {
    /// Who says so, for what is known of a publisher: repository, commit and file.
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
            Self::Word { part, word, names: Some(distribution) } => {
                write!(f, "the {part} says `{word}`: that is {distribution}, which has glibc")
            }
            Self::Word { part, word, names: None } => write!(f, "the {part} says `{word}`"),
            Self::Publisher { registry, row, release } => write_publisher(f, *registry, row, *release),
            Self::GlibcBesideMusl => {
                f.write_str("the name says both Alpine and glibc, and not which of the two the program uses")
            }
            Self::Conflict { one, other } => write!(f, "the name says both `{one}` and `{other}`"),
            Self::Distroless { libc: Some(true) } => {
                f.write_str("the name says distroless with a C library, which is glibc")
            }
            Self::Distroless { libc: Some(false) } => f.write_str("the name says distroless without a C library"),
            Self::Distroless { libc: None } => {
                f.write_str("the name says distroless, and not whether that is with glibc or with no C library")
            }
            Self::Windows { word } => write!(f, "it is a Windows image, as `{word}` says; it reads no resolv.conf"),
            Self::DigestOnly => {
                f.write_str("there is a digest and no tag, and this repository has images on several bases")
            }
            Self::NoHint => f.write_str("neither the tag nor the repository tells what it is built on"),
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
        None => f.write_str("Alpine, which has musl, but no release of it"),
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
        Base::AlpineItself if release.is_none() => f.write_str(" are Alpine, which has musl; no release is named"),
        Base::AlpineItself => {
            f.write_str(" are ")?;
            write_alpine(f, release)
        }
        Base::Glibc(distribution) => write!(f, " are built on {distribution}, which has glibc"),
        Base::Uclibc(on) => write!(f, " are built on {on}, which has uClibc on amd64 and arm64"),
        Base::Bare(on) => write!(f, " are built on {on}, which has no C library"),
        Base::Windows => f.write_str(" are Windows images, which read no resolv.conf"),
        Base::GlibcBesideMusl => {
            f.write_str(" hold glibc beside Alpine's musl, and the name does not tell which one the program uses")
        }
    }
}
