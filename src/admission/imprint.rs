//! Reviews of which only the strings differ from one that was read before: those of pods of one template, which have other uids,
//! names and times, and are otherwise the same to the byte. Of such a review no more is read than what a pod is judged by, a
//! twentieth of it; the rest is compared, which is ten times as quick. Must not know what is decided of a review.
//!
//! What makes this sound: a document is recognised only if it is as long as the known one and differs from it only inside of
//! strings that are values, by characters that JSON writes as they are. So it has the same fields in the same places, and the
//! same parts of it are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::pod::{Excerpt, Outline, StringAt};

/// How many bytes all imprints together may have: about a hundred.
const IMPRINTS_MAX: u64 = 2 * 1024 * 1024;

/// How many imprints that is, roughly.
const IMPRINTS_EXPECTED: usize = 128;

/// Larger reviews are read as if each were the first: they are rare, and would push out many others.
const REVIEW_MAX: usize = 128 * 1024;

/// One in so many reviews that could be learnt is: where more templates are about than fit, most learning would be for nothing.
const LEARN_ONE_IN: u32 = 4;

/// The imprints of late, by the length of their review. Shared by all requests.
pub(super) struct Imprints {
    by_length: Cache<usize, Arc<Imprint>, Weight>,
    learnable: AtomicU32,
}

/// A review, where its strings are, and what is read of it.
#[derive(Debug)]
struct Imprint {
    review: Box<[u8]>,
    strings: Box<[StringAt]>,
    excerpt: Box<str>,
}

#[derive(Clone)]
struct Weight;

// === impl Imprints ===

impl Default for Imprints {
    fn default() -> Self {
        let by_length = Cache::with_weighter(IMPRINTS_EXPECTED, IMPRINTS_MAX, Weight);
        Self { by_length, learnable: AtomicU32::new(0) }
    }
}

impl Imprints {
    /// What there is to read of a review, if it is recognised.
    pub(super) fn excerpt(&self, review: &[u8]) -> Option<Vec<u8>> {
        self.by_length.get(&review.len())?.excerpt(review)
    }

    /// Learns to recognise reviews like this one, now and then. It was read before, and so is JSON; `is_faithful` tells whether
    /// an excerpt says the same.
    pub(super) fn learn(&self, review: &[u8], outline: &Outline, is_faithful: impl FnOnce(&str) -> bool) {
        if review.len() > REVIEW_MAX || !self.learnable.fetch_add(1, Ordering::Relaxed).is_multiple_of(LEARN_ONE_IN) {
            return;
        }
        let Some(imprint) = Imprint::of(review, outline) else { return };
        if is_faithful(&imprint.excerpt) {
            self.by_length.insert(review.len(), Arc::new(imprint));
        }
    }
}

// === impl Imprint ===

impl Imprint {
    fn of(review: &[u8], outline: &Outline) -> Option<Self> {
        let Excerpt { text, strings } = outline.excerpt(std::str::from_utf8(review).ok()?)?;
        Some(Self { review: review.into(), strings: strings.into(), excerpt: text.into() })
    }

    fn excerpt(&self, review: &[u8]) -> Option<Vec<u8>> {
        if review.len() != self.review.len() {
            return None;
        }
        let mut excerpt = self.excerpt.as_bytes().to_vec();
        let mut strings = &*self.strings;
        let mut same = 0;
        while let Some(difference) = first_difference(&self.review[same..], &review[same..]) {
            let at = same + difference;
            strings = &strings[strings.partition_point(|string| string.end as usize <= at)..];
            let StringAt { start, end, copied_to } = *strings.first()?;
            let text = review.get(start as usize..end as usize).filter(|_| start as usize <= at)?;
            if !text.iter().all(|byte| is_plain(*byte)) {
                return None;
            }
            if let Some(copied_to) = copied_to {
                excerpt.get_mut(copied_to as usize..)?.get_mut(..text.len())?.copy_from_slice(text);
            }
            same = end as usize;
        }
        Some(excerpt)
    }
}

/// Whether JSON writes this character of a string as it is, in one byte.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Where two texts of one length differ first.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    /// Compared at once; short enough to look for the place in it byte by byte.
    const BLOCK: usize = 128;
    let block = one.chunks(BLOCK).zip(other.chunks(BLOCK)).position(|(one, other)| one != other)?;
    let from = block * BLOCK;
    let at = one[from..].iter().zip(&other[from..]).position(|(one, other)| one != other)?;
    Some(from + at)
}

