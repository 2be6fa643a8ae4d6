//! Blocking work on threads of its own, which ends soon after nobody waits for its result any more: at the end of an inspection's time,
//! or of the process. Must not know what the work is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::error::Error;

/// Blocking work on a thread of its own. Dropping this cancels the work.
pub(super) struct Blocking<T> {
    handle: JoinHandle<Result<T, Error>>,
    is_cancelled: Arc<AtomicBool>,
}

/// Runs blocking work, and waits for its result. The work gets a flag, which is true when it should end.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    Blocking::start(work).result().await
}

// === impl Blocking ===

impl<T: Send + 'static> Blocking<T> {
    /// Starts blocking work.
    pub(super) fn start(work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static) -> Self {
        let is_cancelled = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&is_cancelled);
        Self { handle: tokio::task::spawn_blocking(move || work(&seen)), is_cancelled }
    }

    /// Waits for the result.
    pub(super) async fn result(mut self) -> Result<T, Error> {
        (&mut self.handle).await.map_err(|_| Error::Cancelled)?
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }
}
