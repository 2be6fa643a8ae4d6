//! Pods that may have something to report, found by their metadata alone.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;

use crate::pod::{INJECTED_ANNOTATION, WARNINGS_ANNOTATION};

/// Limit of a pod's age. Kubernetes deletes Events after an hour (kube-apiserver, `--event-ttl`), and with them the record that
/// they were written.
const AGE_MAX: SignedDuration = SignedDuration::from_mins(30);

/// A pod that may have something to report.
pub(super) struct Candidate {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// The object that made the pod.
    pub(super) owner: Option<OwnerReference>,
    /// Number of times that the pod was looked at.
    pub(super) looks: u32,
}

// === impl Candidate ===

impl Candidate {
    /// Returns the candidate for a young pod with muslin's annotations. Any user can write these; all they cause is a look at the pod.
    pub(super) fn new(metadata: ObjectMeta, now: Timestamp) -> Option<Self> {
        let annotations = metadata.annotations?;
        let is_young = metadata.creation_timestamp.is_some_and(|created| now.duration_since(created.0) < AGE_MAX);
        let is_annotated = [WARNINGS_ANNOTATION, INJECTED_ANNOTATION].iter().any(|key| annotations.contains_key(*key));
        if !is_young || !is_annotated || metadata.deletion_timestamp.is_some() {
            return None;
        }
        let owner = metadata.owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
        Some(Self { namespace: metadata.namespace?, name: metadata.name?, uid: metadata.uid?, owner, looks: 0 })
    }
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
    fn only_a_young_pod_with_annotations_of_muslin_is_a_candidate() {
        let is_candidate = |metadata| Candidate::new(metadata, Timestamp::UNIX_EPOCH).is_some();
        assert!(is_candidate(pod(SignedDuration::from_mins(29), WARNINGS_ANNOTATION)));
        assert!(is_candidate(pod(SignedDuration::ZERO, INJECTED_ANNOTATION)));
        assert!(!is_candidate(pod(SignedDuration::from_mins(31), WARNINGS_ANNOTATION)));
        assert!(!is_candidate(pod(SignedDuration::ZERO, "muslin.dev/resolvers")));
        let deletion = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(!is_candidate(ObjectMeta {
            deletion_timestamp: deletion,
            ..pod(SignedDuration::ZERO, WARNINGS_ANNOTATION)
        }));
    }
}
