//! This machine's clock is wrong, or the nameserver's is, which looks like a DNS failure.
//!
//! ## Symptoms
//! Certificates are "not yet valid" or "expired", tokens are rejected, and a nameserver that checks signatures answers SERVFAIL for
//! every signed name. Programs report "cannot connect to host", and DNS is blamed.
//!
//! ## Detection
//! The root's keys come with a signature that has a start and an end time. The nameservers cannot all hand out outdated signatures
//! at once, so a clock that is outside all these times by more than an hour is wrong. A nameserver that answers SERVFAIL for signed
//! names, and answers them when asked not to check signatures (CD), has a wrong clock or a broken chain of trust. The probe does
//! not look at certificates.
//!
//! ## What to do
//! Set the clock (chrony, systemd-timesyncd) on the node, or where the nameserver runs.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::observations::{AskedQuery, Code, Observations, Purpose, Validity};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict};

pub(super) static DIAGNOSIS: Diagnosis = Diagnosis { slug: "clock", source: include_str!("clock.rs"), check };

/// Signers allow an hour for clocks that are slightly wrong.
const LEEWAY_SECONDS: u64 = 3600;
/// The number of answers that must agree.
const TRIES_MIN: usize = 2;

fn check(seen: &Observations) -> Option<Verdict> {
    own_clock(seen).or_else(|| seen.answering_servers().find_map(|server| nameservers_clock(seen, server)))
}

fn own_clock(seen: &Observations) -> Option<Verdict> {
    let now = seen.environment.unix_time;
    let signed: Vec<Validity> =
        seen.asked_for(Purpose::Signed).filter_map(AskedQuery::answer).filter_map(|answer| answer.signed).collect();
    let early = signed.iter().all(|validity| now + LEEWAY_SECONDS < validity.inception);
    let late = signed.iter().all(|validity| now > validity.expiration + LEEWAY_SECONDS);
    if signed.len() < TRIES_MIN || !(early || late) {
        return None;
    }
    // The nearest time gives the least error.
    let off = if early {
        signed.iter().map(|validity| validity.inception.saturating_sub(now)).min()
    } else {
        signed.iter().map(|validity| now.saturating_sub(validity.expiration)).min()
    };
    let hours = off.unwrap_or_default() / 3600;
    let what = format!("this machine's clock is at least {hours} hours {}", if early { "slow" } else { "fast" });
    // A server that keeps outdated answers also hands out old signatures.
    let confidence = if early { Confidence::Certain } else { Confidence::Likely };
    Some(
        Verdict::new(&DIAGNOSIS, Level::Deny, confidence, what)
            .evidence(format!(
                "the clock is at {now} s since 1970; {} signatures of the root's keys {}",
                signed.len(),
                if early { "start later" } else { "have ended" }
            ))
            .evidence_if(late.then(|| "a nameserver that hands out outdated answers would look the same".to_owned()))
            .help("set the clock: certificates, tokens and signatures fail because of it, not because of DNS")
            .profile_effects(ProfileEffects::none("options of resolv.conf cannot set a clock")),
    )
}

fn nameservers_clock(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
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
    let what = format!("{} rejects the root's signatures: its clock or its trust anchor is wrong", server.ip());
    Some(
        Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Likely, what)
            .evidence(format!(
                "SERVFAIL in all {} tries, and an answer each time with the request not to check signatures (CD)",
                checked.len()
            ))
            .help("set the clock where this nameserver, or the one it forwards to, runs; then check its trust anchor")
            .profile_effects(ProfileEffects::none("resolvers in pods do not check signatures")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::QueryOutcome;
    use crate::verdicts::tests::{NOW, Seen, code, fires, silent, silent_of};

    const CLOCK: &str = "clock";

    fn at(unix_time: u64) -> Seen {
        let mut seen = Seen::healthy();
        seen.environment.unix_time = unix_time;
        seen
    }

    #[test]
    fn slow_before_all_signatures_and_fast_after_them() {
        let slow = fires(CLOCK, &at(NOW - 30 * 86_400));
        assert_eq!(
            (&*slow.what, slow.confidence),
            ("this machine's clock is at least 552 hours slow", Confidence::Certain)
        );
        assert_eq!(fires(CLOCK, &at(NOW + 30 * 86_400)).confidence, Confidence::Likely);
    }

    #[test]
    fn silent_within_an_hour_of_the_signatures() {
        // The signatures of a healthy network hold a week before and after.
        silent_of(CLOCK, &at(NOW - 7 * 86_400 - 1800));
        silent_of(CLOCK, &at(NOW + 7 * 86_400 + 1800));
    }

    #[test]
    fn silent_if_one_signature_is_valid() {
        let mut first = true;
        let seen = at(NOW + 30 * 86_400).change(move |asked| {
            if let QueryOutcome::Answer(answer) = &mut asked.outcome
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
    fn fires_for_a_server_that_fails_only_when_it_checks() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Signed {
                asked.outcome = code(Code::ServFail);
            }
        });
        assert!(fires(CLOCK, &seen).what.contains("rejects the root's signatures"));
    }

    #[test]
    fn silent_for_servfail_with_and_without_checks() {
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
