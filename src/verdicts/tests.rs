//! Shared by the tests of verdicts: the observations of a probe on a healthy network, and faults to inject into them.

use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::observations::{
    Answer, AskedQuery, Code, Environment, Half, LookupResult, Observations, Pair, PairMode, Program, Purpose,
    QueryOutcome, QueryType, SystemLookup, Targets, Validity, Via,
};
use super::system_files::ResolvConf;
use super::{DIAGNOSES, Verdict, verdicts};
use crate::resolver::{Family, Resolver, Version};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// The time of these tests, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

const QUICK: Duration = Duration::from_millis(4);
const WEEK: u64 = 7 * 86_400;
const SERVER: &str = "10.0.0.10";
const NAME: &str = "kubernetes.default.svc.cluster.local";
const EXTERNAL: &str = "example.com";
const SEARCH: [&str; 3] = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const INVENTED_BELOW: [&str; 4] = ["com", "net", "org", "example.com"];

/// Observations that a test can change.
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

pub(super) fn answer(ips: &[&str], ttl: u32) -> QueryOutcome {
    let addresses: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    QueryOutcome::Answer(Answer {
        records: addresses.len(),
        addresses,
        ttl: Some(ttl),
        bytes: 100,
        ..Answer::default()
    })
}

pub(super) fn code(code: Code) -> QueryOutcome {
    QueryOutcome::Answer(Answer { code, bytes: 60, ..Answer::default() })
}

pub(super) fn cut_short(asked: &mut AskedQuery, records: usize) {
    asked.outcome = QueryOutcome::Answer(Answer { truncated: true, records, ..Answer::default() });
}

fn socket(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 53)
}

fn query(
    server: SocketAddr,
    purpose: Purpose,
    via: Via,
    name: &str,
    kind: QueryType,
    edns: Option<u16>,
    outcome: QueryOutcome,
) -> AskedQuery {
    AskedQuery { purpose, server, via, name: name.to_owned(), kind, edns, took: QUICK, outcome }
}

/// Returns a healthy answer for [`NAME`], which has only IPv4.
fn name_answer(kind: QueryType) -> QueryOutcome {
    if kind == QueryType::A { answer(&["10.96.0.1"], 30) } else { code(Code::NoError) }
}

/// Returns a healthy answer for [`EXTERNAL`].
fn external_answer(kind: QueryType) -> QueryOutcome {
    answer(&[if kind == QueryType::A { "93.184.215.14" } else { "2606:2800::1" }], 300)
}

/// Returns the queries for existing names and those below the search list, with healthy answers.
fn named_queries(server: SocketAddr) -> Vec<AskedQuery> {
    let mut queries = Vec::new();
    for kind in [QueryType::A, QueryType::Aaaa] {
        let mut push = |purpose, via, name: &str, edns, outcome| {
            queries.push(query(server, purpose, via, name, kind, edns, outcome));
        };
        for _ in 0..if kind == QueryType::A { 18 } else { 0 } {
            push(Purpose::Name, Via::Udp, NAME, None, name_answer(kind));
        }
        for _ in 0..6 {
            push(Purpose::Name, Via::Udp, NAME, None, name_answer(kind));
            push(Purpose::External, Via::Udp, EXTERNAL, None, external_answer(kind));
        }
        for index in 0..2 {
            push(Purpose::Zone, Via::Udp, "cluster.local", None, code(Code::NoError));
            if kind == QueryType::A {
                push(Purpose::Name, Via::Udp, NAME, Some(1232), name_answer(kind));
                push(Purpose::External, Via::Udp, EXTERNAL, Some(1232), external_answer(kind));
            }
            for domain in SEARCH {
                let name = format!("xqzw{index}.{domain}");
                push(Purpose::Searched, Via::Udp, &name, None, code(Code::NxDomain));
            }
        }
        push(Purpose::Name, Via::Tcp, NAME, None, name_answer(kind));
        push(Purpose::External, Via::Tcp, EXTERNAL, None, external_answer(kind));
        for spelling in ["kubernetes.default", "kubernetes.default.svc", NAME, EXTERNAL] {
            let below = SEARCH.map(|domain| format!("{spelling}.{domain}"));
            for name in below.iter().map(String::as_str).chain([spelling]) {
                let outcome = match name {
                    NAME => name_answer(kind),
                    EXTERNAL => external_answer(kind),
                    _ => code(Code::NxDomain),
                };
                push(Purpose::SearchExpansion, Via::Udp, name, None, outcome);
            }
        }
    }
    queries
}

