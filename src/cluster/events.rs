//! Events, by which `kubectl describe` tells what is wrong with a pod, or was done to it: on the pod, and on what made it. The
//! lease holder alone writes them. A watch of the pods' metadata, which keeps nothing, tells which of them may have a story; what it
//! is somebody above knows, who looks at the pod itself. Must not know plans or reviews.

mod rates;

use std::hash::Hasher as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fnv::FnvHasher;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event as EventObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{GetParams, ObjectMeta, PartialObjectMeta, PostParams};
use kube::core::{Request, Status};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use quick_cache::unsync::Cache;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep, timeout};

use super::lease::Lease;
use super::watch::WatchHealth;
use crate::plan::Told;
use crate::pod::{INJECTED_ANNOTATION, LIBC_LABEL, WARNINGS_ANNOTATION};
use rates::Rates;

/// Who writes them, as `kubectl describe` shows it.
const CONTROLLER: &str = "muslin";
/// What was done, in the API's terms.
const ACTION: &str = "Review";
/// How old a pod may be of which something is told. Kubernetes forgets Events after an hour (kube-apiserver, `--event-ttl`), and with
/// them that it was told.
const YOUNG: SignedDuration = SignedDuration::from_mins(30);
/// How often a pod is looked at until what other replicas know of it has come, and how long after that the second time, each of the
/// others twice as long: fifteen seconds in all. They share what they read within a second or two.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many pods wait to be told of; each takes some hundred bytes.
const QUEUE_MAX: usize = 1024;
/// How many pods, and how many stories of what made them, are remembered as told, so that a pod that changes is not looked at anew.
const REMEMBERED: usize = 8192;
/// How many pods one page of the list has; each takes some KiB.
const PAGE: u32 = 100;
/// How often it is looked whether the lease is still held.
const LOOK: Duration = Duration::from_secs(1);
/// How long all about one pod may take.
const POD_MAX: Duration = Duration::from_secs(10);
/// How many bytes the API server takes of who reports
/// (kubernetes `pkg/apis/core/validation/events.go`, `ReportingInstanceLengthLimit`).
const INSTANCE_MAX: usize = 128;
/// Why nothing is created in a namespace that is being deleted
/// (kubernetes `staging/src/k8s.io/api/core/v1/types.go`, `NamespaceTerminatingCause`).
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
/// How much of an object's name the name of an Event has, which may have 253 bytes in all.
const NAME_MAX: usize = 200;

/// Who knows what there is to tell of a pod.
pub trait Teller: Send + Sync {
    /// What there is to tell of this pod, which the API server gave as JSON.
    fn story<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, Story>;
}

/// What there is to tell of a pod.
#[derive(Debug, Default)]
pub struct Story {
    /// It, an Event each.
    pub told: Vec<Told>,
    /// Whether more was known when the pod was made, by another replica, so that it is worth waiting for.
    pub more_is_known: bool,
}

/// The Events of one process.
#[derive(Clone, Debug)]
pub struct Events {
    tally: Arc<Tally>,
    watch: WatchHealth,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Tally {
    /// Events that were written.
    pub written: AtomicU64,
    /// Pods of which nothing was told, as there were too many at once.
    pub dropped: AtomicU64,
    /// Pods of which something could not be told.
    pub failed: AtomicU64,
}

/// A pod that may have a story.
struct Candidate {
    namespace: String,
    name: String,
    uid: String,
    /// What made it.
    owner: Option<OwnerReference>,
    /// How often it was looked at.
    looks: u32,
}

/// Finds the pods that may have a story.
struct Finder {
    pods: Api<PartialObjectMeta<Pod>>,
    lease: Lease,
    events: Events,
    /// The pods that were passed on of late, by their uids.
    passed_on: Cache<u64, ()>,
    queue: mpsc::Sender<Candidate>,
}

/// Writes what there is to tell of them.
struct Writer {
    client: Client,
    lease: Lease,
    events: Events,
    instance: String,
    teller: Arc<dyn Teller>,
    rates: Rates,
    /// What was told of late of what makes pods.
    told: Cache<u64, ()>,
    /// Whether the last attempt failed, so that it is said once.
    is_broken: bool,
}

/// The part of a pod by which it is known again.
#[derive(Deserialize)]
struct Kept {
    metadata: KeptMeta,
}

#[derive(Deserialize)]
struct KeptMeta {
    uid: String,
}

// === impl Events ===

impl Default for Events {
    fn default() -> Self {
        let watch = WatchHealth::new("pods");
        // Nothing is missed before there is something to tell.
        watch.record(true);
        Self { tally: Arc::default(), watch }
    }
}

impl Events {
    /// What became of them.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How the watch of pods is.
    pub fn health(&self) -> WatchHealth {
        self.watch.clone()
    }

