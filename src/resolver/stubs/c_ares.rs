//! c-ares: the options it reads, its timing and its lookups. Read in its source; measured only inside Node (`dns.resolve*`,
//! which queries one address family at a time and never searches), aiodns and grpcio. Knows nothing of the programs that embed it.

use std::borrow::Cow;
use std::time::Duration;

use crate::resolver::answer::{Answer, Step};
use crate::resolver::change::Change;
use crate::resolver::family::{Family, Resolver};
use crate::resolver::option_fact::{ANY_OTHER, Effect, OptionFact, OptionTable};
use crate::resolver::settings::{QueryPairing, Settings, Transport, Viability};
use crate::resolver::stub::{SearchLimit, Stub, join};
use crate::resolver::version::Version;

/// The first release with shorter defaults: 2 s and 3 tries instead of 5 s and 4 (src/lib/ares_private.h).
const IMPATIENT_SINCE: Version = Version::new(1, 20, 0);
/// The first release that takes the first wait from the measured latency of the server, once it has some, and bounds it
/// (src/lib/ares_metrics.c `MIN_TIMEOUT_MS`, `MAX_TIMEOUT_MS`, `AVG_TIMEOUT_MULTIPLIER`). Later rounds still double it
/// (src/lib/ares_process.c `ares_calc_query_timeout`).
const BOUNDED_SINCE: Version = Version::new(1, 32, 0);
/// The bound of the first wait.
const TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// The first release that goes on with the search after SERVFAIL and REFUSED for a name of one label (a48d02e5).
const SERVFAIL_LENIENT_SINCE: Version = Version::new(1, 33, 1);

const SYSCONFIG: &str = "c-ares 589b5887 src/lib/ares_sysconfig_files.c process_option";
const OLD_INIT: &str = "c-ares cares-1_10_0 ares_init.c set_options";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::CAres, option, effect, note, source)
}

static OPTIONS: OptionTable = OptionTable {
    oldest_in_images: Version::new(1, 10, 0), // Node 0.12
    rows: &[
        fact(
            "ndots",
            Effect::Honoured,
            "default 1, no upper bound; a name with at least that many dots is queried as is first, then with \
         the search list; the last on the line counts",
            SYSCONFIG,
        ),
        fact(
            "timeout",
            Effect::Honoured,
            "seconds for the first attempt, default 2, doubled each round; 0 is ignored; the last on the line counts",
            "c-ares cares-1_23_0 src/lib/ares__sysconfig_files.c",
        )
        .since(1, 23, 0)
        .until(1, 32, 0),
        fact(
            "timeout",
            Effect::Honoured,
            "seconds for the first attempt while the server's latency is not known, default 2, at most 5; after three answers \
         five times the mean latency instead, 0.25 s at least; each round doubles the wait, past 5 s too; 0 is ignored; the last \
         on the line counts",
            "c-ares 589b5887 src/lib/ares_metrics.c and ares_process.c ares_calc_query_timeout; measured with c-ares 1.34.9: first \
         resend after 0.27 s",
        )
        .since(1, 32, 0),
        fact(
            "attempts",
            Effect::Honoured,
            "rounds through the nameservers, default 3; 0 is ignored; the last on the line counts; in Node the option changes \
         nothing, as its `dns.resolve*` always makes 4 tries",
            "c-ares 589b5887 src/lib/ares_sysconfig_files.c; first in cares-1_23_0; measured on Node 20.20.2 with c-ares 1.34.6: \
         first resend after 3.0 s, gives up after 23 s",
        )
        .since(1, 23, 0),
        fact("retrans", Effect::Honoured, "the timeout in milliseconds", OLD_INIT).until(1, 28, 0),
        fact("retrans", Effect::Honoured, "the same as timeout, in seconds", SYSCONFIG).since(1, 28, 0),
        fact("retry", Effect::Honoured, "the same as attempts", SYSCONFIG),
        fact("rotate", Effect::Honoured, "starts with another nameserver each time", SYSCONFIG),
        fact("use-vc", Effect::Honoured, "queries by TCP alone", "c-ares a2a8578e (cares-1_28_0)").since(1, 28, 0),
        fact("usevc", Effect::Honoured, "the same as use-vc", "c-ares a2a8578e (cares-1_28_0)").since(1, 28, 0),
        fact(ANY_OTHER, Effect::Ignored, "skips names that it does not know", SYSCONFIG),
    ],
};

static CHANGES: [Change; 3] = [
    Change::fix(
        IMPATIENT_SINCE,
        "waits 5 s for an answer and sends 4 times by default",
        "waits 2 s and sends 3 times",
        "c-ares src/lib/ares_private.h",
    ),
    Change::fix(
        BOUNDED_SINCE,
        "waits as long for an answer whether the server is near or far",
        "takes its first wait from the measured latency of the server, and at most 5 s",
        "c-ares 589b5887 src/lib/ares_metrics.c; measured with c-ares 1.34.9: 0.27 s",
    ),
    Change::fix(
        SERVFAIL_LENIENT_SINCE,
        "ends the search at a SERVFAIL or REFUSED for a name of one label",
        "goes on with the search after a SERVFAIL or REFUSED for a name of one label",
        "c-ares a48d02e5",
    ),
];

