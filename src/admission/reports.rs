//! The findings on a running pod, by today's labels, profile and images as far as they are known. Nothing waits for an image. Must not know
//! where they are reported.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Duration, Instant};

use crate::budget::Budget;
use crate::cluster::{FindingSource, ReportedFinding};
use crate::plan::findings_as_is;
use crate::pod::Pod;
use crate::policy::{Level, Mode, PodStages};

use super::state::{REVIEW_STEPS, State};
use super::webhook::Webhook;

/// The longest wait for a namespace's labels, if the watch has not seen them yet.
const POLICY_MAX: Duration = Duration::from_secs(2);

impl FindingSource for Webhook {
    fn findings<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, Option<Vec<ReportedFinding>>> {
        findings(self.state(), namespace, pod).boxed()
    }
}

/// Returns the findings from `warn` up: advice holds for most pods of a cluster. Mode `off` reports nothing. `None` if the policy of the
/// namespace is unknown.
async fn findings(state: &State, namespace: &str, pod: &str) -> Option<Vec<ReportedFinding>> {
    if state.is_excluded(namespace) {
        return Some(Vec::new());
    }
    let policy = state.policy(namespace, Instant::now() + POLICY_MAX).await.ok()?;
    let mode = state.mode(&policy);
    let Ok(pod) = serde_json::from_str::<Pod<'_>>(pod) else { return Some(Vec::new()) };
    if mode == Mode::Off {
        return Some(Vec::new());
    }
    let images = state.known_images(&pod, namespace);
    let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
    let mut budget = Budget::new(REVIEW_STEPS);
    let find = || {
        let (fingerprints, _) = images.fingerprints(&pod);
        let profile = state.namespace_profile(&policy, &mut Vec::new());
        let profile = state.pod_profile(namespace, &profile, None, &pod, &stages);
        let broken = state.broken_domains();
        let context = state.context(namespace, mode.max(Mode::Warn), &profile, &broken);
        findings_as_is(&pod, fingerprints, &context).unwrap_or_default()
    };
    let found = state.catch("", || budget.run(find)).unwrap_or_default();
    if budget.check().is_err() {
        tracing::debug!(namespace, "a pod is too large for a report");
        return Some(Vec::new());
    }
    let reported = found.into_iter().filter(|finding| finding.level >= Level::Warn).map(|finding| ReportedFinding {
        level: finding.level,
        rule: finding.rule.slug,
        container: finding.container,
        message: finding.message.into_owned(),
        help: finding.help.into_owned(),
    });
    Some(reported.collect())
}
