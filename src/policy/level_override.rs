//! The levels that an administrator sets for single rules, in place of the rules' own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::level::Level;

/// The level that an administrator sets for one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LevelOverride {
    /// The rule reports no finding.
    Off,
    /// Every finding of the rule has this level.
    At(Level),
}

/// A word that is not a level override.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: use off, info, warn or deny")]
pub struct InvalidLevelOverride(String);

/// The level overrides by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LevelOverrides(BTreeMap<String, LevelOverride>);

// === impl LevelOverride ===

impl LevelOverride {
    /// Every override, in ascending order.
    pub const ALL: [Self; 4] = [Self::Off, Self::At(Level::Info), Self::At(Level::Warn), Self::At(Level::Deny)];

    /// Returns the override's name, as in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::At(level) => level.name(),
        }
    }
}

impl fmt::Display for LevelOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LevelOverride {
    type Err = InvalidLevelOverride;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|level_override| level_override.name() == text);
        found.ok_or_else(|| InvalidLevelOverride(text.to_owned()))
    }
}

// === impl LevelOverrides ===

impl LevelOverrides {
    /// Sets the override of a rule.
    pub fn set(&mut self, slug: impl Into<String>, level_override: LevelOverride) {
        self.0.insert(slug.into(), level_override);
    }

    /// Returns the level of a finding to which its rule gives the level `own`; `None` if the rule is off.
    pub fn level_of(&self, slug: &str, own: Level) -> Option<Level> {
        match self.0.get(slug) {
            None => Some(own),
            Some(LevelOverride::At(level)) => Some(*level),
            Some(LevelOverride::Off) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_an_override_keeps_its_level() {
        let mut levels = LevelOverrides::default();
        levels.set("a", LevelOverride::Off);
        levels.set("b", LevelOverride::At(Level::Info));
        assert_eq!(levels.level_of("a", Level::Deny), None);
        assert_eq!(levels.level_of("b", Level::Deny), Some(Level::Info));
        assert_eq!(levels.level_of("c", Level::Deny), Some(Level::Deny));
    }

    #[test]
    fn every_override_is_parsed_from_its_own_name() {
        for level_override in LevelOverride::ALL {
            assert_eq!(level_override.name().parse(), Ok(level_override));
        }
        assert!("error".parse::<LevelOverride>().is_err());
    }
}
