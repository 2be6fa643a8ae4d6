//! Go's own resolver: the options it reads, and how; and when a program that holds the C library's too leaves its
//! lookups to that one. Knows nothing of how a program was built.

use std::time::Duration;

use crate::resolver::options::{ANY_OTHER, Effect, OptionFact};
use crate::resolver::settings::{Pairing, Settings, Transport};
use crate::resolver::{Cgo, Family, Resolver, Support, options_line, takes_number};

/// The largest number that Go's parser gives, for any that is as large or larger (go1.26.8 src/net/parse.go `big`).
const BIG: u32 = 0x00FF_FFFF;

const CONFIG: &str = "go1.26.8 src/net/dnsconfig_unix.go";
const SINCE_1_13: &str = "golang/gofrontend 8f2b844a (Go 1.13beta1), go1.26.8 src/net/dnsconfig_unix.go";
const BETWEEN: &str = "absent from go1.19.8, present in go1.21.0 src/net/dnsconfig_unix.go; 1.20 not seen";
const UNCERTAIN: &str = "was added after 1.19 and before 1.21";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Go, option, effect, note, source)
}

pub(in crate::resolver) const OPTIONS: &[OptionFact] = &[
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
pub(in crate::resolver) fn read(resolver: Resolver, options: &[&str]) -> Settings {
    let mut settings = Settings {
        resolver,
        ndots: 1,
        timeout: Duration::from_secs(5),
        attempts: 2,
        pairing: Pairing::TwoSockets,
        transport: Transport::Udp,
        rotate: false,
        single_request: false,
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

/// What `netdns` of the environment variable `GODEBUG` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Netdns {
    /// Go's own resolver, whatever resolv.conf says.
    Go,
    /// The C library's, if the program holds it.
    Cgo,
}

/// What `GODEBUG` asks for; `None` where it leaves the choice to Go. Its words stand between commas, the last of a name
/// counts, and the mode can stand beside a debug level: `netdns=2+cgo` (go1.26.8 src/net/conf.go `goDebugNetDNS`; each
/// form was tried).
pub fn netdns(godebug: &str) -> Option<Netdns> {
    let value = godebug.split(',').rev().find_map(|word| word.strip_prefix("netdns="))?;
    let (one, other) = value.split_once('+').unwrap_or((value, ""));
    let is_level = |part: &&str| part.is_empty() || part.starts_with(|first: char| first.is_ascii_digit());
    match [other, one].into_iter().find(|part| !is_level(part))? {
        "go" => Some(Netdns::Go),
        "cgo" => Some(Netdns::Cgo),
        _ => None,
    }
}

/// What Go makes of one word of an options line: `Ignored` where it does not know it. A program that can then leaves
/// all lookups to the C library (`unknownOpt`; go1.26.8 src/net/dnsconfig_unix.go and conf.go; tried with `no-aaaa`).
pub fn knows(resolver: Resolver, word: &str) -> Support {
    match word.split_once(':') {
        Some(("ndots" | "timeout" | "attempts", _)) => Support::Honoured,
        None if !takes_number(word) => resolver.support(word),
        _ => Support::Ignored,
    }
}

/// Who answers in a program with this environment: the C library where the program holds it and `GODEBUG` chooses it,
/// or where it has variables that only the C library reads (`RES_OPTIONS`, `LOCALDOMAIN`) and `GODEBUG` says nothing
/// (go1.26.8 src/net/conf.go `initConfVal`; tried).
pub fn in_environment(resolver: Resolver, godebug: Option<&str>, has_libc_variables: bool) -> Resolver {
    let (Family::Go, Cgo::Linked { libc, version }) = (resolver.family, resolver.cgo) else { return resolver };
    match godebug.and_then(netdns) {
        Some(Netdns::Cgo) => Resolver { family: libc, version, cgo: Cgo::Unknown },
        None if has_libc_variables => Resolver { family: libc, version, cgo: Cgo::Unknown },
        Some(Netdns::Go) | None => resolver,
    }
}

/// What `dtoi` gives: the digits that begin `value`, 0 without any, a bound for what is too large.
fn number(value: &str) -> u32 {
    let digits = options_line::leading_digits(value).unwrap_or(0);
    u32::try_from(digits).unwrap_or(BIG).min(BIG)
}
