//! Finds the pods that may have something to report, by a watch of their metadata that stores nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use quick_cache::unsync::Cache;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::candidate::Candidate;
use super::names::stable_hash;
use super::tally::EventTally;
use crate::cluster::lease::Lease;
use crate::cluster::policies::PolicyState;
use crate::cluster::watch::{Watch, WatchHealth};
use crate::pod::{LIBC_LABEL, POLICIES_ANNOTATION};

/// Pods in one page of the list. The metadata of one takes some KiB, and up to 1.5 MiB where a tenant fills it.
const PAGE: u32 = 20;
/// The age of a pod from which on it is not counted as new: the watch reports it again for another reason.
const NEW_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Pause between two checks of the lease.
const LEASE_INTERVAL: Duration = Duration::from_secs(1);

/// Passes candidates on while this replica is the leader.
pub(super) struct Finder {
    pub(super) pods: Api<PartialObjectMeta<Pod>>,
    pub(super) lease: Lease,
    pub(super) health: WatchHealth,
    pub(super) tally: Arc<EventTally>,
    /// The pods that were recently passed on, by the hashes of their uids.
    pub(super) passed_on: Cache<u64, ()>,
    /// Counts the pods that admission policies changed, if muslin keeps policies.
    pub(super) policies: Option<Arc<PolicyState>>,
    /// The pods that were recently counted, by the hashes of their uids.
    pub(super) counted: Cache<u64, ()>,
    pub(super) queue: mpsc::Sender<Candidate>,
}

// === impl Finder ===

impl Finder {
    pub(super) async fn run(mut self) {
        loop {
            self.lease.clone().wait().await;
            if !self.lease.is_held() {
                // The lease's own task has ended.
                return;
            }
            self.follow().await;
            self.health.record(true);
        }
    }

    /// Follows the pods until the lease is lost. Existing pods come first: the previous leader may have been gone when they were
    /// created.
    async fn follow(&mut self) {
        let config = watcher::Config::default().labels(LIBC_LABEL).page_size(PAGE);
        let mut watch = Watch::all(self.pods.clone(), config, self.health.clone(), "no Events are written meanwhile");
        let mut lease_check = tokio::time::interval(LEASE_INTERVAL);
        lease_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = watch.next() => if let Ok(event) = event {
                    self.pass_on(event).await;
                },
                _ = lease_check.tick() => if !self.lease.is_held() {
                    return;
                },
            }
        }
    }

    /// Counts a new pod with the mark of admission policies, once.
    fn count(&mut self, metadata: &ObjectMeta) {
        let (Some(policies), Some(uid)) = (&self.policies, &metadata.uid) else { return };
        let is_marked =
            metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(POLICIES_ANNOTATION));
        let is_new = metadata
            .creation_timestamp
            .as_ref()
            .is_some_and(|created| Timestamp::now().duration_since(created.0) < NEW_MAX);
        let key = stable_hash(&[uid]);
        if is_marked && is_new && self.counted.get(&key).is_none() {
            self.counted.insert(key, ());
            policies.count_pod();
        }
    }

    async fn pass_on(&mut self, event: Event<PartialObjectMeta<Pod>>) {
        let (pod, is_listed) = match event {
            Event::InitApply(pod) => (pod, true),
            Event::Apply(pod) => (pod, false),
            Event::Init | Event::InitDone | Event::Delete(_) => return,
        };
        if !is_listed {
            self.count(&pod.metadata);
        }
        let Some(candidate) = Candidate::new(pod.metadata, Timestamp::now()) else { return };
        let key = stable_hash(&[&candidate.uid]);
        if self.passed_on.get(&key).is_some() {
            return;
        }
        self.passed_on.insert(key, ());
        if is_listed {
            // The next page can wait; the receiver lives as long as this task.
            let _ = self.queue.send(candidate).await;
        } else if self.queue.try_send(candidate).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
