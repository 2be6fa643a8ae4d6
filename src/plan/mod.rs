//! What muslin will do to one pod: (pod, fingerprints, profile, mode) in, a [`Plan`] out, and from it a JSON Patch. Pure data;
//! must not know of HTTP, files or the cluster.

mod dns_config;
mod events;
mod libc_label;
mod messages;
mod patch;
mod profile_check;
mod profile_risks;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;

use json_patch::Patch;

use crate::image::Fingerprint;
use crate::pod::{Dns, Injected, Pod, ignored_rules};
use crate::policy::{Decided, Label, Level, Mode, Nature, Profile, Says, Wish, precedence};
use crate::rules::{self, Container, Finding, Ignored, RuleInput};

pub use crate::policy::Skip;
pub use events::{Told, story};
pub use libc_label::{Libc, libc_of};
pub use messages::{ANNOTATION_LINE_MAX, WARNING_MAX, count_inspected};
pub use profile_check::{option_fault, unknown_rule};
pub use profile_risks::{Risk, risks};

/// What decides a plan besides the pod itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The namespace that the pod is created in.
    pub namespace: &'a str,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'a str,
    /// How far to go.
    pub mode: Mode,
    /// What to inject, and how strict to be.
    pub profile: &'a Profile,
    /// The annotation `muslin.dev/ignore` of the object that holds the pod's template, where that is known.
    pub holder_ignores: Option<&'a str>,
    /// Whether all is believed that the pod says muslin did, which anybody can write: only where nothing is done to the pod, and
    /// the profile may have been another one.
    pub believes_claims: bool,
}

/// Where [`crate::pod::IGNORE_ANNOTATION`] stands, from the pod.
const IGNORED_BY_POD: &str = "/metadata/annotations/muslin.dev~1ignore";
/// The same, on the object that holds it ([`rules::HOLDER`]).
const IGNORED_BY_HOLDER: &str = "../metadata/annotations/muslin.dev~1ignore";

/// What muslin will do to one pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is wrong with the pod as its author wrote it, the most serious first.
    pub findings: Vec<Planned>,
    /// What else the author should be told.
    pub notes: Vec<String>,
    /// What is set in the pod.
    pub injected: Injected,
    /// What the containers use, for the label.
    pub libc: Libc,
    /// Each container's resolver, for the annotation.
    pub resolvers: String,
    /// Whether the pod's DNS is already as it should be.
    pub is_done: bool,
    /// How the pod has to be changed.
    pub patch: Patch,
}

/// A finding, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The finding.
    pub finding: Finding,
    /// Whether the plan mends it: the rule is silent on the pod as it will be.
    pub mended: bool,
}

/// Decides what to do to a pod. `fingerprints` has one for each of [`Pod::containers`], in their order.
///
/// # Errors
/// The pod is to be left alone, and why.
pub fn plan(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) -> Result<Plan, Skip> {
    plan_after(&claims(pod), pod, fingerprints, context)
}

/// The same, after an earlier pass that set this.
fn plan_after(
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
        dns_config::Mended::unchanged(&current)
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
    let as_it_is = dns_config::Mended::unchanged(&pod.dns());
    let findings = findings(&as_it_is, &containers, &ignored(pod, context), context, &mut notes);
    Ok(findings.into_iter().map(|planned| planned.finding).collect())
}

/// Whether muslin keeps its hands off the pod, in a namespace of the mode that the context has.
fn check_skip(pod: &Pod<'_>, context: &Context<'_>, notes: &mut Vec<String>) -> Result<(), Skip> {
    let Context { mode, profile, namespace, .. } = *context;
    let exempt = &profile.exempt;
    let mut images = pod.containers().map(|container| container.image()).peekable();
    let is_exempt = exempt.is_account(namespace, pod.service_account())
        || images.peek().is_some() && images.all(|image| exempt.is_image(image));
    let inject = Wish::read(pod.annotations().inject.as_deref());
    let nature = match (pod.is_mirror(), pod.is_windows()) {
        (true, _) => Nature::Mirror,
        (_, true) => Nature::Windows,
        _ => Nature::Ordinary,
    };
    let says = Says { default: mode, namespace: Label::Absent, pod: nature, is_exempt, inject };
    let Decided { mode: _, overrules } = precedence(&says)?;
    if overrules {
        notes.push(
            match inject {
                Wish::Out => "muslin.dev/inject: \"false\" does not count in a namespace of mode enforce",
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
                fingerprint: profile.declared.apply(image, fingerprint),
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
fn claims(pod: &Pod<'_>) -> Injected {
    pod.annotations().injected.as_deref().map(Injected::parse).unwrap_or_default()
}

/// The rules that the pod, or the object that holds it, asks to hear nothing of.
fn ignored<'p>(pod: &'p Pod<'_>, context: &Context<'p>) -> Vec<Ignored<'p>> {
    let own = pod.annotations().ignore.as_deref().map(|value| (value, IGNORED_BY_POD));
    let held = context.holder_ignores.map(|value| (value, IGNORED_BY_HOLDER));
    own.into_iter()
        .chain(held)
        .flat_map(|(value, path)| ignored_rules(value).map(move |slug| Ignored { slug, path }))
        .collect()
}

/// What is wrong with the pod as authored, as strict as the profile wants it, and which of it the changes mend.
fn findings(
    changes: &dns_config::Mended,
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
        .filter(|container| context.profile.exempt.is_image(container.image))
        .map(|it| it.name)
        .collect();
    let settled = dns_config::settled(context.profile, containers, &changes.authored);
    let settled: HashSet<String> = settled.into_iter().map(rules::option_path).collect();
    let ignored: HashSet<&str> = ignored.iter().map(|ignored| ignored.slug).collect();
    let mut findings = Vec::with_capacity(before.len());
    for mut finding in before {
        let Some(level) = context.profile.levels.of(finding.rule.slug, finding.level) else { continue };
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

// === impl Context ===

impl<'a> Context<'a> {
    /// Of a pod in the namespace `default` of a cluster with the usual domain, in mode `inject`.
    pub fn usual(profile: &'a Profile) -> Self {
        Self {
            namespace: "default",
            cluster_domain: "cluster.local",
            mode: Mode::Inject,
            profile,
            holder_ignores: None,
            believes_claims: false,
        }
    }
}

// === impl Plan ===

impl Plan {
    /// The lines for whoever made the request, each at most 120 bytes: longer ones are cut on the way
    /// (kubernetes `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
    pub fn warnings(&self) -> Vec<String> {
        messages::warnings(Vec::new(), self, messages::WARNINGS_MAX)
    }

    /// The same in fewer lines, for whoever makes not a pod but what makes pods; `before` are lines that come first, and count.
    pub fn warnings_of_workload(&self, before: Vec<String>) -> Vec<String> {
        messages::warnings(before, self, messages::WORKLOAD_WARNINGS_MAX)
    }

    /// What the API server's audit log should keep of it, by key.
    pub fn audit(&self) -> impl Iterator<Item = (&'static str, String)> {
        let findings = messages::audit(self);
        let injected = self.injected.to_string();
        [("findings", findings), ("injected", injected), ("libc", self.libc.name().to_owned())]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
    }

    /// What a pod that is mended so is denied for in mode [`Mode::Enforce`].
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.at_least(Level::Deny).filter(|planned| !planned.mended).map(|planned| &planned.finding)
    }

    /// The findings at a level or above it, mended or not.
    pub fn at_least(&self, level: Level) -> impl Iterator<Item = &Planned> {
        self.findings.iter().filter(move |planned| planned.finding.level >= level)
    }
}

#[cfg(test)]
mod tests;
