//! The comparison of a cell: each lookup with muslin's options against the same lookup with Kubernetes' own, under the same losses.
//! The claim is that of the model (`tests/model/claim.rs`). Must not know of pages.

use std::time::Duration;

use super::LATE;
use super::measure::Measured;
use crate::lab::resolvers::FinishedLookup;

/// The time by which a lookup may differ from its twin on a busy machine. Several runs shorten it, as all of them must agree.
const NOISE_OF_SEVERAL: Duration = Duration::from_millis(150);

/// Node looks once a second whether a wait is over (`ChannelWrap::StartTimer` in its `src/cares_wrap.cc`), so two lookups that waited
/// alike may end a second apart.
const NOISE_OF_NODE: Duration = Duration::from_secs(1);

/// A cell, compared with Kubernetes' options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Some lookups are better and none is worse.
    Better,
    Equal,
    /// These lookups are worse, with examples.
    Worse(Vec<String>),
}

/// Compares the runs of one program under one fault.
///
/// A lookup is worse if it is so in every run, compared with every run of Kubernetes' options. In five runs of a lookup that depends on
/// chance alone (c-ares draws its waits by lot) this happens once in 252 times, so one such lookup is none where two runs of
/// Kubernetes' options differ.
pub(super) fn compare(default: &[&Measured], with: &[&Measured], is_healthy: bool, is_node: bool) -> Comparison {
    let noise = if default.len() > 1 { NOISE_OF_SEVERAL } else { LATE };
    let noise = if is_node { noise + NOISE_OF_NODE } else { noise };
    let lookups = default.iter().chain(with).map(|measured| measured.lookups.len()).min().unwrap_or_default();
    let is_worse_in_all = |than: &[&Measured], with: &[&Measured], number: usize| {
        than.iter().all(|than| with.iter().all(|with| is_worse(&than.lookups[number], &with.lookups[number], noise)))
    };
    let differ = |number: usize| {
        let pairs = default.iter().flat_map(|one| default.iter().map(move |other| (one, other)));
        { pairs }.any(|(one, other)| is_worse(&one.lookups[number], &other.lookups[number], noise))
    };
    let allowed = usize::from((0..lookups).any(differ));
    let worse: Vec<usize> = (0..lookups).filter(|number| is_worse_in_all(default, with, *number)).collect();
    let better = (0..lookups).filter(|number| is_worse_in_all(with, default, *number)).count();
    let most_queries = default.iter().map(|measured| measured.queries).max();
    let asks_more = is_healthy && with.iter().all(|measured| Some(measured.queries) > most_queries);
    if worse.len() > allowed {
        let example = |number: &usize| format!("{:?} for {:?}", with[0].lookups[*number], default[0].lookups[*number]);
        Comparison::Worse(worse.iter().map(example).collect())
    } else if asks_more {
        Comparison::Worse(vec!["more queries on a healthy network".to_owned()])
    } else if better > allowed {
        Comparison::Better
    } else {
        Comparison::Equal
    }
}

/// Returns whether a lookup is worse than its twin.
fn is_worse(than: &FinishedLookup, with: &FinishedLookup, noise: Duration) -> bool {
    let (had, has) = (than.families(), with.families());
    if than.succeeded() {
        (had.0 > 0 && has.0 == 0) || (had.1 > 0 && has.1 == 0) || with.took > than.took + noise
    } else {
        !with.succeeded() && with.took > than.took.mul_f64(1.5) + Duration::from_millis(500)
    }
}
