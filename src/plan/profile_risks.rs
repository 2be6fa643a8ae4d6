//! The risks of a profile: findings on a pod that only the profile causes, by its options or by its cache on the node, and what no rule
//! reports on a pod (`cache_risks.rs`). Must not know where profiles come from.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::image::{Fingerprint, Reason};
use crate::pod::{Dns, DnsOption, Injected, ResolverEnv};
use crate::policy::{Condition, Level, MuslCondition, NodeLocal, OptionRow, Profile, SearchList};
use crate::resolver::{Family, Resolver, Version, musl};
use crate::rules::{self, Container, Finding, Rule, RuleInput};

use super::cache_risks::{CACHE_RISKS, NODE_SEARCHES_LOST};
use super::context::Context;
use super::dns_config::dns_change;

/// Releases of musl that treat options differently: before `attempts` was read, while it was not read (1.1.13 to 1.1.16), and after.
const RELEASES: [Version; 4] = [Version::new(1, 1, 12), Version::new(1, 1, 14), Version::new(1, 1, 24), musl::RECENT];

/// A way in which a profile can make a name fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// The name: the rule that fires, or one of [`CACHE_RISKS`].
    pub slug: &'static str,
    /// The part of the profile that causes it.
    pub cause: RiskCause,
    /// The affected pods, such as `pods that use musl`.
    pub pods: String,
    /// The problem, in one clause.
    pub message: String,
}

/// The part of a profile that causes a risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskCause {
    /// A row of options.
    Options,
    /// The cache on the node, which changes the pod's policy, nameservers and searches.
    NodeLocal,
    /// The search list, which changes the pod's policy and searches.
    Search,
}

/// Returns the risks of a profile: those of each row for the pods that get it, and those of its cache on the node.
pub fn risks(profile: &Profile) -> Vec<Risk> {
    let mut risks = Vec::new();
    for OptionRow { condition, options } in profile.option_rows() {
        for (pods, resolvers) in examples(condition) {
            risks.extend(risks_of_row(&pods, options, &resolvers));
        }
    }
    risks.extend(profile.node_local.iter().flat_map(risks_of_cache));
    risks.extend(risk_of_search(profile.search));
    risks
}

/// Returns the risks of a cache on the node, for pods that use the cluster's DNS.
fn risks_of_cache(node_local: &NodeLocal) -> Vec<Risk> {
    let profile = Profile { node_local: Some(node_local.clone()), ..Profile::nothing() };
    let before = Dns::default();
    let change = dns_change(&before, &Injected::default(), &[], &Context::usual(&profile));
    let resolvers: Vec<Resolver> = Family::KNOWN.into_iter().map(Family::unversioned).collect();
    let risk = |slug, message| {
        let pods = "pods that use the cluster's DNS".to_owned();
        Risk { slug, cause: RiskCause::NodeLocal, pods, message }
    };
    let by_settings = CACHE_RISKS
        .iter()
        .filter(|risk| (risk.is_taken)(&before, &change.desired))
        .map(|known| risk(known.slug, format!("{}: {}", node_local.address, known.about)));
    let mut by_rules: Vec<Risk> = added_risks(&before, &change.desired, &resolvers)
        .into_iter()
        .map(|finding| risk(finding.rule.slug, finding.message.to_string()))
        .collect();
    by_rules.dedup_by_key(|risk| risk.slug);
    by_settings.chain(by_rules).collect()
}

/// Returns the risk of a search list without the node's domains. The nameservers stay those of the cluster, so that no other risk of a
/// cache on the node is taken.
fn risk_of_search(search: SearchList) -> Option<Risk> {
    let lost = CACHE_RISKS.iter().find(|risk| risk.slug == NODE_SEARCHES_LOST)?;
    let pods = match search {
        SearchList::Inherit => return None,
        SearchList::Cluster => "pods with musl that use the cluster's DNS",
        SearchList::WhenBroken => "pods with musl that use the cluster's DNS, made while a domain is broken",
    };
    Some(Risk { slug: lost.slug, cause: RiskCause::Search, pods: pods.to_owned(), message: lost.about.to_owned() })
}

