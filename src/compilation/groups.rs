//! Findings and notes as policies hold them: one line of the annotation `muslin.dev/warnings` for a pod, or one for each message, with the
//! names of the containers. [`Group::lines`] does what the expressions of `variables` do, so that each case is checked when it is made.

use std::collections::BTreeMap;

use super::engine::{Found, name};
use crate::plan::{ANNOTATION_LINE_MAX, FIXED, NAMES_MAX};
use crate::text::Line;

/// Lines with the same origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// A finding about the pod, or a note of the profile.
    Pod {
        /// The whole line.
        line: String,
        /// The warning, if the finding is open.
        warning: Option<String>,
    },
    /// A rule's findings about containers.
    Containers {
        /// The rule.
        slug: &'static str,
        /// The findings count only if every container has one.
        needs_all: bool,
        /// The change that ends the problem is another one beside some other kind.
        change_varies: bool,
        /// The index of a kind → its finding.
        findings: BTreeMap<usize, Texts>,
    },
    /// A note on a risk that the profile accepts, which names the first container.
    Accepted {
        /// The text before the container's name.
        head: String,
        /// The index of a kind → the message.
        messages: BTreeMap<usize, String>,
    },
}

/// The texts of a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Texts {
    /// The message, with ` (fixed)` at its end for what muslin fixes.
    pub(super) message: String,
    /// The change, if the finding is open.
    pub(super) change: Option<String>,
}

// === impl Texts ===

impl Texts {
    pub(super) fn of(found: &Found) -> Self {
        let Found { message, change, is_fixed, .. } = found;
        let suffix = if *is_fixed { FIXED } else { "" };
        Self { message: format!("{message}{suffix}"), change: (!is_fixed).then(|| change.clone()) }
    }
}

// === impl Group ===

impl Group {
    /// Returns the group of a finding about the pod.
    pub(super) fn of_pod(found: &Found) -> Self {
        let Texts { message, change } = Texts::of(found);
        let slug = found.slug;
        let warning = change.map(|change| format!("muslin: {change} ({message}) [{slug}]"));
        Self::Pod { line: cut(&format!("{slug}: {message}")), warning }
    }

    /// Returns the group of a note.
    pub(super) fn of_note(note: &str) -> Self {
        Self::Pod { line: cut(note), warning: None }
    }

    /// Returns the lines for a pod whose containers are of these kinds.
    pub(super) fn lines(&self, kinds: &[usize]) -> Vec<String> {
        match self {
            Self::Pod { line, .. } => vec![line.clone()],
            Self::Containers { slug, needs_all, change_varies: _, findings } => {
                let messages: Vec<&str> =
                    kinds.iter().map(|kind| findings.get(kind).map_or("", |texts| &*texts.message)).collect();
                if *needs_all && messages.contains(&"") {
                    return Vec::new();
                }
                let is_first = |index: &usize| {
                    let message = messages[*index];
                    !message.is_empty() && messages.iter().position(|other| *other == message) == Some(*index)
                };
                (0..messages.len())
                    .filter(is_first)
                    .map(|first| {
                        let same = (0..messages.len()).filter(|index| messages[*index] == messages[first]);
                        let names: Vec<String> = same.map(name).collect();
                        cut(&format!("{slug}: {}: {}", listed(&names), messages[first]))
                    })
                    .collect()
            }
            Self::Accepted { head, messages } => {
                let of: Vec<usize> = (0..kinds.len()).filter(|index| messages.contains_key(&kinds[*index])).collect();
                let Some(first) = of.first() else { return Vec::new() };
                let more = if of.len() > 1 { format!(" and {} more", of.len() - 1) } else { String::new() };
                vec![cut(&format!("{head}{}{more}: {}", name(*first), messages[&kinds[*first]]))]
            }
        }
    }

    /// Returns whether expressions can write every text: they count characters, and a line has bytes.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |text: &str| Line::new(text.to_owned()) == text && text.is_ascii();
        match self {
            Self::Pod { warning, .. } => warning.as_deref().is_none_or(is_plain),
            Self::Containers { findings, .. } => findings
                .values()
                .all(|Texts { message, change }| is_plain(message) && change.as_deref().is_none_or(is_plain)),
            Self::Accepted { head, messages } => is_plain(head) && messages.values().all(|message| is_plain(message)),
        }
    }
}

/// Returns the names as a line has them; the rest is counted.
fn listed(names: &[String]) -> String {
    match names.len().checked_sub(NAMES_MAX) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES_MAX].join(", ")),
    }
}

/// Returns a line within the limit. What muslin fixes keeps the word at its end.
fn cut(line: &str) -> String {
    match line.strip_suffix(FIXED) {
        Some(line) => format!("{}{FIXED}", Line::cut(line.to_owned(), ANNOTATION_LINE_MAX - FIXED.len())),
        None => Line::cut(line.to_owned(), ANNOTATION_LINE_MAX).into_string(),
    }
}
