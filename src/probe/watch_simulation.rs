//! Whole days of a watch on a simulated network: the real rounds, schedules, verdicts and state, with a clock and a nameserver that are not
//! real. Losses are drawn from seeded random numbers.

use std::net::SocketAddr;
use std::time::Duration;

use super::dns_question::DnsQuestion;
use super::schedule::{invented_label, nameserver_queries, search_list_queries};
use crate::verdicts::observations::{
    Answer, AskedQuery, Code, Half, Observations, Pair, PairMode, Purpose, QueryOutcome, QueryType, Targets, Validity,
    Via,
};
use crate::verdicts::system_files::ResolvConf;
use crate::verdicts::verdicts;
use crate::watching::{Change, Found, ProbeSize, RoundPlan, Step, Watcher};

const NAME: &str = "kubernetes.default.svc.cluster.local";
const EXTERNAL: &str = "example.com";
const CORP: &str = "corp.example.net";
const SEARCH: [&str; 4] = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", CORP];

const INTERVAL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// The time that a full probe takes with answers, and without.
const PROBE_TAKES: Duration = Duration::from_secs(5);
const PROBE_TAKES_LONG: Duration = Duration::from_secs(10);
/// This machine's time, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const WEEK: u64 = 7 * 86_400;

/// The time until a verdict must be named, and until it must be cleared.
const NAMED_WITHIN: Duration = Duration::from_secs(120);
const CLEARED_WITHIN: Duration = Duration::from_secs(300);

/// A fault of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// One of this many servers behind the nameserver is silent, as with CoreDNS's `forward` until its health check ends.
    StaleUpstream(u32),
    /// The nameserver never answers.
    Dead,
    /// UDP is dropped, TCP is not.
    UdpDropped,
    /// A proxy answers every query with an address of its own.
    Proxy,
    /// A search domain has an address for every name.
    Wildcard,
    /// This share of packets is lost.
    Storm(f64),
}

/// A simulated network, and the faults of times.
struct Network {
    random: fastrand::Rng,
    loss: f64,
    faults: Vec<(Duration, Duration, Fault)>,
    now: Duration,
}

/// The outcome of a simulation.
#[derive(Default)]
struct Ran {
    changes: Vec<(Duration, Change)>,
    sent: u64,
    probes: u32,
    /// The most queries of any hour, from its beginning.
    hour_max: u64,
}

// === impl Network ===

impl Network {
    fn fault(&self) -> Option<Fault> {
        let now = self.now;
        self.faults.iter().find(|(from, until, _)| (*from..*until).contains(&now)).map(|(_, _, fault)| *fault)
    }

    fn is_lost(&mut self) -> bool {
        let share = if let Some(Fault::Storm(share)) = self.fault() { share } else { self.loss };
        self.random.f64() < share
    }

    /// Returns the time of a query, and its outcome.
    fn answer(&mut self, purpose: Purpose, via: Via, question: &DnsQuestion) -> (Duration, QueryOutcome) {
        let quick = Duration::from_micros(self.random.u64(200..4_000));
        let wait = Duration::from_millis(2_500);
        let fault = self.fault();
        let is_dropped = fault == Some(Fault::Dead) || (fault == Some(Fault::UdpDropped) && via == Via::Udp);
        if is_dropped || (via == Via::Udp && self.is_lost()) || purpose == Purpose::Interception {
            return (wait, QueryOutcome::Silence);
        }
        if fault == Some(Fault::Proxy) && via == Via::Udp {
            return (quick, addresses(question.kind, Some("198.18.0.4"), 1));
        }
        let took = match fault {
            // CoreDNS asks the next server after 2 s.
            Some(Fault::StaleUpstream(of)) if purpose == Purpose::Invented && self.random.u32(0..of) == 0 => {
                Duration::from_secs(2) + quick
            }
            // A packet that is lost behind CoreDNS.
            _ if purpose == Purpose::Invented && self.is_lost() => Duration::from_secs(2) + quick,
            _ => quick,
        };
        (took, self.truth(question))
    }

    fn truth(&self, question: &DnsQuestion) -> QueryOutcome {
        let is_in = |domain: &str| question.name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match (&*question.name, question.kind) {
            ("", QueryType::Dnskey) => root_keys(question),
            (NAME, kind) => addresses(kind, Some("10.96.0.1"), 5),
            (EXTERNAL, QueryType::Aaaa) => addresses(QueryType::Aaaa, Some("2606:2800::1"), 300),
            (EXTERNAL, kind) => addresses(kind, Some("93.184.215.14"), 300),
            ("cluster.local", kind) => addresses(kind, None, 5),
            (_, kind) if self.fault() == Some(Fault::Wildcard) && is_in(CORP) => {
                addresses(kind, Some("203.0.113.7"), 5)
            }
            _ => QueryOutcome::Answer(Answer { code: Code::NxDomain, bytes: 100, ..Answer::default() }),
        }
    }

