//! musl: the options it reads, its timing, its lookups, and the few releases that changed its DNS code. Knows nothing of
//! Alpine, which `alpine` does.

use std::borrow::Cow;
use std::time::Duration;

use crate::resolver::answer::{Answer, Step};
use crate::resolver::change::Change;
use crate::resolver::family::{Family, Resolver};
use crate::resolver::option_fact::{ANY_OTHER, Effect, OptionFact, OptionTable};
use crate::resolver::options_line;
use crate::resolver::settings::{QueryPairing, Settings, Transport, Viability};
use crate::resolver::stub::{NAMESERVERS_MAX, SearchLimit, Stub, join};
use crate::resolver::version::Version;

/// The release of Alpine 3.20 to 3.22, for where any recent one will do.
pub const RECENT: Version = Version::new(1, 2, 5);
/// The first release with `search`, `domain` and `ndots` (3d6e2e47).
pub const SEARCH_SINCE: Version = Version::new(1, 1, 13);
/// The first release that reads `attempts` again after 1.1.13 broke it (1a7fa5e5).
const ATTEMPTS_FIXED: Version = Version::new(1, 1, 17);
/// The release in which Alpine 3.6 carries that fix as a patch of its own (aports 27bff2a1, in 1.1.16-r15).
const ATTEMPTS_PATCHED: Version = Version::new(1, 1, 16);
/// The first release that fails a lookup if either of its two queries, for A and AAAA, fails (5cf1ac24).
pub const ALL_OR_NOTHING_SINCE: Version = Version::new(1, 2, 1);
/// The first release that fetches a truncated answer by TCP (51d4669f). It returns at most 48 addresses of any answer
/// (`MAXADDRS`, src/network/lookup.h).
pub const TCP_SINCE: Version = Version::new(1, 2, 4);
/// The first release whose two queries never share an id (6c858d6f).
pub const DISTINCT_IDS_SINCE: Version = Version::new(1, 2, 4);
/// The first release that skips a `.` in the search list; older ones send a malformed query for it and wait in vain
/// (1e7fb12f, 001c1afb).
const ROOT_SEARCH_SAFE_SINCE: Version = Version::new(1, 2, 4);

/// The longest line of resolv.conf, in bytes without the line break, that musl reads since 1.1.13; longer ones are
/// skipped (`char line[256]`, src/network/resolvconf.c; measured: 254 is read, 255 is not).
pub const LINE_MAX: usize = 254;
/// The longest search list, in bytes with a space between each two domains: the line without `search `.
pub const SEARCH_LIST_MAX: usize = LINE_MAX - "search ".len();

/// The part of a line that fits the buffer of 1.1.12 and older (`char line[64]`, src/network/res_msend.c); the rest
/// counts as another line.
const OLD_LINE_MAX: usize = 63;

const RESOLVCONF: &str = "musl v1.2.6 src/network/resolvconf.c";
const OLD_MSEND: &str = "musl v1.1.12 src/network/res_msend.c";
const MEASURED: &str = "musl v1.2.6 src/network/resolvconf.c; measured on 1.1.24 and 1.2.2 to 1.2.6 under 32 faults";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Musl, option, effect, note, source)
}

static OPTIONS: OptionTable = OptionTable {
    oldest_in_images: Version::new(1, 1, 5), // Alpine 3.1
    rows: &[
        fact("ndots", Effect::Ignored, "has no search list: every name is queried as is", OLD_MSEND).until(1, 1, 13),
        fact(
            "ndots",
            Effect::Honoured,
            "default 1, at most 15; a name with at least that many dots is queried as is and never with the \
         search list; the first on the line counts",
            RESOLVCONF,
        )
        .since(1, 1, 13),
        fact("timeout", Effect::Honoured, "seconds for all attempts together, at most 30; 0 sends no query", OLD_MSEND)
            .until(1, 1, 13),
        fact(
            "timeout",
            Effect::Honoured,
            "seconds for all attempts on one name together, default 5, at most 60; 0 sends no query; the first \
         on the line counts",
            RESOLVCONF,
        )
        .since(1, 1, 13),
        fact("attempts", Effect::Honoured, "queries sent within the timeout, 1 to 10, default 2", OLD_MSEND)
            .until(1, 1, 13),
        fact(
            "attempts",
            Effect::Ignored,
            "looks for the number in the wrong place and never finds it, so it sends 2 queries",
            "musl v1.1.14 src/network/resolvconf.c (broken by d6cb08bc)",
        )
        .since(1, 1, 13)
        .until(1, 1, 16),
        fact(
            "attempts",
            Effect::Sometimes,
            "ignored as released, but read with Alpine 3.6's patch, where 0 is a division by zero: a crash (SIGFPE), on arm64 \
         packets without end",
            "aports 27bff2a1 (main/musl, patch 0034); measured on Alpine 3.6",
        )
        .since(1, 1, 16)
        .until(1, 1, 17),
        fact(
            "attempts",
            Effect::Honoured,
            "queries sent within the timeout, default 2, at most 10; 0 is a division by zero: a crash (SIGFPE), on arm64 packets \
         without end; the first on the line counts",
            "musl 1a7fa5e5, v1.2.6 src/network/resolvconf.c and res_msend.c; SIGFPE measured on x86-64, Alpine 3.6 to 3.20; \
         390 packets for a healthy lookup of 5 ms measured with musl 1.2.5 for arm64",
        )
        .since(1, 1, 17),
        fact("single-request", Effect::Ignored, "always sends A and AAAA together from one socket", MEASURED),
        fact("single-request-reopen", Effect::Ignored, "always sends A and AAAA together from one socket", MEASURED),
        fact(
            "use-vc",
            Effect::Ignored,
            "always queries by UDP first; since 1.2.4 it fetches a truncated answer by TCP",
            MEASURED,
        ),
        fact("no-aaaa", Effect::Ignored, "queries AAAA whenever the program wants both address families", MEASURED),
        fact(
            "rotate",
            Effect::Ignored,
            "always queries all nameservers at once and takes the first answer",
            RESOLVCONF,
        ),
        fact("edns0", Effect::Ignored, "never sends EDNS0", RESOLVCONF),
        fact(
            ANY_OTHER,
            Effect::Ignored,
            "looks for `ndots:`, `attempts:` and `timeout:` on the line and for nothing else",
            RESOLVCONF,
        ),
    ],
};

