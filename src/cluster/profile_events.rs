//! The Events on profiles: about risks that a stored one does not accept, and about the end of a rollout. Must not know which risks there
//! are, or what ends a rollout.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::events::{event_name, stable_hash};
use super::writes::{WriteError, write};
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
    /// The hashes of the Events that were written.
    written: HashSet<u64>,
}

/// An Event about a profile.
pub(super) struct ProfileEvent {
    pub(super) reason: &'static str,
    /// The action of the Event, such as `ReadProfile`.
    pub(super) action: &'static str,
    /// Is true if an administrator needs to act.
    pub(super) is_warning: bool,
    /// Tells the Event from others of the same reason about the profile.
    pub(super) occasion: String,
    pub(super) note: String,
}

// === impl ProfileEvents ===

impl ProfileEvents {
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self { client, instance, written: HashSet::new() }
    }

    /// Writes an Event about a profile, once for each occasion. The name follows from both, so that no second leader repeats it.
    pub(super) async fn report(&mut self, profile: &ObjectReference, event: ProfileEvent) -> Result<(), WriteError> {
        let ProfileEvent { reason, action, is_warning, occasion, note } = event;
        let hash = stable_hash(&[profile.uid.as_deref().unwrap_or_default(), reason, &occasion]);
        if self.written.contains(&hash) {
            return Ok(());
        }
        let name = profile.name.as_deref().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta { name: Some(event_name(name, hash)), ..ObjectMeta::default() },
            regarding: Some(profile.clone()),
            reason: Some(reason.to_owned()),
            note: Some(Line::cut(note, NOTE_MAX).into_string()),
            type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
            action: Some(action.to_owned()),
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
        self.written.insert(hash);
        Ok(())
    }
}
