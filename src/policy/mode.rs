//! The modes: how much muslin does with the pods of a namespace.

use std::fmt;
use std::str::FromStr;

/// Namespace label that holds a [`Mode`].
pub const MODE_LABEL: &str = "muslin.dev/mode";

/// A mode. Each mode does all that the mode before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// muslin ignores the pods.
    Off,
    /// muslin writes audit annotations and metrics.
    Audit,
    /// muslin also writes warnings, annotations and the label.
    Warn,
    /// muslin also sets options.
    #[default]
    Inject,
    /// muslin also denies pods with a finding of the level `deny`, and ignores opt-outs.
    Enforce,
}

/// A word that is not a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode: use off, audit, warn, inject or enforce")]
pub struct InvalidMode(String);

// === impl Mode ===

impl Mode {
    /// Every mode, in ascending order.
    pub const ALL: [Self; 5] = [Self::Off, Self::Audit, Self::Warn, Self::Inject, Self::Enforce];

    /// Returns what muslin does with the pods of a namespace in this mode.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Off => "muslin does nothing",
            Self::Audit => "muslin writes metrics and annotations of the audit log",
            Self::Warn => "muslin also writes warnings, annotations, a label and Events",
            Self::Inject => {
                "muslin also sets the options of the namespace's profile, and fixes `attempts:0` and `timeout:0`"
            }
            Self::Enforce => "muslin also denies pods with findings of the level `deny`, and ignores opt-outs",
        }
    }

    /// Returns the mode's name, as in the label and in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Inject => "inject",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| InvalidMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_parsed_from_its_own_name() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
    }
}
