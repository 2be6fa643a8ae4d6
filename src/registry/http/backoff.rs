//! Hosts that failed, and until when they are not contacted. Must not know what was requested.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::registry::error::Error;

/// The first pause of a host that failed, and the longest; each further failure doubles the pause.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// The most hosts whose failures are remembered.
const HOSTS_MAX: usize = 1024;

/// The hosts that failed of late.
#[derive(Default)]
pub(super) struct Backoffs(Mutex<HashMap<String, Backoff>>);

/// The pause of one host.
struct Backoff {
    failures: u32,
    until: Instant,
    problem: String,
}

// === impl Backoffs ===

impl Backoffs {
    /// Returns [`Error::BackedOff`] while the host's pause lasts.
    pub(super) fn check(&self, host: &str) -> Result<(), Error> {
        let backoffs = self.lock();
        let Some(Backoff { until, problem, .. }) = backoffs.get(host) else { return Ok(()) };
        let after = until.saturating_duration_since(Instant::now());
        if after.is_zero() {
            return Ok(());
        }
        Err(Error::BackedOff { host: host.to_owned(), problem: problem.clone(), after })
    }

    /// Starts the host's next pause and returns its length: the one that the host asked for, or twice the last.
    pub(super) fn start(&self, host: &str, error: &Error, asked: Option<Duration>) -> Duration {
        let mut backoffs = self.lock();
        if backoffs.len() >= HOSTS_MAX && !backoffs.contains_key(host) {
            let now = Instant::now();
            backoffs.retain(|_, backoff| backoff.until > now);
            if backoffs.len() >= HOSTS_MAX {
                backoffs.clear();
            }
        }
        let failures = backoffs.get(host).map_or(0, |backoff| backoff.failures);
        let pause = asked.unwrap_or_else(|| (PAUSE_FIRST * 2_u32.saturating_pow(failures.min(16))).min(PAUSE_MAX));
        let backoff = Backoff { failures: failures + 1, until: Instant::now() + pause, problem: error.to_string() };
        backoffs.insert(host.to_owned(), backoff);
        pause
    }

    /// Forgets the failures of a host that answered.
    pub(super) fn clear(&self, host: &str) {
        self.lock().remove(host);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Backoff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
