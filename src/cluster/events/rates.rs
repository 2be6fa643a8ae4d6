//! Rate limit of Events: a burst of pods in each namespace, then one pod a second, so that no namespace fills the API server with
//! Events or keeps the others waiting. Must not know what is reported.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Pods of one namespace at once.
const BURST: u32 = 100;
/// Time until one more pod is allowed.
const PAUSE: Duration = Duration::from_secs(1);
/// Limit of namespaces with a count. Namespaces without recent use need none.
const NAMESPACES_MAX: usize = 4096;

/// The recent use of each namespace.
#[derive(Default)]
pub(in crate::cluster) struct Rates(HashMap<Box<str>, Instant>);

// === impl Rates ===

impl Rates {
    /// Returns whether one more pod of this namespace is allowed, and counts it.
    pub(in crate::cluster) fn allow(&mut self, namespace: &str, now: Instant) -> bool {
        if self.0.len() >= NAMESPACES_MAX && !self.0.contains_key(namespace) {
            self.0.retain(|_, paid_until| *paid_until > now);
            if self.0.len() >= NAMESPACES_MAX {
                return false;
            }
        }
        // Each pod costs a pause; a namespace may owe `BURST` pauses.
        let paid_until = self.0.entry(namespace.into()).or_insert(now);
        let after = (*paid_until).max(now) + PAUSE;
        let is_allowed = after <= now + PAUSE * BURST;
        if is_allowed {
            *paid_until = after;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_its_own_burst_and_then_one_pod_per_pause() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| rates.allow("shop", now)).count(), 100);
        assert!(rates.allow("other", now));
        assert!(!rates.allow("shop", now + PAUSE / 2));
        assert!(rates.allow("shop", now + PAUSE));
        assert!(!rates.allow("shop", now + PAUSE));
        assert_eq!((0..1000).filter(|_| rates.allow("shop", now + PAUSE * 1000)).count(), 100);
    }

    #[test]
    fn the_number_of_counted_namespaces_is_bounded() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!((0..10_000).filter(|number| rates.allow(&number.to_string(), now)).count(), NAMESPACES_MAX);
        assert!(rates.allow("later", now + PAUSE));
        assert_eq!(rates.0.len(), 1);
    }
}
