//! uClibc and uClibc-ng: the options they read, their timing and their lookups. Read in their source, not measured.
//! uClibc's last release is 0.9.33; uClibc-ng counts from 1.0.0. Knows nothing of the images that carry them.

use std::borrow::Cow;
use std::time::Duration;

use crate::resolver::answer::{Answer, Step};
use crate::resolver::change::Change;
use crate::resolver::family::{Family, Resolver};
use crate::resolver::option_fact::{ANY_OTHER, Effect, OptionFact, OptionTable};
use crate::resolver::options_line;
use crate::resolver::settings::{QueryPairing, Settings, Transport, Viability};
use crate::resolver::stub::{SearchLimit, Stub, join};
use crate::resolver::version::Version;

/// The bytes of a line that fit the buffer; the rest counts as another line (`char szBuffer[MAXLEN_searchdomain]`).
const LINE_MAX: usize = 127;
/// The bytes of a search list that fit the buffer, with a space between each two domains.
pub const SEARCH_LIST_MAX: usize = LINE_MAX - "search ".len();

/// The first release that tries a name without dots with the search list first (uClibc-ng 03e03e71a).
const SEARCH_FIRST_SINCE: Version = Version::new(1, 0, 16);

const SOURCE: &str = "kraj/uClibc libc/inet/resolv.c __open_nameservers (cca45baf, tag v0.9.31); \
                      the same in wbx-github/uclibc-ng 5e6fd08b";

const fn fact(option: &'static str, effect: Effect, note: &'static str) -> OptionFact {
    OptionFact::new(Family::Uclibc, option, effect, note, SOURCE)
}

static OPTIONS: OptionTable = OptionTable {
    oldest_in_images: Version::new(0, 9, 33), // Buildroot before uClibc-ng
    rows: &[
        fact(
            "timeout",
            Effect::Sometimes,
            "seconds for each query, default 5, modulo 256, 0 fails every lookup; read only if it is the first \
         option on the line",
        )
        .since(0, 9, 31),
        fact(
            "attempts",
            Effect::Sometimes,
            "rounds through the nameservers, default 3, modulo 256, 0 is 1; read only if it is the first option on the \
         line",
        )
        .since(0, 9, 31),
        fact("ndots", Effect::Ignored, "queries a name with a dot as is first, then with the search list"),
        fact(
            "rotate",
            Effect::Ignored,
            "stays with the nameserver that last answered; the option is a TODO in its source",
        ),
        fact(
            ANY_OTHER,
            Effect::Ignored,
            "compares the first option of the line with `timeout` and `attempts`, and reads no other",
        ),
    ],
};

static CHANGES: [Change; 1] = [Change::fix(
    SEARCH_FIRST_SINCE,
    "queries a name without dots as is first",
    "tries a name without dots with the search list first",
    "uclibc-ng 03e03e71a",
)];

/// The stub of uClibc and uClibc-ng.
pub(in crate::resolver) struct Uclibc;

// === impl Uclibc ===

impl Stub for Uclibc {
    fn summary(&self) -> &'static str {
        "uClibc and uClibc-ng, the C library of small images such as busybox's own."
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["uclibc-ng"]
    }

    fn release_name(&self, version: Version) -> String {
        version.to_string()
    }

    fn is_measured(&self) -> bool {
        false
    }

    fn options(&self) -> &'static OptionTable {
        &OPTIONS
    }

    fn changes(&self) -> &'static [Change] {
        &CHANGES
    }

    /// The text before the first colon of the line has to be `timeout` or `attempts`, so only the first option of the line
    /// can count.
    fn read_options(&self, resolver: Resolver, options: &[&str]) -> Settings {
        let mut settings = Settings {
            resolver,
            ndots: self.ndots(resolver, 1),
            timeout: Duration::from_secs(5),
            attempts: 3,
            pairing: QueryPairing::TwoSocketsSerial, // getaddrinfo makes one lookup after the other, each on a new socket
            transport: Transport::Udp,
            rotate: false,
            single_request: false,
        };
        let mut words = options_line::cut(options, LINE_MAX - "options ".len()).map(str::trim_ascii_start);
        let first = words.find(|word| !word.is_empty()).and_then(|word| word.split_once(':'));
        if let Some((name, value)) = first.filter(|(name, _)| !OPTIONS.support(resolver.version, name).is_ignored()) {
            match name {
                "timeout" => settings.timeout = Duration::from_secs(byte(value).into()),
                // The loop counts down after it has sent, so 0 is 1.
                "attempts" => settings.attempts = u32::from(byte(value)).max(1),
                _ => {}
            }
        }
        settings
    }

    fn read_environment(&self, settings: Settings, _: &str) -> Settings {
        settings
    }

    fn viability(&self, settings: &Settings) -> Viability {
        if settings.timeout.is_zero() { Viability::NeverWaits } else { Viability::Works }
    }

    fn nameservers_used(&self, listed: u32) -> u32 {
        listed.max(1)
    }

    fn resend_after(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    fn resends(&self, settings: &Settings) -> bool {
        settings.attempts > 1
    }

    fn slowest_answer(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    /// A timeout ends the search; A and AAAA are queried one after the other.
    fn gives_up_after(&self, settings: &Settings, nameservers: u32, _: u32) -> Option<Duration> {
        let rounds = settings.attempts.saturating_mul(nameservers);
        Some(settings.timeout.saturating_mul(rounds).saturating_mul(2))
    }

    /// uClibc remembers the server that answered.
    fn dead_nameserver_delay(&self, settings: &Settings, dead: u32, _: u32, _: u32) -> Duration {
        settings.timeout.saturating_mul(dead)
    }

    fn names_raced(&self, names: u32) -> u32 {
        names
    }

    /// No option changes it.
    fn ndots(&self, resolver: Resolver, _: u32) -> u32 {
        u32::from(!resolver.is_before(SEARCH_FIRST_SINCE))
    }

    fn searches_dotted_names(&self) -> bool {
        true
    }

    fn search_limit(&self, _: Resolver, _: usize) -> SearchLimit {
        SearchLimit { domains: usize::MAX, bytes: SEARCH_LIST_MAX }
    }

    fn search_name<'a>(&self, _: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>> {
        Some(if domain == "." { Cow::Owned(format!("{name}..")) } else { join(name, domain) })
    }

    fn root_domain_replaces_name(&self) -> bool {
        false
    }

    /// `__dns_lookup` (libc/inet/resolv.c; not measured).
    fn step(&self, _: Resolver, _: &str, _: bool, answer: Answer) -> Step {
        match answer {
            Answer::Address => Step::Found,
            Answer::NxDomain | Answer::ServFail => Step::Next,
            Answer::NoData | Answer::Refused | Answer::Timeout => Step::Stop,
        }
    }
}

/// `uint8_t n = atoi(value)`.
fn byte(value: &str) -> u8 {
    options_line::int(value).to_le_bytes()[0]
}
