//! One row of the tables: a repository, some of its images, their base, and the source. Must not know any publisher.

use crate::image::by_name::tag::TagVersion;
use crate::image::by_name::words::has_word;

/// The base of the images of one repository, or of one owner.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The path in the registry: `grafana/grafana`, or `linuxserver/` for everything below it.
    pub name: &'static str,
    /// The images that the row is about.
    pub tags: Tags,
    /// The base of these images.
    pub base: Base,
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
    /// All whose tag has this word, regardless of its usual meaning.
    Word(&'static str),
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
    /// Windows.
    Windows,
}

pub(crate) const fn row(name: &'static str, tags: Tags, base: Base, source: &'static str) -> Row {
    Row { name, tags, base, source }
}

// === impl Row ===

impl Row {
    /// Returns true if the row is about images of this version and tag.
    pub(crate) fn fits(&self, version: TagVersion, tag: Option<&str>) -> bool {
        match (self.tags, version) {
            (Tags::Every, _) => true,
            (Tags::Word(word), _) => tag.is_some_and(|tag| has_word(tag, word)),
            (_, TagVersion::None) => false,
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
        let Self { name: _, tags, base, source: _ } = self;
        matches!(tags, Tags::Word(_)) || (*tags == Tags::Every && *base == Base::GlibcBesideMusl)
    }
}
