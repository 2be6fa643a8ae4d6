//! `muslin queries` with the pods of the real API server, and the profiles that it prints, applied: each workload of a namespace gets an
//! `ndots` of its own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::profiles::{SOON, becomes};
use crate::cluster::replicas::wait;
use crate::common::control_plane::KubectlOutput;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    clients_are_the_pods_of_the_cluster,
    a_pod_that_starts_while_the_log_is_read_keeps_its_first_queries,
    each_workload_of_a_namespace_gets_its_own_ndots,
    a_low_ndots_needs_evidence,
    a_stored_profile_without_evidence_stays_in_use
];

const EVIDENCE: &str = "muslin.dev/ndots-evidence";

/// The options of the profile that namespaces without a label have in these tests.
const OPTIONS: [&str; 2] = ["timeout:3", "attempts:6"];

/// Creates a pod of a Deployment with these addresses, which a kubelet would have written.
fn create(cluster: &Cluster, namespace: &str, app: &str, image: &str, addresses: &[&str]) -> Result<()> {
    let name = format!("{app}-5d-1");
    let mut object = pod(namespace, &name, image);
    object["metadata"]["labels"] = json!({ "app": app, "pod-template-hash": "5d", "muslin.dev/libc": "musl" });
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-5d"), "controller": true,
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002"
    }]);
    cluster.create(&object)?;
    let ips: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
    let status = json!({ "status": {
        "phase": "Running", "startTime": "2026-11-30T09:59:00Z", "hostIP": "192.0.2.1", "hostIPs": [{ "ip": "192.0.2.1" }],
        "podIP": addresses.first(), "podIPs": ips,
    }})
    .to_string();
    let arguments = ["patch", "pod", &name, "-n", namespace, "--subresource=status", "--type=merge", "-p", &status];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Adds a lookup with `ndots:5` that ends with the candidate of this index; the one after the last is the name as it is.
fn look_up(log: &mut String, client: &str, namespace: &str, name: &str, found: usize) {
    let domains =
        [format!("{namespace}.svc.cluster.local"), "svc.cluster.local".to_owned(), "cluster.local".to_owned()];
    let candidates = domains.iter().map(|domain| format!("{name}.{domain}")).chain([name.to_owned()]);
    for (index, candidate) in candidates.take(found + 1).enumerate() {
        let code = if index == found { "NOERROR" } else { "NXDOMAIN" };
        let second = log.len() % 60;
        let _ = writeln!(
            log,
            "[pod/coredns-1/coredns] 2026-11-30T10:00:{second:02}.5Z [INFO] {client}:4000 - 7 \"A IN {candidate}. udp 50 false 512\" {code} qr,aa,rd 143 0.0001s"
        );
    }
}

