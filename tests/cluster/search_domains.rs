//! The search domains of nodes: muslin's own checks, the DNSObservation, the metric, Events, and what pods get.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::cluster::profiles::{applied, apply, becomes};
use crate::cluster::replicas::wait;
use crate::common::dns_server::{DnsServer, Manners};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_broken_domain_is_seen_published_and_dropped,
    old_observations_are_deleted_and_fresh_ones_stay,
    a_scan_names_the_domains_that_muslin_saw,
    with_the_checks_off_no_query_is_sent,
    a_watcher_publishes_for_its_node_and_keeps_its_part,
    without_the_address_of_the_cluster_s_dns_the_profile_is_not_accepted
];

/// Returns the file of a pod on a node with a search domain of its own.
pub(crate) fn resolv_conf(server: Ipv4Addr) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    let searches = "muslin.svc.cluster.local svc.cluster.local cluster.local corp.example.com";
    writeln!(file, "search {searches}\nnameserver {server}\noptions ndots:5")?;
    Ok(file)
}

/// Returns the arguments of a server that is in such a pod.
pub(crate) fn on_node(node: &str, file: &NamedTempFile) -> Vec<String> {
    let file = file.path().display().to_string();
    ["--resolv-conf", &file, "--node-name", node].map(str::to_owned).to_vec()
}

fn when_broken() -> Value {
    json!({ "search": "whenBroken", "acceptRisk": ["node-searches-lost"] })
}

/// Returns the observation of a node that no pod renews.
pub(crate) fn old_observation(node: &str) -> Value {
    observed(node, "2026-01-01T00:00:00Z")
}

/// Returns an observation of one broken domain.
fn observed(node: &str, checked_at: &str) -> Value {
    let domain = json!({ "domain": "Lab.example.com", "answer": "SERVFAIL", "since": checked_at });
    json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "DNSObservation", "metadata": { "name": node },
        "spec": {
            "pod": "muslin-0", "nameservers": ["127.53.1.9"], "checkedAt": checked_at,
            "broken": ["Lab.example.com"], "domains": [domain]
        }
    })
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn observation(cluster: &Cluster, node: &str) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&["get", "dnsobservation", node, "-o", "json"], None)?;
    Ok(serde_json::from_str(&output.stdout).unwrap_or_default())
}

