//! What tests of verdicts share: what a probe sees on a healthy network, and faults that are put into it.

use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::observations::{
    Answer, Asked, Code, Found, Half, Kind, Observations, Outcome, Pair, PairMode, Program, Purpose, Surroundings,
    SystemLookup, Targets, Validity, Via,
};
use super::system_files::ResolvConf;
use super::{FAULTS, Fault, Verdict, verdicts};
use crate::resolver::{Family, Resolver, Version};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// When these tests happen, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

const QUICK: Duration = Duration::from_millis(4);
const WEEK: u64 = 7 * 86_400;
const SERVER: &str = "10.0.0.10";
const NAME: &str = "kubernetes.default.svc.cluster.local";
const EXTERNAL: &str = "example.com";
const SEARCH: [&str; 3] = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const INVENTED_BELOW: [&str; 4] = ["com", "net", "org", "example.com"];

/// What a probe saw.
#[derive(Clone)]
pub(super) struct Seen(Observations);

impl Deref for Seen {
    type Target = Observations;

    fn deref(&self) -> &Observations {
        &self.0
    }
}

impl DerefMut for Seen {
    fn deref_mut(&mut self) -> &mut Observations {
        &mut self.0
    }
}

pub(super) fn answer(ips: &[&str], ttl: u32) -> Outcome {
    let addresses: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    Outcome::Answer(Answer { records: addresses.len(), addresses, ttl: Some(ttl), bytes: 100, ..Answer::default() })
}

pub(super) fn code(code: Code) -> Outcome {
    Outcome::Answer(Answer { code, bytes: 60, ..Answer::default() })
}

pub(super) fn cut_short(asked: &mut Asked, records: usize) {
    asked.outcome = Outcome::Answer(Answer { truncated: true, records, ..Answer::default() });
}

fn socket(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 53)
}

impl Seen {
    /// One nameserver that does all right, asked from a pod of the namespace `default`.
    pub(super) fn healthy() -> Self {
        let mut seen = Self(Observations {
            targets: Targets {
                servers: Vec::new(),
                names: vec![NAME.to_owned()],
                external_names: vec![EXTERNAL.to_owned()],
                invented_below: INVENTED_BELOW.map(str::to_owned).to_vec(),
                large_name: None,
                cluster_domain: "cluster.local".to_owned(),
            },
            surroundings: Surroundings {
                resolv_conf: ResolvConf {
                    nameservers: vec![SERVER.to_owned()],
                    search: SEARCH.map(str::to_owned).to_vec(),
                    options: vec!["ndots:5".to_owned()],
                },
                unix_time: NOW,
                ..Surroundings::default()
            },
            ..Observations::default()
        });
        seen.ask(SERVER);
        let glibc = Family::Glibc.at(Version::new(2, 36, 0));
        for mode in [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId] {
            seen.0.pairs.extend([Pair { mode, a: Half::Answered(4), aaaa: Half::Answered(4) }; 50]);
        }
        for name in ["kubernetes.default", NAME, "kubernetes.default.svc.cluster.local.", EXTERNAL, "example.com."] {
            seen.0.lookups.push(SystemLookup {
                program: "/usr/bin/getent".to_owned(),
                resolver: glibc,
                name: name.to_owned(),
                took: 2 * QUICK,
                found: Found::Addresses(vec!["10.96.0.1".parse().unwrap()]),
            });
        }
        seen.program(glibc, false)
    }

