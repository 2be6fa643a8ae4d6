//! The profiles of a cluster: the built-in ones, and the ResolverProfiles that replace or extend them, watched. The leader writes
//! into each resource whether it is in use. Must not know pods' plans or reviews.

mod canary_settings;
mod decision;
mod edit;
mod entry;
mod follower;
mod judge;
mod rollout;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::lease::Lease;
use super::namespaces::Namespaces;
use super::node_caches::NodeCaches;
use super::profile_events::ProfileEvents;
use super::resources::{ProfileProblem, ResolverProfile, RolloutPhase};
use super::watch::WatchHealth;
use crate::policy::{CacheFault, PodStages, Profile, SearchList};
use entry::Entry;
use follower::Follower;
use judge::Judge;
use shared::Shared;

pub(super) use canary_settings::{CanarySettings, UsualFile, canary_settings};
pub use edit::{rollout_note, unrecorded_settings};
pub use entry::SelectedProfile;
pub use judge::RolloutSource;

/// The profile of last resort: built in, or the resource that replaces it.
const DEFAULT: &str = "default";

/// The usable profiles.
#[derive(Clone)]
pub struct Profiles(Arc<Shared>);

/// The settings for the profiles of a cluster.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// The profile of namespaces without a profile label.
    pub default: String,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// The addresses of the cluster's DNS are known.
    pub knows_cluster_dns: bool,
    /// The name of this replica.
    pub instance: String,
}

/// The reason why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProfile {
    /// No profile has this name.
    #[error("there is no profile `{name}`: use {}", known.join(", "))]
    Missing {
        /// The name.
        name: String,
        /// The names of the profiles that exist.
        known: Vec<String>,
    },
    /// The resource has problems.
    #[error("the profile `{name}` is not accepted: {}", ProfileProblem::join(problems))]
    Invalid {
        /// The name.
        name: String,
        /// The problems.
        problems: Vec<ProfileProblem>,
    },
}

// === impl Profiles ===

impl Profiles {
    /// Returns the built-in profiles only.
    pub fn built_in() -> Self {
        let built_in = Profile::NAMES.into_iter().filter_map(|name| {
            let profile = Arc::new(Profile::builtin(name).ok()?);
            Some((name, SelectedProfile::built_in(profile)))
        });
        Self(Arc::new(Shared::new(built_in.collect(), None)))
    }

    /// Returns the built-in profiles and those of a cluster, which a task watches as long as the process lives. Another one tries their
    /// caches on the node. Needs the rights list and watch on resolverprofiles, patch on their status, and create on events of
    /// `events.k8s.io`. A cluster without this resource is logged once.
    pub fn watch(client: Client, namespaces: Namespaces, lease: Lease, settings: ProfileSettings) -> Self {
        let ProfileSettings { default, cluster_domain, knows_cluster_dns, instance } = settings;
        let caches = NodeCaches::default();
        let mut shared = Shared::new(Self::built_in().0.built_in.clone(), Some(caches.clone()));
        shared.knows_cluster_dns = knows_cluster_dns;
        shared.is_settled.store(false, Ordering::Release);
        let shared = Arc::new(shared);
        let (used_by, names, first) = (Arc::clone(&shared), namespaces.clone(), default.clone());
        tokio::spawn(caches.follow(cluster_domain, move || used_by.cache_addresses(&names, &first)));
        let events = ProfileEvents::new(client.clone(), instance);
        let api = Api::all(client);
        tokio::spawn(Follower { api, shared: Arc::clone(&shared), namespaces, lease, default, events }.run());
        Self(shared)
    }

    /// Returns the built-in profiles and those that a cluster has now. Needs the right to list resolverprofiles.
    ///
    /// # Errors
    /// The resources cannot be listed.
    pub async fn list(client: Client) -> Result<Self, kube::Error> {
        let profiles = Self::built_in();
        let list = Api::<ResolverProfile>::all(client).list(&ListParams::default()).await?;
        let entries = list.iter().map(|object| (object.name_any(), Entry::new(object, true)));
        profiles.0.custom.store(Arc::new(entries.collect()));
        Ok(profiles)
    }

