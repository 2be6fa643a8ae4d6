//! Large answers do not arrive completely.
//!
//! ## Symptoms
//! An answer that does not fit a packet of 512 bytes is truncated (TC), and the resolver fetches the rest by TCP; with EDNS a
//! packet may be larger. If TCP is blocked, musl from 1.2.4 and glibc fail such a name (measured). musl to 1.2.3 never uses TCP: it
//! takes the records that came, or fails. Go uses EDNS, and fails if packets with EDNS are dropped.
//!
//! ## Detection
//! The probe asks for the same names by UDP without EDNS, with EDNS of 1232 and of 4096 bytes, and by TCP. It reports a truncated
//! answer that TCP does not complete; EDNS that is dropped or refused, while the same query without it is answered; and packets
//! over 1,232 bytes that do not arrive. The path's ordinary loss must not explain them (Fisher's exact test). If your own names are
//! truncated and can be fetched by TCP, that matters only to musl to 1.2.3.
//!
//! ## What to do
//! Let TCP port 53 through as well as UDP (NetworkPolicies often allow only UDP), and packets of more than 512 bytes. Use Alpine
//! 3.18 or later; musl returns at most 48 addresses of any answer, also by TCP (`MAXADDRS`, musl `src/network/lookup.h`;
//! measured).

use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::{Family, musl};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Answer, AskedQuery, Observations, Purpose, QueryType, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis = Diagnosis { slug: "truncation", source: include_str!("truncation.rs"), check };

/// The number of equal observations that a verdict needs.
const TRIES_MIN: usize = 2;
/// The size that fits any path (DNS flag day 2020); larger answers may be fragmented, and firewalls drop fragments.
const SAFE_BYTES: u16 = 1232;

fn check(seen: &Observations) -> Option<Verdict> {
    seen.answering_servers().find_map(|server| {
        no_tcp(seen, server)
            .or_else(|| no_edns(seen, server))
            .or_else(|| no_fragments(seen, server))
            .or_else(|| truncated_names(seen, server))
    })
}

fn queries_to(seen: &Observations, server: SocketAddr) -> impl Iterator<Item = &AskedQuery> {
    let purposes = [Purpose::Name, Purpose::External, Purpose::Large];
    purposes.into_iter().flat_map(|purpose| seen.asked_for(purpose)).filter(move |asked| asked.server == server)
}

fn is_truncated(asked: &AskedQuery) -> bool {
    asked.via == Via::Udp && asked.answer().is_some_and(|answer| answer.truncated)
}

/// Returns a query as `A example.com`.
fn question(asked: &AskedQuery) -> String {
    let name = if asked.name.is_empty() { "." } else { &asked.name };
    format!("{} {name}", asked.kind.name())
}

fn no_tcp(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let cut: Vec<&AskedQuery> = queries_to(seen, server).filter(|asked| is_truncated(asked)).collect();
    let first = cut.first()?;
    let tcp: Vec<&AskedQuery> = queries_to(seen, server).filter(|asked| asked.via == Via::Tcp).collect();
    if tcp.is_empty() || tcp.iter().any(|asked| asked.is_answered()) {
        return None;
    }
    let own = cut.iter().any(|asked| is_own(seen, asked));
    let level = if own { Level::Deny } else { Level::Warn };
    let what =
        format!("{} truncates large answers, and does not answer by TCP, by which the rest is fetched", server.ip());
    Some(
        Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what)
            .evidence(format!("the answer for {} has TC and {} records", question(first), first.answer().map_or(0, |answer| answer.records)))
            .evidence(format!("0 of {} queries are answered by TCP", tcp.len()))
            .evidence("musl from 1.2.4 and glibc fail such a name: at once if TCP is refused; if TCP is accepted and never answered, \
                       musl after 5 s and glibc after more than 140 s; musl to 1.2.3 takes the records that came; Go uses EDNS and finds all")
            .help("let TCP port 53 through to the nameserver; NetworkPolicies often allow only UDP")
            .profile_effects(ProfileEffects::none("options of resolv.conf cannot open a port"))
            .explains(cut_names(&cut), &[Cause::Search, Cause::Resolver, Cause::GivenUp]),
    )
}

