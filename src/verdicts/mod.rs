//! What can be wrong with DNS where a probe ran: one file a fault. Each file's doc comment is the fault's documentation (what is
//! claimed, how it is told apart, what to do), read from the source itself. A verdict is a pure function of what was seen. Must
//! not know how that was come by, nor how verdicts are shown.
//!
//! What holds for all of them:
//! - No verdict rests on one packet. What counts losses says a rate with its interval, and speaks only where chance explains the
//!   difference in less than one of 1,000 cases ([`statistics`]).
//! - What another fault explains is not claimed again: a rate limit is no lossy path.
//! - What a profile would change is computed by the model in [`crate::resolver`], for the resolvers that are there.

mod faults;
pub mod lookup_costs;
pub mod observations;
mod profile_effects;
pub mod statistics;
pub mod system_files;
#[cfg(test)]
mod tests;
mod verdict;

use std::cmp::Reverse;

use observations::Observations;

pub use faults::{FAULTS, NOBODY};
pub use profile_effects::{Change, Relief, Trouble};
pub use verdict::{Fault, Sureness, Verdict};

/// What is wrong, the most serious first, and in the order of [`FAULTS`] among equals.
pub fn verdicts(seen: &Observations) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = FAULTS.iter().filter_map(|fault| (fault.check)(seen)).collect();
    found.sort_by_key(|verdict| Reverse(verdict.level));
    found
}
