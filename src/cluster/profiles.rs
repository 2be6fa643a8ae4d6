//! The profiles of a cluster: those that are built in, and the ResolverProfiles that take their place or stand beside them, watched.
//! The lease holder writes into each whether it is in use. Must not know pods' plans or reviews.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{Selector, SelectorExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::{MissedTickBehavior, timeout};

use super::lease::Lease;
use super::namespaces::Namespaces;
use super::resources::{Condition, ResolverProfile, ResolverProfileStatus};
use super::watch::WatchHealth;
use crate::policy::Profile;

/// Who owns what is written, in server-side apply.
const MANAGER: &str = "muslin";
/// The profile where there is no other: built in, or the resource that takes its place.
const DEFAULT: &str = "default";
/// How often the lease holder looks whether what is written of the profiles still holds.
const TELL: Duration = Duration::from_secs(5);
/// How long one write may take.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// The profiles that there are.
#[derive(Clone)]
pub struct Profiles(Arc<Shared>);

struct Shared {
    /// Those of the cluster, by name.
    own: ArcSwap<Entries>,
    /// Whether they were listed once, or cannot be.
    is_settled: AtomicBool,
    built_in: HashMap<&'static str, SelectedProfile>,
    watch: WatchHealth,
}

type Entries = HashMap<String, Entry>;

/// The profiles as they were at one time.
#[derive(Debug)]
pub struct Edition(Weak<Entries>);

/// A profile that can be used, and for which pods.
#[derive(Clone)]
pub struct SelectedProfile {
    /// The profile.
    pub profile: Arc<Profile>,
    /// The pods of the namespace that it is for; `None` for all.
    pods: Option<Arc<Selector>>,
}

