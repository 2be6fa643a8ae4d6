//! The cache of lookups: its keys, its values, and the memory that each takes. Must not know how an image is inspected.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

use super::lookup::{CredentialSource, Image};
use crate::registry::platform::Platform;

/// The number of images that the cache is laid out for, and the memory that all of them may take. The facts of one take some KiB.
const IMAGES_ESTIMATE: usize = 10_000;
const IMAGES_BYTES: u64 = 128 << 20;

/// Lookups by reference and platform.
pub(super) type LookupCache = Cache<Key, Arc<CacheEntry>, EntryBytes>;

/// A reference, as it is written, on a platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) reference: Arc<str>,
    pub(super) platform: Platform,
}

/// A borrowed [`Key`] with the same hash.
#[derive(Hash)]
pub(super) struct KeyRef<'k> {
    pub(super) reference: &'k str,
    pub(super) platform: &'k Platform,
}

/// A cached lookup.
#[derive(Debug)]
pub(super) struct CacheEntry {
    pub(super) value: CacheValue,
    /// The time after which the registry is asked again; none for a digest.
    pub(super) until: Option<Instant>,
    /// The last notice that the image is in use, in seconds since the start.
    pub(super) notified: AtomicU64,
}

#[derive(Clone, Debug)]
pub(super) enum CacheValue {
    Image(Arc<Image>),
    NoPlatform,
    /// The inspection failed with the credentials of this source.
    Failed {
        credentials: Option<Box<str>>,
    },
}

/// Weighs a cached lookup by its memory.
#[derive(Clone, Debug)]
pub(super) struct EntryBytes;

/// Creates an empty cache.
pub(super) fn new_cache() -> LookupCache {
    Cache::with_weighter(IMAGES_ESTIMATE, IMAGES_BYTES, EntryBytes)
}

// === impl CacheEntry ===

impl CacheEntry {
    /// Returns whether the lookup is up to date, and not a failure that other credentials may avoid.
    pub(super) fn is_fresh_for(&self, credentials: Option<&Arc<dyn CredentialSource>>) -> bool {
        let now = Instant::now();
        let is_up_to_date = self.until.is_none_or(|until| now < until);
        is_up_to_date && !self.may_succeed_with(credentials)
    }

    fn may_succeed_with(&self, credentials: Option<&Arc<dyn CredentialSource>>) -> bool {
        let CacheValue::Failed { credentials: tried } = &self.value else { return false };
        credentials.is_some_and(|source| tried.as_deref() != Some(source.name()))
    }
}

// === impl EntryBytes ===

impl Weighter<Key, Arc<CacheEntry>> for EntryBytes {
    fn weight(&self, Key { reference, platform: _ }: &Key, entry: &Arc<CacheEntry>) -> u64 {
        // The cost of a slot and of the smallest entry.
        const LEAST: usize = 512;
        let value = match &entry.value {
            CacheValue::Image(image) => image.facts.bytes(),
            CacheValue::Failed { credentials } => credentials.as_ref().map_or(0, |name| name.len()),
            CacheValue::NoPlatform => 0,
        };
        (LEAST + reference.len() + value) as u64
    }
}

// === impl KeyRef ===

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, Key { reference, platform }: &Key) -> bool {
        *self.reference == **reference && self.platform == platform
    }
}
