//! Tests of profiles with a search list of their own.

use super::*;
use crate::policy::{DomainFault, NodeLocal, SearchList};

fn with(search: SearchList, case: Case) -> Case {
    let profile = Profile { name: "no-node-search".to_owned(), search, ..Profile::nothing() };
    Case { profile, cluster_addresses: vec!["10.96.0.10".parse().unwrap()], ..case }
}

fn fixed(case: Case) -> Case {
    with(SearchList::Cluster, case)
}

fn broken(mut case: Case, domain: &str) -> Case {
    case.broken_domains = vec![BrokenDomain { domain: domain.to_owned(), fault: DomainFault::NoData }];
    case
}

fn is_fixed(outcome: &Outcome) -> bool {
    outcome.pod["spec"]["dnsPolicy"] == "None"
}

#[test]
fn a_pod_with_musl_gets_the_cluster_s_domains_alone() {
    let outcome = fixed(Case::pod("alpine:3.19")).run();
    assert_eq!(outcome.pod["spec"]["dnsPolicy"], "None");
    assert_eq!(
        outcome.pod["spec"]["dnsConfig"],
        json!({
            "nameservers": ["10.96.0.10"],
            "searches": ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"],
            "options": [{ "name": "ndots", "value": "5" }]
        })
    );
    assert_eq!(outcome.annotation("muslin.dev/injected"), Some("dnsPolicy:None (was dnsPolicy:ClusterFirst) ndots:5"));
    let notes = &outcome.plan.notes;
    assert_eq!(
        *notes,
        ["profile no-node-search accepts node-searches-lost: write names below the node's search domains in full"]
    );
}

#[test]
fn one_container_with_musl_is_enough_and_a_pod_without_keeps_its_file() {
    assert!(is_fixed(&fixed(Case::pod("debian:12").and("alpine:3.19")).run()));
    for image in ["debian:12", "registry.example.com/app", "busybox:1.36"] {
        let outcome = fixed(Case::pod(image)).run();
        assert_eq!(outcome.pod["spec"].get("dnsPolicy"), None, "{image}");
        assert_eq!(outcome.plan.notes, [""; 0], "{image}");
    }
}

#[test]
fn when_broken_changes_nothing_until_a_domain_of_a_node_is_broken() {
    let case = || with(SearchList::WhenBroken, Case::pod("alpine:3.19"));
    assert!(!is_fixed(&case().run()));
    assert!(is_fixed(&broken(case(), "corp.example.com").run()));
    // The fix would keep the cluster's own domains.
    assert!(!is_fixed(&broken(case(), "svc.cluster.local").run()));
    assert!(is_fixed(&broken(case(), "mycluster.local").run()));
}

/// A replica that sees the domain healthy, or a template copied from a running pod.
#[test]
fn what_a_pod_got_is_not_undone() {
    let first = broken(with(SearchList::WhenBroken, Case::pod("alpine:3.19")), "corp.example.com").run();
    let second = with(SearchList::WhenBroken, Case::json(first.pod.clone())).run();
    assert_eq!(second.pod["spec"], first.pod["spec"]);
    let other_profile = Case { profile: Profile::nothing(), ..Case::json(first.pod.clone()) }.run();
    assert_eq!(other_profile.pod["spec"], first.pod["spec"]);
}

#[test]
fn the_author_s_settings_follow_and_stay() {
    let config = json!({
        "nameservers": ["192.0.2.1"], "searches": ["example.com"],
        "options": [{ "name": "ndots", "value": "2" }, { "name": "edns0" }]
    });
    let outcome = fixed(Case::pod("alpine:3.19").set("/spec/dnsConfig", config)).run();
    let config = &outcome.pod["spec"]["dnsConfig"];
    assert_eq!(config["nameservers"], json!(["10.96.0.10", "192.0.2.1"]));
    assert_eq!(config["searches"][3], "example.com");
    assert_eq!(outcome.options(), ["ndots:2", "edns0"]);
}

