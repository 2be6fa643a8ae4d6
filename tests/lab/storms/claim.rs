//! The claim over storms: wherever Kubernetes' options recover, muslin's do, about as soon, and find as many answers.

use std::fmt;
use std::time::Duration;

use super::storm::{Outcome, Storm};

/// The factor by which recovery may take longer than with Kubernetes' options.
const LONGER: f64 = 1.2;

/// The time by which two recoveries of the same kind differ on a busy machine.
const NOISE: Duration = Duration::from_millis(500);

/// The storms are claimed in which Kubernetes' options find at least this share of the names.
const CLAIMED_PERCENT: usize = 99;

/// All runs of one storm over one crowd.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) crowd: &'static str,
    pub(super) storm: Storm,
    pub(super) kubernetes: Vec<Outcome>,
    pub(super) muslin: Vec<Outcome>,
}

/// Returns whether a storm is over about as soon as with Kubernetes' options.
pub(super) fn recovers(default: Option<Duration>, with: Option<Duration>) -> bool {
    match (default, with) {
        (Some(default), Some(with)) => with <= default.mul_f64(LONGER) + NOISE,
        (default, _) => default.is_none(),
    }
}

/// Returns the middle of the times to recovery; `None` if most runs do not recover.
pub(super) fn middle_recovery(outcomes: &[Outcome]) -> Option<Duration> {
    let mut times: Vec<Duration> =
        outcomes.iter().map(|outcome| outcome.recovered_after.unwrap_or(Duration::MAX)).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().filter(|time| *time < Duration::MAX)
}

// === impl Compared ===

impl Compared {
    /// Returns whether the claim covers the storm.
    pub(super) fn is_claimed(&self) -> bool {
        let lookups: usize = self.kubernetes.iter().map(|outcome| outcome.lookups).sum();
        found(&self.kubernetes) * 100 >= lookups * CLAIMED_PERCENT
    }

    /// Returns whether the claim is broken, beyond the difference between two runs of Kubernetes' options.
    pub(super) fn is_worse(&self) -> bool {
        let each = || self.kubernetes.iter().map(|outcome| outcome.found);
        let differ = each().max().unwrap_or_default() - each().min().unwrap_or_default();
        let finds_less = found(&self.muslin) + differ < found(&self.kubernetes);
        let is_late = !recovers(middle_recovery(&self.kubernetes), middle_recovery(&self.muslin));
        self.is_claimed() && (finds_less || is_late)
    }
}

fn found(outcomes: &[Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.found).sum()
}

impl fmt::Display for Compared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crowd, storm, kubernetes, muslin } = self;
        write!(formatter, "{crowd}, {storm:?}: {muslin:?}, without muslin {kubernetes:?}")
    }
}
