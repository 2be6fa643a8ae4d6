//! A nameserver never answers, or one of the servers behind it does not.
//!
//! ## What it looks like
//! glibc and Go ask the nameservers of resolv.conf one after the other: with the first of two dead and Kubernetes' options,
//! glibc takes 20 s for a name that the whole search list is tried for (measured). musl asks all at once, and hides it. Behind
//! CoreDNS's `forward . /etc/resolv.conf` it is a share of the names outside that fails or is slow, while the cluster's names,
//! which CoreDNS knows itself, always work.
//!
//! ## How it is told
//! Each nameserver is asked for the same names by UDP and by TCP. One that answers nothing at all, while others do, is dead. For what
//! is behind them, names that nobody has are asked for, so that no cache can answer: the share of them that fails, is refused or
//! takes over a second is held against the cluster's names (Fisher's exact test). A single domain whose own servers fail is not
//! claimed: names below several domains must be affected. Is everything equally slow, it is `slow-server`.
//!
//! ## What to do
//! Take the dead address out of where it stands: the node's resolv.conf, the kubelet's `--cluster-dns`, the pod's `dnsConfig`, or
//! CoreDNS's `forward`. CoreDNS has the node's file as it was when its pod was made: after a change its pods must be made anew
//! (`kubectl -n kube-system rollout restart deployment coredns`).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::policy::Level;
use crate::verdicts::observations::{Asked, Code, Half, Observations, Outcome, Pair, PairMode, Purpose, Via};
use crate::verdicts::profile_effects::{Relief, Trouble};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "stale-nameserver", source: include_str!("stale_nameserver.rs"), check };

/// So many queries without an answer are no accident: a path that loses a tenth of all packets loses six in a row once in a million.
const SILENT_MIN: u64 = 6;
/// An answer that takes longer came on a second try: CoreDNS's `forward` gives a server up to 2 s.
pub(super) const SLOW: Duration = Duration::from_secs(1);

fn check(seen: &Observations) -> Option<Verdict> {
    let (dead, alive): (Vec<SocketAddr>, Vec<SocketAddr>) = {
        let servers = &seen.targets.servers;
        (servers.iter().copied().filter(|server| is_dead(seen, *server)).collect(), seen.answering().collect())
    };
    if !dead.is_empty() && dead.len() == seen.targets.servers.len() {
        return Some(all_dead(seen, &dead));
    }
    if !dead.is_empty() && !alive.is_empty() {
        return Some(some_dead(seen, &dead, &alive));
    }
    behind(seen)
}

/// Whether a server answered nothing, by UDP or TCP.
pub(super) fn is_dead(seen: &Observations, server: SocketAddr) -> bool {
    let udp = Rate::of(seen.plain(server, Via::Udp), |asked| asked.is_answered());
    udp.of >= SILENT_MIN && udp.hits == 0 && !seen.plain(server, Via::Tcp).any(Asked::is_answered)
}

fn all_dead(seen: &Observations, dead: &[SocketAddr]) -> Verdict {
    let verdict = Verdict::new(
        &FAULT,
        Level::Deny,
        Sureness::Sure,
        format!("{} answers nothing, by UDP or TCP: no name resolves here", list(dead.iter().map(SocketAddr::ip))),
    );
    dead.iter()
        .fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)))
        .help("is the address right, does a NetworkPolicy or firewall let this pod reach port 53, and does the DNS service have \
               endpoints (`kubectl -n kube-system get endpointslices -l k8s-app=kube-dns`)?")
        .relief(Relief::none("options do not make a server answer"))
}

fn some_dead(seen: &Observations, dead: &[SocketAddr], alive: &[SocketAddr]) -> Verdict {
    let servers = &seen.targets.servers;
    let first = servers.iter().take_while(|server| dead.contains(server)).count();
    let what = format!(
        "{}, {} of {} nameservers, never answers",
        list(dead.iter().map(SocketAddr::ip)),
        dead.len(),
        servers.len()
    );
    let verdict = Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what);
    let verdict = dead.iter().fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)));
    let verdict = alive.iter().fold(verdict, |verdict, server| {
        let rate = Rate::of(seen.plain(*server, Via::Udp), |asked| asked.is_answered());
        verdict.evidence(format!("{} answers {} of {} by UDP", server.ip(), rate.hits, rate.of))
    });
    let verdict = verdict
        .evidence_if((first == 0).then(|| "it is not the first: glibc and Go ask it only where those before it fail".to_owned()))
        .evidence_if(stands_in(seen, dead))
        .help("take it out of where it stands: the node's resolv.conf, the kubelet's --cluster-dns, or the pod's dnsConfig");
    let is_closed = |server: &&SocketAddr| {
        let mut asked = seen.plain(**server, Via::Udp);
        asked.all(|asked| asked.outcome == Outcome::PortClosed)
    };
    match u32::try_from(first) {
        Ok(_) if dead.iter().all(|server| is_closed(&server)) => {
            verdict.relief(Relief::none("resolvers hear that the port is closed, and go on to the next at once"))
        }
        Ok(first) if first > 0 => verdict.relief(Relief::from(seen, Trouble::DeadFirst(first))),
        _ => verdict.relief(Relief::none("no resolver waits for it while those before it answer")),
    }
}

