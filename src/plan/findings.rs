//! The findings on a pod, as strict as the profile wants them, and which of them a change of its DNS fixes.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::context::Context;
use super::dns_config::{self, Mended};
use super::pod_plan::Planned;
use super::profile_risks;
use crate::pod::{Dns, Pod, ignored_rules};
use crate::policy::{Level, Mode};
use crate::rules::{self, Container, Finding, Ignored, RuleInput};

/// Where [`crate::pod::IGNORE_ANNOTATION`] stands, from the pod.
const IGNORED_BY_POD: &str = "/metadata/annotations/muslin.dev~1ignore";
/// The same, on the object that holds it ([`rules::HOLDER`]).
const IGNORED_BY_HOLDER: &str = "../metadata/annotations/muslin.dev~1ignore";

/// What is wrong with the pod as authored, as strict as the profile wants it, and which of it the changes mend.
pub(super) fn findings(
    changes: &Mended,
    containers: &[Container<'_>],
    ignored: &[Ignored<'_>],
    context: &Context<'_>,
    notes: &mut Vec<String>,
) -> Vec<Planned> {
    let check = |dns: &Dns| {
        let conf = dns.resolv_conf(context.namespace, context.cluster_domain);
        let input = RuleInput::new(containers, dns, &conf, context.namespace, context.cluster_domain);
        rules::check(&input.ignoring(ignored))
    };
    let before = check(&changes.authored);
    let after = if changes.authored == changes.desired { before.clone() } else { check(&changes.desired) };
    let left: HashSet<_> = after.iter().map(Finding::case).collect();
    notes.extend(profile_risks::taken(&before, &after, context.profile));
    let exempt: HashSet<&str> = containers
        .iter()
        .filter(|container| context.profile.exempt.is_exempt_image(container.image))
        .map(|it| it.name)
        .collect();
    let settled = dns_config::settled(context.profile, containers, &changes.authored);
    let settled: HashSet<String> = settled.into_iter().map(rules::option_path).collect();
    let ignored: HashSet<&str> = ignored.iter().map(|ignored| ignored.slug).collect();
    let mut findings = Vec::with_capacity(before.len());
    for mut finding in before {
        let Some(level) = context.profile.rules.level_of(finding.rule.slug, finding.level) else { continue };
        let is_exempt = finding.container.as_deref().is_some_and(|name| exempt.contains(name));
        if settled.contains(&finding.path) || is_exempt {
            continue;
        }
        if ignored.contains(finding.rule.slug) {
            if context.mode < Mode::Enforce || level < Level::Deny {
                continue;
            }
            notes.push(format!("{} cannot be ignored in a namespace of mode enforce", finding.rule.slug));
        }
        finding.level = level;
        findings.push(Planned { mended: !left.contains(&finding.case()), finding });
    }
    findings.sort_by_key(|planned| Reverse(planned.finding.level));
    notes.dedup();
    findings
}

/// The rules that the pod, or the object that holds it, asks to hear nothing of.
pub(super) fn ignored<'p>(pod: &'p Pod<'_>, context: &Context<'p>) -> Vec<Ignored<'p>> {
    let own = pod.annotations().ignore.as_deref().map(|value| (value, IGNORED_BY_POD));
    let held = context.holder_ignores.map(|value| (value, IGNORED_BY_HOLDER));
    own.into_iter()
        .chain(held)
        .flat_map(|(value, path)| ignored_rules(value).map(move |slug| Ignored { slug, path }))
        .collect()
}
