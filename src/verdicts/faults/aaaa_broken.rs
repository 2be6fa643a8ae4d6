//! A name has an IPv4 address, and the query for its IPv6 address fails.
//!
//! ## Symptoms
//! musl since 1.2.1 (Alpine 3.13) fails the whole lookup: at once for NXDOMAIN, after its timeout for SERVFAIL, REFUSED and no
//! answer. glibc finds the address, after 15 s if no answer comes; Go after 10 s; musl to 1.2.0 after 5 s (measured). So it "works
//! on Debian, but not on Alpine", and `nslookup` shows an address.
//!
//! ## Detection
//! The probe asks for A and AAAA one after the other, several times. Every answer for A has an address, and AAAA never gets
//! NOERROR. An empty answer is correct. If AAAA gets no answer, the loss of A queries must not explain it (Fisher's exact test).
//!
//! ## What to do
//! The nameserver must answer AAAA with an empty NOERROR for a name that has only A. Until it does, let the program ask for IPv4
//! alone, or use an image with glibc. No option helps musl.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::failures::Cause;
use crate::verdicts::lookup_costs::fails_as_a_whole;
use crate::verdicts::observations::{Code, Observations, Purpose, QueryType, SystemLookup, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "aaaa-broken", source: include_str!("aaaa_broken.rs"), check };

/// The number of AAAA queries that must fail, and all of them.
const TRIES_MIN: usize = 3;

/// A name whose AAAA query fails on a server.
struct BrokenName<'a> {
    name: &'a str,
    server: SocketAddr,
    /// Response codes that came; `None` is no answer.
    codes: BTreeSet<Option<Code>>,
    tries: usize,
}

fn check(seen: &Observations) -> Option<Verdict> {
    let broken = broken_names(seen);
    let first = broken.first()?;
    let names: BTreeSet<&str> = broken.iter().map(|broken| broken.name).collect();
    let codes: BTreeSet<Option<Code>> = broken.iter().flat_map(|broken| &broken.codes).copied().collect();
    let affected: Vec<&str> = seen
        .programs()
        .filter(|program| fails_as_a_whole(program.resolver))
        .map(|program| program.name.as_str())
        .collect();
    let level = if affected.is_empty() { Level::Warn } else { Level::Deny };
    let what = format!("AAAA of {} gets {}, while A is answered", list(&names), code_names(&codes));
    let verdict = Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what);
    let verdict = broken.iter().fold(verdict, |verdict, BrokenName { name, server, codes, tries }| {
        let got = code_names(codes);
        verdict.evidence(format!("{}: {name} has A, and AAAA got {got} in all of {tries} tries", server.ip()))
    });
    let verdict = verdict
        .evidence_if((!affected.is_empty()).then(|| format!("{} fails such a lookup as a whole", list(&affected))))
        .evidence_if(failed_lookups(seen, &names))
        .evidence(resolver_behaviour(&first.codes))
        .help("let the nameserver answer AAAA with an empty NOERROR; behind CoreDNS, the server of that zone must do so")
        .help("until then, let the program ask for IPv4 alone, or use an image with glibc; `no-aaaa` helps glibc from 2.36, not musl")
        .profile_effects(ProfileEffects::none("musl has no option against AAAA queries"))
        .explains(names.iter().copied(), &[Cause::Search, Cause::Resolver, Cause::GivenUp]);
    Some(verdict)
}

/// Returns which lookups of these names failed, by full names, so that the search list has no part in it.
fn failed_lookups(seen: &Observations, names: &BTreeSet<&str>) -> Option<String> {
    let is_named = |lookup: &&SystemLookup| lookup.name.strip_suffix('.').is_some_and(|name| names.contains(name));
    let failed = seen.lookups.iter().filter(is_named).filter(|lookup| !lookup.result.is_found());
    let texts: Vec<String> = failed
        .map(|SystemLookup { resolver, name, took, error, .. }| {
            let error = error.as_ref().map_or(String::new(), |error| format!(" ({error})"));
            format!("{resolver} does not find {name} within {:.1} s{error}", took.as_secs_f64())
        })
        .collect();
    (!texts.is_empty()).then(|| format!("getaddrinfo: {}", texts.join("; ")))
}

