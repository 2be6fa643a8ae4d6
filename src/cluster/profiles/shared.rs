//! The profiles that tasks and reviews share. Must not know how they are kept up to date.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::entry::{Entries, SelectedProfile};
use super::rollout::Look;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::node_caches::NodeCaches;
use crate::cluster::watch::WatchHealth;
use crate::policy::CacheFault;

/// The profiles of one process.
pub(super) struct Shared {
    /// The cluster's profiles, by name.
    pub(super) custom: ArcSwap<Entries>,
    /// The cluster's profiles were listed once, or cannot be listed.
    pub(super) is_settled: AtomicBool,
    pub(super) built_in: HashMap<&'static str, SelectedProfile>,
    pub(super) health: WatchHealth,
    /// The trials of caches on the node; `None` where this process is not in a cluster's pod.
    pub(super) caches: Option<NodeCaches>,
    /// The addresses of the cluster's DNS are known.
    pub(super) knows_cluster_dns: bool,
    /// The last look at each rollout, by the profile's name; only the leader looks.
    pub(super) looks: Mutex<HashMap<String, Look>>,
    /// There is something new for a status.
    pub(super) status_due: Notify,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(built_in: HashMap<&'static str, SelectedProfile>, caches: Option<NodeCaches>) -> Self {
        Self {
            custom: ArcSwap::default(),
            is_settled: AtomicBool::new(true),
            built_in,
            health: WatchHealth::new("resolverprofiles"),
            caches,
            knows_cluster_dns: true,
            looks: Mutex::default(),
            status_due: Notify::new(),
        }
    }

    /// Returns the addresses of the caches on the node of all accepted profiles, and of the built-in ones in use. `default` is the profile
    /// of namespaces without a profile label.
    pub(super) fn cache_addresses(&self, namespaces: &Namespaces, default: &str) -> BTreeSet<IpAddr> {
        let custom = self.custom.load();
        let is_used = |name: &str| !custom.contains_key(name) && (name == default || namespaces.is_named(name));
        // The names last: each is looked for among all namespaces.
        let has_cache = |selected: &SelectedProfile| selected.profile.node_local.is_some();
        let built_in = self.built_in.iter().filter(|(name, selected)| has_cache(selected) && is_used(name));
        let accepted = custom.values().filter_map(|entry| entry.selected.as_ref().ok()).flat_map(SelectedProfile::all);
        let profiles = accepted.chain(built_in.map(|(_, selected)| selected));
        profiles.filter_map(|selected| Some(selected.profile.node_local.as_ref()?.address)).collect()
    }

    pub(super) fn cache_fault(&self, address: IpAddr) -> Option<CacheFault> {
        self.caches.as_ref()?.fault(address)
    }

    /// Returns the last look at the rollout of a profile.
    pub(super) fn look(&self, name: &str) -> Option<Look> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes in a look at the rollout of a profile, for the next status.
    pub(super) fn add_look(&self, name: &str, look: Look) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), look);
        self.status_due.notify_one();
    }

    /// Tries the caches again, because a profile changed.
    pub(super) fn retry_caches(&self) {
        if let Some(caches) = &self.caches {
            caches.retry();
        }
    }

    /// Changes the entries at once: a reader sees the state before the change or after it, nothing between.
    pub(super) fn change(&self, change: impl FnOnce(&mut Entries)) {
        let mut entries = Entries::clone(&self.custom.load());
        change(&mut entries);
        self.custom.store(Arc::new(entries));
    }
}
