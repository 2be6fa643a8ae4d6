//! This machine's clock is wrong, or the nameserver's is: what then fails looks like DNS, and is not.
//!
//! ## What it looks like
//! Certificates are "not yet valid" or "expired", tokens are refused, and a nameserver that checks signatures answers SERVFAIL for every
//! signed name. Programs report it as "cannot connect to host", and DNS is blamed.
//!
//! ## How it is told
//! The root's keys come with a signature that says from when to when it holds. All signatures that the nameservers hand out cannot be
//! outdated at once, so a clock outside of all their times, by more than an hour, is wrong. And a nameserver that answers SERVFAIL for
//! signed names, and answers them when asked not to check the signatures (CD), has a wrong clock or a broken chain of trust. Nothing else
//! is claimed: a certificate that fails is not looked at.
//!
//! ## What to do
//! Set the clock (chrony, systemd-timesyncd) on the node, or where the nameserver runs.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::observations::{Asked, Code, Observations, Purpose, Validity};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict};

pub(super) static FAULT: Fault = Fault { slug: "clock", source: include_str!("clock.rs"), check };

/// Signers leave an hour for clocks that are wrong by a little.
const LEEWAY_SECONDS: u64 = 3600;
/// How many answers must say the same.
const TRIES_MIN: usize = 2;

fn check(seen: &Observations) -> Option<Verdict> {
    own(seen).or_else(|| seen.answering().find_map(|server| of_server(seen, server)))
}

fn own(seen: &Observations) -> Option<Verdict> {
    let now = seen.surroundings.unix_time;
    let signed: Vec<Validity> =
        seen.asked_for(Purpose::Signed).filter_map(Asked::answer).filter_map(|answer| answer.signed).collect();
    let early = signed.iter().all(|validity| now + LEEWAY_SECONDS < validity.inception);
    let late = signed.iter().all(|validity| now > validity.expiration + LEEWAY_SECONDS);
    if signed.len() < TRIES_MIN || !(early || late) {
        return None;
    }
    // The nearest of the times decides how wrong it is at least.
    let off = if early {
        signed.iter().map(|validity| validity.inception.saturating_sub(now)).min()
    } else {
        signed.iter().map(|validity| now.saturating_sub(validity.expiration)).min()
    };
    let hours = off.unwrap_or_default() / 3600;
    let what = format!("this machine's clock is at least {hours} hours {}", if early { "slow" } else { "fast" });
    // Old signatures may also be handed out by a server that keeps outdated answers.
    let sureness = if early { Sureness::Sure } else { Sureness::Likely };
    Some(
        Verdict::new(&FAULT, Level::Deny, sureness, what)
            .evidence(format!(
                "it says {now} s since 1970; {} signatures of the root's keys {}",
                signed.len(),
                if early { "hold only later" } else { "have ended" }
            ))
            .evidence_if(late.then(|| "a nameserver that hands out outdated answers would look the same".to_owned()))
            .help("set the clock: failing certificates, tokens and signatures are its doing, and no fault of DNS")
            .relief(Relief::none("options of resolv.conf set no clock")),
    )
}

fn of_server(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let of = |purpose| seen.asked_for(purpose).filter(move |asked| asked.server == server).collect::<Vec<_>>();
    let (checked, unchecked) = (of(Purpose::Signed), of(Purpose::Unchecked));
    let fails = checked.len() >= TRIES_MIN && checked.iter().all(|asked| asked.code() == Some(Code::ServFail));
    let works = unchecked.len() >= TRIES_MIN
        && unchecked
            .iter()
            .all(|asked| asked.answer().is_some_and(|answer| answer.code == Code::NoError && answer.records > 0));
    if !fails || !works {
        return None;
    }
    let what =
        format!("{} takes the root's signatures for false: its clock, or its trust anchor, is wrong", server.ip());
    Some(
        Verdict::new(&FAULT, Level::Warn, Sureness::Likely, what)
            .evidence(format!("SERVFAIL in {} of {} tries, and an answer each time with the request not to check (CD)", checked.len(), checked.len()))
            .help("set the clock where this nameserver, or the one that it forwards to, runs; then see to its trust anchor")
            .relief(Relief::none("resolvers in pods check no signatures")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Outcome;
    use crate::verdicts::tests::{NOW, Seen, code, fires, silent, silent_of};

    const CLOCK: &str = "clock";

    fn at(unix_time: u64) -> Seen {
        let mut seen = Seen::healthy();
        seen.surroundings.unix_time = unix_time;
        seen
    }

    #[test]
    fn a_clock_before_all_signatures_is_slow_and_one_after_them_fast() {
        let slow = fires(CLOCK, &at(NOW - 30 * 86_400));
        assert_eq!((&*slow.what, slow.sureness), ("this machine's clock is at least 552 hours slow", Sureness::Sure));
        assert_eq!(fires(CLOCK, &at(NOW + 30 * 86_400)).sureness, Sureness::Likely);
    }

    #[test]
    fn half_an_hour_beyond_is_leeway() {
        // The signatures of a healthy network hold a week before and after.
        silent_of(CLOCK, &at(NOW - 7 * 86_400 - 1800));
        silent_of(CLOCK, &at(NOW + 7 * 86_400 + 1800));
    }

    #[test]
    fn one_signature_that_holds_is_enough() {
        let mut first = true;
        let seen = at(NOW + 30 * 86_400).change(move |asked| {
            if let Outcome::Answer(answer) = &mut asked.outcome
                && asked.purpose == Purpose::Signed
                && std::mem::take(&mut first)
                && let Some(validity) = &mut answer.signed
            {
                validity.expiration = NOW + 60 * 86_400;
            }
        });
        silent_of(CLOCK, &seen);
    }

    #[test]
    fn a_server_that_fails_only_when_it_checks_is_named() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Signed {
                asked.outcome = code(Code::ServFail);
            }
        });
        assert!(fires(CLOCK, &seen).what.contains("takes the root's signatures for false"));
    }

    #[test]
    fn servfail_whether_or_not_it_checks_is_another_fault() {
        silent_of(
            CLOCK,
            &Seen::healthy().change(|asked| {
                if matches!(asked.purpose, Purpose::Signed | Purpose::Unchecked) {
                    asked.outcome = code(Code::ServFail);
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(CLOCK);
    }
}
