//! The resolver that a reference alone suggests. Only this file knows the order of trust; `conventions.rs` and `publishers` have the
//! knowledge. Runs for each container of each review, so it allocates and formats nothing. Must not guess: without a hint, or with two
//! that differ, the answer is unknown.

use super::conventions::{NameHints, alpine_resolver};
use super::publishers::lookup::{self, RepositoryRows};
use super::publishers::row::{Base, Row};
use super::tag::{TagVersion, alpine_release};
use crate::image::fingerprint::Fingerprint;
use crate::image::reason::Reason;
use crate::image::reference::Reference;
use crate::resolver::Family;

/// Returns what an image name, as written in a pod, suggests. A text that is no reference suggests nothing.
pub fn assume(image: &str) -> Fingerprint {
    match Reference::parse(image) {
        Ok(reference) => suggest(&reference),
        Err(_) => Fingerprint::unknown(Reason::Fixed("it is not an image name")),
    }
}

/// Returns the resolver that a reference suggests, with evidence `assumed`, or `none` if it is unknown.
///
/// In order of trust: a publisher's row for exactly this repository and tag; the words of the tag; the publisher's row for the
/// repository; the words of the repository's name. A tag is trusted also beside a digest. A digest alone suggests something only if
/// all images of the repository are alike.
///
/// The answer is about the image's base. A Go program on Alpine may use its own resolver, which no name says.
pub fn suggest(reference: &Reference<'_>) -> Fingerprint {
    let version = TagVersion::new(reference);
    let known = lookup::find(reference);
    let row = |overrides_tag: bool| {
        let fits = |row: &&Row| row.overrides_tag_words() == overrides_tag && row.fits(version, reference.tag());
        known.and_then(|known| Some((known, known.rows.iter().find(fits)?)))
    };
    if let Some((known, row)) = row(true) {
        return publisher_fingerprint(known, row, reference);
    }
    let tag = reference.tag().map(NameHints::in_tag).unwrap_or_default();
    if tag.has_any()
        && let Some(fingerprint) = tag.with(&NameHints::in_repository(reference)).fingerprint()
    {
        return fingerprint;
    }
    if let Some((known, row)) = row(false) {
        return publisher_fingerprint(known, row, reference);
    }
    match NameHints::in_repository(reference).fingerprint() {
        Some(fingerprint) => fingerprint,
        None if known.is_some() && version == TagVersion::None => Fingerprint::unknown(Reason::DigestOnly),
        None => Fingerprint::unknown(Reason::NoHint),
    }
}

fn publisher_fingerprint(known: RepositoryRows, row: &'static Row, reference: &Reference<'_>) -> Fingerprint {
    let reason = |release| Reason::Publisher { registry: known.registry, row, release };
    let assumed = |family: Family| Fingerprint::assumed(family.unversioned(), reason(None));
    match row.base {
        Base::AlpineItself => {
            let (resolver, release) = alpine_resolver(reference.tag().and_then(alpine_release));
            Fingerprint::assumed(resolver, reason(release))
        }
        Base::Alpine => assumed(Family::Musl),
        Base::Glibc(_) => assumed(Family::Glibc),
        Base::Uclibc(_) => assumed(Family::Uclibc),
        Base::Bare(_) => assumed(Family::Static),
        Base::GlibcBesideMusl | Base::Windows => Fingerprint::unknown(reason(None)),
    }
}
