//! The GNU C library: the options it reads, its timing and its lookups. Knows nothing of distributions.

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

/// The oldest release still found in images (CentOS 6).
pub const OLDEST_IN_IMAGES: Version = Version::new(2, 12, 0);
/// The first release that takes a search list of any length (3f853f22c8).
pub const LONG_SEARCH_SINCE: Version = Version::new(2, 26, 0);
/// The search domains that older ones take, and the bytes of the list (`MAXDNSRCH`, `defdname[256]`; glibc 2.25
/// resolv/resolv.h).
pub const OLD_SEARCH_MAX: (usize, usize) = (6, 255);
/// The first release that queries by TCP alone with `use-vc` (16985fd0c7).
pub const USE_VC_SINCE: Version = Version::new(2, 14, 0);

/// The first release that does not wait for a second answer that it has not asked for (bug 30081, af625987d6).
const SINGLE_REQUEST_FIXED: Version = Version::new(2, 41, 0);
/// The first release that reads `-name` as the opposite of `name` (95f61610f3).
const NEGATION_SINCE: Version = Version::new(2, 41, 0);

const INIT: &str = "glibc 04e750e7 resolv/res_init.c res_setoptions, limits in resolv/resolv.h";
const SEND: &str = "glibc 04e750e7 resolv/res_send.c";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Glibc, option, effect, note, source)
}

static OPTIONS: OptionTable = OptionTable {
    oldest_in_images: OLDEST_IN_IMAGES,
    rows: &[
        fact(
            "ndots",
            Effect::Honoured,
            "default 1, at most 15; a name with at least that many dots is queried as is first, then with the \
         search list; the last on the line counts",
            INIT,
        ),
        fact(
            "timeout",
            Effect::Honoured,
            "seconds for each attempt on each nameserver, default 5, at most 30; 0 waits 1 s; the last on the \
         line counts",
            INIT,
        )
        .since(2, 2, 0),
        fact(
            "attempts",
            Effect::Honoured,
            "rounds through the nameservers, default 2, at most 5; 0 sends no query; the last on the line counts",
            INIT,
        )
        .since(2, 2, 0),
        fact("rotate", Effect::Honoured, "starts with another nameserver each time", INIT).since(2, 2, 0),
        fact("edns0", Effect::Honoured, "adds EDNS0 to queries", "glibc 2bbb7d5b3c").since(2, 6, 0),
        fact(
            "single-request",
            Effect::Honoured,
            "sends the AAAA query only after the answer to A, from the same socket; a lookup takes two round trips, and before 2.41 an error \
         such as SERVFAIL costs timeouts",
            SEND,
        )
        .since(2, 10, 0),
        fact(
            "single-request-reopen",
            Effect::Honoured,
            "sends the AAAA query only after the answer to A, from a new socket; a lookup takes two round trips, and before 2.41 an error such \
         as SERVFAIL costs timeouts",
            SEND,
        )
        .since(2, 11, 0),
        fact(
            "use-vc",
            Effect::Honoured,
            "queries by TCP alone, once per nameserver; no option bounds the wait for a server that accepts the \
         connection and never answers",
            "glibc 16985fd0c7, resolv/res_send.c send_vc; measured: over 140 s",
        )
        .since(2, 14, 0),
        fact("no-tld-query", Effect::Honoured, "does not query a name without a dot as is", "glibc f87dfb1f11")
            .since(2, 14, 0),
        fact("no_tld_query", Effect::Honoured, "the same as no-tld-query", "glibc f87dfb1f11").since(2, 14, 0),
        fact("no-reload", Effect::Honoured, "does not reload a changed resolv.conf", "glibc aef16cc8a4")
            .since(2, 26, 0),
        fact(
            "trust-ad",
            Effect::Honoured,
            "sets the AD bit in queries and passes the answer's bit on",
            "glibc 446997ff14",
        )
        .since(2, 31, 0),
        fact("no-aaaa", Effect::Honoured, "sends no AAAA queries", "glibc f282cdbe7f").since(2, 36, 0),
        fact("strict-error", Effect::Honoured, "fails a lookup if its A or its AAAA query fails", "glibc 765325951a")
            .since(2, 41, 0),
        fact("inet6", Effect::Honoured, "makes gethostbyname query AAAA first", "glibc fa0bc87c").until(2, 30, 0),
        fact("inet6", Effect::Ignored, "was removed", "glibc 3f8b44be0a").since(2, 30, 0),
        fact("ip6-bytestring", Effect::Honoured, "looks up IPv6 addresses by bit-string labels", "glibc ee778b56b7")
            .until(2, 25, 0),
        fact("ip6-bytestring", Effect::Ignored, "was removed", "glibc 5140d036f9").since(2, 25, 0),
        fact("ip6-dotint", Effect::Honoured, "looks up IPv6 addresses below ip6.int", "glibc 0acb7b8370")
            .until(2, 25, 0),
        fact("ip6-dotint", Effect::Ignored, "was removed", "glibc 7ec47a85d8").since(2, 25, 0),
        fact("no-ip6-dotint", Effect::Honoured, "restores the default, ip6.arpa", "glibc 0acb7b8370").until(2, 25, 0),
        fact("no-ip6-dotint", Effect::Ignored, "was removed; ip6.arpa is always used", "glibc 7ec47a85d8")
            .since(2, 25, 0),
        fact(
            "no-check-names",
            Effect::Ignored,
            "was read until 2.25, and never did anything",
            "glibc bfbd1de159, NEWS for 2.25",
        ),
        fact(
            "debug",
            Effect::Ignored,
            "was read until 2.26, and did something only in builds for debugging",
            "glibc e68111fbd6",
        ),
        fact(ANY_OTHER, Effect::Ignored, "skips names that it does not know", INIT),
    ],
};

