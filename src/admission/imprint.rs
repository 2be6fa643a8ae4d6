//! Reviews of which only the strings differ from one that was read before: those of pods of one template, which have other uids,
//! names and times, and are otherwise the same to the byte. Of such a review no more is read than what a pod is judged by, a
//! twentieth of it; the rest is compared, which is ten times as quick. If that part, too, is the same but for uid and names, it need
//! not be read at all. Must not know what is decided of a review.
//!
//! What makes this sound: a document is recognised only if it is as long as the known one and differs from it only inside of
//! strings that are values, by characters that JSON writes as they are. So it has the same fields in the same places, and the
//! same parts of it are read.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
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

/// The imprints of late, by the length of their review, each with a memo of type `M`. Shared by all requests.
pub(super) struct Imprints<M> {
    by_length: Cache<usize, Arc<Imprint<M>>, Weight>,
    learnable: AtomicU32,
}

/// A review, where its strings are, and what is read of it.
#[derive(Debug)]
struct Imprint<M> {
    review: Box<[u8]>,
    strings: Box<[StringAt]>,
    excerpt: Box<str>,
    /// Where the strings are that each review has of its own, the uid first, and the name second.
    own: Box<[Range<usize>]>,
    /// What was decided of the last one like it.
    memo: ArcSwapOption<M>,
}

/// A review that is like one before.
pub(super) struct Recognised<'r, M> {
    imprint: Arc<Imprint<M>>,
    review: &'r [u8],
    /// Whether it says the same, but for its own strings.
    is_twin: bool,
}

#[derive(Clone)]
struct Weight;

// === impl Imprints ===

impl<M> Default for Imprints<M> {
    fn default() -> Self {
        let by_length = Cache::with_weighter(IMPRINTS_EXPECTED, IMPRINTS_MAX, Weight);
        Self { by_length, learnable: AtomicU32::new(0) }
    }
}

impl<M> Imprints<M> {
    /// The review, if it is like one that was learnt.
    pub(super) fn recognise<'r>(&self, review: &'r [u8]) -> Option<Recognised<'r, M>> {
        self.by_length.get(&review.len())?.recognise(review)
    }

    /// Learns to recognise reviews like this one, now and then. It was read before, and so is JSON; `own` has the strings, borrowed
    /// from it, that each review has of its own: its uid, its pod's name, and others. `is_faithful` tells whether an excerpt says the
    /// same.
    pub(super) fn learn(&self, review: &[u8], outline: &Outline, own: &[&str], is_faithful: impl FnOnce(&str) -> bool) {
        if review.len() > REVIEW_MAX || !self.learnable.fetch_add(1, Ordering::Relaxed).is_multiple_of(LEARN_ONE_IN) {
            return;
        }
        let Some(imprint) = Imprint::of(review, outline, own) else { return };
        if is_faithful(&imprint.excerpt) {
            self.by_length.insert(review.len(), Arc::new(imprint));
        }
    }
}

// === impl Imprint ===

impl<M> Imprint<M> {
    /// `None` where a string of its own is not found, as one that is written with escapes.
    fn of(review: &[u8], outline: &Outline, own: &[&str]) -> Option<Self> {
        let Excerpt { text, strings } = outline.excerpt(std::str::from_utf8(review).ok()?)?;
        let place_of = |own: &&str| {
            let start = own.as_ptr().addr().checked_sub(review.as_ptr().addr())?;
            strings.binary_search_by_key(&start, |string| string.start as usize).ok()?;
            Some(start..start + own.len())
        };
        let own = own.iter().map(place_of).collect::<Option<_>>()?;
        let (review, strings, excerpt) = (review.into(), strings.into(), text.into());
        Some(Self { review, strings, excerpt, own, memo: ArcSwapOption::empty() })
    }

    fn recognise(self: Arc<Self>, review: &[u8]) -> Option<Recognised<'_, M>> {
        if review.len() != self.review.len() {
            return None;
        }
        let mut is_twin = true;
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
            is_twin &= copied_to.is_none() || self.own.iter().any(|own| own.start == start as usize);
            same = end as usize;
        }
        Some(Recognised { imprint: self, review, is_twin })
    }
}

// === impl Recognised ===

impl<M> Recognised<'_, M> {
    /// What there is to read of it.
    pub(super) fn excerpt(&self) -> Vec<u8> {
        let mut excerpt = self.imprint.excerpt.as_bytes().to_vec();
        for StringAt { start, end, copied_to } in &self.imprint.strings {
            let Some(copied_to) = copied_to.map(|copied_to| copied_to as usize) else { continue };
            let text = &self.review[*start as usize..*end as usize];
            excerpt[copied_to..copied_to + text.len()].copy_from_slice(text);
        }
        excerpt
    }

    /// What `read` makes of what was decided of one that says the same but for its own strings, and of the first two of them: its uid
    /// and its pod's name.
    pub(super) fn memo<T>(&self, read: impl FnOnce(&M, &str, &str) -> T) -> Option<T> {
        let memo = self.imprint.memo.load();
        let memo = memo.as_ref().filter(|_| self.is_twin)?;
        let own = |index: usize| str::from_utf8(self.review.get(self.imprint.own.get(index)?.clone())?).ok();
        Some(read(memo, own(0)?, own(1)?))
    }

    /// What was decided of it, for those that say the same. It is for what the imprint says, and so only for a twin.
    pub(super) fn remember(&self, memo: M) {
        if self.is_twin {
            self.imprint.memo.store(Some(Arc::new(memo)));
        }
    }
}

