//! The settings of profiles that roll out, new and present, as resolvers read them: for watchers, which try both on their nodes. Must not
//! know how names are looked up.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::api::{ListParams, VersionMatch};
use kube::{Api, Client, ResourceExt as _};

use super::rollout::{Reach, RolloutState};
use crate::cluster::resources::{ResolverProfile, ResolverProfileSpec, RolloutPhase};
use crate::image::Evidence;
use crate::policy::{ContainerResolver, Profile};
use crate::probe::SettingsPair;
use crate::resolver::{Family, Resolver, Settings};

/// The most profiles of one look.
const PROFILES_MAX: usize = 8;

/// A profile that rolls out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanarySettings {
    /// The profile's name.
    pub profile: String,
    /// The name of the new settings.
    pub revision: String,
    /// The time at which their rollout began.
    pub started: Timestamp,
    /// The settings that differ, by resolver.
    pub settings: Vec<SettingsPair>,
}

/// Returns the profiles that roll out, for pods whose resolv.conf has these options before a profile adds its own, and this number of
/// nameservers. Needs the right list on resolverprofiles.
///
/// # Errors
/// The API server refused, or did not answer.
pub(crate) async fn canary_settings(
    client: Client,
    options: &[String],
    nameservers: usize,
) -> Result<Vec<CanarySettings>, kube::Error> {
    // From the API server's cache: all nodes ask.
    let parameters = ListParams::default().matching(VersionMatch::NotOlderThan).at("0");
    let all = Api::<ResolverProfile>::all(client).list(&parameters).await?;
    Ok(all.iter().filter_map(|object| of(object, options, nameservers)).take(PROFILES_MAX).collect())
}

fn of(object: &ResolverProfile, options: &[String], nameservers: usize) -> Option<CanarySettings> {
    let rollout = object.status.as_ref()?.rollout.as_ref()?;
    let state = RolloutState::of(object);
    let is_going = rollout.phase() == Some(RolloutPhase::Progressing) && matches!(state.reach, Reach::Share(_));
    if !is_going || rollout.revision != state.revision {
        return None;
    }
    let name = object.name_any();
    let profile = |spec: &ResolverProfileSpec| spec.to_profile(&name).ok();
    let settings = differing(&profile(&state.stable)?, &profile(&object.spec)?, options, nameservers);
    Some(CanarySettings { profile: name, revision: state.revision, started: rollout.started_at.0, settings })
}

/// Returns the settings of each resolver for which the two profiles differ, each pair once.
fn differing(present: &Profile, new: &Profile, options: &[String], nameservers: usize) -> Vec<SettingsPair> {
    let releases = new.musl_releases.iter().chain(&present.musl_releases);
    // The release from which a row holds stands for the row.
    let releases = releases.filter_map(|row| row.condition.from);
    let musl = releases.map(|release| Resolver { version: Some(release), ..Family::Musl.unversioned() });
    let musl: BTreeSet<Resolver> = musl.chain([Family::Musl.unversioned()]).collect();
    let container = |resolver, evidence| ContainerResolver { resolver, evidence, holds_java: false };
    let known = |resolver| (resolver, vec![container(resolver, Evidence::Inspected)]);
    let (glibc, go) = (Family::Glibc.unversioned(), Family::Go.unversioned());
    let mixed = vec![container(Family::Musl.unversioned(), Evidence::Assumed), container(glibc, Evidence::Assumed)];
    let pods = musl.into_iter().map(known).chain([known(glibc), known(go)]);
    let pods = pods.chain([(Family::Musl.unversioned(), mixed.clone()), (glibc, mixed)]);
    let mut pairs: Vec<SettingsPair> = Vec::new();
    for (resolver, containers) in pods {
        let settings = |profile: &Profile| {
            let added = profile.options_for(containers.iter().copied(), nameservers);
            Settings::read_options(resolver, &merged(options, added))
        };
        let (Some(present), Some(new)) = (settings(present), settings(new)) else { continue };
        let pair = SettingsPair { present, new };
        if present != new && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// Returns the options that the kubelet writes: an option of the profile takes the place of one of the same name (kubernetes
/// `pkg/kubelet/network/dns/dns.go`, `mergeDNSOptions`).
fn merged<'o>(options: &'o [String], added: &'o [String]) -> Vec<&'o str> {
    let name = |option: &'o str| option.split(':').next().unwrap_or_default();
    let stays = |option: &&'o str| !added.iter().any(|added| name(added) == name(option));
    options.iter().map(String::as_str).filter(stays).chain(added.iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(old: &Value, new: &Value, phase: &str) -> ResolverProfile {
        let mut spec = new.clone();
        spec["rollout"] = json!({ "percent": 10 });
        let mut object: ResolverProfile = serde_json::from_value(json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "web", "generation": 2 },
            "spec": spec,
        }))
        .unwrap();
        let status = json!({
            "observedGeneration": 2, "stable": old,
            "rollout": {
                "phase": phase, "revision": object.spec.revision(), "generation": 2, "startedAt": "2026-01-01T00:00:00Z"
            },
        });
        object.status = serde_json::from_value(status).unwrap();
        object
    }

    fn pairs(old: &Value, new: &Value) -> Vec<(Family, u32, u32, u64, u64)> {
        let found = of(&object(old, new, "Progressing"), &["ndots:5".to_owned()], 1).unwrap();
        let pair = |SettingsPair { present, new }: &SettingsPair| {
            let seconds = |settings: &Settings| settings.timeout.as_secs();
            (new.resolver.family, present.ndots, new.ndots, seconds(present), seconds(new))
        };
        found.settings.iter().map(pair).collect()
    }

    #[test]
    fn each_resolver_whose_settings_differ_is_tried_once() {
        let (old, nothing) = (json!({ "options": { "musl": ["timeout:4"], "mixed": ["timeout:4"] } }), json!({}));
        let new = json!({ "options": { "musl": ["timeout:8"], "mixed": ["timeout:8"], "glibc": ["ndots:1"] } });
        let mut found = pairs(&old, &new);
        found.sort();
        assert_eq!(found, [(Family::Musl, 5, 5, 4, 8), (Family::Glibc, 5, 1, 5, 5), (Family::Glibc, 5, 5, 4, 8)],);
        assert!(pairs(&nothing, &json!({ "rules": { "musl-no-tcp": "deny" } })).is_empty());
        assert_eq!(pairs(&nothing, &json!({ "options": { "go": ["ndots:2"] } })), [(Family::Go, 5, 2, 5, 5)]);
    }

    #[test]
    fn only_a_rollout_in_progress_is_tried() {
        let new = json!({ "options": { "mixed": ["timeout:8"] } });
        for (phase, expected) in [("Progressing", true), ("RolledBack", false), ("Promoted", false)] {
            assert_eq!(of(&object(&json!({}), &new, phase), &[], 1).is_some(), expected, "{phase}");
        }
    }

    #[test]
    fn an_option_of_the_profile_replaces_that_of_the_cluster() {
        let [own, added] = [["ndots:5", "edns0"], ["ndots:2", "timeout:1"]].map(|words| words.map(str::to_owned));
        assert_eq!(merged(&own, &added), ["edns0", "ndots:2", "timeout:1"]);
    }
}