static CHANGES: [Change; 2] = [
    Change::fix(
        LONG_SEARCH_SINCE,
        "takes at most six search domains and 255 bytes of them, and reads resolv.conf once in a process's life",
        "takes a search list of any length, and reloads a changed resolv.conf",
        "glibc 3f853f22c8, aef16cc8a4",
    ),
    Change::fix(
        SINGLE_REQUEST_FIXED,
        "with single-request or single-request-reopen waits in vain for a second answer after an error such as SERVFAIL, for the timeout of \
         every attempt (bug 30081; Debian's 2.36-9+deb12u14 carries the fix)",
        "with single-request or single-request-reopen goes on at once after an error such as SERVFAIL",
        "glibc af625987d6, NEWS for 2.41; measured on Debian's 2.31-13+deb11u11 with `timeout:5 attempts:5`: 25 s instead of 0.01 s",
    ),
];

/// The switches that settings depend on, each before those that it begins with, since glibc compares only as far as its
/// own name reaches.
const SWITCHES: [&str; 4] = ["rotate", "single-request-reopen", "single-request", "use-vc"];

/// The stub of the GNU C library.
pub(in crate::resolver) struct Glibc;

// === impl Glibc ===

impl Stub for Glibc {
    fn summary(&self) -> &'static str {
        "The GNU C library: the resolver of every program that calls getaddrinfo on Debian, Ubuntu, Fedora, Red Hat, Wolfi \
         and distroless images with a C library."
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["gnu libc"]
    }

    fn release_name(&self, version: Version) -> String {
        version.without_zero_patch()
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

    /// glibc reads words, compares them from their start, and takes the last of a name.
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
        read_more(defaults, options)
    }

    /// glibc reads the variable after the file (04e750e7 resolv/res_init.c).
    fn read_environment(&self, settings: Settings, res_options: &str) -> Settings {
        read_more(settings, &[res_options])
    }

    fn viability(&self, settings: &Settings) -> Viability {
        if settings.attempts == 0 { Viability::NeverSends } else { Viability::Works }
    }

    fn nameservers_used(&self, listed: u32) -> u32 {
        listed.clamp(1, NAMESERVERS_MAX)
    }

    fn resend_after(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    /// After a timeout with one of two answers in hand, glibc repeats the other query without counting an attempt.
    fn resends(&self, settings: &Settings) -> bool {
        settings.attempts > 1 || settings.pairing == QueryPairing::OneSocket
    }

    /// A bound that few answers reach: glibc accepts the answer to an earlier attempt, but not in all cases.
    fn slowest_answer(&self, settings: &Settings) -> Duration {
        settings.timeout.saturating_mul(settings.attempts)
    }

    /// A timeout ends the search, except for the name as is (resolv/res_query.c __res_context_search).
    fn gives_up_after(&self, settings: &Settings, nameservers: u32, names: u32) -> Option<Duration> {
        let Settings { attempts, transport, .. } = settings;
        let round = one_round(settings, nameservers, nameservers);
        (*transport == Transport::Udp).then(|| round.saturating_mul(*attempts).saturating_mul(names.min(2)))
    }

    fn dead_nameserver_delay(&self, settings: &Settings, dead: u32, nameservers: u32, names: u32) -> Duration {
        one_round(settings, dead, nameservers).saturating_mul(names)
    }

    /// After its first timeout glibc sends one query at a time for good (resolv/res_send.c RES_F_SNGLKUP).
    fn names_raced(&self, names: u32) -> u32 {
        names.min(1)
    }

    fn ndots(&self, _: Resolver, ndots: u32) -> u32 {
        ndots
    }

    fn searches_dotted_names(&self) -> bool {
        true
    }

    fn search_limit(&self, resolver: Resolver, _: usize) -> SearchLimit {
        if resolver.is_before(LONG_SEARCH_SINCE) {
            let (domains, bytes) = OLD_SEARCH_MAX;
            SearchLimit { domains, bytes }
        } else {
            SearchLimit::UNLIMITED
        }
    }

    fn search_name<'a>(&self, _: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>> {
        Some(if domain == "." { Cow::Borrowed(name) } else { join(name, domain) })
    }

    /// `root_on_list` (resolv/res_query.c).
    fn root_domain_replaces_name(&self) -> bool {
        true
    }

    /// `__res_context_search` (resolv/res_query.c 04e750e7; run on Debian's 2.36). After NXDOMAIN, NODATA and SERVFAIL the
    /// next domain is tried. Any other error and silence end the list, and leave the name as is; if that one does not exist,
    /// the program gets EAI_NONAME, although a later domain may have the name.
    fn step(&self, _: Resolver, _: &str, as_is: bool, answer: Answer) -> Step {
        match answer {
            Answer::Address => Step::Found,
            Answer::Refused | Answer::Timeout if !as_is => Step::AsIs,
            Answer::NxDomain | Answer::NoData | Answer::ServFail | Answer::Refused | Answer::Timeout => Step::Next,
        }
    }
}

