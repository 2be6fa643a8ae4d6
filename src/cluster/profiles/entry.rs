//! One profile as a plan uses it, and one resource of the cluster with its status. Must not know who watches the resource.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::rollout::{Look, Reach, RolloutState};
use crate::cluster::resources::{
    Condition, NdotsEvidence, ProfileProblem, ResolverProfile, ResolverProfileSpec, ResolverProfileStatus,
    RolloutStatus,
};
use crate::plan::RiskCause;
use crate::policy::{CacheFault, NodeLocal, PodStages, Profile, SearchList, Stage};

/// The cluster's profiles, by name.
pub(super) type Entries = HashMap<String, Entry>;

/// The problem of a profile with a search list where muslin does not know the addresses.
const NO_CLUSTER_DNS: &str = "muslin's own resolv.conf does not name the cluster's domain, so muslin does not know the addresses of the \
                              cluster's DNS; start `muslin serve` with --cluster-dns ADDRESS";

/// A usable profile and the selector of its pods.
#[derive(Clone)]
pub struct SelectedProfile {
    /// The profile.
    pub profile: Arc<Profile>,
    /// Selects the pods of the namespace that get the profile; `None` selects all.
    selector: Option<Arc<Selector>>,
    /// The namespaces whose pods get the profile's `ndots` beside the options of their own profile.
    namespaces: Arc<[String]>,
    /// The risks of the cache on the node that the resource does not accept, and a missing evidence for its `ndots`.
    unaccepted: Arc<[ProfileProblem]>,
    /// The new settings of a share of the pods, while the profile rolls out.
    canary: Option<Arc<Canary>>,
}

/// New settings, and the share of new pods that get them.
struct Canary {
    settings: SelectedProfile,
    revision: String,
    percent: u8,
}

/// One resource.
#[derive(Clone)]
pub(super) struct Entry {
    /// The settings of pods, with those that roll out.
    pub(super) selected: Result<SelectedProfile, Vec<ProfileProblem>>,
    /// The settings of the spec.
    pub(super) accepted: Result<SelectedProfile, Vec<ProfileProblem>>,
    pub(super) spec: Arc<ResolverProfileSpec>,
    pub(super) rollout: Arc<RolloutState>,
    pub(super) generation: i64,
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    /// The status as the cluster has it.
    pub(super) status: Option<Arc<ResolverProfileStatus>>,
}

// === impl SelectedProfile ===

impl SelectedProfile {
    /// Selects all pods.
    pub(super) fn built_in(profile: Arc<Profile>) -> Self {
        Self { profile, selector: None, namespaces: Arc::default(), unaccepted: Arc::default(), canary: None }
    }

    /// Converts the selector of a resource alone, whatever its other problems are.
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn selector_of(resource: &ResolverProfile) -> Result<Self, ProfileProblem> {
        let selector = resource.spec.selector()?.map(Arc::new);
        let namespaces = resource.spec.namespaces.clone().into();
        Ok(Self { selector, namespaces, ..Self::built_in(Arc::new(Profile::nothing())) })
    }

    /// Converts a resource, whether or not the cluster has it. `knows_cluster_dns` is true if muslin knows the addresses of the cluster's
    /// DNS.
    ///
    /// # Errors
    /// All problems of the resource but [`Self::unaccepted`].
    pub fn from_resource(resource: &ResolverProfile, knows_cluster_dns: bool) -> Result<Self, Vec<ProfileProblem>> {
        let profile = resource.spec.to_profile(&resource.name_any())?;
        if profile.search != SearchList::Inherit && !knows_cluster_dns {
            return Err(vec![ProfileProblem::new("search", NO_CLUSTER_DNS)]);
        }
        if let Some(problem) = NdotsEvidence::problem(resource, Timestamp::now()) {
            return Err(vec![problem]);
        }
        let mut unaccepted = resource.spec.unaccepted(&profile, RiskCause::NodeLocal);
        unaccepted.extend(NdotsEvidence::missing(resource));
        let selected = Self::selector_of(resource).map_err(|problem| vec![problem])?;
        Ok(Self { profile: Arc::new(profile), unaccepted: unaccepted.into(), ..selected })
    }

    /// Returns the risks of the cache on the node that the resource does not accept, and a missing evidence. This release denies new profiles with such risks, and
    /// still uses stored ones; the next one will not use them.
    pub fn unaccepted(&self) -> &[ProfileProblem] {
        &self.unaccepted
    }

    /// Returns the namespaces whose pods get the profile's `ndots` beside the options of their own profile.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// Returns the settings of one pod: while the profile rolls out, those of its stage. The stage of a pod that neither settings select
    /// is not asked for, so that it is not recorded.
    pub(super) fn at(&self, stages: &PodStages<'_>, labels: &impl Fn() -> BTreeMap<String, String>) -> &Self {
        let Some(canary) = &self.canary else { return self };
        let Canary { settings, revision, percent } = &**canary;
        if !self.selects(labels) && !settings.selects(labels) {
            return self;
        }
        match stages.stage(&self.profile.name, revision, *percent) {
            Stage::Stable => self,
            Stage::Canary => settings,
        }
    }

