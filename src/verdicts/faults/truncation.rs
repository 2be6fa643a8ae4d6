//! Large answers do not arrive whole.
//!
//! ## What it looks like
//! An answer that does not fit a packet of 512 bytes is cut short (TC), and the rest is fetched by TCP; with EDNS a packet may be larger.
//! Where TCP is blocked, musl from 1.2.4 and glibc fail such a name (measured); musl to 1.2.3 never asks by TCP, and takes what is there
//! or fails. Go asks with EDNS, and fails where packets with EDNS are thrown away.
//!
//! ## How it is told
//! The same names by UDP without EDNS, with EDNS of 1232 and of 4096 bytes, and by TCP. Named are: a cut answer whose rest TCP does
//! not bring; EDNS that is thrown away or refused, while the same question without it is answered; packets over 1,232 bytes that do not
//! arrive. What the path loses of any query by chance is none of these (Fisher's exact test). Answers of your own names that are cut
//! and can be fetched are worth knowing only for musl to 1.2.3.
//!
//! ## What to do
//! Let TCP port 53 through as well as UDP (NetworkPolicies often name only UDP), and packets of more than 512 bytes. Use Alpine 3.18 or
//! later.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::{Family, musl};
use crate::verdicts::observations::{Answer, Asked, Code, Observations, Purpose, Via};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "truncation", source: include_str!("truncation.rs"), check };

/// How often the same must be seen.
const TRIES_MIN: usize = 2;
/// What fits any path (DNS flag day 2020); more may be sent in fragments, which firewalls drop.
pub(super) const SAFE_BYTES: u16 = 1232;

fn check(seen: &Observations) -> Option<Verdict> {
    seen.answering().find_map(|server| {
        no_tcp(seen, server)
            .or_else(|| no_edns(seen, server))
            .or_else(|| no_fragments(seen, server))
            .or_else(|| cut(seen, server))
    })
}

fn names_of(seen: &Observations, server: SocketAddr) -> impl Iterator<Item = &Asked> {
    let purposes = [Purpose::Name, Purpose::External, Purpose::Large];
    purposes.into_iter().flat_map(|purpose| seen.asked_for(purpose)).filter(move |asked| asked.server == server)
}

fn is_cut(asked: &Asked) -> bool {
    asked.via == Via::Udp && asked.answer().is_some_and(|answer| answer.truncated)
}

/// A question as it is written.
fn question(asked: &Asked) -> String {
    let name = if asked.name.is_empty() { "." } else { &asked.name };
    format!("{} {name}", asked.kind.name())
}

fn no_tcp(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let cut: Vec<&Asked> = names_of(seen, server).filter(|asked| is_cut(asked)).collect();
    let first = cut.first()?;
    let tcp: Vec<&Asked> = names_of(seen, server).filter(|asked| asked.via == Via::Tcp).collect();
    if tcp.is_empty() || tcp.iter().any(|asked| asked.is_answered()) {
        return None;
    }
    let own = cut.iter().any(|asked| is_own(seen, asked));
    let level = if own { Level::Deny } else { Level::Warn };
    let what = format!(
        "{} cuts large answers short, and does not answer by TCP, where the rest is to be fetched",
        server.ip()
    );
    Some(
        Verdict::new(&FAULT, level, Sureness::Sure, what)
            .evidence(format!("{} comes with TC and {} records", question(first), first.answer().map_or(0, |answer| answer.records)))
            .evidence(format!("0 of {} questions are answered by TCP", tcp.len()))
            .evidence("musl from 1.2.4 and glibc fail such a name, at once where TCP is refused; where it is accepted and never answered, \
                       musl after 5 s and glibc after more than 140 s; musl to 1.2.3 takes what is there; Go, with EDNS, finds all")
            .help("let TCP port 53 through to the nameserver; NetworkPolicies often name only UDP")
            .relief(Relief::none("options of resolv.conf open no port")),
    )
}

fn no_edns(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let of = |with_edns: bool| {
        let is_it = move |asked: &&Asked| {
            asked.via == Via::Udp && asked.edns.is_some_and(|size| size <= SAFE_BYTES) == with_edns
        };
        let named = names_of(seen, server).filter(|asked| asked.purpose != Purpose::Large);
        named.filter(is_it).filter(move |asked| with_edns || asked.edns.is_none()).collect::<Vec<_>>()
    };
    let (with, without) = (of(true), of(false));
    let refuses = |asked: &&Asked| matches!(asked.code(), None | Some(Code::FormErr | Code::NotImp));
    let works = without.iter().filter(|asked| asked.is_told()).count();
    let silent = with.iter().all(|asked| !asked.is_answered());
    if with.len() < TRIES_MIN || !with.iter().all(refuses) || works * 2 <= without.len() {
        return None;
    }
    if silent && !seen.are_ignored(server, with.iter().copied()) {
        return None;
    }
    let what = format!("{} {} queries with EDNS", server.ip(), if silent { "never answers" } else { "refuses" });
    Some(
        Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what)
            .evidence(format!(
                "0 of {} questions are answered with EDNS, and {works} of {} without",
                with.len(),
                without.len()
            ))
            .evidence("Go sends EDNS with every query since 1.19; musl never does, glibc only with the option edns0")
            .help("let the firewall before the nameserver pass EDNS, or bring the nameserver up to date")
            .help("until then GODEBUG=netedns0=0 helps a Go program")
            .relief(Relief::none("no option keeps Go from sending EDNS")),
    )
}