/// The wait for the first `asked` of `nameservers`, once each: the wait doubles with each server and is shared out among
/// all, in whole seconds (resolv/res_send.c: `seconds = retrans << ns; if (ns > 0) seconds /= nscount`).
fn one_round(settings: &Settings, asked: u32, nameservers: u32) -> Duration {
    let seconds = |server: u32| {
        let doubled = settings.timeout.as_secs() << server;
        let shared = if server > 0 { doubled / u64::from(nameservers.max(1)) } else { doubled };
        shared.max(1)
    };
    Duration::from_secs((0..asked).map(seconds).sum())
}

/// Reads more options after those it has read.
fn read_more(mut settings: Settings, options: &[&str]) -> Settings {
    let resolver = settings.resolver;
    let negates = !resolver.is_before(NEGATION_SINCE);
    let mut reopen = settings.pairing == QueryPairing::TwoSocketsSerial;
    let mut single = settings.single_request || settings.pairing == QueryPairing::OneSocketSerial;
    let mut words = options.iter().flat_map(|option| option.split([' ', '\t'])).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        // strtol skips blanks, so `timeout: 3` is read across the space.
        let next = words.clone().next();
        let number = |value: &str| options_line::int(if value.is_empty() { next.unwrap_or_default() } else { value });
        if let Some(value) = word.strip_prefix("ndots:") {
            settings.ndots = bit_field(number(value));
        } else if let Some(value) = word.strip_prefix("timeout:") {
            // Numbers below 1 wait 1 s (res_send.c send_dg).
            settings.timeout = Duration::from_secs(number(value).clamp(1, 30).unsigned_abs().into());
        } else if let Some(value) = word.strip_prefix("attempts:") {
            settings.attempts = number(value).clamp(0, 5).unsigned_abs(); // `for (try = 0; try < retry; try++)`
        } else {
            let (name, on) = match word.strip_prefix('-') {
                Some(name) if negates => (name, false),
                _ => (word, true),
            };
            let known =
                |switch: &&str| name.starts_with(switch) && !OPTIONS.support(resolver.version, switch).is_ignored();
            match SWITCHES.into_iter().find(known) {
                Some("rotate") => settings.rotate = on,
                Some("single-request-reopen") => reopen = on,
                Some("single-request") => single = on,
                Some("use-vc") => settings.transport = if on { Transport::Tcp } else { Transport::Udp },
                _ => {}
            }
        }
    }
    settings.single_request = single;
    settings.pairing = match (reopen, single) {
        (true, _) => QueryPairing::TwoSocketsSerial,
        (false, true) => QueryPairing::OneSocketSerial,
        (false, false) => QueryPairing::OneSocket,
    };
    settings
}

/// The value of `ndots` in its field of 4 bits, bounded above only: -1 becomes 15 (resolv/bits/types/res_state.h).
fn bit_field(ndots: i32) -> u32 {
    (ndots.min(15) & 0b1111).unsigned_abs()
}