    /// What is asked of each server, and what it answers.
    fn ask(&mut self, ip: &str) {
        self.0.targets.servers.push(socket(ip));
        let server = socket(ip);
        let asked = &mut self.0.asked;
        let mut ask = |purpose, via, name: &str, kind, edns, outcome| {
            asked.push(Asked { purpose, server, via, name: name.to_owned(), kind, edns, took: QUICK, outcome });
        };
        let name = |kind| if kind == Kind::A { answer(&["10.96.0.1"], 30) } else { code(Code::NoError) };
        let external = |kind| answer(&[if kind == Kind::A { "93.184.215.14" } else { "2606:2800::1" }], 300);
        for kind in [Kind::A, Kind::Aaaa] {
            for _ in 0..4 {
                ask(Purpose::Name, Via::Udp, NAME, kind, None, name(kind));
                ask(Purpose::External, Via::Udp, EXTERNAL, kind, None, external(kind));
            }
            for index in 0..2 {
                ask(Purpose::External, Via::Udp, EXTERNAL, kind, Some(1232), external(kind));
                for domain in SEARCH {
                    ask(
                        Purpose::Searched,
                        Via::Udp,
                        &format!("xqzw{index}.{domain}"),
                        kind,
                        None,
                        code(Code::NxDomain),
                    );
                }
            }
            ask(Purpose::Name, Via::Tcp, NAME, kind, None, name(kind));
            for way in ["kubernetes.default", "kubernetes.default.svc", NAME, EXTERNAL] {
                for domain in SEARCH {
                    let below = format!("{way}.{domain}");
                    let outcome = if below == NAME { name(kind) } else { code(Code::NxDomain) };
                    ask(Purpose::Candidate, Via::Udp, &below, kind, None, outcome);
                }
                let outcome = match way {
                    NAME => name(kind),
                    EXTERNAL => external(kind),
                    _ => code(Code::NxDomain),
                };
                ask(Purpose::Candidate, Via::Udp, way, kind, None, outcome);
            }
        }
        for index in 0..24 {
            let name = format!("xqzw{index}.{}", INVENTED_BELOW[index % INVENTED_BELOW.len()]);
            ask(Purpose::Invented, Via::Udp, &name, Kind::A, None, code(Code::NxDomain));
        }
        let keys = Answer { records: 5, bytes: 1139, edns: true, ..Answer::default() };
        let signed = Some(Validity { inception: NOW - WEEK, expiration: NOW + WEEK });
        for _ in 0..2 {
            let cut = Outcome::Answer(Answer { truncated: true, records: 0, bytes: 28, ..Answer::default() });
            ask(Purpose::Large, Via::Udp, "", Kind::Dnskey, None, cut);
            for size in [1232, 4096] {
                ask(Purpose::Large, Via::Udp, "", Kind::Dnskey, Some(size), Outcome::Answer(keys.clone()));
            }
            ask(
                Purpose::Signed,
                Via::Udp,
                "",
                Kind::Dnskey,
                Some(1232),
                Outcome::Answer(Answer { signed, ..keys.clone() }),
            );
            ask(
                Purpose::Unchecked,
                Via::Udp,
                "",
                Kind::Dnskey,
                Some(1232),
                Outcome::Answer(Answer { signed, ..keys.clone() }),
            );
        }
        ask(Purpose::Large, Via::Tcp, "", Kind::Dnskey, None, Outcome::Answer(keys));
        for _ in 0..100 {
            ask(Purpose::Burst, Via::Udp, NAME, Kind::A, None, name(Kind::A));
        }
        asked.push(Asked {
            purpose: Purpose::Interception,
            server: socket("192.0.2.1"),
            via: Via::Udp,
            name: EXTERNAL.to_owned(),
            kind: Kind::A,
            edns: None,
            took: SECOND,
            outcome: Outcome::Silence,
        });
    }

    /// Another server, asked and answering as the first.
    pub(super) fn server(mut self, ip: &str) -> Self {
        self.ask(ip);
        self
    }

    /// Another server, named before the others.
    pub(super) fn first_server(mut self, ip: &str) -> Self {
        self.ask(ip);
        self.0.targets.servers.rotate_right(1);
        self
    }

    /// Changes what came of questions.
    pub(super) fn change(mut self, mut change: impl FnMut(&mut Asked)) -> Self {
        self.0.asked.iter_mut().for_each(&mut change);
        self
    }

    /// Leaves out what was asked for this reason.
    pub(super) fn without(mut self, purpose: Purpose) -> Self {
        self.0.asked.retain(|asked| asked.purpose != purpose);
        self
    }

