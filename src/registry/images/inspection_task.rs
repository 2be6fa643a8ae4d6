//! One inspection in the background, from its place to the cached lookup. Must not know who waits for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::cache::{CacheValue, Key};
use super::queue::Started;
use super::state::{Found, State};
use crate::image::Reference;
use crate::registry::error::Error;

/// The pause after a failed inspection of an image.
const PAUSE: Duration = Duration::from_secs(60);

/// One inspection. Ends for those who wait when it is dropped, also if it is aborted or panics.
pub(super) struct InspectionTask {
    state: Arc<State>,
    started: Started,
}

// === impl InspectionTask ===

impl InspectionTask {
    /// Starts as many inspections as there are places.
    pub(super) fn start_waiting(state: &Arc<State>) {
        loop {
            let next = state.queue().next(&state.limits);
            let Some(started) = next else { return };
            tokio::spawn(Self { state: Arc::clone(state), started }.run());
        }
    }

    /// Inspects the image, caches the result, and starts those that wait for the place.
    async fn run(self) {
        // The runtime logs a panic.
        let _ = AssertUnwindSafe(self.inspect()).catch_unwind().await;
        let state = Arc::clone(&self.state);
        drop(self);
        Self::start_waiting(&state);
    }

    async fn inspect(&self) {
        let Self { state, started: Started { key, credentials } } = self;
        let outcome = tokio::select! {
            outcome = state.inspect(key, credentials.as_deref()) => outcome,
            error = state.run_out_of_patience() => Err(error),
        };
        let count = if outcome.is_ok() { &state.counts.succeeded } else { &state.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(Found { reader, content, image }) => {
                let key = Key { reader, ..key.clone() };
                let until = state.valid_until(&key, Duration::ZERO);
                state.contents.insert(content.clone(), Arc::clone(&image));
                let user = state.queue().user(&self.started.key);
                state.store(key.clone(), CacheValue::Image(content), until, user.is_some());
                if let Some(namespace) = user {
                    state.notify(&key, namespace, &image);
                }
            }
            Err(Error::NoPlatform { .. }) => {
                let until = state.valid_until(key, Duration::ZERO);
                state.store(key.clone(), CacheValue::NoPlatform, until, false);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&self, error: &Error) {
        let Self { state, started: Started { key, credentials: _ } } = self;
        let registry = Reference::parse(&key.reference).map_or_else(|_| "", |reference| reference.registry());
        let unreachable = error.is_unreachable();
        // `muslin doctor` reads the fields in the log.
        tracing::warn!(
            image = &*key.reference, platform = %key.platform, registry, unreachable, %error, "cannot inspect an image"
        );
        // An earlier result is better than none, although the tag may name another image by now; but not for credentials that no longer
        // read the image.
        let is_denied = matches!(error, Error::Unauthorized { .. } | Error::NotFound { .. });
        let earlier = state.lookups.get(key).filter(|_| key.reader.is_none() || !is_denied);
        let value = earlier.map_or(CacheValue::Failed, |entry| entry.value.clone());
        state.store(key.clone(), value, Some(Instant::now() + PAUSE), true);
    }
}

impl Drop for InspectionTask {
    fn drop(&mut self) {
        self.state.queue().end(&self.started.key);
    }
}
