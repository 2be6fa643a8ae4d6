//! The reports of findings, collected at scrape time.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use crate::cluster::{ReportCounts, ReportState};

/// The reports that the leader keeps.
#[derive(Debug)]
pub(super) struct ReportMetrics(pub(super) Arc<ReportState>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResourceLabels {
    resource: String,
}

// === impl ReportMetrics ===

impl Collector for ReportMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ReportCounts { reports, left_out, failures, resources } = self.0.counts();
        let failed = ConstCounter::new(failures);
        let help = "Passes over all pods that could not write the reports of findings";
        failed.encode(encoder.encode_descriptor("report_failures", help, None, failed.metric_type())?)?;
        let mut gauge = |name, help, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("reports", "Reports of findings that the leader keeps", reports)?;
        gauge("report_findings_left_out", "Findings for which reports have no room", left_out)?;
        let used = Family::<ResourceLabels, Gauge>::default();
        for (resource, is_used) in resources {
            used.get_or_create(&ResourceLabels { resource }).set(i64::from(is_used));
        }
        let help = "1 for the resource that the leader writes reports of findings to";
        used.encode(encoder.encode_descriptor("report_resource", help, None, used.metric_type())?)
    }
}