fn queries(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.arg("queries").arg("--kubeconfig").arg(cluster.control_plane.admin_kubeconfig()).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn read(cluster: &Cluster, log: &str, arguments: &[&str]) -> Result<Output> {
    let mut child = queries(cluster, arguments).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(log.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

/// Returns each workload with its resolvers, its pods, its queries and its `ndots`.
fn rows(output: &Output) -> Result<Vec<String>> {
    let json: Value = serde_json::from_slice(&output.stdout)?;
    let row = |one: &Value| {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let (kind, name) = (one["kind"].as_str().unwrap_or_default(), one["name"].as_str().unwrap_or_default());
        let (pods, queries, ndots) = (number(&one["pods"]), number(&one["queries"]), number(&one["result"]["ndots"]));
        format!("{kind}/{name} {} {pods} {queries} {ndots}", one["uses"])
    };
    Ok(json["workloads"].as_array().into_iter().flatten().map(row).collect())
}

fn clients_are_the_pods_of_the_cluster(cluster: &Cluster) -> Result<()> {
    cluster.namespace("asking", &[])?;
    create(cluster, "asking", "web", "alpine:3.20", &["10.9.0.1", "fd00:9::1"])?;
    create(cluster, "asking", "api", "debian:12", &["10.9.0.2"])?;
    let mut log = String::new();
    look_up(&mut log, "10.9.0.1", "asking", "db.data", 1);
    look_up(&mut log, "[fd00:9::1]", "asking", "www.example.com", 3);
    look_up(&mut log, "10.9.0.2", "asking", "pod-0.db.data.svc", 2);
    look_up(&mut log, "192.0.2.1", "asking", "www.example.com", 3);
    let output = read(cluster, &log, &["-n", "asking", "-o", "json"])?;
    let expected = [r#"Deployment/api ["glibc"] 1 3 1"#, r#"Deployment/web ["musl"] 1 6 2"#];
    ensure!(rows(&output)? == expected, "{:#?}", rows(&output)?);
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(notes.contains("192.0.2.1 is a node and asked 4 queries"), "{notes}");
    Ok(())
}

fn a_pod_that_starts_while_the_log_is_read_keeps_its_first_queries(cluster: &Cluster) -> Result<()> {
    cluster.namespace("starting", &[])?;
    create(cluster, "starting", "first", "alpine:3.20", &["10.9.1.1"])?;
    let mut log = String::new();
    look_up(&mut log, "10.9.1.2", "starting", "db.data", 1);
    let mut child = queries(cluster, &["-n", "starting", "-o", "json"]).spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    // More than a pipe holds, so that the list of pods was read when all of it is written.
    while log.len() < 1 << 20 {
        look_up(&mut log, "10.9.1.1", "starting", "www.example.com", 3);
    }
    input.write_all(log.as_bytes())?;
    create(cluster, "starting", "second", "alpine:3.20", &["10.9.1.2"])?;
    drop(input);
    let output = child.wait_with_output()?;
    let rows = rows(&output)?;
    ensure!(rows.contains(&r#"Deployment/second ["musl"] 1 2 2"#.to_owned()), "{rows:#?}");
    Ok(())
}

fn apply(cluster: &Cluster, text: &str) -> Result<KubectlOutput> {
    cluster.control_plane.kubectl(&["apply", "-f", "-"], Some(text))
}

fn delete(cluster: &Cluster, names: &[&str]) -> Result<()> {
    cluster.control_plane.kubectl(&[&["delete", "resolverprofile", "--ignore-not-found"][..], names].concat(), None)?;
    Ok(())
}

fn options(pod: &Value) -> Vec<String> {
    let text = |option: &Value| match option["value"].as_str() {
        Some(value) => format!("{}:{value}", option["name"].as_str().unwrap_or_default()),
        None => option["name"].as_str().unwrap_or_default().to_owned(),
    };
    pod["spec"]["dnsConfig"]["options"].as_array().into_iter().flatten().map(text).collect()
}

fn each_workload_of_a_namespace_gets_its_own_ndots(cluster: &Cluster) -> Result<()> {
    cluster.namespace("evident", &[])?;
    create(cluster, "evident", "web", "alpine:3.20", &["10.9.2.1"])?;
    create(cluster, "evident", "api", "alpine:3.20", &["10.9.2.2"])?;
    create(cluster, "evident", "debian", "debian:12", &["10.9.2.3"])?;
    let mut log = String::new();
    look_up(&mut log, "10.9.2.1", "evident", "www.example.com", 3);
    look_up(&mut log, "10.9.2.1", "evident", "db.data", 1);
    look_up(&mut log, "10.9.2.2", "evident", "pod-0.db.data.svc", 2);
    look_up(&mut log, "10.9.2.3", "evident", "db.data", 1);
    let printed = read(cluster, &log, &["-n", "evident", "-o", "profile"])?;
    let printed = String::from_utf8(printed.stdout)?;

    let _muslin = cluster.muslin()?;
    // The preview is of the pods that the profile selects.
    let deadline = Instant::now() + SOON;
    let preview = loop {
        let output = apply(cluster, &printed)?;
        ensure!(output.status.success(), "{}\n{printed}", output.stderr);
        let says = "1 of 3 pods would get timeout:3 attempts:6 ndots:2, for example web-5d-1";
        if output.stderr.contains(says) || Instant::now() > deadline {
            break output.stderr;
        }
        delete(cluster, &["evident.deployment.web", "evident.deployment.api", "evident.deployment.debian"])?;
    };
    ensure!(preview.contains("ndots:2, for example web-5d-1"), "{preview}");

    let of = |app: &str, image: &str| {
        let mut wanted = pod("evident", app, image);
        wanted["metadata"]["labels"] = json!({ "app": app });
        wanted
    };
    let has = |more: &'static [&'static str]| move |pod: &Value, _: &str| options(pod) == [&OPTIONS[..], more].concat();
    becomes(cluster, "evident", &of("web", "alpine:3.20"), has(&["ndots:2"]))?;
    becomes(cluster, "evident", &of("api", "alpine:3.20"), has(&["ndots:4"]))?;
    becomes(cluster, "evident", &of("debian", "debian:12"), has(&["ndots:1"]))?;
    // The same program on musl, later: the row for musl has the number that is safe for it.
    becomes(cluster, "evident", &of("debian", "alpine:3.20"), has(&["ndots:2"]))?;
    becomes(cluster, "evident", &of("other", "alpine:3.20"), has(&[]))?;
    // The pod's own ndots stays, and pods elsewhere have the profile of their namespace alone.
    let mut own = of("web", "alpine:3.20");
    own["spec"]["dnsConfig"] = json!({ "options": [{ "name": "ndots", "value": "3" }] });
    becomes(cluster, "evident", &own, |pod, _| options(pod) == ["ndots:3", "timeout:3", "attempts:6"])?;
    cluster.namespace("evident-not", &[])?;
    becomes(cluster, "evident-not", &of("web", "alpine:3.20"), has(&[]))?;

    // The namespace's own profile goes on to count.
    let spec = json!({ "options": { "mixed": ["timeout:7"] } });
    let own = json!({ "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "own" }, "spec": spec });
    ensure!(apply(cluster, &own.to_string())?.status.success(), "own");
    cluster.control_plane.kubectl(&["label", "namespace", "evident", "muslin.dev/profile=own"], None)?;
    becomes(cluster, "evident", &of("web", "alpine:3.20"), |pod, _| {
        let told = pod["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
        options(pod) == ["timeout:7", "ndots:2"]
            && told.contains("profile own with evident.deployment.web accepts ndots-breaks-musl")
    })?;
    wait("the number of namespaces", || {
        let arguments = ["get", "resolverprofile", "evident.deployment.web", "-o", "jsonpath={.status.namespaces}"];
        Ok(cluster.control_plane.kubectl(&arguments, None)?.stdout == "1")
    })?;
    delete(cluster, &["evident.deployment.web", "evident.deployment.api", "evident.deployment.debian", "own"])
}

/// Returns a profile with an `ndots` of musl, and the evidence for 2, changed.
fn low(name: &str, ndots: u32, change: &Value) -> Value {
    let mut evidence = json!({
        "workloads": ["shop/Deployment/web"], "ndots": 2, "queries": 9, "pods": 1,
        "from": "2026-11-30T10:00:00Z", "to": "2026-11-30T10:00:09Z",
    });
    json_patch::merge(&mut evidence, change);
    let evidence =
        if change.is_string() { change.as_str().unwrap_or_default().to_owned() } else { evidence.to_string() };
    json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile",
        "metadata": { "name": name, "annotations": { EVIDENCE: evidence } },
        "spec": { "options": { "musl": [format!("ndots:{ndots}")] }, "acceptRisk": ["ndots-breaks-musl"] },
    })
}

fn a_low_ndots_needs_evidence(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let without = |mut profile: Value| {
        profile["metadata"]["annotations"] = json!({});
        profile
    };
    for (profile, why) in [
        (without(low("low", 2, &json!({}))), "attach the evidence that `muslin queries -o profile` prints"),
        (without(low("low", 4, &json!({}))), "with ndots:4 musl can lose names: attach the evidence"),
        (low("low", 2, &json!("{}")), "muslin.dev/ndots-evidence: cannot be read: missing field"),
        (low("low", 2, &json!("yes")), "muslin.dev/ndots-evidence: cannot be read"),
        (low("low", 2, &json!({ "to": "2999-01-01T00:00:00Z" })), "in the future"),
        (low("low", 2, &json!({ "queries": 0 })), "0 queries of 1 pods: each pod asked at least once"),
        (low("low", 1, &json!({})), "the log shows names that need ndots:2, and the profile sets ndots:1"),
    ] {
        let output = apply(cluster, &profile.to_string())?;
        ensure!(!output.status.success() && output.stderr.contains(why), "{why}: {}{}", output.stdout, output.stderr);
    }
    let mut others = low("low", 2, &json!({}));
    others["spec"]["namespaces"] = json!(["elsewhere"]);
    let output = apply(cluster, &others.to_string())?;
    ensure!(output.stderr.contains("no workload is in the namespace elsewhere"), "{}", output.stderr);
    let output = apply(cluster, &low("low", 2, &json!({})).to_string())?;
    ensure!(output.status.success(), "{}", output.stderr);
    delete(cluster, &["low"])
}

/// Stored without muslin, as an earlier release would have accepted the first.
fn a_stored_profile_without_evidence_stays_in_use(cluster: &Cluster) -> Result<()> {
    let mut without = low("stored-low", 2, &json!({}));
    without["metadata"]["annotations"] = json!({});
    for profile in [&without, &low("stored-false", 2, &json!({ "to": "2999-01-01T00:00:00Z" }))] {
        let output = apply(cluster, &profile.to_string())?;
        ensure!(output.status.success(), "{}", output.stderr);
    }
    let _muslin = cluster.muslin()?;
    let conditions = |name: &str| -> Result<Vec<String>> {
        let output = cluster.control_plane.kubectl(&["get", "resolverprofile", name, "-o", "json"], None)?;
        let profile: Value = serde_json::from_str(&output.stdout)?;
        let text = |condition: &Value| {
            format!("{} {} {}", condition["type"], condition["status"], condition["message"]).replace('"', "")
        };
        Ok(profile["status"]["conditions"].as_array().into_iter().flatten().map(text).collect())
    };
    wait("the conditions", || {
        let (low, wrong) = (conditions("stored-low")?, conditions("stored-false")?);
        let says = |conditions: &[String], start: &str, says: &str| {
            conditions.iter().any(|condition| condition.starts_with(start) && condition.contains(says))
        };
        Ok(says(&low, "Accepted True", "")
            && says(&low, "RisksAccepted False", "attach the evidence")
            && says(&wrong, "Accepted False", "in the future"))
    })?;
    // A change that adds no risk is allowed, with a warning.
    without["spec"]["summary"] = json!("kept");
    let output = apply(cluster, &without.to_string())?;
    let warns = output.stderr.contains("the next release will not use this profile");
    ensure!(output.status.success() && warns && output.stderr.contains("attach the evidence"), "{}", output.stderr);
    delete(cluster, &["stored-low", "stored-false"])
}
