//! The events of a running pod, planned as at its creation: by the same labels, profile and images, as far as they are known now.
//! Nothing waits for an image. Must not know where the events are written.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Duration, Instant};

use crate::cluster::{EventSource, PodEvents};
use crate::image::Evidence;
use crate::plan;
use crate::pod::Pod;
use crate::policy::{Mode, PodStages};

use super::state::State;
use super::webhook::Webhook;

/// The longest wait for a namespace's labels, if the watch has not seen them yet.
const POLICY_MAX: Duration = Duration::from_secs(2);

impl EventSource for Webhook {
    fn pod_events<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, PodEvents> {
        pod_events(self.state(), namespace, pod).boxed()
    }
}

async fn pod_events(state: &State, namespace: &str, pod: &str) -> PodEvents {
    if state.is_excluded(namespace) {
        return PodEvents::default();
    }
    let policy = match state.policy(namespace, Instant::now() + POLICY_MAX).await {
        Ok(policy) => policy,
        Err(error) => {
            tracing::debug!(namespace, %error, "wrote no Event for a pod: its namespace is not known");
            return PodEvents::default();
        }
    };
    let mode = state.mode(&policy);
    if mode < Mode::Warn {
        return PodEvents::default();
    }
    let pod: Pod<'_> = match serde_json::from_str(pod) {
        Ok(pod) => pod,
        Err(error) => {
            tracing::warn!(namespace, %error, "wrote no Event for a pod that cannot be parsed");
            return PodEvents::default();
        }
    };
    let images = state.known_images(&pod, namespace);
    let events = state.catch("", || {
        let (fingerprints, _) = images.fingerprints(&pod);
        // Another replica may have inspected the images, and its fingerprints may be on their way here.
        let known = fingerprints.iter().filter(|fingerprint| fingerprint.evidence > Evidence::Assumed).count();
        let resolvers = pod.annotations().resolvers.as_deref().unwrap_or_default();
        let more_is_known = plan::count_inspected(resolvers) > known;
        // The notes on the profile were shown at the pod's creation.
        let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
        let chosen = state.namespace_profile(&policy, &mut Vec::new());
        let profile = state.pod_profile(namespace, &chosen, None, &pod, &stages);
        let broken = state.broken_domains();
        let notes = plan::pod_events(&pod, fingerprints, &state.context(namespace, mode, &profile, &broken));
        PodEvents { notes: notes.unwrap_or_default(), more_is_known }
    });
    events.unwrap_or_default()
}
