//! Reviews of namespaces that do not exist, which any client on the network can send. Each must not become a request to the API server,
//! nor a line in the log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::attacks::peers::{Ports, post};
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![invented_namespaces];

/// The number of connections.
const CONNECTIONS: u8 = 16;

/// The longest time of one flood: muslin may let a review of an unknown namespace wait.
const FLOOD_MAX: Duration = Duration::from_secs(2);

/// The most requests to the API server and the most lines in the log: at once, and for each further second.
const REQUESTS_MAX: (usize, usize) = (60, 40);
const LINES_MAX: (u64, u64) = (60, 40);

fn invented_namespaces(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    let counter = AtomicUsize::new(0);
    let next = || counter.fetch_add(1, Ordering::Relaxed);
    type Name<'n> = (&'static str, &'static str, Box<dyn Fn() -> String + 'n>);
    let names: Vec<Name<'_>> = vec![
        ("invented namespaces", "/mutate", Box::new(|| format!("invented-{}", next()))),
        ("invented namespaces in the enforce hook", "/enforce", Box::new(|| format!("invented-{}", next()))),
        ("invented namespaces of templates", "/workloads", Box::new(|| format!("invented-{}", next()))),
        ("one namespace that does not exist", "/mutate", Box::new(|| "nowhere".to_owned())),
        ("names that no namespace can have", "/mutate", Box::new(|| format!("../secrets/{}\n\u{1b}[2J", next()))),
        ("names of 10,000 bytes", "/mutate", Box::new(|| "n".repeat(10_000) + &next().to_string())),
    ];
    for (attack, path, name) in names {
        let (requests, started) = (lookups(world)?, Instant::now());
        let (mut lines, mut sent) = (0, 0);
        victim.attack(attack, |muslin| {
            let before = muslin.process().log_lines();
            sent += world.runtime.block_on(flood(&Ports::of(muslin)?, path, &name, world.attack_for))?;
            lines += muslin.process().log_lines() - before;
            Ok(())
        })?;
        let seconds = started.elapsed().as_secs();
        let requests = lookups(world)?.checked_sub(requests).context("the audit log was rotated")?;
        victim.note((|| {
            let allowed = REQUESTS_MAX.0 + REQUESTS_MAX.1 * usize::try_from(seconds)?;
            ensure!(requests <= allowed, "{sent} reviews made {requests} requests to the API server in {seconds} s");
            let allowed = LINES_MAX.0 + LINES_MAX.1 * seconds;
            ensure!(lines <= allowed, "{sent} reviews made {lines} lines in the log in {seconds} s");
            Ok(())
        })());
    }
    victim.finish()
}

/// Sends reviews on several connections at once for a while, and returns the number of answers.
async fn flood(ports: &Ports, path: &str, name: &dyn Fn() -> String, duration: Duration) -> Result<usize> {
    let connections = (0..CONNECTIONS).map(|connection| async move {
        let mut client = ports.client(1 + connection).await?;
        let (started, mut answered) = (Instant::now(), 0);
        while started.elapsed() < duration {
            match timeout(FLOOD_MAX, post(&mut client, path, review(path, &name()))).await {
                Ok(answer) => drop(answer?),
                Err(_) => break,
            }
            answered += 1;
        }
        anyhow::Ok(answered)
    });
    join_all(connections).await.into_iter().sum()
}

fn review(path: &str, namespace: &str) -> String {
    let pod = pod(namespace, "web", "alpine:3.19");
    let (group, kind, object) = match path {
        "/workloads" => {
            ("apps", "Deployment", json!({ "metadata": { "namespace": namespace }, "spec": { "template": pod } }))
        }
        _ => ("", "Pod", pod),
    };
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": namespace,
            "kind": { "group": group, "version": "v1", "kind": kind }, "object": object
        }
    })
    .to_string()
}

/// Returns the number of single namespaces that muslin has asked the API server for, by the audit log.
fn lookups(world: &World) -> Result<usize> {
    let is_lookup = |line: &&str| {
        line.contains("system:serviceaccount:muslin:muslin") && line.contains("\"requestURI\":\"/api/v1/namespaces/")
    };
    Ok(world.control_plane.audit_log()?.lines().filter(is_lookup).count())
}
