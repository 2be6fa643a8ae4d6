//! The findings on a pod, as strict as the profile wants them, and which of them a change of its DNS fixes.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::context::Context;
use super::dns_config::{self, DnsChange};
use super::pod_plan::Planned;
use super::profile_risks;
use crate::budget::{Work, charge};
use crate::pod::{Dns, Injected, Pod, UnreadKey, ignored_rules};
use crate::policy::{Level, Mode, Profile};
use crate::rules::{self, Container, Finding, Ignored, Rule, RuleInput};

/// The place of [`crate::pod::IGNORE_ANNOTATION`], from the pod.
const IGNORED_BY_POD: &str = "/metadata/annotations/muslin.dev~1ignore";
/// The place of the same annotation on the workload that holds the pod's template ([`rules::HOLDER`]).
const IGNORED_BY_HOLDER: &str = "../metadata/annotations/muslin.dev~1ignore";

/// Returns the findings on the pod as authored, at the profile's levels, and which of them the change fixes.
pub(super) fn findings(
    change: &DnsChange,
    containers: &[Container<'_>],
    ignored: &[Ignored<'_>],
    unread: &[UnreadKey<'_>],
    context: &Context<'_>,
    author_notes: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Vec<Planned> {
    let check = |dns: &Dns, outdated: &[usize], wants_texts: &dyn Fn(&Rule, Level) -> bool| {
        let conf = dns.resolv_conf(context.namespace, context.cluster_domain);
        let input = RuleInput::new(containers, dns, &conf, context.namespace, context.cluster_domain);
        let input =
            input.ignoring(ignored).with_unread(unread).with_outdated(outdated).with_broken(context.broken_domains);
        rules::check(&input, wants_texts)
    };
    let level_of = |rule: &Rule, own: Level| context.profile.rules.level_of(rule.slug, own);
    let before = check(&change.authored, &change.outdated, &|rule, own| {
        level_of(rule, own).is_some_and(|level| level >= context.texts_from)
    });
    let is_changed = change.authored != change.desired;
    let after = is_changed.then(|| check(&change.desired, &[], &profile_risks::is_risk));
    // Without a change, nothing is fixed.
    let mut left: Vec<_> = after.iter().flatten().map(Finding::case).collect();
    left.sort_unstable();
    let is_fixed = |finding: &Finding| is_changed && left.binary_search(&finding.case()).is_err();
    if let Some(after) = &after {
        // The author's own: what fires without any profile, also behind a zero that muslin fixes.
        let authors = || {
            let context = Context { profile: &Profile::nothing(), ..*context };
            let DnsChange { desired, .. } =
                dns_config::dns_change(&change.authored, &Injected::default(), containers, &context);
            check(&desired, &[], &profile_risks::is_risk)
        };
        notes.extend(profile_risks::accepted_risk_notes(&before, after, authors, context.profile));
    }
    let exempt = exempt_containers(containers, context);
    let settled = dns_config::settled(containers, &change.authored, context);
    let settled: HashSet<String> = settled.into_iter().map(rules::option_path).collect();
    let ignored: HashSet<&str> = ignored.iter().map(|ignored| ignored.slug).collect();
    let mut findings = Vec::with_capacity(before.len());
    for mut finding in before {
        let Some(level) = level_of(finding.rule, finding.level) else { continue };
        let is_exempt = finding.container.as_deref().is_some_and(|name| exempt.contains(name));
        if settled.contains(&*finding.path) || is_exempt {
            continue;
        }
        if ignored.contains(finding.rule.slug) {
            if context.mode < Mode::Enforce || level < Level::Deny {
                continue;
            }
            author_notes.push(format!("{} cannot be ignored in a namespace of mode enforce", finding.rule.slug));
        }
        finding.level = level;
        findings.push(Planned { fixed: is_fixed(&finding), finding });
    }
    findings.sort_by_key(|planned| Reverse(planned.finding.level));
    author_notes.dedup();
    findings
}

/// Returns the names of containers whose images the profile exempts.
fn exempt_containers<'c>(containers: &[Container<'c>], context: &Context<'_>) -> HashSet<&'c str> {
    let is_exempt = |container: &&Container<'_>| context.profile.exempt.is_exempt_image(container.image);
    containers.iter().filter(is_exempt).map(|container| container.name).collect()
}

/// Returns the words of the annotation `muslin.dev/ignore` of the pod and of the workload that holds it.
pub(super) fn ignored_rules_of<'p>(pod: &'p Pod<'_>, context: &Context<'p>) -> Vec<Ignored<'p>> {
    let own = pod.annotations().ignore.as_deref().map(|value| (value, IGNORED_BY_POD));
    let held = context.holder_ignores.map(|value| (value, IGNORED_BY_HOLDER));
    own.into_iter()
        .chain(held)
        .flat_map(|(value, path)| ignored_rules(value).map(move |slug| Ignored { slug, path }))
        .take_while(|_| charge(Work::Word, 1).is_ok())
        .collect()
}
