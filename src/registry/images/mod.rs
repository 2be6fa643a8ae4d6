//! Lookups of images for pods. A cached lookup returns at once; any other starts an inspection in a task of its own, and the caller
//! waits no longer than its deadline. A subscriber is notified of each inspected image, and can restore it later. Must not know
//! Kubernetes, nor the use of the facts.

mod cache;
mod inspection_task;
mod lookup;
mod queue;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

pub use self::lookup::{CredentialSource, Image, ImageUse, InspectionCounts, InspectionLimits, Lookup, Requester};

use self::cache::{CONTENTS_MAX_BYTES, CacheValue, KeyRef, LOOKUPS_MAX_BYTES};
use self::inspection_task::InspectionTask;
use self::state::{INSPECTION_MAX_BYTES, LARGE_INSPECTION_MAX_BYTES, LAYERS_MAX_BYTES, State};
use super::digest::Digest;
use super::http::Client;
use super::limits::Limits;
use super::platform::Platform;
use crate::image::Reference;
use crate::resolver::Resolver;

/// The longest reference that is looked up, in bytes. Registries accept names of 255 characters (distribution/reference).
const REFERENCE_MAX_BYTES: usize = 512;

/// Looks images up, and inspects those that are not cached.
#[derive(Clone, Debug)]
pub struct Images(Arc<State>);

// === impl Images ===

impl Images {
    /// Nothing is cached and no registry is contacted yet.
    pub fn new(client: Client, limits: Limits, inspections: InspectionLimits) -> Self {
        Self(Arc::new(State::new(client, limits, inspections)))
    }

    /// Returns the most memory that the caches and this many concurrent inspections take, in bytes.
    pub const fn memory_max_bytes(at_once: usize) -> u64 {
        let caches = LOOKUPS_MAX_BYTES + CONTENTS_MAX_BYTES + LAYERS_MAX_BYTES;
        caches + at_once.saturating_sub(1) as u64 * INSPECTION_MAX_BYTES + LARGE_INSPECTION_MAX_BYTES
    }

    /// Looks each reference up for the platform beside it, in order; `None` without a result by the deadline. Images that are not
    /// cached are inspected with the requester's credentials, and the inspection continues after the deadline.
    pub async fn look_up(
        &self,
        wanted: &[(&str, &Platform)],
        requester: &Requester<'_>,
        deadline: Instant,
    ) -> Vec<Option<Lookup>> {
        let request = |(reference, platform): &(&str, &Platform)| self.request(reference, platform, requester);
        let requested: Vec<_> = wanted.iter().filter_map(request).collect();
        for mut pending in requested {
            // The sender sends nothing; it closes when the inspection ends.
            if timeout_at(deadline, pending.changed()).await.is_err() {
                break;
            }
        }
        let lookup = |(reference, platform): &(&str, &Platform)| {
            let user = Some(requester.namespace).filter(|_| !requester.is_dry_run);
            self.cached_lookup(reference, platform, requester.reader(), user)
        };
        let lookups: Vec<Option<Lookup>> = wanted.iter().map(lookup).collect();
        let hits = lookups.iter().flatten().count();
        self.counts().hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.counts().misses.fetch_add((lookups.len() - hits) as u64, Ordering::Relaxed);
        lookups
    }

    /// Returns the cached lookups for credentials of this identity, without an inspection.
    pub fn cached(&self, wanted: &[(&str, &Platform)], reader: Option<&str>) -> Vec<Option<Lookup>> {
        wanted.iter().map(|(reference, platform)| self.cached_lookup(reference, platform, reader, None)).collect()
    }

    /// Returns whether an image is cached for credentials of this identity.
    pub fn is_cached(&self, reference: &str, platform: &Platform, reader: Option<&str>) -> bool {
        let is_cached = |reader| self.0.lookups.contains_key(&KeyRef { reference, platform, reader });
        is_cached(None) || is_cached(reader)
    }

    /// Inspects an image unless it is cached, and waits until that is done.
    pub async fn inspect_now(&self, reference: &str, platform: &Platform, requester: &Requester<'_>) {
        if let Some(mut pending) = self.request(reference, platform, requester) {
            let _ = pending.changed().await;
        }
    }

