//! muslin in a whole cluster of one node: deployed from its own image, called through its Service, and seen in pods that run. One
//! node serves all tests. Needs root; see `node`.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod installation;
mod node;
mod probe;
mod proof;
mod shop;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use node::Node;

type Test = fn(&mut Option<Node>) -> Result<()>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The last test ends the node that the others use.
    arguments.test_threads = Some(1);
    let node = if arguments.list {
        None
    } else {
        match start() {
            Ok(node) => Some(node),
            Err(error) => {
                eprintln!("cannot start the node: {error:?}");
                return ExitCode::FAILURE;
            }
        }
    };
    let node = Arc::new(Mutex::new(node));
    let trial = |(name, test): (&'static str, Test)| {
        let node = Arc::clone(&node);
        Trial::test(name, move || {
            let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
            test(&mut node).map_err(|error| Failed::from(format!("{error:?}")))
        })
    };
    let tests: [(&'static str, Test); 8] = [
        ("the_api_server_reaches_muslin_through_its_service", called_through_its_service),
        ("a_running_container_has_the_options_and_resolves_a_service", shop::has_the_options),
        ("kubectl_tells_the_story_that_the_documentation_shows", shop::tells_the_story),
        ("a_pod_on_musl_finds_names_sooner_when_packets_are_lost", proof::holds),
        ("the_probe_runs_as_a_job_and_tells_a_stale_nameserver", probe::runs_as_a_job),
        ("the_probe_reads_from_the_cluster_to_whom_coredns_forwards", probe::reads_from_the_cluster),
        ("a_node_that_is_interrupted_leaves_nothing_behind", interrupted),
        ("a_node_that_is_killed_takes_its_programs_along_and_the_next_one_sweeps", killed),
    ];
    let on_request: [(&'static str, Test); 2] = [
        ("records_the_story_in_the_documentation", shop::record_the_story),
        ("records_the_proof_in_the_documentation", proof::record),
    ];
    let on_request = on_request.into_iter().map(|test| trial(test).with_ignored_flag(true));
    // Before the test that ends the node.
    let trials = on_request.chain(tests.into_iter().map(trial)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // `exit_code` ends no process, so the node is dropped.
    conclusion.exit_code()
}

fn start() -> Result<Node> {
    let node = Node::start()?;
    installation::deploy(&node)?;
    shop::deploy(&node)?;
    Ok(node)
}

/// The API server is in the network in which kube-proxy makes the addresses of Services work.
fn called_through_its_service(node: &mut Option<Node>) -> Result<()> {
    let node = node.as_ref().context("there is no node")?;
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

fn interrupted(node: &mut Option<Node>) -> Result<()> {
    let mut node = node.take().context("there is no node")?;
    let traces = node.traces();
    ensure!(traces.found()?.len() > 12, "it cannot be seen while it runs: {:?}", traces.found()?);
    // Not INT, which is ignored by whatever a shell starts in the background.
    node.end_by("TERM")?;
    let found = traces.found()?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn killed(_: &mut Option<Node>) -> Result<()> {
    let (mut node, _) = Node::begin()?;
    let traces = node.traces();
    node::eventually(std::time::Duration::from_secs(60), || {
        ensure!(traces.processes()?.iter().any(|process| process.contains("kube-apiserver")), "no API server yet");
        Ok(())
    })?;
    node.end_by("KILL")?;
    traces.wait_until_nothing_runs()?;
    ensure!(!traces.found()?.is_empty(), "who removed its folder?");
    // The next one removes that, and ends because its standard input does.
    drop(Node::begin()?);
    let found = traces.found()?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}