fn silence(seen: &Observations, server: SocketAddr) -> String {
    let count = |via| seen.plain(server, via).count();
    let mut words = BTreeSet::new();
    for asked in seen.plain(server, Via::Udp).chain(seen.plain(server, Via::Tcp)) {
        words.insert(match &asked.outcome {
            Outcome::PortClosed => "the port is closed".to_owned(),
            Outcome::Unreachable(words) => words.clone(),
            _ => "nothing came".to_owned(),
        });
    }
    format!(
        "{} answers 0 of {} by UDP and 0 of {} by TCP: {}",
        server.ip(),
        count(Via::Udp),
        count(Via::Tcp),
        list(words)
    )
}

/// Where else the dead addresses stand, as far as that is known.
fn stands_in(seen: &Observations, dead: &[SocketAddr]) -> Option<String> {
    let node = seen.surroundings.node_nameservers.as_ref()?;
    let also: Vec<String> = dead.iter().map(|server| server.ip().to_string()).filter(|ip| node.contains(ip)).collect();
    (!also.is_empty()).then(|| format!("the node's own resolv.conf names {} too", list(also)))
}

// === behind the nameservers ===

/// Whether a question to what is behind a nameserver failed, or was slow.
fn is_bad(asked: &Asked) -> bool {
    match &asked.outcome {
        Outcome::Answer(answer) => matches!(answer.code, Code::ServFail | Code::Refused) || asked.took >= SLOW,
        _ => true,
    }
}

/// How often the cluster's names fail or are slow: alone, and in pairs, which are asked of the first server that answers.
fn inside(seen: &Observations, server: SocketAddr) -> Rate {
    let alone = seen.asked_for(Purpose::Name).filter(|asked| asked.server == server && asked.via == Via::Udp);
    let paired = [PairMode::TwoSockets, PairMode::Serial].into_iter().flat_map(|mode| seen.pairs_of(mode));
    let halves = paired.flat_map(Pair::halves).filter(|_| seen.answering().next() == Some(server));
    let is_bad_half = |half: &Half| !matches!(half, Half::Answered(took) if u128::from(*took) < SLOW.as_millis());
    Rate::of(alone, |asked| is_bad(asked)).and(Rate::of(halves, is_bad_half))
}

/// The domain below which a name was invented.
fn domain(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, domain)| domain)
}

fn behind(seen: &Observations) -> Option<Verdict> {
    seen.answering().find_map(|server| behind_one(seen, server))
}

fn behind_one(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let invented: Vec<&Asked> = seen.asked_for(Purpose::Invented).filter(|asked| asked.server == server).collect();
    let outside = Rate::of(invented.iter(), |asked| is_bad(asked));
    let inside = inside(seen, server);
    let domains: BTreeSet<&str> =
        invented.iter().filter(|asked| is_bad(asked)).map(|asked| domain(&asked.name)).collect();
    // Alike slow, but answered, is another fault.
    let all_answered = invented.iter().all(|asked| asked.is_told());
    let all_slow = outside.hits == outside.of && all_answered;
    if !outside.exceeds(inside) || domains.len() < 2 || all_slow {
        return None;
    }
    let whole = outside.hits == outside.of;
    let what = if whole {
        format!("no name outside resolves through {}, while the cluster's names do", server.ip())
    } else {
        format!(
            "{} % of the names outside fail or take over {} s through {}, while the cluster's names do not",
            (outside.share() * 100.0).round(),
            SLOW.as_secs(),
            server.ip()
        )
    };
    let level = if invented.iter().any(|asked| !asked.is_told()) { Level::Deny } else { Level::Warn };
    let sureness = if whole { Sureness::Likely } else { Sureness::Sure };
    let verdict = Verdict::new(&FAULT, level, sureness, what)
        .evidence(format!("names that nobody has, below {}: {outside} bad", list(&domains)))
        .evidence(format!("{} of them", list(outcomes(&invented))))
        .evidence(format!("names of the cluster, in the same seconds: {inside} bad"));
    let verdict = upstreams(seen).into_iter().fold(verdict, Verdict::evidence);
    let verdict = verdict
        .evidence_if(drifted(seen))
        .help("one of the servers that this nameserver forwards to does not answer; behind CoreDNS they are the ones of `forward` in \
               its Corefile, and with `forward . /etc/resolv.conf` those that the node's file had when CoreDNS's pod was made")
        .help("mend the node's resolv.conf or the Corefile, then make CoreDNS's pods anew: `kubectl -n kube-system rollout restart \
               deployment coredns`");
    Some(verdict.relief(Relief::none("the fault is behind the nameserver, where options of a pod do not reach")))
}

