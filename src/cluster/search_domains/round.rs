//! The state of each search domain over several rounds of checks. Must not know of queries or of the API.

use std::time::Duration;

use jiff::Timestamp;

use crate::policy::{BrokenDomain, DomainFault};
use crate::verdicts::{DomainCheck, DomainResult};

/// Time between two rounds of checks.
const AGAIN: Duration = Duration::from_mins(3);
/// Time until the round that confirms a first bad answer, or that follows one without any answer.
const CONFIRM: Duration = Duration::from_secs(10);
/// The most rounds in a row that follow after [`CONFIRM`]: a domain that never gets a result must not cost queries without end.
const CONFIRMED_BY: u32 = 6;

/// The pauses between rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The number of rounds in a row that left something open.
    open_rounds: u32,
}

/// One search domain, as the last rounds found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckedDomain {
    pub(super) domain: String,
    /// The fault that two rounds in a row found.
    pub(super) fault: Option<DomainFault>,
    /// The fault that only the last round found.
    suspected: Option<DomainFault>,
    /// The domain was judged at least once.
    is_known: bool,
    /// The time since which `fault` is so.
    pub(super) since: Timestamp,
}

// === impl CheckedDomain ===

impl CheckedDomain {
    /// Returns the domain as plans see it; `None` unless two rounds found a fault.
    pub(super) fn broken(&self) -> Option<BrokenDomain> {
        Some(BrokenDomain { domain: self.domain.clone(), fault: self.fault? })
    }

    /// Returns the answer to names that do not exist: `NXDOMAIN`, the name of a fault, or `unknown`.
    pub(super) fn answer(&self) -> &'static str {
        match self.fault {
            Some(fault) => fault.name(),
            None if self.is_settled() => "NXDOMAIN",
            None => "unknown",
        }
    }

    /// Returns whether no round is needed to confirm a fault.
    pub(super) fn is_settled(&self) -> bool {
        self.is_known && self.suspected.is_none()
    }
}

// === impl Pace ===

impl Pace {
    /// Returns the pause after a round, which left nothing open if `is_settled`.
    pub(super) fn after(&mut self, is_settled: bool) -> Duration {
        self.open_rounds = if is_settled { 0 } else { self.open_rounds.saturating_add(1) };
        if (1..=CONFIRMED_BY).contains(&self.open_rounds) { CONFIRM } else { AGAIN }
    }

    /// Returns whether the last round was the first to leave something open.
    pub(super) fn begins_to_wait(self) -> bool {
        self.open_rounds == 1
    }

    /// Returns whether no round is made soon for what is still open.
    pub(super) fn gave_up(self) -> bool {
        self.open_rounds > CONFIRMED_BY
    }
}

/// Returns the index in the search list of the domain with which the next round begins, after one that began with `first`: with what its
/// budget did not do for.
pub(super) fn next_first(first: usize, checks: &[DomainCheck]) -> usize {
    let unclear = checks.iter().position(|check| check.result() == DomainResult::Unclear);
    unclear.map_or(0, |unclear| (first + unclear) % checks.len())
}

/// Adds the results of a round, and returns the domains that broke or are healthy again. A pod keeps what it gets at its creation, so a
/// fault counts only if two rounds in a row find it; one healthy round ends it.
pub(super) fn update(
    domains: &mut Vec<CheckedDomain>,
    results: impl Iterator<Item = (DomainResult, String)>,
    now: Timestamp,
) -> Vec<CheckedDomain> {
    let before = std::mem::take(domains);
    let mut changed = Vec::new();
    for (result, domain) in results {
        let known = before.iter().find(|known| known.domain == domain).cloned();
        let mut checked =
            known.unwrap_or(CheckedDomain { domain, fault: None, suspected: None, is_known: false, since: now });
        let (old, answer) = (checked.fault, checked.answer());
        match result {
            DomainResult::Healthy => (checked.fault, checked.suspected) = (None, None),
            DomainResult::Broken(fault) if checked.fault.is_some() || checked.suspected.is_some() => {
                (checked.fault, checked.suspected) = (Some(fault), None);
            }
            DomainResult::Broken(fault) => checked.suspected = Some(fault),
            DomainResult::Unclear => {}
        }
        checked.is_known |= result != DomainResult::Unclear;
        if checked.answer() != answer {
            checked.since = now;
        }
        if checked.fault != old {
            changed.push(checked.clone());
        }
        domains.push(checked);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: DomainResult = DomainResult::Broken(DomainFault::ServFail);

    #[test]
    fn a_domain_without_a_result_does_not_hurry_the_rounds_for_ever() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..8).map(|_| pace.after(false)).collect();
        assert_eq!(pauses, [[CONFIRM; 6].to_vec(), vec![AGAIN; 2]].concat());
        assert!(pace.gave_up());
        assert_eq!(pace.after(true), AGAIN);
        assert!(!pace.gave_up());
        assert_eq!(pace.after(false), CONFIRM);
    }

    #[test]
    fn the_next_round_begins_with_what_the_budget_did_not_do_for() {
        let check = |names: usize| {
            let outcome = crate::verdicts::observations::QueryOutcome::Silence;
            DomainCheck { domain: "example.com".to_owned(), names: vec![[outcome.clone(), outcome]; names] }
        };
        let round =
            |done: usize, all: usize| -> Vec<_> { (0..all).map(|index| check(usize::from(index < done))).collect() };
        let first = next_first(0, &round(20, 32));
        assert_eq!((first, next_first(first, &round(20, 32))), (20, 8));
        assert_eq!((next_first(20, &round(32, 32)), next_first(0, &[])), (0, 0));
    }

    fn faults(rounds: &[DomainResult]) -> Vec<Option<DomainFault>> {
        let mut domains = Vec::new();
        let mut faults = Vec::new();
        for result in rounds {
            update(&mut domains, [(*result, "corp.example.com".to_owned())].into_iter(), Timestamp::UNIX_EPOCH);
            faults.push(domains[0].fault);
        }
        faults
    }

    #[test]
    fn two_rounds_in_a_row_break_a_domain_and_one_clears_it() {
        let fault = Some(DomainFault::ServFail);
        assert_eq!(faults(&[BROKEN, BROKEN, BROKEN]), [None, fault, fault]);
        assert_eq!(faults(&[BROKEN, DomainResult::Healthy, BROKEN]), [None, None, None]);
        assert_eq!(faults(&[BROKEN, BROKEN, DomainResult::Healthy]), [None, fault, None]);
        assert_eq!(faults(&[BROKEN, DomainResult::Unclear, BROKEN]), [None, None, fault]);
    }

    #[test]
    fn a_change_is_reported_once_and_a_first_bad_answer_is_confirmed() {
        let mut domains = Vec::new();
        let mut round = |result| {
            let results = [(result, "corp.example.com".to_owned())].into_iter();
            let changed = update(&mut domains, results, Timestamp::UNIX_EPOCH).len();
            (changed, domains[0].is_settled())
        };
        assert_eq!(round(BROKEN), (0, false));
        assert_eq!(round(BROKEN), (1, true));
        assert_eq!(round(BROKEN), (0, true));
        assert_eq!(round(DomainResult::Healthy), (1, true));
    }
}