    pub(super) fn silent(self, ip: &str) -> Self {
        let server = socket(ip);
        self.change(|asked| {
            if asked.server == server {
                asked.outcome = Outcome::Silence;
            }
        })
    }

    pub(super) fn silent_once(self, ip: &str) -> Self {
        let (server, mut done) = (socket(ip), false);
        self.change(|asked| {
            if asked.server == server && !std::mem::replace(&mut done, true) {
                asked.outcome = Outcome::Silence;
            }
        })
    }

    /// Changes the answer to the first question of a kind.
    pub(super) fn once(self, kind: Kind, outcome: Outcome) -> Self {
        let mut outcome = Some(outcome);
        self.change(|asked| {
            if asked.kind == kind
                && let Some(outcome) = outcome.take()
            {
                asked.outcome = outcome;
            }
        })
    }

    /// Changes what came of each nth invented name, the nth first.
    pub(super) fn every_nth_invented(self, nth: usize, mut change: impl FnMut(&mut Asked)) -> Self {
        // By threes, as names go round four domains.
        let mut count = 0;
        self.change(|asked| {
            if asked.purpose == Purpose::Invented {
                if (count / 3) % nth == 0 && (nth < 100 || count == 0) {
                    change(asked);
                }
                count += 1;
            }
        })
    }

    /// Makes the first pairs that left so come out so.
    pub(super) fn lose(mut self, mode: PairMode, count: usize, a: Half, aaaa: Half) -> Self {
        for pair in self.0.pairs.iter_mut().filter(|pair| pair.mode == mode).take(count) {
            (pair.a, pair.aaaa) = (a, aaaa);
        }
        self
    }

    pub(super) fn program(mut self, resolver: Resolver, netdns_without_effect: bool) -> Self {
        self.0.surroundings.programs.push(Program {
            name: format!("/app/{}", resolver.family.name()),
            resolver,
            because: "it was built without cgo".to_owned(),
            netdns_without_effect,
            asked_through: false,
        });
        self
    }

    pub(super) fn options(mut self, options: &str) -> Self {
        self.0.surroundings.resolv_conf.options = options.split(' ').map(str::to_owned).collect();
        self
    }
}

/// The verdict of this slug, which must be there.
pub(super) fn fires(slug: &str, seen: &Seen) -> Verdict {
    let all = verdicts(&seen.0);
    let slugs: Vec<&str> = all.iter().map(|verdict| verdict.fault.slug).collect();
    let found = all.iter().find(|verdict| verdict.fault.slug == slug).cloned();
    found.unwrap_or_else(|| panic!("{slug} is not among {slugs:?}"))
}

/// The verdict must not be there.
pub(super) fn silent_of(slug: &str, seen: &Seen) {
    let found = verdicts(&seen.0).into_iter().find(|verdict| verdict.fault.slug == slug);
    assert!(found.is_none(), "{found:?}");
}

/// The verdict must not be there on a healthy network.
pub(super) fn silent(slug: &str) {
    assert!(Fault::named(slug).is_some(), "{slug}");
    silent_of(slug, &Seen::healthy());
}

#[test]
fn a_healthy_network_has_no_verdict_at_all() {
    assert!(verdicts(&Seen::healthy().0).is_empty(), "{:?}", verdicts(&Seen::healthy().0));
    assert!(verdicts(&Seen::healthy().server("10.0.0.11").0).is_empty());
}

#[test]
fn nothing_seen_is_no_verdict() {
    assert!(verdicts(&Observations::default()).is_empty());
}

#[test]
fn every_fault_is_documented_in_the_same_parts() {
    for fault in FAULTS {
        let documentation = fault.documentation();
        assert!(fault.summary().ends_with('.'), "{}: the first line is one sentence", fault.slug);
        for part in ["\n## What it looks like\n", "\n## How it is told\n", "\n## What to do\n"] {
            assert!(documentation.contains(part), "{}: no {part:?}", fault.slug);
        }
        assert!(
            fault.source.contains(&format!("include_str!(\"{}.rs\")", fault.slug.replace('-', "_"))),
            "{}: its file is named for it",
            fault.slug
        );
    }
}

