//! A fact about a resolv.conf option: what one resolver does with it, in which releases. The rows stand with each
//! resolver, in `stubs/`. Knows nothing of the values on a line.

use super::family::Family;
use super::version::Version;

/// The `option` of the row that stands for every option without a row of its own.
pub(super) const ANY_OTHER: &str = "*";

/// The effect of an option on a resolver in some range of its releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionFact {
    /// The resolver's family.
    pub family: Family,
    /// The option's name without its value; `*` for every option that has no row of its own.
    pub option: &'static str,
    /// The effect.
    pub effect: Effect,
    /// The first release of which this is true; `None`: from the beginning.
    pub since: Option<Version>,
    /// The first release of which this is no longer true; `None`: to this day.
    pub until: Option<Version>,
    /// The effect in words, as a clause without a subject.
    pub note: &'static str,
    /// The source or the measurement.
    pub source: &'static str,
}

/// The effect of an option in the releases of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The option does what it says.
    Honoured,
    /// The option does nothing.
    Ignored,
    /// The effect depends on more than the release: the option's place on the line, or a packager's patch.
    Sometimes,
}

/// The known effect of an option on one resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// The option does what it says.
    Honoured,
    /// The option does nothing.
    Ignored,
    /// The effect depends on an unknown: the release, the option's place on the line, or a packager's patch.
    Varies,
    /// The resolver itself is unknown.
    Unclear,
}

/// Everything that one resolver does with options.
#[derive(Debug)]
pub(super) struct OptionTable {
    /// The oldest release still found in images. An unknown release is taken to be no older, so that options as old as
    /// this do not count as uncertain.
    pub(super) oldest_in_images: Version,
    /// The rows; those of one option stand in the order of their releases.
    pub(super) rows: &'static [OptionFact],
}

/// Returns true if this option is written with a number, as `ndots:2` is; the others are switches.
pub fn takes_number(name: &str) -> bool {
    matches!(name, "ndots" | "timeout" | "attempts" | "retrans" | "retry")
}

// === impl OptionFact ===

impl OptionFact {
    /// A row that is true of every release.
    pub(super) const fn new(
        family: Family,
        option: &'static str,
        effect: Effect,
        note: &'static str,
        source: &'static str,
    ) -> Self {
        Self { family, option, effect, since: None, until: None, note, source }
    }

    /// This row, from a release on.
    pub(super) const fn since(self, major: u16, minor: u16, patch: u16) -> Self {
        Self { since: Some(Version::new(major, minor, patch)), ..self }
    }

    /// This row, in releases before this one.
    pub(super) const fn until(self, major: u16, minor: u16, patch: u16) -> Self {
        Self { until: Some(Version::new(major, minor, patch)), ..self }
    }

    /// Returns true if this row is about that release.
    pub fn covers(&self, version: Version) -> bool {
        self.since.is_none_or(|since| since <= version) && self.until.is_none_or(|until| version < until)
    }

    /// Returns true if this row is about that option, and about that release if it is known.
    fn is_about(&self, option: &str, version: Option<Version>) -> bool {
        self.option == option && version.is_none_or(|version| self.covers(version))
    }
}

// === impl Effect ===

impl From<Effect> for Support {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Honoured => Self::Honoured,
            Effect::Ignored => Self::Ignored,
            Effect::Sometimes => Self::Varies,
        }
    }
}

// === impl Support ===

impl Support {
    /// Returns true if the option certainly does nothing.
    pub const fn is_ignored(self) -> bool {
        matches!(self, Self::Ignored)
    }
}

// === impl OptionTable ===

impl OptionTable {
    /// The effect of the option of this name (without a value). If the release is unknown, all releases found in images
    /// have to agree; otherwise the effect varies.
    pub(super) fn support(&self, version: Option<Version>, option: &str) -> Support {
        let Self { oldest_in_images, rows } = self;
        let rows = || rows.iter().filter(|fact| fact.option == option);
        let at = |version| rows().find(|fact| fact.covers(version)).map_or(Support::Ignored, |fact| fact.effect.into());
        if let Some(version) = version {
            return at(version);
        }
        // Support changes only where a row begins or ends.
        let changes = rows().flat_map(|fact| [fact.since, fact.until]).flatten();
        let first = at(*oldest_in_images);
        let mut later = changes.filter(|change| change > oldest_in_images).map(at);
        if later.all(|later| later == first) { first } else { Support::Varies }
    }

    /// The rows about the option of this name: those of one release, or of all releases if it is unknown; the row for
    /// any other option if the option has no row of its own.
    pub(super) fn facts(
        &self,
        version: Option<Version>,
        option: &str,
    ) -> impl Iterator<Item = &'static OptionFact> + use<> {
        let rows = self.rows;
        let own = rows.iter().find(|fact| fact.is_about(option, version));
        let option = own.map_or(ANY_OTHER, |fact| fact.option);
        rows.iter().filter(move |fact| fact.is_about(option, version))
    }
}
