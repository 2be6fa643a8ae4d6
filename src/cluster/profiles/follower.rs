//! Keeps the profiles up to date. The leader writes their statuses, and Events about them. Must not know what a status says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::entry::{Entries, Entry, SelectedProfile};
use super::shared::Shared;
use crate::cluster::lease::Lease;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::profile_events::ProfileEvents;
use crate::cluster::resources::{ResolverProfile, risk_sentence};
use crate::cluster::watch::{Watch, WatchFailed};
use crate::cluster::writes::{FIELD_MANAGER, write};

/// Pause between two checks of the resources' statuses by the leader.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

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
            let refined = entry.selected.as_ref().map_or(&[][..], SelectedProfile::namespaces);
            let namespaces = self.namespaces.using(name, &self.default, refined).len();
            let namespaces = i64::try_from(namespaces).unwrap_or(i64::MAX);
            let Some(status) = entry.status_update(namespaces, |address| self.shared.cache_fault(address)) else {
                continue;
            };
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

    /// Writes an Event about each profile that does not accept its risks, if this replica is the leader.
    async fn write_events(&mut self) {
        if !self.lease.is_held() {
            return;
        }
        for (name, entry) in self.shared.custom.load_full().iter() {
            let Ok(selected) = &entry.selected else { continue };
            let unaccepted = selected.unaccepted();
            if unaccepted.is_empty() {
                continue;
            }
            let profile = ObjectReference {
                api_version: Some("muslin.dev/v1alpha1".to_owned()),
                kind: Some("ResolverProfile".to_owned()),
                name: Some(name.clone()),
                uid: entry.uid.clone(),
                ..ObjectReference::default()
            };
            if let Err(error) = self.events.report(&profile, entry.generation, risk_sentence(unaccepted)).await {
                return tracing::warn!(name, %error, "cannot write an Event about a profile");
            }
        }
    }
}
