//! Judges the trial of a DNS cache on the node. Must not know how queries are sent.

use super::query::{QueryOutcome, Via};
use crate::policy::CacheFault;

/// The outcomes of the last queries of a trial, one by each transport. A pod needs both: answers over the UDP limit come by TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTrial {
    /// The outcome by UDP.
    pub udp: QueryOutcome,
    /// The outcome by TCP.
    pub tcp: QueryOutcome,
}

// === impl CacheTrial ===

impl CacheTrial {
    /// Returns the fault that the trial found; `None` if the cache resolved the cluster's name by both transports.
    pub fn fault(&self) -> Option<CacheFault> {
        let Self { udp, tcp } = self;
        fault(udp, Via::Udp).or_else(|| fault(tcp, Via::Tcp))
    }
}

fn fault(outcome: &QueryOutcome, via: Via) -> Option<CacheFault> {
    let by = match via {
        Via::Udp => "UDP",
        Via::Tcp => "TCP",
    };
    match outcome {
        QueryOutcome::Answer(answer) if !answer.addresses.is_empty() => None,
        QueryOutcome::Answer(_) => Some(CacheFault::NoClusterNames(by)),
        QueryOutcome::Silence | QueryOutcome::NotAsked => Some(CacheFault::NoAnswer(by)),
        QueryOutcome::PortClosed => Some(CacheFault::PortClosed(by)),
        QueryOutcome::Unreachable(_) => Some(CacheFault::Unreachable(by)),
        QueryOutcome::Malformed(_) => Some(CacheFault::BadAnswer(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Answer, Code};

    fn found() -> QueryOutcome {
        QueryOutcome::Answer(Answer { addresses: vec!["10.96.0.1".parse().unwrap()], ..Answer::default() })
    }

    fn judged(udp: QueryOutcome, tcp: QueryOutcome) -> Option<CacheFault> {
        CacheTrial { udp, tcp }.fault()
    }

    #[test]
    fn a_cache_answers_by_both_transports() {
        assert_eq!(judged(found(), found()), None);
        assert_eq!(judged(found(), QueryOutcome::Silence), Some(CacheFault::NoAnswer("TCP")));
        assert_eq!(judged(QueryOutcome::PortClosed, found()), Some(CacheFault::PortClosed("UDP")));
    }

    #[test]
    fn an_answer_without_an_address_does_not_count() {
        for code in [Code::NoError, Code::NxDomain, Code::Refused, Code::ServFail] {
            let outcome = QueryOutcome::Answer(Answer { code, ..Answer::default() });
            assert_eq!(judged(outcome, found()), Some(CacheFault::NoClusterNames("UDP")), "{code:?}");
        }
    }
}
