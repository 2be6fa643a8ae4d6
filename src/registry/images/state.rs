//! The state that lookups and inspections share: the cache, the declarations, and the inspections in flight. Must not know the tasks
//! that inspect.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::cache::{CacheEntry, CacheValue, Key, LookupCache, new_cache};
use super::lookup::{CredentialSource, Image, ImageUse, InspectionCounts, InspectionLimits, Lookup};
use crate::image::Reference;
use crate::registry::digest::Digest;
use crate::registry::error::Error;
use crate::registry::http::Client;
use crate::registry::inspector::{Depth, ImageSource, Inspection, Inspector};
use crate::registry::limits::Limits;
use crate::registry::remote::Remote;
use crate::resolver::Resolver;

/// The memory for facts of layers that several images share.
const LAYERS_BYTES: u64 = 8 << 20;
/// The time after which an image in use is notified again.
const NOTIFY_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);

/// The shared state.
#[derive(Debug)]
pub(super) struct State {
    client: Arc<Client>,
    inspector: Inspector,
    pub(super) limits: InspectionLimits,
    pub(super) cache: LookupCache,
    declared: RwLock<HashMap<Digest, Resolver>>,
    is_any_declared: AtomicBool,
    in_flight: Mutex<InFlight>,
    pub(super) permits: Semaphore,
    pub(super) counts: InspectionCounts,
    pub(super) subscriber: OnceLock<mpsc::Sender<ImageUse>>,
    started: Instant,
}

/// The inspections that have not ended.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Receivers that close when an inspection ends or is dropped.
    pub(super) pending: HashMap<Key, watch::Receiver<()>>,
    /// The inspections that have not begun, the oldest first.
    pub(super) waiting: VecDeque<(Key, AbortHandle)>,
}

// === impl State ===

impl State {
    pub(super) fn new(client: Client, limits: Limits, inspections: InspectionLimits) -> Self {
        Self {
            client: Arc::new(client),
            inspector: Inspector::new(limits, LAYERS_BYTES),
            permits: Semaphore::new(inspections.at_once),
            limits: inspections,
            cache: new_cache(),
            declared: RwLock::default(),
            is_any_declared: AtomicBool::new(false),
            in_flight: Mutex::default(),
            counts: InspectionCounts::default(),
            subscriber: OnceLock::new(),
            started: Instant::now(),
        }
    }

    pub(super) fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inspects an image.
    pub(super) async fn inspect(
        &self,
        key: &Key,
        credentials: Option<&dyn CredentialSource>,
    ) -> Result<Inspection, Error> {
        let Key { reference, platform } = key;
        let reference = Reference::parse(reference)?;
        let client = match credentials {
            Some(source) => Arc::new(self.client.with_credentials(source.credentials().await)),
            None => Arc::clone(&self.client),
        };
        let source = ImageSource::Remote(Arc::new(Remote::new(client, &reference)?));
        // A pod may bring a command of its own, so the whole image is read.
        self.inspector.inspect(&source, platform, Depth::Whole).await
    }

    /// Caches a lookup.
    pub(super) fn store(&self, key: Key, value: CacheValue, until: Option<Instant>) {
        let notified = self.seconds_since_start().into();
        self.cache.insert(key, Arc::new(CacheEntry { value, until, notified }));
    }

    /// Returns the time until which a reference that named an image `age` ago is assumed to name it; `None`, for ever, with a digest.
    pub(super) fn valid_until(&self, reference: &str, age: Duration) -> Option<Instant> {
        let is_digest = reference.contains('@');
        (!is_digest).then(|| Instant::now() + self.limits.tag_ttl.saturating_sub(age))
    }

    /// Replaces the declarations.
    pub(super) fn set_declared(&self, declared: HashMap<Digest, Resolver>) {
        self.is_any_declared.store(!declared.is_empty(), Ordering::Relaxed);
        *self.declared.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }

    /// Returns the declaration for the digest in the reference, which may be that of an index, or else for the image's digest.
    pub(super) fn declared(&self, reference: &str, entry: Option<&CacheEntry>) -> Option<Lookup> {
        if !self.is_any_declared.load(Ordering::Relaxed) {
            return None;
        }
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        let inspected = match entry.map(|entry| &entry.value) {
            Some(CacheValue::Image(image)) => Some(image.digest.clone()),
            _ => None,
        };
        let named = reference.split_once('@').and_then(|(_, digest)| digest.parse().ok());
        [named, inspected].into_iter().flatten().find_map(|digest: Digest| {
            let resolver = declared.get(&digest)?;
            Some(Lookup::Declared(*resolver, digest))
        })
    }

    /// Notifies the subscriber that an image is in use, unless that happened of late.
    pub(super) fn notify_use(&self, reference: &str, entry: &CacheEntry, image: &Arc<Image>) {
        if self.subscriber.get().is_none() {
            return;
        }
        let now = self.seconds_since_start();
        if now.saturating_sub(entry.notified.load(Ordering::Relaxed)) >= NOTIFY_AGAIN.as_secs() {
            entry.notified.store(now, Ordering::Relaxed);
            self.notify(&reference.into(), image);
        }
    }

    /// Notifies the subscriber, if there is one and it has room.
    pub(super) fn notify(&self, reference: &Arc<str>, image: &Arc<Image>) {
        if let Some(subscriber) = self.subscriber.get() {
            let _ = subscriber.try_send(ImageUse { reference: Arc::clone(reference), image: Arc::clone(image) });
        }
    }

    fn seconds_since_start(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}
