//! The answer to a review: its bytes, and the labels under which it is counted. Must not know of HTTP, nor of hooks.

use crate::policy::Mode;

use super::metrics::Outcome;
use super::review::Response;

/// The answer to a review.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The mode of the namespace, if the hook depends on it.
    pub(super) mode: Option<Mode>,
    /// The `AdmissionReview` with its response, as JSON.
    pub(super) body: Vec<u8>,
}

// === impl Answer ===

impl Answer {
    pub(super) fn new(outcome: Outcome, mode: Option<Mode>, response: &Response<'_>) -> Self {
        Self { outcome, mode, body: response.to_review() }
    }

    /// Allows a request that is none of muslin's business.
    pub(super) fn skipped(uid: &str) -> Self {
        Self::new(Outcome::Skipped, None, &Response::allow(uid))
    }
}
