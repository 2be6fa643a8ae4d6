//! The state machine, round by round. `probe/watch_simulation.rs` has whole days.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::verdicts::observations::{Answer, AskedQuery, Code, Purpose, QueryOutcome, QueryType, Targets, Via};

const INTERVAL: Duration = Duration::from_secs(30);

fn server() -> SocketAddr {
    "10.96.0.10:53".parse().unwrap()
}

fn query(purpose: Purpose, name: &str, outcome: QueryOutcome) -> AskedQuery {
    AskedQuery {
        purpose,
        server: server(),
        via: Via::Udp,
        name: name.to_owned(),
        kind: QueryType::A,
        edns: None,
        took: Duration::from_millis(2),
        outcome,
    }
}

fn address(ip: &str) -> QueryOutcome {
    QueryOutcome::Answer(Answer { addresses: vec![ip.parse().unwrap()], ..Answer::default() })
}

fn code(code: Code) -> QueryOutcome {
    QueryOutcome::Answer(Answer { code, ..Answer::default() })
}

fn healthy() -> Vec<AskedQuery> {
    vec![
        query(Purpose::Name, "kubernetes.default.svc.cluster.local", address("10.96.0.1")),
        query(Purpose::External, "example.com", address("93.184.215.14")),
        query(Purpose::Searched, "x.cluster.local", code(Code::NxDomain)),
        query(Purpose::Invented, "x.com", code(Code::NxDomain)),
    ]
}

/// Returns a round in which a search domain has an address for every name.
fn wildcard() -> Vec<AskedQuery> {
    let mut round = healthy();
    round[2].outcome = address("203.0.113.7");
    round
}

fn found(slug: &'static str) -> Found {
    Found { slug, level: "deny", subject: String::new(), what: "it is wrong".to_owned(), help: None }
}

/// A watch with a clock.
struct Clock {
    watcher: Watcher,
    now: Duration,
}

impl Clock {
    /// Returns a watch after its first probe, which found nothing.
    fn started() -> Self {
        let mut clock = Self { watcher: Watcher::new(INTERVAL, 600), now: Duration::ZERO };
        assert_eq!(clock.next(), Step::Probe);
        assert_eq!(clock.probe(&[]), [""; 0]);
        clock
    }

    fn next(&mut self) -> Step {
        let (at, step) = self.watcher.next(self.now);
        self.now = self.now.max(at);
        step
    }

    fn round(&mut self, asked: &[AskedQuery]) {
        assert_eq!(self.next(), Step::Round);
        self.watcher.after_round(self.now, asked, 10);
    }

