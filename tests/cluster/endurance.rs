//! Pods while everything around muslin changes: several clients create pods without a pause through replicas behind their Service, and
//! each pod is checked as the API server stored it.
//!
//! A pod is *missed* if the API server stored it without muslin's review, and *failed* if it was not created. While the API server
//! restarts, clients retry, as those of Kubernetes do; retries are counted apart.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::cluster::certificates::{CONFIGURATIONS, empty, is_settled, stored};
use crate::cluster::inspection::{Fingerprints, reading, registry};
use crate::cluster::replicas::{Replicas, request_rotation, wait};
use crate::common::harness::tests;
use crate::common::pods::{injected_options, pod};
use crate::common::registry::Registry;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![a_rolling_restart_and_a_rotation_of_the_ca_miss_no_pod];

pub(crate) const ON_REQUEST: Topic = tests![measures_how_many_of_20000_pods_are_missed_while_everything_changes];

/// Number of clients that create pods.
const CLIENTS: usize = 8;

/// The least number of pods of the measurement.
pub(crate) const PODS: usize = 20_000;

/// Clients that create pods until they are stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Result<()>>>,
}

/// The state that the clients of a load share.
pub(crate) struct Shared {
    pub(crate) namespace: String,
    /// Returns the pod to create, by its number.
    pod: fn(&Shared, usize) -> Value,
    /// The image that muslin has inspected, if any.
    pub(crate) image: String,
    /// The options that muslin injects for it.
    options: Value,
    number: AtomicUsize,
    is_stopped: AtomicBool,
    /// The API server is away, or was a moment ago.
    is_restarting: AtomicBool,
    made: Mutex<Vec<Made>>,
}

/// The outcome of one pod.
pub(crate) struct Made {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
    /// Number of retries while the API server was away.
    tries: usize,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Fixed,
    /// With the pod's metadata as it is stored.
    Missed(String),
    Failed(String),
}

/// An action and its time.
struct Phase {
    name: &'static str,
    began: Instant,
    ended: Instant,
}

/// The actions of the measurement, with pods created all the time.
struct Phases<'l> {
    load: &'l Load,
    done: Vec<Phase>,
}

// === impl Phases ===

impl Phases<'_> {
    /// Runs an action, and waits until more pods were created after it.
    fn run(&mut self, name: &'static str, action: impl FnOnce() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        let outcome = action().with_context(|| name);
        self.done.push(Phase { name, began, ended: Instant::now() });
        self.load.go_on(300);
        outcome
    }
}

// === impl Load ===

