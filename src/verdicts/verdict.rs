//! What a diagnosis is, and the verdict that it gives. Must not know which diagnoses there are.

use std::fmt;

use super::observations::Observations;
use super::profile_effects::Relief;
use crate::documentation;
use crate::policy::Level;

/// One thing that can be wrong.
pub struct Fault {
    /// Its name in messages and links, such as `stale-nameserver`.
    pub slug: &'static str,
    /// The fault's own source file, whose doc comment documents it.
    pub(super) source: &'static str,
    pub(super) check: fn(&Observations) -> Option<Verdict>,
}

/// A fault that was shown.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The fault.
    pub fault: &'static Fault,
    /// How serious this case of it is.
    pub level: Level,
    /// How sure it is.
    pub sureness: Sureness,
    /// What is wrong, in one clause that does not name the fault.
    pub what: String,
    /// What was seen, each in one clause.
    pub evidence: Vec<String>,
    /// What to do, the best first.
    pub help: Vec<String>,
    /// What profiles would change.
    pub relief: Relief,
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// What was seen fits, and something else could look the same.
    Likely,
    /// Nothing else looks like this, or chance explains it in less than one of 1,000 cases.
    Sure,
}

// === impl Fault ===

impl Fault {
    /// Its documentation, in Markdown.
    pub fn documentation(&self) -> String {
        documentation::of(self.source)
    }

    /// What it is, in one sentence: the first line of its documentation.
    pub fn summary(&self) -> &'static str {
        documentation::summary_of(self.source)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug)
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Fault {}

// === impl Verdict ===

impl Verdict {
    pub(super) fn new(fault: &'static Fault, level: Level, sureness: Sureness, what: impl Into<String>) -> Self {
        let relief = Relief::default();
        Self { fault, level, sureness, what: what.into(), evidence: Vec::new(), help: Vec::new(), relief }
    }

    pub(super) fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    pub(super) fn evidence_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.evidence(text),
            None => self,
        }
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    pub(super) fn help_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    pub(super) fn relief(mut self, relief: Relief) -> Self {
        self.relief = relief;
        self
    }
}

// === impl Sureness ===

impl Sureness {
    /// The word in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Sure => "certain",
        }
    }
}

/// Words with commas between, and `and` before the last.
pub(super) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match &*items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