/// Whether JSON writes this character of a string as it is, in one byte.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Where two texts of one length differ first.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    /// Compared at once, and then byte by byte.
    const BLOCKS: [usize; 3] = [1024, 32, 1];
    BLOCKS.into_iter().try_fold(0, |from, block| {
        let mut pairs = one[from..].chunks(block).zip(other[from..].chunks(block));
        Some(from + block * pairs.position(|(one, other)| one != other)?)
    })
}

impl<M> Weighter<usize, Arc<Imprint<M>>> for Weight {
    fn weight(&self, _: &usize, imprint: &Arc<Imprint<M>>) -> u64 {
        let Imprint { review, strings, excerpt, own, memo: _ } = &**imprint;
        let lists = size_of_val(&**strings) + size_of_val(&**own);
        (size_of::<Imprint<M>>() + size_of::<M>() + review.len() + excerpt.len() + lists) as u64
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

    /// The name of the pod.
    const NAME: &str = "checkout-4k";
    /// The uid of the review.
    const UID: &str = "d727e61c-57b1-4e6c-a7cb-e04655d7094d";

    fn learn(imprints: &Imprints<&'static str>, review: &'static str, is_faithful: bool) {
        let own: Vec<&str> = [UID, NAME].map(|own| &review[review.find(own).unwrap()..][..own.len()]).to_vec();
        (0..LEARN_ONE_IN).for_each(|_| imprints.learn(review.as_bytes(), &POD_REVIEW, &own, |_| is_faithful));
    }

    fn recognise(review: &[u8]) -> Option<Recognised<'_, &'static str>> {
        let imprints = Imprints::default();
        learn(&imprints, REVIEW, true);
        imprints.recognise(review)
    }

    fn excerpt(review: &[u8]) -> Option<Vec<u8>> {
        recognise(review).map(|recognised| recognised.excerpt().to_vec())
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
        for (from, to) in [
            (UID, "00000000-0000-4000-8000-000000000000"),
            ("alpine", "debian"),
            ("ClusterFirst", "Default_____"),
            ("kubectl", "someone"),
            ("IfNotPresent", "Always______"),
        ] {
            let review = replaced(from, to);
            let excerpt = excerpt(review.as_bytes()).unwrap();
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
            assert_eq!(excerpt(replaced(from, to).as_bytes()), None, "{from} {to}");
        }
        let mut not_text = REVIEW.as_bytes().to_vec();
        not_text[REVIEW.find("kubectl").unwrap()] = 0xff;
        assert_eq!(excerpt(&not_text), None);
    }

    proptest! {
        /// Whatever is changed, a review that is recognised reads as if it had been read whole.
        #[test]
        fn no_change_is_overlooked(changes in prop::collection::vec((0..REVIEW.len(), any::<u8>()), 1..4)) {
            let mut review = REVIEW.as_bytes().to_vec();
            changes.iter().for_each(|(at, byte)| review[*at] = *byte);
            if let Some(excerpt) = excerpt(&review) {
                prop_assert!(std::str::from_utf8(&review).is_ok());
                prop_assert_eq!(read(&excerpt), read(&review));
            }
        }
    }

    #[test]
    fn what_an_excerpt_does_not_say_is_not_learnt() {
        let imprints = Imprints::default();
        learn(&imprints, REVIEW, false);
        assert!(imprints.recognise(REVIEW.as_bytes()).is_none());
        learn(&imprints, REVIEW, true);
        assert!(imprints.recognise(REVIEW.as_bytes()).is_some());
    }

    #[test]
    fn a_memo_is_for_reviews_that_say_the_same_but_for_what_is_their_own() {
        let imprints = Imprints::default();
        learn(&imprints, REVIEW, true);
        let recognise = |review| imprints.recognise(str::as_bytes(review)).unwrap();
        let (other_image, other_uid) = (replaced("alpine3.19", "alpine3.18"), UID.replace('7', "8"));
        let twin = replaced(UID, &other_uid);
        recognise(&other_image).remember("of another image");
        let memo = |review| recognise(review).memo(|memo, uid, name| (*memo, uid.to_owned(), name.to_owned()));
        assert_eq!(memo(REVIEW), None);
        recognise(REVIEW).remember("of this image");
        assert_eq!(memo(&other_image), None);
        assert_eq!(memo(&twin), Some(("of this image", other_uid, NAME.to_owned())));
    }

    #[test]
    fn the_imprints_are_bounded() {
        let imprints = Imprints::<()>::default();
        for length in 0..4000 {
            let review = format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
            (0..LEARN_ONE_IN).for_each(|_| imprints.learn(review.as_bytes(), &POD_REVIEW, &[], |_| true));
        }
        assert!(imprints.by_length.weight() <= IMPRINTS_MAX, "{}", imprints.by_length.weight());
    }
}
