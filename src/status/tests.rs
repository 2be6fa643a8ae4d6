//! Pictures of small clusters.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::observed::{Defaults, ImagesInUse, Node, NodeObservation, Observed, ObservedProfile, UnknownImage};
use super::{Kind, Problem, State, Status, status};
use crate::doctor::{Check, NamespaceLabels, Unseen};
use crate::policy::{Level, Mode};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A place in a node's files that names a nameserver in use.
fn origin(address: &str) -> Value {
    json!({
        "address": address, "file": "/etc/systemd/network/10-eth0.network", "line": 7, "mechanism": "systemd-networkd",
        "inUse": true, "persistence": "stored",
    })
}

/// A watcher's observation of some age.
fn watched(node: &str, minutes: i64, changes: &Value) -> NodeObservation {
    let at = NOW - SignedDuration::from_mins(minutes);
    let mut watch = json!({
        "pod": format!("muslin-watch-{node}"), "version": "0.6.0", "checkedAt": at, "rounds": 40,
        "nameservers": [{ "address": "10.96.0.10", "queries": 100, "lost": 0, "p50Milliseconds": 0.4, "p99Milliseconds": 2.0 }],
        "origins": [origin("192.0.2.1")],
    });
    for (field, value) in changes.as_object().unwrap() {
        watch[field] = value.clone();
    }
    let domains = json!([{ "domain": "corp.example.com", "answer": "NXDOMAIN", "since": at }]);
    let spec = json!({
        "pod": "m", "nameservers": ["10.96.0.10"], "checkedAt": at, "domains": domains, "watch": watch, "later": 1,
    });
    NodeObservation { node: node.to_owned(), spec: serde_json::from_value(spec).unwrap() }
}

fn node(name: &str) -> Node {
    Node { name: name.to_owned(), is_ready: true, is_foreign: false }
}

fn name(index: usize) -> String {
    format!("n{index:02}")
}

/// Twenty healthy nodes.
fn cluster() -> Observed {
    let names = (1..=20).map(name);
    Observed {
        now: NOW,
        nodes: Ok(names.clone().map(|name| node(&name)).collect()),
        observations: Ok(names.map(|name| watched(&name, 1, &json!({}))).collect()),
        unreadable: Vec::new(),
        namespaces: Ok(Vec::new()),
        profiles: Ok(vec![ObservedProfile { name: "default".to_owned(), unmet: Vec::new() }]),
        defaults: Defaults { mode: Mode::Inject, profile: "default".to_owned() },
        images: Ok(None),
        namespace: "muslin".to_owned(),
        is_installed: true,
        checks: Vec::new(),
        certificate_until: None,
    }
}

/// Twenty nodes, of which the seventh is watched with these changes.
fn with_seventh(minutes: i64, changes: &Value) -> Observed {
    let mut observed = cluster();
    observed.observations.as_mut().unwrap()[6] = watched("n07", minutes, changes);
    observed
}

fn of_kind(status: &Status, kind: Kind) -> Vec<&Problem> {
    status.problems.iter().filter(|problem| problem.kind == kind).collect()
}

fn titles(status: &Status) -> Vec<&str> {
    status.problems.iter().map(|problem| problem.title.as_str()).collect()
}

#[test]
fn a_healthy_cluster_has_no_problem() {
    let status = status(cluster());
    assert_eq!(titles(&status), [""; 0]);
    assert_eq!((status.totals.all, status.totals.healthy, status.unread), (20, 20, vec![]));
    let row = &status.nameservers[0];
    assert_eq!((&*row.address, row.nodes, row.queries, row.p50_milliseconds), ("10.96.0.10", 20, 2_000, Some(0.4)));
}

