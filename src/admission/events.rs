//! What there is to tell of a pod that runs, decided as it was when the pod was made: by the same labels, profile and images, as far as
//! they are known now. Nothing is waited for. Must not know who tells it where.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Duration, Instant};

use crate::cluster::{EventSource, PodEvents};
use crate::image::Evidence;
use crate::plan;
use crate::pod::Pod;
use crate::policy::Mode;

use super::webhook::{Inner, Webhook};

/// How long the namespace's labels are waited for, where the watch does not know them yet.
const POLICY_MAX: Duration = Duration::from_secs(2);

impl EventSource for Webhook {
    fn pod_events<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, PodEvents> {
        self.0.story(namespace, pod).boxed()
    }
}

impl Inner {
    async fn story(&self, namespace: &str, pod: &str) -> PodEvents {
        if self.is_excluded(namespace) {
            return PodEvents::default();
        }
        let policy = match self.policy(namespace, Instant::now() + POLICY_MAX).await {
            Ok(policy) => policy,
            Err(why) => {
                tracing::debug!(namespace, why, "nothing is told of a pod: its namespace is not known");
                return PodEvents::default();
            }
        };
        let mode = policy.mode(self.settings.default_mode);
        if mode < Mode::Warn {
            return PodEvents::default();
        }
        let pod: Pod<'_> = match serde_json::from_str(pod) {
            Ok(pod) => pod,
            Err(error) => {
                tracing::warn!(namespace, %error, "nothing is told of a pod that cannot be read");
                return PodEvents::default();
            }
        };
        let answers = self.recall(&pod);
        let story = self.caught("", || {
            let (fingerprints, _) = answers.fingerprints(&pod);
            // Another replica may have read the images, and what it read be on its way here.
            let known = fingerprints.iter().filter(|found| found.evidence > Evidence::Assumed).count();
            let resolvers = pod.annotations().resolvers.as_deref().unwrap_or_default();
            let more_is_known = plan::count_inspected(resolvers) > known;
            // What is to be said of the profile was said when the pod was made.
            let profile = self.profile(&self.chosen(&policy, &mut Vec::new()), &pod);
            let told = plan::pod_events(&pod, fingerprints, &self.context(namespace, mode, &profile));
            PodEvents { notes: told.unwrap_or_default(), more_is_known }
        });
        story.unwrap_or_default()
    }
}
