//! Converts a `ResolverProfile` into the profile that plans use, and back. Must not know where resources come from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Selector;

use super::resolver_profile::{
    Conflict, DeclaredImage, Exemptions, LabelExpression, NodeLocalCache, Options, PodSelector, Releases,
    ResolverProfileSpec, RuleLevel, Search,
};
use crate::plan::{Risk, RiskCause, option_fault, risks, unknown_rule};
use crate::policy::{self, Level, LevelOverride, MuslCondition, NodeLocal, OnConflict, Profile, SearchList};
use crate::resolver::{InvalidVersion, Version};

/// A problem in one field of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ProfileProblem {
    field: &'static str,
    message: String,
}

/// Collects the problems of a profile, each once in a row.
#[derive(Default)]
struct Problems(Vec<ProfileProblem>);

// === impl ProfileProblem ===

impl ProfileProblem {
    pub(crate) fn new(field: &'static str, message: impl fmt::Display) -> Self {
        Self { field, message: message.to_string() }
    }

    /// Joins several problems into one sentence.
    pub(crate) fn join(problems: &[Self]) -> String {
        problems.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

// === impl Problems ===

impl Problems {
    fn add(&mut self, field: &'static str, message: impl fmt::Display) {
        let problem = ProfileProblem::new(field, message);
        if self.0.last() != Some(&problem) {
            self.0.push(problem);
        }
    }

    /// Returns the value, or adds the error as a problem.
    fn check<T, E: fmt::Display>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }
}

// === impl ResolverProfileSpec ===

impl ResolverProfileSpec {
    /// Converts the resource into a profile.
    ///
    /// # Errors
    /// All problems of the resource.
    pub(in crate::cluster) fn to_profile(&self, name: &str) -> Result<Profile, Vec<ProfileProblem>> {
        let mut problems = Problems::default();
        let Options { musl, musl_releases, mixed, glibc, go, others } = &self.options;
        let mut profile = Profile {
            name: name.to_owned(),
            summary: self.summary.clone(),
            musl: musl.clone(),
            musl_releases: musl_releases.iter().map(|row| row.to_policy(&mut problems)).collect(),
            mixed: mixed.clone(),
            glibc: glibc.clone(),
            go: go.clone(),
            others: others.clone(),
            on_conflict: match self.on_conflict {
                Conflict::Keep => OnConflict::Keep,
                Conflict::Override => OnConflict::Override,
            },
            search: match self.search {
                Search::Inherit => SearchList::Inherit,
                Search::Cluster => SearchList::Cluster,
                Search::WhenBroken => SearchList::WhenBroken,
            },
            ..Profile::nothing()
        };
        for (rule, level) in &self.rules {
            profile.rules.set(rule, level.level_override());
            if let Some(fault) = unknown_rule(rule) {
                problems.add("rules", fault);
            }
        }
        self.declare_images(&mut profile, &mut problems);
        if let Some(NodeLocalCache { address }) = &self.node_local {
            match address.parse() {
                Ok(address) if is_no_host(address) => {
                    problems.add("nodeLocal.address", format!("`{address}` is not the address of a nameserver"));
                }
                Ok(address) => profile.node_local = Some(NodeLocal { address }),
                Err(_) => problems.add("nodeLocal.address", format!("`{address}` is not an IP address")),
            }
        }
        if let Err(problem) = self.selector() {
            problems.0.push(problem);
        }
        for fault in profile.every_option().filter_map(option_fault) {
            problems.add("options", fault);
        }
        if !self.namespaces.is_empty() && !self.sets_ndots_alone(&profile) {
            problems.add("namespaces", "a profile with namespaces sets options of ndots alone: all else belongs in the namespace's own profile");
        }
        if let Some(problem) = self.rollout.as_ref().and_then(|rollout| rollout.problem(self)) {
            problems.0.push(problem);
        }
        for cause in [RiskCause::Options, RiskCause::Search] {
            for problem in self.unaccepted(&profile, cause) {
                problems.add(problem.field, problem.message);
            }
        }
        if problems.0.is_empty() { Ok(profile) } else { Err(problems.0) }
    }

    /// Returns whether the profile has options of `ndots`, and nothing else that changes a pod or a finding.
    fn sets_ndots_alone(&self, profile: &Profile) -> bool {
        let Self {
            summary: _,
            options,
            on_conflict,
            rules,
            images,
            exempt,
            node_local,
            search,
            namespaces: _,
            pod_selector: _,
            accept_risk: _,
            rollout: _,
        } = self;
        let is_ndots = |option: &str| option.starts_with("ndots:");
        profile.every_option().all(is_ndots)
            && profile.every_option().next().is_some()
            && options.musl_releases.is_empty()
            && *on_conflict == Conflict::Keep
            && rules.is_empty()
            && images.is_empty()
            && *exempt == Exemptions::default()
            && node_local.is_none()
            && *search == Search::Inherit
    }

