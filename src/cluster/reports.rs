//! Reports of findings on running pods: one object in each namespace that has some, in a form that Policy Reporter, Headlamp and others
//! show. Only the leader writes them, in slow passes over all pods; a [`FindingSource`] looks at each pod. Must not know rules or plans.

mod api;
mod finding;
mod results;
mod state;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::lease::Lease;
use super::listing::Listing;
use super::writes::WriteError;
use api::{ReportKind, Reports, owner};
use results::{NamespaceResults, PodMetadata};
use state::Tally;

pub use finding::{FindingSource, ReportedFinding};
pub use state::{ReportCounts, ReportState};

/// Pause between two looks at whether this replica leads, and whether a pass is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Time between two passes.
const PASS_EVERY: Duration = Duration::from_mins(10);
/// Time after a pass that failed, or that found no resource for reports.
const RETRY: Duration = Duration::from_mins(1);
/// Pods on one page of the list, and the pause after a page: reviews come first.
const PAGE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// The most namespaces with a report.
const REPORTS_MAX: usize = 1_000;
/// Pods that have not ended.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Read(#[from] kube::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
}

struct Reporter {
    client: Client,
    lease: Lease,
    source: Arc<dyn FindingSource>,
    state: Arc<ReportState>,
    /// The resource of the last pass that ended, once there was one.
    resource: Option<Option<ReportKind>>,
}

#[derive(Deserialize)]
struct NamedPod {
    metadata: PodMetadata,
}

/// Writes reports while this replica is the leader, in a task that lives as long as the process. Needs the rights list on pods; list, create,
/// patch and delete on the reports; and get on the ClusterRole `muslin-reports`.
pub fn write_reports(client: Client, lease: Lease, source: Arc<dyn FindingSource>, state: Arc<ReportState>) {
    tokio::spawn(Reporter { client, lease, source, state, resource: None }.run());
}

// === impl Reporter ===

impl Reporter {
    async fn run(mut self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = Instant::now();
        loop {
            ticks.tick().await;
            if !self.lease.is_held() {
                (self.resource, due) = (None, Instant::now());
                self.state.set(Tally::default(), None);
                continue;
            }
            if Instant::now() < due {
                continue;
            }
            let pause = match self.pass().await {
                Ok(Some((kind, tally))) => {
                    self.note(Some(kind), tally);
                    PASS_EVERY
                }
                Ok(None) => {
                    self.note(None, Tally::default());
                    RETRY
                }
                Err(error) => {
                    self.state.count_failure();
                    tracing::warn!(%error, "cannot write the reports of findings; muslin tries again in a minute");
                    RETRY
                }
            };
            due = Instant::now() + pause;
        }
    }

    /// Logs the resource of the reports when it is another one than before.
    fn note(&mut self, kind: Option<ReportKind>, tally: Tally) {
        self.state.set(tally, kind);
        if self.resource.replace(kind) == Some(kind) {
            return;
        }
        let names = || ReportKind::ALL.map(ReportKind::full_name).join(" or ");
        match kind {
            Some(kind) => {
                tracing::info!(resource = kind.full_name(), reports = tally.reports, "writing reports of findings");
            }
            None => tracing::warn!(
                resources = names(),
                "no report of findings is written: install the definition of one of these resources, for which muslin looks each minute"
            ),
        }
    }

    /// Looks at every pod, and writes, renews and deletes reports. Returns the resource and the counts; `None` if the cluster has no
    /// resource for reports.
    async fn pass(&self) -> Result<Option<(ReportKind, Tally)>, PassError> {
        let kinds = ReportKind::present(&self.client).await?;
        let Some((kind, others)) = kinds.split_first() else { return Ok(None) };
        let mut reports = Reports::list(&self.client, *kind, owner(&self.client).await?).await?;
        let mut listing = Listing::new(self.client.clone(), "/api/v1/pods", PAGE).fields(RUNNING);
        // The API server lists pods by namespace, so that the results of one namespace are in memory at a time.
        let mut results = NamespaceResults::default();
        let mut tally = Tally::default();
        while let Some(page) = listing.next().await? {
            for item in page.raw()? {
                let Ok(NamedPod { metadata }) = serde_json::from_str::<NamedPod>(item.get()) else { continue };
                if metadata.namespace != results.namespace {
                    let finished = std::mem::replace(&mut results, NamespaceResults::of(&metadata.namespace));
                    write(&mut reports, &finished, &mut tally).await?;
                }
                let findings = self.source.findings(&results.namespace, item.get()).await;
                results.add_pod(findings, &metadata);
            }
            if !self.lease.is_held() {
                return Ok(Some((*kind, tally)));
            }
            tokio::time::sleep(PAUSE).await;
        }
        write(&mut reports, &results, &mut tally).await?;
        reports.delete_others().await?;
        for other in others {
            Reports::list(&self.client, *other, None).await?.delete_others().await?;
        }
        Ok(Some((*kind, tally)))
    }
}

/// Writes the report of a namespace whose pods were all looked at.
async fn write(reports: &mut Reports, results: &NamespaceResults, tally: &mut Tally) -> Result<(), PassError> {
    if results.is_unknown() {
        tally.reports += usize::from(reports.keep(&results.namespace));
        return Ok(());
    }
    if results.is_empty() || tally.reports >= REPORTS_MAX {
        return Ok(());
    }
    match reports.write(results, Timestamp::now().as_second()).await {
        Ok(()) => {
            tally.reports += 1;
            tally.left_out += results.left_out();
            Ok(())
        }
        // The namespace is being deleted, or another leader has written the report.
        Err(error) if error.is_overtaken() || error.is_namespace_ending() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