/// Returns pods that meet the condition, with the resolvers of their containers.
fn examples(condition: Condition) -> Vec<(String, Vec<Resolver>)> {
    let musl = Family::Musl.at(musl::RECENT);
    let [glibc, go, unknown] = [Family::Glibc, Family::Go, Family::Unknown].map(Family::unversioned);
    let one = |pods: &str, resolvers: Vec<Resolver>| vec![(pods.to_owned(), resolvers)];
    match condition {
        Condition::MuslReleases(MuslCondition { from, before, .. }) => RELEASES
            .into_iter()
            .chain(from)
            .filter(|release| from.is_none_or(|from| from <= *release))
            .filter(|release| before.is_none_or(|before| *release < before))
            .map(|release| Family::Musl.at(release))
            .map(|musl| (format!("pods that use {musl}"), vec![musl]))
            .collect(),
        Condition::Musl => one("pods that use musl", vec![musl]),
        Condition::Mixed => one("pods that use musl beside something else", vec![musl, glibc, go]),
        Condition::Glibc => one("pods that use glibc", vec![glibc]),
        Condition::Go => one("pods that use Go's resolver", vec![go]),
        // An unknown resolver may be musl.
        Condition::Others => one("pods of which nothing is known", vec![musl, glibc, go, unknown]),
    }
}

/// Returns the risks of options for containers with these resolvers.
fn risks_of_row(pods: &str, options: &[String], resolvers: &[Resolver]) -> Vec<Risk> {
    let with = Dns { options: options.iter().map(|option| DnsOption::parse(option)).collect(), ..Dns::default() };
    let mut risks: Vec<Risk> = added_risks(&Dns::default(), &with, resolvers)
        .into_iter()
        .map(|finding| Risk {
            slug: finding.rule.slug,
            cause: RiskCause::Options,
            pods: pods.to_owned(),
            message: finding.message.to_string(),
        })
        .collect();
    risks.dedup_by_key(|risk| risk.slug);
    risks
}

/// Returns the risks that containers with these resolvers have with other settings, and do not have before.
fn added_risks(before: &Dns, after: &Dns, resolvers: &[Resolver]) -> Vec<Finding> {
    let env = ResolverEnv::default();
    let containers: Vec<Container<'_>> = resolvers
        .iter()
        .map(|resolver| Container {
            name: resolver.family.name(),
            image: "",
            fingerprint: Fingerprint::declared(*resolver, Reason::Fixed("it is an example")),
            env: &env,
            path: Cow::Borrowed("/spec/containers/0"),
        })
        .collect();
    let profile = Profile::nothing();
    let context = Context::usual(&profile);
    let check = |dns: &Dns| {
        let conf = dns.resolv_conf(context.namespace, context.cluster_domain);
        let input = RuleInput::new(&containers, dns, &conf, context.namespace, context.cluster_domain);
        rules::check(&input, &is_risk)
    };
    let (before, after) = (check(before), check(after));
    new_risks(&before, &after).into_iter().cloned().collect()
}

/// Returns whether a finding of the rule at this level means that a name can fail that resolved before.
pub(super) fn is_risk(rule: &Rule, level: Level) -> bool {
    rule.can_break_names && level >= Level::Warn
}

/// Returns the risks after a change that were none before.
fn new_risks<'f>(before: &[Finding], after: &'f [Finding]) -> Vec<&'f Finding> {
    let mut risks: Vec<&Finding> = after.iter().filter(|finding| is_risk(finding.rule, finding.level)).collect();
    if !risks.is_empty() {
        let before: HashSet<_> = before.iter().map(Finding::case).collect();
        risks.retain(|finding| !before.contains(&finding.case()));
    }
    risks
}

