//! A nameserver does not know the cluster's zone.
//!
//! ## Symptoms
//! External names resolve, and no Service does: "no such name" for `my-service` and for its full name. Pods with `hostNetwork: true` and
//! without `dnsPolicy: ClusterFirstWithHostNet`, with `dnsPolicy: Default`, or with `None` and other nameservers have such a file. So
//! have all pods if the kubelet's `--cluster-dns` is stale, or if its cluster domain is not CoreDNS's.
//!
//! ## Detection
//! No name of the cluster has an address, not even `kubernetes.default.svc` and the domain, which every cluster has: each gets NXDOMAIN,
//! REFUSED or another error. The domain itself is queried too: if it exists, the verdict is only likely. External names resolve, or were
//! not asked for; else see `nothing-resolves`.
//!
//! ## What to do
//! Give the pod `dnsPolicy: ClusterFirst` (with `hostNetwork: true`: `ClusterFirstWithHostNet`), or the address of the cluster's DNS
//! service in `dnsConfig.nameservers`. If every pod has the wrong address, correct the kubelet's `clusterDNS` and `clusterDomain`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::nothing_resolves::{code_names, level, of_other_servers};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{AskedQuery, Code, Observations, Purpose, Targets, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "no-cluster-zone", source: include_str!("no_cluster_zone.rs"), check };

/// The number of answers that must agree.
const ANSWERS_MIN: usize = 3;

/// The failed lookups of a zone that is not known.
const CAUSES: &[Cause] =
    &[Cause::Denied, Cause::Error, Cause::Sometimes, Cause::Search, Cause::Resolver, Cause::GivenUp];

fn check(seen: &Observations) -> Option<Verdict> {
    let servers: Vec<SocketAddr> = seen.answering_servers().filter(|server| lacks_zone(seen, *server)).collect();
    let first = *servers.first()?;
    let domain = &seen.targets.cluster_domain;
    let codes: BTreeSet<Code> =
        servers.iter().flat_map(|server| zone_answers(seen, *server)).filter_map(AskedQuery::code).collect();
    let denied = codes.iter().all(|code| matches!(code, Code::NxDomain));
    let does_not_know = codes.iter().all(|code| matches!(code, Code::NxDomain | Code::Refused));
    // A server that is asked for a zone of its own answers for the zone's name.
    let knows_domain =
        servers.iter().any(|server| apex(seen, *server).any(|asked| asked.code() == Some(Code::NoError)));
    let confidence = if knows_domain || !does_not_know { Confidence::Likely } else { Confidence::Certain };
    let addresses = list(servers.iter().map(SocketAddr::ip));
    let what = if !does_not_know {
        format!("{addresses} fails for every name of {domain} ({})", code_names(&codes))
    } else if knows_domain {
        format!("{addresses} has no name below {domain} ({})", code_names(&codes))
    } else {
        format!("{addresses} does not know the cluster's zone {domain} ({})", code_names(&codes))
    };
    let verdict = Verdict::new(&DIAGNOSIS, level(seen, &servers, denied), confidence, what);
    let verdict = servers.iter().fold(verdict, |verdict, server| verdict.evidence(evidence(seen, *server)));
    let others = of_other_servers(seen, &servers);
    let verdict = match &others {
        Some(text) => verdict.evidence(text.clone()),
        None => verdict,
    };
    let in_cluster: Vec<String> =
        seen.targets.requested().filter(|name| seen.targets.is_in_cluster(name)).map(str::to_owned).collect();
    let verdict = verdict.explains(in_cluster, CAUSES).evidence_if(other_zone(seen, first));
    let verdict = if denied || !seen.environment.resolv_conf.search.iter().any(|search| is_of_zone(seen, search)) {
        verdict
    } else {
        verdict
            .evidence("the cluster's domains are in the search list: musl ends its search at their errors, so short external names fail too")
            .explains_all(&[Cause::Search, Cause::GivenUp])
    };
    let verdict = help(seen, verdict, first, does_not_know);
    Some(verdict.profile_effects(ProfileEffects::none("no option makes a nameserver know a zone")))
}