    /// Returns the settings, and those that roll out.
    pub(super) fn all(&self) -> impl Iterator<Item = &Self> {
        [self].into_iter().chain(self.canary.iter().map(|canary| &canary.settings))
    }

    /// Returns the share of new pods with new settings, in percent, while the profile rolls out.
    pub fn rolls_out(&self) -> Option<u8> {
        self.canary.as_ref().map(|canary| canary.percent)
    }

    /// Returns the selector of the profile's pods as the API has it; `None` for all pods.
    pub fn label_selector(&self) -> Option<Value> {
        let selector = LabelSelector::from(Selector::clone(self.selector.as_deref()?));
        serde_json::to_value(selector).ok()
    }

    /// Returns whether the profile is for a pod with these labels, which are read only if there is a selector.
    pub fn selects(&self, labels: impl FnOnce() -> BTreeMap<String, String>) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(&labels()))
    }
}

// === impl Entry ===

impl Entry {
    /// Converts a resource. A panic in the conversion counts as a problem, so that the other profiles are followed all the same.
    pub(super) fn new(object: &ResolverProfile, knows_cluster_dns: bool) -> Self {
        let convert = || SelectedProfile::from_resource(object, knows_cluster_dns);
        let selected = catch_unwind(AssertUnwindSafe(convert));
        let selected = selected
            .unwrap_or_else(|_| Err(vec![ProfileProblem::new("spec", "muslin failed on it; please report that")]));
        if let Err(problems) = &selected {
            let problems = ProfileProblem::join(problems);
            tracing::warn!(name = object.name_any(), problems, "a profile is not accepted");
        }
        let rollout = RolloutState::of(object);
        Self {
            selected: selected.clone().map(|accepted| rolling_out(accepted, &rollout)),
            accepted: selected,
            spec: Arc::new(object.spec.clone()),
            rollout: Arc::new(rollout),
            generation: object.metadata.generation.unwrap_or_default(),
            uid: object.metadata.uid.clone(),
            version: object.metadata.resource_version.clone(),
            status: object.status.clone().map(Arc::new),
        }
    }

    /// Returns the namespaces that the settings add an `ndots` in, those that roll out included.
    pub(super) fn refined_namespaces(&self) -> Vec<String> {
        let all = self.selected.iter().flat_map(SelectedProfile::all);
        all.flat_map(SelectedProfile::namespaces).cloned().collect()
    }

    /// Returns the status to write; `None` if the cluster has it already.
    pub(super) fn status_update(
        &self,
        namespaces: i64,
        cache_fault: impl Fn(IpAddr) -> Option<CacheFault>,
        look: Option<&Look>,
    ) -> Option<ResolverProfileStatus> {
        let Self { accepted, generation, status, .. } = self;
        let status = status.as_deref();
        let mut conditions = vec![Condition::accepted(accepted.as_ref().err().map(Vec::as_slice))];
        if let Ok(SelectedProfile { profile, unaccepted, .. }) = accepted {
            if profile.node_local.is_some() || !unaccepted.is_empty() {
                conditions.push(Condition::risks_accepted(unaccepted));
            }
            if let Some(NodeLocal { address }) = profile.node_local {
                conditions.push(Condition::node_local_reachable(address, cache_fault(address)));
            }
        }
        let (stable, rollout) = self.rollout_update(look);
        conditions.extend(rollout.iter().flat_map(Condition::of_rollout));
        if let Some(status) = status {
            let before = &status.conditions;
            let is_current = status.namespaces == namespaces
                && status.observed_generation == *generation
                && (&status.stable, &status.rollout) == (&stable, &rollout);
            let says_the_same = before.len() == conditions.len()
                && before.iter().zip(&conditions).all(|(before, condition)| before.says_the_same_as(condition));
            if is_current && says_the_same {
                return None;
            }
            for condition in &mut conditions {
                let same =
                    |before: &&Condition| (&before.type_, &before.status) == (&condition.type_, &condition.status);
                if let Some(before) = before.iter().find(same) {
                    condition.last_transition_time = before.last_transition_time.clone();
                }
            }
        }
        Some(ResolverProfileStatus { conditions, observed_generation: *generation, namespaces, stable, rollout })
    }

