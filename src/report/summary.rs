//! Totals of a run: what was read, and how many findings there are of each level.

use crate::plan::ContainerCounts;
use crate::policy::Level;

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files read.
    pub files: usize,
    /// Kubernetes objects of any kind.
    pub objects: usize,
    /// Pods and pod templates.
    pub pods: usize,
    /// Containers, and those of unknown resolvers.
    pub containers: ContainerCounts,
    /// Findings.
    pub counts: Counts,
}

/// Number of findings of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lookups fail.
    pub deny: usize,
    /// Lookups are slower, or fail more often, than necessary.
    pub warn: usize,
    /// Worth knowing.
    pub info: usize,
}

// === impl Summary ===

impl Summary {
    /// Adds the totals of another part of the run.
    pub fn add(&mut self, other: Self) {
        let Self { files, objects, pods, containers, counts: Counts { deny, warn, info } } = other;
        self.files += files;
        self.objects += objects;
        self.pods += pods;
        self.containers.add(containers);
        self.counts.deny += deny;
        self.counts.warn += warn;
        self.counts.info += info;
    }

    /// Returns the line on containers whose resolver is unknown, with what to do; `None` if all are known. Without the line, nothing
    /// found in them would look like nothing wrong.
    pub fn unknown(&self, what_to_do: &str) -> Option<String> {
        let ContainerCounts { all, unknown } = self.containers;
        (unknown > 0).then(|| format!("resolver unknown for {unknown} of {all} containers: {what_to_do}"))
    }
}

// === impl Counts ===

impl Counts {
    /// Counts one finding.
    pub fn add(&mut self, level: Level) {
        match level {
            Level::Deny => self.deny += 1,
            Level::Warn => self.warn += 1,
            Level::Info => self.info += 1,
        }
    }

    /// Returns the number of findings at or above a level.
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
    /// Writes `1 deny, 2 warn, 0 info`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { deny, warn, info } = self;
        write!(f, "{deny} deny, {warn} warn, {info} info")
    }
}