impl Weighter<usize, Arc<Imprint>> for Weight {
    fn weight(&self, _: &usize, imprint: &Arc<Imprint>) -> u64 {
        let Imprint { review, strings, excerpt } = &**imprint;
        (size_of::<Imprint>() + review.len() + size_of_val(&**strings) + excerpt.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admission::review::{POD_REVIEW, Review};
    use crate::pod::Pod;

    /// As a real API server sent it; benches/README.md says how.
    const REVIEW: &str = include_str!("../../benches/reviews/4k.json");

    fn imprint() -> Imprint {
        Imprint::of(REVIEW.as_bytes(), &POD_REVIEW).unwrap()
    }

    /// What is read of a review.
    fn read(review: &[u8]) -> Option<String> {
        Review::<Pod<'_>>::read(review).ok().map(|request| format!("{request:?}"))
    }

    fn replaced(from: &str, to: &str) -> String {
        let review = REVIEW.replacen(from, to, 1);
        assert_ne!(review, REVIEW);
        review
    }

    #[test]
    fn a_review_with_other_texts_is_recognised_and_reads_as_it_is() {
        let uid = &REVIEW[REVIEW.find(r#""uid":""#).unwrap()..][7..43];
        for (from, to) in [
            (uid, "00000000-0000-4000-8000-000000000000"),
            ("alpine", "debian"),
            ("ClusterFirst", "Default_____"),
            ("kubectl", "someone"),
            ("IfNotPresent", "Always______"),
        ] {
            let review = replaced(from, to);
            let excerpt = imprint().excerpt(review.as_bytes()).unwrap();
            assert!(excerpt.len() < review.len() / 2, "{} of {}", excerpt.len(), review.len());
            assert_eq!(read(&excerpt), read(review.as_bytes()));
        }
    }

    #[test]
    fn a_review_that_differs_elsewhere_is_not_recognised() {
        for (from, to) in [
            (r#""dnsPolicy""#, r#""dnsPolicz""#),
            (r#""restartPolicy":"Always""#, r#""hostNetwork":true      "#),
            ("kubectl", r#"k","ctl"#),
            ("kubectl", r"kube\tl"),
            ("kubectl", "kube\tl."),
            ("kubectl", "kubéct"),
            ("false", "true "),
            ("kubectl", "kubectl-1"),
        ] {
            assert_eq!(imprint().excerpt(replaced(from, to).as_bytes()), None, "{from} {to}");
        }
        let mut not_text = REVIEW.as_bytes().to_vec();
        not_text[REVIEW.find("kubectl").unwrap()] = 0xff;
        assert_eq!(imprint().excerpt(&not_text), None);
    }

    proptest! {
        /// Whatever is changed, a review that is recognised reads as if it had been read whole.
        #[test]
        fn no_change_is_overlooked(changes in prop::collection::vec((0..REVIEW.len(), any::<u8>()), 1..4)) {
            let mut review = REVIEW.as_bytes().to_vec();
            changes.iter().for_each(|(at, byte)| review[*at] = *byte);
            if let Some(excerpt) = imprint().excerpt(&review) {
                prop_assert!(std::str::from_utf8(&review).is_ok());
                prop_assert_eq!(read(&excerpt), read(&review));
            }
        }
    }

    #[test]
    fn what_an_excerpt_does_not_say_is_not_learnt() {
        let imprints = Imprints::default();
        imprints.learn(REVIEW.as_bytes(), &POD_REVIEW, |_| false);
        assert_eq!(imprints.excerpt(REVIEW.as_bytes()), None);
        (0..LEARN_ONE_IN).for_each(|_| imprints.learn(REVIEW.as_bytes(), &POD_REVIEW, |_| true));
        assert!(imprints.excerpt(REVIEW.as_bytes()).is_some());
    }

    #[test]
    fn the_imprints_are_bounded() {
        let imprints = Imprints::default();
        for length in 0..4000 {
            let review = format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
            (0..LEARN_ONE_IN).for_each(|_| imprints.learn(review.as_bytes(), &POD_REVIEW, |_| true));
        }
        assert!(imprints.by_length.weight() <= IMPRINTS_MAX, "{}", imprints.by_length.weight());
    }
}
