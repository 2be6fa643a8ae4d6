//! One check: its result, and what to do.

use schemars::JsonSchema;
use serde::Serialize;

/// The advice where an object is missing or differs from the manifests.
pub(super) const APPLY: &str =
    "apply the manifests again: muslin install with the options that you installed with, piped to kubectl apply -f -";

/// The advice where a check needs a pod of muslin that runs.
pub(super) const PODS: &str = "the check pods has the reason";

/// The result of a check, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Something happened, or will happen, that an admin should know of.
    Warning,
    /// The check could not be made, for want of a right or of an answer.
    Unknown,
    /// Something is wrong.
    Wrong,
}

/// A check and its result. The texts may quote the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// The check's name, which does not change between releases.
    pub check: &'static str,
    /// The result.
    pub status: Status,
    /// The observation in a sentence.
    pub message: String,
    /// The advice, for every result but `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

// === impl Status ===

impl Status {
    /// Returns the status as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

// === impl Check ===

impl Check {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), fix: None }
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, message: message.into(), fix: Some(fix.into()) }
    }

    pub(super) fn wrong(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, status: Status::Wrong, message: message.into(), fix: Some(fix.into()) }
    }

    pub(super) fn unknown(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, status: Status::Unknown, message: message.into(), fix: Some(fix.into()) }
    }
}

/// Returns whether nothing is wrong, and everything could be checked.
#[must_use]
pub fn is_healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.status <= Status::Warning)
}
