//! Counts the pods that were created without a review, although their namespace asks for one: then API servers do not reach muslin. The
//! leader watches the metadata of pods without muslin's mark, and stores nothing of it. Must not know plans or reviews.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{GetParams, ObjectMeta, PartialObjectMeta};
use kube::core::Request;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use quick_cache::unsync::Cache;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::events::{Rates, stable_hash};
use super::lease::Lease;
use super::own_events::{OwnEvent, OwnPod, Subject};
use super::watch::{Watch, WatchHealth};
use crate::pod::LIBC_LABEL;
use crate::rules::PODS_MISSED;

/// Pods in one page of the list, whose content is not used.
const PAGE: u32 = 20;
/// Pause between two checks of the lease.
const LEASE_INTERVAL: Duration = Duration::from_secs(1);
/// The time after the first list in which no pod counts: muslin may have become ready just now, and API servers learn that later.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Limit of a pod's age. An older one lost its mark, or is reported again because its status changed.
const AGE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Number of pods that are remembered, so that a change of their status does not count them again.
const REMEMBERED: usize = 8192;
/// Limit of the wait for one pod.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two Events.
const EVENT_PAUSE: Duration = Duration::from_secs(3600);

/// The code that knows which pods muslin marks.
pub trait MarkSource: Send + Sync {
    /// Returns whether muslin reviews the pods of a namespace and marks them, and did so when a pod was created at this time.
    fn marks_pods_of<'t>(&'t self, namespace: &'t str, created: Timestamp) -> BoxFuture<'t, bool>;

    /// Returns whether a review of this pod would have marked it. `pod` is JSON as the API server sent it.
    fn marks<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, bool>;
}

/// The number of missed pods of one process.
#[derive(Clone, Debug, Default)]
pub struct MissedPods(Arc<AtomicU64>);

/// Counts missed pods while this replica is the leader.
struct Counter {
    client: Client,
    lease: Lease,
    source: Arc<dyn MarkSource>,
    own_pod: OwnPod,
    missed: Arc<AtomicU64>,
    /// The pods that were looked at, by the hashes of their uids.
    seen: Cache<u64, ()>,
    rates: Rates,
    /// The time of the last Event, and the count that it reported.
    reported: Option<(Instant, u64)>,
}

/// A pod that muslin may have missed.
struct Unmarked {
    namespace: String,
    name: String,
    uid: String,
    created: Timestamp,
}

/// The part of a pod that identifies it.
#[derive(Deserialize)]
struct PodIdentity {
    metadata: Identity,
}

#[derive(Deserialize)]
struct Identity {
    uid: String,
}

// === impl MissedPods ===

impl MissedPods {
    /// Returns the number of missed pods.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts in a task that lives as long as the process, while this replica is the leader, and writes Events on muslin's Deployment.
    /// Needs the rights get, list and watch on pods, get on replicasets, and create on events of `events.k8s.io`.
    pub fn watch(&self, client: Client, lease: Lease, source: Arc<dyn MarkSource>, own_pod: OwnPod) {
        let counter = Counter {
            client,
            lease,
            source,
            own_pod,
            missed: Arc::clone(&self.0),
            seen: Cache::new(REMEMBERED),
            rates: Rates::default(),
            reported: None,
        };
        tokio::spawn(counter.run());
    }
}

// === impl Counter ===

impl Counter {
    async fn run(mut self) {
        loop {
            self.lease.clone().wait().await;
            if !self.lease.is_held() {
                // The lease's own task has ended.
                return;
            }
            self.follow().await;
        }
    }

    /// Follows the pods without a mark until the lease is lost. Pods that exist already may be older than muslin.
    async fn follow(&mut self) {
        let pods: Api<PartialObjectMeta<Pod>> = Api::all(self.client.clone());
        let config = watcher::Config::default().labels(&format!("!{LIBC_LABEL}")).page_size(PAGE);
        let health = WatchHealth::new("pods");
        let mut watch = Watch::all(pods, config, health, "missed pods are not counted meanwhile");
        let mut lease_check = tokio::time::interval(LEASE_INTERVAL);
        lease_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listed = None;
        loop {
            tokio::select! {
                event = watch.next() => match event {
                    Ok(Event::InitDone) => listed = listed.or_else(|| Some(Timestamp::now())),
                    Ok(Event::Apply(pod)) => if let Some(listed) = listed {
                        self.look_at(pod.metadata, listed).await;
                    },
                    Ok(Event::Init | Event::InitApply(_) | Event::Delete(_)) | Err(_) => {}
                },
                _ = lease_check.tick() => if !self.lease.is_held() {
                    return;
                },
            }
        }
    }