#[test]
fn the_odd_node_is_named_with_the_address_the_file_and_the_mechanism() {
    let since = NOW - SignedDuration::from_mins(18);
    let verdict = json!({
        "verdict": "stale-nameserver", "level": "deny", "subject": "192.0.2.66", "since": since,
        "text": "192.0.2.66 answers no query",
    });
    let changes = json!({ "verdicts": [verdict], "origins": [origin("192.0.2.1"), origin("192.0.2.66")] });
    let status = status(with_seventh(1, &changes));
    let [verdict, difference] = &*status.problems else { panic!("{:?}", titles(&status)) };
    assert_eq!(verdict.title, "stale-nameserver (192.0.2.66) on node n07 for 18 minutes");
    assert_eq!(
        (verdict.level, verdict.name.as_deref(), verdict.since),
        (Level::Deny, Some("stale-nameserver"), Some(since))
    );
    let place = "192.0.2.66 comes from /etc/systemd/network/10-eth0.network line 7 (systemd-networkd) on n07, and comes back after a \
                 reboot";
    let explain = "muslin explain stale-nameserver says what that is, and what to do";
    assert_eq!(verdict.details, ["192.0.2.66 answers no query", place, explain]);
    assert_eq!(difference.title, "node n07 uses the nameserver 192.0.2.66, unlike 19 other nodes");
    assert_eq!(
        (difference.level, &difference.details, &difference.nodes),
        (Level::Warn, &vec![place.to_owned()], &vec!["n07".to_owned()])
    );
    assert_eq!((&*status.nodes[0].node, status.nodes[0].state), ("n07", State::Verdict));
}

#[test]
fn a_node_that_lacks_what_the_others_have_is_named() {
    let status = status(with_seventh(1, &json!({ "origins": [origin("192.0.2.9")] })));
    assert_eq!(
        titles(&status),
        [
            "node n07 lacks the nameserver 192.0.2.1 of 19 other nodes",
            "node n07 uses the nameserver 192.0.2.9, unlike 19 other nodes"
        ]
    );
}

#[test]
fn nodes_without_their_files_are_not_compared() {
    let status = status(with_seventh(1, &json!({ "origins": [] })));
    assert_eq!(titles(&status), [""; 0]);
}

#[test]
fn a_pool_with_settings_of_its_own_is_advice_and_one_of_two_is_not_odd() {
    let mut observed = cluster();
    for index in 0..5 {
        observed.observations.as_mut().unwrap()[index] =
            watched(&name(index + 1), 1, &json!({ "origins": [origin("192.0.2.2")] }));
    }
    let levels: Vec<Level> = status(observed.clone()).problems.iter().map(|problem| problem.level).collect();
    assert_eq!(levels, [Level::Info; 2]);
    observed.nodes.as_mut().unwrap().drain(1..19);
    let levels: Vec<Level> = status(observed).problems.iter().map(|problem| problem.level).collect();
    assert_eq!(levels, [Level::Info; 2]);
}

/// Nodes may have a nameserver of their own, such as a cache on their own address.
#[test]
fn nodes_that_all_differ_are_one_problem_and_hide_no_odd_one() {
    let mut observed = cluster();
    for index in 0..20 {
        let own = format!("10.0.0.{index}");
        let others = if index == 6 { vec![origin(&own)] } else { vec![origin(&own), origin("192.0.2.1")] };
        observed.observations.as_mut().unwrap()[index] = watched(&name(index + 1), 1, &json!({ "origins": others }));
        observed.observations.as_mut().unwrap()[index].spec.domains[0].domain = format!("rack-{index}.example.com");
    }
    let status = status(observed);
    assert_eq!(
        titles(&status),
        [
            "node n07 lacks the nameserver 192.0.2.1 of 19 other nodes",
            "all 20 nodes each have a search domain that no other node has",
            "all 20 nodes each use a nameserver that no other node has"
        ]
    );
    assert_eq!(status.problems[2].details, ["10.0.0.0 on n01", "10.0.0.1 on n02", "10.0.0.10 on n11"]);
}

#[test]
fn an_address_that_only_a_file_names_is_advice() {
    let mut dormant = origin("192.0.2.66");
    dormant["inUse"] = json!(false);
    let status = status(with_seventh(1, &json!({ "origins": [origin("192.0.2.1"), dormant] })));
    assert_eq!(titles(&status), ["node n07 has the nameserver 192.0.2.66 in files, not in use now"]);
    assert_eq!(status.problems[0].level, Level::Info);
    assert!(status.problems[0].details[0].ends_with("is not in use now, and can come back after a reboot"));
}

#[test]
fn one_verdict_on_many_nodes_is_one_problem() {
    let mut observed = cluster();
    for index in 1..=20 {
        let verdict =
            json!({ "verdict": "lossy-path", "level": "warn", "subject": "10.96.0.10", "text": "t", "since": NOW });
        let changes = json!({ "verdicts": [verdict] });
        observed.observations.as_mut().unwrap()[index - 1] = watched(&name(index), 1, &changes);
    }
    let status = status(observed);
    assert_eq!(titles(&status), ["lossy-path (10.96.0.10) on all 20 nodes for 0 seconds"]);
    assert_eq!(status.problems[0].nodes.len(), 20);
}

