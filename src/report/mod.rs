//! Findings for people and programs. Must not know of where findings come from.

mod human;

use crate::policy::Level;
use crate::rules::Finding;

pub use human::Human;

/// Where a finding was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, `-` for standard input.
    pub file: String,
    /// Line and column, from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// The object: `Deployment default/web`.
    pub object: String,
}

/// A finding to be reported.
#[derive(Clone, Debug)]
pub struct Reported {
    /// Where.
    pub place: Place,
    /// What.
    pub finding: Finding,
    /// How the container's resolver is known: `alpine:3.19 is musl 1.2.4 (assumed): …`.
    pub because: Option<String>,
    /// Whether it was mended.
    pub mended: bool,
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
