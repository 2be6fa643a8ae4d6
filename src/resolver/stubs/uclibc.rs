//! uClibc and uClibc-ng: the options they read, and how. Read in their source, not measured. uClibc's last release is
//! 0.9.33; uClibc-ng counts from 1.0.0. Knows nothing of what images carry them.

use std::time::Duration;

use crate::resolver::options::{ANY_OTHER, Effect, OptionFact};
use crate::resolver::settings::{Pairing, Settings, Transport};
use crate::resolver::{Family, Resolver, Version, options_line};

/// What the buffer holds of a line; the rest counts as another line (`char szBuffer[MAXLEN_searchdomain]`).
const LINE_MAX: usize = 127;
/// What it holds of a search list, in bytes with a space between each two domains.
pub const SEARCH_LIST_MAX: usize = LINE_MAX - "search ".len();

/// The first release that tries a name without dots with the search list first (uClibc-ng 03e03e71a).
pub(in crate::resolver) const SEARCH_FIRST_SINCE: Version = Version::new(1, 0, 16);

const SOURCE: &str = "kraj/uClibc libc/inet/resolv.c __open_nameservers (cca45baf, tag v0.9.31); \
                      the same in wbx-github/uclibc-ng 5e6fd08b";

const fn fact(option: &'static str, effect: Effect, note: &'static str) -> OptionFact {
    OptionFact::new(Family::Uclibc, option, effect, note, SOURCE)
}

pub(in crate::resolver) const OPTIONS: &[OptionFact] = &[
    fact(
        "timeout",
        Effect::Sometimes,
        "seconds for each query, 5 unless set, modulo 256, 0 fails every lookup; read only if it stands first \
         on the line",
    )
    .since(0, 9, 31),
    fact(
        "attempts",
        Effect::Sometimes,
        "rounds through the nameservers, 3 unless set, modulo 256, 0 is 1; read only if it stands first on the line",
    )
    .since(0, 9, 31),
    fact("ndots", Effect::Ignored, "a name with any dot is asked for as it stands first, then with the search list"),
    fact(
        "rotate",
        Effect::Ignored,
        "stays with the nameserver that last answered, and the option is a TODO in its source",
    ),
    fact(
        ANY_OTHER,
        Effect::Ignored,
        "compares the first option of the line with `timeout` and `attempts`, and reads no other",
    ),
];

/// What uClibc makes of an options line: all before its first colon has to be `timeout` or `attempts`, so only the
/// first option of the line can count.
pub(in crate::resolver) fn read(resolver: Resolver, options: &[&str]) -> Settings {
    let mut settings = Settings {
        resolver,
        ndots: ndots(resolver),
        timeout: Duration::from_secs(5),
        attempts: 3,
        pairing: Pairing::TwoSocketsSerial, // getaddrinfo makes one lookup after the other, each query on a new socket
        transport: Transport::Udp,
        rotate: false,
        single_request: false,
    };
    let mut words = options_line::cut(options, LINE_MAX - "options ".len()).map(str::trim_ascii_start);
    let first = words.find(|word| !word.is_empty()).and_then(|word| word.split_once(':'));
    if let Some((name, value)) = first.filter(|(name, _)| !resolver.support(name).is_ignored()) {
        match name {
            "timeout" => settings.timeout = Duration::from_secs(byte(value).into()),
            // The loop counts down after it has sent, so none is one.
            "attempts" => settings.attempts = u32::from(byte(value)).max(1),
            _ => {}
        }
    }
    settings
}

/// How many dots a name needs to be asked for as it stands first; no option changes it.
pub(in crate::resolver) fn ndots(resolver: Resolver) -> u32 {
    u32::from(resolver.version.is_none_or(|release| release >= SEARCH_FIRST_SINCE))
}

/// `uint8_t n = atoi(value)`.
fn byte(value: &str) -> u8 {
    options_line::int(value).to_le_bytes()[0]
}
