//! Events on muslin's own pod, or on the Deployment that made it. Must not know what they report.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::events::top_owner;
use super::writes::{WriteError, write};
use crate::text::Line;

/// The longest note of an Event, in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// muslin's own pod, on which it writes Events.
#[derive(Clone)]
pub struct OwnPod {
    /// The client.
    pub client: Client,
    /// muslin's own namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
}

/// The object that an Event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The pod of this replica.
    Pod,
    /// The Deployment of all replicas; the pod, if nothing made it.
    Deployment,
}

/// An Event of the type `Warning`.
pub(super) struct OwnEvent {
    pub(super) subject: Subject,
    /// The prefix of its name.
    pub(super) prefix: &'static str,
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) note: String,
}

// === impl OwnPod ===

impl OwnPod {
    /// Writes an Event. Each call writes a new one.
    pub(super) async fn write(&self, event: OwnEvent) -> Result<(), WriteError> {
        let Self { client, namespace, pod } = self;
        let OwnEvent { subject, prefix, reason, action, note } = event;
        let regarding = self.regarding(subject).await;
        let event = Event {
            metadata: ObjectMeta { generate_name: Some(prefix.to_owned()), ..ObjectMeta::default() },
            regarding: Some(regarding),
            reason: Some(reason.to_owned()),
            note: Some(Line::cut(note, NOTE_MAX).into_string()),
            type_: Some("Warning".to_owned()),
            action: Some(action.to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("muslin".to_owned()),
            reporting_instance: Some(pod.clone()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        write(events.create(&PostParams::default(), &event)).await.map(|_| ())
    }

    /// Returns a reference to the subject, with its uid: `kubectl describe` does not show Events without it.
    async fn regarding(&self, subject: Subject) -> ObjectReference {
        let Self { client, namespace, pod } = self;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let found = write(pods.get_metadata_opt(pod)).await.ok().flatten().map(|pod| pod.metadata).unwrap_or_default();
        let owner = found.owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
        if let (Subject::Deployment, Some(owner)) = (subject, owner)
            && let Ok(Some(top)) = write(top_owner(client, namespace, &owner)).await
        {
            return top;
        }
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.clone()),
            namespace: Some(namespace.clone()),
            uid: found.uid,
            ..ObjectReference::default()
        }
    }
}
