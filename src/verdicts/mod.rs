//! Diagnoses of DNS where a probe ran: one file each, whose doc comment is its documentation (symptoms, detection, what to do). A
//! verdict is a pure function of the observations. Must not know how observations are made, nor how verdicts are shown.
//!
//! Rules for all of them:
//! - No verdict rests on one packet. Where losses are counted, the verdict gives a rate with its interval, and only where chance
//!   explains the difference in less than one of 1,000 cases ([`statistics`]).
//! - One cause gives one verdict: a rate limit is not also reported as a lossy path.
//! - Like is compared with like: queries for one name and type, and answers by their codes. A statement about the rest of the network
//!   ("while the cluster's names do") is made only if the observations show it.
//! - A requested name that does not resolve is named by a verdict (`failures.rs`).
//! - What a profile would change is computed by the model in [`crate::resolver`], for the resolvers that were found.

mod cache_trial;
mod dead_servers;
mod domain_check;
mod failures;
mod faults;
mod list;
pub mod lookup_costs;
pub mod matrix;
#[cfg(test)]
mod matrix_tests;
pub mod nameserver_origins;
pub mod observations;
mod pairs;
mod profile_effects;
mod query;
pub mod statistics;
pub mod system_files;
mod targets;
#[cfg(test)]
mod tests;
mod verdict;

use std::cmp::Reverse;

use failures::{FailedLookup, failed_lookups};
use observations::Observations;

pub use cache_trial::CacheTrial;
pub use domain_check::{DomainCheck, DomainResult};
pub use faults::{DIAGNOSES, TEST_NET_1};
pub(crate) use faults::{is_benchmark, is_made_up};
pub use profile_effects::{Improvement, ProfileEffects};
pub use verdict::{Confidence, Diagnosis, Verdict};

/// Returns all verdicts, the most serious first, and in the order of [`DIAGNOSES`] among equals. Each failed lookup of a requested name
/// is named by a verdict of level `warn` or above: by its cause, or else by `name-fails`.
pub fn verdicts(seen: &Observations) -> Vec<Verdict> {
    let failed = failed_lookups(seen);
    let mut verdicts: Vec<Verdict> = DIAGNOSES.iter().filter_map(|diagnosis| (diagnosis.check)(seen)).collect();
    let is_rest = |failed: &&FailedLookup| !verdicts.iter().any(|verdict| verdict.accounts_for(failed));
    let rest: Vec<FailedLookup> = failed.iter().filter(is_rest).cloned().collect();
    verdicts.extend(faults::name_fails(seen, &rest));
    let position = |verdict: &Verdict| DIAGNOSES.iter().position(|diagnosis| *diagnosis == verdict.diagnosis);
    verdicts.sort_by_key(|verdict| (Reverse(verdict.level), position(verdict)));
    verdicts.into_iter().map(|verdict| verdict.name_failed(&failed)).collect()
}
