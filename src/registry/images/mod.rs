//! Lookups of images for pods. A cached lookup returns at once; any other starts an inspection in a task of its own, and the caller
//! waits no longer than its deadline. A subscriber is notified of each inspected image, and can restore it later. Must not know
//! Kubernetes, nor the use of the facts.

mod cache;
mod inspection_task;
mod lookup;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

pub use self::lookup::{CredentialSource, Image, ImageUse, InspectionCounts, InspectionLimits, Lookup};

use self::cache::{CacheValue, Key, KeyRef};
use self::inspection_task::InspectionTask;
use self::state::State;
use super::digest::Digest;
use super::http::Client;
use super::limits::Limits;
use super::platform::Platform;
use crate::resolver::Resolver;

/// Looks images up, and inspects those that are not cached.
#[derive(Clone, Debug)]
pub struct Images(Arc<State>);

// === impl Images ===

impl Images {
    /// Nothing is cached and no registry is contacted yet.
    pub fn new(client: Client, limits: Limits, inspections: InspectionLimits) -> Self {
        Self(Arc::new(State::new(client, limits, inspections)))
    }

    /// Looks each reference up for the platform beside it, in order; `None` without a result by the deadline. Images that are not
    /// cached are inspected with the credentials, and the inspection continues after the deadline.
    pub async fn look_up(
        &self,
        wanted: &[(&str, &Platform)],
        credentials: Option<&Arc<dyn CredentialSource>>,
        deadline: Instant,
    ) -> Vec<Option<Lookup>> {
        let request = |(reference, platform): &(&str, &Platform)| self.request(reference, platform, credentials);
        let requested: Vec<_> = wanted.iter().filter_map(request).collect();
        for mut pending in requested {
            // The sender sends nothing; it closes when the inspection ends.
            if timeout_at(deadline, pending.changed()).await.is_err() {
                break;
            }
        }
        let lookups = self.cached(wanted);
        let hits = lookups.iter().flatten().count();
        self.counts().hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.counts().misses.fetch_add((lookups.len() - hits) as u64, Ordering::Relaxed);
        lookups
    }

    /// Returns the cached lookups, without an inspection.
    pub fn cached(&self, wanted: &[(&str, &Platform)]) -> Vec<Option<Lookup>> {
        wanted.iter().map(|(reference, platform)| self.cached_lookup(reference, platform)).collect()
    }

    /// Returns whether an image is cached.
    pub fn is_cached(&self, reference: &str, platform: &Platform) -> bool {
        self.0.cache.contains_key(&KeyRef { reference, platform })
    }

    /// Inspects an image unless it is cached, and waits until that is done.
    pub async fn inspect_now(
        &self,
        reference: &str,
        platform: &Platform,
        credentials: Option<&Arc<dyn CredentialSource>>,
    ) {
        if let Some(mut pending) = self.request(reference, platform, credentials) {
            let _ = pending.changed().await;
        }
    }

    /// Caches an image that was inspected `age` ago.
    pub fn restore(&self, reference: &str, image: Arc<Image>, age: Duration) {
        let Self(state) = self;
        let platform = image.platform.without_variant();
        let until = state.valid_until(reference, age);
        state.store(Key { reference: reference.into(), platform }, CacheValue::Image(image), until);
    }

    /// Removes a lookup from the cache, so that the image is inspected again.
    pub fn forget(&self, reference: &str, platform: &Platform) {
        self.0.cache.remove(&KeyRef { reference, platform });
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
        self.0.cache.len()
    }

    /// Returns whether no lookup is cached.
    pub fn is_empty(&self) -> bool {
        self.0.cache.len() == 0
    }

    /// Returns the number of inspections that have not begun.
    pub fn waiting(&self) -> usize {
        self.0.in_flight().waiting.len()
    }

    fn cached_lookup(&self, reference: &str, platform: &Platform) -> Option<Lookup> {
        let Self(state) = self;
        let entry = state.cache.get(&KeyRef { reference, platform });
        if let Some(declared) = state.declared(reference, entry.as_deref()) {
            return Some(declared);
        }
        let entry = entry?;
        match &entry.value {
            CacheValue::Image(image) => {
                state.notify_use(reference, &entry, image);
                Some(Lookup::Image(Arc::clone(image)))
            }
            CacheValue::NoPlatform => Some(Lookup::NoPlatform),
            CacheValue::Failed { .. } => None,
        }
    }

    /// Starts an inspection unless the lookup is cached; the receiver closes when the inspection is done.
    fn request(
        &self,
        reference: &str,
        platform: &Platform,
        credentials: Option<&Arc<dyn CredentialSource>>,
    ) -> Option<watch::Receiver<()>> {
        let Self(state) = self;
        let cached = state.cache.get(&KeyRef { reference, platform });
        if cached.is_some_and(|entry| entry.is_fresh_for(credentials)) {
            return None;
        }
        let mut in_flight = state.in_flight();
        let key = Key { reference: reference.into(), platform: platform.clone() };
        if let Some(pending) = in_flight.pending.get(&key) {
            return Some(pending.clone());
        }
        let (done, pending) = watch::channel(());
        in_flight.pending.insert(key.clone(), pending.clone());
        let credentials = credentials.cloned();
        let task = InspectionTask { state: Arc::clone(state), key: key.clone(), credentials, _done: done };
        let task = tokio::spawn(task.run()).abort_handle();
        in_flight.waiting.push_back((key, task));
        let excess = in_flight.waiting.len().saturating_sub(state.limits.queue);
        let dropped: Vec<_> = in_flight.waiting.drain(..excess).collect();
        drop(in_flight);
        for (_, task) in dropped {
            task.abort();
            state.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Some(pending)
    }
}
