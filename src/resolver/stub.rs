//! The trait of a stub resolver. No method has a default, so that a resolver with a missing part does not compile.

use std::borrow::Cow;
use std::time::Duration;

use super::answer::{Answer, Step};
use super::change::Change;
use super::family::Resolver;
use super::option_fact::OptionTable;
use super::settings::{Settings, Viability};
use super::version::Version;

/// The nameservers that musl, glibc and Go take from resolv.conf; they skip more (`MAXNS`; Go:
/// src/net/dnsconfig_unix.go).
pub const NAMESERVERS_MAX: u32 = 3;

/// The part of a search list that a resolver keeps.
pub(super) struct SearchLimit {
    /// The number of domains, from the first.
    pub(super) domains: usize,
    /// The bytes in which they have to end, with a space between each two; a longer list is cut, even within a domain.
    pub(super) bytes: usize,
}

/// A stub resolver. Durations count only waits: a round trip on a healthy network counts as no time.
pub(super) trait Stub: Sync {
    // Texts for people.

    /// Whose code the resolver is and where it is found, in one or two sentences.
    fn summary(&self) -> &'static str;

    /// Other names by which people ask for it, in lower case.
    fn aliases(&self) -> &'static [&'static str];

    /// A release as the project writes it.
    fn release_name(&self, version: Version) -> String;

    /// Returns true if a laboratory checked the timing; otherwise it follows from the source alone.
    fn is_measured(&self) -> bool;

    // Options and settings.

    /// The effect of each option, by release.
    fn options(&self) -> &'static OptionTable;

    /// The changes between releases, the oldest first.
    fn changes(&self) -> &'static [Change];

    /// Reads `options`, each one `name[:value]`, in their order on the line. An unknown release is read as a current
    /// one.
    fn read_options(&self, resolver: Resolver, options: &[&str]) -> Settings;

    /// Reads the environment variable `RES_OPTIONS` after the file.
    fn read_environment(&self, settings: Settings, res_options: &str) -> Settings;

    /// Judges if any name can resolve with these settings.
    fn viability(&self, settings: &Settings) -> Viability;

    // Time, for settings that are viable.

    /// The number of nameservers asked, of those listed in resolv.conf; without any, all resolvers ask the local host.
    fn nameservers_used(&self, listed: u32) -> u32;

    /// The time between a query and its repetition.
    fn resend_after(&self, settings: &Settings) -> Duration;

    /// Returns true if a lost query is sent again.
    fn resends(&self, settings: &Settings) -> bool;

    /// The longest time a nameserver may take for its answer to be accepted.
    fn slowest_answer(&self, settings: &Settings) -> Duration;

    /// The time until a lookup of `names` names fails if none of `nameservers` answers; `None` if no option bounds it.
    fn gives_up_after(&self, settings: &Settings, nameservers: u32, names: u32) -> Option<Duration>;

    /// The delay of a lookup if the first `dead` of `nameservers` do not answer, and the last of `names` exists.
    fn dead_nameserver_delay(&self, settings: &Settings, dead: u32, nameservers: u32, names: u32) -> Duration;

    /// The number of names, of a lookup's `names`, that wait for a resend if the second of each two packets sent
    /// together is lost.
    fn names_raced(&self, names: u32) -> u32;

    // The names of a lookup.

    /// The number of dots from which a name is first queried as is, where the settings say `ndots`.
    fn ndots(&self, resolver: Resolver, ndots: u32) -> u32;

    /// Returns true if a name with enough dots is tried with the search list too.
    fn searches_dotted_names(&self) -> bool;

    /// The part that the resolver keeps of a search list of this length in bytes.
    fn search_limit(&self, resolver: Resolver, length: usize) -> SearchLimit;

    /// The name below a domain of the search list; `None` if the resolver skips the pair.
    fn search_name<'a>(&self, resolver: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>>;

    /// Returns true if a `.` in the search list takes the place of the name as is.
    fn root_domain_replaces_name(&self) -> bool;

    /// The step after `answer` to the query for `name`, which is the name `as_is` or one of the search list.
    fn step(&self, resolver: Resolver, name: &str, as_is: bool, answer: Answer) -> Step;
}

// === impl SearchLimit ===

impl SearchLimit {
    /// The whole list.
    pub(super) const UNLIMITED: Self = Self { domains: usize::MAX, bytes: usize::MAX };
    /// Nothing of the list.
    pub(super) const NOTHING: Self = Self { domains: 0, bytes: 0 };
}

/// `name.domain`, without a trailing dot.
pub(super) fn join(name: &str, domain: &str) -> Cow<'static, str> {
    Cow::Owned(format!("{name}.{}", domain.strip_suffix('.').unwrap_or(domain)))
}
