//! A diagnosis, and the verdict it reaches. Must not know which diagnoses exist.

use std::fmt;

use super::failures::{Cause, Explains, FailedLookup};
use super::observations::Observations;
use super::profile_effects::ProfileEffects;
use crate::documentation;
use crate::policy::Level;

pub(super) use super::list::list;

/// One thing that can be wrong, and the check for it.
pub struct Diagnosis {
    /// The name in messages and links, such as `stale-nameserver`.
    pub slug: &'static str,
    /// The diagnosis's own source file, whose doc comment documents it.
    pub(super) source: &'static str,
    pub(super) check: fn(&Observations) -> Option<Verdict>,
}

/// The result of a diagnosis that applies.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The diagnosis that was reached.
    pub diagnosis: &'static Diagnosis,
    /// Severity of this case.
    pub level: Level,
    /// Strength of the evidence.
    pub confidence: Confidence,
    /// The problem, in one clause that does not name the diagnosis.
    pub what: String,
    /// Observations that support the verdict, one clause each.
    pub evidence: Vec<String>,
    /// Advice, the best first.
    pub help: Vec<String>,
    /// The effects that profiles would have.
    pub profile_effects: ProfileEffects,
    /// The requested names whose failed lookups it accounts for.
    pub failing_names: Vec<String>,
    pub(super) explains: Vec<Explains>,
}

/// The confidence of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The observations fit, but something else could look the same.
    Likely,
    /// Nothing else looks like this, or chance explains it in less than one of 1,000 cases.
    Certain,
}

// === impl Diagnosis ===

impl Diagnosis {
    /// Returns the diagnosis's documentation, in Markdown.
    pub fn documentation(&self) -> String {
        documentation::doc_comment(self.source)
    }

    /// Returns the first sentence of the documentation.
    pub fn summary(&self) -> &'static str {
        documentation::summary(self.source)
    }
}

impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug)
    }
}

impl PartialEq for Diagnosis {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Diagnosis {}

// === impl Verdict ===

impl Verdict {
    pub(super) fn new(
        diagnosis: &'static Diagnosis,
        level: Level,
        confidence: Confidence,
        what: impl Into<String>,
    ) -> Self {
        Self {
            diagnosis,
            level,
            confidence,
            what: what.into(),
            evidence: Vec::new(),
            help: Vec::new(),
            profile_effects: ProfileEffects::default(),
            failing_names: Vec::new(),
            explains: Vec::new(),
        }
    }

    /// Accounts for failed lookups of these names that have one of these causes.
    pub(super) fn explains<T: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = T>,
        causes: &'static [Cause],
    ) -> Self {
        self.explains.push(Explains::these(names.into_iter().map(Into::into).collect(), causes));
        self
    }

    /// Accounts for failed lookups of any name that have one of these causes.
    pub(super) fn explains_all(mut self, causes: &'static [Cause]) -> Self {
        self.explains.push(Explains::all(causes));
        self
    }

    /// Returns whether the verdict accounts for a failed lookup. Advice does not.
    pub(super) fn accounts_for(&self, failed: &FailedLookup) -> bool {
        self.level >= Level::Warn && self.explains.iter().any(|explains| explains.includes(failed))
    }

    /// Names the failed lookups that the verdict accounts for.
    pub(super) fn name_failed(mut self, failed: &[FailedLookup]) -> Self {
        let own: Vec<&FailedLookup> = failed.iter().filter(|failed| self.accounts_for(failed)).collect();
        for FailedLookup { name, .. } in &own {
            if !self.failing_names.contains(name) {
                self.failing_names.push(name.clone());
            }
        }
        let lines = self.failing_names.iter().map(|name| {
            let of: Vec<&FailedLookup> = own.iter().copied().filter(|failed| failed.name == *name).collect();
            FailedLookup::summary(name, &of)
        });
        self.evidence.extend(lines.collect::<Vec<_>>());
        self
    }

    pub(super) fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    pub(super) fn evidence_if(mut self, text: Option<String>) -> Self {
        self.evidence.extend(text);
        self
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    pub(super) fn help_if(mut self, text: Option<String>) -> Self {
        self.help.extend(text);
        self
    }

    pub(super) fn profile_effects(mut self, effects: ProfileEffects) -> Self {
        self.profile_effects = effects;
        self
    }
}

// === impl Confidence ===

impl Confidence {
    /// Returns the word used in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}