#[test]
fn a_profile_that_overrides_leaves_the_author_s_ndots() {
    let mut case = fixed(Case::pod("alpine:3.19").options(&[("ndots", Some("2"))]));
    case.profile.on_conflict = crate::policy::OnConflict::Override;
    assert_eq!(case.run().options(), ["ndots:2"]);
}

#[test]
fn dual_stack_and_several_nameservers_are_written_in_order() {
    let mut case = fixed(Case::pod("alpine:3.19"));
    case.cluster_addresses = vec!["10.96.0.10".parse().unwrap(), "fd00::a".parse().unwrap()];
    assert_eq!(case.run().pod["spec"]["dnsConfig"]["nameservers"], json!(["10.96.0.10", "fd00::a"]));
}

#[test]
fn only_a_pod_that_uses_the_cluster_s_dns_is_fixed() {
    let host = |policy: &str| {
        fixed(Case::pod("alpine:3.19").set("/spec/dnsPolicy", json!(policy)).set("/spec/hostNetwork", json!(true)))
    };
    let outcome = host("ClusterFirstWithHostNet").run();
    assert!(is_fixed(&outcome));
    let entry = "dnsPolicy:None (was dnsPolicy:ClusterFirstWithHostNet) ndots:5";
    assert_eq!(outcome.annotation("muslin.dev/injected"), Some(entry));
    // On the node's network, ClusterFirst means the node's file.
    assert!(!is_fixed(&host("ClusterFirst").run()));
    let own = Case::pod("alpine:3.19").set("/spec/dnsPolicy", json!("Default"));
    assert!(!is_fixed(&fixed(own).run()));
    let config = json!({ "nameservers": ["192.0.2.1"] });
    let none = Case::pod("alpine:3.19").set("/spec/dnsPolicy", json!("None")).set("/spec/dnsConfig", config.clone());
    assert_eq!(fixed(none).run().pod["spec"]["dnsConfig"], config);
}

#[test]
fn a_pod_without_room_or_address_keeps_its_file_and_says_so() {
    let full = json!({ "nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"] });
    let outcome = fixed(Case::pod("alpine:3.19").set("/spec/dnsConfig", full)).run();
    assert!(!is_fixed(&outcome));
    assert!(outcome.plan.notes[0].ends_with("dnsConfig has no room for another nameserver or search"));
    let mut unknown = fixed(Case::pod("alpine:3.19"));
    unknown.cluster_addresses = Vec::new();
    let outcome = unknown.run();
    assert!(!is_fixed(&outcome));
    assert!(outcome.plan.notes[0].ends_with("does not know the addresses of the cluster's DNS"));
}

/// NodeLocal DNSCache drops the node's search domains too.
#[test]
fn a_cache_on_the_node_comes_first_and_the_cluster_s_dns_takes_its_place() {
    let with_cache = |cache_fault| {
        let mut case = fixed(Case::pod("alpine:3.19"));
        case.profile.node_local = Some(NodeLocal { address: "169.254.20.10".parse().unwrap() });
        case.cache_fault = cache_fault;
        case.run().pod["spec"]["dnsConfig"]["nameservers"].clone()
    };
    assert_eq!(with_cache(None), json!(["169.254.20.10"]));
    assert_eq!(with_cache(Some(CacheFault::NotTried)), json!(["10.96.0.10"]));
}

#[test]
fn the_finding_names_the_domain_and_the_fix_ends_it() {
    let is_fixed = |case: Case| -> Vec<bool> {
        let plan = broken(case, "corp.example.com").run().plan;
        let of_rule = |planned: &&Planned| planned.finding.rule.slug == "broken-search-domain";
        plan.findings.iter().filter(of_rule).map(|planned| planned.fixed).collect()
    };
    assert_eq!(is_fixed(with(SearchList::Inherit, Case::pod("alpine:3.19"))), [false]);
    assert_eq!(is_fixed(with(SearchList::WhenBroken, Case::pod("alpine:3.19"))), [true]);
    // The author's own search name stays.
    let own = Case::pod("alpine:3.19").set("/spec/dnsConfig", json!({ "searches": ["corp.example.com"] }));
    assert_eq!(is_fixed(with(SearchList::WhenBroken, own)), [false]);
}
