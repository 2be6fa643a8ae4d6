//! Findings of one cause in one group, however many objects have the cause, so that people read each cause once.

use std::collections::HashMap;
use std::ops::Range;

use super::located_finding::LocatedFinding;
use crate::manifest::{Excerpt, Position};
use crate::policy::Level;
use crate::text::{Line, cut};

/// Findings in groups, in the order of the first finding of each.
#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<Group>,
    indexes: HashMap<Cause, usize>,
}

/// The identity of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) fixed: bool,
}

/// Findings with one cause: the first with its place in full, the others with a line each, as far as they are shown.
#[derive(Debug)]
pub struct Group {
    pub(super) level: Level,
    pub(super) cause: Cause,
    pub(super) file: Line,
    excerpt: OwnedExcerpt,
    pub(super) owner: Line,
    /// The reasons why resolvers are known, each once.
    pub(super) because: Vec<Line>,
    /// Is true if there are more reasons.
    pub(super) more_because: bool,
    /// The places of the other findings.
    pub(super) others: Vec<Line>,
    /// Number of findings whose places are left out.
    pub(super) more: usize,
}

#[derive(Debug)]
struct OwnedExcerpt {
    start: Position,
    end: Position,
    text: String,
    line: Option<(String, Range<usize>)>,
}

/// The most places and reasons of a group that are shown: enough for the containers of one application.
const SHOWN_MAX: usize = 5;

/// The most bytes kept of a value on a line that is too long to show.
const TEXT_MAX: usize = 200;

// === impl Groups ===

impl Groups {
    /// Adds a finding.
    pub fn add(&mut self, located: &LocatedFinding<'_>) {
        let LocatedFinding { excerpt, finding, because, fixed, .. } = located;
        let cause = Cause {
            rule: finding.rule.slug,
            message: finding.message.to_string(),
            help: finding.help.to_string(),
            fixed: *fixed,
        };
        let because = because.iter().map(|because| Line::new(because.clone())).collect();
        let owner = Line::new(located.owner());
        if let Some(index) = self.indexes.get(&cause) {
            self.groups[*index].add([other_place(&located.place(), &owner)], 0, because, false);
            return;
        }
        let Excerpt { start, end, text, line } = excerpt;
        self.insert(Group {
            level: finding.level,
            cause,
            file: Line::new(located.file_label()),
            excerpt: OwnedExcerpt {
                start: *start,
                end: *end,
                text: cut(text, TEXT_MAX).into_owned(),
                line: line.as_ref().map(|(line, part)| ((*line).to_owned(), part.clone())),
            },
            owner,
            because,
            more_because: false,
            others: Vec::new(),
            more: 0,
        });
    }

    /// Adds the findings of another part of the run.
    pub fn merge(&mut self, other: Self) {
        for group in other.groups {
            match self.indexes.get(&group.cause) {
                None => self.insert(group),
                Some(index) => {
                    let Position { line, column } = group.excerpt.start;
                    let first = other_place(&format!("{}:{line}:{column}", group.file), &group.owner);
                    let places = [first].into_iter().chain(group.others);
                    self.groups[*index].add(places, group.more, group.because, group.more_because);
                }
            }
        }
    }

    /// Returns the number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Returns whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Returns the groups by level, the gravest first, and leaves none.
    pub fn take(&mut self) -> Vec<Group> {
        self.indexes.clear();
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort_by_key(|group| std::cmp::Reverse(group.level));
        groups
    }

    fn insert(&mut self, group: Group) {
        self.indexes.insert(group.cause.clone(), self.groups.len());
        self.groups.push(group);
    }
}

fn other_place(place: &str, owner: &Line) -> Line {
    Line::new(format!("{place}: {owner}"))
}

// === impl Group ===

impl Group {
    /// Returns the place of the first finding.
    pub(super) fn excerpt(&self) -> Excerpt<'_> {
        let OwnedExcerpt { start, end, text, line } = &self.excerpt;
        let line = line.as_ref().map(|(line, part)| (&**line, part.clone()));
        Excerpt { start: *start, end: *end, text, line }
    }

    fn add(&mut self, places: impl IntoIterator<Item = Line>, more: usize, because: Vec<Line>, more_because: bool) {
        for place in places {
            if self.others.len() < SHOWN_MAX { self.others.push(place) } else { self.more += 1 }
        }
        self.more += more;
        self.more_because |= more_because;
        for reason in because {
            if self.because.contains(&reason) {
                continue;
            }
            if self.because.len() < SHOWN_MAX { self.because.push(reason) } else { self.more_because = true }
        }
    }
}
