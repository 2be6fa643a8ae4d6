//! Lookups of generated workloads, walked by the models of the resolvers: the log of their queries must show the lowest `ndots` with
//! which all of them resolve as before.

mod clients;

use std::cell::RefCell;
use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resolver::{Answer, Family, Resolver, lookup};

const POD: &str = "10.1.0.1";
const OTHER_POD: &str = "10.1.0.2";
const OWN: [&str; 3] = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const NODE_DOMAIN: &str = "corp.internal";

/// A lookup that a program makes.
#[derive(Clone, Debug)]
struct Asked {
    name: String,
    resolver: Resolver,
    ndots: u32,
}

/// The names that exist: Services in two namespaces, a StatefulSet's pods, outside names, and one of the node's domain.
fn exists(name: &str) -> Answer {
    const NAMES: [&str; 10] = [
        "web.shop.svc.cluster.local",
        "pod-0.web.shop.svc.cluster.local",
        "db.data.svc.cluster.local",
        "pod-0.db.data.svc.cluster.local",
        "www.example.com",
        "example.com",
        "a.b.c.d.example.com",
        "printer.corp.internal",
        "a.printer.corp.internal",
        "b.printer.corp.internal",
    ];
    if NAMES.contains(&name) { Answer::Address } else { Answer::NxDomain }
}

/// The ways in which programs write names.
const SPELLINGS: [&str; 18] = [
    "web",
    "web.shop",
    "web.shop.svc",
    "web.shop.svc.cluster.local",
    "web.shop.svc.cluster.local.",
    "pod-0.web",
    "db.data",
    "db.data.svc",
    "db.data.svc.cluster.local",
    "db.data.svc.cluster.local.",
    "pod-0.db.data",
    "pod-0.db.data.svc.cluster.local",
    "www.example.com",
    "www.example.com.",
    "example.com",
    "a.b.c.d.example.com",
    "printer",
    "missing.example.com",
];

/// Returns the search list of each pod.
fn search() -> Vec<&'static str> {
    OWN.into_iter().chain([NODE_DOMAIN]).collect()
}

/// Returns the whole names that a lookup asks for, with their answers, and the name that it found.
fn walk(asked: &Asked, ndots: u32) -> (Vec<(String, Answer)>, Option<String>) {
    let queries = RefCell::new(Vec::new());
    let answer = |name: &str| {
        queries.borrow_mut().push((name.to_owned(), exists(name)));
        exists(name)
    };
    let found = lookup(asked.resolver, &asked.name, ndots, &search(), answer).unwrap().found;
    (queries.into_inner(), found)
}

fn pods() -> Pods {
    let pod = |ip: &str, name: &str| {
        json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
            "spec": {"containers": []},
            "status": {"podIP": ip, "hostIP": "10.0.0.1"},
        })
    };
    let items = [pod(POD, "web"), pod(OTHER_POD, "other")];
    Pods::from_json(&json!({"items": items}).to_string(), "cluster.local").unwrap()
}

fn analysis() -> Analysis {
    analysis_of(pods(), &[NODE_DOMAIN])
}

fn analysis_of(pods: Pods, node_domains: &[&str]) -> Analysis {
    let node_domains = node_domains.iter().map(|domain| (*domain).to_owned()).collect();
    let settings = Settings { cluster_domain: "cluster.local".to_owned(), node_domains, ..Settings::default() };
    Analysis::new(pods, settings, Limits::default())
}

fn query<'a>(client: &str, name: &'a str, answer: Answer) -> Query<'a> {
    let outcome = if answer == Answer::Address { Outcome::Found } else { Outcome::NxDomain };
    Query { at: None, client: client.parse::<IpAddr>().unwrap(), name: name.into(), is_lookup: true, outcome }
}

/// Adds a hundred whole searches of another pod, as any cluster has them.
fn add_other_searches(analysis: &mut Analysis) {
    for number in 0..100 {
        let name = format!("n{number}.example.org");
        for domain in search() {
            analysis.add(&query(OTHER_POD, &format!("{name}.{domain}"), Answer::NxDomain));
        }
        analysis.add(&query(OTHER_POD, &name, Answer::Address));
    }
}

/// Returns a pod `web` at these addresses, with more fields.
fn web(more: &serde_json::Value) -> serde_json::Value {
    let mut pod = json!({
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "alpine:3.20"}]},
        "status": {"podIP": POD, "hostIP": "10.0.0.1"},
    });
    json_patch::merge(&mut pod, more);
    pod
}