#[test]
fn every_verdict_says_what_to_do_and_what_profiles_change() {
    let seen = [
        Seen::healthy().change(|asked| asked.outcome = Outcome::Silence),
        Seen::healthy().server("10.0.0.9").silent("10.0.0.9"),
        Seen::healthy().lose(PairMode::OneSocket, 50, Half::Answered(1), Half::Lost),
        Seen::healthy().change(|asked| asked.took = 2 * SECOND),
    ];
    for verdict in seen.iter().flat_map(|seen| verdicts(&seen.0)) {
        assert!(!verdict.evidence.is_empty() && !verdict.help.is_empty(), "{verdict:?}");
        assert_eq!(verdict.relief.none_because.is_none(), !verdict.relief.changes.is_empty(), "{verdict:?}");
    }
}

/// Which questions a server does not answer.
type Ignores = fn(&Asked) -> bool;

/// Loses so many in a hundred of all packets of UDP.
fn lossy(mut seen: Seen, percent: u32, rng: &mut TestRng) -> Seen {
    let mut is_lost = || rng.random_range(0..100) < percent;
    for asked in seen.asked.iter_mut().filter(|asked| asked.via == Via::Udp) {
        if is_lost() {
            asked.outcome = Outcome::Silence;
        }
    }
    for half in seen.pairs.iter_mut().flat_map(|pair| [&mut pair.a, &mut pair.aaaa]) {
        if is_lost() {
            *half = Half::Lost;
        }
    }
    seen
}

#[test]
fn a_path_that_loses_packets_is_accused_of_nothing_else_but_by_chance() {
    const PROBES: usize = 200;
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for percent in [10, 25, 40] {
        let probes = (0..PROBES).map(|_| verdicts(&lossy(Seen::healthy(), percent, &mut rng)));
        let (path, others): (Vec<Verdict>, Vec<Verdict>) =
            probes.flatten().partition(|verdict| verdict.fault.slug == "lossy-path");
        assert!(path.len() * 100 >= PROBES * 98, "{percent} %: {} of {PROBES}", path.len());
        assert!(others.len() * 100 <= PROBES, "{percent} %: {others:?}");
    }
}

#[test]
fn servers_that_ignore_some_queries_are_told_from_a_lossy_path() {
    const PROBES: usize = 100;
    let ignores: [(&str, Ignores); 4] = [
        ("truncation", |asked| asked.edns.is_some()),
        ("aaaa-broken", |asked| asked.kind == Kind::Aaaa),
        ("search-expansion", |asked| asked.purpose == Purpose::Searched && !asked.name.contains(".svc.")),
        ("stale-nameserver", |asked| asked.server == socket("10.0.0.11")),
    ];
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for (slug, ignores) in ignores {
        let seen = Seen::healthy().server("10.0.0.11").change(|asked| {
            if ignores(asked) {
                asked.outcome = Outcome::Silence;
            }
        });
        let is_told = |seen: &Seen| verdicts(seen).iter().any(|verdict| verdict.fault.slug == slug);
        let told = (0..PROBES).filter(|_| is_told(&lossy(seen.clone(), 10, &mut rng))).count();
        assert!(told * 100 >= PROBES * 95, "{slug}: {told} of {PROBES}");
    }
}

#[test]
fn answers_that_cannot_be_read_are_no_answers() {
    let ignores: [(&str, Ignores); 2] =
        [("truncation", |asked| asked.edns.is_some()), ("aaaa-broken", |asked| asked.kind == Kind::Aaaa)];
    for (slug, ignores) in ignores {
        let nonsense = |asked: &mut Asked| {
            if ignores(asked) {
                asked.outcome = Outcome::Nonsense("no message".to_owned());
            }
        };
        fires(slug, &Seen::healthy().change(nonsense));
    }
}
