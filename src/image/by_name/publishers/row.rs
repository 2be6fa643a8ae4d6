//! One row of the tables: a repository, some of its images, their base, their program, and the source. Must not know any publisher.

use crate::image::by_name::tag::TagVersion;
use crate::image::by_name::words::has_word;

/// The base and the program of the images of one repository, or of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The path in the registry: `grafana/grafana`, `linuxserver/` for everything below it, or `istio/examples-bookinfo-` for
    /// everything that begins so.
    pub name: &'static str,
    /// The images that the row is about.
    pub tags: Tags,
    /// The base of these images.
    pub base: Base,
    /// The program that these images start.
    pub program: Program,
    /// The source: repository, commit or age, file, and what it says.
    pub source: &'static str,
}

/// Some images of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// All, even if only a digest is known.
    Every,
    /// All whose tag has no word for another base.
    Plain,
    /// The newest ones: no tag, `latest`, `stable`.
    Latest,
    /// This release and all later ones, the newest included.
    From(u16, u16),
    /// All earlier releases.
    Before(u16, u16),
    /// From the first release to before the second.
    Between((u16, u16), (u16, u16)),
    /// The one with this tag.
    Exactly(&'static str),
    /// All whose tag has this word, regardless of its usual meaning.
    Word(&'static str),
    /// All earlier releases whose tag has this word, regardless of its usual meaning.
    WordBefore(&'static str, (u16, u16)),
}

/// The base of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Alpine, in a release that the tag does not say.
    Alpine,
    /// Alpine itself: the tag is the release.
    AlpineItself,
    /// A distribution with glibc.
    Glibc(&'static str),
    /// A small distribution with uClibc.
    Uclibc(&'static str),
    /// No C library: a static program on `scratch`, or on such a base.
    Bare(&'static str),
    /// Alpine with glibc for the program.
    GlibcBesideMusl,
    /// Several bases, and the tag does not say which. Only the program of such an image is known.
    Several,
    /// Windows.
    Windows,
}

/// The program that an image starts, where it decides the resolver in place of the base's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Any program that resolves names by the base's library, or an unknown one.
    OfBase,
    /// A Go program.
    Go(Build),
    /// A program that resolves names by c-ares, as Envoy does.
    CAres,
    /// A glibc program on a base that has musl, too.
    Glibc,
}

/// The build of a Go program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// With `CGO_ENABLED=0` or `-tags netgo`.
    WithoutCgo,
    /// With `CGO_ENABLED=1`, against the library of the base.
    WithCgo,
    /// The source does not say.
    Unknown,
}

pub(crate) const fn row(name: &'static str, tags: Tags, base: Base, source: &'static str) -> Row {
    Row { name, tags, base, program: Program::OfBase, source }
}

// === impl Row ===

impl Row {
    /// Returns the row for a Go program.
    pub(crate) const fn go(self, build: Build) -> Self {
        Self { program: Program::Go(build), ..self }
    }

    /// Returns the row for a program that resolves names by c-ares.
    pub(crate) const fn c_ares(self) -> Self {
        Self { program: Program::CAres, ..self }
    }

    /// Returns the row for a glibc program.
    pub(crate) const fn glibc(self) -> Self {
        Self { program: Program::Glibc, ..self }
    }

    /// Returns true if the row is about images of this version and tag.
    pub(crate) fn fits(&self, version: TagVersion, tag: Option<&str>) -> bool {
        match (self.tags, version) {
            (Tags::Every, _) => true,
            (Tags::Exactly(text), _) => tag == Some(text),
            (Tags::Word(word), _) => tag.is_some_and(|tag| has_word(tag, word)),
            (Tags::WordBefore(word, below), TagVersion::Version(major, minor)) => {
                (major, minor) < below && tag.is_some_and(|tag| has_word(tag, word))
            }
            (Tags::WordBefore(..), _) | (_, TagVersion::None) => false,
            (Tags::Plain, _) | (Tags::Latest | Tags::From(..), TagVersion::Newest) => true,
            (Tags::From(major, minor), TagVersion::Version(tag_major, tag_minor)) => {
                (tag_major, tag_minor) >= (major, minor)
            }
            (Tags::Before(major, minor), TagVersion::Version(tag_major, tag_minor)) => {
                (tag_major, tag_minor) < (major, minor)
            }
            (Tags::Between(from, below), TagVersion::Version(tag_major, tag_minor)) => {
                (from..below).contains(&(tag_major, tag_minor))
            }
            (Tags::Latest, TagVersion::Version(..) | TagVersion::Word)
            | (Tags::Before(..) | Tags::Between(..), TagVersion::Newest)
            | (Tags::From(..) | Tags::Before(..) | Tags::Between(..), TagVersion::Word) => false,
        }
    }

    /// Returns true if this row overrides the words in the tag: it is about such a word, or about an Alpine that also has glibc.
    pub(crate) fn overrides_tag_words(&self) -> bool {
        let Self { name: _, tags, base, program: _, source: _ } = self;
        matches!(tags, Tags::Word(_) | Tags::WordBefore(..)) || (*tags == Tags::Every && *base == Base::GlibcBesideMusl)
    }
}
