//! Rules, and the findings that they report. Must not know of any one rule.

use std::borrow::Cow;
use std::fmt;

use super::event_reason::EventReason;
use super::rule_input::{Container, RuleInput};
use crate::budget::{Work, charge};
use crate::documentation;
use crate::policy::Level;
use crate::text::Line;

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
    /// The change that ends the problem, as a short imperative for a line of a warning: `use Alpine 3.18+`. Is one line of at most
    /// [`CHANGE_MAX`] bytes; empty with the message.
    pub change: Cow<'static, str>,
    /// The advice, in words that are true for this container's resolver; empty with the message.
    pub help: Cow<'static, str>,
    /// The place of the cause, as a JSON pointer from the pod; after [`HOLDER`], from the workload that holds the pod template.
    pub path: Cow<'static, str>,
}

/// The texts of a finding. A rule that forgets one of them does not compile.
pub(super) struct Texts<M, C, H> {
    /// [`Finding::message`].
    pub(super) message: M,
    /// [`Finding::change`].
    pub(super) change: C,
    /// [`Finding::help`].
    pub(super) help: H,
}

/// The longest change, in bytes: a warning of 120 bytes has room for it, for the longest slug and for a container's name.
pub const CHANGE_MAX: usize = 70;

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

/// A text of a finding, fixed or made for it.
pub(super) trait IntoText: Into<Cow<'static, str>> {}

impl<T: Into<Cow<'static, str>>> IntoText for T {}

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

    /// Adds a finding about a container. `texts` is called only if the finding gets its texts.
    pub(super) fn container<M: IntoText, C: IntoText, H: IntoText>(
        &mut self,
        container: &Container<'_>,
        path: impl IntoText,
        texts: impl FnOnce() -> Texts<M, C, H>,
    ) {
        self.add(Some(container.name.to_owned()), path.into(), texts);
    }

    /// Adds a finding about the pod as a whole. `texts` is called only if the finding gets its texts.
    pub(super) fn pod<M: IntoText, C: IntoText, H: IntoText>(
        &mut self,
        path: impl IntoText,
        texts: impl FnOnce() -> Texts<M, C, H>,
    ) {
        self.add(None, path.into(), texts);
    }

    fn add<M: IntoText, C: IntoText, H: IntoText>(
        &mut self,
        container: Option<String>,
        path: Cow<'static, str>,
        texts: impl FnOnce() -> Texts<M, C, H>,
    ) {
        let Self { rule, level, rules: _, wants_texts, found } = self;
        if charge(Work::Finding, 1).is_err() {
            return;
        }
        let mut finding = Finding {
            rule,
            level: *level,
            container,
            message: Cow::default(),
            change: Cow::default(),
            help: Cow::default(),
            path,
        };
        if wants_texts(rule, *level) {
            let Texts { message, change, help } = texts();
            finding.message = message.into();
            finding.change = Line::cut(change, CHANGE_MAX).into();
            finding.help = help.into();
        }
        found.push(finding);
    }
}
