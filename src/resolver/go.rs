//! Go's own resolver: the options it reads, and how. Knows nothing of cgo, by which a program may use the C library
//! instead.

use std::time::Duration;

use super::options::{ANY_OTHER, Effect, OptionFact};
use super::settings::{Pairing, Settings, Transport};
use super::{Family, Resolver, line};

/// The largest number that Go's parser gives, for any that is as large or larger (go1.26.8 src/net/parse.go `big`).
const BIG: u32 = 0x00FF_FFFF;

const CONFIG: &str = "go1.26.8 src/net/dnsconfig_unix.go";
const SINCE_1_13: &str = "golang/gofrontend 8f2b844a (Go 1.13beta1), go1.26.8 src/net/dnsconfig_unix.go";
const BETWEEN: &str = "absent from go1.19.8, present in go1.21.0 src/net/dnsconfig_unix.go; 1.20 not seen";
const UNCERTAIN: &str = "was added after 1.19 and before 1.21";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Go, option, effect, note, source)
}

pub(super) const OPTIONS: &[OptionFact] = &[
    fact(
        "ndots",
        Effect::Honoured,
        "1 unless set, at most 15, no number is 0; a name with so many dots is asked for as it stands first, \
         then with the search list; the last on the line wins",
        CONFIG,
    ),
    fact(
        "timeout",
        Effect::Honoured,
        "seconds for each attempt on each nameserver, 5 unless set, at least 1, no upper bound; the last on \
         the line wins",
        CONFIG,
    ),
    fact(
        "attempts",
        Effect::Honoured,
        "rounds through the nameservers, 2 unless set, at least 1, no upper bound; the last on the line wins",
        CONFIG,
    ),
    fact("rotate", Effect::Honoured, "begins with another nameserver each time", CONFIG),
    fact(
        "single-request",
        Effect::Honoured,
        "asks for AAAA after A was answered; each query has a socket of its own anyway",
        SINCE_1_13,
    )
    .since(1, 13, 0),
    fact("single-request-reopen", Effect::Honoured, "the same as single-request", SINCE_1_13).since(1, 13, 0),
    fact("use-vc", Effect::Honoured, "asks by TCP alone", SINCE_1_13).since(1, 13, 0),
    fact("usevc", Effect::Honoured, "the same as use-vc", SINCE_1_13).since(1, 13, 0),
    fact("tcp", Effect::Honoured, "the same as use-vc", SINCE_1_13).since(1, 13, 0),
    fact("trust-ad", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
    fact("trust-ad", Effect::Honoured, "asks for the AD bit", CONFIG).since(1, 21, 0),
    fact("edns0", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
    fact("edns0", Effect::Honoured, "is known, and changes nothing: EDNS0 is always sent", CONFIG).since(1, 21, 0),
    fact("no-reload", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
    fact("no-reload", Effect::Honoured, "does not read a changed resolv.conf again", CONFIG).since(1, 21, 0),
    fact(
        ANY_OTHER,
        Effect::Ignored,
        "does not know it; a program built with cgo then leaves all lookups to the C library",
        "go1.26.8 src/net/dnsconfig_unix.go and conf.go (unknownOpt)",
    ),
];

/// What Go makes of an options line: words, compared whole but for their numbers, the last of a name wins.
pub(super) fn read(resolver: Resolver, options: &[&str]) -> Settings {
    let mut settings = Settings {
        resolver,
        ndots: 1,
        timeout: Duration::from_secs(5),
        attempts: 2,
        pairing: Pairing::TwoSockets,
        transport: Transport::Udp,
        rotate: false,
    };
    for word in options.iter().flat_map(|option| option.split([' ', '\r', '\t', '\n'])) {
        if let Some(value) = word.strip_prefix("ndots:") {
            settings.ndots = number(value).min(15);
        } else if let Some(value) = word.strip_prefix("timeout:") {
            settings.timeout = Duration::from_secs(number(value).max(1).into());
        } else if let Some(value) = word.strip_prefix("attempts:") {
            settings.attempts = number(value).max(1);
        } else if !resolver.support(word).is_ignored() {
            match word {
                "rotate" => settings.rotate = true,
                "single-request" | "single-request-reopen" => settings.pairing = Pairing::TwoSocketsSerial,
                "use-vc" | "usevc" | "tcp" => settings.transport = Transport::Tcp,
                _ => {}
            }
        }
    }
    settings
}

/// What `dtoi` gives: the digits that begin `value`, 0 without any, a bound for what is too large.
fn number(value: &str) -> u32 {
    let digits = line::leading_digits(value).unwrap_or(0);
    u32::try_from(digits).unwrap_or(BIG).min(BIG)
}
