//! Go's own resolver: the options it reads, its timing and its lookups; and the cases in which a program that holds the C
//! library's resolver too leaves its lookups to that one. Knows nothing of how a program was built.

use std::borrow::Cow;
use std::time::Duration;

use crate::resolver::answer::{Answer, Step};
use crate::resolver::change::Change;
use crate::resolver::family::{Cgo, Family, Resolver};
use crate::resolver::option_fact::{ANY_OTHER, Effect, OptionFact, OptionTable, Support, takes_number};
use crate::resolver::options_line;
use crate::resolver::settings::{QueryPairing, Settings, Transport, Viability};
use crate::resolver::stub::{NAMESERVERS_MAX, SearchLimit, Stub, join};
use crate::resolver::version::Version;

/// The largest number that Go's parser returns, also for any larger one (go1.26.8 src/net/parse.go `big`).
const BIG: u32 = 0x00FF_FFFF;

const CONFIG: &str = "go1.26.8 src/net/dnsconfig_unix.go";
const SINCE_1_13: &str = "golang/gofrontend 8f2b844a (Go 1.13beta1), go1.26.8 src/net/dnsconfig_unix.go";
const BETWEEN: &str = "absent from go1.19.8, present in go1.21.0 src/net/dnsconfig_unix.go; 1.20 not seen";
const UNCERTAIN: &str = "was added after 1.19 and before 1.21";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::Go, option, effect, note, source)
}

static OPTIONS: OptionTable = OptionTable {
    oldest_in_images: Version::new(1, 2, 0), // the first release after containers became common
    rows: &[
        fact(
            "ndots",
            Effect::Honoured,
            "default 1, at most 15, 0 if it is not a number; a name with at least that many dots is queried as is \
         first, then with the search list; the last on the line counts",
            CONFIG,
        ),
        fact(
            "timeout",
            Effect::Honoured,
            "seconds for each attempt on each nameserver, default 5, at least 1, no upper bound; the last on \
         the line counts",
            CONFIG,
        ),
        fact(
            "attempts",
            Effect::Honoured,
            "rounds through the nameservers, default 2, at least 1, no upper bound; the last on the line counts",
            CONFIG,
        ),
        fact("rotate", Effect::Honoured, "starts with another nameserver each time", CONFIG),
        fact(
            "single-request",
            Effect::Honoured,
            "sends the AAAA query after the answer to A; each query has a socket of its own anyway",
            SINCE_1_13,
        )
        .since(1, 13, 0),
        fact("single-request-reopen", Effect::Honoured, "the same as single-request", SINCE_1_13).since(1, 13, 0),
        fact("use-vc", Effect::Honoured, "queries by TCP alone", SINCE_1_13).since(1, 13, 0),
        fact("usevc", Effect::Honoured, "the same as use-vc", SINCE_1_13).since(1, 13, 0),
        fact("tcp", Effect::Honoured, "the same as use-vc", SINCE_1_13).since(1, 13, 0),
        fact("trust-ad", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
        fact("trust-ad", Effect::Honoured, "sets the AD bit in queries", CONFIG).since(1, 21, 0),
        fact("edns0", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
        fact("edns0", Effect::Honoured, "is known and changes nothing: EDNS0 is always sent", CONFIG).since(1, 21, 0),
        fact("no-reload", Effect::Sometimes, UNCERTAIN, BETWEEN).since(1, 20, 0).until(1, 21, 0),
        fact("no-reload", Effect::Honoured, "does not reload a changed resolv.conf", CONFIG).since(1, 21, 0),
        fact(
            ANY_OTHER,
            Effect::Ignored,
            "does not know it; a program built with cgo then leaves all lookups to the C library",
            "go1.26.8 src/net/dnsconfig_unix.go and conf.go (unknownOpt)",
        ),
    ],
};

/// The stub of Go.
pub(in crate::resolver) struct Go;

// === impl Go ===

impl Stub for Go {
    fn summary(&self) -> &'static str {
        "Go's own resolver, in programs built without cgo, or with the tag netgo, and by default in others too. A program \
         built with cgo leaves a lookup to the C library in some cases, an unknown option among them."
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[]
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
        &[]
    }

    /// Go reads words, compares them whole but for their numbers, and takes the last of a name.
    fn read_options(&self, resolver: Resolver, options: &[&str]) -> Settings {
        let mut settings = Settings {
            resolver,
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            pairing: QueryPairing::TwoSockets,
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
            } else if !OPTIONS.support(resolver.version, word).is_ignored() {
                match word {
                    "rotate" => settings.rotate = true,
                    "single-request" | "single-request-reopen" => settings.pairing = QueryPairing::TwoSocketsSerial,
                    "use-vc" | "usevc" | "tcp" => settings.transport = Transport::Tcp,
                    _ => {}
                }
            }
        }
        settings
    }

    fn read_environment(&self, settings: Settings, _: &str) -> Settings {
        settings
    }

    fn viability(&self, _: &Settings) -> Viability {
        Viability::Works
    }

    fn nameservers_used(&self, listed: u32) -> u32 {
        listed.clamp(1, NAMESERVERS_MAX)
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

    fn gives_up_after(&self, settings: &Settings, nameservers: u32, names: u32) -> Option<Duration> {
        let rounds = settings.attempts.saturating_mul(nameservers);
        Some(settings.timeout.saturating_mul(rounds).saturating_mul(names).saturating_mul(waits_per_name(settings)))
    }

    fn dead_nameserver_delay(&self, settings: &Settings, dead: u32, _: u32, names: u32) -> Duration {
        settings.timeout.saturating_mul(dead).saturating_mul(names).saturating_mul(waits_per_name(settings))
    }

    fn names_raced(&self, names: u32) -> u32 {
        names
    }

    fn ndots(&self, _: Resolver, ndots: u32) -> u32 {
        ndots
    }

    fn searches_dotted_names(&self) -> bool {
        true
    }

    fn search_limit(&self, _: Resolver, _: usize) -> SearchLimit {
        SearchLimit::UNLIMITED
    }

    fn search_name<'a>(&self, _: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>> {
        match domain {
            "." => None,
            _ if name.len() + domain.len() + "..".len() > 254 => None, // src/net/dnsclient_unix.go nameList
            _ => Some(join(name, domain)),
        }
    }

    fn root_domain_replaces_name(&self) -> bool {
        false
    }

    /// `goLookupIPCNAMEOrder` (src/net/dnsclient_unix.go; measured).
    fn step(&self, _: Resolver, _: &str, _: bool, answer: Answer) -> Step {
        match answer {
            Answer::Address => Step::Found,
            Answer::NxDomain | Answer::NoData | Answer::ServFail | Answer::Refused | Answer::Timeout => Step::Next,
        }
    }
}

