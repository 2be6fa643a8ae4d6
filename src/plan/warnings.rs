//! The warnings that clients such as kubectl show to the author of a pod: what to change first, then why. Must not know how a rule
//! decides.

use std::collections::BTreeMap;

use super::messages::NAMES_MAX;
use super::pod_plan::Plan;
use crate::policy::Level;
use crate::rules::{DocsUrl, Finding};
use crate::text::{Line, one_line};

/// The longest warning, in bytes. Kubernetes' documentation advises 120 characters for warnings of webhooks. The API server itself cuts
/// warnings to 256 runes, and only if they have more than 4096 runes in all (kubernetes
/// `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`, `truncateItemRunes`, `truncateAtTotalRunes`).
pub const WARNING_MAX: usize = 120;

/// The most warnings on one pod; the rest is counted.
const WARNINGS_MAX: usize = 5;

/// The most warnings on one workload, which is often applied together with many others.
const WORKLOAD_WARNINGS_MAX: usize = 3;

/// The sender of a warning, among those of other webhooks.
const PREFIX: &str = "muslin: ";

/// The shortest reason that says anything, in bytes.
const REASON_MIN: usize = 16;

/// The findings of one rule that one change ends.
struct Group<'p> {
    first: &'p Finding,
    /// The containers.
    names: Vec<&'p str>,
    /// Is true if the message is true for every container, not for the first alone.
    is_common: bool,
}

// === impl Plan ===

impl Plan {
    /// Returns the warnings for the author of a pod: one for each open finding of level `warn` or above, the most serious first, and then
    /// the notes that the author can act on. What the plan fixes, and what the profile does or accepts, needs no warning: the annotation
    /// has it.
    pub fn warnings(&self) -> Vec<Line> {
        self.capped_warnings(None, Vec::new(), WARNINGS_MAX)
    }

    /// Returns the warnings for the author of a workload, in fewer lines: a denial of its pods comes first, other notes last.
    pub fn warnings_of_workload(&self, denial: Option<Line>, notes: Vec<Line>) -> Vec<Line> {
        self.capped_warnings(denial, notes, WORKLOAD_WARNINGS_MAX)
    }

    /// Returns the last warning: the page about the rule of the most serious open finding.
    pub fn page_warning(&self, docs: &DocsUrl) -> Option<Line> {
        let Finding { rule, .. } = self.open_findings().next()?;
        Some(page_warning(docs, rule.slug))
    }

    fn capped_warnings(&self, denial: Option<Line>, notes: Vec<Line>, most: usize) -> Vec<Line> {
        let own_notes = self.author_notes.iter().map(|note| Line::cut(format!("{PREFIX}{note}"), WARNING_MAX));
        let findings = grouped(self.open_findings()).into_iter().map(|group| group.warning());
        let mut lines: Vec<Line> = denial.into_iter().chain(findings).chain(notes).chain(own_notes).collect();
        if lines.len() > most {
            let left_out = lines.len() - (most - 1);
            lines.truncate(most - 1);
            lines.push(Line::new(format!("{PREFIX}and {left_out} more findings")));
        }
        lines
    }

    /// Returns the findings of level `warn` or above that the plan does not fix, the most serious first.
    fn open_findings(&self) -> impl Iterator<Item = &Finding> {
        self.at_least(Level::Warn).filter(|planned| !planned.fixed).map(|planned| &planned.finding)
    }
}

/// Returns a warning that names a rule's page.
pub fn page_warning(docs: &DocsUrl, slug: &str) -> Line {
    Line::new(format!("{PREFIX}{}", docs.page_of(slug)))
}

/// Returns a warning on one line of at most [`WARNING_MAX`] bytes: `muslin: app: use Alpine 3.18+ (musl 1.2.3 cannot ask by TCP)
/// [musl-no-tcp]`. Too long a line loses its reason first, then the names' ends. The change and the rule's name are never cut, as
/// [`crate::rules::CHANGE_MAX`] bounds the one and the other is muslin's own.
pub fn warning(names: &[&str], change: &str, reason: &str, slug: &str) -> Line {
    let tail = format!(" [{slug}]");
    let room = WARNING_MAX.saturating_sub(PREFIX.len() + change.len() + tail.len());
    let names = names_within(names, room);
    let reason = reason_within(reason, room - names.len());
    Line::new(format!("{PREFIX}{names}{change}{reason}{tail}"))
}

/// Returns the names with a colon after them: `app, proxy: `. The rest is counted, and a name that has no room is cut. Without names, and
/// without any room, returns nothing.
fn names_within(names: &[&str], room: usize) -> String {
    let Some(first) = names.first() else { return String::new() };
    let shown: Vec<_> = names.iter().take(NAMES_MAX).map(|name| one_line(name, WARNING_MAX)).collect();
    let rest = |shown: usize| match names.len() - shown {
        0 => ": ".to_owned(),
        more => format!(" and {more} more: "),
    };
    let listed = |count: usize| format!("{}{}", shown[..count].join(", "), rest(count));
    if let Some(list) = (1..=shown.len()).rev().map(listed).find(|list| list.len() <= room) {
        return list;
    }
    let rest = rest(1);
    match room.checked_sub(rest.len()) {
        Some(room) if room > '…'.len_utf8() => format!("{}{rest}", one_line(first, room)),
        _ => String::new(),
    }
}

/// Returns the reason in brackets, cut between words; nothing if that would say nothing.
fn reason_within(reason: &str, room: usize) -> String {
    let Some(room) = room.checked_sub(" ()".len()).filter(|_| !reason.is_empty()) else { return String::new() };
    let whole = one_line(reason, usize::MAX);
    if whole.len() <= room {
        return format!(" ({whole})");
    }
    let cut = one_line(reason, room);
    let words = cut.rsplit_once(' ').map_or(&*cut, |(words, _)| words);
    let words = words.trim_end_matches(['…', ',', ':']);
    if words.len() < REASON_MIN { String::new() } else { format!(" ({words}…)") }
}

/// Returns the findings of one rule with the same change together, with the names of their containers.
fn grouped<'p>(findings: impl Iterator<Item = &'p Finding>) -> Vec<Group<'p>> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Group<'p>> = Vec::new();
    for finding in findings {
        let place = *places.entry((finding.rule.slug, &*finding.change)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { first: finding, names: Vec::new(), is_common: true });
        }
        let group = &mut groups[place];
        group.is_common &= group.first.message == finding.message;
        group.names.extend(finding.container.as_deref().filter(|name| !name.is_empty()));
    }
    groups
}

// === impl Group ===

impl Group<'_> {
    fn warning(&self) -> Line {
        let Self { first, names, is_common } = self;
        match names.first() {
            Some(name) if !is_common => {
                warning(names, &first.change, &format!("{name}: {}", first.message), first.rule.slug)
            }
            _ => warning(names, &first.change, &first.message, first.rule.slug),
        }
    }
}