fn list(items: &[serde_json::Value]) -> Pods {
    Pods::from_json(&json!({"items": items}).to_string(), "cluster.local").unwrap()
}

/// Returns the evidence for the pod under test.
fn evidence(analysis: &mut Analysis) -> (Summary, Evidence) {
    let (summary, mut evidence) = analysis.finish(None);
    let index = evidence.iter().position(|one| one.workload.name == "web").unwrap();
    (summary, evidence.swap_remove(index))
}

fn safe(evidence: &Evidence) -> u32 {
    evidence.safe_ndots.unwrap()
}

/// Returns the evidence of a log with these queries of the pod.
fn evidence_of(names: &[(&str, bool)]) -> Evidence {
    let mut analysis = analysis();
    add_other_searches(&mut analysis);
    for (name, found) in names {
        let answer = if *found { Answer::Address } else { Answer::NxDomain };
        analysis.add(&query(POD, name, answer));
    }
    evidence(&mut analysis).1
}

/// Returns the queries of lookups, each lookup's in order but the lookups mixed, with A and AAAA, and some sent again.
fn mixed(lookups: &[Asked], picks: &[usize]) -> Vec<(String, Answer)> {
    let mut waiting: Vec<_> = lookups.iter().map(|asked| walk(asked, asked.ndots).0.into_iter()).collect();
    let mut queries = Vec::new();
    for step in 0.. {
        if waiting.is_empty() {
            break;
        }
        let pick = picks[step % picks.len()];
        let index = pick % waiting.len();
        match waiting[index].next() {
            Some(query) => queries.extend(std::iter::repeat_n(query, if pick.is_multiple_of(7) { 3 } else { 2 })),
            None => drop(waiting.swap_remove(index)),
        }
    }
    queries
}

/// Returns the lowest `ndots` with which musl finds each name of these lookups as it was found.
fn lowest_by_the_model(lookups: &[Asked]) -> u32 {
    let musl = Family::Musl.unversioned();
    let keeps = |ndots: u32| {
        lookups.iter().all(|asked| {
            let found = walk(asked, asked.ndots).1;
            found.is_none() || walk(&Asked { resolver: musl, ..asked.clone() }, ndots).1 == found
        })
    };
    (1..=15).find(|ndots| keeps(*ndots)).unwrap()
}