    async fn look_at(&mut self, metadata: ObjectMeta, listed: Timestamp) {
        let Some(pod) = Unmarked::new(metadata, listed, Timestamp::now()) else { return };
        let key = stable_hash(&[&pod.uid]);
        if self.seen.get(&key).is_some() {
            return;
        }
        self.seen.insert(key, ());
        if !self.source.marks_pods_of(&pod.namespace, pod.created).await
            || !self.rates.allow(&pod.namespace, Instant::now())
        {
            return;
        }
        let read = timeout(READ_TIMEOUT, self.read(&pod)).await;
        let Ok(Ok(Some(text))) = read else { return };
        if self.source.marks(&pod.namespace, &text).await {
            self.missed.fetch_add(1, Ordering::Relaxed);
            self.report(&pod).await;
        }
    }

    /// Reads the pod; `None` if it is gone, or replaced by another pod of its name.
    async fn read(
        &self,
        Unmarked { namespace, name, uid, created: _ }: &Unmarked,
    ) -> Result<Option<String>, kube::Error> {
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        let request = request.get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        let pod = match self.client.request_text(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            pod => pod?,
        };
        let identity: PodIdentity = serde_json::from_str(&pod).map_err(kube::Error::SerdeError)?;
        Ok((identity.metadata.uid == *uid).then_some(pod))
    }

    /// Logs a missed pod and writes an Event, at most once an hour.
    async fn report(&mut self, Unmarked { namespace, name, .. }: &Unmarked) {
        let (now, count) = (Instant::now(), self.missed.load(Ordering::Relaxed));
        let before = match self.reported {
            Some((at, _)) if now.duration_since(at) < EVENT_PAUSE => return,
            Some((_, count)) => count,
            None => 0,
        };
        self.reported = Some((now, count));
        tracing::warn!(namespace, pod = name, "a pod was created without a review: `muslin doctor` finds the cause");
        let new = count - before;
        let pods = if new == 1 { "1 pod was".to_owned() } else { format!("{new} pods were") };
        let note = format!(
            "run `muslin doctor`, which finds the cause: {pods} created without a review by muslin, the last of them {namespace}/{name}"
        );
        let subject = Subject::Deployment;
        let event = OwnEvent { subject, prefix: "muslin-missed-", reason: PODS_MISSED, action: "CountPods", note };
        if let Err(error) = self.own_pod.write(event).await {
            tracing::warn!(%error, "cannot write an Event about missed pods");
        }
    }
}

// === impl Unmarked ===

impl Unmarked {
    /// Returns a pod that is young, and was created a while after the first list.
    fn new(metadata: ObjectMeta, listed: Timestamp, now: Timestamp) -> Option<Self> {
        let created = metadata.creation_timestamp?.0;
        if created.duration_since(listed) < GRACE || now.duration_since(created) > AGE_MAX {
            return None;
        }
        Some(Self { namespace: metadata.namespace?, name: metadata.name?, uid: metadata.uid?, created })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn is_counted(listed: i64, created: i64, now: i64) -> bool {
        let at = |second| Timestamp::from_second(second).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let metadata = ObjectMeta {
            name: text("web"),
            namespace: text("shop"),
            uid: text("705ab4f5"),
            creation_timestamp: Some(Time(at(created))),
            ..ObjectMeta::default()
        };
        Unmarked::new(metadata, at(listed), at(now)).is_some()
    }

    #[test]
    fn a_pod_counts_if_it_is_young_and_muslin_was_ready_long_before_it() {
        assert!(is_counted(1000, 1060, 1061));
        assert!(is_counted(1000, 9000, 9060));
        assert!(!is_counted(1000, 900, 901), "created before muslin");
        assert!(!is_counted(1000, 1059, 1060), "created while muslin started");
        assert!(!is_counted(1000, 9000, 9061), "its label was removed, or its status changed");
    }
}
