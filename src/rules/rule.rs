//! A rule, the findings that it reports, and where it reports them. Must not know of any one rule.

use std::fmt;

use super::event_reason::EventReason;
use super::rule_input::{Container, RuleInput};
use crate::documentation;
use crate::policy::Level;

/// One thing that can be wrong.
pub struct Rule {
    /// Its name in messages, configuration and links, such as `attempts-zero`.
    pub slug: &'static str,
    /// How serious a finding is unless the check says otherwise.
    pub level: Level,
    /// The reason of the Events that report its findings.
    pub reason: EventReason,
    /// Whether a finding means that a name can fail that resolved before. A profile whose options cause one must accept that risk.
    pub can_break_names: bool,
    /// The rule's own source file, whose doc comment documents it.
    pub(super) source: &'static str,
    pub(super) check: fn(&RuleInput<'_>, &mut Findings<'_>),
}

/// A rule that fired on a container, or on the pod as a whole.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How serious this case of it is.
    pub level: Level,
    /// The container's name; `None` where it is about the pod.
    pub container: Option<String>,
    /// What is wrong, in one clause that names neither the rule nor the container.
    pub message: String,
    /// What to do about it, in words that are true for this container's resolver.
    pub help: String,
    /// Where the cause stands, as a JSON pointer from the pod; after [`HOLDER`], from the object that holds its template.
    pub path: String,
}

/// Stands before a path that leads through the object that holds the pod's template: a Deployment, not its template.
pub const HOLDER: &str = "..";

/// Collects what one rule finds.
pub struct Findings<'f> {
    pub(super) rule: &'static Rule,
    /// Every rule that exists.
    pub(super) rules: &'static [&'static Rule],
    pub(super) found: &'f mut Vec<Finding>,
}

// === impl Rule ===

impl Rule {
    /// Its documentation, in Markdown.
    pub fn documentation(&self) -> String {
        documentation::of(self.source)
    }

    /// What it finds, in one sentence: the first line of its documentation.
    pub fn summary(&self) -> &'static str {
        documentation::summary_of(self.source)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Rule {}

// === impl Finding ===

impl Finding {
    /// What it is a case of: the rule, and the container or the pod. Where the rule has no finding left on that, it is
    /// mended.
    pub fn case(&self) -> (&'static str, Option<&str>) {
        (self.rule.slug, self.container.as_deref())
    }

    /// Gives this case another level than the rule's own.
    pub(super) fn level(&mut self, level: Level) {
        self.level = level;
    }
}

// === impl Findings ===

impl Findings<'_> {
    /// Adds a finding about a container.
    pub(super) fn container(
        &mut self,
        container: &Container<'_>,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Finding {
        self.add(Some(container.name.to_owned()), path.into(), message.into(), help.into())
    }

    /// Adds a finding about the pod as a whole.
    pub(super) fn pod(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Finding {
        self.add(None, path.into(), message.into(), help.into())
    }

    fn add(&mut self, container: Option<String>, path: String, message: String, help: String) -> &mut Finding {
        let Self { rule, rules: _, found } = self;
        let index = found.len();
        found.push(Finding { rule, level: rule.level, container, message, help, path });
        &mut found[index]
    }
}
