//! Reads and writes `DNSObservation`s, and writes Events about changes. Must not know how a domain is checked.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
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

/// The most domains and nameservers of an observation, as in its schema. The API server allows a pod as many.
const DOMAINS_MAX: usize = 32;
const NAMESERVERS_MAX: usize = 3;

/// Age from which an observation no longer counts: its pod is gone, or cannot write.
const STALE: SignedDuration = SignedDuration::from_mins(15);

/// The limit of broken domains that plans go by: as many as one pod may have.
pub(super) const BROKEN_MAX: usize = 32;

/// The part of one node's observation that plans go by.
pub(super) struct Observation {
    checked_at: Timestamp,
    broken: Vec<BrokenDomain>,
    /// The addresses of the cluster's DNS, as the pod used them.
    nameservers: Vec<IpAddr>,
    /// The watcher on the node wrote the domains, not a pod of `muslin serve`.
    is_by_watcher: bool,
}

/// The broken search domains of all nodes, and the addresses of the cluster's DNS, by fresh observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedDns {
    /// The broken domains, each once.
    pub broken: Vec<BrokenDomain>,
    /// The addresses in the newest observation; none without one.
    pub nameservers: Vec<IpAddr>,
}

/// A writer of one node's observation.
pub(super) struct Publisher {
    client: Client,
    node: Option<String>,
    instance: String,
}

// === impl Observation ===

impl Observation {
    pub(super) fn read(object: &DNSObservation) -> Self {
        let broken = object.spec.domains.iter().take(DOMAINS_MAX).filter_map(|observed| {
            let ObservedDomain { domain, answer, .. } = observed;
            Some(BrokenDomain { domain: domain.to_ascii_lowercase(), fault: DomainFault::named(answer)? })
        });
        let nameservers = object.spec.nameservers.iter().take(NAMESERVERS_MAX);
        Self {
            checked_at: object.spec.checked_at.0,
            broken: broken.collect(),
            nameservers: nameservers.filter_map(|address| address.parse().ok()).collect(),
            is_by_watcher: object.spec.watch.as_ref().is_some_and(|watch| watch.pod == object.spec.pod),
        }
    }

    /// Returns the broken domains; none if the observation is stale, or of a time to come.
    pub(super) fn broken(&self, now: Timestamp) -> &[BrokenDomain] {
        if self.is_fresh(now) { &self.broken } else { &[] }
    }

    /// Returns whether a watcher renews the domains.
    pub(super) fn is_watched(&self, now: Timestamp) -> bool {
        self.is_by_watcher && self.is_fresh(now)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        is_within(self.checked_at, now, STALE)
    }
}

// === impl ObservedDns ===

impl ObservedDns {
    /// Lists the observations of the cluster. Needs the right to list dnsobservations.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn list(client: Client) -> Result<Self, kube::Error> {
        let list = Api::<DNSObservation>::all(client).list(&ListParams::default()).await?;
        Ok(Self::of(list.iter().map(Observation::read), Timestamp::now()))
    }

    fn of(observations: impl Iterator<Item = Observation>, now: Timestamp) -> Self {
        let mut observed = Self::default();
        let mut newest = None;
        for observation in observations.filter(|observation| observation.is_fresh(now)) {
            add_broken(&mut observed.broken, observation.broken(now));
            if newest < Some(observation.checked_at) {
                newest = Some(observation.checked_at);
                observed.nameservers = observation.nameservers;
            }
        }
        observed
    }
}

/// Adds the domains that the list does not have yet, up to the limit.
pub(super) fn add_broken(list: &mut Vec<BrokenDomain>, more: &[BrokenDomain]) {
    for domain in more {
        if list.len() >= BROKEN_MAX {
            return;
        }
        if !list.iter().any(|known| known.domain == domain.domain) {
            list.push(domain.clone());
        }
    }
}

/// Returns whether two times are less than `limit` apart. Clocks differ, so a time may also be to come.
pub(super) fn is_within(time: Timestamp, now: Timestamp, limit: SignedDuration) -> bool {
    time.duration_since(now).abs() < limit
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
            nameservers: nameservers.iter().take(NAMESERVERS_MAX).map(ToString::to_string).collect(),
            checked_at: Time(Timestamp::now()),
            broken: domains.iter().filter_map(CheckedDomain::broken).map(|broken| broken.domain).collect(),
            domains: domains.iter().map(observed).collect(),
            // A watcher's fields have a manager of their own, so they stay.
            watch: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn observation(age: SignedDuration, domain: &str, nameserver: &str) -> Observation {
        let broken = vec![BrokenDomain { domain: domain.to_owned(), fault: DomainFault::NoData }];
        let checked_at = Timestamp::UNIX_EPOCH - age;
        Observation { checked_at, broken, nameservers: vec![nameserver.parse().unwrap()], is_by_watcher: false }
    }

    fn domains(observed: &ObservedDns) -> Vec<&str> {
        observed.broken.iter().map(|broken| broken.domain.as_str()).collect()
    }

    #[test]
    fn each_broken_domain_counts_once_and_the_newest_nameservers() {
        let observations = [
            observation(MINUTE * 2, "corp.example.com", "10.96.0.10"),
            observation(MINUTE, "corp.example.com", "fd00::a"),
            observation(MINUTE * 3, "lab.example.com", "10.96.0.11"),
        ];
        let observed = ObservedDns::of(observations.into_iter(), Timestamp::UNIX_EPOCH);
        assert_eq!(domains(&observed), ["corp.example.com", "lab.example.com"]);
        assert_eq!(observed.nameservers, ["fd00::a".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn an_observation_that_is_stale_or_of_a_time_to_come_does_not_count() {
        for age in [MINUTE * 15, MINUTE * -15, MINUTE * 525_600_000] {
            let old = std::iter::once(observation(age, "corp.example.com", "10.96.0.10"));
            assert_eq!(ObservedDns::of(old, Timestamp::UNIX_EPOCH), ObservedDns::default(), "{age}");
        }
        let ahead = std::iter::once(observation(MINUTE * -1, "corp.example.com", "10.96.0.10"));
        assert_eq!(domains(&ObservedDns::of(ahead, Timestamp::UNIX_EPOCH)).len(), 1);
    }

    #[test]
    fn the_number_of_broken_domains_is_limited() {
        let many = (0..100).map(|number| observation(MINUTE, &format!("d{number}.example.com"), "10.96.0.10"));
        assert_eq!(ObservedDns::of(many, Timestamp::UNIX_EPOCH).broken.len(), BROKEN_MAX);
    }
}