static CHANGES: [Change; 7] = [
    Change::fix(
        SEARCH_SINCE,
        "has no search list, so that short names of Services do not resolve",
        "reads `search`, `domain` and `ndots`",
        "musl 3d6e2e47",
    ),
    Change::fix(
        ATTEMPTS_FIXED,
        "writes past its array of addresses when an answer holds too many of them (CVE-2017-15650)",
        "bounds the number of addresses that it takes from an answer",
        "musl 45ca5d3f",
    ),
    Change::regression(
        ALL_OR_NOTHING_SINCE,
        "returns the addresses of the family that answered, after the full timeout",
        "fails a lookup if either of its queries, for A and AAAA, fails, even if the other was answered",
        "musl 5cf1ac24; measured on 1.1.24 and 1.2.2 to 1.2.6",
    ),
    Change::fix(
        TCP_SINCE,
        "never uses TCP: if an answer does not fit a packet, it takes the records that fit, or fails",
        "fetches a truncated answer by TCP, and returns at most 48 of its addresses",
        "musl 51d4669f, MAXADDRS in v1.2.6 src/network/lookup.h; measured on Alpine 3.17 and older, 3.18 and newer; of 100 A \
         records 1.2.5 and 1.2.6 gave 48, glibc and Go 100",
    ),
    Change::fix(
        DISTINCT_IDS_SINCE,
        "can give its A and its AAAA query the same id where the clock is coarse; if the A query is then lost, it is never \
         sent again",
        "gives its two queries different ids",
        "musl 6c858d6f; measured with a coarse clock",
    ),
    Change::fix(
        ROOT_SEARCH_SAFE_SINCE,
        "waits in vain for the answer to a malformed query if the search list holds `.`, so that every searched lookup fails",
        "skips a `.` in the search list",
        "musl 1e7fb12f, 001c1afb; measured on Alpine 3.4 to 3.17",
    ),
    Change::fix(
        Version::new(1, 2, 5),
        "cannot read answers with long CNAME chains, over 63 records, or names stored past their first 512 bytes \
         (Alpine 3.18 and 3.19 carry the fixes in their 1.2.4)",
        "reads such answers",
        "musl a4ecaf89, 83b858f8, 8c086e76; aports d82f2054 (3.18), ca7f2ab5 (3.19)",
    ),
];

/// The stub of musl.
pub(in crate::resolver) struct Musl;

// === impl Musl ===

