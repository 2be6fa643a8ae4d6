//! Reads and writes `DNSObservation`s, and writes Events about changes. Must not know how a domain is checked.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

use super::round::CheckedDomain;
use crate::cluster::events::{event_name, stable_hash};
use crate::cluster::resources::{DNSObservation, DNSObservationSpec, ObservedDomain};
use crate::cluster::writes::{FIELD_MANAGER, WriteError, write};
use crate::policy::{BrokenDomain, DomainFault};
use crate::rules::{SEARCH_DOMAIN_BROKEN, SEARCH_DOMAIN_HEALTHY};
use crate::text::Line;

/// The namespace of Events about objects that have none (kubernetes `pkg/apis/core/validation/events.go`).
const EVENT_NAMESPACE: &str = "default";

/// The longest note of an Event, in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// The most domains of an observation, as in its schema; the API server allows a pod as many.
const DOMAINS_MAX: usize = 32;

/// The time of an observation, and the broken domains.
pub(super) type Observation = (Timestamp, Vec<BrokenDomain>);

/// A writer of one node's observation.
pub(super) struct Publisher {
    client: Client,
    node: Option<String>,
    instance: String,
}

/// Reads an observation.
pub(super) fn read(object: &DNSObservation) -> Observation {
    let broken =
        object.spec.domains.iter().take(DOMAINS_MAX).filter_map(|ObservedDomain { domain, answer, .. }| {
            Some(BrokenDomain { domain: domain.to_ascii_lowercase(), fault: DomainFault::named(answer)? })
        });
    (object.spec.checked_at.0, broken.collect())
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new(client: Client, node: Option<String>, instance: String) -> Self {
        Self { client, node, instance }
    }

    /// Writes the observation of this node, and an Event about each domain that broke or is healthy again.
    pub(super) async fn publish(&self, domains: &[CheckedDomain], changed: &[CheckedDomain], nameservers: &[IpAddr]) {
        let Some(node) = &self.node else { return };
        let spec = DNSObservationSpec {
            pod: self.instance.clone(),
            nameservers: nameservers.iter().take(3).map(ToString::to_string).collect(),
            checked_at: Time(Timestamp::now()),
            broken: domains.iter().filter_map(CheckedDomain::broken).map(|broken| broken.domain).collect(),
            domains: domains.iter().take(DOMAINS_MAX).map(observed).collect(),
        };
        let api: Api<DNSObservation> = Api::all(self.client.clone());
        let object = DNSObservation::new(node, spec);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let written = write(api.patch(node, &parameters, &Patch::Apply(&object))).await;
        let written = match written {
            Ok(written) => written,
            Err(error) => return tracing::warn!(node, %error, "cannot write the observation of this node"),
        };
        for domain in changed {
            if let Err(error) = self.report(&written, domain).await {
                tracing::warn!(node, %error, "cannot write an Event about a search domain");
            }
        }
    }

    async fn report(&self, object: &DNSObservation, domain: &CheckedDomain) -> Result<(), WriteError> {
        let (reason, type_, about) = match domain.fault {
            Some(DomainFault::Wildcard) => (
                SEARCH_DOMAIN_BROKEN,
                "Warning",
                "has an address for every name, also for those outside the cluster".to_owned(),
            ),
            Some(fault) => {
                let what = "for names that do not exist, which ends musl's lookups of names outside the cluster";
                (SEARCH_DOMAIN_BROKEN, "Warning", format!("{fault} {what}"))
            }
            None => (SEARCH_DOMAIN_HEALTHY, "Normal", "answers NXDOMAIN again".to_owned()),
        };
        let name = object.name_any();
        let hash = stable_hash(&[&name, reason, &domain.domain, &domain.since.to_string()]);
        let event = Event {
            metadata: ObjectMeta { name: Some(event_name(&name, hash)), ..ObjectMeta::default() },
            regarding: Some(ObjectReference {
                api_version: Some("muslin.dev/v1alpha1".to_owned()),
                kind: Some("DNSObservation".to_owned()),
                name: Some(name),
                uid: object.uid(),
                ..ObjectReference::default()
            }),
            reason: Some(reason.to_owned()),
            note: Some(Line::cut(format!("the search domain {} {about}", domain.domain), NOTE_MAX).into_string()),
            type_: Some(type_.to_owned()),
            action: Some("CheckSearchDomains".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("muslin".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), EVENT_NAMESPACE);
        match write(events.create(&PostParams::default(), &event)).await {
            Ok(_) => Ok(()),
            // Another replica on this node saw the same.
            Err(error) if error.is_overtaken() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn observed(domain: &CheckedDomain) -> ObservedDomain {
    ObservedDomain { domain: domain.domain.clone(), answer: domain.answer().to_owned(), since: Time(domain.since) }
}
