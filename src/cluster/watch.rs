//! Whether what is known of the cluster is up to date. A watch that works tells of a change as it happens; one that broke tells of
//! none until it is begun again. Must not know what is watched.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a watch of the cluster is.
#[derive(Clone, Debug)]
pub struct WatchHealth {
    resource: &'static str,
    /// Since when it is broken; from the start, as nothing is known then.
    broken: Arc<Mutex<Option<Instant>>>,
}

// === impl WatchHealth ===

impl WatchHealth {
    pub(super) fn new(resource: &'static str) -> Self {
        Self { resource, broken: Arc::new(Mutex::new(Some(Instant::now()))) }
    }

    /// What is watched, in the plural: `namespaces`.
    pub const fn resource(&self) -> &'static str {
        self.resource
    }

    /// For how long nothing may have been heard of what changed; nothing while the watch works.
    pub fn down_for(&self) -> Duration {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Notes whether it works.
    pub(super) fn record(&self, works: bool) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        *broken = if works { None } else { broken.or(Some(Instant::now())) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_from_when_it_broke_first_until_it_works() {
        let watch = WatchHealth::new("namespaces");
        watch.record(true);
        assert_eq!(watch.down_for(), Duration::ZERO);
        watch.record(false);
        let since = *watch.broken.lock().unwrap();
        watch.record(false);
        assert_eq!(*watch.broken.lock().unwrap(), since);
    }
}