/// `3 got no answer`, `4 got SERVFAIL`, `2 took over 1 s`.
fn outcomes(asked: &[&Asked]) -> Vec<String> {
    let count = |is_so: &dyn Fn(&Asked) -> bool| asked.iter().filter(|asked| is_so(asked)).count();
    let counts = [
        (count(&|asked| !asked.is_answered()), "got no answer"),
        (count(&|asked| asked.code() == Some(Code::ServFail)), "got SERVFAIL"),
        (count(&|asked| asked.code() == Some(Code::Refused)), "got REFUSED"),
        (count(&|asked| asked.is_told() && asked.took >= SLOW), "took over 1 s"),
        (count(&|asked| asked.is_told() && asked.took < SLOW), "were answered at once"),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// What is known of each server behind.
fn upstreams(seen: &Observations) -> Vec<String> {
    let asked_of = |address: &str| {
        let of = seen.asked_for(Purpose::Upstream).filter(|asked| asked.server.ip().to_string() == address);
        Rate::of(of, |asked| asked.is_told())
    };
    let upstreams = seen.surroundings.upstreams.iter();
    upstreams
        .map(|upstream| {
            let rate = asked_of(&upstream.address);
            let told = if rate.of == 0 {
                "not asked (--upstream asks it)".to_owned()
            } else {
                format!("answers {} of {}", rate.hits, rate.of)
            };
            format!("{}, of {}: {told}", upstream.address, upstream.from)
        })
        .collect()
}

/// Whether the node's file names other servers than those that are forwarded to.
fn drifted(seen: &Observations) -> Option<String> {
    let node = seen.surroundings.node_nameservers.as_ref()?;
    let gone: Vec<&str> = seen
        .surroundings
        .upstreams
        .iter()
        .map(|upstream| upstream.address.as_str())
        .filter(|address| !node.iter().any(|server| server == address))
        .collect();
    let names = format!("the node's resolv.conf names {} now", list(node));
    Some(if gone.is_empty() { names } else { format!("{names}, and not {}", list(gone)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::tests::{SECOND, Seen, fires, silent, silent_of};

    const STALE: &str = "stale-nameserver";

    #[test]
    fn names_the_server_that_never_answers() {
        let verdict = fires(STALE, &Seen::healthy().server("10.0.0.9").silent("10.0.0.9"));
        assert_eq!(verdict.what, "10.0.0.9, 1 of 2 nameservers, never answers");
        assert_eq!((verdict.level, verdict.sureness), (Level::Warn, Sureness::Sure));
    }

    #[test]
    fn says_which_profile_shortens_the_wait_for_a_dead_first_server() {
        let verdict = fires(STALE, &Seen::healthy().first_server("10.0.0.9").silent("10.0.0.9"));
        assert!(verdict.relief.changes.iter().any(|change| change.profile == "node-local"), "{:?}", verdict.relief);
    }

    #[test]
    fn one_lost_answer_is_no_dead_server() {
        silent_of(STALE, &Seen::healthy().server("10.0.0.9").silent_once("10.0.0.9"));
    }

    #[test]
    fn a_server_that_answers_by_tcp_alone_is_another_fault() {
        silent_of(
            STALE,
            &Seen::healthy().change(|asked| {
                if asked.via == Via::Udp {
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn says_so_where_nothing_answers_at_all() {
        let verdict = fires(STALE, &Seen::healthy().change(|asked| asked.outcome = Outcome::Silence));
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.what.contains("no name resolves here"), "{}", verdict.what);
    }

    #[test]
    fn a_share_of_names_outside_that_fails_is_shown_with_its_interval() {
        let seen = Seen::healthy().every_nth_invented(2, |asked| asked.outcome = Outcome::Silence);
        let verdict = fires(STALE, &seen);
        assert!(verdict.what.starts_with("50 % of the names outside"), "{}", verdict.what);
        assert!(verdict.evidence[0].contains("95 % interval"), "{:?}", verdict.evidence);
        assert_eq!(verdict.level, Level::Deny);
    }

    #[test]
    fn a_share_that_is_only_slow_is_a_warning() {
        let seen = Seen::healthy().every_nth_invented(2, |asked| asked.took = 2 * SECOND);
        assert_eq!(fires(STALE, &seen).level, Level::Warn);
    }

    #[test]
    fn one_domain_whose_servers_fail_is_not_claimed() {
        silent_of(
            STALE,
            &Seen::healthy().change(|asked| {
                if asked.purpose == Purpose::Invented && asked.name.ends_with(".net") {
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn one_slow_name_is_not_claimed() {
        silent_of(STALE, &Seen::healthy().every_nth_invented(1000, |asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn what_is_slow_alike_is_not_claimed() {
        silent_of(STALE, &Seen::healthy().change(|asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn servers_behind_are_shown_with_where_they_stand() {
        let mut seen = Seen::healthy().every_nth_invented(2, |asked| asked.outcome = Outcome::Silence);
        seen.surroundings.upstreams = vec![crate::verdicts::observations::Upstream {
            address: "192.0.2.7".to_owned(),
            from: "the Corefile".to_owned(),
        }];
        seen.surroundings.node_nameservers = Some(vec!["192.0.2.8".to_owned()]);
        let evidence = fires(STALE, &seen).evidence.join("\n");
        assert!(evidence.contains("192.0.2.7, of the Corefile: not asked"), "{evidence}");
        assert!(evidence.contains("names 192.0.2.8 now, and not 192.0.2.7"), "{evidence}");
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(STALE);
    }
}