/// One resource.
#[derive(Clone)]
struct Entry {
    chosen: Result<SelectedProfile, Vec<String>>,
    generation: i64,
    version: Option<String>,
    /// What is written in it.
    status: Option<ResolverProfileStatus>,
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProfile {
    /// There is none of this name.
    #[error("there is no profile `{name}`: use {}", known.join(", "))]
    Missing {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// It is not in order.
    #[error("the profile `{name}` is not accepted: {}", problems.join("; "))]
    Refused {
        /// The name.
        name: String,
        /// What is wrong with it.
        problems: Vec<String>,
    },
}

// === impl Profiles ===

impl Profiles {
    /// Those that are built in, and no others.
    pub fn built_in() -> Self {
        let built_in = Profile::NAMES.into_iter().filter_map(|name| {
            let profile = Arc::new(Profile::builtin(name).ok()?);
            Some((name, SelectedProfile { profile, pods: None }))
        });
        let built_in = built_in.collect();
        Self(Arc::new(Shared {
            own: ArcSwap::default(),
            is_settled: AtomicBool::new(true),
            built_in,
            watch: WatchHealth::new("resolverprofiles"),
        }))
    }

    /// Those of a cluster too, watched by a task of its own for as long as the process lives. Needs the rights list and watch on
    /// resolverprofiles, and patch on their status. Where there is no such resource, that is said once.
    pub fn watch(client: Client, namespaces: Namespaces, lease: Lease, default: String) -> Self {
        let profiles = Self::built_in();
        profiles.0.is_settled.store(false, Ordering::Release);
        let watcher = Watcher { api: Api::all(client), shared: Arc::clone(&profiles.0), namespaces, lease, default };
        tokio::spawn(watcher.run());
        profiles
    }

    /// Those of a cluster as they are now. Needs the right to list resolverprofiles.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn list(client: Client) -> Result<Self, kube::Error> {
        let profiles = Self::built_in();
        let list = Api::<ResolverProfile>::all(client).list(&ListParams::default()).await?;
        profiles.0.own.store(Arc::new(list.iter().map(|object| (object.name_any(), entry(object))).collect()));
        Ok(profiles)
    }

    /// How the watch of the cluster's profiles is.
    pub fn health(&self) -> WatchHealth {
        self.0.watch.clone()
    }

    /// Whether the cluster's were listed once, or cannot be.
    pub fn is_ready(&self) -> bool {
        self.0.is_settled.load(Ordering::Acquire)
    }

    /// The profiles as they are now, to ask later whether they have changed.
    pub fn edition(&self) -> Edition {
        Edition(Arc::downgrade(&self.0.own.load()))
    }

    /// Whether none has changed since then.
    pub fn are_as_in(&self, Edition(entries): &Edition) -> bool {
        ptr::eq(Arc::as_ptr(&self.0.own.load()), entries.as_ptr())
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// There is none, or it is not in order.
    pub fn find(&self, name: &str) -> Result<SelectedProfile, NoProfile> {
        let Self(shared) = self;
        let own = shared.own.load();
        match (own.get(name), shared.built_in.get(name)) {
            (Some(Entry { chosen: Ok(chosen), .. }), _) | (None, Some(chosen)) => Ok(chosen.clone()),
            (Some(Entry { chosen: Err(problems), .. }), _) => {
                Err(NoProfile::Refused { name: name.to_owned(), problems: problems.clone() })
            }
            (None, None) => {
                let mut known: Vec<String> = Profile::NAMES.map(str::to_owned).to_vec();
                let mut others: Vec<String> = own.keys().filter(|name| !known.contains(name)).cloned().collect();
                others.sort_unstable();
                known.extend(others);
                Err(NoProfile::Missing { name: name.to_owned(), known })
            }
        }
    }

    /// The profile of the pods of a namespace that names this one, or none; `default` names that of namespaces that name none. With it
    /// what could not be used, which is to be said. `docs/policy.md` has the same in a table.
    pub fn for_namespace(&self, named: Option<&str>, default: &str) -> (SelectedProfile, Vec<NoProfile>) {
        let name = named.unwrap_or(default);
        match self.find(name) {
            Ok(chosen) => (chosen, Vec::new()),
            Err(none) => {
                let default = self.find(DEFAULT).unwrap_or_else(|_| self.built_in_default());
                (default, vec![none])
            }
        }
    }

    /// The profile of one pod, whose namespace has this one: that, unless it is for others.
    pub fn for_pod(
        &self,
        chosen: &SelectedProfile,
        default: &str,
        labels: impl Fn() -> BTreeMap<String, String>,
    ) -> Arc<Profile> {
        if chosen.is_for(&labels) {
            return Arc::clone(&chosen.profile);
        }
        let default = self.find(default).ok().filter(|default| default.is_for(labels));
        default.unwrap_or_else(|| self.built_in_default()).profile
    }

    /// As if the cluster had it.
    #[cfg(test)]
    pub(crate) fn put(&self, object: &ResolverProfile) {
        self.0.change(|entries| {
            entries.insert(object.name_any(), entry(object));
        });
    }

    /// The profile `default` as it is built in.
    fn built_in_default(&self) -> SelectedProfile {
        let built_in = self.0.built_in.get(DEFAULT).cloned();
        built_in.unwrap_or_else(|| SelectedProfile { profile: Arc::new(Profile::default()), pods: None })
    }
}

// === impl Shared ===

impl Shared {
    /// One answer sees the profiles before the change, another those after it, and none something between.
    fn change(&self, change: impl FnOnce(&mut Entries)) {
        let mut entries = Entries::clone(&self.own.load());
        change(&mut entries);
        self.own.store(Arc::new(entries));
    }
}

// === impl SelectedProfile ===

impl SelectedProfile {
    /// What a resource says, whether or not the cluster has it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_resource(resource: &ResolverProfile) -> Result<Self, Vec<String>> {
        let profile = Arc::new(resource.spec.profile(&resource.name_any())?);
        let pods = resource.spec.pods().map_err(|problem| vec![problem])?.map(Arc::new);
        Ok(Self { profile, pods })
    }

    /// Whether it is for every pod of a namespace that has it.
    pub fn is_for_all(&self) -> bool {
        self.pods.is_none()
    }

    /// Whether it is for a pod with these labels, which are asked for only where that matters.
    fn is_for(&self, labels: impl FnOnce() -> BTreeMap<String, String>) -> bool {
        self.pods.as_ref().is_none_or(|pods| pods.matches(&labels()))
    }
}

/// Keeps the profiles as the cluster is, and tells in them what became of them.
struct Watcher {
    api: Api<ResolverProfile>,
    shared: Arc<Shared>,
    namespaces: Namespaces,
    lease: Lease,
    /// The profile of namespaces that name none.
    default: String,
}

// === impl Watcher ===

impl Watcher {
    async fn run(self) {
        let mut events = pin!(watcher(self.api.clone(), watcher::Config::default()).default_backoff());
        let mut tell = tokio::time::interval(TELL);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listing = Entries::new();
        let mut is_broken = false;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        self.shared.watch.record(true);
                        is_broken = false;
                        self.follow(event, &mut listing);
                    }
                    Some(Err(error)) => {
                        self.shared.watch.record(false);
                        if !std::mem::replace(&mut is_broken, true) {
                            tracing::warn!(%error, "cannot watch the profiles; those that are known are used");
                        }
                        self.shared.is_settled.store(true, Ordering::Release);
                    }
                    None => return,
                },
                _ = tell.tick() => self.tell().await,
            }
        }
    }

    fn follow(&self, event: Event<ResolverProfile>, listing: &mut Entries) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => {
                listing.insert(object.name_any(), entry(&object));
            }
            Event::InitDone => {
                tracing::info!(profiles = listing.len(), "listed the profiles");
                self.shared.own.store(Arc::new(std::mem::take(listing)));
                self.shared.is_settled.store(true, Ordering::Release);
            }
            Event::Apply(object) => self.shared.change(|entries| {
                entries.insert(object.name_any(), entry(&object));
            }),
            Event::Delete(object) => self.shared.change(|entries| {
                entries.remove(&object.name_any());
            }),
        }
    }

    /// Writes into each profile whether it is in use, where that is not written in it yet.
    async fn tell(&self) {
        if !self.lease.is_held() {
            return;
        }
        for (name, entry) in self.shared.own.load_full().iter() {
            let namespaces = self.namespaces.using(name, &self.default).len();
            let Some(status) = entry.news(i64::try_from(namespaces).unwrap_or(i64::MAX)) else { continue };
            let object = json!({
                "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile",
                // Only as it is known here: one that believes to hold the lease may know less than the one that does.
                "metadata": { "name": name, "resourceVersion": entry.version },
                "status": status,
            });
            let parameters = PatchParams::apply(MANAGER).force();
            let patch = Patch::Apply(object);
            match timeout(WRITE_MAX, self.api.patch_status(name, &parameters, &patch)).await {
                Ok(Ok(_)) => {}
                // It was deleted, or changed, a moment ago.
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {}
                Ok(Err(error)) => return tracing::warn!(name, %error, "cannot write a profile's status"),
                Err(late) => return tracing::warn!(name, error = %late, "cannot write a profile's status"),
            }
        }
    }
}

