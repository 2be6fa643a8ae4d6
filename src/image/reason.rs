//! The reason for a fingerprint. Copying one is cheap; only `Display` formats the sentence. The sentence does not repeat the reference,
//! which is always shown beside it, so that a fingerprint borrows nothing and can be stored. Must not decide anything.

use std::fmt;
use std::sync::Arc;

use super::by_name::publishers::row::{Base, Build, Program, Row, Tags};
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
    /// The publisher's program is known, and has a resolver of its own.
    Program {
        /// The registry; `None` for Docker's official images, also on mirrors.
        registry: Option<&'static str>,
        /// The row of the publisher.
        row: &'static Row,
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
        /// The part of the reference.
        part: Part,
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
            Self::Publisher { row, .. } | Self::Program { row, .. } => Some(row.source),
            _ => None,
        }
    }

    /// Returns the Alpine release that the name says, if its musl is known.
    pub const fn alpine_release(&self) -> Option<Release> {
        match self {
            Self::Alpine { release, .. } | Self::Publisher { release, .. } => *release,
            _ => None,
        }
    }

    /// Returns true if the image is certainly one for Windows. The word `windows` in the name of a repository alone is not enough: a
    /// tool for Windows may run on Linux.
    pub fn is_windows(&self) -> bool {
        match self {
            Self::Windows { part, word } => *part == Part::Tag || *word != "windows",
            Self::Publisher { row, .. } => row.base == Base::Windows,
            _ => false,
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
            Self::Program { registry, row } => write_program(f, *registry, row),
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
            Self::Windows { part, word } => {
                write!(f, "the {part} says `{word}`: a Windows image reads no resolv.conf")
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
    write_images(f, registry, row)?;
    match row.base {
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
        Base::Several => f.write_str(" are built on several bases"),
        Base::GlibcBesideMusl => {
            f.write_str(" have glibc beside Alpine's musl, and the name does not say which one the program uses")
        }
    }?;
    // The program of the image itself would have another reason.
    match row.program {
        Program::OfBase => Ok(()),
        _ => f.write_str("; the pod's command may start another program than the image's own"),
    }
}

fn write_program(f: &mut fmt::Formatter<'_>, registry: Option<&str>, row: &Row) -> fmt::Result {
    write_images(f, registry, row)?;
    f.write_str(match row.program {
        Program::Go(Build::WithoutCgo) => " start a Go program without cgo, which has its own resolver",
        Program::Go(Build::WithCgo | Build::Unknown) => " start a Go program, which has its own resolver",
        Program::CAres => " start a program that resolves names by c-ares",
        Program::Glibc => " start a program that brings its own glibc",
        Program::OfBase => " start a program that resolves names by the base's library",
    })
}

/// Writes the images that a row is about.
fn write_images(f: &mut fmt::Formatter<'_>, registry: Option<&str>, row: &Row) -> fmt::Result {
    let Row { name, tags, base: _, program: _, source: _ } = row;
    match registry {
        None => write!(f, "official `{name}` images")?,
        Some(registry) => match (name.strip_suffix('/'), name.ends_with('-')) {
            (Some(owner), _) => write!(f, "images in `{registry}/{owner}`")?,
            (None, true) => write!(f, "images of names that begin with `{registry}/{name}`")?,
            (None, false) => write!(f, "`{registry}/{name}` images")?,
        },
    }
    match tags {
        Tags::Every => {}
        // The program does not depend on the base.
        Tags::Plain if row.program != Program::OfBase => {}
        Tags::Plain => f.write_str(" whose tag names no other base")?,
        Tags::Latest => f.write_str(" tagged `latest`")?,
        Tags::From(major, minor) => write!(f, " from {major}.{minor} on")?,
        Tags::Before(major, minor) => write!(f, " before {major}.{minor}")?,
        Tags::Between((major, minor), (below, below_minor)) => {
            write!(f, " from {major}.{minor} to before {below}.{below_minor}")?;
        }
        Tags::Exactly(word) | Tags::Word(word) => write!(f, " tagged `{word}`")?,
        Tags::WordBefore(word, (major, minor)) => write!(f, " before {major}.{minor} tagged `{word}`")?,
    }
    Ok(())
}
