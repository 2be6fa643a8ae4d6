//! The profiles of a cluster: the built-in ones, and the ResolverProfiles that replace or extend them, watched. The leader writes
//! into each resource whether it is in use. Must not know pods' plans or reviews.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{Selector, SelectorExt as _};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::lease::Lease;
use super::namespaces::Namespaces;
use super::resources::{Condition, ProfileProblem, ResolverProfile, ResolverProfileStatus};
use super::watch::{Watch, WatchFailed, WatchHealth};
use super::writes::{FIELD_MANAGER, write};
use crate::policy::Profile;

/// The profile of last resort: built in, or the resource that replaces it.
const DEFAULT: &str = "default";
/// Pause between two checks of the resources' statuses by the leader.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The usable profiles.
#[derive(Clone)]
pub struct Profiles(Arc<Shared>);

struct Shared {
    /// The cluster's profiles, by name.
    custom: ArcSwap<Entries>,
    /// The cluster's profiles were listed once, or cannot be listed.
    is_settled: AtomicBool,
    built_in: HashMap<&'static str, SelectedProfile>,
    health: WatchHealth,
}

type Entries = HashMap<String, Entry>;

/// A usable profile and the selector of its pods.
#[derive(Clone)]
pub struct SelectedProfile {
    /// The profile.
    pub profile: Arc<Profile>,
    /// Selects the pods of the namespace that get the profile; `None` selects all.
    selector: Option<Arc<Selector>>,
}

/// One resource.
#[derive(Clone)]
struct Entry {
    selected: Result<SelectedProfile, Vec<ProfileProblem>>,
    generation: i64,
    version: Option<String>,
    /// The status as the cluster has it.
    status: Option<ResolverProfileStatus>,
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
            Some((name, SelectedProfile { profile, selector: None }))
        });
        let built_in = built_in.collect();
        Self(Arc::new(Shared {
            custom: ArcSwap::default(),
            is_settled: AtomicBool::new(true),
            built_in,
            health: WatchHealth::new("resolverprofiles"),
        }))
    }

    /// Returns the built-in profiles and those of a cluster, which a task watches as long as the process lives. Needs the rights
    /// list and watch on resolverprofiles, and patch on their status. A cluster without this resource is logged once.
    pub fn watch(client: Client, namespaces: Namespaces, lease: Lease, default: String) -> Self {
        let profiles = Self::built_in();
        profiles.0.is_settled.store(false, Ordering::Release);
        let follower = Follower { api: Api::all(client), shared: Arc::clone(&profiles.0), namespaces, lease, default };
        tokio::spawn(follower.run());
        profiles
    }

    /// Returns the built-in profiles and those that a cluster has now. Needs the right to list resolverprofiles.
    ///
    /// # Errors
    /// The resources cannot be listed.
    pub async fn list(client: Client) -> Result<Self, kube::Error> {
        let profiles = Self::built_in();
        let list = Api::<ResolverProfile>::all(client).list(&ListParams::default()).await?;
        let entries = list.iter().map(|object| (object.name_any(), Entry::new(object)));
        profiles.0.custom.store(Arc::new(entries.collect()));
        Ok(profiles)
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

    /// Returns the profile of one pod: its namespace's, or the default one if the namespace's does not select the pod.
    pub fn for_pod(
        &self,
        selected: &SelectedProfile,
        default: &str,
        labels: impl Fn() -> BTreeMap<String, String>,
    ) -> Arc<Profile> {
        if selected.selects(&labels) {
            return Arc::clone(&selected.profile);
        }
        let default = self.find(default).ok().filter(|default| default.selects(labels));
        default.unwrap_or_else(|| self.built_in_default()).profile
    }

    fn built_in_default(&self) -> SelectedProfile {
        let built_in = self.0.built_in.get(DEFAULT).cloned();
        built_in.unwrap_or_else(|| SelectedProfile { profile: Arc::new(Profile::default()), selector: None })
    }
}

// === impl Shared ===

