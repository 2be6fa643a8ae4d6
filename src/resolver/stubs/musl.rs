//! musl: the options it reads, and how. Its DNS code has changed at few releases; those stand here too.
//! Knows nothing of Alpine, which `alpine` does.

use std::time::Duration;

use crate::resolver::options::{ANY_OTHER, Effect, OptionFact};
use crate::resolver::settings::{Pairing, Settings, Transport};
use crate::resolver::{Family, Resolver, Version, options_line};

/// The first release with `search`, `domain` and `ndots` (3d6e2e47).
pub const SEARCH_SINCE: Version = Version::new(1, 1, 13);
/// The first release that reads `attempts` again after 1.1.13 broke it (1a7fa5e5).
pub const ATTEMPTS_FIXED: Version = Version::new(1, 1, 17);
/// The release in which Alpine 3.6 carries that repair as a patch of its own (aports 27bff2a1, in 1.1.16-r15).
pub const ATTEMPTS_PATCHED: Version = Version::new(1, 1, 16);
/// The first release that fails a lookup if either of its two queries, for A and AAAA, fails (5cf1ac24).
pub const ALL_OR_NOTHING_SINCE: Version = Version::new(1, 2, 1);
/// The first release that fetches a truncated answer by TCP (51d4669f).
pub const TCP_SINCE: Version = Version::new(1, 2, 4);
/// The first release whose two queries never share an id (6c858d6f).
pub const DISTINCT_IDS_SINCE: Version = Version::new(1, 2, 4);
/// The first release that skips a `.` in the search list; older ones send a malformed query for it and wait in vain
/// (1e7fb12f, 001c1afb).
pub const ROOT_SEARCH_SAFE_SINCE: Version = Version::new(1, 2, 4);

/// The longest line of resolv.conf, in bytes without the line break, that musl reads since 1.1.13; it skips a longer
/// one (`char line[256]`, src/network/resolvconf.c; measured: 254 is read, 255 is not).
pub const LINE_MAX: usize = 254;
/// The longest search list, in bytes with a space between each two domains: what `search ` leaves of the line.
pub const SEARCH_LIST_MAX: usize = LINE_MAX - "search ".len();

/// What 1.1.12 and older hold of a line (`char line[64]`, src/network/res_msend.c); the rest counts as another line.
const OLD_LINE_MAX: usize = 63;

const RESOLVCONF: &str = "musl v1.2.6 src/network/resolvconf.c";
const OLD_MSEND: &str = "musl v1.1.12 src/network/res_msend.c";
const MEASURED: &str = "musl v1.2.6 src/network/resolvconf.c; measured on 1.1.24 and 1.2.2 to 1.2.6 under 32 faults";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Musl, option, effect, note, source)
}

