//! c-ares: the options it reads, and how. Read in its source; only Node's `dns.resolve*` was measured, which asks for
//! one family at a time and never searches. Knows nothing of the programs that embed it.

use std::time::Duration;

use crate::resolver::options::{ANY_OTHER, Effect, OptionFact};
use crate::resolver::settings::{Pairing, Settings, Transport};
use crate::resolver::{Family, Resolver, Version};

/// The first release with a shorter default: 2 s and 3 tries in place of 5 s and 4 (src/lib/ares_private.h).
pub(in crate::resolver) const IMPATIENT_SINCE: Version = Version::new(1, 20, 0);
/// The first release that bounds the timeout, at 5 s (src/lib/ares_metrics.c `MAX_TIMEOUT_MS`).
const BOUNDED_SINCE: Version = Version::new(1, 32, 0);
/// That bound.
const TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// The first release that goes on with the search after SERVFAIL for a name of one label (a48d02e5).
pub(in crate::resolver) const SERVFAIL_LENIENT_SINCE: Version = Version::new(1, 33, 1);

const SYSCONFIG: &str = "c-ares 589b5887 src/lib/ares_sysconfig_files.c process_option";
const OLD_INIT: &str = "c-ares cares-1_10_0 ares_init.c set_options";

const fn fact(option: &'static str, effect: Effect, note: &'static str, source: &'static str) -> OptionFact {
    OptionFact::new(Family::CAres, option, effect, note, source)
}

pub(in crate::resolver) const OPTIONS: &[OptionFact] = &[
    fact(
        "ndots",
        Effect::Honoured,
        "1 unless set, no upper bound; a name with so many dots is asked for as it stands first, then with \
         the search list; the last on the line wins",
        SYSCONFIG,
    ),
    fact(
        "timeout",
        Effect::Honoured,
        "seconds for the first attempt, 2 unless set, doubled each round, at most 5 since 1.32; 0 is refused; \
         the last on the line wins",
        "c-ares 589b5887 src/lib/ares_sysconfig_files.c and ares_metrics.c; first in cares-1_23_0",
    )
    .since(1, 23, 0),
    fact(
        "attempts",
        Effect::Honoured,
        "rounds through the nameservers, 3 unless set; 0 is refused; the last on the line wins",
        "c-ares 589b5887 src/lib/ares_sysconfig_files.c; first in cares-1_23_0",
    )
    .since(1, 23, 0),
    fact("retrans", Effect::Honoured, "the timeout in milliseconds", OLD_INIT).until(1, 28, 0),
    fact("retrans", Effect::Honoured, "the same as timeout, in seconds", SYSCONFIG).since(1, 28, 0),
    fact("retry", Effect::Honoured, "the same as attempts", SYSCONFIG),
    fact("rotate", Effect::Honoured, "begins with another nameserver each time", SYSCONFIG),
    fact("use-vc", Effect::Honoured, "asks by TCP alone", "c-ares a2a8578e (cares-1_28_0)").since(1, 28, 0),
    fact("usevc", Effect::Honoured, "the same as use-vc", "c-ares a2a8578e (cares-1_28_0)").since(1, 28, 0),
    fact(ANY_OTHER, Effect::Ignored, "passes over names that it does not know", SYSCONFIG),
];

/// What c-ares makes of an options line, as it does since 1.28: words, a name and a whole number, the last of a name
/// wins. Older releases differ in what they take for a number; that is not modelled.
pub(in crate::resolver) fn read(resolver: Resolver, options: &[&str]) -> Settings {
    let at_least = |version| resolver.version.is_none_or(|release| release >= version);
    let (seconds, attempts) = if at_least(IMPATIENT_SINCE) { (2, 3) } else { (5, 4) };
    let mut settings = Settings {
        resolver,
        ndots: 1,
        timeout: Duration::from_secs(seconds),
        attempts,
        pairing: Pairing::OneSocket, // one UDP connection to each server serves all queries (src/lib/ares_process.c)
        transport: Transport::Udp,
        rotate: false,
        single_request: false,
    };
    for word in options.iter().flat_map(|option| option.split([' ', '\t'])) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let Some(number) = whole_number(value).filter(|_| !resolver.support(name).is_ignored()) else { continue };
        match name {
            "ndots" => settings.ndots = number,
            "retrans" if number > 0 && !at_least(Version::new(1, 28, 0)) => {
                settings.timeout = Duration::from_millis(number.into());
            }
            "timeout" | "retrans" if number > 0 => settings.timeout = Duration::from_secs(number.into()),
            "attempts" | "retry" if number > 0 => settings.attempts = number,
            "rotate" => settings.rotate = true,
            "use-vc" | "usevc" => settings.transport = Transport::Tcp,
            _ => {}
        }
    }
    if at_least(BOUNDED_SINCE) {
        settings.timeout = settings.timeout.min(TIMEOUT_MAX);
    }
    settings
}

/// The number of an option: digits and nothing else, 0 for none; an option with anything else is passed over.
fn whole_number(value: &str) -> Option<u32> {
    match value {
        "" => Some(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}
