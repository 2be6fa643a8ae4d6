//! The failed inspections of images in the logs of muslin's pods, which name the registries and the reasons.

use super::answers::TIMEOUT;
use super::reader::Reader;
use crate::doctor::{FailedInspection, PortAnswer, Replica};

/// The age of the oldest line that counts, in seconds. A failed inspection is tried again after one minute at the earliest.
const SINCE: u32 = 600;
/// The most lines of one pod.
const LINES_MAX: u32 = 5_000;

/// Reads the logs of the replicas that count failed inspections. Without the right to read logs, or with another format of the log, there are
/// none, and the counts alone are left.
pub(super) async fn failed(reader: &Reader, namespace: &str, replicas: &[Replica]) -> Vec<FailedInspection> {
    let mut failed = Vec::new();
    for Replica { pod, .. } in replicas.iter().filter(|replica| counts_failures(&replica.metrics)) {
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/log?container=muslin&sinceSeconds={SINCE}&tailLines={LINES_MAX}"
        );
        if let PortAnswer::Answer(200, log) = reader.answer(&path, TIMEOUT).await {
            failed.extend(log.lines().filter_map(FailedInspection::of_log_line));
        }
    }
    failed
}

fn counts_failures(metrics: &PortAnswer) -> bool {
    let PortAnswer::Answer(200, metrics) = metrics else { return false };
    let mut counts = metrics.lines().filter_map(|line| line.strip_prefix("muslin_inspections_failed_total "));
    counts.any(|count| count.trim() != "0")
}