impl Load {
    /// Makes the namespace with these labels, and starts the clients.
    pub(crate) fn start(cluster: &Cluster, labels: &[(&str, &str)], shared: Shared) -> Result<Self> {
        cluster.namespace(&shared.namespace, labels)?;
        let shared = Arc::new(shared);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let client = cluster.runtime.block_on(cluster.control_plane.client())?;
            clients.push(cluster.runtime.spawn(create(Arc::clone(&shared), client)));
        }
        Ok(Self { shared, clients })
    }

    pub(crate) fn made(&self) -> usize {
        self.shared.made.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until this many more pods were created.
    pub(crate) fn go_on(&self, pods: usize) {
        let until = self.made() + pods;
        while self.made() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn stop(self, cluster: &Cluster) -> Result<Vec<Made>> {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        for client in self.clients {
            cluster.runtime.block_on(client)??;
        }
        Ok(std::mem::take(&mut *self.shared.made.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Creates one pod after another.
async fn create(shared: Arc<Shared>, client: Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, &shared.namespace);
    while !shared.is_stopped.load(Ordering::Relaxed) {
        let number = shared.number.fetch_add(1, Ordering::Relaxed);
        let wanted: Pod = serde_json::from_value((shared.pod)(&shared, number))?;
        let name = wanted.metadata.name.clone().unwrap_or_default();
        let (began, mut tries) = (Instant::now(), 0);
        let outcome = loop {
            let was_restarting = shared.is_restarting.load(Ordering::Relaxed);
            let created = match pods.create(&PostParams::default(), &wanted).await {
                // The API server stored it before the connection broke.
                Err(kube::Error::Api(status)) if status.code == 409 && tries > 0 => pods.get(&name).await,
                created => created,
            };
            match created {
                Ok(pod) if shared.is_fixed(&serde_json::to_value(&pod)?) => break Outcome::Fixed,
                Ok(pod) => break Outcome::Missed(serde_json::to_string(&pod.metadata)?),
                Err(_) if was_restarting || shared.is_restarting.load(Ordering::Relaxed) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => break Outcome::Failed(error.to_string()),
            }
        };
        let made = Made { began, ended: Instant::now(), outcome, tries };
        shared.made.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }
    Ok(())
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(namespace: &str, image: &str, options: Value, pod: fn(&Self, usize) -> Value) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod,
            image: image.to_owned(),
            options,
            number: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
            is_restarting: AtomicBool::new(false),
            made: Mutex::default(),
        }
    }

    /// Returns whether muslin reviewed the pod and injected the options for its image.
    fn is_fixed(&self, pod: &Value) -> bool {
        let is_seen = !pod["metadata"]["labels"]["muslin.dev/libc"].is_null();
        let is_known = pod["spec"]["containers"][0]["image"] == *self.image;
        is_seen && (!is_known || pod["spec"]["dnsConfig"]["options"] == self.options)
    }
}

fn a_rolling_restart_and_a_rotation_of_the_ca_miss_no_pod(cluster: &Cluster) -> Result<()> {
    let replicas = Replicas::start(cluster, 2, &["--certificate-overlap", "1", "--shutdown-delay", "2"])?;
    wait("settled", || is_settled(cluster))?;
    let alpine = |shared: &Shared, number| pod(&shared.namespace, &format!("pod-{number}"), &shared.image);
    let load = Load::start(cluster, &[], Shared::new("rolled", "alpine:3.19", injected_options(), alpine))?;
    let old = stored(cluster, "ca.crt")?;
    request_rotation(cluster, "authority")?;
    replicas.roll()?;
    wait("another CA", || Ok(stored(cluster, "ca.crt")? != old && is_settled(cluster)?))?;
    load.go_on(500_usize.saturating_sub(load.made()));
    let made = load.stop(cluster)?;
    for Made { outcome, .. } in &made {
        match outcome {
            Outcome::Fixed => {}
            Outcome::Missed(pod) => anyhow::bail!("a pod of {} was missed: {pod}", made.len()),
            Outcome::Failed(error) => anyhow::bail!("a pod of {} failed: {error}", made.len()),
        }
    }
    ensure!(made.len() >= 500);
    Ok(())
}

/// Measures the figures in `docs/operations.md`.
fn measures_how_many_of_20000_pods_are_missed_while_everything_changes(cluster: &Cluster) -> Result<()> {
    let _fingerprints = Fingerprints::apply(cluster)?;
    let (registry, image) = registry("team/nothing:1", "musl-lookup")?;
    let mut arguments = reading(&registry).to_vec();
    // The default: a registry that does not answer delays a review no longer.
    arguments[2] = "300".to_owned();
    arguments.extend(["--certificate-overlap", "5", "--shutdown-delay", "5"].map(str::to_owned));
    let replicas = Replicas::start(cluster, 3, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    wait("settled", || is_settled(cluster))?;
    let options = options_of_known_image(cluster, &image)?;
    // One pod of twenty has an image that does not exist.
    let mixed = |shared: &Shared, number| {
        let nowhere = format!("{}-{number}", shared.image);
        let image = if number % 20 == 0 { &nowhere } else { &shared.image };
        pod(&shared.namespace, &format!("pod-{number}"), image)
    };
    let load = Load::start(cluster, &[], Shared::new("endured", &image, options, mixed))?;
    let mut phases = Phases { load: &load, done: Vec::new() };
    let outcome = change_everything(cluster, &replicas, registry, &mut phases);
    let phases = phases.done;
    let made = load.stop(cluster)?;
    eprintln!("{}", table(&made, &phases)?);
    outcome
}

/// Waits until every replica knows the image, and returns the options that muslin injects for it.
fn options_of_known_image(cluster: &Cluster, image: &str) -> Result<Value> {
    cluster.namespace("known", &[])?;
    let mut number = 0;
    let mut options = Value::Null;
    wait("known", || {
        number += 1;
        let (pod, _) = cluster.created(&pod("known", &format!("pod-{number}"), image))?;
        options = pod["spec"]["dnsConfig"]["options"].clone();
        Ok(number > 10 && !options.is_null())
    })?;
    Ok(options)
}

/// Runs all phases, and goes on until enough pods were created.
fn change_everything(
    cluster: &Cluster,
    replicas: &Replicas<'_>,
    registry: Registry,
    phases: &mut Phases<'_>,
) -> Result<()> {
    let load = phases.load;
    let rotate = |what: &str, name: &str| -> Result<()> {
        let old = stored(cluster, name)?;
        request_rotation(cluster, what)?;
        wait("new", || Ok(stored(cluster, name)? != old && is_settled(cluster)?))
    };
    phases.run("nothing", || {
        load.go_on(2000);
        Ok(())
    })?;
    phases.run("rolling restart of all replicas", || replicas.roll())?;
    phases.run("rotation of the serving certificate", || rotate("certificate", "tls.crt"))?;
    phases.run("rotation of the CA", || rotate("authority", "ca.crt"))?;
    phases.run("rolling restart during a rotation of the CA", || {
        request_rotation(cluster, "authority")?;
        replicas.roll()?;
        wait("settled", || is_settled(cluster))
    })?;
    phases.run("API server restarted", || {
        load.shared.is_restarting.store(true, Ordering::Relaxed);
        let took = cluster.control_plane.restart_api_server()?;
        // The API server answers its first requests before all of it runs.
        thread::sleep(Duration::from_secs(1));
        load.shared.is_restarting.store(false, Ordering::Relaxed);
        eprintln!("the API server was away for {took:?}");
        Ok(())
    })?;
    phases.run("leader killed, another takes over", || {
        let gone = replicas.kill_the_leader()?;
        replicas.add()?;
        wait("another leader", || Ok(replicas.leader()? != gone))
    })?;
    phases.run("registry down", || {
        drop(registry);
        load.go_on(2000);
        Ok(())
    })?;
    for (kind, webhooks) in CONFIGURATIONS {
        let name = if webhooks == 1 { "caBundle of pods emptied" } else { "caBundle of the others emptied" };
        phases.run(name, || {
            for _ in 0..10 {
                empty(cluster, kind, webhooks)?;
                wait("restored", || is_settled(cluster))?;
                load.go_on(50);
            }
            Ok(())
        })?;
    }
    load.go_on(PODS.saturating_sub(load.made()));
    Ok(())
}

/// Formats one line for each phase, and one for all.
fn table(made: &[Made], phases: &[Phase]) -> Result<String> {
    let mut text =
        String::from("| | pods | failed | missed | retried | p50 ms | p99 ms |\n|---|---:|---:|---:|---:|---:|---:|\n");
    let mut line = |name: &str, of: &dyn Fn(&&Made) -> bool| -> Result<()> {
        let made: Vec<&Made> = made.iter().filter(of).collect();
        let count = |is: fn(&Outcome) -> bool| made.iter().filter(|made| is(&made.outcome)).count();
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let missed = count(|outcome| matches!(outcome, Outcome::Missed(_)));
        let again = made.iter().filter(|made| made.tries > 0).count();
        let mut took: Vec<f64> = made.iter().map(|made| (made.ended - made.began).as_secs_f64() * 1000.0).collect();
        took.sort_by(f64::total_cmp);
        let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
        writeln!(text, "| {name} | {} | {failed} | {missed} | {again} | {:.1} | {:.1} |", made.len(), at(50), at(99))?;
        Ok(())
    };
    for Phase { name, began, ended } in phases {
        line(name, &|made| made.began <= *ended && made.ended >= *began)?;
    }
    line("all", &|_| true)?;
    for (place, made) in made.iter().enumerate() {
        if let Outcome::Failed(error) = &made.outcome {
            writeln!(text, "pod {place} failed: {error}")?;
        }
    }
    Ok(text)
}
