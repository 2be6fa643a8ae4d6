//! A tag as a version: which release it names, and whether it is the newest. Must not know what any release holds.

use crate::image::reference::Reference;
use crate::resolver::alpine::Release;

/// What stands before the version in a tag that publishers date or mark.
const VERSION_PREFIXES: &[&str] = &["v", "V", "RELEASE.", "release-", "version-"];

/// Tags that follow the newest build.
const MOVING: &[&str] = &["latest", "stable", "edge", "main", "master", "nightly", "unstable"];

/// A minor number higher than any: `3` is the newest `3.x`.
const NEWEST_MINOR: u16 = u16::MAX;

/// The release that a reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `1.36.1`; the minor of `1` is the highest there is.
    Version(u16, u16),
    /// `latest` and its like, or no tag at all.
    Newest,
    /// A word that names no version: `bullseye`, `management`.
    Word,
    /// A digest alone, which tells nothing.
    Nothing,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn of(reference: &Reference<'_>) -> Self {
        match (reference.tag(), reference.digest()) {
            (None, None) => Self::Newest,
            (None, Some(_)) => Self::Nothing,
            (Some(tag), _) if MOVING.contains(&tag) => Self::Newest,
            (Some(tag), _) => match leading_version(tag) {
                Some((major, minor)) => Self::Version(major, minor.unwrap_or(NEWEST_MINOR)),
                None => Self::Word,
            },
        }
    }
}

/// The Alpine branch named by the tag of an image that is Alpine itself: `3.19.1` and `v3.19` are Alpine 3.19; `3`, `edge` and
/// `20230901` are of no known branch.
pub(crate) fn alpine_release(tag: &str) -> Option<Release> {
    let (major, minor) = leading_version(tag)?;
    Some(Release::new(major, minor?))
}

/// The first two numbers of a tag that begins with a version. `3f2a81c` is a commit, not version 3.
fn leading_version(tag: &str) -> Option<(u16, Option<u16>)> {
    let text = VERSION_PREFIXES.iter().find_map(|prefix| tag.strip_prefix(prefix)).unwrap_or(tag);
    let (major, rest) = number(text).filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '-', '_']))?;
    let minor = rest.strip_prefix('.').and_then(number).map(|(minor, _)| minor);
    Some((major, minor))
}

/// The number that a text begins with, and what follows it.
pub(crate) fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}
