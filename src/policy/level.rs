//! The levels of findings.

use std::fmt;
use std::str::FromStr;

/// The seriousness of a finding, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Advice; no action is needed.
    Info,
    /// Lookups are slower, or fail more often, than necessary.
    Warn,
    /// Lookups fail.
    Deny,
}

/// A word that is not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: use deny, warn or info")]
pub struct InvalidLevel(String);

// === impl Level ===

impl Level {
    /// Returns the level's name, as in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Info, Self::Warn, Self::Deny]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| InvalidLevel(text.to_owned()))
    }
}
