//! Judges the answers of a search domain to names that do not exist. Must not know how queries are sent.

use super::query::{Answer, Code, QueryOutcome};
use crate::policy::DomainFault;

/// The outcomes of queries for random names below one search domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCheck {
    /// The domain, without a final dot.
    pub domain: String,
    /// For each name, the outcomes for A and AAAA.
    pub names: Vec<[QueryOutcome; 2]>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainResult {
    /// Some name got NXDOMAIN for both types, as a name that does not exist should.
    Healthy,
    /// No name did.
    Broken(DomainFault),
    /// Some query was not sent, and no name got NXDOMAIN.
    Unclear,
}

// === impl DomainCheck ===

impl DomainCheck {
    /// Returns the result. One healthy name is enough: a lost packet or a single failure breaks no search domain.
    pub fn result(&self) -> DomainResult {
        let Self { domain: _, names } = self;
        if names.iter().any(|[a, aaaa]| is_nxdomain(a) && is_nxdomain(aaaa)) {
            return DomainResult::Healthy;
        }
        let is_whole = |outcomes: &[QueryOutcome; 2]| !outcomes.contains(&QueryOutcome::NotAsked);
        if names.is_empty() || !names.iter().all(is_whole) {
            return DomainResult::Unclear;
        }
        // An address is the gravest: it misleads every resolver.
        let faults = || names.iter().flatten().filter_map(fault);
        let commonest =
            DomainFault::ALL.into_iter().max_by_key(|fault| faults().filter(|other| other == fault).count());
        let has_address = faults().any(|fault| fault == DomainFault::Wildcard);
        let fault = if has_address { Some(DomainFault::Wildcard) } else { commonest };
        fault.map_or(DomainResult::Unclear, DomainResult::Broken)
    }
}

fn is_nxdomain(outcome: &QueryOutcome) -> bool {
    matches!(outcome, QueryOutcome::Answer(Answer { code: Code::NxDomain, .. }))
}

/// Returns what an outcome means for a resolver that searches; `None` for NXDOMAIN and for a query that was not sent.
fn fault(outcome: &QueryOutcome) -> Option<DomainFault> {
    match outcome {
        QueryOutcome::Answer(answer) => match answer.code {
            Code::NoError if answer.addresses.is_empty() => Some(DomainFault::NoData),
            Code::NoError => Some(DomainFault::Wildcard),
            Code::NxDomain => None,
            Code::ServFail => Some(DomainFault::ServFail),
            Code::Refused | Code::FormErr | Code::NotImp | Code::Other(_) => Some(DomainFault::Refused),
        },
        QueryOutcome::Silence
        | QueryOutcome::PortClosed
        | QueryOutcome::Unreachable(_)
        | QueryOutcome::Malformed(_) => Some(DomainFault::Silence),
        QueryOutcome::NotAsked => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: Code) -> QueryOutcome {
        QueryOutcome::Answer(Answer { code, ..Answer::default() })
    }

    fn address() -> QueryOutcome {
        QueryOutcome::Answer(Answer { addresses: vec!["192.0.2.1".parse().unwrap()], ..Answer::default() })
    }

    fn judged(names: &[[QueryOutcome; 2]]) -> DomainResult {
        DomainCheck { domain: "corp.example.com".to_owned(), names: names.to_vec() }.result()
    }

    fn all(a: QueryOutcome, aaaa: QueryOutcome) -> DomainResult {
        judged(&[[a.clone(), aaaa.clone()], [a.clone(), aaaa.clone()], [a, aaaa]])
    }

    #[test]
    fn a_domain_is_broken_by_what_it_says_of_every_name() {
        for (outcome, fault) in [
            (code(Code::NoError), DomainFault::NoData),
            (code(Code::ServFail), DomainFault::ServFail),
            (code(Code::Refused), DomainFault::Refused),
            (code(Code::NotImp), DomainFault::Refused),
            (QueryOutcome::Silence, DomainFault::Silence),
            (QueryOutcome::PortClosed, DomainFault::Silence),
            (address(), DomainFault::Wildcard),
        ] {
            assert_eq!(all(outcome.clone(), outcome), DomainResult::Broken(fault), "{fault:?}");
        }
    }

    /// musl ends a search where either answer is not NXDOMAIN (musl v1.2.5 `src/network/lookup_name.c`, `name_from_dns`).
    #[test]
    fn one_type_is_enough_to_break_it() {
        assert_eq!(all(code(Code::NxDomain), code(Code::ServFail)), DomainResult::Broken(DomainFault::ServFail));
        assert_eq!(all(address(), code(Code::NoError)), DomainResult::Broken(DomainFault::Wildcard));
    }

    #[test]
    fn one_healthy_name_clears_the_domain() {
        let (healthy, lost) =
            ([code(Code::NxDomain), code(Code::NxDomain)], [QueryOutcome::Silence, QueryOutcome::Silence]);
        assert_eq!(judged(&[lost.clone(), healthy.clone(), lost.clone()]), DomainResult::Healthy);
        assert_eq!(judged(&[healthy]), DomainResult::Healthy);
    }

    #[test]
    fn what_was_not_asked_is_not_judged() {
        assert_eq!(all(QueryOutcome::NotAsked, code(Code::ServFail)), DomainResult::Unclear);
        assert_eq!(judged(&[]), DomainResult::Unclear);
    }
}
