//! The steps from a pod to its plan.

use std::borrow::Cow;

use json_patch::Patch;

use super::context::Context;
use super::dns_config::{self, Mended};
use super::findings::{findings, ignored};
use super::libc_label::libc_of;
use super::pod_plan::Plan;
use super::{messages, patch};
use crate::image::Fingerprint;
use crate::pod::{Injected, Pod};
use crate::policy::{InjectAnnotation, Mode, ModeDecision, ModeInputs, ModeLabel, PodKind, Profile, Skip, precedence};
use crate::rules::{Container, Finding};

/// Decides what to do to a pod. `fingerprints` has one for each of [`Pod::containers`], in their order.
///
/// # Errors
/// The pod is to be left alone, and why.
pub fn plan(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) -> Result<Plan, Skip> {
    plan_after(&claims(pod), pod, fingerprints, context)
}

/// The same, after an earlier pass that set this.
pub(super) fn plan_after(
    claims: &Injected,
    pod: &Pod<'_>,
    fingerprints: Vec<Fingerprint>,
    context: &Context<'_>,
) -> Result<Plan, Skip> {
    let mut notes = Vec::new();
    check_skip(pod, context, &mut notes)?;
    let containers = containers(pod, fingerprints, context.profile);
    if containers.is_empty() {
        return Err(Skip::Empty);
    }

    let current = pod.dns();
    let changes = if context.mode >= Mode::Inject {
        dns_config::mend(&current, claims, &containers, context)
    } else {
        Mended::unchanged(&current)
    };
    let ignored = ignored(pod, context);
    let findings = findings(&changes, &containers, &ignored, context, &mut notes);
    let mut plan = Plan {
        findings,
        injected: changes.injected,
        libc: libc_of(containers.iter().map(|container| container.resolver().family)),
        resolvers: messages::resolvers(&containers),
        notes,
        is_done: current == changes.desired,
        patch: Patch(Vec::new()),
    };
    plan.notes.extend(changes.notes);
    if context.mode >= Mode::Warn {
        plan.patch = patch::patch(pod, &current, &changes.desired, &plan);
    }
    Ok(plan)
}

/// What is wrong with a pod as it is, whatever could still be done about it.
///
/// # Errors
/// The pod is to be left alone, and why.
pub fn left(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) -> Result<Vec<Finding>, Skip> {
    let mut notes = Vec::new();
    check_skip(pod, context, &mut notes)?;
    let containers = containers(pod, fingerprints, context.profile);
    if containers.is_empty() {
        return Err(Skip::Empty);
    }
    let as_it_is = Mended::unchanged(&pod.dns());
    let findings = findings(&as_it_is, &containers, &ignored(pod, context), context, &mut notes);
    Ok(findings.into_iter().map(|planned| planned.finding).collect())
}

/// Whether muslin keeps its hands off the pod, in a namespace of the mode that the context has.
fn check_skip(pod: &Pod<'_>, context: &Context<'_>, notes: &mut Vec<String>) -> Result<(), Skip> {
    let Context { mode, profile, namespace, .. } = *context;
    let exempt = &profile.exempt;
    let mut images = pod.containers().map(|container| container.image()).peekable();
    let is_exempt = exempt.is_exempt_account(namespace, pod.service_account())
        || images.peek().is_some() && images.all(|image| exempt.is_exempt_image(image));
    let inject = InjectAnnotation::from_value(pod.annotations().inject.as_deref());
    let kind = match (pod.is_mirror(), pod.is_windows()) {
        (true, _) => PodKind::Mirror,
        (_, true) => PodKind::Windows,
        _ => PodKind::Ordinary,
    };
    let inputs = ModeInputs { default: mode, namespace: ModeLabel::Absent, pod: kind, is_exempt, inject };
    let ModeDecision { mode: _, ignored_opt_out } = precedence(&inputs)?;
    if ignored_opt_out {
        notes.push(
            match inject {
                InjectAnnotation::False => "muslin.dev/inject: \"false\" does not count in a namespace of mode enforce",
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

/// What an earlier pass says it set.
pub(super) fn claims(pod: &Pod<'_>) -> Injected {
    pod.annotations().injected.as_deref().map(Injected::parse).unwrap_or_default()
}
