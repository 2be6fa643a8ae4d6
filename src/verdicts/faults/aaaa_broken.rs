//! A name has an IPv4 address, and the question for its IPv6 address goes wrong.
//!
//! ## What it looks like
//! musl since 1.2.1 (Alpine 3.13) fails the whole lookup: at once for NXDOMAIN, after its timeout for SERVFAIL, REFUSED and no answer.
//! glibc finds the address, after 15 s where no answer comes; Go after 10 s. musl to 1.2.0 after 5 s (measured). So it "works on
//! Debian, and not on Alpine", and `nslookup` shows an address.
//!
//! ## How it is told
//! A and AAAA are asked for one after the other, several times. Each answer for A has an address, and AAAA is never
//! answered with NOERROR. An empty answer is right. Where none comes, it must be no chance by what is lost of A (Fisher's exact test).
//!
//! ## What to do
//! The nameserver must answer AAAA with an empty NOERROR for a name that has only A. Until it does, let the program ask for IPv4 alone,
//! or use an image on glibc. No option helps musl.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::{Family, Resolver, musl};
use crate::verdicts::observations::{Asked, Code, Kind, Observations, Purpose, Via};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "aaaa-broken", source: include_str!("aaaa_broken.rs"), check };

/// How many questions for AAAA must go wrong, and all of them.
const TRIES_MIN: usize = 3;

/// A name of which AAAA goes wrong on a server.
struct Broken<'a> {
    name: &'a str,
    server: SocketAddr,
    /// What comes; `None` is nothing.
    codes: BTreeSet<Option<&'static str>>,
    tries: usize,
}

fn check(seen: &Observations) -> Option<Verdict> {
    let broken = broken(seen);
    let first = broken.first()?;
    let names: BTreeSet<&str> = broken.iter().map(|broken| broken.name).collect();
    let comes = list(
        broken
            .iter()
            .flat_map(|broken| &broken.codes)
            .collect::<BTreeSet<_>>()
            .iter()
            .map(|code| code.unwrap_or("no answer")),
    );
    let fails = |resolver: Resolver| {
        resolver.family == Family::Musl && resolver.version.is_none_or(|release| release >= musl::ALL_OR_NOTHING_SINCE)
    };
    let here: Vec<&str> =
        seen.resolvers().filter(|program| fails(program.resolver)).map(|program| program.name.as_str()).collect();
    let level = if here.is_empty() { Level::Warn } else { Level::Deny };
    let verdict = Verdict::new(
        &FAULT,
        level,
        Sureness::Sure,
        format!("AAAA of {} gets {comes}, while A is answered", list(&names)),
    );
    let verdict = broken.iter().fold(verdict, |verdict, broken| {
        let got = list(broken.codes.iter().map(|code| code.unwrap_or("no answer")));
        verdict.evidence(format!(
            "{}: {} has A, and AAAA got {got} in all of {} tries",
            broken.server.ip(),
            broken.name,
            broken.tries
        ))
    });
    let never = first.codes.contains(&None);
    let verdict = verdict
        .evidence_if((!here.is_empty()).then(|| format!("{} fails such a lookup as a whole", list(&here))))
        .evidence(if never {
            "musl from 1.2.1 fails after its timeout; glibc finds A after 15 s, Go after 10 s, musl to 1.2.0 after 5 s"
        } else if first.codes.contains(&Some("NXDOMAIN")) {
            "musl from 1.2.1 fails at once; musl to 1.2.0, glibc and Go find A"
        } else {
            "musl from 1.2.1 fails after its timeout; musl to 1.2.0 finds A after 5 s, glibc and Go at once"
        })
        .help("let the nameserver answer AAAA with an empty NOERROR; behind CoreDNS it is the server of that zone that must")
        .help("until then let the program ask for IPv4 alone, or use an image on glibc; `no-aaaa` helps glibc from 2.36, not musl")
        .relief(Relief::none("no option that musl reads keeps it from asking for AAAA"));
    Some(verdict)
}

fn broken(seen: &Observations) -> Vec<Broken<'_>> {
    let named = || seen.asked_for(Purpose::Name).chain(seen.asked_for(Purpose::External));
    let mut broken: Vec<Broken<'_>> = Vec::new();
    for server in seen.answering() {
        let mut names: Vec<&str> =
            named().filter(|asked| asked.server == server).map(|asked| asked.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of = |kind| {
                let is_it = move |asked: &&Asked| {
                    asked.server == server
                        && asked.name == name
                        && asked.kind == kind
                        && asked.via == Via::Udp
                        && asked.edns.is_none()
                };
                named().filter(is_it).collect::<Vec<_>>()
            };
            let (a, aaaa) = (of(Kind::A), of(Kind::Aaaa));
            let has_a = a.iter().any(|asked| asked.is_answered())
                && a.iter().all(|asked| !asked.is_answered() || !asked.addresses().is_empty());
            let all_wrong = aaaa.len() >= TRIES_MIN && aaaa.iter().all(|asked| asked.code() != Some(Code::NoError));
            // Silence that A meets too is the path's fault.
            let by_server =
                aaaa.iter().any(|asked| asked.is_answered()) || seen.are_ignored(server, aaaa.iter().copied());
            if has_a && all_wrong && by_server {
                let codes = aaaa.iter().map(|asked| asked.code().map(code_name)).collect();
                broken.push(Broken { name, server, codes, tries: aaaa.len() });
            }
        }
    }
    broken
}

/// Whether AAAA of some name goes wrong.
pub(super) fn is_shown(seen: &Observations) -> bool {
    !broken(seen).is_empty()
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::NoError => "NOERROR",
        Code::FormErr => "FORMERR",
        Code::ServFail => "SERVFAIL",
        Code::NxDomain => "NXDOMAIN",
        Code::NotImp => "NOTIMP",
        Code::Refused => "REFUSED",
        Code::Other(_) => "an unknown code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::Outcome;
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const BROKEN: &str = "aaaa-broken";

    fn aaaa(outcome: Outcome) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.kind == Kind::Aaaa && asked.purpose == Purpose::External {
                asked.outcome = outcome.clone();
            }
        })
    }

    #[test]
    fn fires_for_each_wrong_answer_and_for_none() {
        for (outcome, word) in [
            (code(Code::NxDomain), "NXDOMAIN"),
            (code(Code::ServFail), "SERVFAIL"),
            (code(Code::Refused), "REFUSED"),
            (Outcome::Silence, "no answer"),
        ] {
            let verdict = fires(BROKEN, &aaaa(outcome));
            assert_eq!(verdict.what, format!("AAAA of example.com gets {word}, while A is answered"));
            assert_eq!(verdict.level, Level::Warn);
        }
    }

    #[test]
    fn a_musl_that_fails_makes_it_serious() {
        let deny = |version| {
            fires(BROKEN, &aaaa(code(Code::ServFail)).program(Family::Musl.at(version), false)).level == Level::Deny
        };
        assert!(deny(Version::new(1, 2, 3)));
        assert!(!deny(Version::new(1, 1, 24)));
    }

    #[test]
    fn an_empty_answer_is_right() {
        silent_of(BROKEN, &aaaa(code(Code::NoError)));
    }

    #[test]
    fn one_lost_answer_or_a_name_that_nobody_has_is_no_sign() {
        silent_of(BROKEN, &Seen::healthy().once(Kind::Aaaa, Outcome::Silence));
        silent_of(
            BROKEN,
            &Seen::healthy().change(|asked| {
                if asked.purpose == Purpose::External {
                    asked.outcome = code(Code::NxDomain);
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(BROKEN);
    }
}
