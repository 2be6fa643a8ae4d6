//! A nameserver, or something before it, answers only so many queries at once.
//!
//! ## What it looks like
//! All is well while little is asked; under load lookups wait for a resend or fail. Clouds drop what a machine asks over a bound (some
//! 1,000 packets a second), servers limit the rate for each client, and CoreDNS's `forward` refuses over `max_concurrent`.
//!
//! ## How it is told
//! At the end many questions leave at once (`--burst`). The share of them that is lost, refused or cut short without a record is held
//! against that of questions asked one after the other (Fisher's exact test). What both lose alike is `lossy-path`.
//!
//! ## What to do
//! Ask less: a NodeLocal DNSCache, a lower `ndots` where the resolver allows it, names with a dot at their end. Or raise the limit.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::observations::{Asked, Code, Observations, Purpose, Via};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict};

pub(super) static FAULT: Fault = Fault { slug: "rate-limited", source: include_str!("rate_limited.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let server = limited(seen)?;
    let (burst, alone) = rates(seen, server);
    let of_burst = || seen.asked_for(Purpose::Burst).filter(|asked| asked.server == server);
    let silent = of_burst().filter(|asked| !asked.is_answered()).count();
    let refused = of_burst().filter(|asked| matches!(asked.code(), Some(Code::Refused | Code::ServFail))).count();
    let cut = of_burst().filter(|asked| is_slipped(asked)).count();
    let what = format!("{} answers {} of {} questions that come at once", server.ip(), burst.of - burst.hits, burst.of);
    Some(
        Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what)
            .evidence(format!("at once: {burst} fail ({silent} without an answer, {refused} refused, {cut} cut short)"))
            .evidence(format!("one after the other: {alone} fail"))
            .help("ask less: a NodeLocal DNSCache answers most of it on the node; a dot at the end of a name saves the search list")
            .help("or raise the limit: CoreDNS's `forward` has max_concurrent, a cloud's resolver a quota for each network interface")
            .relief(Relief::none("profiles change how lost queries are sent again, not how many are asked")),
    )
}

/// The server that limits.
pub(super) fn limited(seen: &Observations) -> Option<SocketAddr> {
    seen.answering().find(|server| {
        let (burst, alone) = rates(seen, *server);
        burst.exceeds(alone)
    })
}

/// How many fail, at once and alone.
fn rates(seen: &Observations, server: SocketAddr) -> (Rate, Rate) {
    let burst = Rate::of(seen.asked_for(Purpose::Burst).filter(|asked| asked.server == server), |asked| fails(asked));
    (burst, Rate::of(seen.plain(server, Via::Udp), |asked| fails(asked)))
}

fn fails(asked: &Asked) -> bool {
    !asked.is_told() || is_slipped(asked)
}

/// Cut short without a record, as limits answer now and then to make an honest client come by TCP.
fn is_slipped(asked: &Asked) -> bool {
    asked.answer().is_some_and(|answer| answer.truncated && answer.records == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Outcome;
    use crate::verdicts::tests::{Seen, code, cut_short, fires, silent, silent_of};

    const LIMITED: &str = "rate-limited";

    fn burst(share: usize, change: impl Fn(&mut Asked) + 'static) -> Seen {
        let mut count = 0;
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::Burst {
                count += 1;
                if count % share != 0 {
                    change(asked);
                }
            }
        })
    }

    #[test]
    fn fires_where_a_burst_is_dropped_refused_or_cut_short() {
        fires(LIMITED, &burst(2, |asked| asked.outcome = Outcome::Silence));
        fires(LIMITED, &burst(2, |asked| asked.outcome = code(Code::Refused)));
        let verdict = fires(LIMITED, &burst(2, |asked| cut_short(asked, 0)));
        assert_eq!(verdict.what, "10.0.0.10 answers 50 of 100 questions that come at once");
    }

    #[test]
    fn silent_where_all_is_lost_alike() {
        let mut count = 0;
        silent_of(
            LIMITED,
            &Seen::healthy().change(move |asked| {
                count += 1;
                if count % 3 == 0 {
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn a_few_that_are_lost_say_nothing() {
        let mut count = 0;
        silent_of(
            LIMITED,
            &Seen::healthy().change(move |asked| {
                if asked.purpose == Purpose::Burst && count < 3 {
                    count += 1;
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LIMITED);
    }
}
