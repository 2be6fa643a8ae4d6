//! The condition `Accepted` of a `ResolverProfile`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::profile_conversion::ProfileProblem;
use super::resolver_profile::Condition;
use crate::text::Line;

impl Condition {
    /// Returns the condition for a profile that is in use, or has these problems; it begins now.
    pub(in crate::cluster) fn accepted(problems: Option<&[ProfileProblem]>) -> Self {
        let (status, reason, message) = match problems {
            None => ("True", "Valid", "the profile is in use".to_owned()),
            Some(problems) => ("False", "Invalid", ProfileProblem::join(problems)),
        };
        Self {
            type_: "Accepted".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: Line::new(message).into_string(),
            last_transition_time: Time(Timestamp::now()),
        }
    }

    /// Returns whether both say the same, apart from the time of the last transition.
    pub(in crate::cluster) fn says_the_same_as(&self, other: &Self) -> bool {
        let Self { type_, status, reason, message, last_transition_time: _ } = self;
        (type_, status, reason, message) == (&other.type_, &other.status, &other.reason, &other.message)
    }
}
