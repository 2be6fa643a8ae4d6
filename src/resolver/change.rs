//! A change in how a resolver looks names up, and its release: what older releases lack. Options and their releases
//! stand in `option_fact`. Knows nothing of the code that acts on changes.

use super::family::Resolver;
use super::version::Version;

/// A change in how a resolver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first release with the change.
    pub since: Version,
    /// True if the change improved lookups; otherwise older releases are the better ones.
    pub fixes: bool,
    /// The behaviour before, as a clause without a subject.
    pub before: &'static str,
    /// The behaviour since, as a clause without a subject.
    pub now: &'static str,
    /// The source or the measurement.
    pub source: &'static str,
}

// === impl Change ===

impl Change {
    /// A change that improved lookups.
    pub(super) const fn fix(since: Version, before: &'static str, now: &'static str, source: &'static str) -> Self {
        Self { since, fixes: true, before, now, source }
    }

    /// A change that made lookups worse.
    pub(super) const fn regression(
        since: Version,
        before: &'static str,
        now: &'static str,
        source: &'static str,
    ) -> Self {
        Self { fixes: false, ..Self::fix(since, before, now, source) }
    }

    /// Returns true if `resolver`, a release of the family that this change is about, is older than it. An unknown
    /// release is not.
    pub fn is_missing_in(&self, resolver: Resolver) -> bool {
        resolver.is_before(self.since)
    }
}