/// Returns the queries for the root's keys, with healthy answers.
fn root_key_queries(server: SocketAddr) -> Vec<AskedQuery> {
    let keys = Answer { records: 5, bytes: 1139, edns: true, ..Answer::default() };
    let signed = Some(Validity { inception: NOW - WEEK, expiration: NOW + WEEK });
    let mut queries = Vec::new();
    let mut push = |purpose, via, edns, answer: Answer| {
        queries.push(query(server, purpose, via, "", QueryType::Dnskey, edns, QueryOutcome::Answer(answer)));
    };
    for _ in 0..2 {
        let cut = Answer { truncated: true, records: 0, bytes: 28, ..Answer::default() };
        push(Purpose::Large, Via::Udp, None, cut);
        push(Purpose::Large, Via::Udp, Some(1232), keys.clone());
        push(Purpose::Large, Via::Udp, Some(4096), keys.clone());
        push(Purpose::Signed, Via::Udp, Some(1232), Answer { signed, ..keys.clone() });
        push(Purpose::Unchecked, Via::Udp, Some(1232), Answer { signed, ..keys.clone() });
    }
    push(Purpose::Large, Via::Tcp, None, keys);
    queries
}

impl Seen {
    /// Returns the observations of a pod in the namespace `default`, with one nameserver without faults.
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
            environment: Environment {
                resolv_conf: ResolvConf {
                    nameservers: vec![SERVER.to_owned()],
                    search: SEARCH.map(str::to_owned).to_vec(),
                    options: vec!["ndots:5".to_owned()],
                },
                unix_time: NOW,
                ..Environment::default()
            },
            ..Observations::default()
        });
        seen.ask(SERVER);
        let glibc = Family::Glibc.at(Version::new(2, 36, 0));
        for mode in [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId] {
            seen.0.pairs.extend(
                [Pair { mode, a: Half::Answered(4, Code::NoError), aaaa: Half::Answered(4, Code::NoError) }; 50],
            );
        }
        for name in [
            "kubernetes.default",
            "kubernetes.default.svc",
            NAME,
            "kubernetes.default.svc.cluster.local.",
            EXTERNAL,
            "example.com.",
        ] {
            seen.0.lookups.push(SystemLookup {
                program: "/lib64/ld-linux-x86-64.so.2".to_owned(),
                resolver: glibc,
                name: name.to_owned(),
                took: 2 * QUICK,
                result: LookupResult::Addresses(vec!["10.96.0.1".parse().unwrap()]),
                error: None,
            });
        }
        seen.program(glibc, false)
    }

    /// Adds a healthy server, its queries and its answers.
    fn ask(&mut self, ip: &str) {
        let server = socket(ip);
        self.0.targets.servers.push(server);
        let asked = &mut self.0.asked;
        asked.extend(named_queries(server));
        asked.extend((0..24).map(|index| {
            let name = format!("xqzw{index}.{}", INVENTED_BELOW[index % INVENTED_BELOW.len()]);
            query(server, Purpose::Invented, Via::Udp, &name, QueryType::A, None, code(Code::NxDomain))
        }));
        asked.extend(root_key_queries(server));
        let burst = query(server, Purpose::Burst, Via::Udp, NAME, QueryType::A, None, name_answer(QueryType::A));
        asked.extend(std::iter::repeat_n(burst, 100));
        asked.push(AskedQuery {
            took: SECOND,
            ..query(
                socket("192.0.2.1"),
                Purpose::Interception,
                Via::Udp,
                EXTERNAL,
                QueryType::A,
                None,
                QueryOutcome::Silence,
            )
        });
    }

    /// Adds another healthy server.
    pub(super) fn server(mut self, ip: &str) -> Self {
        self.ask(ip);
        self
    }

    /// Adds another healthy server before the others.
    pub(super) fn first_server(mut self, ip: &str) -> Self {
        self.ask(ip);
        self.0.targets.servers.rotate_right(1);
        self
    }

    /// Changes each query's outcome.
    pub(super) fn change(mut self, mut change: impl FnMut(&mut AskedQuery)) -> Self {
        self.0.asked.iter_mut().for_each(&mut change);
        self
    }

    /// Removes the queries of this purpose.
    pub(super) fn without(mut self, purpose: Purpose) -> Self {
        self.0.asked.retain(|asked| asked.purpose != purpose);
        self
    }

    pub(super) fn silent(self, ip: &str) -> Self {
        let server = socket(ip);
        self.change(|asked| {
            if asked.server == server {
                asked.outcome = QueryOutcome::Silence;
            }
        })
    }

    pub(super) fn silent_once(self, ip: &str) -> Self {
        let (server, mut done) = (socket(ip), false);
        self.change(|asked| {
            if asked.server == server && !std::mem::replace(&mut done, true) {
                asked.outcome = QueryOutcome::Silence;
            }
        })
    }

    /// Changes the outcome of the first query of a type.
    pub(super) fn once(self, kind: QueryType, outcome: QueryOutcome) -> Self {
        let mut outcome = Some(outcome);
        self.change(|asked| {
            if asked.kind == kind
                && let Some(outcome) = outcome.take()
            {
                asked.outcome = outcome;
            }
        })
    }

    /// Changes the outcome of every nth invented name.
    pub(super) fn every_nth_invented(self, nth: usize, mut change: impl FnMut(&mut AskedQuery)) -> Self {
        // In threes, as the names take turns over four domains.
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

    /// Changes the outcome of the first `count` pairs of a mode.
    pub(super) fn lose(mut self, mode: PairMode, count: usize, a: Half, aaaa: Half) -> Self {
        for pair in self.0.pairs.iter_mut().filter(|pair| pair.mode == mode).take(count) {
            (pair.a, pair.aaaa) = (a, aaaa);
        }
        self
    }

    /// Changes the outcome of the last `count` pairs of a mode.
    pub(super) fn lose_last(mut self, mode: PairMode, count: usize, a: Half, aaaa: Half) -> Self {
        for pair in self.0.pairs.iter_mut().rev().filter(|pair| pair.mode == mode).take(count) {
            (pair.a, pair.aaaa) = (a, aaaa);
        }
        self
    }

    pub(super) fn program(mut self, resolver: Resolver, netdns_without_effect: bool) -> Self {
        self.0.environment.programs.push(Program {
            name: format!("/app/{}", resolver.family.name()),
            resolver,
            because: "it was built without cgo".to_owned(),
            netdns_without_effect,
            asked_through: false,
            own_resolvers: Vec::new(),
        });
        self
    }

    pub(super) fn options(mut self, options: &str) -> Self {
        self.0.environment.resolv_conf.options = options.split(' ').map(str::to_owned).collect();
        self
    }
}

