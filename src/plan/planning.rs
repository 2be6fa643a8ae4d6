//! The steps from a pod to its plan.

use std::borrow::Cow;

use json_patch::Patch;

use super::context::Context;
use super::dns_config::{DnsChange, dns_change};
use super::findings::{findings, ignored_rules_of};
use super::libc_label::libc_of;
use super::pod_plan::{ContainerCounts, Plan};
use super::{messages, patch};
use crate::image::Fingerprint;
use crate::pod::{Injected, Pod};
use crate::policy::{InjectAnnotation, Mode, ModeDecision, ModeInputs, ModeLabel, PodKind, Profile, Skip, precedence};
use crate::resolver::Family;
use crate::rules::{Container, Finding};

/// Returns the plan for a pod. `fingerprints` has one for each of [`Pod::containers`], in their order.
///
/// # Errors
/// muslin skips the pod.
pub fn plan(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) -> Result<Plan, Skip> {
    plan_after(&earlier_options(pod), pod, fingerprints, context)
}

/// Returns the plan for DNS settings whose pod is not known, such as those of a kustomize patch: findings on what can be judged without
/// containers, and fixed zeros. The profile's options are for containers, so that the plan adds none.
///
/// # Errors
/// muslin skips the pod.
pub fn plan_settings(pod: &Pod<'_>, context: &Context<'_>) -> Result<Plan, Skip> {
    let mut author_notes = Vec::new();
    check_skip(pod, &[], context, &mut author_notes)?;
    Ok(plan_for(&Injected::default(), pod, &[], context, author_notes))
}

/// Returns the plan for a pod in which an earlier pass set these options.
pub(super) fn plan_after(
    earlier: &Injected,
    pod: &Pod<'_>,
    fingerprints: Vec<Fingerprint>,
    context: &Context<'_>,
) -> Result<Plan, Skip> {
    let mut author_notes = Vec::new();
    check_skip(pod, &fingerprints, context, &mut author_notes)?;
    let containers = containers(pod, fingerprints, context.profile);
    if containers.is_empty() {
        return Err(Skip::Empty);
    }
    Ok(plan_for(earlier, pod, &containers, context, author_notes))
}

fn plan_for(
    earlier: &Injected,
    pod: &Pod<'_>,
    containers: &[Container<'_>],
    context: &Context<'_>,
    mut author_notes: Vec<String>,
) -> Plan {
    let mut notes = Vec::new();
    let current = pod.dns();
    let change = if context.mode >= Mode::Inject {
        dns_change(&current, earlier, containers, context)
    } else {
        DnsChange::unchanged(&current, earlier, context)
    };
    let unread: Vec<_> = pod.unread_keys().chain(context.holder_unread.iter().copied()).collect();
    let ignored = ignored_rules_of(pod, context);
    let findings = findings(&change, containers, &ignored, &unread, context, &mut author_notes, &mut notes);
    let mut plan = Plan {
        findings,
        injected: change.injected,
        libc: libc_of(containers.iter().map(|container| container.resolver().family)),
        resolvers: messages::resolvers(containers),
        rollout: context.rollout.cloned().unwrap_or_default(),
        containers: count(containers),
        author_notes,
        notes,
        is_done: current == change.desired,
        patch: Patch(Vec::new()),
    };
    plan.notes.extend(change.notes);
    if context.mode >= Mode::Warn {
        plan.patch = patch::patch(pod, &current, &change.desired, &change.removed, &plan);
    }
    plan
}

/// Returns the findings on a pod as it is, without any change.
///
/// # Errors
/// muslin skips the pod.
pub fn findings_as_is(
    pod: &Pod<'_>,
    fingerprints: Vec<Fingerprint>,
    context: &Context<'_>,
) -> Result<Vec<Finding>, Skip> {
    let (mut author_notes, mut notes) = (Vec::new(), Vec::new());
    check_skip(pod, &fingerprints, context, &mut author_notes)?;
    let containers = containers(pod, fingerprints, context.profile);
    if containers.is_empty() {
        return Err(Skip::Empty);
    }
    let unchanged = DnsChange::unchanged(&pod.dns(), &earlier_options(pod), context);
    let unread: Vec<_> = pod.unread_keys().chain(context.holder_unread.iter().copied()).collect();
    let ignored = ignored_rules_of(pod, context);
    let findings = findings(&unchanged, &containers, &ignored, &unread, context, &mut author_notes, &mut notes);
    Ok(findings.into_iter().map(|planned| planned.finding).collect())
}

/// Returns the number of a pod's containers, and of those whose resolver is unknown, also to the profile.
pub fn count_containers(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, profile: &Profile) -> ContainerCounts {
    count(&containers(pod, fingerprints, profile))
}

fn count(containers: &[Container<'_>]) -> ContainerCounts {
    let is_unknown = |container: &&Container<'_>| container.resolver().family == Family::Unknown;
    ContainerCounts { all: containers.len(), unknown: containers.iter().filter(is_unknown).count() }
}

/// Returns why muslin skips the pod, if it does, in a namespace with the context's mode.
fn check_skip(
    pod: &Pod<'_>,
    fingerprints: &[Fingerprint],
    context: &Context<'_>,
    notes: &mut Vec<String>,
) -> Result<(), Skip> {
    let Context { mode, profile, namespace, .. } = *context;
    let exempt = &profile.exempt;
    let mut images = pod.containers().map(|container| container.image()).peekable();
    let is_exempt = exempt.is_exempt_account(namespace, pod.service_account())
        || images.peek().is_some() && images.all(|image| exempt.is_exempt_image(image));
    let inject = InjectAnnotation::from_value(pod.annotations().inject.as_deref());
    // A node runs one operating system, so that one image tells. Names are their authors' word, which mode `enforce` does not take.
    let by_name = || mode < Mode::Enforce && fingerprints.iter().any(|fingerprint| fingerprint.reason.is_windows());
    let is_windows = pod.is_windows() || by_name();
    let kind = match (pod.is_mirror(), is_windows) {
        (true, _) => PodKind::Mirror,
        (_, true) => PodKind::Windows,
        _ => PodKind::Ordinary,
    };
    let inputs = ModeInputs { default: mode, namespace: ModeLabel::Absent, pod: kind, is_exempt, inject };
    let ModeDecision { mode: _, ignored_opt_out } = precedence(&inputs)?;
    if ignored_opt_out {
        notes.push(
            match inject {
                InjectAnnotation::False => "muslin.dev/inject: \"false\" is ignored in a namespace of mode enforce",
                _ => "muslin.dev/inject is neither \"true\" nor \"false\", and is ignored",
            }
            .to_owned(),
        );
    }
    Ok(())
}

fn containers<'p>(pod: &'p Pod<'_>, fingerprints: Vec<Fingerprint>, profile: &Profile) -> Vec<Container<'p>> {
    let init = pod.init_containers().len();
    pod.containers()
        .zip(fingerprints)
        .enumerate()
        .map(|(index, (container, fingerprint))| {
            let image = container.image.as_deref().unwrap_or_default();
            Container {
                name: container.name.as_deref().unwrap_or_default(),
                image,
                fingerprint: profile.images.apply(image, fingerprint),
                env: &container.env,
                path: Cow::Owned(match index.checked_sub(init) {
                    None => format!("/spec/initContainers/{index}"),
                    Some(index) => format!("/spec/containers/{index}"),
                }),
            }
        })
        .collect()
}

/// Returns the options that an earlier pass set, by the annotation.
pub(super) fn earlier_options(pod: &Pod<'_>) -> Injected {
    pod.annotations().injected.as_deref().map(Injected::parse).unwrap_or_default()
}
