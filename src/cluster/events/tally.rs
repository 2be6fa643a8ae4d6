//! Counts of Events.

use std::sync::atomic::AtomicU64;

/// The counts of one process.
#[derive(Debug, Default)]
pub struct EventTally {
    /// Written Events.
    pub written: AtomicU64,
    /// Pods without Events because too many came at once.
    pub dropped: AtomicU64,
    /// Pods for which an Event could not be written.
    pub failed: AtomicU64,
}