    fn ask(&mut self, server: SocketAddr, purpose: Purpose, via: Via, question: &DnsQuestion) -> AskedQuery {
        let (took, outcome) = self.answer(purpose, via, question);
        let DnsQuestion { name, kind, edns, .. } = question.clone();
        AskedQuery { purpose, server, via, name, kind, edns, took, outcome }
    }

    fn round(&mut self, plan: &RoundPlan, number: usize) -> Vec<AskedQuery> {
        let mut asked = Vec::new();
        for query in plan.queries(number, invented_label) {
            for _ in 0..2 {
                let question = DnsQuestion::new(&query.name, query.kind);
                asked.push(self.ask(query.server, query.purpose, query.via, &question));
                if asked.last().is_some_and(AskedQuery::is_answered) {
                    break;
                }
            }
        }
        asked
    }

    /// Returns the observations of a full probe, as [`super::Probe`] makes them.
    fn probe(&mut self, targets: &Targets, search: &[String], size: ProbeSize) -> Observations {
        let mut seen = Observations { targets: targets.clone(), ..Observations::default() };
        let search_line = ResolvConf {
            nameservers: vec!["10.96.0.10".to_owned()],
            search: search.to_vec(),
            options: vec!["ndots:5".to_owned()],
        };
        (seen.environment.resolv_conf, seen.environment.unix_time) = (search_line, NOW);
        let server = targets.servers[0];
        let first = DnsQuestion::new(NAME, QueryType::A);
        for via in [Via::Udp, Via::Udp, Via::Udp, Via::Udp, Via::Udp, Via::Tcp] {
            seen.asked.push(self.ask(server, Purpose::Name, via, &first));
        }
        for query in nameserver_queries(targets).into_iter().chain(search_list_queries(targets, search)) {
            seen.asked.push(self.ask(server, query.purpose, query.via, &query.question));
        }
        let external = DnsQuestion::new(EXTERNAL, QueryType::A);
        let test_net = "192.0.2.1:53".parse().unwrap();
        seen.asked.push(self.ask(test_net, Purpose::Interception, Via::Udp, &external));
        if seen.asked.iter().any(|asked| asked.is_answered() && asked.via == Via::Udp) {
            self.send_pairs(&mut seen, size.pairs);
            for _ in 0..size.burst {
                seen.asked.push(self.ask(server, Purpose::Burst, Via::Udp, &first));
            }
        }
        seen
    }

    /// Adds pairs of each mode; three times as many if one is lost.
    fn send_pairs(&mut self, seen: &mut Observations, pairs: u32) {
        for round in 0..3 {
            if round > 0 && seen.pairs.iter().all(Pair::is_whole) {
                return;
            }
            for mode in [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId] {
                for _ in 0..pairs {
                    let [a, aaaa] =
                        [(); 2].map(|()| if self.is_lost() { Half::Lost } else { Half::Answered(2, Code::NoError) });
                    seen.pairs.push(Pair { mode, a, aaaa });
                }
            }
        }
    }
}

fn addresses(kind: QueryType, address: Option<&str>, ttl: u32) -> QueryOutcome {
    let address: Option<std::net::IpAddr> = address.map(|address| address.parse().unwrap());
    let address = address.filter(|address| address.is_ipv4() == (kind == QueryType::A));
    QueryOutcome::Answer(Answer {
        records: address.iter().count(),
        addresses: address.into_iter().collect(),
        ttl: Some(ttl),
        bytes: 100,
        ..Answer::default()
    })
}

fn root_keys(question: &DnsQuestion) -> QueryOutcome {
    let cut = Answer { truncated: true, bytes: 28, ..Answer::default() };
    let keys = Answer { records: 5, bytes: 1_139, edns: true, ..Answer::default() };
    let signed = Some(Validity { inception: NOW - WEEK, expiration: NOW + WEEK });
    QueryOutcome::Answer(match question.edns {
        None => cut,
        Some(_) if question.signatures => Answer { signed, ..keys },
        Some(_) => keys,
    })
}