fn no_edns(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let of = |with_edns: bool| {
        let is_it = move |asked: &&AskedQuery| {
            asked.via == Via::Udp && asked.edns.is_some_and(|size| size <= SAFE_BYTES) == with_edns
        };
        // The queries with EDNS are for A.
        let named =
            queries_to(seen, server).filter(|asked| asked.purpose != Purpose::Large && asked.kind == QueryType::A);
        named.filter(is_it).filter(move |asked| with_edns || asked.edns.is_none()).collect::<Vec<_>>()
    };
    let (with, without) = (of(true), of(false));
    let refuses = |asked: &&AskedQuery| !asked.is_conclusive();
    let works = without.iter().filter(|asked| asked.is_conclusive()).count();
    let silent = with.iter().all(|asked| !asked.is_answered());
    if with.len() < TRIES_MIN || !with.iter().all(refuses) || works * 2 <= without.len() {
        return None;
    }
    if silent && !seen.ignores(server, with.iter().copied()) {
        return None;
    }
    let what = format!("{} {} queries with EDNS", server.ip(), if silent { "never answers" } else { "refuses" });
    Some(
        Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what)
            .evidence(format!(
                "0 of {} queries are answered with EDNS, and {works} of {} without",
                with.len(),
                without.len()
            ))
            .evidence(
                "Go sends EDNS with every query since 1.19; musl never does, and glibc only with the option edns0",
            )
            .help("let the firewall before the nameserver pass EDNS, or update the nameserver")
            .help("until then, set GODEBUG=netedns0=0 for Go programs")
            .profile_effects(ProfileEffects::none("no option keeps Go from sending EDNS")),
    )
}

fn no_fragments(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let large = || queries_to(seen, server).filter(|asked| asked.purpose == Purpose::Large && asked.edns.is_some());
    let over: Vec<&AskedQuery> = large().filter(|asked| asked.edns > Some(SAFE_BYTES)).collect();
    let lost = over.len() >= TRIES_MIN
        && over.iter().all(|asked| !asked.is_answered())
        && seen.ignores(server, over.iter().copied());
    let safe = large().filter(|asked| asked.edns <= Some(SAFE_BYTES));
    let safe: Vec<&Answer> = safe.filter_map(AskedQuery::answer).collect();
    // An answer that fits the small packet is not fragmented in the large one, so its loss has another cause.
    if !lost || safe.len() < TRIES_MIN || !safe.iter().any(|answer| answer.truncated) {
        return None;
    }
    let what = format!("answers over {SAFE_BYTES} bytes from {} do not arrive", server.ip());
    Some(
        Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what)
            .evidence(format!("0 of {} arrive with room for 4,096 bytes, and {} of as many with room for {SAFE_BYTES}", over.len(), safe.len()))
            .evidence("a packet over the path's MTU is fragmented; something on the path drops fragments or large packets")
            .help("let fragments through, or set the nameserver's largest UDP answer to 1,232 bytes (CoreDNS: `bufsize 1232`)")
            .profile_effects(ProfileEffects::none("no option of resolv.conf sets the size that EDNS allows")),
    )
}

/// Returns whether the query is for one of the user's names, not for the root's keys.
fn is_own(seen: &Observations, asked: &AskedQuery) -> bool {
    asked.purpose != Purpose::Large || seen.targets.large_name.is_some()
}

fn truncated_names(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let cut: Vec<&AskedQuery> = queries_to(seen, server)
        .filter(|asked| is_truncated(asked) && asked.edns.is_none() && is_own(seen, asked))
        .collect();
    let old: Vec<&str> = seen
        .programs()
        .filter(|program| program.resolver.family == Family::Musl && program.resolver.version < Some(musl::TCP_SINCE))
        .filter(|program| program.resolver.version.is_some())
        .map(|program| program.name.as_str())
        .collect();
    let first = cut.first()?;
    let by_tcp = queries_to(seen, server).filter(|asked| {
        asked.via == Via::Tcp && asked.kind == first.kind && asked.name.eq_ignore_ascii_case(&first.name)
    });
    let by_tcp: Vec<&AskedQuery> = by_tcp.collect();
    let is_whole = |asked: &&AskedQuery| asked.answer().is_some_and(|answer| !answer.truncated && answer.records > 0);
    let fails_by_tcp = !by_tcp.is_empty() && !by_tcp.iter().any(is_whole);
    let empty = cut.iter().any(|asked| asked.answer().is_some_and(|answer| answer.records == 0));
    let level = match (old.is_empty(), empty) {
        _ if fails_by_tcp => Level::Deny,
        (true, _) => Level::Info,
        (false, true) => Level::Deny,
        (false, false) => Level::Warn,
    };
    let what = format!("{} does not fit a packet of 512 bytes", question(first));
    let records = first.answer().map_or(0, |answer| answer.records);
    let rest = match by_tcp.first() {
        None => String::new(),
        Some(_) if !fails_by_tcp => "; TCP gives the whole answer".to_owned(),
        Some(asked) => format!("; by TCP it gets {}", asked.outcome_text()),
    };
    Some(
        Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what)
            .evidence(format!("the UDP answer has TC and {records} records{rest}"))
            .evidence_if((!old.is_empty()).then(|| format!("{} never uses TCP", list(&old))))
            .evidence("musl to 1.2.3 (Alpine 3.17) takes the records that came, and fails if there are none; glibc, Go and musl from 1.2.4 \
                       fetch the rest by TCP")
            .help("use Alpine 3.18 or later, or give the name fewer addresses: musl returns at most 48 of them")
            .profile_effects(ProfileEffects::none("musl has no option for TCP or for larger packets"))
            .explains(cut_names(&cut), &[Cause::Search, Cause::Resolver, Cause::GivenUp]),
    )
}

