//! The pods and nodes that clients are, and what their queries show of the server.

use super::*;

#[test]
fn a_server_that_searches_for_its_clients_is_reported_and_gives_no_ndots() {
    let evidence = evidence_of(&[("www.example.com.shop.svc.cluster.local", true)]);
    assert_eq!(evidence.searched_by_server.as_deref(), Some("www.example.com.shop.svc.cluster.local"));
    assert_eq!((evidence.result, evidence.safe_ndots), (None, None));
    // Names that Services have: a pod of a StatefulSet, a port.
    for name in ["web", "pod-0.web", "_http._tcp.web", "_http._tcp.pod-0.web"] {
        let evidence = evidence_of(&[(&format!("{name}.shop.svc.cluster.local"), true)]);
        assert_eq!(evidence.searched_by_server, None, "{name}");
    }
}

#[test]
fn queries_before_a_pod_s_start_are_those_of_an_earlier_one() {
    let mut analysis = analysis_of(list(&[web(&json!({"status": {"startTime": "2026-11-30T10:00:00Z"}}))]), &[]);
    for time in ["2026-11-30T09:00:00Z", "2026-11-30T10:00:01Z"] {
        let at = Some(time.parse().unwrap());
        analysis.add(&Query { at, ..query(POD, "www.example.com", Answer::Address) });
    }
    let (summary, evidence) = evidence(&mut analysis);
    assert_eq!((evidence.queries, summary.unknown_clients, summary.earlier_clients), (1, 1, 1));
}

#[test]
fn a_pod_that_is_newer_than_the_list_keeps_its_first_queries() {
    let settings = Settings { cluster_domain: "cluster.local".to_owned(), pods_change: true, ..Settings::default() };
    let mut analysis =
        Analysis::new(list(&[web(&json!({"status": {"podIP": OTHER_POD}}))]), settings, Limits::default());
    analysis.add(&query(POD, "db.data.shop.svc.cluster.local", Answer::NxDomain));
    assert!(analysis.waits_for_pods());
    analysis.set_pods(list(&[web(&json!({}))]));
    analysis.add(&query(POD, "db.data.svc.cluster.local", Answer::Address));
    let (summary, evidence) = evidence(&mut analysis);
    assert_eq!((evidence.queries, evidence.safe_ndots, summary.queries, summary.unknown_clients), (2, Some(2), 2, 0));
}

#[test]
fn a_pod_has_its_addresses_of_both_families_and_not_that_of_its_node() {
    let both = json!({"status": {"podIPs": [{"ip": POD}, {"ip": "fd00::7"}], "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}});
    let on_node = json!({
        "metadata": {"name": "agent"}, "spec": {"hostNetwork": true}, "status": {"podIP": "10.0.0.1"},
    });
    let mut analysis = analysis_of(list(&[web(&both), web(&on_node)]), &[]);
    for client in [POD, "fd00::7", "::ffff:10.1.0.1", "10.0.0.1", "fd00::1"] {
        let client = client.parse::<IpAddr>().unwrap().to_canonical();
        analysis.add(&Query { client, ..query(POD, "www.example.com", Answer::Address) });
    }
    let (summary, evidence) = evidence(&mut analysis);
    let hidden: Vec<_> = summary.hidden.iter().map(|client| (client.address.to_string(), client.is_node)).collect();
    assert_eq!(hidden, [("10.0.0.1".to_owned(), true), ("fd00::1".to_owned(), true)]);
    assert_eq!((evidence.queries, evidence.pods, summary.unknown_clients), (3, 1, 0));
}

/// Two nodes with a domain of their own each: the pods of either ask below their node's alone.
#[test]
fn learns_the_domains_of_several_nodes() {
    let other = web(&json!({"metadata": {"name": "other"}, "status": {"podIP": OTHER_POD, "hostIP": "10.0.0.2"}}));
    let mut analysis = analysis_of(list(&[web(&json!({})), other]), &[]);
    for (pod, domain) in [(POD, "corp.internal"), (OTHER_POD, "lab.internal")] {
        for name in ["a.printer", "b.printer"] {
            for below in OWN {
                analysis.add(&query(pod, &format!("{name}.{below}"), Answer::NxDomain));
            }
            analysis.add(&query(pod, &format!("{name}.{domain}"), Answer::Address));
        }
    }
    let (summary, evidence) = evidence(&mut analysis);
    assert_eq!(summary.node_domains, ["corp.internal", "lab.internal"]);
    assert_eq!(evidence.safe_ndots, Some(2));
}

#[test]
fn a_cache_on_the_node_is_reported_and_gives_no_evidence() {
    let mut analysis = analysis();
    for client in ["10.0.0.1", POD] {
        for namespace in ["a", "b", "c"] {
            analysis.add(&query(client, &format!("www.example.com.{namespace}.svc.cluster.local"), Answer::NxDomain));
        }
    }
    analysis.add(&query("10.9.9.9", "www.example.com", Answer::Address));
    let (summary, evidence) = analysis.finish(None);
    let hidden: Vec<_> = summary.hidden.iter().map(|one| (one.is_node, one.pod.as_deref(), one.queries)).collect();
    assert_eq!(hidden, [(true, None, 3), (false, Some("shop/web"), 3)]);
    assert_eq!((evidence, summary.unknown_clients, summary.unknown_queries), (vec![], 1, 1));
}

#[test]
fn a_pod_that_takes_an_address_starts_anew() {
    let mut analysis = analysis();
    analysis.add(&query(POD, "db.data.shop.svc.cluster.local", Answer::NxDomain));
    let next = json!({"metadata": {"name": "next", "namespace": "data"}, "spec": {}, "status": {"podIP": POD}});
    analysis.set_pods(Pods::from_json(&next.to_string(), "cluster.local").unwrap());
    analysis.add(&query(POD, "db.data.svc.cluster.local", Answer::Address));
    let (_, evidence) = analysis.finish(None);
    let pods: Vec<_> = evidence.iter().map(|one| (one.workload.name.as_str(), one.queries)).collect();
    assert_eq!(pods, [("next", 1), ("web", 1)]);
}

#[test]
fn learns_the_node_s_domain() {
    let mut analysis = analysis_of(pods(), &[]);
    add_other_searches(&mut analysis);
    for domain in OWN {
        analysis.add(&query(POD, &format!("a.printer.{domain}"), Answer::NxDomain));
    }
    analysis.add(&query(POD, "a.printer.corp.internal", Answer::Address));
    let (summary, evidence) = evidence(&mut analysis);
    assert_eq!(summary.node_domains, [NODE_DOMAIN]);
    assert_eq!(safe(&evidence), 2);
    assert_eq!(evidence.found_by_search[0].certainty, Certainty::Sure);
}
