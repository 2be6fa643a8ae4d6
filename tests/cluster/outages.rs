//! muslin gone, hanging, or answering garbage: pods are created all the same, and in time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use crate::cluster::impostor::GARBAGE;
use crate::cluster::installation;
use crate::common::harness::tests;
use crate::common::pods::{injected_options, pod};
use crate::common::registration::MUSLIN;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    pods_are_created_when_muslin_was_killed,
    pods_are_created_when_muslin_was_stopped,
    pods_are_created_within_the_timeout_when_muslin_hangs,
    pods_are_created_when_muslin_answers_garbage,
    pods_are_created_without_any_replica_of_muslin,
    pods_are_fixed_again_when_muslin_is_back
];

/// Limit of the API server's own time besides the webhook: on an idle machine, some milliseconds.
const OWN_TIME: Duration = Duration::from_secs(1);

fn pods_are_created_when_muslin_was_killed(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    muslin.kill()?;
    is_created_in_time(cluster, "killed")
}

fn pods_are_created_when_muslin_was_stopped(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    let status = muslin.stop()?;
    ensure!(status.success(), "muslin ended with {status}");
    is_created_in_time(cluster, "stopped")
}

fn pods_are_created_within_the_timeout_when_muslin_hangs(cluster: &Cluster) -> Result<()> {
    let muslin = cluster.muslin()?;
    muslin.hang()?;
    is_created_in_time(cluster, "hanging")
}

fn pods_are_created_when_muslin_answers_garbage(cluster: &Cluster) -> Result<()> {
    for (index, (what, answer)) in GARBAGE.into_iter().enumerate() {
        let (impostor, _registration) = cluster.impostor(answer)?;
        let namespace = format!("garbage-{index}");
        is_created_in_time(cluster, &namespace)?;
        ensure!(impostor.reviews_of(&namespace) == 1, "the webhook that answers {what} was not called");
    }
    Ok(())
}

/// Covers the time after `kubectl apply -k manifests` and before the Deployment's pods run.
fn pods_are_created_without_any_replica_of_muslin(cluster: &Cluster) -> Result<()> {
    installation::apply(&cluster.control_plane)?;
    let created = is_created_in_time(cluster, "no-replica");
    installation::unregister(&cluster.control_plane)?;
    created
}

fn pods_are_fixed_again_when_muslin_is_back(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    muslin.kill()?;
    cluster.namespace("back", &[])?;
    cluster.create(&pod("back", "without", "alpine:3.19"))?;
    drop(muslin);
    let _muslin = cluster.muslin()?;
    let (pod, _) = cluster.created(&pod("back", "with", "alpine:3.19"))?;
    ensure!(pod["spec"]["dnsConfig"]["options"] == injected_options(), "{pod:#}");
    Ok(())
}

/// Checks that a pod in a new namespace is created unchanged, and within the webhook's timeout.
fn is_created_in_time(cluster: &Cluster, namespace: &str) -> Result<()> {
    cluster.namespace(namespace, &[])?;
    let wanted: Pod = serde_json::from_value(pod(namespace, "web", "alpine:3.19"))?;
    let limit = timeout(cluster)? + OWN_TIME;
    let took = cluster.runtime.block_on(async {
        let pods: Api<Pod> = Api::namespaced(cluster.control_plane.client().await?, namespace);
        let asked = Instant::now();
        pods.create(&PostParams::default(), &wanted).await?;
        anyhow::Ok(asked.elapsed())
    })?;
    ensure!(took < limit, "the pod took {took:?}");
    let pod = cluster.pod(namespace, "web")?;
    ensure!(pod["spec"].get("dnsConfig").is_none(), "{pod:#}");
    Ok(())
}

/// Returns the timeout of the registered webhook.
fn timeout(cluster: &Cluster) -> Result<Duration> {
    let arguments = ["get", "mutatingwebhookconfiguration", MUSLIN, "-o", "json"];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let configuration: Value = serde_json::from_str(&output.stdout)?;
    Ok(Duration::from_secs(configuration["webhooks"][0]["timeoutSeconds"].as_u64().unwrap_or(10)))
}
