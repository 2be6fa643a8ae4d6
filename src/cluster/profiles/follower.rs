//! Keeps the profiles up to date. The leader writes their statuses, and Events about them. Must not know what a status says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::entry::{Entries, Entry};
use super::rollout::NOTHING_TO_ROLL_OUT;
use super::shared::Shared;
use crate::cluster::lease::Lease;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::profile_events::{ProfileEvent, ProfileEvents};
use crate::cluster::resources::{ResolverProfile, RolloutPhase, risk_sentence};
use crate::cluster::watch::{Watch, WatchFailed};
use crate::cluster::writes::{FIELD_MANAGER, write};
use crate::rules::{RISK_NOT_ACCEPTED, ROLLOUT_PROMOTED, ROLLOUT_ROLLED_BACK};

/// Pause between two checks of the resources' statuses by the leader.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Age from which the end of a rollout causes no Event.
const EVENT_AGE_MAX: SignedDuration = SignedDuration::from_mins(30);

/// Keeps the profiles up to date, and writes their statuses.
pub(super) struct Follower {
    pub(super) api: Api<ResolverProfile>,
    pub(super) shared: Arc<Shared>,
    pub(super) namespaces: Namespaces,
    pub(super) lease: Lease,
    /// The profile of namespaces without a profile label.
    pub(super) default: String,
    pub(super) events: ProfileEvents,
}

// === impl Follower ===

impl Follower {
    pub(super) async fn run(mut self) {
        let (config, health) = (watcher::Config::default(), self.shared.health.clone());
        let mut watch = Watch::all(self.api.clone(), config, health, "the known profiles stay in use");
        let mut ticks = tokio::time::interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listing = Entries::new();
        loop {
            tokio::select! {
                event = watch.next() => match event {
                    Ok(event) => self.apply(event, &mut listing),
                    // The cluster may not have the resource; the built-in profiles are there.
                    Err(WatchFailed) => self.shared.is_settled.store(true, Ordering::Release),
                },
                _ = ticks.tick() => {
                    self.write_statuses().await;
                    self.write_events().await;
                }
                () = self.shared.status_due.notified() => self.write_statuses().await,
            }
        }
    }

    fn apply(&self, event: Event<ResolverProfile>, listing: &mut Entries) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => {
                listing.insert(object.name_any(), Entry::new(&object, self.shared.knows_cluster_dns));
            }
            Event::InitDone => {
                tracing::info!(profiles = listing.len(), "listed the profiles");
                self.shared.custom.store(Arc::new(std::mem::take(listing)));
                self.shared.is_settled.store(true, Ordering::Release);
                self.shared.retry_caches();
            }
            Event::Apply(object) => {
                let entry = Entry::new(&object, self.shared.knows_cluster_dns);
                let mut before = None;
                let generation = entry.generation;
                self.shared.change(|entries| before = entries.insert(object.name_any(), entry));
                // The status, too, makes a change of the object.
                if before.is_none_or(|before| before.generation != generation) {
                    self.shared.retry_caches();
                    self.shared.status_due.notify_one();
                }
            }
            Event::Delete(object) => self.shared.change(|entries| {
                entries.remove(&object.name_any());
            }),
        }
    }

    /// Writes the status of each profile whose status is outdated, if this replica is the leader.
    async fn write_statuses(&self) {
        if !self.lease.is_held() {
            return;
        }
        for (name, entry) in self.shared.custom.load_full().iter() {
            let namespaces = self.namespaces.using(name, &self.default, &entry.refined_namespaces()).len();
            let namespaces = i64::try_from(namespaces).unwrap_or(i64::MAX);
            let look = self.shared.look(name).filter(|look| look.uid == entry.uid);
            let cache_fault = |address| self.shared.cache_fault(address);
            let Some(status) = entry.status_update(namespaces, cache_fault, look.as_ref()) else { continue };
            let object = json!({
                "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile",
                // The version guards against a former leader, which may know less than the present one.
                "metadata": { "name": name, "resourceVersion": entry.version },
                "status": status,
            });
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            let patch = Patch::Apply(object);
            match write(self.api.patch_status(name, &parameters, &patch)).await {
                Ok(_) => {}
                Err(error) if error.is_overtaken() => {}
                Err(error) => return tracing::warn!(name, %error, "cannot write a profile's status"),
            }
        }
    }

    /// Writes an Event about each profile that does not accept its risks, and about each rollout that ended, if this replica is the leader.
    async fn write_events(&mut self) {
        if !self.lease.is_held() {
            return;
        }
        for (name, entry) in self.shared.custom.load_full().iter() {
            let events: Vec<ProfileEvent> = risk_event(entry).into_iter().chain(rollout_event(entry)).collect();
            let profile = ObjectReference {
                api_version: Some("muslin.dev/v1alpha1".to_owned()),
                kind: Some("ResolverProfile".to_owned()),
                name: Some(name.clone()),
                uid: entry.uid.clone(),
                ..ObjectReference::default()
            };
            for event in events {
                if let Err(error) = self.events.report(&profile, event).await {
                    return tracing::warn!(name, %error, "cannot write an Event about a profile");
                }
            }
        }
    }
}

fn risk_event(entry: &Entry) -> Option<ProfileEvent> {
    let unaccepted = entry.accepted.as_ref().ok()?.unaccepted();
    (!unaccepted.is_empty()).then(|| ProfileEvent {
        reason: RISK_NOT_ACCEPTED,
        action: "ReadProfile",
        is_warning: true,
        occasion: entry.generation.to_string(),
        note: risk_sentence(unaccepted),
    })
}

/// Returns the Event about a rollout that ended lately: Kubernetes deletes Events after an hour, and with them the record that they were
/// written.
fn rollout_event(entry: &Entry) -> Option<ProfileEvent> {
    let status = entry.status.as_ref()?;
    let rollout = status.rollout.as_ref()?;
    let (reason, is_warning) = match rollout.phase()? {
        RolloutPhase::Progressing => return None,
        RolloutPhase::Promoted => (ROLLOUT_PROMOTED, false),
        RolloutPhase::RolledBack => (ROLLOUT_ROLLED_BACK, true),
    };
    let condition = status.conditions.iter().find(|condition| condition.type_ == rollout.phase)?;
    let age = Timestamp::now().duration_since(condition.last_transition_time.0);
    let is_news = rollout.reason != NOTHING_TO_ROLL_OUT && condition.status == "True" && age < EVENT_AGE_MAX;
    is_news.then(|| ProfileEvent {
        reason,
        action: "RollOutProfile",
        is_warning,
        occasion: format!("{} {}", rollout.revision, rollout.started_at.0),
        note: rollout.message.clone(),
    })
}