fn help(seen: &Observations, verdict: Verdict, server: SocketAddr, does_not_know: bool) -> Verdict {
    let domain = &seen.targets.cluster_domain;
    let searches_cluster = seen.environment.resolv_conf.search.iter().any(|search| is_of_zone(seen, search));
    let verdict = if !does_not_know {
        verdict.help(
            "read CoreDNS's log (`kubectl -n kube-system logs -l k8s-app=kube-dns`): its `kubernetes` plugin may not reach the API server",
        )
    } else if searches_cluster {
        verdict.help(format!(
            "the search list is the cluster's, and the address is not, or the domain is another: compare {} with `kubectl -n kube-system \
             get service kube-dns`, and {domain} with the `kubernetes` line of CoreDNS's Corefile, then correct the kubelet's clusterDNS or \
             clusterDomain, or the pod's dnsConfig",
            server.ip()
        ))
    } else {
        verdict.help(
            "this resolv.conf is not the cluster's: a pod with hostNetwork needs `dnsPolicy: ClusterFirstWithHostNet`, one with `Default` or \
             `None` needs `ClusterFirst`, or the cluster's nameserver and search list in dnsConfig",
        )
    };
    verdict.help("if the pod needs no name of the cluster, or this is a node, probe with --outside-only")
}

/// Returns whether a domain is the cluster's, or below it.
fn is_of_zone(seen: &Observations, domain: &str) -> bool {
    domain.trim_end_matches('.').eq_ignore_ascii_case(&seen.targets.cluster_domain)
        || seen.targets.is_in_cluster(domain)
}

/// Returns the answers for names that the cluster has, below its domain.
fn zone_answers(seen: &Observations, server: SocketAddr) -> impl Iterator<Item = &AskedQuery> {
    let purposes = [Purpose::Name, Purpose::Zone].into_iter().flat_map(|purpose| seen.asked_for(purpose));
    purposes.filter(move |asked| {
        asked.server == server && asked.is_answered() && seen.targets.is_in_cluster(&asked.name) && asked.edns.is_none()
    })
}

/// Returns the queries for the domain itself.
fn apex(seen: &Observations, server: SocketAddr) -> impl Iterator<Item = &AskedQuery> {
    let domain = &seen.targets.cluster_domain;
    seen.asked_for(Purpose::Zone).filter(move |asked| asked.server == server && asked.name.eq_ignore_ascii_case(domain))
}

/// Returns whether a server has no name of the cluster, though every cluster has one.
fn lacks_zone(seen: &Observations, server: SocketAddr) -> bool {
    let answers: Vec<&AskedQuery> = zone_answers(seen, server).collect();
    let api_server = Targets::api_server_name(&seen.targets.cluster_domain);
    let of_api_server = answers.iter().filter(|asked| asked.name.eq_ignore_ascii_case(&api_server));
    let outside = |asked: &AskedQuery| asked.server == server && !asked.addresses().is_empty();
    let external = seen.targets.external_names.is_empty() || seen.asked_for(Purpose::External).any(outside);
    let other_records = seen
        .single_queries()
        .any(|asked| asked.server == server && asked.answer().is_some_and(|answer| answer.records > 0));
    answers.len() >= ANSWERS_MIN
        && of_api_server.count() > 0
        && answers.iter().all(|asked| asked.code() != Some(Code::NoError))
        // A server without any record is that of `nothing-resolves`.
        && (external || other_records)
}

fn evidence(seen: &Observations, server: SocketAddr) -> String {
    let answers = zone_answers(seen, server).count();
    let outside = seen
        .targets
        .external_names
        .iter()
        .find(|name| seen.queries_for(server, name, Via::Udp).any(|asked| !asked.addresses().is_empty()));
    let apex = apex(seen, server)
        .find(|asked| asked.is_answered())
        .map(|asked| format!(", {} itself gets {}", seen.targets.cluster_domain, asked.outcome_text()));
    let outside = outside.map(|name| format!(", {name} has an address"));
    format!(
        "{}: none of {answers} answers for names of the cluster has an address, {} included{}{}",
        server.ip(),
        Targets::api_server_name(&seen.targets.cluster_domain),
        apex.unwrap_or_default(),
        outside.unwrap_or_default()
    )
}