pub(in crate::resolver) const OPTIONS: &[OptionFact] = &[
    fact("ndots", Effect::Ignored, "has no search list: every name is asked for as it stands", OLD_MSEND)
        .until(1, 1, 13),
    fact(
        "ndots",
        Effect::Honoured,
        "1 unless set, at most 15; a name with so many dots is final and never tried with the search list; \
         the first on the line wins",
        RESOLVCONF,
    )
    .since(1, 1, 13),
    fact("timeout", Effect::Honoured, "seconds for all attempts together, at most 30; 0 sends no query", OLD_MSEND)
        .until(1, 1, 13),
    fact(
        "timeout",
        Effect::Honoured,
        "seconds for all attempts on one name together, 5 unless set, at most 60; 0 sends no query; the first \
         on the line wins",
        RESOLVCONF,
    )
    .since(1, 1, 13),
    fact("attempts", Effect::Honoured, "queries sent within the timeout, 1 to 10, 2 unless set", OLD_MSEND)
        .until(1, 1, 13),
    fact(
        "attempts",
        Effect::Ignored,
        "looks for the number at the wrong place and never finds it, so 2 queries are sent",
        "musl v1.1.14 src/network/resolvconf.c (broken by d6cb08bc)",
    )
    .since(1, 1, 13)
    .until(1, 1, 16),
    fact(
        "attempts",
        Effect::Sometimes,
        "ignored as released, but read with Alpine 3.6's patch, where 0 is a division by zero (SIGFPE)",
        "aports 27bff2a1 (main/musl, patch 0034); measured on Alpine 3.6",
    )
    .since(1, 1, 16)
    .until(1, 1, 17),
    fact(
        "attempts",
        Effect::Honoured,
        "queries sent within the timeout, 2 unless set, at most 10; 0 is a division by zero (SIGFPE); the \
         first on the line wins",
        "musl 1a7fa5e5, v1.2.6 src/network/resolvconf.c and res_msend.c; SIGFPE measured on Alpine 3.6 to 3.20",
    )
    .since(1, 1, 17),
    fact("single-request", Effect::Ignored, "always sends A and AAAA together from one socket", MEASURED),
    fact("single-request-reopen", Effect::Ignored, "always sends A and AAAA together from one socket", MEASURED),
    fact(
        "use-vc",
        Effect::Ignored,
        "always asks by UDP first; since 1.2.4 it fetches a truncated answer by TCP",
        MEASURED,
    ),
    fact("no-aaaa", Effect::Ignored, "asks for AAAA whenever the program wants both families", MEASURED),
    fact("rotate", Effect::Ignored, "always asks all nameservers at once and takes the first answer", RESOLVCONF),
    fact("edns0", Effect::Ignored, "never sends EDNS0", RESOLVCONF),
    fact(
        ANY_OTHER,
        Effect::Ignored,
        "looks for `ndots:`, `attempts:` and `timeout:` on the line and for nothing else",
        RESOLVCONF,
    ),
];

/// What musl makes of an options line. It looks for each name anywhere on the line, within a word too, takes the first,
/// and wants a digit right after the colon.
///
/// 1.1.16 is read as Alpine 3.6 patched it: that is the musl 1.1.16 in use, and the reading in which `attempts:0` is
/// fatal.
pub(in crate::resolver) fn read(resolver: Resolver, options: &[&str]) -> Settings {
    let before = |version| resolver.version.is_some_and(|release| release < version);
    let defaults = Settings {
        resolver,
        ndots: 1,
        timeout: Duration::from_secs(5),
        attempts: 2,
        pairing: Pairing::OneSocket,
        transport: Transport::Udp,
        rotate: false,
        single_request: false,
    };
    if before(SEARCH_SINCE) {
        return read_without_search(defaults, options);
    }
    if "options ".len() + options_line::length(options) > LINE_MAX {
        return defaults;
    }
    let first = |key, most| first_number(options.iter().copied(), key, most);
    let attempts = if before(ATTEMPTS_PATCHED) { None } else { first("attempts:", 10) };
    Settings {
        ndots: first("ndots:", 15).unwrap_or(defaults.ndots),
        timeout: first("timeout:", 60).map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
        attempts: attempts.unwrap_or(defaults.attempts),
        ..defaults
    }
}

/// 1.1.12 and older: a shorter line, other bounds, no ndots.
fn read_without_search(defaults: Settings, options: &[&str]) -> Settings {
    let first = |key, most| first_number(options_line::cut(options, OLD_LINE_MAX - "options ".len()), key, most);
    Settings {
        timeout: first("timeout:", 30).map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
        attempts: first("attempts:", 10).map_or(defaults.attempts, |attempts| attempts.max(1)),
        ..defaults
    }
}

/// The number after the first `key` on the line, or `most` where it is larger.
fn first_number<'a>(mut options: impl Iterator<Item = &'a str>, key: &str, most: u32) -> Option<u32> {
    let (_, value) = options.find_map(|option| option.split_once(key))?;
    options_line::leading_digits(value).map(|number| u32::try_from(number).unwrap_or(most).min(most))
}
