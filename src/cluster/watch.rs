//! A watch of the Kubernetes API that is retried for ever, and its health. Must not know what is watched, or why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watch_object, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// The health of one watch, shared by its owner and the metrics.
#[derive(Clone, Debug)]
pub struct WatchHealth {
    resource: &'static str,
    /// When the watch broke; the time of creation until the first success.
    broken_since: Arc<Mutex<Option<Instant>>>,
}

/// A watch that retries with growing pauses, records its health, and logs the first of several failures.
pub(super) struct Watch<T> {
    changes: BoxStream<'static, Result<T, watcher::Error>>,
    /// Returns whether a change comes from the API server.
    is_from_server: fn(&T) -> bool,
    health: WatchHealth,
    /// The log's note about muslin's behaviour while the watch fails.
    meanwhile: &'static str,
    has_failed: bool,
}

/// The watch failed, and will be retried by the next call of [`Watch::next`].
#[derive(Debug)]
pub(super) struct WatchFailed;

// === impl WatchHealth ===

impl WatchHealth {
    pub(super) fn new(resource: &'static str) -> Self {
        Self { resource, broken_since: Arc::new(Mutex::new(Some(Instant::now()))) }
    }

    /// The watched resource, in the plural: `namespaces`.
    pub const fn resource(&self) -> &'static str {
        self.resource
    }

    /// Returns for how long changes may have been missed; zero while the watch works.
    pub fn down_for(&self) -> Duration {
        let broken_since = self.broken_since.lock().unwrap_or_else(PoisonError::into_inner);
        broken_since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Records a success or a failure of the watch.
    pub(super) fn record(&self, works: bool) {
        let mut broken_since = self.broken_since.lock().unwrap_or_else(PoisonError::into_inner);
        *broken_since = if works { None } else { broken_since.or(Some(Instant::now())) };
    }
}

// === impl Watch ===

impl<K> Watch<Event<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    /// Watches all objects of an API. `meanwhile` tells the log what muslin does while the watch fails.
    pub(super) fn all(api: Api<K>, config: watcher::Config, health: WatchHealth, meanwhile: &'static str) -> Self {
        Self {
            changes: watcher(api, config).default_backoff().boxed(),
            // The client emits `Init` before it sends the list request.
            is_from_server: |event| !matches!(event, Event::Init),
            health,
            meanwhile,
            has_failed: false,
        }
    }
}

impl<K> Watch<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    /// Watches one object by its name; `None` is its absence.
    pub(super) fn object(api: Api<K>, name: &str, health: WatchHealth, meanwhile: &'static str) -> Self {
        Self {
            changes: watch_object(api, name).default_backoff().boxed(),
            is_from_server: |_| true,
            health,
            meanwhile,
            has_failed: false,
        }
    }
}

impl<T> Watch<T> {
    /// Waits for the next change. Dropping the future loses no change.
    ///
    /// # Errors
    /// The watch failed, which is recorded and logged. Known objects stay the best knowledge.
    pub(super) async fn next(&mut self) -> Result<T, WatchFailed> {
        match self.changes.next().await {
            Some(Ok(change)) => {
                if (self.is_from_server)(&change) {
                    self.health.record(true);
                    self.has_failed = false;
                }
                Ok(change)
            }
            Some(Err(error)) => {
                self.health.record(false);
                if !std::mem::replace(&mut self.has_failed, true) {
                    let Self { health, meanwhile, .. } = self;
                    tracing::warn!(resource = health.resource(), %error, "a watch failed and is retried; {meanwhile}");
                }
                Err(WatchFailed)
            }
            // kube's watchers never end.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn counts_downtime_from_the_first_failure_until_the_next_success() {
        let health = WatchHealth::new("namespaces");
        health.record(true);
        assert_eq!(health.down_for(), Duration::ZERO);
        health.record(false);
        let since = *health.broken_since.lock().unwrap();
        health.record(false);
        assert_eq!(*health.broken_since.lock().unwrap(), since);
    }

    /// Each attempt to list begins with `Init`, whether or not the API server answers.
    #[tokio::test]
    async fn stays_down_while_each_attempt_to_list_fails() {
        let health = WatchHealth::new("configmaps");
        let attempt = || [Ok(Event::<ConfigMap>::Init), Err(watcher::Error::NoResourceVersion)];
        let mut watch = Watch {
            changes: futures::stream::iter(attempt().into_iter().chain(attempt())).boxed(),
            is_from_server: |event| !matches!(event, Event::Init),
            health: health.clone(),
            meanwhile: "",
            has_failed: false,
        };
        let mut since = Vec::new();
        for _ in 0..4 {
            let _ = watch.next().await;
            since.push(*health.broken_since.lock().unwrap());
        }
        assert!(since[0].is_some() && since.iter().all(|at| *at == since[0]), "{since:?}");
    }
}
