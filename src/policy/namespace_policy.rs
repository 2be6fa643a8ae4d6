//! The labels of one namespace that muslin reads.

use super::mode::{InvalidMode, Mode};
use super::precedence::{ModeInputs, ModeLabel, precedence};

/// Namespace label that names a [`super::Profile`].
pub const PROFILE_LABEL: &str = "muslin.dev/profile";

/// Label of muslin's own namespace, with the value `true`: the webhook configurations exclude the namespace by it, whatever its name.
pub const SELF_LABEL: &str = "muslin.dev/self";

/// The mode and the profile that the labels of one namespace name. Small on purpose: one is kept for each namespace of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePolicy {
    /// The value of the mode's label, if the namespace has it.
    mode: Option<Result<Mode, InvalidMode>>,
    /// The value of the profile's label, if the namespace has it.
    profile: Option<Box<str>>,
}

// === impl NamespacePolicy ===

impl NamespacePolicy {
    /// Returns the policy by the values of [`MODE_LABEL`](super::MODE_LABEL) and [`PROFILE_LABEL`].
    pub fn from_labels(mode: Option<&str>, profile: Option<&str>) -> Self {
        Self { mode: mode.map(str::parse), profile: profile.map(Box::from) }
    }

    /// Returns the mode of pods without annotations, by [`precedence`]; `default` is the mode of namespaces without a label.
    pub fn mode(&self, default: Mode) -> Mode {
        let namespace = match &self.mode {
            None => ModeLabel::Absent,
            Some(Ok(mode)) => ModeLabel::Mode(*mode),
            Some(Err(_)) => ModeLabel::Invalid,
        };
        precedence(&ModeInputs { default, namespace, ..ModeInputs::default() })
            .map_or(Mode::Off, |decision| decision.mode)
    }

    /// Returns what is wrong with the mode's label, if anything.
    pub fn invalid_mode(&self) -> Option<&InvalidMode> {
        self.mode.as_ref()?.as_ref().err()
    }

    /// Returns the profile that the label names.
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
    fn an_invalid_mode_means_warn_and_is_reported() {
        let policy = NamespacePolicy::from_labels(Some("disabled"), None);
        assert_eq!(policy.mode(Mode::Inject), Mode::Warn);
        assert_eq!(
            policy.invalid_mode().map(ToString::to_string).as_deref(),
            Some("`disabled` is not a mode: use off, audit, warn, inject or enforce")
        );
    }
}