    fn probe(&mut self, slugs: &[&'static str]) -> Vec<String> {
        assert_eq!(self.next(), Step::Probe);
        let changes = self.watcher.after_probe(self.now, slugs.iter().map(|slug| found(slug)).collect(), 300);
        let text = |change: &Change| match change {
            Change::Raised(standing) => format!("raised {}", standing.found.slug),
            Change::Cleared(standing) => format!("cleared {}", standing.found.slug),
        };
        changes.iter().map(text).collect()
    }
}

#[test]
fn two_rounds_and_two_probes_raise_a_verdict_and_two_rounds_and_one_probe_clear_it() {
    let mut clock = Clock::started();
    clock.round(&healthy());
    clock.round(&wildcard());
    clock.round(&wildcard());
    assert_eq!(clock.probe(&["search-expansion"]), [""; 0]);
    assert_eq!(clock.watcher.standing(), []);
    assert_eq!(clock.probe(&["search-expansion"]), ["raised search-expansion"]);
    assert!(clock.now <= 4 * INTERVAL, "{:?}", clock.now);
    for _ in 0..10 {
        clock.round(&wildcard());
    }
    let ended = clock.now;
    clock.round(&healthy());
    assert_eq!(clock.watcher.standing().len(), 1);
    clock.round(&healthy());
    assert_eq!(clock.probe(&[]), ["cleared search-expansion"]);
    assert!(clock.now - ended <= 3 * INTERVAL, "{:?}", clock.now - ended);
}

#[test]
fn two_probes_clear_a_verdict_while_rounds_show_another_symptom() {
    let slow = [AskedQuery { took: Duration::from_secs(2), ..query(Purpose::Name, "a", address("10.96.0.1")) }];
    let both = [&wildcard()[..], &slow].concat();
    let mut clock = Clock::started();
    clock.round(&both);
    clock.round(&both);
    clock.probe(&["search-expansion"]);
    assert_eq!(clock.probe(&["search-expansion"]), ["raised search-expansion"]);
    clock.round(&slow);
    clock.round(&slow);
    assert_eq!(clock.probe(&[]), [""; 0]);
    assert_eq!(clock.probe(&[]), ["cleared search-expansion"]);
}

#[test]
fn a_symptom_that_returns_after_its_verdict_has_ended_is_new() {
    let mut clock = Clock::started();
    for _ in 0..2 {
        clock.round(&wildcard());
        clock.round(&wildcard());
        clock.probe(&["search-expansion"]);
        assert_eq!(clock.probe(&["search-expansion"]), ["raised search-expansion"]);
        clock.round(&healthy());
        clock.round(&healthy());
        assert_eq!(clock.probe(&[]), ["cleared search-expansion"]);
    }
}

#[test]
fn one_round_changes_nothing() {
    let mut clock = Clock::started();
    clock.round(&wildcard());
    for _ in 0..20 {
        clock.round(&healthy());
    }
    clock.round(&wildcard());
    clock.round(&healthy());
    clock.round(&healthy());
    clock.round(&wildcard());
    clock.round(&healthy());
}

#[test]
fn one_probe_changes_nothing() {
    let mut clock = Clock { watcher: Watcher::new(INTERVAL, 600), now: Duration::ZERO };
    assert_eq!(clock.probe(&["lossy-path"]), [""; 0]);
    // A short one, and a whole one.
    assert_eq!(clock.probe(&[]), [""; 0]);
    assert_eq!(clock.probe(&[]), [""; 0]);
    clock.round(&healthy());
    assert_eq!(clock.watcher.standing(), []);
}

#[test]
fn a_symptom_without_a_verdict_is_looked_at_ever_more_rarely() {
    let mut clock = Clock::started();
    let mut probes = Vec::new();
    while clock.now < Duration::from_secs(4 * 3600) {
        match clock.next() {
            Step::Round => clock.round(&wildcard()),
            Step::Probe => {
                probes.push(clock.now.as_secs());
                assert_eq!(clock.probe(&[]), [""; 0]);
            }
        }
    }
    let pauses: Vec<u64> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted() && (6..=12).contains(&probes.len()), "{probes:?}");
}

#[test]
fn a_verdict_that_rounds_do_not_see_is_looked_at_every_four_minutes() {
    let mut clock = Clock { watcher: Watcher::new(INTERVAL, 600), now: Duration::ZERO };
    clock.probe(&["lossy-path"]);
    assert_eq!(clock.probe(&["lossy-path"]), ["raised lossy-path"]);
    let (began, mut probes) = (clock.now, 0);
    while clock.now < began + Duration::from_secs(3600) {
        match clock.next() {
            Step::Round => clock.round(&healthy()),
            Step::Probe => {
                probes += 1;
                assert_eq!(clock.probe(&["lossy-path"]), [""; 0]);
            }
        }
    }
    assert!((10..=15).contains(&probes), "{probes}");
}

