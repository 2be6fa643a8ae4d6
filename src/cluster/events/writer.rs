//! Writes the Events of the candidates.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as EventObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{GetParams, ObjectMeta, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use quick_cache::unsync::Cache;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::candidate::Candidate;
use super::names::{event_name, stable_hash};
use super::owner::top_owner;
use super::rates::Rates;
use super::source::{EventSource, PodEvents};
use super::tally::EventTally;
use crate::cluster::lease::Lease;
use crate::cluster::writes::is_terminating;
use crate::plan::EventNote;
use crate::text::Line;

/// The reporter that `kubectl describe` shows.
const CONTROLLER: &str = "muslin";
/// The action of every Event.
const ACTION: &str = "Review";
/// Limit of looks at one pod until the knowledge of other replicas has arrived. Replicas share what they read within a second or two.
const LOOKS_MAX: u32 = 5;
/// Pause before the second look; each further pause is twice as long: fifteen seconds in all.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Time limit of all work on one pod.
const POD_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit of an Event's note in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// Writes Events while this replica is the leader.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) lease: Lease,
    pub(super) tally: Arc<EventTally>,
    pub(super) instance: String,
    pub(super) source: Arc<dyn EventSource>,
    pub(super) rates: Rates,
    /// Hashes of the Events that workloads recently got.
    pub(super) finished_owners: Cache<u64, ()>,
    /// The last pod failed, so that further failures are not logged.
    pub(super) has_failed: bool,
    /// Limit of pods that wait for another look.
    pub(super) repeats_max: usize,
}

/// The outcome of one look at a pod.
enum Look {
    Done,
    /// Another replica knows more about the pod's images.
    Again,
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

// === impl Writer ===

impl Writer {
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Candidate>) {
        let mut repeats = FuturesUnordered::new();
        loop {
            let mut candidate = tokio::select! {
                Some(candidate) = repeats.next() => candidate,
                candidate = waiting.recv() => match candidate {
                    Some(candidate) => candidate,
                    None => return,
                },
            };
            if !self.lease.is_held() {
                continue;
            }
            if candidate.looks == 0 && !self.rates.allow(&candidate.namespace, Instant::now()) {
                self.tally.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            candidate.looks += 1;
            let is_last = candidate.looks >= LOOKS_MAX || repeats.len() >= self.repeats_max;
            if let Look::Again = self.look_at(&candidate, is_last).await {
                repeats.push(async {
                    sleep(LOOK_AGAIN * 2_u32.pow(candidate.looks - 1)).await;
                    candidate
                });
            }
        }
    }

    /// Looks at a pod within the time limit, and counts and logs a failure.
    async fn look_at(&mut self, candidate: &Candidate, is_last: bool) -> Look {
        let error = match timeout(POD_TIMEOUT, self.report(candidate, is_last)).await {
            Ok(Ok(Look::Again)) => return Look::Again,
            Ok(Ok(Look::Done)) => {
                self.has_failed = false;
                return Look::Done;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the API server does not answer".to_owned(),
        };
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.has_failed, true) {
            let Candidate { namespace, name, .. } = candidate;
            tracing::warn!(namespace, pod = name, error, "cannot write the Events of a pod");
        }
        Look::Done
    }

    /// Writes the Events of a pod and its workload, unless more may be known soon and this is not the last look.
    async fn report(&mut self, candidate: &Candidate, is_last: bool) -> Result<Look, kube::Error> {
        let Candidate { namespace, name, uid, owner, looks: _ } = candidate;
        let Some(pod) = self.read_pod(candidate).await? else { return Ok(Look::Done) };
        let PodEvents { notes, more_is_known } = self.source.pod_events(namespace, &pod).await;
        if more_is_known && !is_last {
            return Ok(Look::Again);
        }
        let pod = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        };
        let mut is_new = false;
        for note in &notes {
            // The name does not depend on the message: a restarted muslin may know more of the pod's images, and must not write again.
            is_new |= self.create(&pod, note, stable_hash(&[uid, note.reason.name()])).await?;
        }
        if let Some(owner) = owner.as_ref().filter(|_| is_new) {
            self.report_to_owner(namespace, owner, &notes).await?;
        }
        Ok(Look::Done)
    }

    /// Reads the pod; `None` if it is gone, or replaced by another pod of its name.
    async fn read_pod(&self, candidate: &Candidate) -> Result<Option<String>, kube::Error> {
        let request = Request::new(format!("/api/v1/namespaces/{}/pods", candidate.namespace));
        let request = request.get(&candidate.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        let pod = match self.client.request_text(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            pod => pod?,
        };
        let identity: PodIdentity = serde_json::from_str(&pod).map_err(kube::Error::SerdeError)?;
        Ok((identity.metadata.uid == candidate.uid).then_some(pod))
    }

    /// Writes the Events of a pod on the workload that made it, once for all pods with the same Events.
    async fn report_to_owner(
        &mut self,
        namespace: &str,
        owner: &OwnerReference,
        notes: &[EventNote],
    ) -> Result<(), kube::Error> {
        let key = stable_hash(&[&owner.uid, &format!("{notes:?}")]);
        if self.finished_owners.get(&key).is_some() {
            return Ok(());
        }
        if let Some(top) = top_owner(&self.client, namespace, owner).await? {
            for note in notes {
                let message = format!("in its pods: {}", note.message);
                let of_pods = EventNote { message: Line::cut(message, NOTE_MAX), ..note.clone() };
                let uid = top.uid.as_deref().unwrap_or_default();
                self.create(&top, &of_pods, stable_hash(&[uid, note.reason.name(), &note.message])).await?;
            }
        }
        self.finished_owners.insert(key, ());
        Ok(())
    }

    /// Writes an Event, and returns whether it is new.
    async fn create(&self, regarding: &ObjectReference, note: &EventNote, hash: u64) -> Result<bool, kube::Error> {
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let EventNote { reason, is_warning, message } = note;
        let metadata = ObjectMeta {
            name: Some(event_name(regarding.name.as_deref().unwrap_or_default(), hash)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        let event = EventObject {
            metadata,
            regarding: Some(regarding.clone()),
            reason: Some(reason.name().to_owned()),
            note: Some(message.to_string()),
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
                self.tally.written.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            // A former leader or process wrote it already, or the namespace is going away.
            Err(kube::Error::Api(status)) if status.code == 409 || is_terminating(&status) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