/// Returns the names whose answers are truncated.
fn cut_names(cut: &[&AskedQuery]) -> Vec<String> {
    cut.iter().map(|asked| asked.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::{Code, QueryOutcome};
    use crate::verdicts::tests::{Seen, code, cut_short, fires, silent, silent_of};

    const TRUNCATION: &str = "truncation";

    fn external_cut(records: usize) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::External && asked.via == Via::Udp && asked.edns.is_none() {
                cut_short(asked, records);
            }
        })
    }

    fn without_tcp(seen: Seen) -> Seen {
        seen.change(|asked| {
            if asked.via == Via::Tcp {
                asked.outcome = QueryOutcome::PortClosed;
            }
        })
    }

    #[test]
    fn denies_for_a_truncated_own_name_without_tcp() {
        assert_eq!(fires(TRUNCATION, &without_tcp(external_cut(30))).level, Level::Deny);
    }

    #[test]
    fn warns_for_truncated_root_keys_without_tcp() {
        assert_eq!(fires(TRUNCATION, &without_tcp(Seen::healthy())).level, Level::Warn);
    }

    #[test]
    fn severity_of_a_truncated_own_name_depends_on_an_old_musl() {
        let old = Family::Musl.at(Version::new(1, 2, 3));
        assert_eq!(fires(TRUNCATION, &external_cut(30)).level, Level::Info);
        assert_eq!(fires(TRUNCATION, &external_cut(30).program(old, false)).level, Level::Warn);
        assert_eq!(fires(TRUNCATION, &external_cut(0).program(old, false)).level, Level::Deny);
    }

    #[test]
    fn denies_if_tcp_does_not_have_the_rest() {
        let seen = external_cut(0).change(|asked| {
            if asked.via == Via::Tcp && asked.purpose == Purpose::External {
                asked.outcome = code(Code::ServFail);
            }
        });
        let verdict = fires(TRUNCATION, &seen);
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.evidence[0].ends_with("by TCP it gets SERVFAIL"), "{:?}", verdict.evidence);
    }

    #[test]
    fn fires_if_edns_is_dropped() {
        let seen = Seen::healthy().change(|asked| {
            if asked.edns.is_some() {
                asked.outcome = QueryOutcome::Silence;
            }
        });
        assert!(fires(TRUNCATION, &seen).what.ends_with("never answers queries with EDNS"));
    }

    #[test]
    fn fires_if_large_packets_are_lost() {
        let seen = Seen::healthy().change(|asked| match asked.edns {
            Some(4096) => asked.outcome = QueryOutcome::Silence,
            Some(_) if asked.purpose == Purpose::Large => cut_short(asked, 0),
            _ => {}
        });
        assert!(fires(TRUNCATION, &seen).what.starts_with("answers over 1232 bytes"));
    }

    #[test]
    fn silent_for_one_lost_query_or_missing_tcp_alone() {
        let mut lost = false;
        silent_of(
            TRUNCATION,
            &Seen::healthy().change(move |asked| {
                if asked.edns.is_some() && !std::mem::replace(&mut lost, true) {
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
        silent_of(TRUNCATION, &without_tcp(Seen::healthy().without(Purpose::Large)));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(TRUNCATION);
    }
}
