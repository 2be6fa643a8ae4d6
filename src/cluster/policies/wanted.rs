//! The policies that a cluster should have: what they are made of, and the objects. Must not know how they are written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::image_table::ImageTable;
use crate::cluster::{Namespaces, Profiles, SelectedProfile};
use crate::compilation::{Answers, ApiVersion, Compilation, Covered, Settings, Webhooks, compile_again, marks};
use crate::policy::{Mode, Profile, SearchList};

/// The most profiles with policies: each takes some 100 MiB of an API server's memory (docs/policies.md). The webhook handles the others.
const PROFILES_MAX: usize = 4;

/// The modes in which policies change or deny pods.
const MODES: [Mode; 3] = [Mode::Warn, Mode::Inject, Mode::Enforce];

/// The label of objects that muslin itself writes. `muslin compile` prints others without it.
pub(super) const MANAGED_LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "muslin");

/// The administrator's settings, as for the webhook.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// The mode of namespaces without a label.
    pub default_mode: Mode,
    /// The profile of namespaces without a label.
    pub default_profile: String,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// The number of the cluster's nameservers in the pods' resolv.conf.
    pub cluster_nameservers: usize,
}

/// Everything that the policies are made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ingredients {
    /// The API version of MutatingAdmissionPolicy; `None` if the API server has none, so that policies only deny.
    pub(super) version: Option<ApiVersion>,
    pub(super) profiles: Vec<CoveredProfile>,
    pub(super) webhooks: Webhooks,
    pub(super) images: Arc<ImageTable>,
}

/// A profile that policies can follow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CoveredProfile {
    profile: Arc<Profile>,
    pod_selector: Option<Value>,
}

/// The answers of earlier compilations, by the profile's name.
pub(super) type KnownAnswers = HashMap<String, Answers>;

/// The objects, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) objects: Vec<Value>,
    /// The number of images that the policies know.
    pub(super) images: usize,
    /// The number of images that they do not know: for want of room, or of an answer.
    pub(super) left_out: usize,
    /// Profiles that are too large, with the reason.
    pub(super) problems: Vec<String>,
}

// === impl CoveredProfile ===

impl CoveredProfile {
    /// Returns the profiles of namespaces that policies can follow, and the number of others. What only the webhook knows keeps a profile
    /// out: its search list and its cache on the node depend on the pod's node, and a rollout on the draw of each pod.
    pub(super) fn in_use(
        namespaces: &Namespaces,
        profiles: &Profiles,
        PolicySettings { default_mode, default_profile, .. }: &PolicySettings,
    ) -> (Vec<Self>, usize) {
        let used = namespaces.profiles_in_use(&MODES, (*default_mode, default_profile));
        let mut used: Vec<(&String, &usize)> = used.iter().collect();
        used.sort_by_key(|(name, count)| (**name != *default_profile, std::cmp::Reverse(**count)));
        let all = used.len();
        let follows = |selected: &SelectedProfile| {
            selected.profile.search == SearchList::Inherit
                && selected.profile.node_local.is_none()
                && selected.rolls_out().is_none()
        };
        let found = used.into_iter().filter_map(|(name, _)| profiles.find(name).ok()).filter(follows);
        let mut covered: Vec<Self> = found
            .take(PROFILES_MAX)
            .map(|selected| Self { pod_selector: selected.label_selector(), profile: selected.profile })
            .collect();
        covered.sort_by(|one, other| one.profile.name.cmp(&other.profile.name));
        let others = all - covered.len();
        (covered, others)
    }
}

// === impl Ingredients ===

impl Ingredients {
    /// Returns whether policies of other ingredients differ in nothing but their images.
    pub(super) fn differs_in_images_alone(&self, other: &Self) -> bool {
        let Self { version, profiles, webhooks, images: _ } = self;
        (version, profiles, webhooks) == (&other.version, &other.profiles, &other.webhooks)
    }

    /// Makes the objects, which takes seconds where the engine has to be asked.
    pub(super) fn objects(&self, settings: &PolicySettings, answers: &mut KnownAnswers) -> Wanted {
        let Self { version, profiles, webhooks, images } = self;
        answers.retain(|name, _| profiles.iter().any(|covered| covered.profile.name == *name));
        let mut wanted = Wanted { left_out: images.left_out, ..Wanted::default() };
        let mut by_profile = BTreeMap::new();
        for CoveredProfile { profile, pod_selector } in profiles {
            let settings = Settings {
                profile,
                pod_selector: pod_selector.as_ref(),
                images: &images.images,
                cluster_domain: &settings.cluster_domain,
                cluster_nameservers: settings.cluster_nameservers,
                default_mode: settings.default_mode,
                default_profile: &settings.default_profile,
                version: version.unwrap_or_default(),
                webhooks: Some(webhooks),
            };
            let known = answers.entry(profile.name.clone()).or_default();
            match compile_again(&settings, known) {
                Ok(compilation) => {
                    by_profile.insert(profile.name.as_str(), compilation);
                }
                Err(error) => wanted.problems.push(error.to_string()),
            }
        }
        wanted.images = by_profile.values().map(|compilation| compilation.images).max().unwrap_or_default();
        wanted.left_out += by_profile.values().map(|compilation| compilation.left_out.len()).max().unwrap_or_default();
        if let Some(version) = version {
            let covered = Covered {
                profiles: by_profile.keys().copied().collect(),
                default_profile: &settings.default_profile,
                default_mode: Some(settings.default_mode),
                left: &webhooks.left,
            };
            wanted.objects = marks(*version, &covered);
        }
        for Compilation { objects, .. } in by_profile.into_values() {
            let is_served = |object: &Value| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                version.is_some() || name.contains("-denials")
            };
            wanted.objects.extend(objects.into_iter().filter(is_served));
        }
        let (label, value) = MANAGED_LABEL;
        for object in &mut wanted.objects {
            object["metadata"]["labels"][label] = json!(value);
        }
        // Policies before their bindings, those without a profile first: where two look at a pod, the webhook sees it.
        wanted.objects.sort_by_key(|object| object["spec"]["policyName"].is_string());
        wanted
    }
}