    /// Returns the last promoted settings and the state of the rollout, for the status.
    fn rollout_update(&self, look: Option<&Look>) -> (Option<Value>, Option<RolloutStatus>) {
        let Self { accepted, spec, rollout, generation, status, .. } = self;
        let recorded = || status.as_ref().and_then(|status| status.stable.clone());
        let before = status.as_ref().and_then(|status| status.rollout.as_ref());
        if accepted.is_err() {
            // Pods get the profile `default`. The next settings that are accepted roll out from what they had before.
            let is_new = status.as_ref().is_none_or(|status| status.observed_generation == 0);
            let stable = recorded().or_else(|| rollout.stable.settings_to_store().filter(|_| is_new));
            return (stable, before.cloned());
        }
        let (next, is_promoted) = rollout.next(spec, *generation, before, look, Timestamp::now());
        let stable = if is_promoted {
            spec.settings_to_store()
        } else {
            recorded().or_else(|| rollout.stable.settings_to_store())
        };
        (stable, next)
    }
}

/// Returns the settings of pods while those of the spec roll out.
fn rolling_out(accepted: SelectedProfile, rollout: &RolloutState) -> SelectedProfile {
    let percent = match rollout.reach {
        Reach::All => return accepted,
        Reach::Share(percent) => Some(percent),
        Reach::Nobody => None,
    };
    let name = &accepted.profile.name;
    let stable = match rollout.stable.to_profile(name) {
        Ok(profile) => profile,
        // Another release promoted settings that this one does not accept, as if they were those of the spec.
        Err(problems) => {
            let problems = ProfileProblem::join(&problems);
            tracing::warn!(
                name,
                problems,
                "the last promoted settings of a profile are not accepted: pods get none of them"
            );
            Profile { name: name.clone(), ..Profile::default() }
        }
    };
    let selector = rollout.stable.selector().ok().flatten().map(Arc::new);
    let stable = SelectedProfile {
        selector,
        namespaces: rollout.stable.namespaces.clone().into(),
        ..SelectedProfile::built_in(Arc::new(stable))
    };
    let revision = rollout.revision.clone();
    SelectedProfile {
        canary: percent.map(|percent| Arc::new(Canary { settings: accepted, revision, percent })),
        ..stable
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A profile whose pods had `attempts:3`, and get `attempts:4` in a rollout.
    fn object(status: &Value) -> ResolverProfile {
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "web", "generation": 2 },
            "spec": {
                "options": { "mixed": ["attempts:2"] }, "podSelector": { "matchLabels": { "tier": "web" } },
                "rollout": { "percent": 10 },
            },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn stable() -> Value {
        let settings =
            json!({ "options": { "mixed": ["attempts:3"] }, "podSelector": { "matchLabels": { "tier": "web" } } });
        json!({ "observedGeneration": 1, "stable": settings })
    }

    fn entry(object: &ResolverProfile) -> Entry {
        Entry::new(object, true)
    }

    #[test]
    fn a_pod_of_a_rollout_gets_the_settings_of_its_stage() {
        let selected = entry(&object(&stable())).selected.unwrap();
        let labels = |tier: &'static str| move || BTreeMap::from([("tier".to_owned(), tier.to_owned())]);
        for (stage, options) in [(Stage::Stable, "attempts:3"), (Stage::Canary, "attempts:2")] {
            let stages = PodStages::recorded(None).with(None, stage);
            assert_eq!(selected.at(&stages, &labels("web")).profile.mixed, [options]);
            assert_eq!(stages.decided().label(), Some(stage));
        }
        // A pod that has another profile anyway is part of no rollout.
        let stages = PodStages::drawn(None, "shop", "batch-0");
        assert!(!selected.at(&stages, &labels("batch")).selects(labels("batch")));
        assert!(stages.decided().is_empty());
        assert_eq!(selected.rolls_out(), Some(10));
    }

    #[test]
    fn a_status_that_says_all_is_not_written_again() {
        let mut object = object(&stable());
        let first = entry(&object).status_update(1, |_| None, None).unwrap();
        assert_eq!(first.stable, Some(stable()["stable"].clone()));
        assert_eq!(first.rollout.as_ref().unwrap().phase, "Progressing");
        let types: Vec<&str> = first.conditions.iter().map(|condition| &*condition.type_).collect();
        assert_eq!(types, ["Accepted", "Progressing", "Promoted", "RolledBack"]);
        let stored = serde_json::to_value(&first).unwrap();
        object.status = serde_json::from_value(stored).unwrap();
        assert_eq!(entry(&object).status_update(1, |_| None, None), None);
        assert!(entry(&object).status_update(2, |_| None, None).is_some());
    }

    #[test]
    fn every_accepted_profile_records_its_settings_and_another_keeps_those_of_before() {
        let mut plain = object(&Value::Null);
        plain.spec.rollout = None;
        let recorded = entry(&plain).status_update(0, |_| None, None).unwrap();
        assert_eq!(recorded.stable, plain.spec.settings_to_store());
        assert_eq!(recorded.rollout, None);
        let mut refused = object(&stable());
        refused.spec.options.mixed = vec!["atempts:2".to_owned()];
        let kept = entry(&refused).status_update(0, |_| None, None).unwrap();
        assert_eq!(kept.stable, Some(stable()["stable"].clone()));
    }
}