/// Returns the verdict of this slug, which must be given.
pub(super) fn fires(slug: &str, seen: &Seen) -> Verdict {
    let all = verdicts(&seen.0);
    let slugs: Vec<&str> = all.iter().map(|verdict| verdict.diagnosis.slug).collect();
    let found = all.iter().find(|verdict| verdict.diagnosis.slug == slug).cloned();
    found.unwrap_or_else(|| panic!("{slug} is not among {slugs:?}"))
}

/// Fails if the verdict of this slug is given.
pub(super) fn silent_of(slug: &str, seen: &Seen) {
    let found = verdicts(&seen.0).into_iter().find(|verdict| verdict.diagnosis.slug == slug);
    assert!(found.is_none(), "{found:?}");
}

/// Fails if the verdict is given on a healthy network.
pub(super) fn silent(slug: &str) {
    assert!(DIAGNOSES.iter().any(|diagnosis| diagnosis.slug == slug), "{slug}");
    silent_of(slug, &Seen::healthy());
}

#[test]
fn a_healthy_network_gets_no_verdict() {
    assert!(verdicts(&Seen::healthy().0).is_empty(), "{:?}", verdicts(&Seen::healthy().0));
    assert!(verdicts(&Seen::healthy().server("10.0.0.11").0).is_empty());
}

#[test]
fn no_observations_give_no_verdict() {
    assert!(verdicts(&Observations::default()).is_empty());
}