impl Shared {
    /// Changes the entries at once: a reader sees the state before the change or after it, nothing between.
    fn change(&self, change: impl FnOnce(&mut Entries)) {
        let mut entries = Entries::clone(&self.custom.load());
        change(&mut entries);
        self.custom.store(Arc::new(entries));
    }
}

// === impl SelectedProfile ===

impl SelectedProfile {
    /// Converts a resource, whether or not the cluster has it.
    ///
    /// # Errors
    /// All problems of the resource.
    pub fn from_resource(resource: &ResolverProfile) -> Result<Self, Vec<ProfileProblem>> {
        let profile = Arc::new(resource.spec.to_profile(&resource.name_any())?);
        let selector = resource.spec.selector().map_err(|problem| vec![problem])?.map(Arc::new);
        Ok(Self { profile, selector })
    }

    /// Returns whether the profile is for a pod with these labels, which are read only if there is a selector.
    fn selects(&self, labels: impl FnOnce() -> BTreeMap<String, String>) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(&labels()))
    }
}

/// Keeps the profiles up to date, and writes their statuses.
struct Follower {
    api: Api<ResolverProfile>,
    shared: Arc<Shared>,
    namespaces: Namespaces,
    lease: Lease,
    /// The profile of namespaces without a profile label.
    default: String,
}

// === impl Follower ===

impl Follower {
    async fn run(self) {
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
                _ = ticks.tick() => self.write_statuses().await,
            }
        }
    }

    fn apply(&self, event: Event<ResolverProfile>, listing: &mut Entries) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => {
                listing.insert(object.name_any(), Entry::new(&object));
            }
            Event::InitDone => {
                tracing::info!(profiles = listing.len(), "listed the profiles");
                self.shared.custom.store(Arc::new(std::mem::take(listing)));
                self.shared.is_settled.store(true, Ordering::Release);
            }
            Event::Apply(object) => self.shared.change(|entries| {
                entries.insert(object.name_any(), Entry::new(&object));
            }),
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
            let namespaces = self.namespaces.using(name, &self.default).len();
            let namespaces = i64::try_from(namespaces).unwrap_or(i64::MAX);
            let Some(status) = entry.status_update(namespaces) else { continue };
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
}

// === impl Entry ===

impl Entry {
    /// Converts a resource. A panic in the conversion counts as a problem, so that the other profiles are followed all the same.
    fn new(object: &ResolverProfile) -> Self {
        let selected = catch_unwind(AssertUnwindSafe(|| SelectedProfile::from_resource(object)));
        let selected = selected
            .unwrap_or_else(|_| Err(vec![ProfileProblem::new("spec", "muslin failed on it; please report that")]));
        if let Err(problems) = &selected {
            let problems = ProfileProblem::join(problems);
            tracing::warn!(name = object.name_any(), problems, "a profile is not accepted");
        }
        Self {
            selected,
            generation: object.metadata.generation.unwrap_or_default(),
            version: object.metadata.resource_version.clone(),
            status: object.status.clone(),
        }
    }

    /// Returns the status to write; `None` if the cluster has it already.
    fn status_update(&self, namespaces: i64) -> Option<ResolverProfileStatus> {
        let Self { selected, generation, version: _, status } = self;
        let mut condition = Condition::accepted(selected.as_ref().err().map(Vec::as_slice));
        if let Some(status) = status
            && let Some(before) = status.conditions.first()
        {
            let is_current = status.namespaces == namespaces && status.observed_generation == *generation;
            if is_current && before.says_the_same_as(&condition) {
                return None;
            }
            if before.status == condition.status {
                condition.last_transition_time = before.last_transition_time.clone();
            }
        }
        Some(ResolverProfileStatus { conditions: vec![condition], observed_generation: *generation, namespaces })
    }
}

#[cfg(test)]
mod tests {
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
        Some((name.to_owned(), Entry::new(&serde_json::from_value(object).unwrap())))
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
                    let profile = profiles.for_pod(&chosen, "cluster", labels);
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
