//! The two caches behind lookups, and the memory that each may take: which image a reference names, for those who may read it, and the
//! facts of images. Must not know how an image is inspected.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

use super::lookup::Image;
use crate::registry::digest::Digest;
use crate::registry::platform::Platform;

/// The number of images that the caches are laid out for.
const IMAGES_ESTIMATE: usize = 10_000;
/// The memory for lookups, in bytes. One takes some 800 bytes.
pub(super) const LOOKUPS_MAX_BYTES: u64 = 8 << 20;
/// The memory for the facts of all images, in bytes. The facts of one take 2 to 8 KiB.
pub(super) const CONTENTS_MAX_BYTES: u64 = 24 << 20;

/// Lookups by reference, platform and reader.
pub(super) type LookupCache = Cache<Key, Arc<CacheEntry>, EntryBytes>;

/// Images by repository and digest.
pub(super) type ContentCache = Cache<ContentKey, Arc<Image>, EntryBytes>;

/// A reference, as it is written, on a platform, for those who may know what it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) reference: Arc<str>,
    pub(super) platform: Platform,
    /// The identity of the credentials that read the image; `None` if everybody may read it.
    pub(super) reader: Option<Arc<str>>,
}

/// A borrowed [`Key`] with the same hash.
#[derive(Clone, Copy, Hash)]
pub(super) struct KeyRef<'k> {
    pub(super) reference: &'k str,
    pub(super) platform: &'k Platform,
    pub(super) reader: Option<&'k str>,
}

/// An image in a repository. Who can read the manifest there can read the whole image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ContentKey {
    /// Such as `docker.io/library/alpine`.
    pub(super) repository: Arc<str>,
    /// The digest of the manifest.
    pub(super) digest: Digest,
}

/// A cached lookup.
#[derive(Debug)]
pub(super) struct CacheEntry {
    pub(super) value: CacheValue,
    /// The time after which the registry is asked again; none for a digest that everybody may read.
    pub(super) until: Option<Instant>,
    /// The last notice that the image is in use, in seconds since the start plus one; 0 before the first.
    pub(super) notified: AtomicU64,
}

#[derive(Clone, Debug)]
pub(super) enum CacheValue {
    Image(ContentKey),
    NoPlatform,
    /// The inspection failed.
    Failed,
}

/// Weighs a cached value by its memory.
#[derive(Clone, Debug)]
pub(super) struct EntryBytes;

/// Creates an empty cache of lookups.
pub(super) fn new_lookups() -> LookupCache {
    Cache::with_weighter(IMAGES_ESTIMATE, LOOKUPS_MAX_BYTES, EntryBytes)
}

/// Creates an empty cache of images.
pub(super) fn new_contents() -> ContentCache {
    Cache::with_weighter(IMAGES_ESTIMATE, CONTENTS_MAX_BYTES, EntryBytes)
}

// === impl CacheEntry ===

impl CacheEntry {
    /// Returns whether the lookup is up to date.
    pub(super) fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Returns whether the lookup has a result.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self.value, CacheValue::Failed)
    }
}

// === impl EntryBytes ===

/// The memory of a slot and of the smallest entry, in bytes.
const LEAST_BYTES: usize = 512;

impl Weighter<Key, Arc<CacheEntry>> for EntryBytes {
    fn weight(&self, Key { reference, platform: _, reader }: &Key, entry: &Arc<CacheEntry>) -> u64 {
        let value = match &entry.value {
            CacheValue::Image(ContentKey { repository, digest }) => repository.len() + digest.as_str().len(),
            CacheValue::NoPlatform | CacheValue::Failed => 0,
        };
        (LEAST_BYTES + reference.len() + reader.as_ref().map_or(0, |reader| reader.len()) + value) as u64
    }
}

impl Weighter<ContentKey, Arc<Image>> for EntryBytes {
    fn weight(&self, ContentKey { repository, digest }: &ContentKey, image: &Arc<Image>) -> u64 {
        (LEAST_BYTES + repository.len() + digest.as_str().len() + image.facts.bytes()) as u64
    }
}

// === impl KeyRef ===

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, Key { reference, platform, reader }: &Key) -> bool {
        *self.reference == **reference && self.platform == platform && self.reader == reader.as_deref()
    }
}

impl KeyRef<'_> {
    /// Returns the key with its own memory.
    pub(super) fn to_key(self) -> Key {
        let Self { reference, platform, reader } = self;
        Key { reference: reference.into(), platform: platform.clone(), reader: reader.map(Into::into) }
    }
}