/// Runs a watch for some time.
fn run(seed: u64, loss: f64, faults: &[(Duration, Duration, Fault)], until: Duration) -> Ran {
    let targets = Targets {
        servers: vec!["10.96.0.10:53".parse().unwrap()],
        names: vec![NAME.to_owned()],
        external_names: vec![EXTERNAL.to_owned()],
        invented_below: ["com", "net", "org", EXTERNAL].map(str::to_owned).to_vec(),
        cluster_domain: "cluster.local".to_owned(),
        ..Targets::default()
    };
    let search = SEARCH.map(str::to_owned);
    let (plan, size) = (RoundPlan::new(targets.clone(), &search), ProbeSize::of(1));
    let mut network =
        Network { random: fastrand::Rng::with_seed(seed), loss, faults: faults.to_vec(), now: Duration::ZERO };
    let mut watcher = Watcher::new(INTERVAL, size.queries_max);
    let (mut ran, mut rounds, mut hour, mut of_hour) = (Ran::default(), 0, 0, 0);
    while network.now < until {
        let (at, step) = watcher.next(network.now);
        network.now = network.now.max(at);
        let sent = match step {
            Step::Round => {
                let asked = network.round(&plan, rounds);
                rounds += 1;
                let is_answered = asked.iter().all(AskedQuery::is_answered);
                network.now += if is_answered { SECOND } else { 5 * SECOND };
                watcher.after_round(network.now, &asked, u32::try_from(asked.len()).unwrap());
                asked.len()
            }
            Step::Probe => {
                ran.probes += 1;
                let seen = network.probe(&targets, &search, size);
                let is_answered = seen.asked.iter().filter(|asked| !asked.is_answered()).count() < 5;
                network.now += if is_answered { PROBE_TAKES } else { PROBE_TAKES_LONG };
                let sent = seen.asked.len() + 2 * seen.pairs.len();
                let changes =
                    watcher.after_probe(network.now, Found::of(&verdicts(&seen)), u32::try_from(sent).unwrap());
                ran.changes.extend(changes.into_iter().map(|change| (network.now, change)));
                sent
            }
        };
        if network.now.as_secs() / 3600 > hour {
            (hour, of_hour) = (network.now.as_secs() / 3600, 0);
        }
        of_hour += sent as u64;
        (ran.sent, ran.hour_max) = (ran.sent + sent as u64, ran.hour_max.max(of_hour));
    }
    ran
}

fn raised(ran: &Ran) -> Vec<&'static str> {
    let raised = ran.changes.iter().filter_map(|(_, change)| match change {
        Change::Raised(standing) => Some(standing.found.slug),
        Change::Cleared(_) => None,
    });
    raised.collect()
}

/// Days of sound networks, each with another seed. `scripts/test --long` has hundreds.
fn healthy_days(seeds: std::ops::Range<u64>) {
    let (mut probes, mut sent) = (0, 0);
    let days = seeds.end - seeds.start;
    for seed in seeds {
        let ran = run(seed, 0.001, &[], 24 * HOUR);
        assert_eq!(raised(&ran), [""; 0], "seed {seed}: {:?}", ran.changes);
        assert!(ran.hour_max <= 7_200, "seed {seed}: {} queries in an hour", ran.hour_max);
        (probes, sent) = (probes + ran.probes, sent + ran.sent);
    }
    let a_second = sent as f64 / (days as f64 * 86_400.0);
    assert!(a_second < 0.6, "{a_second} queries a second");
    assert!(f64::from(probes) / (days as f64) < 6.0, "{probes} full probes in {days} days");
}

#[test]
fn a_day_with_a_loss_of_a_thousandth_has_no_false_alarm() {
    healthy_days(0..3);
}

#[test]
#[ignore = "simulates 300 days, which takes minutes"]
fn many_days_with_a_loss_of_a_thousandth_have_no_false_alarm() {
    healthy_days(100..400);
}

#[test]
fn a_storm_of_one_round_raises_nothing() {
    for seed in 0..4 {
        let storms: Vec<_> = (1..12).map(|hour| (hour * HOUR, hour * HOUR + INTERVAL, Fault::Storm(0.6))).collect();
        let ran = run(seed, 0.001, &storms, 12 * HOUR);
        assert_eq!(raised(&ran), [""; 0], "seed {seed}: {:?}", ran.changes);
    }
}

#[test]
fn each_fault_is_named_in_two_minutes_and_cleared_in_five() {
    let cases = [
        (Fault::StaleUpstream(2), "stale-nameserver"),
        (Fault::StaleUpstream(3), "stale-nameserver"),
        (Fault::Dead, "stale-nameserver"),
        (Fault::UdpDropped, "udp53-blocked-tcp-open"),
        (Fault::Proxy, "fake-ip"),
        (Fault::Wildcard, "search-expansion"),
    ];
    for (fault, slug) in cases {
        // The moments of a round, and faults of a minute and a half, of minutes, and of an hour.
        for (seed, lasts) in [(1, 125), (2, 300), (3, 900), (4, 3_600)] {
            let begins = HOUR + Duration::from_secs(seed * 7);
            let ends = begins + Duration::from_secs(lasts);
            let ran = run(seed, 0.001, &[(begins, ends, fault)], ends + 2 * CLEARED_WITHIN);
            let context = || format!("{fault:?} for {lasts} s, seed {seed}: {:#?}", ran.changes);
            let named = ran
                .changes
                .iter()
                .find(|(_, change)| matches!(change, Change::Raised(standing) if standing.found.slug == slug));
            let (named, _) = named.unwrap_or_else(|| panic!("{slug} is not named: {}", context()));
            assert!(*named <= begins + NAMED_WITHIN, "named after {:?}: {}", *named - begins, context());
            let (cleared, last) = ran.changes.last().unwrap();
            assert!(matches!(last, Change::Cleared(_)), "{}", context());
            assert!(*cleared <= ends + CLEARED_WITHIN, "cleared after {:?}: {}", *cleared - ends, context());
            assert_eq!(raised(&ran).len() * 2, ran.changes.len(), "{}", context());
            assert!(ran.hour_max <= 7_200, "{} queries in an hour", ran.hour_max);
        }
    }
}