    /// Writes Events by tasks of their own for as long as the process lives and while it holds the lease. `instance` names the
    /// replica. Needs the rights get, list and watch on pods, get on replicasets and jobs, and create on events of `events.k8s.io`.
    pub fn write(&self, client: Client, lease: Lease, instance: &str, teller: Arc<dyn Teller>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let finder = Finder {
            pods: Api::all(client.clone()),
            lease: lease.clone(),
            events: self.clone(),
            passed_on: Cache::new(REMEMBERED),
            queue,
        };
        let instance = instance.chars().take(INSTANCE_MAX / char::MAX_LEN_UTF8).collect();
        let (rates, told) = (Rates::default(), Cache::new(REMEMBERED));
        let writer = Writer { client, lease, events: self.clone(), instance, teller, rates, told, is_broken: false };
        tokio::spawn(finder.run());
        tokio::spawn(writer.run(waiting));
    }
}

// === impl Finder ===

impl Finder {
    async fn run(mut self) {
        loop {
            self.lease.clone().wait().await;
            if !self.lease.is_held() {
                // Nobody will tell of the lease any more.
                return;
            }
            self.follow().await;
            self.events.watch.record(true);
        }
    }

    /// Follows the pods until the lease is lost. Those that are there are looked at first: the holder before may have been gone when
    /// they were made.
    async fn follow(&mut self) {
        let config = watcher::Config::default().labels(LIBC_LABEL).page_size(PAGE);
        let mut events = pin!(watcher(self.pods.clone(), config).default_backoff());
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_broken = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = look.tick() => {
                    if self.lease.is_held() {
                        continue;
                    }
                    return;
                }
            };
            match event {
                Some(Ok(event)) => {
                    self.events.watch.record(true);
                    is_broken = false;
                    self.pass_on(event).await;
                }
                Some(Err(error)) => {
                    self.events.watch.record(false);
                    if !std::mem::replace(&mut is_broken, true) {
                        tracing::warn!(%error, "cannot watch the pods; no Events are written of them");
                    }
                }
                None => return,
            }
        }
    }

    async fn pass_on(&mut self, event: Event<PartialObjectMeta<Pod>>) {
        let (pod, is_listed) = match event {
            Event::InitApply(pod) => (pod, true),
            Event::Apply(pod) => (pod, false),
            Event::Init | Event::InitDone | Event::Delete(_) => return,
        };
        let Some(candidate) = candidate(pod.metadata, Timestamp::now()) else { return };
        let known = hash(&[&candidate.uid]);
        if self.passed_on.get(&known).is_some() {
            return;
        }
        self.passed_on.insert(known, ());
        if is_listed {
            // The next page can wait; the receiver lives as long as this.
            let _ = self.queue.send(candidate).await;
        } else if self.queue.try_send(candidate).is_err() {
            self.events.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A pod of which there may be something to tell, by what stands on it. Anybody can write that, and all it does is that the pod is
/// looked at.
fn candidate(metadata: ObjectMeta, now: Timestamp) -> Option<Candidate> {
    let annotations = metadata.annotations?;
    let is_young = metadata.creation_timestamp.is_some_and(|created| now.duration_since(created.0) < YOUNG);
    let has_story = [WARNINGS_ANNOTATION, INJECTED_ANNOTATION].into_iter().any(|key| annotations.contains_key(key));
    if !is_young || !has_story || metadata.deletion_timestamp.is_some() {
        return None;
    }
    let owner = metadata.owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
    Some(Candidate { namespace: metadata.namespace?, name: metadata.name?, uid: metadata.uid?, owner, looks: 0 })
}

// === impl Writer ===

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Candidate>) {
        let mut again = FuturesUnordered::new();
        loop {
            let mut candidate = tokio::select! {
                Some(candidate) = again.next() => candidate,
                candidate = waiting.recv() => match candidate {
                    Some(candidate) => candidate,
                    None => return,
                },
            };
            if !self.lease.is_held() {
                continue;
            }
            let events = self.events.clone();
            if candidate.looks == 0 && !self.rates.allow(&candidate.namespace, Instant::now()) {
                events.tally.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            candidate.looks += 1;
            let is_last = candidate.looks >= LOOKS || again.len() >= QUEUE_MAX;
            let failure = match timeout(POD_MAX, self.tell(&candidate, is_last)).await {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => {
                    again.push(async {
                        sleep(LOOK_AGAIN * 2_u32.pow(candidate.looks - 1)).await;
                        candidate
                    });
                    continue;
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(late) => Some(late.to_string()),
            };
            if let Some(error) = &failure {
                events.tally.failed.fetch_add(1, Ordering::Relaxed);
                if !self.is_broken {
                    let Candidate { namespace, name, .. } = &candidate;
                    tracing::warn!(namespace, pod = name, error, "cannot write the Events of a pod");
                }
            }
            self.is_broken = failure.is_some();
        }
    }

    /// Tells of a pod; whether that is done. It is not where more may be known soon, unless this is the last time.
    async fn tell(&mut self, candidate: &Candidate, is_last: bool) -> Result<bool, kube::Error> {
        let Candidate { namespace, name, uid, owner, looks: _ } = candidate;
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        let request = request.get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        let pod = match self.client.request_text(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(true),
            pod => pod?,
        };
        let kept: Kept = serde_json::from_str(&pod).map_err(kube::Error::SerdeError)?;
        if kept.metadata.uid != *uid {
            // Another pod of the same name.
            return Ok(true);
        }
        let Story { told: story, more_is_known } = self.teller.story(namespace, &pod).await;
        if more_is_known && !is_last {
            return Ok(false);
        }
        let itself = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        };
        let mut is_news = false;
        for told in &story {
            // Not by what it says: a restart may have learned more of the pod's images, and tells it once all the same.
            is_news |= self.create(&itself, told, hash(&[uid, told.reason.name()])).await?;
        }
        let Some(owner) = owner.as_ref().filter(|_| is_news) else { return Ok(true) };
        let key = hash(&[&owner.uid, &format!("{story:?}")]);
        if self.told.get(&key).is_some() {
            return Ok(true);
        }
        if let Some(top) = self.top(namespace, owner).await? {
            for told in &story {
                let of_pods = Told { message: format!("its pods: {}", told.message), ..told.clone() };
                let uid = top.uid.as_deref().unwrap_or_default();
                self.create(&top, &of_pods, hash(&[uid, told.reason.name(), &told.message])).await?;
            }
        }
        self.told.insert(key, ());
        Ok(true)
    }

    /// Writes an Event; whether it was not there before.
    async fn create(&self, regarding: &ObjectReference, told: &Told, hash: u64) -> Result<bool, kube::Error> {
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let Told { reason, is_warning, message } = told;
        let metadata = ObjectMeta {
            name: Some(event_name(regarding.name.as_deref().unwrap_or_default(), hash)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        let event = EventObject {
            metadata,
            regarding: Some(regarding.clone()),
            reason: Some(reason.name().to_owned()),
            note: Some(message.clone()),
            type_: Some(if *is_warning { "Warning" } else { "Normal" }.to_owned()),
            action: Some(ACTION.to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..EventObject::default()
        };
        let api: Api<EventObject> = Api::namespaced(self.client.clone(), namespace);
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {
                self.events.tally.written.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            // Told before the lease changed hands, or this process was started; or there is nobody left to tell.
            Err(kube::Error::Api(status)) if status.code == 409 || is_ending(&status) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The object at the top of what made a pod: the Deployment of its ReplicaSet, the CronJob of its Job, or what made it itself.
    /// Who made a pod stands on it, and anybody who may create pods can write it; it counts as it does for Kubernetes' own
    /// controllers, by the uid.
    async fn top(&self, namespace: &str, owner: &OwnerReference) -> Result<Option<ObjectReference>, kube::Error> {
        if !is_plain(&owner.name) || !is_plain(&owner.kind.to_ascii_lowercase()) {
            return Ok(None);
        }
        let above = match (owner.api_version.as_str(), owner.kind.as_str()) {
            ("apps/v1", "ReplicaSet") => self.owner_of::<ReplicaSet>(namespace, owner).await?,
            ("batch/v1", "Job") => self.owner_of::<Job>(namespace, owner).await?,
            _ => Some(owner.clone()),
        };
        Ok(above.map(|OwnerReference { api_version, kind, name, uid, .. }| ObjectReference {
            api_version: Some(api_version),
            kind: Some(kind),
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            uid: Some(uid),
            ..ObjectReference::default()
        }))
    }

    /// What made an object, or the object itself where it was made by nobody; `None` where it is not there.
    async fn owner_of<K>(&self, namespace: &str, made: &OwnerReference) -> Result<Option<OwnerReference>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug,
    {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), namespace);
        let Some(object) = api.get_opt(&made.name).await? else { return Ok(None) };
        if object.metadata.uid.as_ref() != Some(&made.uid) {
            return Ok(None);
        }
        let controller = object.metadata.owner_references.into_iter().flatten().find(|it| it.controller == Some(true));
        Ok(Some(controller.filter(|above| is_plain(&above.name)).unwrap_or_else(|| made.clone())))
    }
}

/// Whether the API server takes nothing more in the namespace, which is being deleted.
fn is_ending(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404 || causes.into_iter().any(|cause| cause.reason == NAMESPACE_TERMINATING)
}

/// Whether a word has only what names in Kubernetes have, so that it can stand in a path.
fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !word.is_empty() && word.len() <= 253 && word.bytes().all(plain) && !word.starts_with(['-', '.'])
}

/// The same for the same texts, in every process and release.
fn hash(texts: &[&str]) -> u64 {
    let mut hasher = FnvHasher::default();
    for text in texts {
        // With the length before it, so that no two lists read alike.
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    }
    hasher.finish()
}

/// The name of an Event of an object.
fn event_name(object: &str, hash: u64) -> String {
    let start = object.get(..NAME_MAX).unwrap_or(object).trim_end_matches(['-', '.']);
    format!("{start}.{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn pod(age: SignedDuration, annotation: &str) -> ObjectMeta {
        let text = |text: &str| Some(text.to_owned());
        ObjectMeta {
            name: text("web"),
            namespace: text("shop"),
            uid: text("705ab4f5"),
            creation_timestamp: Some(Time(Timestamp::UNIX_EPOCH - age)),
            annotations: Some(BTreeMap::from([(annotation.to_owned(), "x".to_owned())])),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_pod_is_looked_at_while_it_is_young_if_something_is_written_on_it() {
        let looked_at = |metadata| candidate(metadata, Timestamp::UNIX_EPOCH).is_some();
        assert!(looked_at(pod(SignedDuration::from_mins(29), WARNINGS_ANNOTATION)));
        assert!(looked_at(pod(SignedDuration::ZERO, INJECTED_ANNOTATION)));
        assert!(!looked_at(pod(SignedDuration::from_mins(31), WARNINGS_ANNOTATION)));
        assert!(!looked_at(pod(SignedDuration::ZERO, "muslin.dev/resolvers")));
        let leaving = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(!looked_at(ObjectMeta {
            deletion_timestamp: leaving,
            ..pod(SignedDuration::ZERO, WARNINGS_ANNOTATION)
        }));
    }

    #[test]
    fn the_name_of_an_event_stays_from_release_to_release() {
        assert_eq!(event_name("web-0", hash(&["705ab4f5", "MuslResolver"])), "web-0.1410c8a4d83ab754");
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }

    #[test]
    fn the_name_of_an_event_fits_and_is_one() {
        let long = format!("{}-.{}", "a".repeat(NAME_MAX - 2), "b".repeat(51));
        let name = event_name(&long, 1);
        assert_eq!(name, format!("{}.0000000000000001", "a".repeat(NAME_MAX - 2)));
    }

    #[test]
    fn what_is_no_name_is_never_part_of_a_path() {
        for word in ["", "../secrets/x", "a/b", "a?b", "A", "..", "a b", &"a".repeat(254)] {
            assert!(!is_plain(word), "{word}");
        }
        assert!(is_plain("web-5d.v1"));
    }
}
