//! The texts of a plan for annotations, Events and the audit log: lines short enough for the places where developers read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::pod_plan::{Plan, Planned};
use crate::image::Evidence;
use crate::policy::Level;
use crate::resolver::Family;
use crate::rules::Container;
use crate::text::Line;

/// The longest line of an annotation that `kubectl describe` shows whole, in bytes
/// (kubectl `pkg/describe/describe.go`, `maxAnnotationLen` less 2).
pub const ANNOTATION_LINE_MAX: usize = 138;

/// The most lines of the annotation; the rest is counted.
pub(crate) const ANNOTATION_LINES_MAX: usize = 20;

/// The longest list of containers, in bytes: a pod can have thousands of them.
const LIST_MAX: usize = 4096;

/// The most containers that a line names; the rest is counted.
pub(crate) const NAMES_MAX: usize = 3;

/// The end of the line of a finding that the plan fixes.
pub(crate) const FIXED: &str = " (fixed)";

// === impl Plan ===

impl Plan {
    /// Returns the entries for the API server's audit log, by key.
    pub fn audit(&self) -> impl Iterator<Item = (&'static str, Line)> {
        let entries = [
            ("findings", serious_findings(self)),
            ("injected", Line::new(self.injected.to_string())),
            ("libc", Line::new(self.libc.name())),
        ];
        entries.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

/// Returns the value of the annotation `muslin.dev/warnings`; `None` if there are no findings and no notes.
pub(super) fn warnings_annotation(plan: &Plan) -> Option<String> {
    let mut lines = lines(plan);
    if lines.len() > ANNOTATION_LINES_MAX {
        let left_out = lines.len() - (ANNOTATION_LINES_MAX - 1);
        lines.truncate(ANNOTATION_LINES_MAX - 1);
        lines.push(Line::new(format!("and {left_out} more findings")));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Returns the value of the annotation `muslin.dev/resolvers`: `app=musl-1.2.4 (inspected), web=glibc-2.36+c-ares
/// (inspected), proxy=glibc (assumed)`.
pub(super) fn resolvers(containers: &[Container<'_>]) -> Line {
    list(containers, |container, text| {
        let resolver = container.resolver();
        let evidence = container.fingerprint.evidence;
        let _ = write!(text, "{}={}", container.name, resolver.family.name());
        if let Some(release) = resolver.release() {
            let _ = write!(text, "-{release}");
        }
        if let Some(second) = container.second_resolver() {
            let _ = write!(text, "+{}", second.family.name());
        }
        if (resolver.family, evidence) != (Family::Unknown, Evidence::None) {
            let _ = write!(text, " ({evidence})");
        }
    })
}

/// Returns the number of containers with inspected images, by a value of the annotation `muslin.dev/resolvers`.
pub fn count_inspected(resolvers: &str) -> usize {
    resolvers.matches(&format!("({})", Evidence::Inspected)).count()
}

/// Returns the findings of level `warn` or above in short, for the audit log: `musl-slow-retry(app), node-resolv-conf`. Advice is left
/// out, because most pods of a cluster have some.
fn serious_findings(plan: &Plan) -> Line {
    let findings: Vec<_> = plan.at_least(Level::Warn).map(|planned| &planned.finding).collect();
    list(&findings, |finding, text| {
        text.push_str(finding.rule.slug);
        if let Some(container) = &finding.container {
            let _ = write!(text, "({container})");
        }
    })
}

/// Returns the items with commas between them, within the longest list; the rest is counted.
fn list<T>(items: &[T], write: impl Fn(&T, &mut String)) -> Line {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let end = text.len();
        let mut written = String::from(if index > 0 { ", " } else { "" });
        write(item, &mut written);
        text.push_str(&Line::new(written));
        if text.len() > LIST_MAX {
            text.truncate(end);
            let _ = write!(text, " and {} more", items.len() - index);
            break;
        }
    }
    Line::new(text)
}

/// Returns one line for each finding of level `warn` or above, fixed or not, and for each note. Containers with the same finding share a
/// line.
fn lines(plan: &Plan) -> Vec<Line> {
    let limit = ANNOTATION_LINE_MAX;
    let findings = grouped(plan.at_least(Level::Warn)).into_iter().map(|(planned, names)| {
        let suffix = if planned.fixed { FIXED } else { "" };
        let line = Line::cut(finding_line(planned, &names), limit - suffix.len());
        Line::new(format!("{line}{suffix}"))
    });
    findings.chain(plan.all_notes().map(|note| Line::cut(note.clone(), limit))).collect()
}

/// Returns the findings with the same text once, each with the names of its containers.
pub(super) fn grouped<'p>(findings: impl Iterator<Item = &'p Planned>) -> Vec<(&'p Planned, Vec<&'p str>)> {
    let mut places: BTreeMap<(&str, &str, bool), usize> = BTreeMap::new();
    let mut groups: Vec<(&Planned, Vec<&str>)> = Vec::new();
    for planned in findings {
        let Planned { finding, fixed } = planned;
        let place = *places.entry((finding.rule.slug, &*finding.message, *fixed)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((planned, Vec::new()));
        }
        groups[place].1.extend(finding.container.as_deref());
    }
    groups
}

/// Returns the line of a finding: `musl-slow-retry: app, proxy: …`
pub(super) fn finding_line(Planned { finding, fixed: _ }: &Planned, names: &[&str]) -> String {
    let mut line = format!("{}: ", finding.rule.slug);
    match names {
        [] => {}
        names if names.len() <= NAMES_MAX => line.push_str(&names.join(", ")),
        names => {
            let _ = write!(line, "{} and {} more", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX);
        }
    }
    if !names.is_empty() {
        line.push_str(": ");
    }
    line.push_str(&finding.message);
    line
}
