//! The cache on the node of a profile: its risks, its trial from muslin's own pod, and what pods get while it does not answer.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::profiles::{SOON, applied, apply, becomes};
use crate::cluster::replicas::wait;
use crate::common::dns_server::{DnsServer, Manners};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_new_profile_must_accept_each_risk_of_its_cache,
    a_profile_makes_a_cache_that_answers_the_only_nameserver,
    a_cache_that_does_not_answer_is_not_set,
    a_stored_profile_without_the_acceptance_stays_in_use,
    without_an_accepted_profile_no_query_is_sent
];

/// Every risk of a cache on loopback.
const RISKS: [&str; 4] = ["node-searches-lost", "nameserver-blocked", "cache-missing", "loopback-nameserver"];

/// The name that muslin asks for.
const NAME: &str = "kubernetes.default.svc.cluster.local.";

/// The most queries of one trial.
const TRIAL_QUERIES: usize = 12;

fn accepting(address: Ipv4Addr, risks: &[&str]) -> Value {
    json!({ "nodeLocal": { "address": address }, "acceptRisk": risks })
}

/// Returns a condition of a profile's status.
fn condition(cluster: &Cluster, name: &str, type_: &str) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&["get", "resolverprofile", name, "-o", "json"], None)?;
    let profile: Value = serde_json::from_str(&output.stdout).with_context(|| output.stderr.clone())?;
    let conditions = profile["status"]["conditions"].as_array().cloned().unwrap_or_default();
    Ok(conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default())
}

/// Waits for a condition with this status and reason, and returns its message.
fn wait_for(cluster: &Cluster, name: &str, type_: &str, status: &str, reason: &str) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        let found = condition(cluster, name, type_)?;
        if found["status"] == status && found["reason"] == reason {
            return Ok(found["message"].as_str().unwrap_or_default().to_owned());
        }
        ensure!(Instant::now() < deadline, "{name}: {type_} is not {status}, {reason}: {found:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn has_cache(pod: &Value, address: Ipv4Addr) -> bool {
    pod["spec"]["dnsPolicy"] == "None" && pod["spec"]["dnsConfig"]["nameservers"] == json!([address])
}

fn a_new_profile_must_accept_each_risk_of_its_cache(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let address = Ipv4Addr::new(127, 53, 0, 1);
    let denied = apply(cluster, "risky-cache", &json!({ "nodeLocal": { "address": address } }))?;
    for risk in RISKS {
        let hint = format!("{risk}: 127.53.0.1: ");
        let name = format!("name {risk} in acceptRisk");
        ensure!(denied.stderr.contains(&hint) && denied.stderr.contains(&name), "{risk}: {}", denied.stderr);
    }
    for missing in RISKS {
        let others: Vec<&str> = RISKS.into_iter().filter(|risk| *risk != missing).collect();
        let denied = apply(cluster, "risky-cache", &accepting(address, &others))?;
        ensure!(!denied.status.success() && denied.stderr.contains(missing), "{missing}: {}", denied.stderr);
    }
    // The risk of a public address is that of a pod with the same nameserver.
    let public = accepting(Ipv4Addr::new(8, 8, 8, 8), &RISKS[..3]);
    let denied = apply(cluster, "risky-cache", &public)?;
    ensure!(denied.stderr.contains("name no-cluster-nameserver in acceptRisk"), "{}", denied.stderr);
    let (_profile, _) = applied(cluster, "risky-cache", &accepting(address, &RISKS))?;
    wait_for(cluster, "risky-cache", "RisksAccepted", "True", "RisksAccepted").map(drop)
}

fn a_profile_makes_a_cache_that_answers_the_only_nameserver(cluster: &Cluster) -> Result<()> {
    let address = Ipv4Addr::new(127, 53, 0, 2);
    let server = DnsServer::start(address, Manners::Answers)?;
    let _muslin = cluster.muslin()?;
    let (_profile, _) = applied(cluster, "on-node", &accepting(address, &RISKS))?;
    cluster.namespace("on-node", &[("muslin.dev/profile", "on-node")])?;
    becomes(cluster, "on-node", &pod("on-node", "web", "debian:12"), |pod, _| {
        let config = &pod["spec"]["dnsConfig"];
        has_cache(pod, address)
            && config["searches"] == json!(["on-node.svc.cluster.local", "svc.cluster.local", "cluster.local"])
            && config["options"] == json!([{ "name": "ndots", "value": "5" }])
    })?;
    let message = wait_for(cluster, "on-node", "NodeLocalReachable", "True", "Answers")?;
    ensure!(message == "127.53.0.2 answers muslin's pod by UDP and TCP; other nodes were not tried", "{message}");
    ensure!(server.names() == [NAME], "{:?}", server.names());
    // Two, unless the machine is so busy that one is repeated.
    ensure!(server.queries() <= TRIAL_QUERIES, "{} queries", server.queries());
    Ok(())
}