fn entry(object: &ResolverProfile) -> Entry {
    // Should muslin ever fail on one, the others are followed all the same.
    let chosen = catch_unwind(AssertUnwindSafe(|| SelectedProfile::from_resource(object)));
    let chosen = chosen.unwrap_or_else(|_| Err(vec!["muslin failed on it; please report it".to_owned()]));
    if let Err(problems) = &chosen {
        tracing::warn!(name = object.name_any(), problems = problems.join("; "), "a profile is not accepted");
    }
    Entry {
        chosen,
        generation: object.metadata.generation.unwrap_or_default(),
        version: object.metadata.resource_version.clone(),
        status: object.status.clone(),
    }
}

// === impl Entry ===

impl Entry {
    /// What is to be written; `None` where it is written.
    fn news(&self, namespaces: i64) -> Option<ResolverProfileStatus> {
        let Self { chosen, generation, version: _, status } = self;
        let mut condition = Condition::accepted(chosen.as_ref().err().map(Vec::as_slice));
        if let Some(before) = status.as_ref().and_then(|status| status.conditions.first()) {
            if before.says(&condition)
                && status
                    .as_ref()
                    .is_some_and(|status| status.namespaces == namespaces && status.observed_generation == *generation)
            {
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

    /// What there can be of a profile.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Is {
        /// Not named at all.
        Unnamed,
        Missing,
        Refused,
        /// Accepted, and for the pod.
        Fit,
        /// Accepted, and for other pods.
        Unfit,
    }

    fn resource(name: &str, is: Is) -> Option<(String, Entry)> {
        let tier = if is == Is::Fit { "web" } else { "batch" };
        let spec = match is {
            Is::Unnamed | Is::Missing => return None,
            Is::Refused => json!({ "options": { "mixed": ["rotat"] } }),
            Is::Fit | Is::Unfit => json!({ "podSelector": { "matchLabels": { "tier": tier } } }),
        };
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": name }, "spec": spec
        });
        Some((name.to_owned(), entry(&serde_json::from_value(object).unwrap())))
    }

    /// Every profile that a namespace can name, beside every one that the cluster can have as its default and in the place of `default`.
    #[test]
    fn whatever_is_named_the_pod_gets_the_profile_that_the_table_has() {
        let labels = || BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
        for named in [Is::Unnamed, Is::Missing, Is::Refused, Is::Fit, Is::Unfit] {
            for cluster in [Is::Missing, Is::Refused, Is::Fit, Is::Unfit] {
                for default in [Is::Missing, Is::Refused, Is::Fit, Is::Unfit] {
                    let profiles = Profiles::built_in();
                    let own = [resource("named", named), resource("cluster", cluster), resource("default", default)];
                    profiles.0.own.store(Arc::new(own.into_iter().flatten().collect()));
                    let policy = NamespacePolicy::from_labels(None, (named != Is::Unnamed).then_some("named"));
                    let (chosen, problems) = profiles.for_namespace(policy.profile(), "cluster");
                    let profile = profiles.for_pod(&chosen, "cluster", labels);
                    let case = format!("{named:?} {cluster:?} {default:?}");

                    let asked = if named == Is::Unnamed { cluster } else { named };
                    let is_there = matches!(asked, Is::Fit | Is::Unfit);
                    assert_eq!(problems.len(), usize::from(!is_there), "{case}");
                    // What stands first, and whether it fits the pod.
                    let (first, fits) = match (is_there, default) {
                        (true, _) if named == Is::Unnamed => ("cluster", asked == Is::Fit),
                        (true, _) => ("named", asked == Is::Fit),
                        (false, Is::Fit | Is::Unfit) => ("default", default == Is::Fit),
                        (false, _) => ("built in", true),
                    };
                    let expected = match (fits, cluster) {
                        (true, _) => first,
                        (false, Is::Fit) => "cluster",
                        (false, _) => "built in",
                    };
                    let name = if *profile == Profile::default() { "built in" } else { &profile.name };
                    assert_eq!(name, expected, "{case}");
                }
            }
        }
    }
}