#[test]
fn a_silent_watcher_s_verdicts_do_not_count() {
    let verdict = json!({ "verdict": "fake-ip", "level": "deny", "text": "t", "since": NOW });
    let status = status(with_seventh(42, &json!({ "verdicts": [verdict], "origins": [origin("192.0.2.66")] })));
    assert_eq!(titles(&status), ["the watcher of node n07 has been silent for 42 minutes"]);
    assert_eq!((status.problems[0].level, status.nodes[0].state), (Level::Warn, State::Silent));
}

#[test]
fn a_time_to_come_is_a_matter_of_clocks() {
    let status = status(with_seventh(-60, &json!({})));
    assert_eq!(titles(&status), ["the watchers of node n07 are silent"]);
    assert!(status.problems[0].details[0].contains("60 minutes ahead; check the clocks"), "{:?}", status.problems);
}

#[test]
fn nodes_without_a_watcher_are_named_by_what_they_are() {
    let mut observed = cluster();
    observed.observations.as_mut().unwrap().retain(|one| !["n03", "n04", "n05"].contains(&&*one.node));
    let nodes = observed.nodes.as_mut().unwrap();
    nodes[3].is_ready = false;
    nodes[4].is_foreign = true;
    let status = status(observed);
    assert_eq!(titles(&status), ["no watcher has written from node n03", "1 node not watched and not ready: n04"]);
    assert_eq!((status.totals.unwatched, status.totals.foreign, status.totals.healthy), (2, 1, 17));
}

#[test]
fn a_cluster_without_watchers_gets_one_sentence() {
    let mut observed = cluster();
    observed.observations = Ok(Vec::new());
    let status = status(observed);
    assert_eq!(titles(&status), ["no node is watched, so what is wrong with DNS on nodes is not known"]);
    assert_eq!(status.problems[0].level, Level::Info);
}

#[test]
fn a_broken_search_domain_and_another_list_are_named() {
    let mut observed = cluster();
    let spec = &mut observed.observations.as_mut().unwrap()[6].spec;
    spec.domains[0].answer = "SERVFAIL".to_owned();
    spec.domains.push(spec.domains[0].clone());
    spec.domains[1].domain = "lab.example.com".to_owned();
    spec.domains[1].answer = "NXDOMAIN".to_owned();
    spec.nameservers = vec!["169.254.20.10".to_owned()];
    let status = status(observed);
    assert_eq!(
        titles(&status),
        [
            "the search domain corp.example.com answers SERVFAIL for names that do not exist, on node n07, for 60 seconds",
            "node n07 asks 169.254.20.10 for the cluster's names, unlike 19 other nodes: 10.96.0.10",
            "node n07 has the search domain lab.example.com, unlike 19 other nodes",
        ]
    );
}

#[test]
fn namespaces_are_grouped_and_labels_that_mean_nothing_are_named() {
    let mut observed = cluster();
    let namespace = |name: &str, mode: Option<&str>, profile: Option<&str>| {
        let labels = [("muslin.dev/mode", mode), ("muslin.dev/profile", profile)];
        let labels: BTreeMap<String, String> =
            labels.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned()))).collect();
        NamespaceLabels { name: name.to_owned(), labels }
    };
    observed.namespaces = Ok(vec![
        namespace("muslin", None, None),
        namespace("a", None, None),
        namespace("b", Some("injekt"), None),
        namespace("c", Some("off"), Some("gone")),
        namespace("d", None, None),
    ]);
    observed.profiles.as_mut().unwrap().push(ObservedProfile {
        name: "fast".to_owned(),
        unmet: vec![("Accepted".to_owned(), "timeout:0 makes lookups fail".to_owned())],
    });
    let status = status(observed);
    let groups: Vec<(&str, &str, usize)> =
        status.namespaces.iter().flatten().map(|group| (group.mode, &*group.profile, group.namespaces.len())).collect();
    assert_eq!(groups, [("inject", "default", 2), ("warn", "default", 1), ("off", "", 1)]);
    assert_eq!(of_kind(&status, Kind::Profile)[0].title, "the profile fast is not accepted");
    let titles: Vec<&str> = of_kind(&status, Kind::Namespace).iter().map(|one| &*one.title).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].starts_with("the label muslin.dev/mode of namespace b is invalid"), "{titles:?}");
    assert_eq!(titles[1], "the label muslin.dev/profile of namespace c names no profile: gone; the default one counts");
}

