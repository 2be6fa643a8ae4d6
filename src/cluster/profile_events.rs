//! The Event on a stored profile whose risks it does not accept: those of a cache on the node, or of an `ndots` without evidence. Must not know which risks there are.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::events::{event_name, stable_hash};
use super::writes::{WriteError, write};
use crate::rules::RISK_NOT_ACCEPTED;
use crate::text::Line;

/// The namespace of Events about objects that have none (kubernetes `pkg/apis/core/validation/events.go`).
const NAMESPACE: &str = "default";

/// The longest note of an Event, in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// A writer of Events about profiles.
pub(super) struct ProfileEvents {
    client: Client,
    /// The name of this replica.
    instance: String,
    /// The generation of each profile that has its Event, by the profile's uid.
    written: HashMap<String, i64>,
}

// === impl ProfileEvents ===

impl ProfileEvents {
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self { client, instance, written: HashMap::new() }
    }

    /// Writes the Event of a profile, once for each generation of it. The name follows from both, so that no second leader repeats it.
    pub(super) async fn report(
        &mut self,
        profile: &ObjectReference,
        generation: i64,
        note: String,
    ) -> Result<(), WriteError> {
        let uid = profile.uid.clone().unwrap_or_default();
        if self.written.get(&uid) == Some(&generation) {
            return Ok(());
        }
        let name = profile.name.as_deref().unwrap_or_default();
        let hash = stable_hash(&[&uid, RISK_NOT_ACCEPTED, &generation.to_string()]);
        let event = Event {
            metadata: ObjectMeta { name: Some(event_name(name, hash)), ..ObjectMeta::default() },
            regarding: Some(profile.clone()),
            reason: Some(RISK_NOT_ACCEPTED.to_owned()),
            note: Some(Line::cut(note, NOTE_MAX).into_string()),
            type_: Some("Warning".to_owned()),
            action: Some("ReadProfile".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("muslin".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        match write(events.create(&PostParams::default(), &event)).await {
            Ok(_) => {}
            // A former leader or process wrote it already.
            Err(error) if error.is_overtaken() => {}
            Err(error) => return Err(error),
        }
        self.written.insert(uid, generation);
        Ok(())
    }
}
