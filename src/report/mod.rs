//! Findings for people and programs, in the formats that both read. Must not know of where findings come from.

mod github;
mod human;
mod json;
mod probed;
mod sarif;

use crate::manifest::Place;
use crate::policy::Level;
use crate::rules::Finding;

pub use github::Github;
pub use human::Human;
pub use json::Json;
pub use probed::ProbeReport;
pub use sarif::Sarif;

/// A finding to be reported.
#[derive(Clone, Debug)]
pub struct Reported<'r> {
    /// The file, `-` for standard input.
    pub file: &'r str,
    /// The value that is wrong.
    pub place: Place<'r>,
    /// The object that holds it.
    pub object: ObjectName<'r>,
    /// Where in the object the cause stands, or would have to, as a JSON pointer.
    pub path: &'r str,
    /// What.
    pub finding: &'r Finding,
    /// How the container's resolver is known: `alpine:3.19 is musl 1.2.4 (assumed): …`.
    pub because: Option<String>,
    /// How many findings of the same rule on the same container and path came before it.
    pub earlier: u64,
    /// Whether it was mended.
    pub mended: bool,
}

/// What an object is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName<'r> {
    /// Its kind.
    pub kind: &'r str,
    /// Its namespace: its own, or the one that is taken where it says none.
    pub namespace: &'r str,
    /// Its name.
    pub name: &'r str,
}

/// How much was seen, and what was found in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that could be read.
    pub files: usize,
    /// Kubernetes objects, of whatever kind.
    pub objects: usize,
    /// Pods and pod templates.
    pub pods: usize,
    /// Findings.
    pub counts: Counts,
}

/// How many findings there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lookups fail.
    pub deny: usize,
    /// Lookups are slower or fail more often than they need.
    pub warn: usize,
    /// Worth knowing.
    pub info: usize,
}

/// A way to write findings: one after another, so that none has to be kept, and each apart, so that many can be written at once.
pub trait Format: Sync {
    /// What stands before the first finding.
    fn head(&self) -> String {
        String::new()
    }

    /// One finding.
    fn finding(&self, reported: &Reported<'_>) -> String;

    /// What stands between two findings.
    fn separator(&self) -> &'static str {
        ""
    }

    /// What stands behind the last finding.
    fn tail(&self, _summary: &Summary) -> String {
        String::new()
    }
}

// === impl ObjectName ===

impl std::fmt::Display for ObjectName<'_> {
    /// `Deployment shop/web`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, namespace, name } = self;
        write!(f, "{kind} {namespace}/{name}")
    }
}

// === impl Summary ===

impl Summary {
    /// Adds what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        let Self { files, objects, pods, counts: Counts { deny, warn, info } } = other;
        self.files += files;
        self.objects += objects;
        self.pods += pods;
        self.counts.deny += deny;
        self.counts.warn += warn;
        self.counts.info += info;
    }
}

// === impl Counts ===

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, level: Level) {
        match level {
            Level::Deny => self.deny += 1,
            Level::Warn => self.warn += 1,
            Level::Info => self.info += 1,
        }
    }

    /// How many are at a level or above it.
    pub fn at_least(&self, level: Level) -> usize {
        let Self { deny, warn, info } = self;
        match level {
            Level::Deny => *deny,
            Level::Warn => deny + warn,
            Level::Info => deny + warn + info,
        }
    }
}

impl std::fmt::Display for Counts {
    /// `1 deny, 2 warn, 0 info`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { deny, warn, info } = self;
        write!(f, "{deny} deny, {warn} warn, {info} info")
    }
}

#[cfg(test)]
mod tests;
