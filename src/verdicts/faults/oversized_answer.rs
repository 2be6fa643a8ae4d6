//! A nameserver sends more than 512 bytes by UDP to a query without EDNS.
//!
//! ## Symptoms
//! Of a name with many addresses only the first are found on Alpine 3.17 and older (30 of 40 measured), or none if a long alias precedes
//! them; newer ones, glibc and Go find all. The answer has no truncation mark (TC), so that nothing asks again by TCP.
//!
//! ## Detection
//! The probe's queries without EDNS allow 512 bytes (RFC 1035, 4.2.1), and at least two answers by UDP are larger. musl before 1.2.4
//! receives into 512 bytes (`src/network/lookup_name.c`, `unsigned char abuf[2][512]`), and the kernel drops the rest.
//!
//! ## What to do
//! Use Alpine 3.18 or later, give the name fewer addresses, or correct whatever answers so: CoreDNS truncates unless another plugin or a
//! device before it changes the answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::{Family, musl};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Answer, AskedQuery, Observations, Purpose, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "oversized-answer", source: include_str!("oversized_answer.rs"), check };

/// The number of answers that must be too large.
const ANSWERS_MIN: usize = 2;
/// The most that a query without EDNS allows.
const UDP_MAX_BYTES: usize = 512;

fn check(seen: &Observations) -> Option<Verdict> {
    seen.answering_servers().find_map(|server| check_server(seen, server))
}

fn check_server(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let purposes = [Purpose::Name, Purpose::External, Purpose::Large];
    let large: Vec<(&AskedQuery, &Answer)> = purposes
        .into_iter()
        .flat_map(|purpose| seen.asked_for(purpose))
        .filter(|asked| asked.server == server && asked.via == Via::Udp && asked.edns.is_none())
        .filter_map(|asked| Some((asked, asked.answer().filter(|answer| answer.bytes > UDP_MAX_BYTES)?)))
        .collect();
    let (first, answer) = *large.first()?;
    if large.len() < ANSWERS_MIN {
        return None;
    }
    let names: BTreeSet<&str> =
        large.iter().map(|(asked, _)| asked.name.as_str()).filter(|name| !name.is_empty()).collect();
    let old: Vec<&str> = seen
        .programs()
        .filter(|program| program.resolver.family == Family::Musl)
        .filter(|program| program.resolver.version.is_some_and(|version| version < musl::TCP_SINCE))
        .map(|program| program.name.as_str())
        .collect();
    let is_own = !names.is_empty();
    let level = if is_own && !old.is_empty() { Level::Warn } else { Level::Info };
    let name = if first.name.is_empty() { "the root's keys" } else { &first.name };
    let what =
        format!("{} sends {} bytes for {name} where the query allows {UDP_MAX_BYTES}", server.ip(), answer.bytes);
    Some(
        Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what)
            .evidence(format!("{} answers by UDP to queries without EDNS have over {UDP_MAX_BYTES} bytes and no TC", large.len()))
            .evidence_if((!old.is_empty()).then(|| format!("{} receives {UDP_MAX_BYTES} bytes and loses the rest", list(&old))))
            .evidence("musl before 1.2.4 (Alpine to 3.17) loses such an answer or its end; later ones, glibc and Go take it whole")
            .help("use Alpine 3.18 or later, or give the name fewer addresses")
            .help("find out what answers so, as CoreDNS truncates by itself: another nameserver, or a device before it")
            .profile_effects(ProfileEffects::none("no option makes musl's buffer larger"))
            .explains(names, &[Cause::Search, Cause::Resolver, Cause::GivenUp]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::QueryOutcome;
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const OVERSIZED: &str = "oversized-answer";

    fn large(purpose: Purpose, most: usize) -> Seen {
        let mut count = 0;
        Seen::healthy().change(move |asked| {
            let is_it = asked.purpose == purpose && asked.via == Via::Udp && asked.edns.is_none() && count < most;
            if let QueryOutcome::Answer(answer) = &mut asked.outcome
                && is_it
            {
                (answer.bytes, answer.truncated) = (900, false);
                count += 1;
            }
        })
    }

    #[test]
    fn warns_if_an_old_musl_is_here() {
        let seen = || large(Purpose::External, 99);
        let verdict = fires(OVERSIZED, &seen());
        assert_eq!(verdict.what, "10.0.0.10 sends 900 bytes for example.com where the query allows 512");
        assert_eq!(verdict.level, Level::Info);
        let with = |version| fires(OVERSIZED, &seen().program(Family::Musl.at(version), false)).level;
        assert_eq!(with(Version::new(1, 2, 3)), Level::Warn);
        assert_eq!(with(Version::new(1, 2, 4)), Level::Info);
    }

    #[test]
    fn advises_for_the_roots_keys() {
        let old = Family::Musl.at(Version::new(1, 2, 3));
        assert_eq!(fires(OVERSIZED, &large(Purpose::Large, 99).program(old, false)).level, Level::Info);
    }

    #[test]
    fn silent_for_one_large_answer() {
        silent_of(OVERSIZED, &large(Purpose::External, 1));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(OVERSIZED);
    }
}
