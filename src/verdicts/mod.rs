//! Diagnoses of DNS where a probe ran: one file each, whose doc comment is its documentation (symptoms, detection, what to do). A
//! verdict is a pure function of the observations. Must not know how observations are made, nor how verdicts are shown.
//!
//! Rules for all of them:
//! - No verdict rests on one packet. Where losses are counted, the verdict gives a rate with its interval, and only where chance
//!   explains the difference in less than one of 1,000 cases ([`statistics`]).
//! - One cause gives one verdict: a rate limit is not also reported as a lossy path.
//! - What a profile would change is computed by the model in [`crate::resolver`], for the resolvers that were found.

mod faults;
pub mod lookup_costs;
pub mod nameserver_origins;
pub mod observations;
mod profile_effects;
pub mod statistics;
pub mod system_files;
#[cfg(test)]
mod tests;
mod verdict;

use std::cmp::Reverse;

use observations::Observations;

pub use faults::{DIAGNOSES, TEST_NET_1};
pub use profile_effects::{Improvement, ProfileEffects};
pub use verdict::{Confidence, Diagnosis, Verdict};

/// Returns all verdicts, the most serious first, and in the order of [`DIAGNOSES`] among equals.
pub fn verdicts(seen: &Observations) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = DIAGNOSES.iter().filter_map(|diagnosis| (diagnosis.check)(seen)).collect();
    verdicts.sort_by_key(|verdict| Reverse(verdict.level));
    verdicts
}
