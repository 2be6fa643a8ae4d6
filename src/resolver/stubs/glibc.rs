//! The GNU C library: the options it reads, and how. Knows nothing of distributions.

use std::time::Duration;

use crate::resolver::options::{ANY_OTHER, Effect, OptionFact};
use crate::resolver::settings::{Pairing, Settings, Transport};
use crate::resolver::{Family, Resolver, Version, options_line};

/// The oldest release that is still met in images (CentOS 6).
pub const OLDEST_IN_IMAGES: Version = Version::new(2, 12, 0);
/// The first release that takes a search list of any length (3f853f22c8).
pub const LONG_SEARCH_SINCE: Version = Version::new(2, 26, 0);
/// How many search domains older ones take, and how many bytes of the list (`MAXDNSRCH`, `defdname[256]`; glibc 2.25
/// resolv/resolv.h).
pub const OLD_SEARCH_MAX: (usize, usize) = (6, 255);
/// The first release that asks by TCP alone if `use-vc` says so (16985fd0c7).
pub const USE_VC_SINCE: Version = Version::new(2, 14, 0);

/// The first release that reads `-name` as the opposite of `name` (95f61610f3).
const NEGATION_SINCE: Version = Version::new(2, 41, 0);

const INIT: &str = "glibc 04e750e7 resolv/res_init.c res_setoptions, limits in resolv/resolv.h";
const SEND: &str = "glibc 04e750e7 resolv/res_send.c";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Glibc, option, effect, note, source)
}

pub(in crate::resolver) const OPTIONS: &[OptionFact] = &[
    fact(
        "ndots",
        Effect::Honoured,
        "1 unless set, at most 15; a name with so many dots is asked for as it stands first, then with the \
         search list; the last on the line wins",
        INIT,
    ),
    fact(
        "timeout",
        Effect::Honoured,
        "seconds for each attempt on each nameserver, 5 unless set, at most 30; 0 waits 1 s; the last on the \
         line wins",
        INIT,
    )
    .since(2, 2, 0),
    fact(
        "attempts",
        Effect::Honoured,
        "rounds through the nameservers, 2 unless set, at most 5; 0 sends no query; the last on the line wins",
        INIT,
    )
    .since(2, 2, 0),
    fact("rotate", Effect::Honoured, "begins with another nameserver each time", INIT).since(2, 2, 0),
    fact("edns0", Effect::Honoured, "adds EDNS0 to queries", "glibc 2bbb7d5b3c").since(2, 6, 0),
    fact("single-request", Effect::Honoured, "sends AAAA only after A was answered, from the same socket", SEND)
        .since(2, 10, 0),
    fact(
        "single-request-reopen",
        Effect::Honoured,
        "sends AAAA only after A was answered, from a new socket; a lookup takes two round trips",
        SEND,
    )
    .since(2, 11, 0),
    fact(
        "use-vc",
        Effect::Honoured,
        "asks by TCP alone, once per nameserver; no option bounds the wait for a server that accepts and \
         never answers",
        "glibc 16985fd0c7, resolv/res_send.c send_vc; measured: over 140 s",
    )
    .since(2, 14, 0),
    fact("no-tld-query", Effect::Honoured, "does not ask for a name without a dot as it stands", "glibc f87dfb1f11")
        .since(2, 14, 0),
    fact("no_tld_query", Effect::Honoured, "the same as no-tld-query", "glibc f87dfb1f11").since(2, 14, 0),
    fact("no-reload", Effect::Honoured, "does not read a changed resolv.conf again", "glibc aef16cc8a4")
        .since(2, 26, 0),
    fact("trust-ad", Effect::Honoured, "asks for the AD bit and passes it on", "glibc 446997ff14").since(2, 31, 0),
    fact("no-aaaa", Effect::Honoured, "sends no AAAA queries", "glibc f282cdbe7f").since(2, 36, 0),
    fact("strict-error", Effect::Honoured, "fails a lookup if its A or its AAAA query fails", "glibc 765325951a")
        .since(2, 41, 0),
    fact("inet6", Effect::Honoured, "makes gethostbyname ask for AAAA first", "glibc fa0bc87c").until(2, 30, 0),
    fact("inet6", Effect::Ignored, "was removed", "glibc 3f8b44be0a").since(2, 30, 0),
    fact("ip6-bytestring", Effect::Honoured, "looks up IPv6 addresses by bit-string labels", "glibc ee778b56b7")
        .until(2, 25, 0),
    fact("ip6-bytestring", Effect::Ignored, "was removed", "glibc 5140d036f9").since(2, 25, 0),
    fact("ip6-dotint", Effect::Honoured, "looks up IPv6 addresses below ip6.int", "glibc 0acb7b8370").until(2, 25, 0),
    fact("ip6-dotint", Effect::Ignored, "was removed", "glibc 7ec47a85d8").since(2, 25, 0),
    fact("no-ip6-dotint", Effect::Honoured, "restores the default, ip6.arpa", "glibc 0acb7b8370").until(2, 25, 0),
    fact("no-ip6-dotint", Effect::Ignored, "was removed; it names what is always so", "glibc 7ec47a85d8")
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
    fact(ANY_OTHER, Effect::Ignored, "passes over names that it does not know", INIT),
];

/// The switches that settings depend on, each before those that it begins with, as glibc compares only as far as its
/// own name reaches.
const SWITCHES: [&str; 4] = ["rotate", "single-request-reopen", "single-request", "use-vc"];

/// What glibc makes of an options line: words, compared from their start, the last of a name wins.
pub(in crate::resolver) fn read(resolver: Resolver, options: &[&str]) -> Settings {
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
    read_after(defaults, options)
}

/// What it makes of more options after those it has read.
pub(in crate::resolver) fn read_after(mut settings: Settings, options: &[&str]) -> Settings {
    let resolver = settings.resolver;
    let negates = resolver.version.is_none_or(|release| release >= NEGATION_SINCE);
    let mut reopen = settings.pairing == Pairing::TwoSocketsSerial;
    let mut single = settings.single_request || settings.pairing == Pairing::OneSocketSerial;
    let mut words = options.iter().flat_map(|option| option.split([' ', '\t'])).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        // strtol passes over blanks, so `timeout: 3` is read across the space.
        let next = words.clone().next();
        let number = |value: &str| options_line::int(if value.is_empty() { next.unwrap_or_default() } else { value });
        if let Some(value) = word.strip_prefix("ndots:") {
            settings.ndots = bit_field(number(value));
        } else if let Some(value) = word.strip_prefix("timeout:") {
            // What is not positive waits 1 s (res_send.c send_dg).
            settings.timeout = Duration::from_secs(number(value).clamp(1, 30).unsigned_abs().into());
        } else if let Some(value) = word.strip_prefix("attempts:") {
            settings.attempts = number(value).clamp(0, 5).unsigned_abs(); // `for (try = 0; try < retry; try++)`
        } else {
            let (name, on) = match word.strip_prefix('-') {
                Some(name) if negates => (name, false),
                _ => (word, true),
            };
            let known = |switch: &&str| name.starts_with(switch) && !resolver.support(switch).is_ignored();
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
        (true, _) => Pairing::TwoSocketsSerial,
        (false, true) => Pairing::OneSocketSerial,
        (false, false) => Pairing::OneSocket,
    };
    settings
}

/// `ndots` is a field of 4 bits, bounded above only: -1 becomes 15 (resolv/bits/types/res_state.h).
fn bit_field(ndots: i32) -> u32 {
    (ndots.min(15) & 0b1111).unsigned_abs()
}
