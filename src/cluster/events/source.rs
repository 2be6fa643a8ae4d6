//! The interface to the code that knows what to report about a pod.

use futures::future::BoxFuture;

use crate::plan::EventNote;

/// A source of the Events of pods.
pub trait EventSource: Send + Sync {
    /// Returns what to report about a pod. `pod` is JSON as the API server sent it.
    fn pod_events<'t>(&'t self, namespace: &'t str, pod: &'t str) -> BoxFuture<'t, PodEvents>;
}

/// The Events to write about a pod.
#[derive(Debug, Default)]
pub struct PodEvents {
    /// The Events.
    pub notes: Vec<EventNote>,
    /// Another replica knew more when the pod was created, which is worth waiting for.
    pub more_is_known: bool,
}
