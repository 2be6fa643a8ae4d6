//! The others while muslin is attacked: people who create pods in namespaces of their own, and the kubelet's probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::World;
use crate::common::pods::pod;

/// A namespace and its labels.
type NamespaceWithLabels = (&'static str, &'static [(&'static str, &'static str)]);

/// The namespaces of honest people: one whose pods muslin may leave unchanged in need, one whose pods it would deny then.
pub(crate) const NAMESPACES: [NamespaceWithLabels; 2] =
    [("honest", &[]), ("honest-enforced", &[("muslin.dev/mode", "enforce")])];

/// A namespace that the API server does not ask muslin about: its pods show how busy the API server itself is.
pub(crate) const CONTROL: NamespaceWithLabels = ("control", &[("muslin.dev/mode", "off")]);

/// The time between two honest pods in a namespace.
const POD_PERIOD: Duration = Duration::from_millis(200);
/// The longest time that muslin may add to the creation of an honest pod.
const POD_MAX: Duration = Duration::from_secs(1);
/// The time after which a pod counts as not answered.
const POD_PATIENCE: Duration = Duration::from_secs(30);

/// The time between two probes, and their time limit, which is the default of `timeoutSeconds`.
const PROBE_PERIOD: Duration = Duration::from_millis(100);
const PROBE_MAX: Duration = Duration::from_secs(1);

/// What others do while an attack runs.
pub(crate) struct Bystanders {
    done: Arc<AtomicBool>,
    pods: JoinHandle<Outcomes>,
    controls: JoinHandle<Outcomes>,
    probes: JoinHandle<Outcomes>,
}

/// What happened to one kind of requests.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) times: Vec<Duration>,
    pub(crate) failures: Vec<String>,
}

/// The outcomes of honest pods and of probes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pods: Outcomes,
    /// Pods that muslin is not asked about.
    pub(crate) controls: Outcomes,
    pub(crate) probes: Outcomes,
}

// === impl Bystanders ===

impl Bystanders {
    /// Starts both. The probes ask the server at this address, and the pods have this image, which muslin changes.
    pub(crate) fn start(world: &World, probed: &str, image: &str) -> Result<Self> {
        let client = world.runtime.block_on(world.control_plane.client())?;
        let done = Arc::new(AtomicBool::new(false));
        let probed = probed.to_owned();
        let creating = |namespaces: &'static [NamespaceWithLabels]| {
            let (done, client, image) = (Arc::clone(&done), client.clone(), image.to_owned());
            world.runtime.spawn(repeat(done, POD_PERIOD, move || {
                let (client, image) = (client.clone(), image.clone());
                async move {
                    join_all(namespaces.iter().map(|(namespace, _)| create_pod(client.clone(), namespace, &image)))
                        .await
                }
            }))
        };
        let (pods, controls) = (creating(&NAMESPACES), creating(&[CONTROL]));
        let probes = {
            let done = Arc::clone(&done);
            world.runtime.spawn(repeat(done, PROBE_PERIOD, move || {
                let probed = probed.clone();
                async move { vec![probe(&probed).await] }
            }))
        };
        Ok(Self { done, pods, controls, probes })
    }

    /// Waits for the answers that are due, and returns what happened.
    pub(crate) fn stop(self, world: &World) -> Result<Seen> {
        self.done.store(true, Ordering::Relaxed);
        let Self { pods, controls, probes, .. } = self;
        let mut seen = world.runtime.block_on(async {
            anyhow::Ok(Seen { pods: pods.await?, controls: controls.await?, probes: probes.await? })
        })?;
        let allowed = POD_MAX + seen.controls.slowest();
        let slow: Vec<Duration> = seen.pods.times.iter().copied().filter(|time| *time > allowed).collect();
        seen.pods.failures.extend(slow.iter().map(|time| format!("admitted after {time:.1?}, allowed {allowed:.1?}")));
        Ok(seen)
    }
}

/// Sends requests at a steady rate, however slow the answers are. The first is sent at once.
async fn repeat<F>(done: Arc<AtomicBool>, period: Duration, request: impl Fn() -> F) -> Outcomes
where
    F: Future<Output = Vec<Result<Duration>>> + Send + 'static,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    while !done.load(Ordering::Relaxed) {
        ticks.tick().await;
        sent.push(tokio::spawn(request()));
    }
    let mut outcomes = Outcomes::default();
    for answers in join_all(sent).await {
        for answer in answers.unwrap_or_else(|error| vec![Err(error.into())]) {
            outcomes.add(answer);
        }
    }
    outcomes
}

/// Creates a pod as a dry run, and returns how long the API server took. muslin must have reviewed the pod.
async fn create_pod(client: kube::Client, namespace: &str, image: &str) -> Result<Duration> {
    let asked = Instant::now();
    let pod: Pod = serde_json::from_value(pod(namespace, "web", image))?;
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let created = match timeout(POD_PATIENCE, pods.create(&parameters, &pod)).await {
        Ok(Ok(created)) => created,
        Ok(Err(error)) => bail!("{namespace}: denied after {:.1?}: {error}", asked.elapsed()),
        Err(_) => bail!("{namespace}: no answer in {POD_PATIENCE:?}"),
    };
    let took = asked.elapsed();
    let is_reviewed = created.metadata.labels.unwrap_or_default().contains_key("muslin.dev/libc");
    let is_changed = created.spec.is_some_and(|spec| spec.dns_config.is_some());
    let is_expected = namespace != CONTROL.0;
    ensure!(is_reviewed == is_expected && is_changed == is_expected, "{namespace}: missed after {took:.1?}");
    Ok(took)
}

/// Asks for `/healthz` on a connection of its own, as the kubelet does, and returns the time.
async fn probe(address: &str) -> Result<Duration> {
    let asked = Instant::now();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: muslin\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "/healthz: {answer:?}");
        Ok(())
    };
    match timeout(PROBE_MAX, exchange).await {
        Ok(Ok(())) => Ok(asked.elapsed()),
        Ok(Err(error)) => Err(error.context(format!("/healthz after {:?}", asked.elapsed()))),
        Err(_) => bail!("/healthz: no answer in {PROBE_MAX:?}"),
    }
}

// === impl Outcomes ===

impl Outcomes {
    fn add(&mut self, outcome: Result<Duration>) {
        match outcome {
            Ok(took) => self.times.push(took),
            Err(error) => self.failures.push(format!("{error:#}")),
        }
    }

    /// Returns the longest time of a success.
    pub(crate) fn slowest(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }
}
