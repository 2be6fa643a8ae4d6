//! The values that the metrics show of the reports. Must not know how reports are written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::api::ReportKind;

/// The reports as the leader keeps them; all zeros on other replicas, but for the failures.
#[derive(Debug, Default)]
pub struct ReportState {
    reports: AtomicUsize,
    left_out: AtomicUsize,
    failures: AtomicU64,
    /// The position of the resource in [`ReportKind::ALL`], from 1; 0 without one.
    resource: AtomicUsize,
}

/// The values of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportCounts {
    /// The reports in the cluster.
    pub reports: usize,
    /// The findings that did not fit.
    pub left_out: usize,
    /// The passes over all pods that failed.
    pub failures: u64,
    /// The resources for reports by their full names, and whether muslin writes to them.
    pub resources: Vec<(String, bool)>,
}

/// The result of one pass over all pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) reports: usize,
    pub(super) left_out: usize,
}

// === impl ReportState ===

impl ReportState {
    pub(super) fn set(&self, Tally { reports, left_out }: Tally, kind: Option<ReportKind>) {
        let position = ReportKind::ALL.iter().position(|known| Some(*known) == kind).map_or(0, |index| index + 1);
        self.reports.store(reports, Ordering::Relaxed);
        self.left_out.store(left_out, Ordering::Relaxed);
        self.resource.store(position, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the values.
    pub fn counts(&self) -> ReportCounts {
        let position = self.resource.load(Ordering::Relaxed);
        let resources = ReportKind::ALL.iter().zip(1..).map(|(kind, number)| (kind.full_name(), number == position));
        ReportCounts {
            reports: self.reports.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            resources: resources.collect(),
        }
    }
}