impl Stub for Musl {
    fn summary(&self) -> &'static str {
        "musl libc, the C library of Alpine Linux: the resolver of every program there that calls getaddrinfo."
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["libc-musl"]
    }

    fn release_name(&self, version: Version) -> String {
        version.to_string()
    }

    fn is_measured(&self) -> bool {
        true
    }

    fn options(&self) -> &'static OptionTable {
        &OPTIONS
    }

    fn changes(&self) -> &'static [Change] {
        &CHANGES
    }

    /// musl looks for each name anywhere on the line, within a word too, takes the first, and wants a digit right after
    /// the colon.
    ///
    /// 1.1.16 is read as Alpine 3.6 patched it: that is the musl 1.1.16 in use, and the reading in which `attempts:0` is
    /// fatal.
    fn read_options(&self, resolver: Resolver, options: &[&str]) -> Settings {
        let defaults = Settings {
            resolver,
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            pairing: QueryPairing::OneSocket,
            transport: Transport::Udp,
            rotate: false,
            single_request: false,
        };
        if resolver.is_before(SEARCH_SINCE) {
            return read_options_without_search(defaults, options);
        }
        if "options ".len() + options_line::length(options) > LINE_MAX {
            return defaults;
        }
        let first = |key, most| first_number(options.iter().copied(), key, most);
        let attempts = if resolver.is_before(ATTEMPTS_PATCHED) { None } else { first("attempts:", 10) };
        Settings {
            ndots: first("ndots:", 15).unwrap_or(defaults.ndots),
            timeout: first("timeout:", 60).map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
            attempts: attempts.unwrap_or(defaults.attempts),
            ..defaults
        }
    }

    fn read_environment(&self, settings: Settings, _: &str) -> Settings {
        settings
    }

    /// `retry_interval = timeout / attempts` in integers, before anything else (src/network/res_msend.c). x86-64 traps on it:
    /// SIGFPE was measured on Alpine 3.6 to 3.20. arm64 does not: the interval is then 0, so that musl sends again without a
    /// pause until it has both answers or the timeout ends. Measured with musl 1.2.5 for aarch64 under qemu: 390 packets for
    /// a healthy lookup of 5 ms, 194,886 packets in the 5 s of one that nothing answers.
    fn viability(&self, settings: &Settings) -> Viability {
        match settings {
            Settings { attempts: 0, .. } => Viability::Crashes,
            Settings { timeout: Duration::ZERO, .. } => Viability::NeverSends,
            _ => Viability::Works,
        }
    }

    fn nameservers_used(&self, listed: u32) -> u32 {
        listed.clamp(1, NAMESERVERS_MAX)
    }

    /// In whole milliseconds: `retry_interval = timeout / attempts` (src/network/res_msend.c).
    fn resend_after(&self, settings: &Settings) -> Duration {
        let Settings { timeout, attempts, .. } = settings;
        timeout
            .checked_div(*attempts)
            .map_or(*timeout, |interval| Duration::from_millis(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)))
    }

    fn resends(&self, settings: &Settings) -> bool {
        settings.attempts > 1
    }

    fn slowest_answer(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    /// All servers are queried at once, and a timeout ends the search.
    fn gives_up_after(&self, settings: &Settings, _: u32, _: u32) -> Option<Duration> {
        Some(settings.timeout)
    }

    /// All servers are queried at once.
    fn dead_nameserver_delay(&self, _: &Settings, _: u32, _: u32, _: u32) -> Duration {
        Duration::ZERO
    }

    fn names_raced(&self, names: u32) -> u32 {
        names
    }

    fn ndots(&self, _: Resolver, ndots: u32) -> u32 {
        ndots
    }

    fn searches_dotted_names(&self) -> bool {
        false
    }

    /// The whole list or nothing of it.
    fn search_limit(&self, resolver: Resolver, length: usize) -> SearchLimit {
        if resolver.is_before(SEARCH_SINCE) || length > SEARCH_LIST_MAX {
            SearchLimit::NOTHING
        } else {
            SearchLimit::UNLIMITED
        }
    }

    fn search_name<'a>(&self, resolver: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>> {
        match domain {
            "." if resolver.is_before(ROOT_SEARCH_SAFE_SINCE) => Some(Cow::Owned(format!("{name}.."))),
            "." => None,
            _ if name.len() + domain.len() >= 255 => None, // `z-p < 256 - l - 1`, src/network/lookup_name.c
            _ => Some(join(name, domain)),
        }
    }

    fn root_domain_replaces_name(&self) -> bool {
        false
    }

    /// `if (cnt) return cnt`, where only NXDOMAIN gives 0 (src/network/lookup_name.c; measured). An answer other than NOERROR,
    /// NXDOMAIN and SERVFAIL is dropped, which is the same as no answer (src/network/res_msend.c).
    fn step(&self, _: Resolver, _: &str, _: bool, answer: Answer) -> Step {
        match answer {
            Answer::Address => Step::Found,
            Answer::NxDomain => Step::Next,
            Answer::NoData | Answer::ServFail | Answer::Refused | Answer::Timeout => Step::Stop,
        }
    }
}

/// Reads options as 1.1.12 and older do: a shorter line, other bounds, no ndots.
fn read_options_without_search(defaults: Settings, options: &[&str]) -> Settings {
    let first = |key, most| first_number(options_line::cut(options, OLD_LINE_MAX - "options ".len()), key, most);
    Settings {
        timeout: first("timeout:", 30).map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
        attempts: first("attempts:", 10).map_or(defaults.attempts, |attempts| attempts.max(1)),
        ..defaults
    }
}

/// The number after the first `key` on the line, or `most` if it is larger.
fn first_number<'a>(mut options: impl Iterator<Item = &'a str>, key: &str, most: u32) -> Option<u32> {
    let value = options.find_map(|option| options_line::after(option, key))?;
    options_line::leading_digits(value).map(|number| u32::try_from(number).unwrap_or(most).min(most))
}
