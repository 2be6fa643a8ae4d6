//! A finding on a running pod, as reports have it, and the source of findings. Must not know where they are written.

use futures::future::BoxFuture;

use crate::policy::Level;

/// A finding on a running pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportedFinding {
    /// The seriousness.
    pub level: Level,
    /// The rule's name.
    pub rule: &'static str,
    /// The container; `None` for a finding about the pod.
    pub container: Option<String>,
    /// The problem in a clause.
    pub message: String,
    /// The advice.
    pub help: String,
}

/// The code that knows what is wrong with a pod.
pub trait FindingSource: Send + Sync {
    /// Returns what is wrong with a running pod; `None` if that cannot be told now. `pod` is JSON as the API server sent it.
    fn findings<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, Option<Vec<ReportedFinding>>>;
}
