//! What a reference alone suggests. The order of trust stands here and nowhere else; the knowledge stands in `conventions.rs` and
//! `publishers`. Runs for each container of each review: no allocation, no formatting. Must not guess: where
//! nothing tells, or two things disagree, the answer is unknown.

use super::conventions::{Signs, alpine};
use super::publishers::lookup::{self, Known};
use super::publishers::row::{Base, Row};
use super::tag::{Asked, alpine_release};
use crate::image::fingerprint::Fingerprint;
use crate::image::reason::Reason;
use crate::image::reference::Reference;
use crate::resolver::Family;

/// What an image reference, as a pod has it, suggests. What is no reference suggests nothing.
pub fn assume(image: &str) -> Fingerprint {
    match Reference::parse(image) {
        Ok(reference) => suggest(&reference),
        Err(_) => Fingerprint::unknown(Reason::Fixed("it is not an image reference")),
    }
}

/// What a reference suggests about the resolver in its image, with evidence `assumed`, or `none` where that is unknown.
///
/// In order of trust: what is known of exactly this repository and tag; what the words of the tag say; what is known of the
/// repository; what the words of the repository's name say. A tag is trusted also beside a digest. A digest alone tells only
/// of repositories all of whose images are alike.
///
/// The answer is about what the image holds. A Go program on Alpine may use its own resolver, which no name tells.
pub fn suggest(reference: &Reference<'_>) -> Fingerprint {
    let asked = Asked::of(reference);
    let known = lookup::find(reference);
    let row = |outranks: bool| {
        let fits = |row: &&Row| row.outranks_words() == outranks && row.fits(asked, reference.tag());
        known.and_then(|known| Some((known, known.rows.iter().find(fits)?)))
    };
    if let Some((known, row)) = row(true) {
        return by_publisher(known, row, reference);
    }
    let tag = reference.tag().map(Signs::in_tag).unwrap_or_default();
    if tag.any()
        && let Some(verdict) = tag.and(&Signs::in_repository(reference)).verdict()
    {
        return verdict;
    }
    if let Some((known, row)) = row(false) {
        return by_publisher(known, row, reference);
    }
    match Signs::in_repository(reference).verdict() {
        Some(verdict) => verdict,
        None if known.is_some() && asked == Asked::Nothing => Fingerprint::unknown(Reason::DigestOnly),
        None => Fingerprint::unknown(Reason::NoHint),
    }
}

fn by_publisher(known: Known, row: &'static Row, reference: &Reference<'_>) -> Fingerprint {
    let because = |release| Reason::Publisher { registry: known.registry, row, release };
    let assumed = |family: Family| Fingerprint::assumed(family.unversioned(), because(None));
    match row.base {
        Base::AlpineItself => {
            let (resolver, release) = alpine(reference.tag().and_then(alpine_release));
            Fingerprint::assumed(resolver, because(release))
        }
        Base::Alpine => assumed(Family::Musl),
        Base::Glibc(_) => assumed(Family::Glibc),
        Base::Uclibc(_) => assumed(Family::Uclibc),
        Base::Bare(_) => assumed(Family::Static),
        Base::GlibcBesideMusl | Base::Windows => Fingerprint::unknown(because(None)),
    }
}