#[test]
fn every_diagnosis_is_documented_in_the_same_parts() {
    for diagnosis in DIAGNOSES {
        let documentation = diagnosis.documentation();
        assert!(diagnosis.summary().ends_with('.'), "{}: the first line is one sentence", diagnosis.slug);
        for part in ["\n## Symptoms\n", "\n## Detection\n", "\n## What to do\n"] {
            assert!(documentation.contains(part), "{}: no {part:?}", diagnosis.slug);
        }
        assert!(
            diagnosis.source.contains(&format!("include_str!(\"{}.rs\")", diagnosis.slug.replace('-', "_"))),
            "{}: its file is named for it",
            diagnosis.slug
        );
    }
}

#[test]
fn every_verdict_has_evidence_help_and_profile_effects() {
    let seen = [
        Seen::healthy().change(|asked| asked.outcome = QueryOutcome::Silence),
        Seen::healthy().server("10.0.0.9").silent("10.0.0.9"),
        Seen::healthy().lose(PairMode::OneSocket, 50, Half::Answered(1, Code::NoError), Half::Lost),
        Seen::healthy().change(|asked| asked.took = 2 * SECOND),
    ];
    for verdict in seen.iter().flat_map(|seen| verdicts(&seen.0)) {
        assert!(!verdict.evidence.is_empty() && !verdict.help.is_empty(), "{verdict:?}");
        let effects = &verdict.profile_effects;
        assert_eq!(effects.none_because.is_none(), !effects.improvements.is_empty(), "{verdict:?}");
    }
}

/// Returns whether a server ignores a query.
type Ignores = fn(&AskedQuery) -> bool;

/// Loses this percentage of all UDP packets.
pub(super) fn lossy(mut seen: Seen, percent: u32, rng: &mut TestRng) -> Seen {
    let mut is_lost = || rng.random_range(0..100) < percent;
    for asked in seen.asked.iter_mut().filter(|asked| asked.via == Via::Udp) {
        if is_lost() {
            asked.outcome = QueryOutcome::Silence;
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
fn a_lossy_path_gets_no_other_verdict_except_by_chance() {
    const PROBES: usize = 200;
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for percent in [10, 25, 40] {
        let probes = (0..PROBES).map(|_| verdicts(&lossy(Seen::healthy(), percent, &mut rng)));
        let (path, others): (Vec<Verdict>, Vec<Verdict>) =
            probes.flatten().partition(|verdict| verdict.diagnosis.slug == "lossy-path");
        assert!(path.len() * 100 >= PROBES * 98, "{percent} %: {} of {PROBES}", path.len());
        assert!(others.len() * 100 <= PROBES, "{percent} %: {others:?}");
    }
}

#[test]
fn tells_servers_that_ignore_queries_from_a_lossy_path() {
    const PROBES: usize = 100;
    let ignores: [(&str, Ignores); 4] = [
        ("truncation", |asked| asked.edns.is_some()),
        ("aaaa-broken", |asked| asked.kind == QueryType::Aaaa),
        ("search-expansion", |asked| asked.purpose == Purpose::Searched && !asked.name.contains(".svc.")),
        ("stale-nameserver", |asked| asked.server == socket("10.0.0.11")),
    ];
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for (slug, ignores) in ignores {
        let seen = Seen::healthy().server("10.0.0.11").change(|asked| {
            if ignores(asked) {
                asked.outcome = QueryOutcome::Silence;
            }
        });
        let is_given = |seen: &Seen| verdicts(seen).iter().any(|verdict| verdict.diagnosis.slug == slug);
        let given = (0..PROBES).filter(|_| is_given(&lossy(seen.clone(), 10, &mut rng))).count();
        assert!(given * 100 >= PROBES * 95, "{slug}: {given} of {PROBES}");
    }
}

#[test]
fn malformed_answers_do_not_count_as_answers() {
    let ignores: [(&str, Ignores); 2] =
        [("truncation", |asked| asked.edns.is_some()), ("aaaa-broken", |asked| asked.kind == QueryType::Aaaa)];
    for (slug, ignores) in ignores {
        let malformed = |asked: &mut AskedQuery| {
            if ignores(asked) {
                asked.outcome = QueryOutcome::Malformed("no message".to_owned());
            }
        };
        fires(slug, &Seen::healthy().change(malformed));
    }
}