    /// Returns the trials of caches on the node; `None` where this process is not in a cluster's pod.
    pub fn caches(&self) -> Option<&NodeCaches> {
        self.0.caches.as_ref()
    }

    /// Returns the fault for which pods do not get a cache on the node; `None` without trials.
    pub fn cache_fault(&self, address: IpAddr) -> Option<CacheFault> {
        self.0.cache_fault(address)
    }

    /// Returns whether the addresses of the cluster's DNS are known, which a profile with a search list needs.
    pub fn knows_cluster_dns(&self) -> bool {
        self.0.knows_cluster_dns
    }

    /// Returns whether a profile of the cluster has a search list of its own.
    pub fn uses_search(&self) -> bool {
        let custom = self.0.custom.load();
        let mut accepted = custom.values().filter_map(|entry| entry.selected.as_ref().ok());
        accepted.any(|selected| selected.all().any(|one| one.profile.search != SearchList::Inherit))
    }

    /// Judges the rollouts of profiles while this replica is the leader, in a task that lives as long as the process. `source` knows the
    /// findings on a pod. Needs the rights list on pods and on dnsobservations.
    pub fn judge_rollouts(
        &self,
        client: Client,
        namespaces: Namespaces,
        lease: Lease,
        default: String,
        source: Arc<dyn RolloutSource>,
    ) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(Judge { client, shared, namespaces, lease, default, source }.run());
    }

    /// Returns the phase of each rollout, with the name of the profile.
    pub fn rollouts(&self) -> Vec<(String, RolloutPhase)> {
        let custom = self.0.custom.load();
        let phase = |entry: &Entry| entry.status.as_ref()?.rollout.as_ref()?.phase();
        custom.iter().filter_map(|(name, entry)| Some((name.clone(), phase(entry)?))).collect()
    }

    /// Returns the share of new pods with new settings of each profile that rolls out, in percent, by name.
    pub fn rolling_out(&self) -> BTreeMap<String, u8> {
        let custom = self.0.custom.load();
        let share = |(name, entry): (&String, &Entry)| Some((name.clone(), entry.selected.as_ref().ok()?.rolls_out()?));
        custom.iter().filter_map(share).collect()
    }

    /// Returns the namespaces whose pods get the `ndots` of another profile beside their own.
    pub fn refined_namespaces(&self) -> BTreeSet<String> {
        let custom = self.0.custom.load();
        let accepted = custom.values().filter_map(|entry| entry.selected.as_ref().ok());
        accepted.flat_map(|selected| selected.namespaces().iter().cloned()).collect()
    }

    /// Returns the health of the watch.
    pub fn health(&self) -> WatchHealth {
        self.0.health.clone()
    }

    /// Returns whether the cluster's profiles were listed once, or cannot be listed.
    pub fn is_ready(&self) -> bool {
        self.0.is_settled.load(Ordering::Acquire)
    }

    /// Returns the profile of this name.
    ///
    /// # Errors
    /// There is none, or the resource has problems.
    pub fn find(&self, name: &str) -> Result<SelectedProfile, NoProfile> {
        let Self(shared) = self;
        let custom = shared.custom.load();
        match (custom.get(name), shared.built_in.get(name)) {
            (Some(Entry { selected: Ok(selected), .. }), _) | (None, Some(selected)) => Ok(selected.clone()),
            (Some(Entry { selected: Err(problems), .. }), _) => {
                Err(NoProfile::Invalid { name: name.to_owned(), problems: problems.clone() })
            }
            (None, None) => {
                let mut known: Vec<String> = Profile::NAMES.map(str::to_owned).to_vec();
                let mut others: Vec<String> = custom.keys().filter(|name| !known.contains(name)).cloned().collect();
                others.sort_unstable();
                known.extend(others);
                Err(NoProfile::Missing { name: name.to_owned(), known })
            }
        }
    }

    /// Returns the profile of a namespace whose label names `named`, and the profiles that could not be used, to report. `default` is
    /// the profile of namespaces without a label. `docs/policy.md` has the same in a table.
    pub fn for_namespace(&self, named: Option<&str>, default: &str) -> (SelectedProfile, Vec<NoProfile>) {
        let name = named.unwrap_or(default);
        match self.find(name) {
            Ok(selected) => (selected, Vec::new()),
            Err(problem) => {
                let default = self.find(DEFAULT).unwrap_or_else(|_| self.built_in_default());
                (default, vec![problem])
            }
        }
    }

    /// Returns the profile of one pod: its namespace's, or the default one if the namespace's does not select the pod, with the `ndots` of
    /// the profiles that name the namespace and select the pod. `new` takes the place of a profile with its name. `stages` decides about
    /// profiles that roll out.
    pub fn for_pod(
        &self,
        namespace: &str,
        selected: &SelectedProfile,
        default: &str,
        new: Option<&SelectedProfile>,
        labels: impl Fn() -> BTreeMap<String, String>,
        stages: &PodStages<'_>,
    ) -> Arc<Profile> {
        let selected = selected.at(stages, &labels);
        let profile = if selected.selects(&labels) {
            Arc::clone(&selected.profile)
        } else {
            let default = self.find(default).ok();
            let default = default.as_ref().map(|default| default.at(stages, &labels));
            let default = default.filter(|default| default.selects(&labels)).cloned();
            default.unwrap_or_else(|| self.built_in_default()).profile
        };
        let custom = self.0.custom.load();
        let is_replaced = |one: &SelectedProfile| new.is_some_and(|new| new.profile.name == one.profile.name);
        let stored = custom.values().filter_map(|entry| entry.selected.as_ref().ok()).filter(|one| !is_replaced(one));
        let refines = |one: &SelectedProfile| one.namespaces().iter().any(|name| name == namespace);
        let any_refines = |one: &&SelectedProfile| one.all().any(refines);
        let staged = stored.chain(new).filter(any_refines).map(|one| one.at(stages, &labels));
        let refining = staged.filter(|one| refines(one) && one.selects(&labels));
        let mut refining: Vec<&Profile> = refining.map(|one| &*one.profile).collect();
        if refining.is_empty() {
            return profile;
        }
        refining.sort_unstable_by_key(|one| &one.name);
        Arc::new(profile.with_ndots_of(&refining))
    }

    fn built_in_default(&self) -> SelectedProfile {
        let built_in = self.0.built_in.get(DEFAULT).cloned();
        built_in.unwrap_or_else(|| SelectedProfile::built_in(Arc::new(Profile::default())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::NamespacePolicy;

    /// The states of a profile in the cluster.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum State {
        /// No label or flag names it.
        Unnamed,
        Missing,
        Refused,
        /// Accepted, and its selector matches the pod.
        Fit,
        /// Accepted, and its selector matches other pods only.
        Unfit,
    }

    fn resource(name: &str, state: State) -> Option<(String, Entry)> {
        let tier = if state == State::Fit { "web" } else { "batch" };
        let spec = match state {
            State::Unnamed | State::Missing => return None,
            State::Refused => json!({ "options": { "mixed": ["rotat"] } }),
            State::Fit | State::Unfit => json!({ "podSelector": { "matchLabels": { "tier": tier } } }),
        };
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": name }, "spec": spec
        });
        Some((name.to_owned(), Entry::new(&serde_json::from_value(object).unwrap(), true)))
    }

    fn addresses(profiles: &Profiles, named: Option<&str>, default: &str) -> Vec<String> {
        let namespaces = Namespaces::fixed(NamespacePolicy::from_labels(None, named));
        profiles.0.cache_addresses(&namespaces, default).iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn only_caches_in_use_are_tried() {
        let profiles = Profiles::built_in();
        assert_eq!(addresses(&profiles, None, "default"), [""; 0]);
        assert_eq!(addresses(&profiles, Some("node-local"), "default"), ["169.254.20.10"]);
        assert_eq!(addresses(&profiles, None, "node-local"), ["169.254.20.10"]);
        let entry = |name: &str, spec: serde_json::Value| {
            let object = json!({
                "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": name }, "spec": spec
            });
            (name.to_owned(), Entry::new(&serde_json::from_value(object).unwrap(), true))
        };
        let store = |entries: Vec<(String, Entry)>| profiles.0.custom.store(Arc::new(entries.into_iter().collect()));
        // An accepted profile shows the result before a namespace uses it; a refused one is never used.
        store(vec![
            entry("mine", json!({ "nodeLocal": { "address": "169.254.25.10" } })),
            entry("refused", json!({ "nodeLocal": { "address": "10.0.0.1" }, "options": { "mixed": ["rotat"] } })),
        ]);
        assert_eq!(addresses(&profiles, None, "default"), ["169.254.25.10"]);
        // A resource takes the place of the built-in profile.
        store(vec![entry("node-local", json!({}))]);
        assert_eq!(addresses(&profiles, Some("node-local"), "node-local"), [""; 0]);
    }

    #[test]
    fn a_time_of_transition_stays_with_its_condition() {
        let object = |status: serde_json::Value| {
            let object = json!({
                "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "on-node" },
                "spec": { "nodeLocal": { "address": "169.254.20.10" } }, "status": status
            });
            Entry::new(&serde_json::from_value(object).unwrap(), true)
        };
        let first = object(json!(null)).status_update(0, |_| Some(CacheFault::NotTried), None).unwrap();
        let types: Vec<&str> = first.conditions.iter().map(|condition| &*condition.type_).collect();
        assert_eq!(types, ["Accepted", "RisksAccepted", "NodeLocalReachable"]);
        let mut status = serde_json::to_value(&first).unwrap();
        let long_ago = json!("2026-01-02T03:04:05Z");
        for condition in status["conditions"].as_array_mut().unwrap() {
            condition["lastTransitionTime"] = long_ago.clone();
        }
        let stored = object(status);
        assert_eq!(stored.status_update(0, |_| Some(CacheFault::NotTried), None), None);
        let second = serde_json::to_value(stored.status_update(0, |_| None, None).unwrap()).unwrap();
        let conditions = second["conditions"].as_array().unwrap().iter();
        let kept: Vec<bool> = conditions.map(|condition| condition["lastTransitionTime"] == long_ago).collect();
        assert_eq!(kept, [true, true, false]);
    }

    /// All states of the namespace's profile, the cluster's default profile and the resource `default`.
    #[test]
    fn a_pod_gets_the_profile_that_the_table_in_policy_md_gives() {
        let labels = || BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
        for named in [State::Unnamed, State::Missing, State::Refused, State::Fit, State::Unfit] {
            for cluster in [State::Missing, State::Refused, State::Fit, State::Unfit] {
                for default in [State::Missing, State::Refused, State::Fit, State::Unfit] {
                    let profiles = Profiles::built_in();
                    let custom = [resource("named", named), resource("cluster", cluster), resource("default", default)];
                    profiles.0.custom.store(Arc::new(custom.into_iter().flatten().collect()));
                    let policy = NamespacePolicy::from_labels(None, (named != State::Unnamed).then_some("named"));
                    let (chosen, problems) = profiles.for_namespace(policy.profile(), "cluster");
                    let profile =
                        profiles.for_pod("shop", &chosen, "cluster", None, labels, &PodStages::recorded(None));
                    let case = format!("{named:?} {cluster:?} {default:?}");

                    let asked = if named == State::Unnamed { cluster } else { named };
                    let is_there = matches!(asked, State::Fit | State::Unfit);
                    assert_eq!(problems.len(), usize::from(!is_there), "{case}");
                    // The first candidate, and whether its selector matches the pod.
                    let (first, fits) = match (is_there, default) {
                        (true, _) if named == State::Unnamed => ("cluster", asked == State::Fit),
                        (true, _) => ("named", asked == State::Fit),
                        (false, State::Fit | State::Unfit) => ("default", default == State::Fit),
                        (false, _) => ("built in", true),
                    };
                    let expected = match (fits, cluster) {
                        (true, _) => first,
                        (false, State::Fit) => "cluster",
                        (false, _) => "built in",
                    };
                    let name = if *profile == Profile::default() { "built in" } else { &profile.name };
                    assert_eq!(name, expected, "{case}");
                }
            }
        }
    }
}
