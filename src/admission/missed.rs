//! The pods that muslin marks, for the count of those that it missed. Must not know where pods come from.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use crate::budget::Budget;
use crate::cluster::MarkSource;
use crate::pod::Pod;
use crate::policy::{Mode, PodStages};

use super::state::{REVIEW_STEPS, State};
use super::webhook::Webhook;

/// The longest wait for a namespace's labels, if the watch has not seen them yet.
const POLICY_MAX: Duration = Duration::from_secs(2);

/// The time that a change of a namespace's labels takes to reach each API server and each replica, with a reserve.
const LABELS_SETTLE: Duration = Duration::from_secs(10);

impl MarkSource for Webhook {
    fn marks_pods_of<'t>(&'t self, namespace: &'t str, created: Timestamp) -> BoxFuture<'t, bool> {
        marks_pods_of(self.state(), namespace, created).boxed()
    }

    fn marks<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, bool> {
        marks(self.state(), namespace, pod).boxed()
    }
}

async fn marks_pods_of(state: &State, namespace: &str, created: Timestamp) -> bool {
    if state.is_excluded(namespace) {
        return false;
    }
    let Ok(policy) = state.policy(namespace, Instant::now() + POLICY_MAX).await else { return false };
    let changed = state.namespaces.changed(namespace);
    let is_settled = changed.is_none_or(|changed| created >= changed.saturating_add(LABELS_SETTLE).unwrap_or(changed));
    state.mode(&policy) >= Mode::Warn && is_settled
}

/// Plans the pod as a review would. A pod that is skipped, such as one on Windows, gets no mark, nor does one beyond the budget.
async fn marks(state: &State, namespace: &str, pod: &str) -> bool {
    let Ok(policy) = state.policy(namespace, Instant::now() + POLICY_MAX).await else { return false };
    let mode = state.mode(&policy);
    let Ok(pod) = serde_json::from_str::<Pod<'_>>(pod) else { return false };
    if mode < Mode::Warn || pod.libc_label().is_some() {
        return false;
    }
    let images = state.known_images(&pod, namespace);
    let mut budget = Budget::new(REVIEW_STEPS);
    let plan = || {
        let (fingerprints, _) = images.fingerprints(&pod);
        let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
        let chosen = state.namespace_profile(&policy, &mut Vec::new());
        let profile = state.pod_profile(namespace, &chosen, None, &pod, &stages);
        let broken = state.broken_domains();
        (state.planner)(&pod, fingerprints, &state.context(namespace, mode, &profile, &broken)).is_ok()
    };
    let is_planned = state.catch("", || budget.run(plan));
    is_planned.unwrap_or_default() && budget.check().is_ok()
}
