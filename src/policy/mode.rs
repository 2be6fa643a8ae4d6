//! How far muslin goes in a namespace, as its labels say.

use std::fmt;
use std::str::FromStr;

use super::precedence::{Label, Says, precedence};

/// Namespace label that holds a [`Mode`].
pub const MODE_LABEL: &str = "muslin.dev/mode";
/// Namespace label that names a [`super::Profile`].
pub const PROFILE_LABEL: &str = "muslin.dev/profile";

/// How far muslin goes, each mode doing all that the one before does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// Pods are not looked at.
    Off,
    /// Audit annotations and metrics only.
    Audit,
    /// Also warnings, annotations and the label.
    Warn,
    /// Also options.
    #[default]
    Inject,
    /// As `inject`, and pods are refused that have a finding of the level `deny`; a pod's own opt-out does not count.
    Enforce,
}

/// A word that is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode: use off, audit, warn, inject or enforce")]
pub struct InvalidMode(String);

/// What the labels of one namespace ask for. Small on purpose: one is kept for each namespace of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePolicy {
    /// The mode, where the label has one.
    mode: Option<Result<Mode, InvalidMode>>,
    /// The profile's name, where the label has one.
    profile: Option<Box<str>>,
}

// === impl Mode ===

impl Mode {
    /// All of them, from the mildest.
    pub const ALL: [Self; 5] = [Self::Off, Self::Audit, Self::Warn, Self::Inject, Self::Enforce];

    /// Its name, as in the label and in options.
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

// === impl NamespacePolicy ===

impl NamespacePolicy {
    /// Reads the values of [`MODE_LABEL`] and [`PROFILE_LABEL`].
    pub fn from_labels(mode: Option<&str>, profile: Option<&str>) -> Self {
        Self { mode: mode.map(str::parse), profile: profile.map(Box::from) }
    }

    /// The mode that counts where no pod says otherwise, by [`precedence`]; `default` is that of namespaces without a label.
    pub fn mode(&self, default: Mode) -> Mode {
        let namespace = match &self.mode {
            None => Label::Absent,
            Some(Ok(mode)) => Label::Names(*mode),
            Some(Err(_)) => Label::Unclear,
        };
        precedence(&Says { default, namespace, ..Says::default() }).map_or(Mode::Off, |decided| decided.mode)
    }

    /// What is wrong with the mode's label.
    pub fn invalid_mode(&self) -> Option<&InvalidMode> {
        self.mode.as_ref()?.as_ref().err()
    }

    /// The profile that the label names.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_wins_over_the_default() {
        assert_eq!(NamespacePolicy::from_labels(Some("off"), None).mode(Mode::Inject), Mode::Off);
        assert_eq!(NamespacePolicy::default().mode(Mode::Audit), Mode::Audit);
    }

    #[test]
    fn a_label_that_is_no_mode_changes_no_pod_and_is_said() {
        let policy = NamespacePolicy::from_labels(Some("disabled"), None);
        assert_eq!(policy.mode(Mode::Inject), Mode::Warn);
        assert_eq!(
            policy.invalid_mode().map(ToString::to_string).as_deref(),
            Some("`disabled` is not a mode: use off, audit, warn, inject or enforce")
        );
    }

    #[test]
    fn every_mode_reads_its_own_name() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
    }
}
