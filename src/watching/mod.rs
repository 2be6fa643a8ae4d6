//! Decides when DNS on a node has turned bad: small rounds of queries in, the times of full probes and the standing verdicts out. A
//! verdict begins when two full probes in a row find it. It ends when two do not, or when one does not and small rounds that had shown it
//! show it no more. So no verdict changes on one round. Must not know how queries are sent, nor what a verdict means.

mod probe_size;
mod query_budget;
mod round;
mod symptoms;
#[cfg(test)]
mod tests;
mod watcher;

pub use probe_size::ProbeSize;
pub use query_budget::QueryBudget;
pub use round::{Focus, LightQuery, RoundPlan};
pub use symptoms::{Symptom, symptoms};
pub use watcher::{Change, Found, Standing, Step, Watcher};
