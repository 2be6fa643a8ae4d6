//! One row of the tables: a repository, which of its images, what these are built on, and who says so. Must not know any publisher.

use crate::image::by_name::tag::Asked;
use crate::image::by_name::words::holds;

/// What one repository, or everything of one owner, is built on.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The path in its registry: `grafana/grafana`, or `linuxserver/` for everything below it.
    pub name: &'static str,
    /// Which of its images.
    pub tags: Tags,
    /// What these are built on.
    pub base: Base,
    /// Who says so: repository, commit or age, file, and what it says.
    pub source: &'static str,
}

/// Which images of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// All, even where only a digest is known.
    Every,
    /// All whose tag says nothing of a base.
    Plain,
    /// The newest: no tag, `latest`, `stable`.
    Latest,
    /// This release and all later ones, the newest included.
    From(u16, u16),
    /// All earlier releases.
    Before(u16, u16),
    /// From the first to before the second.
    Between((u16, u16), (u16, u16)),
    /// Those whose tag holds this word, whatever the word means elsewhere.
    Word(&'static str),
}

/// What an image is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Alpine, of a release that the tag does not tell.
    Alpine,
    /// Alpine itself: the tag is its release.
    AlpineItself,
    /// A distribution with glibc.
    Glibc(&'static str),
    /// Something small with uClibc.
    Uclibc(&'static str),
    /// Nothing: a static program on `scratch`, or on a base with no C library.
    Bare(&'static str),
    /// Alpine with glibc added for its program.
    GlibcBesideMusl,
    /// Windows.
    Windows,
}

pub(crate) const fn row(name: &'static str, tags: Tags, base: Base, source: &'static str) -> Row {
    Row { name, tags, base, source }
}

// === impl Row ===

impl Row {
    /// Whether this is about just the images asked for.
    pub(crate) fn fits(&self, asked: Asked, tag: Option<&str>) -> bool {
        match (self.tags, asked) {
            (Tags::Every, _) => true,
            (Tags::Word(word), _) => tag.is_some_and(|tag| holds(tag, word)),
            (_, Asked::Nothing) => false,
            (Tags::Plain, _) | (Tags::Latest | Tags::From(..), Asked::Newest) => true,
            (Tags::From(major, minor), Asked::Version(asked, asked_minor)) => (asked, asked_minor) >= (major, minor),
            (Tags::Before(major, minor), Asked::Version(asked, asked_minor)) => (asked, asked_minor) < (major, minor),
            (Tags::Between(from, below), Asked::Version(asked, asked_minor)) => {
                (from..below).contains(&(asked, asked_minor))
            }
            (Tags::Latest, Asked::Version(..) | Asked::Word)
            | (Tags::Before(..) | Tags::Between(..), Asked::Newest)
            | (Tags::From(..) | Tags::Before(..) | Tags::Between(..), Asked::Word) => false,
        }
    }

    /// Whether this row knows better than the words in the tag: it is about that word, or about an Alpine that is not only musl.
    pub(crate) fn outranks_words(&self) -> bool {
        let Self { name: _, tags, base, source: _ } = self;
        matches!(tags, Tags::Word(_)) || (*tags == Tags::Every && *base == Base::GlibcBesideMusl)
    }
}
