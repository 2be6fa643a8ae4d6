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
    let (_profile, _) = applied(cluster, "search-when-broken", &when_broken())?;
    cluster.namespace("search-when-broken", &[("muslin.dev/profile", "search-when-broken")])?;

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

    let namespace = "search-when-broken";
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
    // 2 for the cluster's name and 24 for the domains, in two rounds.
    ensure!(server.queries() <= 2 * 26, "{} queries", server.queries());
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