/// The stub of c-ares.
pub(in crate::resolver) struct CAres;

// === impl CAres ===

impl Stub for CAres {
    fn summary(&self) -> &'static str {
        "c-ares, a resolver inside a program: in Node only `dns.resolve*`, not `dns.lookup`, which uses the C library. It is also in \
         gRPC, Envoy, aiodns and Alpine's curl."
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["cares"]
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

    /// Since 1.28 c-ares reads words, a name and a whole number, and takes the last of a name. Older releases differ in
    /// which texts count as a number; that is not modelled.
    fn read_options(&self, resolver: Resolver, options: &[&str]) -> Settings {
        let (seconds, attempts) = if resolver.is_before(IMPATIENT_SINCE) { (5, 4) } else { (2, 3) };
        let defaults = Settings {
            resolver,
            ndots: 1,
            timeout: Duration::from_secs(seconds),
            attempts,
            pairing: QueryPairing::OneSocket, // one UDP connection to each server serves all queries (src/lib/ares_process.c)
            transport: Transport::Udp,
            rotate: false,
            single_request: false,
        };
        read_more(defaults, options)
    }

    /// c-ares reads the variable after the file (589b5887 src/lib/ares_sysconfig_files.c).
    fn read_environment(&self, settings: Settings, res_options: &str) -> Settings {
        read_more(settings, &[res_options])
    }

    fn viability(&self, _: &Settings) -> Viability {
        Viability::Works
    }

    fn nameservers_used(&self, listed: u32) -> u32 {
        listed.max(1)
    }

    /// The wait before the server's latency is known, the longest.
    fn resend_after(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    fn resends(&self, settings: &Settings) -> bool {
        settings.attempts > 1
    }

    fn slowest_answer(&self, settings: &Settings) -> Duration {
        settings.timeout
    }

    /// A timeout ends the search; each round waits twice as long as the one before (src/lib/ares_process.c).
    fn gives_up_after(&self, settings: &Settings, nameservers: u32, _: u32) -> Option<Duration> {
        let doubled = 2_u32.saturating_pow(settings.attempts).saturating_sub(1);
        Some(settings.timeout.saturating_mul(doubled).saturating_mul(nameservers))
    }

    /// c-ares remembers the server that answered.
    fn dead_nameserver_delay(&self, settings: &Settings, dead: u32, _: u32, _: u32) -> Duration {
        settings.timeout.saturating_mul(dead)
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
        Some(if domain == "." { Cow::Borrowed(name) } else { join(name, domain) })
    }

    fn root_domain_replaces_name(&self) -> bool {
        false
    }

    /// `host_callback` (src/lib/ares_getaddrinfo.c; not measured).
    fn step(&self, resolver: Resolver, name: &str, _: bool, answer: Answer) -> Step {
        let is_lenient = !resolver.is_before(SERVFAIL_LENIENT_SINCE);
        match answer {
            Answer::Address => Step::Found,
            Answer::NxDomain | Answer::NoData => Step::Next,
            Answer::ServFail | Answer::Refused if is_lenient && !name.contains('.') => Step::Next,
            Answer::ServFail | Answer::Refused | Answer::Timeout => Step::Stop,
        }
    }
}

/// Reads more options after those it has read.
fn read_more(mut settings: Settings, options: &[&str]) -> Settings {
    let resolver = settings.resolver;
    for word in options.iter().flat_map(|option| option.split([' ', '\t'])) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let is_read = !OPTIONS.support(resolver.version, name).is_ignored();
        let Some(number) = whole_number(value).filter(|_| is_read) else { continue };
        match name {
            "ndots" => settings.ndots = number,
            "retrans" if number > 0 && resolver.is_before(Version::new(1, 28, 0)) => {
                settings.timeout = Duration::from_millis(number.into());
            }
            "timeout" | "retrans" if number > 0 => settings.timeout = Duration::from_secs(number.into()),
            "attempts" | "retry" if number > 0 => settings.attempts = number,
            "rotate" => settings.rotate = true,
            "use-vc" | "usevc" => settings.transport = Transport::Tcp,
            _ => {}
        }
    }
    if !resolver.is_before(BOUNDED_SINCE) {
        settings.timeout = settings.timeout.min(TIMEOUT_MAX);
    }
    settings
}

/// The number of an option: digits and nothing else, 0 if there is none; an option with anything else is skipped.
fn whole_number(value: &str) -> Option<u32> {
    match value {
        "" => Some(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}