#[test]
fn each_kind_of_answer_has_its_symptom() {
    let of = |query: AskedQuery| symptoms(&[query]).into_iter().collect::<Vec<_>>();
    let (name, external, invented, searched) = (Purpose::Name, Purpose::External, Purpose::Invented, Purpose::Searched);
    assert_eq!(symptoms(&healthy()).len(), 0);
    assert_eq!(of(query(name, "a", code(Code::NxDomain))), [Symptom::NoAddressInside(server())]);
    assert_eq!(of(query(external, "a", code(Code::ServFail))), [Symptom::NoAddressOutside(server())]);
    assert_eq!(of(query(external, "a", address("198.18.0.4"))), [Symptom::MadeUp(server())]);
    assert_eq!(of(query(name, "a", address("198.18.0.4"))), [Symptom::MadeUp(server())]);
    // A company's own zone has such addresses too, for longer.
    let private = |ttl| {
        let answer = Answer { addresses: vec!["10.8.0.7".parse().unwrap()], ttl: Some(ttl), ..Answer::default() };
        query(external, "a", QueryOutcome::Answer(answer))
    };
    assert_eq!(of(private(1)), [Symptom::MadeUp(server())]);
    assert_eq!(of(private(2)), []);
    assert_eq!(of(query(invented, "a.com", address("203.0.113.7"))), [Symptom::MadeUp(server())]);
    assert_eq!(of(query(invented, "a.com", code(Code::ServFail))), [Symptom::Outside(server())]);
    assert!(
        matches!(&*of(query(searched, "a.corp", code(Code::NoError))), [Symptom::SearchDomain(domain, _)] if domain == "corp")
    );
    let slow = AskedQuery { took: Duration::from_secs(2), ..query(name, "a", address("10.96.0.1")) };
    assert_eq!(of(slow), [Symptom::Slow(server())]);
}

#[test]
fn one_lost_packet_is_no_symptom_and_two_are() {
    let lost = query(Purpose::Name, "a", QueryOutcome::Silence);
    assert_eq!(symptoms(std::slice::from_ref(&lost)).len(), 0);
    assert_eq!(symptoms(&[lost.clone(), query(Purpose::Name, "a", address("10.96.0.1"))]).len(), 0);
    assert!(symptoms(&[lost.clone(), lost]).contains(&Symptom::Unanswered(server())));
}

#[test]
fn a_round_asks_each_server_and_all_domains_in_turn_within_its_limit() {
    let targets = Targets {
        servers: (10..13).map(|last| format!("10.96.0.{last}:53").parse().unwrap()).collect(),
        names: vec!["kubernetes.default.svc.cluster.local".to_owned()],
        external_names: vec!["example.com".to_owned()],
        invented_below: ["com", "net", "org"].map(str::to_owned).to_vec(),
        ..Targets::default()
    };
    let search: Vec<String> = (0..32).map(|number| format!("D{number}.example.com.")).collect();
    let plan = RoundPlan::new(targets, &search);
    let mut asked = BTreeSet::new();
    for round in 0..2 {
        let queries = plan.queries(round, &Focus::default(), || "xqzw".to_owned());
        assert!(queries.len() <= QueryBudget::ROUND_MAX.try_into().unwrap(), "{}", queries.len());
        asked.extend(queries.into_iter().filter(|query| query.purpose == Purpose::Searched).map(|query| query.name));
    }
    assert_eq!(asked.len(), 32);
    let alone = RoundPlan::new(Targets { servers: vec![server()], ..Targets::default() }, &[]);
    assert_eq!(alone.queries(0, &Focus::default(), String::new), []);
}

#[test]
fn each_round_asks_a_suspicious_domain_and_the_others_in_turn() {
    let targets = Targets { servers: vec![server()], ..Targets::default() };
    let search: Vec<String> = (0..32).map(|number| format!("d{number}.example.com")).collect();
    let plan = RoundPlan::new(targets, &search);
    let suspects = ["d31.example.com", "gone.example.com"].map(str::to_owned).into();
    let focus = Focus { suspects, ..Focus::default() };
    let mut others = BTreeSet::new();
    for round in 0..3 {
        let asked: Vec<String> =
            plan.queries(round, &focus, || "x".to_owned()).into_iter().map(|query| query.name).collect();
        assert_eq!(asked[0], "x.d31.example.com");
        assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), 16, "{asked:?}");
        others.extend(asked);
    }
    assert_eq!(others.len(), 32);
}

#[test]
fn a_domain_is_a_suspect_from_its_first_symptom_until_some_rounds_after_the_last() {
    let mut clock = Clock::started();
    clock.round(&healthy());
    assert!(clock.watcher.focus().suspects.is_empty());
    clock.round(&wildcard());
    assert_eq!(clock.watcher.focus().suspects.into_iter().collect::<Vec<_>>(), ["cluster.local"]);
    clock.round(&wildcard());
    clock.probe(&[]);
    assert_eq!(clock.watcher.focus().suspects.len(), 1);
    for _ in 0..4 {
        clock.round(&healthy());
    }
    assert!(clock.watcher.focus().suspects.is_empty());
}