/// Returns the notes for a pod's author about the risks that the profile accepts, one for each rule. A rule that the author made fire is
/// none of them, also if it only shows once a zero is fixed: `authors` returns the findings without any profile.
pub(super) fn accepted_risk_notes(
    before: &[Finding],
    after: &[Finding],
    authors: impl FnOnce() -> Vec<Finding>,
    profile: &Profile,
) -> Vec<String> {
    let mut risks = new_risks(before, after);
    if !risks.is_empty() {
        let authors = authors();
        let authors: HashSet<_> = authors.iter().map(Finding::case).collect();
        risks.retain(|finding| !authors.contains(&finding.case()));
    }
    let mut notes: Vec<(&str, &Finding, usize)> = Vec::new();
    for finding in risks {
        match notes.iter_mut().find(|(slug, ..)| *slug == finding.rule.slug) {
            Some((_, _, others)) => *others += 1,
            None => notes.push((finding.rule.slug, finding, 0)),
        }
    }
    let note = |(slug, finding, others): (&str, &Finding, usize)| {
        let others = if others == 0 { String::new() } else { format!(" and {others} more") };
        let container = finding.container.as_deref().map(|name| format!("{name}{others}: ")).unwrap_or_default();
        format!("profile {} accepts {slug}: {container}{}", profile.name, finding.message)
    };
    notes.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Releases;

    fn rules(options: &[&str]) -> Vec<&'static str> {
        let others = options.iter().map(|option| (*option).to_owned()).collect();
        let mut rules: Vec<_> =
            risks(&Profile { others, ..Profile::nothing() }).into_iter().map(|risk| risk.slug).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    #[test]
    fn the_risks_of_the_built_in_profiles_are_known() {
        for name in Profile::NAMES {
            let mut rules: Vec<&str> =
                risks(&Profile::builtin(name).unwrap()).into_iter().map(|risk| risk.slug).collect();
            rules.dedup();
            let expected: &[&str] = match name {
                "single-request-reopen" => &["single-request-waits"],
                "fast" => &["retry-storm"],
                "node-local" => &["node-searches-lost", "nameserver-blocked", "cache-missing"],
                _ => &[],
            };
            assert_eq!(rules, expected, "{name}");
        }
    }

    #[test]
    fn a_lowered_ndots_is_a_risk_for_pods_that_may_use_musl() {
        assert_eq!(rules(&["ndots:1"]), ["ndots-breaks-musl"]);
        let glibc = Some(vec!["ndots:1".to_owned()]);
        assert_eq!(risks(&Profile { glibc, ..Profile::nothing() }), []);
    }

    #[test]
    fn a_range_of_old_releases_is_judged_by_those_releases() {
        let before = Some(Version::new(1, 1, 17));
        let options = vec!["timeout:1".to_owned(), "attempts:10".to_owned()];
        let profile = Profile {
            musl_releases: vec![Releases { condition: MuslCondition { before, ..MuslCondition::default() }, options }],
            ..Profile::nothing()
        };
        let risks: Vec<String> =
            risks(&profile).into_iter().map(|risk| format!("{} {}", risk.slug, risk.pods)).collect();
        let expected = [
            "short-total-timeout pods that use musl 1.1.12",
            "retry-storm pods that use musl 1.1.12",
            "short-total-timeout pods that use musl 1.1.14",
        ];
        assert_eq!(risks, expected);
    }

    /// The first three are those of each cache; the others belong to the address.
    #[test]
    fn the_address_of_a_cache_can_be_a_risk() {
        let of = |address: &str| {
            let node_local = Some(NodeLocal { address: address.parse().unwrap() });
            let risks = risks(&Profile { node_local, ..Profile::nothing() });
            assert!(risks.iter().all(|risk| risk.cause == RiskCause::NodeLocal), "{risks:#?}");
            risks.into_iter().map(|risk| risk.slug).skip(3).collect::<Vec<_>>()
        };
        for address in ["169.254.20.10", "10.96.0.10", "fd00::a", "169.254.25.10"] {
            assert_eq!(of(address), [""; 0], "{address}");
        }
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.53"] {
            assert_eq!(of(address), ["loopback-nameserver"], "{address}");
        }
        assert_eq!(of("8.8.8.8"), ["no-cluster-nameserver"]);
    }

    #[test]
    fn use_vc_is_a_risk_for_glibc() {
        assert!(rules(&["use-vc"]).contains(&"use-vc-hangs"));
    }

    #[test]
    fn giving_up_within_a_second_is_a_risk() {
        assert_eq!(rules(&["timeout:1", "attempts:1"]), ["short-total-timeout"]);
    }
}
