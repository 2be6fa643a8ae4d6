//! Rules, and the findings that they report. Must not know of any one rule.

use std::borrow::Cow;
use std::fmt;

use super::event_reason::EventReason;
use super::rule_input::{Container, RuleInput};
use crate::budget::{Work, charge};
use crate::documentation;
use crate::policy::Level;

/// One thing that can be wrong.
pub struct Rule {
    /// The name in messages, configuration and links, such as `attempts-zero`.
    pub slug: &'static str,
    /// The level of a finding, unless the check sets another.
    pub level: Level,
    /// The reason of the Events that report its findings.
    pub reason: EventReason,
    /// Is true if a finding means that a name can fail that resolved before. A profile whose options cause one must accept that risk.
    pub can_break_names: bool,
    /// The rule's own source file, whose doc comment documents the rule.
    pub(super) source: &'static str,
    pub(super) check: fn(&RuleInput<'_>, &mut Findings<'_>),
}

/// A rule that fired on a container, or on the pod as a whole.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The seriousness of this case.
    pub level: Level,
    /// The container's name; `None` for a finding about the pod.
    pub container: Option<String>,
    /// The problem, in one clause that names neither the rule nor the container; empty if the caller wants no texts.
    pub message: Cow<'static, str>,
    /// The advice, in words that are true for this container's resolver; empty with the message.
    pub help: Cow<'static, str>,
    /// The place of the cause, as a JSON pointer from the pod; after [`HOLDER`], from the workload that holds the pod template.
    pub path: Cow<'static, str>,
}

/// Prefix of a path that starts at the workload, not at its pod template.
pub const HOLDER: &str = "..";

/// Collects the findings of one rule.
pub struct Findings<'f> {
    pub(super) rule: &'static Rule,
    /// The level of the findings to come.
    pub(super) level: Level,
    /// Every rule that exists.
    pub(super) rules: &'static [&'static Rule],
    /// Returns whether a finding at this level gets its texts. Most findings are only counted, and texts are most of the work.
    pub(super) wants_texts: &'f dyn Fn(&Rule, Level) -> bool,
    pub(super) found: &'f mut Vec<Finding>,
}

// === impl Rule ===

impl Rule {
    /// Returns the rule's documentation, in Markdown.
    pub fn documentation(&self) -> String {
        documentation::doc_comment(self.source)
    }

    /// Returns the first line of the documentation, which is one sentence.
    pub fn summary(&self) -> &'static str {
        documentation::summary(self.source)
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
    /// Returns the rule and the container that the finding is about. A change fixes a finding if no finding with the same case is left.
    pub fn case(&self) -> (&'static str, Option<&str>) {
        (self.rule.slug, self.container.as_deref())
    }
}

// === impl Findings ===

impl Findings<'_> {
    /// Returns a collector for findings at another level than the rule's own.
    pub(super) fn at(&mut self, level: Level) -> Findings<'_> {
        let Self { rule, level: _, rules, wants_texts, found } = self;
        Findings { rule, level, rules, wants_texts: *wants_texts, found }
    }

    /// Adds a finding about a container. `texts` returns the message and the advice.
    pub(super) fn container<M: Into<Cow<'static, str>>, H: Into<Cow<'static, str>>>(
        &mut self,
        container: &Container<'_>,
        path: impl Into<Cow<'static, str>>,
        texts: impl FnOnce() -> (M, H),
    ) {
        self.add(Some(container.name.to_owned()), path.into(), texts);
    }

    /// Adds a finding about the pod as a whole. `texts` returns the message and the advice.
    pub(super) fn pod<M: Into<Cow<'static, str>>, H: Into<Cow<'static, str>>>(
        &mut self,
        path: impl Into<Cow<'static, str>>,
        texts: impl FnOnce() -> (M, H),
    ) {
        self.add(None, path.into(), texts);
    }

    fn add<M: Into<Cow<'static, str>>, H: Into<Cow<'static, str>>>(
        &mut self,
        container: Option<String>,
        path: Cow<'static, str>,
        texts: impl FnOnce() -> (M, H),
    ) {
        let Self { rule, level, rules: _, wants_texts, found } = self;
        if charge(Work::Finding, 1).is_err() {
            return;
        }
        let (message, help) = if wants_texts(rule, *level) {
            let (message, help) = texts();
            (message.into(), help.into())
        } else {
            (Cow::default(), Cow::default())
        };
        found.push(Finding { rule, level: *level, container, message, help, path });
    }
}