#[test]
fn what_may_not_be_read_is_said_and_counts_as_no_problem() {
    let forbidden = || Unseen::Forbidden("nodes is forbidden".to_owned());
    let mut observed = cluster();
    observed.nodes = Err(forbidden());
    observed.namespaces = Err(forbidden());
    observed.profiles = Err(Unseen::Failed("timeout".to_owned()));
    observed.images = Err(forbidden());
    let seen = status(observed.clone());
    assert_eq!((seen.totals.all, seen.problems.len(), seen.unread.len(), seen.namespaces), (20, 0, 4, None));
    assert_eq!(seen.unread[0], "you may not list nodes: nodes without an observation are not known");
    observed.images = Ok(Some(ImagesInUse { unread: Some(forbidden()), ..ImagesInUse::default() }));
    let unread = status(observed.clone()).unread;
    assert!(unread[3].starts_with("you may not list imagefingerprints: the resolvers that muslin read"), "{unread:?}");
    observed.observations = Err(forbidden());
    let blind = status(observed);
    assert_eq!((blind.totals.all, blind.problems.len(), blind.unread.len()), (0, 0, 5));
}

#[test]
fn what_is_wrong_with_muslin_is_one_problem() {
    let mut observed = with_seventh(42, &json!({}));
    observed.checks = vec![
        Check {
            check: "ca-bundle",
            status: crate::doctor::Status::Wrong,
            message: "empty".to_owned(),
            fix: Some("x".to_owned()),
        },
        Check { check: "pods", status: crate::doctor::Status::Unknown, message: "you may not".to_owned(), fix: None },
    ];
    observed.certificate_until = Some(NOW + SignedDuration::from_hours(24 * 57 + 3));
    let mut several = observed.clone();
    several.checks[1].status = crate::doctor::Status::Warning;
    let problem = status(several.clone()).problems.swap_remove(0);
    assert_eq!((&*problem.title, problem.level), ("muslin: 2 checks of its parts fail", Level::Deny));
    assert_eq!(problem.details, ["ca-bundle: empty", "pods: you may not", "muslin doctor says what to do"]);
    several.is_installed = false;
    let absent = status(several);
    assert!(absent.problems.iter().all(|problem| problem.level <= Level::Warn));
    assert!(absent.muslin.checks.is_empty() && absent.namespaces.is_none(), "{absent:?}");
    let status = status(observed);
    assert_eq!((&*status.problems[0].title, status.problems[0].level), ("muslin: empty", Level::Deny));
    assert_eq!(status.unread, ["the check pods of muslin itself: you may not"]);
    assert_eq!(status.muslin.certificate_days, Some(57));
}

#[test]
fn a_large_cluster_in_a_bad_state_stays_bounded() {
    let mut observed = cluster();
    let names: Vec<String> = (0..1_000).map(|index| format!("node-{index:04}")).collect();
    observed.nodes = Ok(names.iter().map(|name| node(name)).collect());
    let verdict = |index: usize, subject: usize| {
        let subject = format!("192.0.{subject}.{}", index % 250);
        json!({ "verdict": "lossy-path", "level": "warn", "subject": subject, "text": "x".repeat(1_024), "since": NOW })
    };
    let observation = |(index, name): (usize, &String)| {
        let verdicts: Vec<Value> = (0..16).map(|subject| verdict(index, subject)).collect();
        let origins: Vec<Value> =
            (0..16).map(|last| origin(&format!("10.{}.{}.{last}", index / 250, index % 250))).collect();
        watched(name, 1, &json!({ "verdicts": verdicts, "origins": origins }))
    };
    observed.observations = Ok(names.iter().enumerate().map(observation).collect());
    let unknown = |index: usize| UnknownImage { image: format!("app-{index}"), pods: index, namespace: "a".to_owned() };
    observed.images =
        Ok(Some(ImagesInUse { pods: 5_000, images: 900, unknown: (0..900).map(unknown).collect(), unread: None }));
    let status = status(observed);
    assert_eq!((status.problems.len(), status.problems_left_out > 1_000), (200, true));
    let images = status.images.unwrap();
    assert_eq!((images.unknown.len(), images.unknown_images, images.unknown[0].pods), (50, 900, 899));
    assert_eq!(status.totals.verdict, 1_000);
}