/// Returns lookups of one pod, whose resolver reads one `ndots`.
fn lookups() -> impl Strategy<Value = Vec<Asked>> {
    let family = prop::sample::select(vec![Family::Musl, Family::Glibc, Family::Go]);
    let names = prop::collection::vec(prop::sample::select(SPELLINGS.to_vec()), 1..12);
    (family, 1_u32..=5, names).prop_map(|(family, ndots, names)| {
        let asked = |name: &str| Asked { name: name.to_owned(), resolver: family.unversioned(), ndots };
        names.into_iter().map(asked).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The models of the resolvers are the referee: exactly the lowest `ndots`, or a higher one where the log has two readings.
    #[test]
    fn the_lowest_ndots_is_that_of_the_model(lookups in lookups(), picks in prop::collection::vec(0..1000_usize, 1..40)) {
        let mut analysis = analysis();
        add_other_searches(&mut analysis);
        for (name, answer) in mixed(&lookups, &picks) {
            analysis.add(&query(POD, &name, answer));
        }
        let (summary, evidence) = evidence(&mut analysis);
        let expected = lowest_by_the_model(&lookups);
        let lowest = safe(&evidence);
        prop_assert!(lowest >= expected, "{lowest} of {expected}: {evidence:#?}");
        if evidence.ambiguous == 0 && summary.is_whole {
            prop_assert_eq!(lowest, expected, "{:#?}", evidence);
        }
        // The walk with the lowest ndots loses nothing, and glibc and Go lose nothing with 1.
        for family in [Family::Musl, Family::Glibc, Family::Go] {
            let ndots = evidence.resolvers.iter().find(|one| one.resolver == family.name()).unwrap().result.ndots;
            for asked in &lookups {
                let found = walk(asked, asked.ndots).1;
                let then = walk(&Asked { resolver: family.unversioned(), ..asked.clone() }, ndots).1;
                prop_assert!(found.is_none() || then == found, "{asked:?} with {family:?} and ndots:{ndots}");
            }
        }
    }

    /// The logs of replicas may come one after the other: no order of the queries gives a lower result.
    #[test]
    fn order_does_not_lower_the_result(lookups in lookups(), seed in any::<u64>()) {
        let mut queries = mixed(&lookups, &[0]);
        fastrand::Rng::with_seed(seed).shuffle(&mut queries);
        let mut analysis = analysis();
        for (name, answer) in queries {
            analysis.add(&query(POD, &name, answer));
        }
        add_other_searches(&mut analysis);
        let (_, evidence) = evidence(&mut analysis);
        prop_assert!(safe(&evidence) >= lowest_by_the_model(&lookups), "{evidence:#?}");
    }

    /// A log of one of two replicas lacks half of the queries, chosen by chance, and lowers nothing that it shows.
    #[test]
    fn half_a_log_is_on_the_safe_side(lookups in lookups(), seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut analysis = analysis();
        for number in 0..200 {
            for domain in search() {
                if random.bool() {
                    analysis.add(&query(OTHER_POD, &format!("n{number}.example.org.{domain}"), Answer::NxDomain));
                }
            }
        }
        let mut seen = Vec::new();
        for asked in &lookups {
            let (queries, found) = walk(asked, asked.ndots);
            for (name, answer) in queries {
                if random.bool() {
                    analysis.add(&query(POD, &name, answer));
                    seen.extend(found.iter().filter(|found| **found == name).map(|_| asked.clone()));
                }
            }
        }
        let (summary, evidence) = analysis.finish(None);
        prop_assert!(!summary.is_whole);
        if let Some(evidence) = evidence.iter().find(|one| one.workload.name == "web") {
            prop_assert!(safe(evidence) >= lowest_by_the_model(&seen), "{seen:?} {evidence:#?}");
        }
    }
}

#[test]
fn outside_names_alone_need_no_search() {
    let name = "www.example.com";
    let mut queries: Vec<_> = search().into_iter().map(|domain| (format!("{name}.{domain}"), false)).collect();
    queries.push((name.to_owned(), true));
    let queries: Vec<_> = queries.iter().map(|(name, found)| (name.as_str(), *found)).collect();
    let evidence = evidence_of(&queries);
    assert_eq!((evidence.queries, evidence.wasted, safe(&evidence)), (5, 4, 1));
    assert!(evidence.resolvers.iter().all(|one| (one.result.ndots, one.result.saved, one.result.leaked) == (1, 4, 0)));
}

#[test]
fn a_service_of_another_namespace_needs_two_and_leaks_with_one() {
    let evidence = evidence_of(&[
        ("db.data.shop.svc.cluster.local", false),
        ("db.data.svc.cluster.local", true),
        ("web.shop.svc.cluster.local", true),
    ]);
    assert_eq!((safe(&evidence), evidence.ambiguous), (2, 0));
    let lost: Vec<_> = evidence.lost(Family::Musl, 1).map(|name| (name.name.as_str(), name.found.as_str())).collect();
    assert_eq!(lost, [("db.data", "db.data.svc.cluster.local")]);
    assert_eq!(evidence.lost(Family::Musl, 2).count(), 0);
    let [musl, glibc, go] = [0, 1, 2].map(|index| &evidence.resolvers[index].result);
    assert_eq!([musl.ndots, glibc.ndots, go.ndots], [2, 1, 1]);
    assert_eq!([musl.leaked, glibc.leaked, go.leaked], [0, 1, 1]);
    assert_eq!((musl.saved, go.saved), (0, -1));
}

/// Both spellings lead to one name, and each answer is that of one lookup.
#[test]
fn an_answer_of_two_spellings_costs_once() {
    let evidence = evidence_of(&[
        ("db.data.shop.svc.cluster.local", false),
        ("db.data.svc.cluster.local", true),
        ("db.data.svc.shop.svc.cluster.local", false),
        ("db.data.svc.svc.cluster.local", false),
        ("db.data.svc.cluster.local", true),
    ]);
    let glibc = &evidence.resolvers[1].result;
    assert_eq!((glibc.ndots, glibc.leaked, glibc.saved), (1, 2, -2));
}

#[test]
fn a_name_in_full_with_a_final_dot_needs_no_search_in_a_whole_log() {
    assert_eq!(safe(&evidence_of(&[("db.data.svc.cluster.local", true)])), 1);
    let mut analysis = analysis();
    analysis.add(&query(POD, "db.data.svc.cluster.local", Answer::Address));
    let (summary, evidence) = evidence(&mut analysis);
    assert!(!summary.is_whole, "nothing shows that the log has every query");
    assert_eq!((safe(&evidence), evidence.ambiguous), (3, 2));
}

#[test]
fn a_pod_of_a_stateful_set_in_full_counts_as_searched_for() {
    let evidence = evidence_of(&[("pod-0.web.shop.svc.cluster.local", true)]);
    assert_eq!((safe(&evidence), evidence.ambiguous), (2, 1));
}

#[test]
fn no_data_ends_nothing_and_wastes_nothing() {
    let mut analysis = analysis();
    add_other_searches(&mut analysis);
    for name in ["web.shop.svc.cluster.local", "www.example.com"] {
        analysis.add(&Query { outcome: Outcome::NoData, ..query(POD, name, Answer::Address) });
        analysis.add(&query(POD, name, Answer::Address));
    }
    let (summary, evidence) = evidence(&mut analysis);
    assert_eq!((evidence.wasted, safe(&evidence), summary.is_whole), (0, 1, true));
}

#[test]
fn memory_is_bounded_and_dropped_names_are_counted() {
    let limits = Limits { names_of_client: 50, names: 120, other_clients: 2, waiting: 0 };
    let settings = Settings { cluster_domain: "cluster.local".to_owned(), ..Settings::default() };
    let mut analysis = Analysis::new(pods(), settings, limits);
    for number in 0..1000 {
        for client in [POD, OTHER_POD] {
            analysis.add(&query(client, &format!("n{number}.example.com.shop.svc.cluster.local"), Answer::NxDomain));
        }
        analysis.add(&query(&format!("10.2.{}.{}", number / 250, number % 250), "example.com", Answer::Address));
    }
    let (summary, evidence) = analysis.finish(Some(10.0));
    assert!(evidence.iter().all(|one| one.dropped_names > 800 && one.queries == 1000), "{evidence:#?}");
    assert_eq!(
        (summary.unknown_clients, summary.dropped_queries, evidence[0].queries_per_second),
        (2, 998, Some(100.0))
    );
}

#[test]
fn the_result_is_that_of_the_workload_s_resolvers() {
    let names = [("db.data.shop.svc.cluster.local", false), ("db.data.svc.cluster.local", true)];
    for (images, no_leaks, uses, ndots, leaked) in [
        (&["alpine:3.20"][..], false, "musl", 2, 0),
        (&["debian:12"], false, "glibc", 1, 1),
        (&["debian:12"], true, "glibc", 2, 0),
        (&["debian:12", "alpine:3.20"], false, "musl glibc", 2, 0),
        (&["example.com/x:1"], false, "unknown", 2, 0),
        (&["debian:12", "example.com/x:1"], false, "glibc unknown", 2, 0),
    ] {
        let containers: Vec<_> = images.iter().map(|image| json!({"name": image, "image": image})).collect();
        let settings = Settings { cluster_domain: "cluster.local".to_owned(), no_leaks, ..Settings::default() };
        let mut analysis =
            Analysis::new(list(&[web(&json!({"spec": {"containers": containers}}))]), settings, Limits::default());
        for (name, found) in names {
            analysis.add(&query(POD, name, if found { Answer::Address } else { Answer::NxDomain }));
        }
        let (_, evidence) = evidence(&mut analysis);
        let names: Vec<&str> = evidence.uses.iter().map(|family| family.name()).collect();
        let result = evidence.result.unwrap();
        assert_eq!((&*names.join(" "), result.ndots, result.leaked), (uses, ndots, leaked), "{images:?}");
        assert_eq!(evidence.safe_ndots, Some(2));
    }
}

/// By the models: musl needs more than the dots of a name, and the others fall back.
#[test]
fn a_name_is_lost_at_each_boundary_by_musl_alone() {
    for dots in 1..=6_u32 {
        let name = vec!["a"; dots as usize + 1].join(".");
        let evidence = evidence_of(&[
            (&format!("{name}.shop.svc.cluster.local"), false),
            (&format!("{name}.svc.cluster.local"), true),
        ]);
        for ndots in 1..=7 {
            for family in [Family::Musl, Family::Glibc, Family::Go, Family::Uclibc, Family::CAres, Family::Unknown] {
                let may_be_musl = matches!(family, Family::Musl | Family::Unknown);
                let is_lost = evidence.lost(family, ndots).count() == 1;
                assert_eq!(is_lost, may_be_musl && ndots <= dots, "{dots} dots, ndots:{ndots}, {family:?}");
            }
            assert_eq!(evidence.leaked(ndots).count() == 1, ndots <= dots);
        }
    }
}
