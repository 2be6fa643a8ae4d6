//! The plan for one pod. Pure data; must not know how it is made or shown.

use json_patch::Patch;

use super::libc_label::Libc;
use crate::pod::Injected;
use crate::policy::Level;
use crate::rules::Finding;

/// What muslin will do to one pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is wrong with the pod as its author wrote it, the most serious first.
    pub findings: Vec<Planned>,
    /// What else the author should be told.
    pub notes: Vec<String>,
    /// What is set in the pod.
    pub injected: Injected,
    /// What the containers use, for the label.
    pub libc: Libc,
    /// Each container's resolver, for the annotation.
    pub resolvers: String,
    /// Whether the pod's DNS is already as it should be.
    pub is_done: bool,
    /// How the pod has to be changed.
    pub patch: Patch,
}

/// A finding, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The finding.
    pub finding: Finding,
    /// Whether the plan mends it: the rule is silent on the pod as it will be.
    pub mended: bool,
}

// === impl Plan ===

impl Plan {
    /// What a pod that is mended so is denied for in mode [`Mode::Enforce`].
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.at_least(Level::Deny).filter(|planned| !planned.mended).map(|planned| &planned.finding)
    }

    /// The findings at a level or above it, mended or not.
    pub fn at_least(&self, level: Level) -> impl Iterator<Item = &Planned> {
        self.findings.iter().filter(move |planned| planned.finding.level >= level)
    }
}
