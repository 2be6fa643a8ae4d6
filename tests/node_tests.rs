//! muslin in a whole cluster of one node: deployed from its own image, called through its Service, visible in running pods. One node
//! serves all tests. Needs root; see `node/node`.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod diagnosis;
    pub(crate) mod harness;
}

mod node {
    pub(crate) mod cluster_dns;
    pub(crate) mod doctor;
    pub(crate) mod evidence;
    pub(crate) mod first_steps;
    pub(crate) mod first_steps_page;
    pub(crate) mod installation;
    pub(crate) mod page;
    pub(crate) mod pod_probe;
    pub(crate) mod probe;
    pub(crate) mod proof;
    pub(crate) mod real_node;
    pub(crate) mod reports;
    pub(crate) mod search_list;
    pub(crate) mod shop;
    pub(crate) mod watch;
    pub(crate) mod watched_network;
}

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use common::harness::{self, Suite, tests};
use libtest_mimic::Arguments;
use node::real_node::{Node, eventually};
use node::{doctor, evidence, first_steps, installation, pod_probe, probe, proof, reports, search_list, shop, watch};

type Test = fn(&mut Node) -> Result<()>;
type Topic = harness::Topic<Test>;

const SUITE: Suite<Test> = Suite {
    topics: &[SERVICE, shop::TESTS, proof::TESTS, search_list::TESTS, probe::TESTS, pod_probe::TESTS, LAST],
    on_request: &[
        doctor::ON_REQUEST,
        shop::ON_REQUEST,
        proof::ON_REQUEST,
        search_list::ON_REQUEST,
        evidence::ON_REQUEST,
        first_steps::ON_REQUEST,
        reports::ON_REQUEST,
        watch::ON_REQUEST,
    ],
};

const SERVICE: Topic =
    tests![the_api_server_reaches_muslin_through_its_service, the_kubelet_starts_no_container_of_a_forged_mirror_pod];

/// These end the node that the others use.
const LAST: Topic =
    tests![an_interrupted_node_leaves_nothing_behind, a_killed_nodes_programs_end_and_the_next_node_cleans_up,];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The last tests end the node that the others use.
    arguments.test_threads = Some(1);
    SUITE.run(
        &arguments,
        || start().map(Mutex::new),
        |node, test| test(&mut node.lock().unwrap_or_else(PoisonError::into_inner)),
    )
}

fn start() -> Result<Node> {
    let node = Node::start()?;
    // muslin's pods check the search domain of the node's site, which search_list.rs breaks.
    let searched = search_list::NodeFile::with_the_site(&node)?;
    installation::deploy(&node)?;
    drop(searched);
    shop::deploy(&node)?;
    Ok(node)
}

/// The API server runs in the network in which kube-proxy provides the addresses of Services.
fn the_api_server_reaches_muslin_through_its_service(node: &mut Node) -> Result<()> {
    let (service, _) = node.kubectl(&[
        "get",
        "mutatingwebhookconfiguration",
        "muslin.dev",
        "-o",
        "jsonpath={.webhooks[*].clientConfig.service.name}{.webhooks[*].clientConfig.url}",
    ])?;
    ensure!(service == "muslin", "the webhook is at {service}");
    let (metrics, _) = node.kubectl(&["get", "--raw", "/metrics"])?;
    let answered = metrics.lines().any(|line| {
        line.starts_with("apiserver_admission_webhook_request_total{")
            && line.contains(r#"code="200""#)
            && line.contains(r#"name="pods.muslin.dev""#)
    });
    ensure!(answered, "no review was answered");
    Ok(())
}

/// `docs/policy.md` relies on this, because muslin skips mirror pods.
fn the_kubelet_starts_no_container_of_a_forged_mirror_pod(node: &mut Node) -> Result<()> {
    let (name, _) = node.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])?;
    node.kubectl(&["create", "namespace", "forged"])?;
    node.kubectl(&["label", "namespace", "forged", "muslin.dev/mode=enforce"])?;
    let file = node.folder().join("forged.yaml");
    let pod = format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: forged, annotations: {{kubernetes.io/config.mirror: forged}}}}
spec: {{nodeName: {name}, containers: [{{name: app, image: 'debian:12'}}]}}
"
    );
    std::fs::write(&file, pod)?;
    node.kubectl(&["create", "-f", &file.display().to_string()])?;
    // The kubelet deletes it as an orphan.
    eventually(std::time::Duration::from_secs(60), || {
        let (pods, _) = node.kubectl(&["get", "pods", "-n", "forged", "-o", "name"])?;
        ensure!(pods.is_empty(), "still there: {pods}");
        Ok(())
    })?;
    let (events, _) = node.kubectl(&["get", "events", "-n", "forged", "-o", "jsonpath={.items[*].reason}"])?;
    ensure!(events.is_empty(), "the kubelet did something with it: {events}");
    Ok(())
}

fn an_interrupted_node_leaves_nothing_behind(node: &mut Node) -> Result<()> {
    let traces = node.traces();
    ensure!(traces.found()?.len() > 12, "too few traces while it runs: {:?}", traces.found()?);
    // Not INT, which background processes of a shell ignore.
    node.end_by("TERM")?;
    let found = traces.found()?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn a_killed_nodes_programs_end_and_the_next_node_cleans_up(_: &mut Node) -> Result<()> {
    let (mut node, _) = Node::begin()?;
    let traces = node.traces();
    eventually(std::time::Duration::from_secs(60), || {
        ensure!(traces.processes()?.iter().any(|process| process.contains("kube-apiserver")), "no API server yet");
        Ok(())
    })?;
    node.end_by("KILL")?;
    traces.wait_until_nothing_runs()?;
    ensure!(!traces.found()?.is_empty(), "the folder is already gone");
    // The next node removes the rest, and ends with its standard input.
    drop(Node::begin()?);
    let found = traces.found()?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}