    /// Adds the declared and the exempt images and service accounts to the profile.
    fn declare_images(&self, profile: &mut Profile, problems: &mut Problems) {
        for DeclaredImage { prefix, resolver } in &self.images {
            if let Some(resolver) = problems.check("images", resolver.parse()) {
                problems.check("images", profile.images.declare(prefix, resolver));
            }
        }
        for prefix in &self.exempt.images {
            problems.check("exempt.images", profile.exempt.add_image(prefix));
        }
        self.exempt.service_accounts.iter().for_each(|account| profile.exempt.add_account(account));
    }

    /// Returns a problem for each risk of the profile by this cause that the resource does not accept.
    pub(in crate::cluster) fn unaccepted(&self, profile: &Profile, cause: RiskCause) -> Vec<ProfileProblem> {
        let field = match cause {
            RiskCause::Options => "options",
            RiskCause::NodeLocal => "nodeLocal",
            RiskCause::Search => "search",
        };
        let problem = |Risk { slug, cause: _, pods, message }: Risk| {
            ProfileProblem::new(
                field,
                format!("for {pods}: {slug}: {message}; to accept that, name {slug} in acceptRisk"),
            )
        };
        let is_open =
            |risk: &Risk| risk.cause == cause && !self.accept_risk.iter().any(|accepted| accepted == risk.slug);
        risks(profile).into_iter().filter(is_open).map(problem).collect()
    }

    /// Returns the selector of the pods that the profile is for; `None` for all.
    ///
    /// # Errors
    /// The selector is invalid.
    pub(in crate::cluster) fn selector(&self) -> Result<Option<Selector>, ProfileProblem> {
        let Some(PodSelector { match_labels, match_expressions }) = &self.pod_selector else { return Ok(None) };
        let requirement = |LabelExpression { key, operator, values }: &LabelExpression| LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.clone(),
            values: (!values.is_empty()).then(|| values.clone()),
        };
        let selector = LabelSelector {
            match_labels: Some(match_labels.clone()),
            match_expressions: Some(match_expressions.iter().map(requirement).collect()),
        };
        selector.try_into().map(Some).map_err(|error| ProfileProblem::new("podSelector", error))
    }

    /// Writes a built-in profile as an administrator would write it.
    pub fn from_profile(profile: &Profile) -> Self {
        let Profile { summary, musl, musl_releases, mixed, glibc, go, others, node_local, .. } = profile;
        let mut accept_risk: Vec<String> = risks(profile).into_iter().map(|risk| risk.slug.to_owned()).collect();
        accept_risk.sort_unstable();
        accept_risk.dedup();
        Self {
            summary: summary.clone(),
            options: Options {
                musl: musl.clone(),
                musl_releases: musl_releases.iter().map(Releases::from_policy).collect(),
                mixed: mixed.clone(),
                glibc: glibc.clone(),
                go: go.clone(),
                others: others.clone(),
            },
            accept_risk,
            node_local: node_local
                .as_ref()
                .map(|NodeLocal { address }| NodeLocalCache { address: address.to_string() }),
            ..Self::default()
        }
    }
}

