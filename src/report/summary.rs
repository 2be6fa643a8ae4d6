//! Totals of a run: what was read, and how many findings there are of each level.

use super::unclear_kinds::UnclearKinds;
use super::unread::Unread;
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

/// The totals of a run, as a format shows them after the findings.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunTotals<'r> {
    /// Everything that was read and found, shown or not.
    pub summary: Summary,
    /// Number of findings below the level that is shown.
    pub hidden: usize,
    /// Text that was not read.
    pub unread: &'r [Unread],
    /// The objects whose containers muslin does not understand.
    pub unclear: &'r UnclearKinds,
    /// The names of changed files.
    pub changed_files: &'r [String],
}

/// The numbers of one file, as far as they are shown.
#[derive(Clone, Copy, Debug)]
pub struct FileTally<'r> {
    /// The file; `-` is standard input.
    pub file: &'r str,
    /// Pods and pod templates.
    pub pods: usize,
    /// Findings.
    pub findings: usize,
    /// Unread texts that are errors.
    pub errors: usize,
    /// Unread texts that are notes.
    pub notes: usize,
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

    /// Returns the number of findings.
    pub fn all(&self) -> usize {
        self.at_least(Level::Info)
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

impl Counts {
    /// Returns the line on findings that are not shown, with the argument that shows them; `None` if all are shown.
    pub fn hidden(&self, shown: usize) -> Option<String> {
        let hidden = self.all().saturating_sub(shown);
        let level = if self.info > 0 { Level::Info } else { Level::Warn };
        let plural = if hidden == 1 { "" } else { "s" };
        (hidden > 0)
            .then(|| format!("{hidden} finding{plural} not shown; `--level {level}` shows all", level = level.name()))
    }
}

impl std::fmt::Display for Counts {
    /// Writes `1 deny, 2 warn, 0 info`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { deny, warn, info } = self;
        write!(f, "{deny} deny, {warn} warn, {info} info")
    }
}
