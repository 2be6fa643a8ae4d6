//! The images that admission policies know: the names in ImageFingerprints where muslin inspects images, or else the names of images in
//! use. The most recent ones count where there are too many. Must not know policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;

use crate::cluster::fingerprint_names::{FingerprintFacts, FingerprintNames, NamedImage};
use crate::cluster::resources::ImageFingerprint;
use crate::compilation::{KnownImage, usual_images};
use crate::pod::{Container, Pod};

/// Limits of the table: the API server stores a policy of 1.5 MiB, and keeps it in memory.
const IMAGES_MAX: usize = 5_000;
const BYTES_MAX: usize = 500_000;
/// Limit of names that wait for the table, and the longest one, in bytes.
const NAMES_MAX: usize = 10_000;
const NAME_MAX_BYTES: usize = 255;
/// The age of a name's last use from which on it may mean another image. muslin writes uses of images in use every twelve hours.
const USED_MAX: SignedDuration = SignedDuration::from_hours(36);

/// The names of images in pods, as reviews and lists of pods bring them.
#[derive(Clone, Debug, Default)]
pub struct ImageNames(Arc<Mutex<BTreeSet<Box<str>>>>);

/// The images that policies know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ImageTable {
    pub(super) images: Vec<KnownImage>,
    /// The images for which there is no room.
    pub(super) left_out: usize,
}

/// The facts of the cluster's ImageFingerprints, by the name of the resource.
#[derive(Default)]
pub(super) struct Facts(HashMap<String, FingerprintFacts>);

// === impl ImageNames ===

impl ImageNames {
    /// Adds the images of a pod, as far as there is room.
    pub fn note(&self, pod: &Pod<'_>) {
        pod.containers().map(Container::image).for_each(|image| self.add(image));
    }

    pub(super) fn add(&self, image: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if image.len() <= NAME_MAX_BYTES && names.len() < NAMES_MAX && !names.contains(image) {
            names.insert(image.into());
        }
    }

    /// Replaces the names by those of a list of all pods.
    pub(super) fn replace<'n>(&self, images: impl Iterator<Item = &'n str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        images.for_each(|image| self.add(image));
    }

    /// Returns the images by their names: those that every cluster has, and those in use.
    pub(super) fn table(&self) -> ImageTable {
        let names: Vec<String> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|name| (**name).to_owned()).collect();
        let in_use: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let usual: Vec<KnownImage> = usual_images().filter(|image| !in_use.contains(image.name())).collect();
        ImageTable::bounded(names.into_iter().map(KnownImage::by_name).chain(usual))
    }
}

// === impl Facts ===

impl Facts {
    /// Applies a change.
    pub(super) fn apply(&mut self, event: Event<ImageFingerprint>) {
        match event {
            Event::Init => self.0.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                self.0.insert(object.name_any(), FingerprintFacts::new(&object));
            }
            Event::Delete(object) => {
                self.0.remove(&object.name_any());
            }
            Event::InitDone => {}
        }
    }

    /// Returns the images that are known on each of these architectures, by the names that everybody may know, the latest first. A name
    /// with a digest never means another image.
    pub(super) fn table(&self, architectures: &[String], now: Timestamp) -> ImageTable {
        let FingerprintNames { images, .. } = FingerprintNames::of(self.0.values());
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
            bytes += image.name().len();
            if kept.len() < IMAGES_MAX && bytes <= BYTES_MAX {
                kept.insert(image.name().to_owned(), image);
            } else {
                left_out += 1;
            }
        }
        Self { images: kept.into_values().collect(), left_out }
    }
}