fn a_cache_that_does_not_answer_is_not_set(cluster: &Cluster) -> Result<()> {
    let address = Ipv4Addr::new(127, 53, 0, 3);
    let muslin = cluster.muslin()?;
    let mut spec = accepting(address, &RISKS);
    spec["options"] = json!({ "others": ["timeout:7"], "mixed": ["timeout:7"], "glibc": ["timeout:7"] });
    let (_profile, _) = applied(cluster, "off-node", &spec)?;
    cluster.namespace("off-node", &[("muslin.dev/profile", "off-node")])?;
    let wanted = pod("off-node", "web", "debian:12");
    // The options of the profile apply, and the annotation says why there is nothing else.
    let gets_options_alone = |why: &'static str| {
        move |pod: &Value, warnings: &str| {
            let annotation = pod["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
            let note = format!("the node-local cache is not used: 127.53.0.3 {why}");
            pod["spec"]["dnsPolicy"] == "ClusterFirst"
                && pod["spec"]["dnsConfig"] == json!({ "options": [{ "name": "timeout", "value": "7" }] })
                && annotation.contains(&note)
                && !warnings.contains(&note)
        }
    };
    becomes(cluster, "off-node", &wanted, gets_options_alone("has a closed port 53 for muslin's pod by UDP"))?;
    let message = wait_for(cluster, "off-node", "NodeLocalReachable", "False", "PortClosed")?;
    ensure!(message.ends_with("other nodes were not tried"), "{message}");
    ensure!(condition(cluster, "off-node", "Accepted")?["status"] == "True", "the profile is not in use");

    // Each change of the profile brings a trial, at most every five seconds.
    let server = DnsServer::start(address, Manners::Silent)?;
    let mut number = 0;
    for (manners, reason, why) in [
        (Manners::AnswersByUdpAlone, "NoAnswer", "does not answer muslin's pod by TCP"),
        (Manners::KnowsNoClusterNames, "NoClusterNames", "does not know the cluster's API server by UDP"),
    ] {
        server.answer(manners);
        let before = server.queries();
        number += 1;
        spec["summary"] = json!(format!("trial {number}"));
        let output = apply(cluster, "off-node", &spec)?;
        ensure!(output.status.success(), "{}", output.stderr);
        becomes(cluster, "off-node", &wanted, gets_options_alone(why))?;
        wait_for(cluster, "off-node", "NodeLocalReachable", "False", reason)?;
        ensure!(server.queries() - before <= TRIAL_QUERIES, "{} queries", server.queries() - before);
    }
    ensure!(muslin.metrics()?.contains("muslin_node_local_reachable{address=\"127.53.0.3\"} 0\n"), "the metric");

    server.answer(Manners::Answers);
    spec["summary"] = json!("in order");
    let output = apply(cluster, "off-node", &spec)?;
    ensure!(output.status.success(), "{}", output.stderr);
    becomes(cluster, "off-node", &wanted, |pod, warnings| has_cache(pod, address) && !warnings.contains("node-local"))?;
    wait_for(cluster, "off-node", "NodeLocalReachable", "True", "Answers")?;
    ensure!(muslin.metrics()?.contains("muslin_node_local_reachable{address=\"127.53.0.3\"} 1\n"), "the metric");
    Ok(())
}

/// The profile is stored without muslin, as the release before this one would have accepted it.
fn a_stored_profile_without_the_acceptance_stays_in_use(cluster: &Cluster) -> Result<()> {
    let address = Ipv4Addr::new(127, 53, 0, 4);
    let _server = DnsServer::start(address, Manners::Answers)?;
    let mut spec = json!({ "nodeLocal": { "address": address } });
    let (_profile, _) = applied(cluster, "stored-cache", &spec)?;
    let _muslin = cluster.muslin()?;
    cluster.namespace("stored-cache", &[("muslin.dev/profile", "stored-cache")])?;
    becomes(cluster, "stored-cache", &pod("stored-cache", "web", "debian:12"), |pod, _| has_cache(pod, address))?;
    let message = wait_for(cluster, "stored-cache", "RisksAccepted", "False", "RiskNotAccepted")?;
    for risk in RISKS {
        ensure!(message.contains(&format!("name {risk} in acceptRisk")), "{risk}: {message}");
    }
    ensure!(condition(cluster, "stored-cache", "Accepted")?["status"] == "True", "the profile is not in use");

    wait("the Event", || {
        let described = cluster.control_plane.kubectl(&["describe", "resolverprofile", "stored-cache"], None)?.stdout;
        let mut events = described.lines().filter(|line| line.contains("RiskNotAccepted") && line.contains("Warning"));
        Ok(events.any(|line| RISKS.iter().all(|risk| line.contains(&format!("name {risk} in acceptRisk")))))
    })?;

    // A change that adds no risk is allowed, with a warning; another address is a new risk.
    spec["summary"] = json!("kept");
    let output = apply(cluster, "stored-cache", &spec)?;
    let warns = output.stderr.contains("the next release will not use this profile")
        && RISKS.iter().all(|risk| output.stderr.contains(risk));
    ensure!(output.status.success() && warns, "{}", output.stderr);
    spec["nodeLocal"]["address"] = json!("127.53.0.5");
    let output = apply(cluster, "stored-cache", &spec)?;
    ensure!(!output.status.success() && output.stderr.contains("cache-missing"), "{}", output.stderr);

    let output = apply(cluster, "stored-cache", &accepting(address, &RISKS))?;
    ensure!(output.status.success() && !output.stderr.contains("next release"), "{}", output.stderr);
    wait_for(cluster, "stored-cache", "RisksAccepted", "True", "RisksAccepted").map(drop)
}

fn without_an_accepted_profile_no_query_is_sent(cluster: &Cluster) -> Result<()> {
    let address = Ipv4Addr::new(127, 53, 0, 6);
    let server = DnsServer::start(address, Manners::Answers)?;
    let mut spec = accepting(address, &RISKS);
    spec["options"] = json!({ "musl": ["use-vcs"] });
    let (_profile, _) = applied(cluster, "refused-cache", &spec)?;
    let muslin = cluster.muslin()?;
    wait_for(cluster, "refused-cache", "Accepted", "False", "Invalid")?;
    // muslin looks every second.
    std::thread::sleep(Duration::from_secs(3));
    ensure!(server.queries() == 0, "{} queries", server.queries());
    let metrics = muslin.metrics()?;
    ensure!(!metrics.contains("muslin_node_local_reachable{"), "{metrics}");
    Ok(())
}
