//! The settings of profiles that roll out, new and present, as resolvers read them: for watchers, which try both on their nodes. Must not
//! know how names are looked up.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use jiff::Timestamp;
use kube::api::{ListParams, VersionMatch};
use kube::{Api, Client, ResourceExt as _};

use super::rollout::{Reach, RolloutState};
use crate::cluster::resources::{ResolverProfile, ResolverProfileSpec, RolloutPhase};
use crate::image::Evidence;
use crate::policy::{ContainerResolver, Profile, SearchList};
use crate::probe::{PodSettings, SettingsPair};
use crate::resolver::{Family, Resolver, Settings};

/// The port of a cache on the node: resolv.conf has no other.
const PORT: u16 = 53;

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

/// The resolv.conf of pods before a profile changes it.
#[derive(Clone, Debug)]
pub(crate) struct UsualFile {
    /// The nameservers.
    pub nameservers: Vec<SocketAddr>,
    /// The search list.
    pub search: Vec<String>,
    /// The options.
    pub options: Vec<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
}

/// Returns the profiles that roll out, for pods with this resolv.conf. Needs the right list on resolverprofiles.
///
/// # Errors
/// The API server refused, or did not answer.
pub(crate) async fn canary_settings(client: Client, usual: &UsualFile) -> Result<Vec<CanarySettings>, kube::Error> {
    // From the API server's cache: all nodes ask.
    let parameters = ListParams::default().matching(VersionMatch::NotOlderThan).at("0");
    let all = Api::<ResolverProfile>::all(client).list(&parameters).await?;
    Ok(all.iter().filter_map(|object| of(object, usual)).take(PROFILES_MAX).collect())
}

fn of(object: &ResolverProfile, usual: &UsualFile) -> Option<CanarySettings> {
    let rollout = object.status.as_ref()?.rollout.as_ref()?;
    let state = RolloutState::of(object);
    let is_going = rollout.phase() == Some(RolloutPhase::Progressing) && matches!(state.reach, Reach::Share(_));
    if !is_going || rollout.revision != state.revision {
        return None;
    }
    let name = object.name_any();
    let profile = |spec: &ResolverProfileSpec| spec.to_profile(&name).ok();
    let settings = differing(&profile(&state.stable)?, &profile(&object.spec)?, usual);
    Some(CanarySettings { profile: name, revision: state.revision, started: rollout.started_at.0, settings })
}

/// Returns the settings of each resolver for which the two profiles differ, each pair once.
fn differing(present: &Profile, new: &Profile, usual: &UsualFile) -> Vec<SettingsPair> {
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
            let (nameservers, search) = usual.servers_and_search(profile, &containers);
            let added = profile.options_for(containers.iter().copied(), nameservers.len());
            let options = Settings::read_options(resolver, &merged(&usual.options, added))?;
            Some(PodSettings { options, nameservers, search })
        };
        let (Some(present), Some(new)) = (settings(present), settings(new)) else { continue };
        let pair = SettingsPair { present, new };
        if pair.present != pair.new && !pairs.contains(&pair) {
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

// === impl UsualFile ===

impl UsualFile {
    /// Returns the nameservers and the search list that pods with these containers get from a profile. A search list that depends on broken
    /// domains counts as if one were broken.
    fn servers_and_search(
        &self,
        profile: &Profile,
        containers: &[ContainerResolver],
    ) -> (Vec<SocketAddr>, Vec<String>) {
        let is_musl = |container: &ContainerResolver| container.resolver.family == Family::Musl;
        let has_cluster_search = profile.search != SearchList::Inherit && containers.iter().any(is_musl);
        let cache = profile.node_local.as_ref().map(|cache| vec![SocketAddr::new(cache.address, PORT)]);
        let mut search = self.search.clone();
        if has_cluster_search || cache.is_some() {
            search.retain(|domain| is_below(domain, &self.cluster_domain));
        }
        (cache.unwrap_or_else(|| self.nameservers.clone()), search)
    }
}

/// Returns whether a domain is the other one, or below it.
fn is_below(domain: &str, other: &str) -> bool {
    domain.trim_end_matches('.').strip_suffix(other).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The risks of a cache on the node, and of a search list without the node's domains.
    const RISKS: [&str; 3] = ["node-searches-lost", "nameserver-blocked", "cache-missing"];

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

    fn usual() -> UsualFile {
        UsualFile {
            nameservers: vec!["10.96.0.10:53".parse().unwrap()],
            search: ["a.svc.cluster.local", "cluster.local", "mycluster.local", "corp.example.net"]
                .map(str::to_owned)
                .to_vec(),
            options: vec!["ndots:5".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
        }
    }

    fn found(old: &Value, new: &Value) -> Vec<SettingsPair> {
        of(&object(old, new, "Progressing"), &usual()).unwrap().settings
    }

    fn pairs(old: &Value, new: &Value) -> Vec<(Family, u32, u32, u64, u64)> {
        let pair = |SettingsPair { present, new }: &SettingsPair| {
            let seconds = |settings: &PodSettings| settings.options.timeout.as_secs();
            let (before, after) = (&present.options, &new.options);
            (after.resolver.family, before.ndots, after.ndots, seconds(present), seconds(new))
        };
        found(old, new).iter().map(pair).collect()
    }

    #[test]
    fn a_cache_on_the_node_is_tried_by_each_resolver_without_the_nodes_domains() {
        let cache = json!({ "nodeLocal": { "address": "169.254.20.10" }, "acceptRisk": RISKS });
        let tried = found(&json!({ "acceptRisk": RISKS }), &cache);
        let families: BTreeSet<Family> = tried.iter().map(|pair| pair.new.options.resolver.family).collect();
        assert_eq!(families, [Family::Musl, Family::Glibc, Family::Go].into());
        for SettingsPair { present, new } in tried {
            assert_eq!((present.nameservers, present.search), (usual().nameservers, usual().search));
            assert_eq!(new.nameservers, ["169.254.20.10:53".parse().unwrap()]);
            assert_eq!(new.search, ["a.svc.cluster.local", "cluster.local"]);
        }
    }

    #[test]
    fn a_search_list_without_the_nodes_domains_is_tried_where_pods_have_musl() {
        for search in ["cluster", "whenBroken"] {
            let new = json!({ "search": search, "acceptRisk": RISKS });
            let tried = found(&json!({ "acceptRisk": RISKS }), &new);
            // musl alone, and both resolvers of a pod that has both.
            assert_eq!(tried.iter().filter(|pair| pair.new.search.len() == 2).count(), tried.len());
            assert!(tried.iter().all(|pair| pair.new.nameservers == usual().nameservers));
            assert_eq!(tried[0].new.options.resolver.family, Family::Musl);
            assert!(tried.iter().all(|pair| pair.new.options.resolver.family != Family::Go));
        }
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
            assert_eq!(of(&object(&json!({}), &new, phase), &usual()).is_some(), expected, "{phase}");
        }
    }

    #[test]
    fn an_option_of_the_profile_replaces_that_of_the_cluster() {
        let [own, added] = [["ndots:5", "edns0"], ["ndots:2", "timeout:1"]].map(|words| words.map(str::to_owned));
        assert_eq!(merged(&own, &added), ["edns0", "ndots:2", "timeout:1"]);
    }
}