fn a_broken_domain_is_seen_published_and_dropped(cluster: &Cluster) -> Result<()> {
    const NODE: &str = "search-node";
    let address = Ipv4Addr::new(127, 53, 1, 1);
    let server = DnsServer::start(address, Manners::BrokenSearchDomain)?;
    let file = resolv_conf(address)?;
    let muslin = cluster.muslin_with(&on_node(NODE, &file))?;
    ensure!(server.queries() == 0, "{} queries without a profile that uses them", server.queries());
    // An earlier pod's observation of the node: a pod that is created while this one still checks would keep the broken domain.
    cluster.create(&observed(NODE, &now()))?;
    let namespace = "search-when-broken";
    let (_profile, _) = applied(cluster, namespace, &when_broken())?;
    cluster.namespace(namespace, &[("muslin.dev/profile", namespace)])?;
    let is_fixed = |pod: &Value, _: &str| pod["spec"]["dnsPolicy"] == "None";
    becomes(cluster, namespace, &pod(namespace, "early", "alpine:3.19"), is_fixed)?;
    let earlier = observation(cluster, NODE)?;
    ensure!(earlier["spec"]["broken"] == json!(["Lab.example.com"]), "published too early: {earlier:#}");

    wait("published", || Ok(observation(cluster, NODE)?["spec"]["broken"] == json!(["corp.example.com"])))?;
    let domains = observation(cluster, NODE)?["spec"]["domains"].clone();
    let answers: Vec<&str> =
        domains.as_array().context("domains")?.iter().filter_map(|domain| domain["answer"].as_str()).collect();
    ensure!(answers == ["NODATA", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"], "{domains:#}");
    let metrics = muslin.metrics()?;
    ensure!(metrics.contains("muslin_search_domains_broken 1\n"), "{metrics}");
    wait("an Event", || {
        let arguments = ["get", "events.events.k8s.io", "-n", "default", "-o", "jsonpath={.items[*].note}"];
        let notes = cluster.control_plane.kubectl(&arguments, None)?.stdout;
        Ok(notes.contains("the search domain corp.example.com answers NODATA for names that do not exist"))
    })?;

    becomes(cluster, namespace, &pod(namespace, "musl", "alpine:3.19"), |pod, _| {
        let config = &pod["spec"]["dnsConfig"];
        pod["spec"]["dnsPolicy"] == "None"
            && config["nameservers"] == json!([address])
            && config["searches"]
                == json!(["search-when-broken.svc.cluster.local", "svc.cluster.local", "cluster.local"])
            && config["options"] == json!([{ "name": "ndots", "value": "5" }])
    })?;
    becomes(cluster, namespace, &pod(namespace, "glibc", "debian:12"), |pod, _| {
        pod["spec"]["dnsPolicy"] == "ClusterFirst"
    })?;
    // For the cluster's name 2, for each of its three healthy domains 2, and for the broken one 6, in two rounds.
    ensure!(server.queries() <= 2 * 14, "{} queries", server.queries());
    forget(cluster, &[NODE])
}

fn old_observations_are_deleted_and_fresh_ones_stay(cluster: &Cluster) -> Result<()> {
    for (node, at) in
        [("gone", "2026-01-01T00:00:00Z".to_owned()), ("to-come", "2126-01-01T00:00:00Z".to_owned()), ("there", now())]
    {
        cluster.create(&observed(node, &at))?;
    }
    let _muslin = cluster.muslin()?;
    wait("deleted", || Ok(observation(cluster, "gone")?.is_null() && observation(cluster, "to-come")?.is_null()))?;
    ensure!(!observation(cluster, "there")?.is_null(), "a fresh observation is gone");
    forget(cluster, &["there"])
}

fn a_scan_names_the_domains_that_muslin_saw(cluster: &Cluster) -> Result<()> {
    cluster.namespace("search-scanned", &[])?;
    cluster.create(&pod("search-scanned", "musl", "alpine:3.19"))?;
    cluster.create(&pod("search-scanned", "glibc", "debian:12"))?;
    cluster.create(&observed("scanned-node", &now()))?;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["scan", "-n", "search-scanned", "-o", "json", "--fail-on", "never", "--kubeconfig"])
        .arg(cluster.control_plane.admin_kubeconfig())
        .output()?;
    forget(cluster, &["scanned-node"])?;
    let document: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let found = |name: &str| {
        let objects = document["objects"].as_array().into_iter().flatten();
        let findings = objects.filter(|object| object["name"] == name).flat_map(|object| object["findings"].as_array());
        let mut found = findings.flatten().filter(|finding| finding["rule"] == "broken-search-domain");
        found.next().map(|finding| finding["message"].as_str().unwrap_or_default().to_owned())
    };
    let message = found("musl").with_context(|| format!("{document:#}"))?;
    ensure!(message.contains("ends each search at lab.example.com, which answers SERVFAIL"), "{message}");
    ensure!(found("glibc").is_none(), "{document:#}");
    Ok(())
}

fn with_the_checks_off_no_query_is_sent(cluster: &Cluster) -> Result<()> {
    let address = Ipv4Addr::new(127, 53, 1, 3);
    let server = DnsServer::start(address, Manners::BrokenSearchDomain)?;
    let file = resolv_conf(address)?;
    let off = ["--search-checks", "off"].map(str::to_owned);
    let muslin = cluster.muslin_with(&[on_node("search-off", &file), off.to_vec()].concat())?;
    let (_profile, _) = applied(cluster, "search-off", &when_broken())?;
    cluster.namespace("search-off", &[("muslin.dev/profile", "search-off")])?;
    // The default profile of these tests changes every pod.
    let is_used = |pod: &Value, _: &str| pod["spec"]["dnsConfig"].is_null();
    becomes(cluster, "search-off", &pod("search-off", "musl", "alpine:3.19"), is_used)?;
    // A server that checks begins within a second after the profile is in use.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    ensure!(server.queries() == 0, "{} queries: {:?}", server.queries(), server.names());
    ensure!(observation(cluster, "search-off")?.is_null(), "an observation was written");
    let metrics = muslin.metrics()?;
    ensure!(metrics.contains("muslin_search_domains_broken 0\n"), "{metrics}");
    Ok(())
}

fn a_watcher_publishes_for_its_node_and_keeps_its_part(cluster: &Cluster) -> Result<()> {
    const WATCHED: &str = "watched-node";
    const TAKEN_OVER: &str = "taken-over-node";
    let address = Ipv4Addr::new(127, 53, 1, 4);
    let server = DnsServer::start(address, Manners::BrokenSearchDomain)?;
    let mut file = NamedTempFile::new()?;
    writeln!(file, "search svc.cluster.local cluster.local\nnameserver {address}")?;
    let (_profile, _) = applied(cluster, "search-watched", &when_broken())?;
    cluster.namespace("search-watched", &[("muslin.dev/profile", "search-watched")])?;
    let at = now();
    // The pod that wrote the domains of the first node is the watcher, that of the second is not.
    for (node, pod) in [(WATCHED, "watcher"), (TAKEN_OVER, "muslin-0")] {
        let mut object = observed(node, &at);
        object["spec"]["pod"] = json!(pod);
        object["spec"]["watch"] = json!({
            "pod": "watcher", "version": "1", "checkedAt": at, "rounds": 1,
            "nameservers": [{ "address": "10.96.0.10", "queries": 2, "lost": 0, "p50Milliseconds": 0.5 }],
        });
        let arguments = ["apply", "--server-side", "--field-manager=muslin-watch", "-f", "-"];
        let output = cluster.control_plane.kubectl(&arguments, Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    let watched = observation(cluster, WATCHED)?;
    {
        let _muslin = cluster.muslin_with(&on_node(WATCHED, &file))?;
        // Two for the cluster's name, and two for each domain.
        wait("a whole round", || Ok(server.queries() >= 6))?;
        std::thread::sleep(std::time::Duration::from_millis(1500));
        ensure!(observation(cluster, WATCHED)? == watched, "a serving pod wrote, too");
    }
    let _muslin = cluster.muslin_with(&on_node(TAKEN_OVER, &file))?;
    wait("published", || Ok(observation(cluster, TAKEN_OVER)?["spec"]["broken"] == json!([])))?;
    let taken = observation(cluster, TAKEN_OVER)?["spec"].clone();
    ensure!(
        taken["watch"] == watched["spec"]["watch"] && taken["domains"].to_string().contains("svc.cluster.local"),
        "{taken:#}"
    );
    forget(cluster, &[WATCHED, TAKEN_OVER])
}

/// Deletes observations, which would count in other tests.
fn forget(cluster: &Cluster, nodes: &[&str]) -> Result<()> {
    let arguments = [&["delete", "dnsobservation", "--ignore-not-found"], nodes].concat();
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

fn without_the_address_of_the_cluster_s_dns_the_profile_is_not_accepted(cluster: &Cluster) -> Result<()> {
    let mut file = NamedTempFile::new()?;
    writeln!(file, "search corp.example.com\nnameserver 192.0.2.53")?;
    let _muslin = cluster.muslin_with(&on_node("host-node", &file))?;
    let denied = apply(cluster, "search-unknown", &when_broken())?;
    ensure!(!denied.status.success(), "accepted: {}", denied.stdout);
    ensure!(denied.stderr.contains("start `muslin serve` with --cluster-dns ADDRESS"), "{}", denied.stderr);
    Ok(())
}
