//! `muslin doctor` without its I/O: from observations of a cluster to checks, each with what to do. One file in `checks/` for each
//! subject. Must not know where observations come from, or how checks are shown.

mod check;
mod checks;
mod expected;
mod metrics;
mod observed;
mod selector;
mod shape;
#[cfg(test)]
mod tests;

pub use check::{Check, Status, is_healthy};
pub use checks::{TESTED_KUBERNETES, judge, judge_parts};
pub use expected::{Right, expected_objects, rights};
pub use observed::{
    CallResult, CertificateFacts, DryRun, FailedInspection, NamespaceLabels, Observed, PortAnswer, Replica, Seen,
    ServingSecret, Trust, Unseen, WebhookTrust,
};
pub use selector::{enforced_namespace, namespace_for_dry_run};
