//! Which resolver acts on which resolv.conf option, by release: the table and the questions asked of it. The rows stand
//! in one file a family, beside the code that reads an options line as that family does. Knows nothing of the values on
//! a line.

use std::ops::Range;

use super::stubs::{c_ares, glibc, go, musl, uclibc};
use super::{Family, Resolver, Version};

/// The `option` of the row that stands for every option without a row of its own.
pub(super) const ANY_OTHER: &str = "*";

/// What a resolver does with an option in some range of its releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionFact {
    /// Whose code it is.
    pub family: Family,
    /// The option's name without its value; `*` for every option that has no row of its own.
    pub option: &'static str,
    /// Whether it changes anything.
    pub effect: Effect,
    /// The first release of which this is true; `None`: from the beginning.
    pub since: Option<Version>,
    /// The first release of which this is no longer true; `None`: to this day.
    pub until: Option<Version>,
    /// One sentence: what this resolver makes of it.
    pub note: &'static str,
    /// Where that is written, or that it was measured.
    pub source: &'static str,
}

/// Whether an option changes anything in the releases of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It does what it says.
    Honoured,
    /// It does nothing.
    Ignored,
    /// It depends on what a release number does not tell: its place on the line, or a packager's patch.
    Sometimes,
}

/// What can be said of an option for one resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// It does what it says.
    Honoured,
    /// It does nothing.
    Ignored,
    /// It depends on what is not known: the release, its place on the line, or a packager's patch.
    Varies,
    /// Nothing can be said: the resolver itself is not known.
    Unclear,
}

/// Every row, one family after the other.
pub fn option_facts() -> impl Iterator<Item = &'static OptionFact> {
    [musl::OPTIONS, glibc::OPTIONS, go::OPTIONS, uclibc::OPTIONS, c_ares::OPTIONS].into_iter().flatten()
}

/// Whether some resolver acts on an option of this name, or once did.
pub fn known_option(name: &str) -> bool {
    name != ANY_OTHER && option_facts().any(|fact| fact.option == name)
}

/// The names of all options that some resolver acts on, or once did, in alphabetical order.
pub fn known_options() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = option_facts().map(|fact| fact.option).filter(|name| *name != ANY_OTHER).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Whether this option is written with a number, as `ndots:2` is; the others are switches.
pub fn takes_number(name: &str) -> bool {
    matches!(name, "ndots" | "timeout" | "attempts" | "retrans" | "retry")
}

/// Where in `text` stand the digits that give `option` the number zero: `9..10` in `attempts:0`. Some resolver reads
/// them wherever the option's name and a colon stand before them, even within a word, as musl does.
pub fn zero_digits(text: &str, option: &str) -> Option<Range<usize>> {
    text.match_indices(option).find_map(|(start, _)| {
        let digits = text[start + option.len()..].strip_prefix(':')?;
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let start = text.len() - digits.len();
        let zero = length > 0 && digits.bytes().take(length).all(|digit| digit == b'0');
        zero.then(|| start..start + length)
    })
}

/// The oldest release that is still met in images. A resolver whose release is not known is taken to be no older, so
/// that options as old as these do not count as uncertain.
const fn oldest_in_images(family: Family) -> Version {
    match family {
        Family::Musl => Version::new(1, 1, 5), // Alpine 3.1
        Family::Glibc => glibc::OLDEST_IN_IMAGES,
        Family::Go => Version::new(1, 2, 0), // the first release after containers became common
        Family::Uclibc => Version::new(0, 9, 33), // Buildroot's before uClibc-ng
        Family::CAres => Version::new(1, 10, 0), // Node 0.12
        Family::Static | Family::Unknown => Version::new(0, 0, 0),
    }
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

    /// Whether this row speaks of that release.
    pub fn covers(&self, version: Version) -> bool {
        self.since.is_none_or(|since| since <= version) && self.until.is_none_or(|until| version < until)
    }

    /// Whether this row is about that option, and about that release where it is known.
    fn speaks_of(&self, option: &str, version: Option<Version>) -> bool {
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
    /// Whether the option certainly does nothing.
    pub const fn is_ignored(self) -> bool {
        matches!(self, Self::Ignored)
    }

    /// Whether the option certainly does what it says.
    pub const fn is_honoured(self) -> bool {
        matches!(self, Self::Honoured)
    }
}

// === impl Family ===

impl Family {
    /// This family's rows.
    const fn option_facts(self) -> &'static [OptionFact] {
        match self {
            Self::Musl => musl::OPTIONS,
            Self::Glibc => glibc::OPTIONS,
            Self::Go => go::OPTIONS,
            Self::Uclibc => uclibc::OPTIONS,
            Self::CAres => c_ares::OPTIONS,
            Self::Static | Self::Unknown => &[],
        }
    }
}

// === impl Resolver ===

impl Resolver {
    /// What this resolver does with the option of this name (without a value). Where the release is not known, all
    /// releases that are met in images have to agree; otherwise it varies.
    pub fn support(self, option: &str) -> Support {
        let Self { family, version, cgo: _ } = self;
        if matches!(family, Family::Static | Family::Unknown) {
            return Support::Unclear;
        }
        let rows = || family.option_facts().iter().filter(|fact| fact.option == option);
        let at = |version| rows().find(|fact| fact.covers(version)).map_or(Support::Ignored, |fact| fact.effect.into());
        if let Some(version) = version {
            return at(version);
        }
        // Support changes only where a row begins or ends.
        let oldest = oldest_in_images(family);
        let changes = rows().flat_map(|fact| [fact.since, fact.until]).flatten().filter(|change| *change > oldest);
        let first = at(oldest);
        if changes.map(at).all(|later| later == first) { first } else { Support::Varies }
    }

    /// The rows that say what this resolver does with the option of this name: those of its release, or of all releases
    /// where the release is not known; the row for any other option where it has none of its own.
    pub fn facts(self, option: &str) -> impl Iterator<Item = &'static OptionFact> + use<> {
        let Self { family, version, cgo: _ } = self;
        let rows = family.option_facts();
        let own = rows.iter().find(|fact| fact.speaks_of(option, version));
        let option = own.map_or(ANY_OTHER, |fact| fact.option);
        rows.iter().filter(move |fact| fact.speaks_of(option, version))
    }
}
