//! Kubernetes Events, which show in `kubectl describe` what is wrong with a pod, or what was done to it: on the pod, and on the
//! workload that made it. Only the leader writes them. A watch of the pods' metadata finds the pods with something to report; an
//! [`EventSource`] looks at the pod and decides what that is. Must not know plans or reviews.

mod candidate;
mod finder;
mod names;
mod owner;
mod rates;
mod source;
mod tally;
mod writer;

use std::sync::Arc;

use kube::{Api, Client};
use quick_cache::unsync::Cache;
use tokio::sync::mpsc;

pub(super) use names::{event_name, stable_hash};
pub(super) use owner::top_owner;
pub(super) use rates::Rates;
pub use source::{EventSource, PodEvents};
pub use tally::EventTally;

use super::lease::Lease;
use super::policies::PolicyState;
use super::watch::WatchHealth;
use finder::Finder;
use writer::Writer;

/// Limit of pods that wait for their Events; each takes some hundred bytes.
const QUEUE_MAX: usize = 1024;
/// Number of finished pods, and of finished workloads, that are remembered, so that a changed pod is not looked at anew.
const REMEMBERED: usize = 8192;
/// Limit of the replica's name in bytes
/// (kubernetes `pkg/apis/core/validation/events.go`, `ReportingInstanceLengthLimit`).
const INSTANCE_MAX: usize = 128;

/// The Events of one process.
#[derive(Clone, Debug)]
pub struct Events {
    tally: Arc<EventTally>,
    health: WatchHealth,
}

// === impl Events ===

impl Default for Events {
    fn default() -> Self {
        let health = WatchHealth::new("pods");
        // Nothing is missed before this replica is the leader.
        health.record(true);
        Self { tally: Arc::default(), health }
    }
}

impl Events {
    /// Returns the counts of written, dropped and failed Events.
    pub fn tally(&self) -> &EventTally {
        &self.tally
    }

    /// Returns the health of the watch of pods.
    pub fn health(&self) -> WatchHealth {
        self.health.clone()
    }

    /// Writes Events in tasks that live as long as the process, while this replica is the leader. `instance` names the replica. Needs
    /// the rights get, list and watch on pods, get on replicasets and jobs, and create on events of `events.k8s.io`. Pods that admission
    /// policies changed are counted in `policies`.
    pub fn write(
        &self,
        client: Client,
        lease: Lease,
        instance: &str,
        source: Arc<dyn EventSource>,
        policies: Option<Arc<PolicyState>>,
    ) {
        let Self { tally, health } = self.clone();
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let finder = Finder {
            pods: Api::all(client.clone()),
            lease: lease.clone(),
            health,
            tally: Arc::clone(&tally),
            passed_on: Cache::new(REMEMBERED),
            policies,
            counted: Cache::new(REMEMBERED),
            queue,
        };
        let writer = Writer {
            client,
            lease,
            tally,
            instance: instance.chars().take(INSTANCE_MAX / char::MAX_LEN_UTF8).collect(),
            source,
            rates: Rates::default(),
            finished_owners: Cache::new(REMEMBERED),
            has_failed: false,
            repeats_max: QUEUE_MAX,
        };
        tokio::spawn(finder.run());
        tokio::spawn(writer.run(waiting));
    }
}
