//! Events about a given certificate that API servers cannot trust, on muslin's own pod. Must not know what is wrong with it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch as channel;

use super::KeyHealth;
use crate::cluster::writes::{WriteError, write};
use crate::rules::CERTIFICATE_UNUSABLE;
use crate::text::Line;

/// The longest note of an Event, in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// A writer of Events about muslin's own certificate.
pub struct ProblemEvents {
    /// The client.
    pub client: Client,
    /// muslin's own namespace.
    pub namespace: String,
    /// muslin's own pod.
    pub pod: String,
}

// === impl ProblemEvents ===

impl ProblemEvents {
    /// Writes an Event for each problem. The files are read every few seconds, so there are no more than that.
    pub(super) async fn follow(self, mut health: channel::Receiver<KeyHealth>) {
        loop {
            let problem = health.borrow_and_update().problem.clone();
            if let Some(problem) = problem
                && let Err(error) = self.report(&problem).await
            {
                tracing::warn!(%error, "cannot write an Event about the serving certificate");
            }
            if health.changed().await.is_err() {
                return;
            }
        }
    }

    async fn report(&self, problem: &str) -> Result<(), WriteError> {
        let Self { client, namespace, pod } = self;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        // Without its uid, `kubectl describe pod` does not show the Event.
        let uid = write(pods.get_metadata_opt(pod)).await.ok().flatten().and_then(|pod| pod.metadata.uid);
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.clone()),
            namespace: Some(namespace.clone()),
            uid,
            ..ObjectReference::default()
        };
        let note = format!("replace the serving certificate: {problem}");
        let event = Event {
            metadata: ObjectMeta { generate_name: Some("muslin-certificate-".to_owned()), ..ObjectMeta::default() },
            regarding: Some(regarding),
            reason: Some(CERTIFICATE_UNUSABLE.to_owned()),
            note: Some(Line::cut(note, NOTE_MAX).into_string()),
            type_: Some("Warning".to_owned()),
            action: Some("ReadCertificate".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("muslin".to_owned()),
            reporting_instance: Some(pod.clone()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        write(events.create(&PostParams::default(), &event)).await.map(|_| ())
    }
}