#[test]
fn probes_for_symptoms_are_short_and_those_of_a_verdict_that_no_short_one_found_are_whole() {
    const BOTH: [&str; 2] = ["search-expansion", "conntrack-race"];
    let mut clock = Clock::started();
    let probe = |clock: &mut Clock, slugs: &[&'static str]| {
        while clock.next() == Step::Round {
            clock.watcher.after_round(clock.now, &wildcard(), 10);
        }
        let is_whole = clock.watcher.is_whole_due();
        (is_whole, clock.probe(slugs))
    };
    let raised = |slug: &str| vec![format!("raised {slug}")];
    assert_eq!(probe(&mut clock, &BOTH[..1]), (false, Vec::new()));
    assert_eq!(probe(&mut clock, &BOTH[..1]), (false, raised("search-expansion")));
    // resolv.conf has changed, for example.
    clock.watcher.probe_at(clock.now);
    assert_eq!(probe(&mut clock, &BOTH), (true, Vec::new()));
    assert_eq!(probe(&mut clock, &BOTH[..1]), (false, Vec::new()));
    assert_eq!(probe(&mut clock, &BOTH), (true, raised("conntrack-race")));
    // The next ones are due because symptoms have changed.
    for _ in 0..2 {
        clock.round(&healthy());
    }
    assert_eq!(probe(&mut clock, &BOTH[..1]), (false, Vec::new()), "a short one says nothing of it");
    assert_eq!(probe(&mut clock, &BOTH[..1]), (true, Vec::new()));
    assert_eq!(probe(&mut clock, &BOTH[..1]), (false, Vec::new()));
    assert_eq!(probe(&mut clock, &BOTH[..1]), (true, vec!["cleared conntrack-race".to_owned()]));
    assert!(!clock.watcher.is_whole_due(), "a short one found the other");
}

#[test]
fn a_silent_nameserver_gets_one_query_and_the_search_list_goes_to_another() {
    let [dead, alive] = ["10.96.0.10:53", "10.96.0.11:53"].map(|server| server.parse::<SocketAddr>().unwrap());
    let targets = Targets {
        servers: vec![dead, alive],
        names: vec!["kubernetes.default.svc.cluster.local".to_owned()],
        external_names: vec!["example.com".to_owned()],
        invented_below: vec!["com".to_owned()],
        ..Targets::default()
    };
    let plan = RoundPlan::new(targets, &["corp".to_owned()]);
    let focus = Focus { silent: [dead].into(), ..Focus::default() };
    let queries = plan.queries(1, &focus, || "x".to_owned());
    let of = |server| queries.iter().filter(move |query| query.server == server).map(|query| query.purpose);
    assert_eq!(of(dead).collect::<Vec<_>>(), [Purpose::Name]);
    assert!(of(alive).any(|purpose| purpose == Purpose::Searched) && of(alive).count() == 7);
}

#[test]
fn a_verdict_is_looked_at_again_when_one_of_two_symptoms_fades() {
    let mut clock = Clock::started();
    let both = || {
        let mut round = wildcard();
        let lost = query(Purpose::Name, "dead", QueryOutcome::Silence);
        round.extend([lost.clone(), lost]);
        round
    };
    clock.round(&both());
    clock.round(&both());
    clock.probe(&["search-expansion", "stale-nameserver"]);
    clock.probe(&["search-expansion", "stale-nameserver"]);
    for _ in 0..10 {
        clock.round(&both());
    }
    let unanswered = || {
        let mut round = both();
        round[2].outcome = code(Code::NxDomain);
        round
    };
    clock.round(&unanswered());
    clock.round(&unanswered());
    clock.probe(&["stale-nameserver"]);
    assert_eq!(clock.probe(&["stale-nameserver"]), ["cleared search-expansion"]);
}
