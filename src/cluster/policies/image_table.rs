//! The images that admission policies know: the names in ImageFingerprints where muslin inspects images, or else the names of images in
//! use. The most recent ones count where there are too many. Must not know policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;

use crate::cluster::fingerprint_names::{FingerprintFacts, FingerprintNames, NamedImage};
use crate::cluster::resources::ImageFingerprint;
use crate::compilation::{KnownImage, TABLE_BYTES_MAX, usual_images};
use crate::pod::{Container, Pod};

/// The most images of the table, besides its limit of bytes: API servers keep each policy in memory.
const IMAGES_MAX: usize = 5_000;
/// Limit of names that wait for the table, and the longest one, in bytes.
const NAMES_MAX: usize = 10_000;
const NAME_MAX_BYTES: usize = 255;
/// The age of a name's last use from which on it may mean another image. muslin writes uses of images in use every twelve hours.
const USED_MAX: SignedDuration = SignedDuration::from_hours(36);

/// The names of images in pods, as reviews and lists of pods bring them.
#[derive(Clone, Debug, Default)]
pub struct ImageNames(Arc<Mutex<Names>>);

#[derive(Debug, Default)]
struct Names {
    known: BTreeSet<Box<str>>,
    /// Changes with the names.
    revision: u64,
}

/// The images that policies know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ImageTable {
    pub(super) images: Vec<KnownImage>,
    /// The images for which there is no room.
    pub(super) left_out: usize,
}

/// The facts of the cluster's ImageFingerprints, by the name of the resource.
#[derive(Default)]
pub(super) struct Facts {
    known: HashMap<String, FingerprintFacts>,
    /// The part of a list that was read.
    listing: HashMap<String, FingerprintFacts>,
    /// The resources were listed once, or cannot be listed.
    pub(super) is_settled: bool,
    /// Changes with the facts.
    pub(super) revision: u64,
}

// === impl ImageNames ===

impl ImageNames {
    /// Adds the images of a pod, as far as there is room.
    pub fn note(&self, pod: &Pod<'_>) {
        pod.containers().map(Container::image).for_each(|image| self.add(image));
    }

    pub(super) fn add(&self, image: &str) {
        self.change(|names| names.add(image));
    }

    /// Replaces the names by those of a list of all pods.
    pub(super) fn replace<'n>(&self, images: impl Iterator<Item = &'n str>) {
        let mut listed = Names::default();
        images.for_each(|image| listed.add(image));
        self.change(|names| {
            names.revision += u64::from(names.known != listed.known);
            names.known = listed.known;
        });
    }

    /// Returns a number that changes with the names.
    pub(super) fn revision(&self) -> u64 {
        self.change(|names| names.revision)
    }

    /// Returns the images by their names: those that every cluster has, and those in use.
    pub(super) fn table(&self) -> ImageTable {
        let names: Vec<String> = self.change(|names| names.known.iter().map(|name| (**name).to_owned()).collect());
        let in_use: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let usual: Vec<KnownImage> = usual_images().filter(|image| !in_use.contains(image.name())).collect();
        ImageTable::bounded(names.into_iter().map(KnownImage::by_name).chain(usual))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Names) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Names ===

impl Names {
    fn add(&mut self, image: &str) {
        if image.len() <= NAME_MAX_BYTES && self.known.len() < NAMES_MAX && !self.known.contains(image) {
            self.known.insert(image.into());
            self.revision += 1;
        }
    }
}

// === impl Facts ===

impl Facts {
    /// Applies a change. A new list counts when it is complete.
    pub(super) fn apply(&mut self, event: Event<ImageFingerprint>) {
        match event {
            Event::Init => return self.listing.clear(),
            Event::InitApply(object) => {
                self.listing.insert(object.name_any(), FingerprintFacts::new(&object));
                return;
            }
            Event::InitDone => {
                self.known = std::mem::take(&mut self.listing);
                self.is_settled = true;
            }
            Event::Apply(object) => {
                self.known.insert(object.name_any(), FingerprintFacts::new(&object));
            }
            Event::Delete(object) => {
                self.known.remove(&object.name_any());
            }
        }
        self.revision += 1;
    }

    /// Returns the images that are known on each of these architectures, by the names that everybody may know, the latest first. A name
    /// with a digest never means another image.
    pub(super) fn table(&self, architectures: &[String], now: Timestamp) -> ImageTable {
        let FingerprintNames { images, .. } = FingerprintNames::of(self.known.values());
        let mut known: Vec<(String, NamedImage)> = images
            .into_iter()
            .filter(|(name, image)| {
                let is_current = name.contains('@') || now.duration_since(image.used) < USED_MAX;
                is_current && architectures.iter().all(|arch| image.architectures.contains(&**arch))
            })
            .collect();
        known.sort_by_key(|(_, image)| std::cmp::Reverse(image.used));
        ImageTable::bounded(known.into_iter().map(|(name, image)| KnownImage::with(name, image.fingerprint)))
    }
}

// === impl ImageTable ===

impl ImageTable {
    /// Returns the first images that fit, in the order of their names.
    fn bounded(images: impl Iterator<Item = KnownImage>) -> Self {
        let (mut kept, mut bytes, mut left_out) = (BTreeMap::new(), 0, 0);
        for image in images {
            bytes += image.table_bytes();
            if kept.len() < IMAGES_MAX && bytes <= TABLE_BYTES_MAX {
                kept.insert(image.name().to_owned(), image);
            } else {
                left_out += 1;
            }
        }
        Self { images: kept.into_values().collect(), left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_has_the_first_images_and_counts_the_others() {
        let images = |count: usize| (0..count).map(|number| KnownImage::by_name(format!("example.com/{number}")));
        let full = ImageTable::bounded(images(IMAGES_MAX + 7));
        assert_eq!((full.images.len(), full.left_out), (IMAGES_MAX, 7));
        assert!(full.images.iter().any(|image| image.name() == "example.com/0"));
        assert!(!full.images.iter().any(|image| image.name() == format!("example.com/{IMAGES_MAX}")));
        let long = (0..IMAGES_MAX).map(|number| KnownImage::by_name(format!("{}/{number}", "x".repeat(200))));
        let full = ImageTable::bounded(long);
        let bytes: usize = full.images.iter().map(KnownImage::table_bytes).sum();
        assert!(full.left_out > 0 && bytes <= TABLE_BYTES_MAX && bytes > TABLE_BYTES_MAX - 10_000, "{bytes}");
    }

    #[test]
    fn names_that_wait_are_bounded() {
        let names = ImageNames::default();
        (0..NAMES_MAX + 5).for_each(|number| names.add(&format!("example.com/{number}")));
        names.add(&"x".repeat(NAME_MAX_BYTES + 1));
        assert_eq!(names.change(|names| names.known.len()), NAMES_MAX);
        names.replace(["alpine:3.19"].into_iter());
        assert_eq!(names.change(|names| names.known.len()), 1);
    }
}
