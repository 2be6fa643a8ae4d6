//! The conditions of a `ResolverProfile`.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::profile_conversion::ProfileProblem;
use super::resolver_profile::Condition;
use super::rollout::{RolloutPhase, RolloutStatus};
use crate::policy::CacheFault;
use crate::rules::RISK_NOT_ACCEPTED;
use crate::text::Line;

/// The limit of a condition's message (kubernetes `staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go`, `Condition`).
const MESSAGE_MAX: usize = 32_768;

impl Condition {
    /// Returns the condition for a profile that is in use, or has these problems; it begins now.
    pub(in crate::cluster) fn accepted(problems: Option<&[ProfileProblem]>) -> Self {
        match problems {
            None => Self::new("Accepted", "True", "Valid", "the profile is in use".to_owned()),
            Some(problems) => Self::new("Accepted", "False", "Invalid", ProfileProblem::join(problems)),
        }
    }

    /// Returns the condition for a profile with a cache on the node, or with a low `ndots`, whose risks are accepted but for these.
    pub(in crate::cluster) fn risks_accepted(unaccepted: &[ProfileProblem]) -> Self {
        if unaccepted.is_empty() {
            return Self::new("RisksAccepted", "True", "RisksAccepted", "acceptRisk names all risks".to_owned());
        }
        Self::new("RisksAccepted", "False", RISK_NOT_ACCEPTED, risk_sentence(unaccepted))
    }

    /// Returns the condition for a cache on the node with this fault.
    pub(in crate::cluster) fn node_local_reachable(address: IpAddr, fault: Option<CacheFault>) -> Self {
        const ELSEWHERE: &str = "other nodes were not tried";
        let type_ = "NodeLocalReachable";
        let Some(fault) = fault else {
            let message = format!("{address} answers muslin's pod by UDP and TCP; {ELSEWHERE}");
            return Self::new(type_, "True", "Answers", message);
        };
        let status = if fault == CacheFault::NotTried { "Unknown" } else { "False" };
        let message = format!("{address} {fault}, so new pods get the profile's options without it; {ELSEWHERE}");
        Self::new(type_, status, fault.name(), message)
    }

    /// Returns the conditions of a rollout: one for each phase, of which that of its own is True.
    pub(in crate::cluster) fn of_rollout(rollout: &RolloutStatus) -> impl Iterator<Item = Self> {
        RolloutPhase::ALL.into_iter().map(|phase| {
            let is_so = rollout.phase == phase.name();
            let condition = if is_so {
                Self::new(phase.name(), "True", &rollout.reason, rollout.message.clone())
            } else {
                Self::new(phase.name(), "False", &rollout.phase, format!("the rollout is {}", rollout.phase))
            };
            Self { observed_generation: Some(rollout.generation), ..condition }
        })
    }

    fn new(type_: &str, status: &str, reason: &str, message: String) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: Line::cut(message, MESSAGE_MAX).into_string(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::now()),
        }
    }

    /// Returns whether both say the same, apart from the time of the last transition.
    pub(in crate::cluster) fn says_the_same_as(&self, other: &Self) -> bool {
        let Self { type_, status, reason, message, observed_generation, last_transition_time: _ } = self;
        (type_, status, reason, message, observed_generation)
            == (&other.type_, &other.status, &other.reason, &other.message, &other.observed_generation)
    }
}

/// Returns the sentence about the risks that a stored profile does not accept.
pub(in crate::cluster) fn risk_sentence(unaccepted: &[ProfileProblem]) -> String {
    let risks = ProfileProblem::join(unaccepted);
    format!("this release still uses the profile, the next one will not: {risks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_trial_found_and_what_it_does_not_show() {
        let condition = |fault| {
            let condition = Condition::node_local_reachable("169.254.20.10".parse().unwrap(), fault);
            (condition.status, condition.reason, condition.message)
        };
        let texts =
            |status: &str, reason: &str, message: &str| (status.to_owned(), reason.to_owned(), message.to_owned());
        assert_eq!(
            condition(None),
            texts("True", "Answers", "169.254.20.10 answers muslin's pod by UDP and TCP; other nodes were not tried")
        );
        assert_eq!(
            condition(Some(CacheFault::NoAnswer("TCP"))),
            texts(
                "False",
                "NoAnswer",
                "169.254.20.10 does not answer muslin's pod by TCP, so new pods get the profile's options without it; other nodes \
                 were not tried"
            )
        );
        assert_eq!(condition(Some(CacheFault::NotTried)).0, "Unknown");
    }
}
