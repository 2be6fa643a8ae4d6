//! Something to look at, and the order in which to look.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::policy::Level;

/// The subject of a problem, in the order in which problems of one level are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A verdict stands on nodes.
    Verdict,
    /// A part of muslin is missing or does not work.
    Muslin,
    /// A search domain breaks lookups.
    SearchDomain,
    /// Nodes differ.
    Difference,
    /// Nodes are not watched.
    Watch,
    /// A profile is not in use as it is written.
    Profile,
    /// Labels of namespaces mean nothing.
    Namespace,
    /// The resolvers of images are unknown.
    Image,
}

/// Something to look at. The texts may quote the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `deny`: lookups fail, or muslin does not work; `warn`: something is worse than it should be; `info`: worth knowing.
    #[serde(serialize_with = "level_name")]
    #[schemars(with = "String", extend("enum" = ["deny", "warn", "info"]))]
    pub level: Level,
    /// The subject.
    pub kind: Kind,
    /// The name of the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The problem in a sentence.
    pub title: String,
    /// Facts and advice, one sentence each.
    pub details: Vec<String>,
    /// The nodes that have it, by name.
    pub nodes: Vec<String>,
    /// The time since which it is so, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn level_name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.name())
}

// === impl Problem ===

impl Problem {
    pub(super) fn new(level: Level, kind: Kind, title: impl Into<String>) -> Self {
        Self { level, kind, name: None, title: title.into(), details: Vec::new(), nodes: Vec::new(), since: None }
    }

    /// Adds a fact or advice.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Names the nodes.
    pub(super) fn on(mut self, nodes: &[&str]) -> Self {
        self.nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        self
    }
}

/// Sorts problems: the most serious first, then by subject, then those on most nodes.
pub(super) fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| {
        let key = |one: &Problem| (std::cmp::Reverse(one.level), one.kind, std::cmp::Reverse(one.nodes.len()));
        key(a).cmp(&key(b)).then_with(|| a.title.cmp(&b.title))
    });
}
