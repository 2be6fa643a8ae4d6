//! The version in a tag. Must not know what any release has.

use crate::image::reference::Reference;
use crate::resolver::alpine::Release;

/// Prefixes of versions in tags.
const VERSION_PREFIXES: &[&str] = &["v", "V", "RELEASE.", "release-", "version-"];

/// Tags of the newest build.
const MOVING: &[&str] = &["latest", "stable", "edge", "main", "master", "nightly", "unstable"];

/// The minor number of `3`, which is the newest `3.x`.
const NEWEST_MINOR: u16 = u16::MAX;

/// The version that a reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagVersion {
    /// A major and a minor number, as in `1.36.1`.
    Version(u16, u16),
    /// A tag such as `latest`, or no tag.
    Newest,
    /// A word that is no version: `bullseye`, `management`.
    Word,
    /// A digest without a tag.
    None,
}

// === impl TagVersion ===

impl TagVersion {
    /// Returns the version that a reference asks for.
    pub(crate) fn new(reference: &Reference<'_>) -> Self {
        match (reference.tag(), reference.digest()) {
            (None, None) => Self::Newest,
            (None, Some(_)) => Self::None,
            (Some(tag), _) if MOVING.contains(&tag) => Self::Newest,
            (Some(tag), _) => match leading_version(tag) {
                Some((major, minor)) => Self::Version(major, minor.unwrap_or(NEWEST_MINOR)),
                None => Self::Word,
            },
        }
    }
}

/// Returns the branch in the tag of an image that is Alpine itself: `3.19.1` and `v3.19` are Alpine 3.19; `3`, `edge` and `20230901`
/// have no known branch.
pub(crate) fn alpine_release(tag: &str) -> Option<Release> {
    let (major, minor) = leading_version(tag)?;
    Some(Release::new(major, minor?))
}

/// Returns the first two numbers of a tag that begins with a version. `3f2a81c` is a commit, not version 3.
fn leading_version(tag: &str) -> Option<(u16, Option<u16>)> {
    let text = VERSION_PREFIXES.iter().find_map(|prefix| tag.strip_prefix(prefix)).unwrap_or(tag);
    let (major, rest) = number(text).filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '-', '_']))?;
    let minor = rest.strip_prefix('.').and_then(number).map(|(minor, _)| minor);
    Some((major, minor))
}

/// Returns the number at the start of a text, and the rest.
pub(crate) fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}
