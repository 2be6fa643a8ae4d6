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

use crate::cluster::resources::{Condition, NdotsEvidence, ProfileProblem, ResolverProfile, ResolverProfileStatus};
use crate::plan::RiskCause;
use crate::policy::{CacheFault, NodeLocal, Profile, SearchList};

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
}

/// One resource.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) selected: Result<SelectedProfile, Vec<ProfileProblem>>,
    pub(super) generation: i64,
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
    /// The status as the cluster has it.
    status: Option<ResolverProfileStatus>,
}

// === impl SelectedProfile ===

impl SelectedProfile {
    /// Selects all pods.
    pub(super) fn built_in(profile: Arc<Profile>) -> Self {
        Self { profile, selector: None, namespaces: Arc::default(), unaccepted: Arc::default() }
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
        Self {
            selected,
            generation: object.metadata.generation.unwrap_or_default(),
            uid: object.metadata.uid.clone(),
            version: object.metadata.resource_version.clone(),
            status: object.status.clone(),
        }
    }

    /// Returns the status to write; `None` if the cluster has it already.
    pub(super) fn status_update(
        &self,
        namespaces: i64,
        cache_fault: impl Fn(IpAddr) -> Option<CacheFault>,
    ) -> Option<ResolverProfileStatus> {
        let Self { selected, generation, uid: _, version: _, status } = self;
        let mut conditions = vec![Condition::accepted(selected.as_ref().err().map(Vec::as_slice))];
        if let Ok(SelectedProfile { profile, unaccepted, .. }) = selected {
            if profile.node_local.is_some() || !unaccepted.is_empty() {
                conditions.push(Condition::risks_accepted(unaccepted));
            }
            if let Some(NodeLocal { address }) = profile.node_local {
                conditions.push(Condition::node_local_reachable(address, cache_fault(address)));
            }
        }
        if let Some(status) = status {
            let before = &status.conditions;
            let is_current = status.namespaces == namespaces && status.observed_generation == *generation;
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
        Some(ResolverProfileStatus { conditions, observed_generation: *generation, namespaces })
    }
}