    /// Caches an image that credentials of this identity, or everybody, read `age` ago.
    pub fn restore(&self, reference: &str, image: Arc<Image>, reader: Option<&str>, age: Duration) {
        let Self(state) = self;
        let platform = &image.platform.without_variant();
        let Ok(parsed) = Reference::parse(reference) else { return };
        let key = KeyRef { reference, platform, reader }.to_key();
        let until = state.valid_until(&key, age);
        let content = state::content_key(&parsed, &image.digest);
        state.contents.insert(content.clone(), image);
        state.store(key, CacheValue::Image(content), until, true);
    }

    /// Removes a lookup from the cache, so that the image is inspected again.
    pub fn forget(&self, reference: &str, platform: &Platform, reader: Option<&str>) {
        self.0.lookups.remove(&KeyRef { reference, platform, reader });
    }

    /// Replaces the administrators' declarations of resolvers, by the digest of an image.
    pub fn set_declared(&self, declared: HashMap<Digest, Resolver>) {
        self.0.set_declared(declared);
    }

    /// Notifies this sender from now on of inspected images and of their use. Notices for which it has no room are dropped. Only the
    /// first sender counts.
    pub fn notify(&self, subscriber: mpsc::Sender<ImageUse>) {
        let _ = self.0.subscriber.set(subscriber);
    }

    /// Returns the counts of inspections and lookups.
    pub fn counts(&self) -> &InspectionCounts {
        &self.0.counts
    }

    /// Returns the number of cached lookups.
    pub fn len(&self) -> usize {
        self.0.lookups.len()
    }

    /// Returns whether no lookup is cached.
    pub fn is_empty(&self) -> bool {
        self.0.lookups.len() == 0
    }

    /// Returns the number of inspections that have not begun.
    pub fn waiting(&self) -> usize {
        self.0.queue().waiting()
    }

    /// Returns what everybody knows of a reference, or else what credentials of this identity do. With a `user`, the namespace of a
    /// pod, the subscriber is notified that the image is in use.
    fn cached_lookup(
        &self,
        reference: &str,
        platform: &Platform,
        reader: Option<&str>,
        user: Option<&str>,
    ) -> Option<Lookup> {
        let Self(state) = self;
        let find = |reader| {
            let key = KeyRef { reference, platform, reader };
            Some((key, state.lookups.get(&key).filter(|entry| entry.is_known())?))
        };
        let found = find(None).or_else(|| find(Some(reader?)));
        if let Some(declared) = state.declared(reference, found.as_ref().map(|(_, entry)| &**entry)) {
            return Some(declared);
        }
        let (key, entry) = found?;
        match &entry.value {
            CacheValue::Image(content) => {
                let Some(image) = state.contents.get(content) else {
                    // The facts gave way to others.
                    state.lookups.remove(&key);
                    return None;
                };
                if let Some(user) = user {
                    state.notify_use(key, &entry, user, &image);
                }
                Some(Lookup::Image(image))
            }
            CacheValue::NoPlatform => Some(Lookup::NoPlatform),
            CacheValue::Failed => None,
        }
    }

    /// Requests an inspection unless the lookup is cached; the receiver closes when the inspection is done.
    fn request(&self, reference: &str, platform: &Platform, requester: &Requester<'_>) -> Option<watch::Receiver<()>> {
        let Self(state) = self;
        if reference.len() > REFERENCE_MAX_BYTES {
            return None;
        }
        let everybody = KeyRef { reference, platform, reader: None };
        let public = state.lookups.get(&everybody);
        let key = match (public, requester.reader()) {
            (Some(entry), _) if entry.is_known() && entry.is_fresh() => return None,
            // What everybody knew is asked for again without credentials.
            (Some(entry), _) if entry.is_known() => everybody,
            (Some(entry), None) if entry.is_fresh() => return None,
            (_, None) => everybody,
            (_, reader) => KeyRef { reader, ..everybody },
        };
        if key.reader.is_some() && state.lookups.get(&key).is_some_and(|entry| entry.is_fresh()) {
            return None;
        }
        let registry = Reference::parse(reference).map(|reference| reference.registry().to_owned()).unwrap_or_default();
        let (pending, dropped) = state.queue().add(&key.to_key(), &registry, requester, &state.limits);
        state.counts.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        InspectionTask::start_waiting(state);
        Some(pending)
    }
}