/// The number of waits for one name: with `single-request` Go sends the AAAA query when it is done with A, whether A was
/// answered or not (go1.26.8 src/net/dnsclient_unix.go goLookupIPCNAMEOrder; measured: tests/lab).
fn waits_per_name(settings: &Settings) -> u32 {
    match settings.pairing {
        QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial => 2,
        QueryPairing::OneSocket | QueryPairing::TwoSockets => 1,
    }
}

/// The resolver that `netdns` in the environment variable `GODEBUG` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Netdns {
    /// Go's own resolver, whatever resolv.conf says.
    Go,
    /// The C library's, if the program holds it.
    Cgo,
}

/// Returns the resolver that `GODEBUG` selects; `None` if the choice is Go's. Words are separated by commas, the last of
/// a name counts, and the mode can stand beside a debug level: `netdns=2+cgo` (go1.26.8 src/net/conf.go
/// `goDebugNetDNS`; each form was tried).
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

/// Returns whether a release of Go knows one word of an options line: `Ignored` if not. A program that holds the C
/// library then leaves all lookups to it (`unknownOpt`; go1.26.8 src/net/dnsconfig_unix.go and conf.go; tried with
/// `no-aaaa`).
pub fn knows_word(resolver: Resolver, word: &str) -> Support {
    match word.split_once(':') {
        Some(("ndots" | "timeout" | "attempts", _)) => Support::Honoured,
        None if !takes_number(word) => OPTIONS.support(resolver.version, word),
        _ => Support::Ignored,
    }
}

/// Returns the resolver of a program with this environment. A Go program that holds the C library uses it if `GODEBUG`
/// selects it, or if `GODEBUG` selects nothing and the environment has variables that only the C library reads
/// (`RES_OPTIONS`, `LOCALDOMAIN`; go1.26.8 src/net/conf.go `initConfVal`; tried).
pub fn in_environment(resolver: Resolver, godebug: Option<&str>, has_libc_variables: bool) -> Resolver {
    let (Family::Go, Cgo::Linked { libc, version }) = (resolver.family, resolver.cgo) else { return resolver };
    match godebug.and_then(netdns) {
        Some(Netdns::Cgo) => Resolver { family: libc, version, cgo: Cgo::Unknown },
        None if has_libc_variables => Resolver { family: libc, version, cgo: Cgo::Unknown },
        Some(Netdns::Go) | None => resolver,
    }
}

/// The value of `dtoi`: the digits at the start of `value`, 0 without any, at most [`BIG`].
fn number(value: &str) -> u32 {
    let digits = options_line::leading_digits(value).unwrap_or(0);
    u32::try_from(digits).unwrap_or(BIG).min(BIG)
}