/// Returns that the nameserver knows the usual cluster's domain, if it does.
fn other_zone(seen: &Observations, server: SocketAddr) -> Option<String> {
    let mut others = seen.asked_for(Purpose::Zone).filter(|asked| {
        asked.server == server && !asked.addresses().is_empty() && !seen.targets.is_in_cluster(&asked.name)
    });
    others.next().map(|asked| format!("{} has an address: the cluster's domain is another one", asked.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Level;
    use crate::verdicts::observations::QueryType;
    use crate::verdicts::targets::is_below;
    use crate::verdicts::tests::{Seen, answer, code, fires, silent, silent_of};

    const ZONE: &str = "no-cluster-zone";

    fn cluster(fails: Code, apex: Code) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.name == "cluster.local" {
                asked.outcome = code(apex);
            } else if is_below(&asked.name, "cluster.local") {
                asked.outcome = code(fails);
            }
        })
    }

    #[test]
    fn fires_if_no_name_of_the_cluster_is_known() {
        let verdict = fires(ZONE, &cluster(Code::NxDomain, Code::NxDomain));
        assert_eq!(verdict.what, "10.0.0.10 does not know the cluster's zone cluster.local (NXDOMAIN)");
        assert_eq!((verdict.level, verdict.confidence), (Level::Deny, Confidence::Certain));
        assert_eq!(verdict.failing_names, ["kubernetes.default.svc.cluster.local"]);
        assert!(verdict.evidence[0].ends_with("example.com has an address"), "{:?}", verdict.evidence);
    }

    #[test]
    fn hedges_if_the_domain_exists_or_the_server_fails() {
        let verdict = fires(ZONE, &cluster(Code::NxDomain, Code::NoError));
        assert_eq!(verdict.what, "10.0.0.10 has no name below cluster.local (NXDOMAIN)");
        assert_eq!(verdict.confidence, Confidence::Likely);
        let verdict = fires(ZONE, &cluster(Code::ServFail, Code::ServFail));
        assert_eq!(verdict.what, "10.0.0.10 fails for every name of cluster.local (SERVFAIL)");
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(verdict.help[0].contains("CoreDNS's log"), "{:?}", verdict.help);
    }

    #[test]
    fn helps_by_the_search_list() {
        assert!(fires(ZONE, &cluster(Code::NxDomain, Code::NxDomain)).help[0].contains("clusterDNS"));
        let mut seen = cluster(Code::NxDomain, Code::NxDomain);
        seen.environment.resolv_conf.search = vec!["corp.example.net".to_owned()];
        assert!(fires(ZONE, &seen).help[0].contains("ClusterFirstWithHostNet"));
    }

    #[test]
    fn says_which_domain_the_nameserver_knows() {
        let mut seen = cluster(Code::NxDomain, Code::NxDomain);
        seen.targets.cluster_domain = "corp.local".to_owned();
        seen.targets.names = vec!["kubernetes.default.svc.corp.local".to_owned()];
        for asked in &mut seen.asked {
            asked.name = asked.name.replace("cluster.local", "corp.local");
        }
        let mut known = seen.asked.iter().find(|asked| asked.purpose == Purpose::Zone).cloned().unwrap();
        known.name = "kubernetes.default.svc.cluster.local".to_owned();
        known.outcome = answer(&["10.96.0.1"], 30);
        seen.asked.push(known);
        let evidence = fires(ZONE, &seen).evidence.join("\n");
        assert!(evidence.contains("kubernetes.default.svc.cluster.local has an address"), "{evidence}");
    }

    #[test]
    fn silent_if_one_service_alone_is_missing() {
        let mut seen = Seen::healthy();
        seen.targets.names = vec!["web.shop.svc.cluster.local".to_owned()];
        let missing: Vec<AskedQuery> = seen
            .asked
            .iter()
            .filter(|asked| asked.purpose == Purpose::Name && asked.kind == QueryType::A)
            .map(|asked| AskedQuery {
                name: "web.shop.svc.cluster.local".to_owned(),
                outcome: code(Code::NxDomain),
                ..asked.clone()
            })
            .collect();
        seen.asked.extend(missing);
        silent_of(ZONE, &seen);
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(ZONE);
    }
}
