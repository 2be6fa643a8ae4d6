//! One inspection in the background, from its place in the queue to the cached lookup. Must not know who waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::cache::{CacheValue, Key};
use super::lookup::{CredentialSource, Image};
use super::state::State;
use crate::registry::error::Error;
use crate::registry::inspector::Inspection;

/// The pause after a failed inspection of an image.
const PAUSE: Duration = Duration::from_secs(60);

/// One inspection. Ends for those who wait when it is dropped, also if it is aborted or panics.
pub(super) struct InspectionTask {
    pub(super) state: Arc<State>,
    pub(super) key: Key,
    pub(super) credentials: Option<Arc<dyn CredentialSource>>,
    pub(super) _done: watch::Sender<()>,
}

// === impl InspectionTask ===

impl InspectionTask {
    /// Waits for a permit, inspects the image and caches the result.
    pub(super) async fn run(self) {
        let Self { state, key, credentials, _done } = &self;
        let Ok(_permit) = state.permits.acquire().await else { return };
        state.in_flight().waiting.retain(|(waiting, _)| waiting != key);
        let outcome = state.inspect(key, credentials.as_deref()).await;
        let count = if outcome.is_ok() { &state.counts.succeeded } else { &state.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let valid_until = || state.valid_until(&key.reference, Duration::ZERO);
        let after_pause = || Some(Instant::now() + PAUSE);
        let (value, until) = match outcome {
            Ok(Inspection { manifest: Some(digest), platform, facts, .. }) => {
                let image = Arc::new(Image { digest, platform, facts });
                state.notify(&key.reference, &image);
                (CacheValue::Image(image), valid_until())
            }
            Err(Error::NoPlatform { .. }) => (CacheValue::NoPlatform, valid_until()),
            Ok(Inspection { manifest: None, .. }) => (self.failed(), after_pause()),
            Err(error) => {
                tracing::warn!(image = &*key.reference, platform = %key.platform, %error, "cannot inspect an image");
                // An earlier result is better than none, although the tag may name another image by now.
                let earlier = state.cache.get(key).map(|entry| entry.value.clone());
                let earlier = earlier.filter(|earlier| !matches!(earlier, CacheValue::Failed { .. }));
                (earlier.unwrap_or_else(|| self.failed()), after_pause())
            }
        };
        state.store(key.clone(), value, until);
    }

    fn failed(&self) -> CacheValue {
        CacheValue::Failed { credentials: self.credentials.as_ref().map(|source| source.name().into()) }
    }
}

impl Drop for InspectionTask {
    fn drop(&mut self) {
        self.state.in_flight().pending.remove(&self.key);
    }
}