/// Returns whether no host has this address.
fn is_no_host(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

// === impl Releases ===

impl Releases {
    fn to_policy(&self, problems: &mut Problems) -> policy::Releases {
        let Self { from, before, except_java, nameservers_max, options } = self;
        let mut version = |text: &Option<String>| -> Option<Version> {
            let parsed = text.as_deref()?.parse();
            problems.check::<_, InvalidVersion>("options.muslReleases", parsed)
        };
        let (from, before) = (version(from), version(before));
        let condition = MuslCondition {
            from,
            before,
            except_java: *except_java,
            nameservers_max: nameservers_max.map(usize::from),
        };
        policy::Releases { condition, options: options.clone() }
    }

    fn from_policy(releases: &policy::Releases) -> Self {
        let MuslCondition { from, before, except_java, nameservers_max } = releases.condition;
        let text = |version: Option<Version>| version.map(|version| version.to_string());
        Self {
            from: text(from),
            before: text(before),
            except_java,
            nameservers_max: nameservers_max.and_then(|max| u8::try_from(max).ok()),
            options: releases.options.clone(),
        }
    }
}

// === impl RuleLevel ===

impl RuleLevel {
    const fn level_override(self) -> LevelOverride {
        match self {
            Self::Off => LevelOverride::Off,
            Self::Info => LevelOverride::At(Level::Info),
            Self::Warn => LevelOverride::At(Level::Warn),
            Self::Deny => LevelOverride::At(Level::Deny),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile_of(yaml: &str) -> Result<Profile, Vec<ProfileProblem>> {
        serde_saphyr::from_str::<ResolverProfileSpec>(yaml).unwrap().to_profile("strict")
    }

    #[test]
    fn a_built_in_profile_survives_the_way_into_a_resource_and_back() {
        for name in Profile::NAMES {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(ResolverProfileSpec::from_profile(&profile).to_profile(name), Ok(profile));
        }
    }

    #[test]
    fn a_risk_is_accepted_only_by_its_name() {
        let risky = "options: {musl: ['ndots:1']}\n";
        let problems = ProfileProblem::join(&profile_of(risky).unwrap_err());
        assert!(problems.contains("options: for pods that use musl: ndots-breaks-musl: "), "{problems}");
        assert!(problems.contains("name ndots-breaks-musl in acceptRisk"), "{problems}");
        assert!(profile_of(&format!("{risky}acceptRisk: [use-vc-hangs]\n")).is_err());
        assert!(profile_of(&format!("{risky}acceptRisk: [ndots-breaks-musl]\n")).is_ok());
    }

    #[test]
    fn a_risk_of_the_cache_is_open_until_it_is_named() {
        let open = |yaml: &str| -> Vec<String> {
            let spec: ResolverProfileSpec = serde_saphyr::from_str(yaml).unwrap();
            let profile = spec.to_profile("on-node").unwrap();
            spec.unaccepted(&profile, RiskCause::NodeLocal).iter().map(ToString::to_string).collect()
        };
        let cache = "nodeLocal: {address: 169.254.20.10}\n";
        let problems = open(cache);
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert_eq!(
            problems[1],
            "nodeLocal: for pods that use the cluster's DNS: nameserver-blocked: 169.254.20.10: a NetworkPolicy that \
             allows DNS only to the pods of kube-dns blocks it; to accept that, name nameserver-blocked in acceptRisk"
        );
        assert_eq!(open(&format!("{cache}acceptRisk: [node-searches-lost, nameserver-blocked]\n")).len(), 1);
        let all = "acceptRisk: [node-searches-lost, nameserver-blocked, cache-missing]\n";
        assert_eq!(open(&format!("{cache}{all}")), [""; 0]);
    }

    #[test]
    fn the_risk_of_another_search_list_is_accepted_by_its_name() {
        for search in ["cluster", "whenBroken"] {
            let problems = ProfileProblem::join(&profile_of(&format!("search: {search}\n")).unwrap_err());
            assert!(problems.starts_with("search: for pods with musl that use the cluster's DNS"), "{problems}");
            assert!(problems.ends_with("to accept that, name node-searches-lost in acceptRisk"), "{problems}");
            assert!(profile_of(&format!("search: {search}\nacceptRisk: [node-searches-lost]\n")).is_ok());
        }
        assert_eq!(profile_of("search: inherit\n").unwrap().search, SearchList::Inherit);
    }

    #[test]
    fn a_profile_with_namespaces_sets_ndots_alone() {
        let of = |more: &str| profile_of(&format!("namespaces: [shop]\n{more}"));
        assert!(of("options: {glibc: ['ndots:1'], musl: ['ndots:4']}\npodSelector: {matchLabels: {a: b}}\n").is_ok());
        for more in [
            "",
            "options: {glibc: ['ndots:1', 'rotate']}\n",
            "options: {glibc: ['ndots:1'], muslReleases: [{options: ['ndots:4']}]}\n",
            "options: {glibc: ['ndots:1']}\nonConflict: override\n",
            "options: {glibc: ['ndots:1']}\nrules: {musl-slow-retry: warn}\n",
            "options: {glibc: ['ndots:1']}\nsearch: cluster\nacceptRisk: [node-searches-lost]\n",
            "options: {glibc: ['ndots:1']}\nexempt: {serviceAccounts: [a/b]}\n",
        ] {
            let problems = ProfileProblem::join(&of(more).unwrap_err());
            assert!(problems.starts_with("namespaces: a profile with namespaces sets"), "{more}: {problems}");
        }
    }

    #[test]
    fn an_address_that_no_host_has_is_a_problem() {
        for address in ["0.0.0.0", "'::'", "224.0.0.251", "255.255.255.255", "ff02::fb"] {
            assert!(profile_of(&format!("nodeLocal: {{address: {address}}}\n")).is_err(), "{address}");
        }
    }

    #[test]
    fn reports_all_problems_at_once() {
        let problems = profile_of(
            "rules: {musl-slow-retries: warn}\nimages: [{prefix: '//', resolver: musl}]\nnodeLocal: {address: node}\n\
             options: {others: ['rotat']}\n",
        );
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:#?}");
        assert!(problems[0].to_string().contains("did you mean `musl-slow-retry`?"), "{problems:#?}");
    }
}
