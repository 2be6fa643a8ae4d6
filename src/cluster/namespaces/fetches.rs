//! The limits of fetches of single namespaces: a rate, and a short memory of namespaces that do not exist. Must not know how a namespace
//! is fetched.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Fetches at once. A watch is some milliseconds behind, so only namespaces made within those are fetched.
pub(super) const BURST: f64 = 50.0;

/// Fetches a second after that. kube-controller-manager makes 20 requests a second by default (`--kube-api-qps`).
pub(super) const PER_SECOND: f64 = 20.0;

/// The time for which a missing namespace is not fetched again. The watch brings one that is made meanwhile.
pub(super) const MISSING_FOR: Duration = Duration::from_secs(5);

/// The most missing namespaces that are remembered; a name has at most 63 bytes.
const MISSING_MAX: usize = 512;

/// The longest name of a namespace (a DNS label); longer ones cannot exist.
const NAME_MAX: usize = 63;

/// The recent fetches.
#[derive(Debug, Default)]
pub(super) struct Fetches(Mutex<Recent>);

#[derive(Debug)]
struct Recent {
    /// Fetches that may start now.
    tokens: f64,
    counted_at: Instant,
    /// Namespaces that did not exist, and until when that is believed.
    missing: HashMap<Box<str>, Instant>,
}

// === impl Fetches ===

impl Fetches {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether another fetch may start, and counts it.
    pub(super) fn may_start(&self) -> bool {
        let mut recent = self.recent();
        let now = Instant::now();
        let earned = now.duration_since(recent.counted_at).as_secs_f64() * PER_SECOND;
        recent.tokens = (recent.tokens + earned).min(BURST);
        recent.counted_at = now;
        let may_start = recent.tokens >= 1.0;
        if may_start {
            recent.tokens -= 1.0;
        }
        may_start
    }

    /// Returns whether the namespace did not exist a moment ago, or cannot exist.
    pub(super) fn is_missing(&self, name: &str) -> bool {
        !is_label(name) || self.recent().missing.get(name).is_some_and(|until| Instant::now() < *until)
    }

    /// Remembers for a moment that the namespace does not exist.
    pub(super) fn remember_missing(&self, name: &str) {
        let mut recent = self.recent();
        let now = Instant::now();
        if recent.missing.len() >= MISSING_MAX {
            recent.missing.retain(|_, until| now < *until);
        }
        // At most 150 are fetched while one is remembered, so this is for the memory's sake only.
        if recent.missing.len() < MISSING_MAX {
            recent.missing.insert(name.into(), now + MISSING_FOR);
        }
    }

    /// Forgets a namespace that exists now.
    pub(super) fn forget_missing(&self, name: &str) {
        self.recent().missing.remove(name);
    }
}

/// Returns whether a namespace can have this name (a DNS label).
fn is_label(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

// === impl Recent ===

impl Default for Recent {
    fn default() -> Self {
        Self { tokens: BURST, counted_at: Instant::now(), missing: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fetches_have_a_burst_and_a_rate() {
        let fetches = Fetches::default();
        let started = || std::iter::repeat_with(|| fetches.may_start()).take_while(|may_start| *may_start).count();
        assert_eq!(started(), BURST as usize);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(started(), PER_SECOND as usize);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(started(), BURST as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_missing_namespaces_is_short_and_bounded() {
        let fetches = Fetches::default();
        for number in 0..2 * MISSING_MAX {
            fetches.remember_missing(&format!("invented-{number}"));
        }
        assert_eq!(fetches.recent().missing.len(), MISSING_MAX);
        assert!(fetches.is_missing("invented-0"));
        fetches.forget_missing("invented-0");
        assert!(!fetches.is_missing("invented-0") && fetches.is_missing("invented-1"));
        tokio::time::advance(MISSING_FOR).await;
        assert!(!fetches.is_missing("invented-1"));
    }

    #[test]
    fn a_name_that_no_namespace_can_have_is_missing() {
        for name in ["", "../secrets", "a/b", "a?b", "A", &"a".repeat(NAME_MAX + 1)] {
            assert!(Fetches::default().is_missing(name), "{name}");
        }
        assert!(!Fetches::default().is_missing("kube-system"));
    }
}