/// Returns what each resolver makes of AAAA answers with these codes.
fn resolver_behaviour(codes: &BTreeSet<Option<Code>>) -> &'static str {
    if codes.contains(&None) {
        "musl from 1.2.1 fails after its timeout; glibc finds A after 15 s, Go after 10 s, musl to 1.2.0 after 5 s"
    } else if codes.contains(&Some(Code::NxDomain)) {
        "musl from 1.2.1 fails at once; musl to 1.2.0, glibc and Go find A"
    } else {
        "musl from 1.2.1 fails after its timeout; musl to 1.2.0 finds A after 5 s, glibc and Go at once"
    }
}

fn code_names(codes: &BTreeSet<Option<Code>>) -> String {
    list(codes.iter().map(|code| code.map_or("no answer".to_owned(), |code| code.to_string())))
}

fn broken_names(seen: &Observations) -> Vec<BrokenName<'_>> {
    let named = || seen.asked_for(Purpose::Name).chain(seen.asked_for(Purpose::External));
    let mut broken: Vec<BrokenName<'_>> = Vec::new();
    for server in seen.answering_servers() {
        let of_server = named().filter(|asked| asked.server == server);
        let names: BTreeSet<&str> = of_server.map(|asked| asked.name.as_str()).collect();
        for name in names {
            let queries = |kind| {
                let plain = seen.plain_queries(server, Via::Udp);
                plain.filter(move |asked| asked.name == name && asked.kind == kind).collect::<Vec<_>>()
            };
            let (a, aaaa) = (queries(QueryType::A), queries(QueryType::Aaaa));
            let has_a = a.iter().any(|asked| asked.is_answered())
                && a.iter().all(|asked| !asked.is_answered() || !asked.addresses().is_empty());
            let all_fail = aaaa.len() >= TRIES_MIN && aaaa.iter().all(|asked| asked.code() != Some(Code::NoError));
            // If A meets the same silence, the path is the cause.
            let by_server = aaaa.iter().any(|asked| asked.is_answered()) || seen.ignores(server, aaaa.iter().copied());
            if has_a && all_fail && by_server {
                let codes = aaaa.iter().map(|asked| asked.code()).collect();
                broken.push(BrokenName { name, server, codes, tries: aaaa.len() });
            }
        }
    }
    broken
}

/// Returns whether AAAA of some name fails.
pub(super) fn is_shown(seen: &Observations) -> bool {
    !broken_names(seen).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::{Family, Version};
    use crate::verdicts::observations::{LookupResult, QueryOutcome};
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const BROKEN: &str = "aaaa-broken";

    fn aaaa(outcome: QueryOutcome) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.kind == QueryType::Aaaa && asked.purpose == Purpose::External {
                asked.outcome = outcome.clone();
            }
        })
    }

    #[test]
    fn fires_for_each_wrong_answer_and_for_no_answer() {
        for (outcome, word) in [
            (code(Code::NxDomain), "NXDOMAIN"),
            (code(Code::ServFail), "SERVFAIL"),
            (code(Code::Refused), "REFUSED"),
            (QueryOutcome::Silence, "no answer"),
        ] {
            let verdict = fires(BROKEN, &aaaa(outcome));
            assert_eq!(verdict.what, format!("AAAA of example.com gets {word}, while A is answered"));
            assert_eq!(verdict.level, Level::Warn);
        }
    }

    #[test]
    fn denies_if_a_musl_that_fails_is_here() {
        let deny = |version| {
            fires(BROKEN, &aaaa(code(Code::ServFail)).program(Family::Musl.at(version), false)).level == Level::Deny
        };
        assert!(deny(Version::new(1, 2, 3)));
        assert!(!deny(Version::new(1, 1, 24)));
    }

    #[test]
    fn shows_the_lookups_that_failed() {
        let mut seen = aaaa(code(Code::ServFail));
        for lookup in &mut seen.lookups {
            lookup.result = LookupResult::Nothing;
            lookup.error = Some("EAI_AGAIN".to_owned());
        }
        let evidence = fires(BROKEN, &seen).evidence.join("\n");
        assert!(
            evidence.contains("getaddrinfo: glibc 2.36 does not find example.com. within 0.0 s (EAI_AGAIN)"),
            "{evidence}"
        );
        assert!(!evidence.contains("svc.cluster.local. (EAI_AGAIN)"), "{evidence}");
    }

    #[test]
    fn silent_for_an_empty_answer() {
        silent_of(BROKEN, &aaaa(code(Code::NoError)));
    }

    #[test]
    fn silent_for_one_lost_answer_or_a_missing_name() {
        silent_of(BROKEN, &Seen::healthy().once(QueryType::Aaaa, QueryOutcome::Silence));
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
