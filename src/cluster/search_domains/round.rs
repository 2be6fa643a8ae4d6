//! The state of each search domain over several rounds of checks. Must not know of queries or of the API.

use jiff::Timestamp;

use crate::policy::{BrokenDomain, DomainFault};
use crate::verdicts::DomainResult;

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
