//! What can be wrong with a pod's DNS: one file a rule. Each file's doc comment is the rule's documentation (what it
//! finds, why it matters, how to mend it), read from the source itself. Must not know of plans, patches or the webhook.
//!
//! What holds for all of them:
//! - A rule speaks of the resolver of one container, in that release. Of a release that is not known it claims what is
//!   true of all; what is true of some it says of those releases and as advice, and only where the pod sets something
//!   that they mind.
//! - What a healthy pod with no options has is a warning only if there is a remedy: a plain Alpine pod gets at most two.
//! - A rule takes time in proportion to the pod: it looks at options, search names and containers one after the other,
//!   at most once for each resolver that occurs, and never at each of one for each of another. A pod can be 1.5 MB of
//!   any of them.
//!
//! To add a rule: write its file, name it in the list at the end of this one, and show it in `tests/rules`.

mod musl_advice;
mod subject;
mod zero_value;

use std::cmp::Reverse;
use std::fmt;

use crate::documentation;
use crate::policy::Level;

pub use subject::{Container, Ignored, Subject, option_path};

/// One thing that can be wrong.
pub struct Rule {
    /// Its name in messages, configuration and links, such as `attempts-zero`.
    pub slug: &'static str,
    /// How serious a finding is unless the check says otherwise.
    pub level: Level,
    /// The rule's own source file, whose doc comment documents it.
    source: &'static str,
    check: fn(&Subject<'_>, &mut Findings<'_>),
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
    rule: &'static Rule,
    found: &'f mut Vec<Finding>,
}

/// Runs every rule on a pod. The findings come with the most serious first, and in the order of [`RULES`] among equals.
pub fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in RULES {
        (rule.check)(subject, &mut Findings { rule, found: &mut found });
    }
    found.sort_by_key(|finding| Reverse(finding.level));
    found
}

// === impl Rule ===

impl Rule {
    /// The rule of this slug.
    pub fn named(slug: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.slug == slug).copied()
    }

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
    fn level(&mut self, level: Level) {
        self.level = level;
    }
}

// === impl Findings ===

impl Findings<'_> {
    /// Adds a finding about a container.
    fn container(
        &mut self,
        container: &Container<'_>,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Finding {
        self.add(Some(container.name.to_owned()), path.into(), message.into(), help.into())
    }

    /// Adds a finding about the pod as a whole.
    fn pod(&mut self, path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> &mut Finding {
        self.add(None, path.into(), message.into(), help.into())
    }

    fn add(&mut self, container: Option<String>, path: String, message: String, help: String) -> &mut Finding {
        let Self { rule, found } = self;
        let index = found.len();
        found.push(Finding { rule, level: rule.level, container, message, help, path });
        &mut found[index]
    }
}

macro_rules! rules {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule, the most useful to read first among those of one level.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];
    };
}

rules! {
    attempts_zero,
    timeout_zero,
    malformed_option,
    duplicate_option,
    search_line_too_long,
    search_dot,
    ndots_breaks_musl,
    short_total_timeout,
    use_vc_hangs,
    strict_parser_breaks,
    go_falls_back_to_libc,
    musl_queries_all_nameservers,
    musl_attempts_ignored,
    option_ignored,
    musl_slow_retry,
    musl_no_tcp,
    node_resolv_conf,
    go_netdns_ineffective,
    musl_stops_search,
    parallel_a_aaaa,
    musl_aaaa_all_or_nothing,
    musl_query_id_collision,
    ndots_amplification,
    unknown_rule,
}

#[cfg(test)]
mod tests;
