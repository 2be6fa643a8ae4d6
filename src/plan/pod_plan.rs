//! The plan for one pod. Pure data; must not know how it is made or shown.

use json_patch::Patch;

use super::libc_label::Libc;
use crate::pod::Injected;
use crate::policy::{Level, RolloutRecord};
use crate::rules::Finding;
use crate::text::Line;

/// The plan for one pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The findings on the pod as its author wrote it, the most serious first.
    pub findings: Vec<Planned>,
    /// Notes that the pod's author can act on, which are warnings too: an annotation that does not count.
    pub author_notes: Vec<String>,
    /// Notes on what the profile did, left or accepts, for annotations and reports. The author cannot change a profile.
    pub notes: Vec<String>,
    /// The options that muslin sets.
    pub injected: Injected,
    /// The value of the label.
    pub libc: Libc,
    /// The value of the annotation with each container's resolver.
    pub resolvers: Line,
    /// The stages of the pod in the rollouts of its profiles.
    pub rollout: RolloutRecord,
    /// The containers, and those of unknown resolvers.
    pub containers: ContainerCounts,
    /// Is true if the pod's DNS settings are already as desired.
    pub is_done: bool,
    /// The change of the pod.
    pub patch: Patch,
}

/// A number of containers, and how many of them have an unknown resolver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerCounts {
    /// All containers.
    pub all: usize,
    /// Containers whose resolver is unknown: no rule about a resolver can find anything in them.
    pub unknown: usize,
}

/// A finding, and whether the plan fixes it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The finding.
    pub finding: Finding,
    /// Is true if the plan fixes the finding: the rule does not fire on the changed pod.
    pub fixed: bool,
}

// === impl ContainerCounts ===

impl ContainerCounts {
    /// Adds other containers.
    pub fn add(&mut self, Self { all, unknown }: Self) {
        self.all += all;
        self.unknown += unknown;
    }
}

// === impl Plan ===

impl Plan {
    /// Returns the findings for which the mode [`Mode::Enforce`](crate::policy::Mode::Enforce) denies the changed pod.
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.at_least(Level::Deny).filter(|planned| !planned.fixed).map(|planned| &planned.finding)
    }

    /// Returns the notes for annotations and reports.
    pub fn all_notes(&self) -> impl Iterator<Item = &String> {
        self.author_notes.iter().chain(&self.notes)
    }

    /// Returns the findings at this level or above, fixed or not.
    pub fn at_least(&self, level: Level) -> impl Iterator<Item = &Planned> {
        self.findings.iter().filter(move |planned| planned.finding.level >= level)
    }
}
