//! How serious the findings of single rules are, where an admin wants it otherwise than muslin.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Level;

/// What an admin wants of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// It is not heard.
    Off,
    /// Each of its findings has this level, whatever the case.
    At(Level),
}

/// A word that is no strictness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: use off, info, warn or deny")]
pub struct InvalidStrictness(String);

/// Strictness by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Levels(BTreeMap<String, Strictness>);

// === impl Strictness ===

impl Strictness {
    /// All of them, from the mildest.
    pub const ALL: [Self; 4] = [Self::Off, Self::At(Level::Info), Self::At(Level::Warn), Self::At(Level::Deny)];

    /// Its name, as in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::At(level) => level.name(),
        }
    }
}

impl fmt::Display for Strictness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strictness {
    type Err = InvalidStrictness;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|strictness| strictness.name() == text);
        found.ok_or_else(|| InvalidStrictness(text.to_owned()))
    }
}

// === impl Levels ===

impl Levels {
    /// Sets what is wanted of a rule.
    pub fn set(&mut self, slug: impl Into<String>, strictness: Strictness) {
        self.0.insert(slug.into(), strictness);
    }

    /// The level of a finding to which its rule gives the level `own`; `None` where it is not to be heard.
    pub fn of(&self, slug: &str, own: Level) -> Option<Level> {
        match self.0.get(slug) {
            None => Some(own),
            Some(Strictness::At(level)) => Some(*level),
            Some(Strictness::Off) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_which_nothing_is_said_keeps_its_level() {
        let mut levels = Levels::default();
        levels.set("a", Strictness::Off);
        levels.set("b", Strictness::At(Level::Info));
        assert_eq!(levels.of("a", Level::Deny), None);
        assert_eq!(levels.of("b", Level::Deny), Some(Level::Info));
        assert_eq!(levels.of("c", Level::Deny), Some(Level::Deny));
    }

    #[test]
    fn every_strictness_reads_its_own_name() {
        for strictness in Strictness::ALL {
            assert_eq!(strictness.name().parse(), Ok(strictness));
        }
        assert!("error".parse::<Strictness>().is_err());
    }
}