fn no_fragments(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let large = || names_of(seen, server).filter(|asked| asked.purpose == Purpose::Large && asked.edns.is_some());
    let over: Vec<&Asked> = large().filter(|asked| asked.edns > Some(SAFE_BYTES)).collect();
    let lost = over.len() >= TRIES_MIN
        && over.iter().all(|asked| !asked.is_answered())
        && seen.are_ignored(server, over.iter().copied());
    let safe = large().filter(|asked| asked.edns <= Some(SAFE_BYTES));
    let safe: Vec<&Answer> = safe.filter_map(Asked::answer).collect();
    // What fits the small packet is sent in it by either question, so that its loss would have another reason.
    if !lost || safe.len() < TRIES_MIN || !safe.iter().any(|answer| answer.truncated) {
        return None;
    }
    let what = format!("answers over {SAFE_BYTES} bytes from {} do not arrive", server.ip());
    Some(
        Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what)
            .evidence(format!("0 of {} arrive with room for 4,096 bytes, and {} of as many with room for {SAFE_BYTES}", over.len(), safe.len()))
            .evidence("an answer of that size leaves in fragments, which something on the way drops")
            .help("let fragments through, or set the nameserver's largest UDP answer to 1,232 bytes (CoreDNS: `bufsize 1232`)")
            .relief(Relief::none("no option of resolv.conf sets the size that EDNS allows")),
    )
}

/// Whether this is about a name that somebody uses, and not about the root's keys.
fn is_own(seen: &Observations, asked: &Asked) -> bool {
    asked.purpose != Purpose::Large || seen.targets.large_name.is_some()
}

fn cut(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let cut: Vec<&Asked> =
        names_of(seen, server).filter(|asked| is_cut(asked) && asked.edns.is_none() && is_own(seen, asked)).collect();
    let old: Vec<&str> = seen
        .resolvers()
        .filter(|program| program.resolver.family == Family::Musl && program.resolver.version < Some(musl::TCP_SINCE))
        .filter(|program| program.resolver.version.is_some())
        .map(|program| program.name.as_str())
        .collect();
    let first = cut.first()?;
    let empty = cut.iter().any(|asked| asked.answer().is_some_and(|answer| answer.records == 0));
    let level = match (old.is_empty(), empty) {
        (true, _) => Level::Info,
        (false, true) => Level::Deny,
        (false, false) => Level::Warn,
    };
    let what = format!("{} does not fit a packet of 512 bytes", question(first));
    Some(
        Verdict::new(&FAULT, level, Sureness::Sure, what)
            .evidence(format!("it comes with TC and {} records, and whole by TCP", first.answer().map_or(0, |answer| answer.records)))
            .evidence_if((!old.is_empty()).then(|| format!("{} never asks by TCP", list(&old))))
            .evidence("musl to 1.2.3 (Alpine 3.17) takes what is there, and fails where that is nothing; glibc, Go and musl from 1.2.4 fetch \
                       the rest by TCP")
            .help("use Alpine 3.18 or later; or let the name have fewer addresses")
            .relief(Relief::none("musl reads no option that makes it ask by TCP or for larger packets")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::Outcome;
    use crate::verdicts::tests::{Seen, cut_short, fires, silent, silent_of};

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
                asked.outcome = Outcome::PortClosed;
            }
        })
    }

    #[test]
    fn an_own_name_that_is_cut_without_tcp_fails() {
        assert_eq!(fires(TRUNCATION, &without_tcp(external_cut(30))).level, Level::Deny);
    }

    #[test]
    fn the_roots_keys_that_are_cut_without_tcp_are_a_warning_of_what_is_to_come() {
        assert_eq!(fires(TRUNCATION, &without_tcp(Seen::healthy())).level, Level::Warn);
    }

    #[test]
    fn an_own_name_that_is_cut_matters_to_an_old_musl() {
        let old = Family::Musl.at(Version::new(1, 2, 3));
        assert_eq!(fires(TRUNCATION, &external_cut(30)).level, Level::Info);
        assert_eq!(fires(TRUNCATION, &external_cut(30).program(old, false)).level, Level::Warn);
        assert_eq!(fires(TRUNCATION, &external_cut(0).program(old, false)).level, Level::Deny);
    }

    #[test]
    fn edns_that_is_thrown_away_is_named() {
        let seen = Seen::healthy().change(|asked| {
            if asked.edns.is_some() {
                asked.outcome = Outcome::Silence;
            }
        });
        assert!(fires(TRUNCATION, &seen).what.ends_with("never answers queries with EDNS"));
    }

    #[test]
    fn large_packets_that_are_lost_are_named() {
        let seen = Seen::healthy().change(|asked| match asked.edns {
            Some(4096) => asked.outcome = Outcome::Silence,
            Some(_) if asked.purpose == Purpose::Large => cut_short(asked, 0),
            _ => {}
        });
        assert!(fires(TRUNCATION, &seen).what.starts_with("answers over 1232 bytes"));
    }

    #[test]
    fn one_lost_query_with_edns_or_no_tcp_alone_is_nothing() {
        let mut lost = false;
        silent_of(
            TRUNCATION,
            &Seen::healthy().change(move |asked| {
                if asked.edns.is_some() && !std::mem::replace(&mut lost, true) {
                    asked.outcome = Outcome::Silence;
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
