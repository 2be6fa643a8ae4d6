//! What an admin decides: how far muslin goes in a namespace, how serious a finding is, and what is injected. Must not know of
//! Kubernetes' API or of any one rule.

mod config;
mod declared;
mod did_you_mean;
mod exempt;
mod levels;
mod mode;
mod option_rows;
mod precedence;
mod profile;

use std::fmt;
use std::str::FromStr;

pub use config::{Config, InvalidConfig, Pattern};
pub use declared::Declared;
pub use did_you_mean::did_you_mean;
pub use exempt::Exempt;
pub use levels::{InvalidStrictness, Levels, Strictness};
pub use mode::{InvalidMode, MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL};
pub use option_rows::{Condition, ContainerResolver, OptionRow};
pub use precedence::{Decided, Label, Nature, Says, Skip, Wish, precedence};
pub use profile::{NodeLocal, OnConflict, Profile, Releases, UnknownProfile};

/// The namespace that muslin never looks at, whatever its labels: the cluster's own components start there, and must start
/// when muslin cannot.
pub const SYSTEM_NAMESPACE: &str = "kube-system";

/// Whether muslin keeps its hands off a namespace, whatever its labels: `kube-system`, and muslin's own.
pub fn is_excluded(namespace: &str, own_namespace: Option<&str>) -> bool {
    namespace == SYSTEM_NAMESPACE || Some(namespace) == own_namespace
}

/// How serious a finding is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing; nothing has to be done.
    Info,
    /// Lookups are slower or fail more often than they need.
    Warn,
    /// Lookups fail.
    Deny,
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: use deny, warn or info")]
pub struct InvalidLevel(String);

// === impl Level ===

impl Level {
    /// Its name, as in options and reports.
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
