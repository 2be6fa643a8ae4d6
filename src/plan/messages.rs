//! The words of a plan: lines short enough for the places where a developer looks.

use std::collections::HashMap;

use crate::image::Evidence;
use crate::policy::Level;
use crate::resolver::Family;
use crate::rules::Container;
use crate::text::one_line;

use super::pod_plan::{Plan, Planned};

/// `kubectl describe` cuts longer lines of an annotation, counted in bytes
/// (kubectl `pkg/describe/describe.go`, `maxAnnotationLen` less 2).
pub const ANNOTATION_LINE_MAX: usize = 138;

/// The API server may cut longer warnings, counted in bytes
/// (kubernetes `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`, `truncateItemLength`).
pub const WARNING_MAX: usize = 120;

/// How many findings one request is answered with; the rest is counted. The API server drops what exceeds 4096 in all.
const WARNINGS_MAX: usize = 5;

/// The same of a workload, which is applied together with many.
const WORKLOAD_WARNINGS_MAX: usize = 3;

/// How many lines the annotation has; the rest is counted.
const ANNOTATION_LINES_MAX: usize = 20;

/// How many bytes a list of containers has at most: a pod can have thousands of them.
const LIST_MAX: usize = 4096;

/// Who says it, in a warning among those of other webhooks.
const WARNING_PREFIX: &str = "muslin: ";

/// How many containers a line names before it counts them.
const NAMES_MAX: usize = 3;

/// Stands behind a finding that the plan mends.
pub(super) const MENDED: &str = " (mended)";

// === impl Plan ===

impl Plan {
    /// The lines for whoever made the request, each at most 120 bytes: longer ones are cut on the way
    /// (kubernetes `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
    pub fn warnings(&self) -> Vec<String> {
        warnings(Vec::new(), self, WARNINGS_MAX)
    }

    /// The same in fewer lines, for whoever makes not a pod but what makes pods; `before` are lines that come first, and count.
    pub fn warnings_of_workload(&self, before: Vec<String>) -> Vec<String> {
        warnings(before, self, WORKLOAD_WARNINGS_MAX)
    }

    /// What the API server's audit log should keep of it, by key.
    pub fn audit(&self) -> impl Iterator<Item = (&'static str, String)> {
        let findings = audit(self);
        let injected = self.injected.to_string();
        [("findings", findings), ("injected", injected), ("libc", self.libc.name().to_owned())]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
    }
}

/// The lines for whoever made the request, after those that somebody else has to say.
fn warnings(before: Vec<String>, plan: &Plan, most: usize) -> Vec<String> {
    let own = lines(plan, WARNING_MAX - WARNING_PREFIX.len());
    let all = before.into_iter().chain(own.into_iter().map(|line| format!("{WARNING_PREFIX}{line}")));
    capped(all.collect(), most, WARNING_PREFIX)
}

/// The value of the annotation `muslin.dev/warnings`; `None` where there is nothing to say.
pub(super) fn annotation(plan: &Plan) -> Option<String> {
    let lines = capped(lines(plan, ANNOTATION_LINE_MAX), ANNOTATION_LINES_MAX, "");
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The value of the annotation `muslin.dev/resolvers`: `app=musl-1.2.4 (inspected), proxy=glibc (assumed)`.
pub(super) fn resolvers(containers: &[Container<'_>]) -> String {
    let mut text = String::new();
    for (index, container) in containers.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        let entry = format!("{separator}{}={}", container.name, resolver(container));
        if text.len() + entry.len() > LIST_MAX {
            text.push_str(&format!(" and {} more", containers.len() - index));
            break;
        }
        text.push_str(&entry);
    }
    text
}

/// How many containers' images were read by whoever wrote this value of the annotation `muslin.dev/resolvers`.
pub fn count_inspected(resolvers: &str) -> usize {
    resolvers.matches(&format!("({})", Evidence::Inspected)).count()
}

/// Every finding that is more than advice in short, for the audit log: `musl-slow-retry(app), node-resolv-conf`.
/// Advice holds for most pods of a cluster, and would be in the way of the rest.
fn audit(plan: &Plan) -> String {
    let findings: Vec<_> = plan.at_least(Level::Warn).map(|planned| &planned.finding).collect();
    let mut text = String::new();
    for (index, finding) in findings.iter().enumerate() {
        if text.len() > LIST_MAX {
            text.push_str(&format!(" and {} more", findings.len() - index));
            break;
        }
        let separator = if index > 0 { ", " } else { "" };
        let container = finding.container.as_deref().map(|name| format!("({name})")).unwrap_or_default();
        text.push_str(&format!("{separator}{}{container}", finding.rule.slug));
    }
    text
}

fn resolver(container: &Container<'_>) -> String {
    let resolver = container.resolver();
    let version = resolver.version.map(|version| format!("-{version}")).unwrap_or_default();
    match (resolver.family, container.fingerprint.evidence) {
        (Family::Unknown, Evidence::None) => resolver.family.name().to_owned(),
        (family, evidence) => format!("{}{version} ({evidence})", family.name()),
    }
}

/// One line for each thing that a developer should act on or know of, containers with the same trouble together.
fn lines(plan: &Plan, limit: usize) -> Vec<String> {
    let findings = grouped(plan.at_least(Level::Warn)).into_iter().map(|(planned, names)| {
        let suffix = if planned.mended { MENDED } else { "" };
        format!("{}{suffix}", one_line(&told(planned, &names), limit - suffix.len()))
    });
    findings.chain(plan.notes.iter().map(|note| one_line(note, limit).into_owned())).collect()
}

/// Findings that say the same, each with the containers that it is about.
pub(super) fn grouped<'p>(findings: impl Iterator<Item = &'p Planned>) -> Vec<(&'p Planned, Vec<&'p str>)> {
    let mut groups: Vec<(&Planned, Vec<&str>)> = Vec::new();
    let mut places = HashMap::new();
    for planned in findings {
        let Planned { finding, mended } = planned;
        let place = *places.entry((finding.rule.slug, &*finding.message, *mended)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((planned, Vec::new()));
        }
        groups[place].1.extend(finding.container.as_deref());
    }
    groups
}

/// `musl-slow-retry: app, proxy: …`
pub(super) fn told(Planned { finding, mended: _ }: &Planned, names: &[&str]) -> String {
    format!("{}: {}{}", finding.rule.slug, listed(names), finding.message)
}

/// `app, proxy and 4 more: `, or nothing.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        names if names.len() <= NAMES_MAX => format!("{}: ", names.join(", ")),
        names => format!("{} and {} more: ", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX),
    }
}

fn capped(mut lines: Vec<String>, most: usize, prefix: &str) -> Vec<String> {
    if lines.len() > most {
        let left_out = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(format!("{prefix}and {left_out} more findings"));
    }
    lines
}
