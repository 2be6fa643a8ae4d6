//! muslin beside thousands of running pods, which kwok simulates: the time and the memory that it takes itself and that it costs the
//! API server, as a curve over the number of pods. Runs only on request, by `scripts/conformance scale`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::common::component::Component;
use crate::common::harness::tests;
use crate::common::process::Process;
use crate::common::webhook::{self, Muslin};
use crate::{Cluster, Topic};

pub(crate) const ON_REQUEST: Topic = tests![measures_the_growth_from_1000_to_10000_running_pods];

/// The numbers of pods that the curve has.
const SIZES: [usize; 4] = [1_000, 2_000, 5_000, 10_000];

/// The pods that are created before muslin runs.
const WITHOUT: usize = 500;

const NODES: usize = 20;

/// The namespaces: the first has every second pod.
const NAMESPACES: usize = 11;

/// Clients that create pods at the same time.
const CLIENTS: usize = 8;

/// Containers of pods: most need nothing, some get an Event. The share of each is one.
const CONTAINERS: [(&str, Option<&str>); 5] = [
    ("debian:12", None),
    ("registry.example.com/shop/web:1.4", None),
    ("alpine:3.20", None),
    ("alpine:3.16", None),
    ("alpine:3.20", Some("0")),
];

/// Time limit of a step on a busy machine.
const DEADLINE: Duration = Duration::from_secs(1200);

/// The metrics have settled if they stay the same for this time.
const QUIET: Duration = Duration::from_secs(5);

/// The time after a start in which muslin reads the running pods.
const WARM_UP: Duration = Duration::from_secs(15);

/// The pods of the cluster, and what makes them.
struct Crowd<'c> {
    cluster: &'c Cluster,
    client: Client,
    created: usize,
}

/// The processor time of the programs, at one moment.
struct Used {
    at: Instant,
    muslin: Duration,
    api_server: Duration,
}

/// The kwok that makes nodes ready and pods run.
struct Kwok {
    _process: Component,
    _folder: tempfile::TempDir,
}

fn measures_the_growth_from_1000_to_10000_running_pods(cluster: &Cluster) -> Result<()> {
    let mut crowd = Crowd::new(cluster)?;
    crowd.add_nodes()?;
    let _kwok = Kwok::start(cluster)?;
    let api_server = Process::of(cluster.control_plane.api_server_process());
    let before = (Instant::now(), api_server.cpu_time()?);
    crowd.grow_to(WITHOUT)?;
    let without = (before.0.elapsed(), api_server.cpu_time()? - before.1);

    let mut table = String::from(
        "| running pods | pods a second | muslin's CPU a pod | API server's CPU a pod | Events (dropped) \
         | muslin's memory | API server's memory | start to ready | CPU of the start | `scan` | its memory | its CPU in the API server \
         | `status` | its memory | its CPU in the API server | dry run of a label |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    writeln!(
        table,
        "| {WITHOUT}, without muslin | {:.0} | | {} | | | {} | | | | | | | | | |",
        rate(WITHOUT, without.0),
        each(without.1, WITHOUT),
        mebibytes(api_server.settled(cluster)?),
    )?;
    let mut muslin = start(cluster)?;
    for size in SIZES {
        let grown = grow(&mut crowd, &muslin, api_server, size)?;
        drop(muslin);
        muslin = start(cluster)?;
        let restarted = ask(cluster, &muslin, api_server, size)?;
        writeln!(table, "| {size} | {grown} | {restarted} |")?;
        eprintln!("{table}");
    }
    drop(muslin);
    crowd.remove()?;
    if let Some(file) = std::env::var_os("MUSLIN_SCALE_TABLE") {
        std::fs::write(file, table)?;
    }
    Ok(())
}

/// Adds pods until there are `size`, and returns what that took as cells of the table.
fn grow(crowd: &mut Crowd<'_>, muslin: &Muslin<'_>, api_server: Process, size: usize) -> Result<String> {
    let process = Process::of(muslin.id());
    let before = Used::now(process, api_server)?;
    let added = size - crowd.created;
    crowd.grow_to(size)?;
    let running = before.at.elapsed();
    let (written, dropped) = settled_events(muslin)?;
    let after = Used::now(process, api_server)?;
    Ok(format!(
        "{:.0} | {} | {} | {written} ({dropped}) | {} | {}",
        rate(added, running),
        each(after.muslin - before.muslin, added),
        each(after.api_server - before.api_server, added),
        mebibytes(process.settled(crowd.cluster)?),
        mebibytes(api_server.settled(crowd.cluster)?),
    ))
}

/// Returns what the start of muslin took, a scan, the status, and the dry run of a label, as cells of the table.
fn ask(cluster: &Cluster, muslin: &Muslin<'_>, api_server: Process, size: usize) -> Result<String> {
    thread::sleep(WARM_UP);
    let warm_up = Process::of(muslin.id()).cpu_time()?;
    let scan = Reading::run(cluster, api_server, &["scan", "-A"])?;
    let objects = scan.report["objects"].as_array().context("the report has no objects")?;
    let pods: u64 = objects.iter().filter_map(|object| object["pods"].as_u64()).sum();
    ensure!(usize::try_from(pods)? == size, "the scan saw {pods} of {size} pods");
    let status = Reading::run(cluster, api_server, &["status"])?;
    let (pods, nodes) = (&status.report["images"]["pods"], &status.report["totals"]["all"]);
    ensure!(*pods == size && *nodes == NODES, "status saw {pods} of {size} pods, and {nodes} of {NODES} nodes");
    let (label, lines) = dry_run(cluster)?;
    eprintln!("{size}: the dry run says:\n{lines}");
    Ok(format!(
        "{:.2} s | {:.2} s | {} | {} | {:.2} s",
        muslin.started_in().as_secs_f64(),
        warm_up.as_secs_f64(),
        scan.cells(),
        status.cells(),
        label.as_secs_f64(),
    ))
}

/// Starts muslin with its built-in default profile.
fn start(cluster: &Cluster) -> Result<Muslin<'_>> {
    let arguments = ["--profile", "default"].map(str::to_owned);
    Muslin::start_by(Command::new(program()), &cluster.control_plane, &cluster.account, &arguments)
}

/// Returns the binary to measure: a release build, or this build without optimisation.
fn program() -> PathBuf {
    std::env::var_os("MUSLIN_BINARY").map_or_else(|| PathBuf::from(webhook::PROGRAM), PathBuf::from)
}

/// Waits until muslin has written its Events; returns how many it wrote, and for how many pods it dropped them.
fn settled_events(muslin: &Muslin<'_>) -> Result<(u64, u64)> {
    let read = || -> Result<(u64, u64)> {
        let metrics = muslin.metrics()?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).with_context(|| format!("no {name}"))
        };
        Ok((value("muslin_events_written_total")?, value("muslin_events_dropped_total")?))
    };
    let began = Instant::now();
    let (mut last, mut since) = (read()?, Instant::now());
    while since.elapsed() < QUIET {
        ensure!(began.elapsed() < DEADLINE, "Events are still written after {DEADLINE:?}");
        thread::sleep(Duration::from_millis(200));
        let now = read()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

/// Labels the largest namespace without storing the label; returns the time that it took, and the preview.
fn dry_run(cluster: &Cluster) -> Result<(Duration, String)> {
    let began = Instant::now();
    let arguments = ["label", "namespace", &namespace(0), "muslin.dev/mode=enforce", "--dry-run=server"];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success() && output.stderr.contains("pods"), "{}", output.stderr);
    Ok((began.elapsed(), output.stderr))
}

fn namespace(number: usize) -> String {
    format!("crowd-{number}")
}

// === impl Crowd ===

impl<'c> Crowd<'c> {
    fn new(cluster: &'c Cluster) -> Result<Self> {
        for number in 0..NAMESPACES {
            cluster.namespace(&namespace(number), &[])?;
        }
        Ok(Self { cluster, client: cluster.runtime.block_on(cluster.control_plane.client())?, created: 0 })
    }

    fn add_nodes(&self) -> Result<()> {
        self.cluster.runtime.block_on(async {
            let nodes: Api<Node> = Api::all(self.client.clone());
            for number in 0..NODES {
                let metadata = ObjectMeta { name: Some(format!("node-{number}")), ..ObjectMeta::default() };
                nodes.create(&PostParams::default(), &Node { metadata, ..Node::default() }).await?;
            }
            Ok(())
        })
    }

    /// Creates pods until there are `size`, and waits until all of them run.
    fn grow_to(&mut self, size: usize) -> Result<()> {
        let missing: Vec<usize> = (self.created..size).collect();
        self.cluster.runtime.block_on(async {
            let create = |number: usize| {
                let client = self.client.clone();
                async move {
                    let pods: Api<Pod> = Api::namespaced(client, &home(number));
                    let pod: Pod = serde_json::from_value(pod(number))?;
                    pods.create(&PostParams::default(), &pod).await?;
                    anyhow::Ok(())
                }
            };
            futures::stream::iter(missing.into_iter().map(create)).buffer_unordered(CLIENTS).try_collect::<()>().await
        })?;
        self.created = size;
        let deadline = Instant::now() + DEADLINE;
        while self.waiting()? > 0 {
            ensure!(Instant::now() < deadline, "not all pods run after {DEADLINE:?}");
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Returns the number of pods that do not run, or one if there is more than that.
    fn waiting(&self) -> Result<usize> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let not_running = ListParams::default().fields("status.phase!=Running").limit(1);
        Ok(self.cluster.runtime.block_on(pods.list_metadata(&not_running))?.items.len())
    }

    /// Removes the pods and the nodes, for other tests.
    fn remove(self) -> Result<()> {
        self.cluster.delete_all_pods()?;
        let nodes: Api<Node> = Api::all(self.client);
        let (at_once, all) = (DeleteParams::default(), ListParams::default());
        self.cluster.runtime.block_on(nodes.delete_collection(&at_once, &all))?;
        Ok(())
    }
}

/// Returns the namespace of a pod.
fn home(number: usize) -> String {
    namespace(if number.is_multiple_of(2) { 0 } else { 1 + number / 2 % (NAMESPACES - 1) })
}

/// Returns a pod of one of some hundred ReplicaSets.
fn pod(number: usize) -> Value {
    let set = number / 40;
    let (image, attempts) = CONTAINERS[set % CONTAINERS.len()];
    let options: Vec<Value> = attempts.iter().map(|value| json!({ "name": "attempts", "value": value })).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{set}-{number}"), "namespace": home(number), "labels": { "app": format!("web-{set}") },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("web-{set}"), "controller": true,
                "uid": format!("705ab4f5-6393-11e8-b7cc-{set:012}"),
            }],
        },
        "spec": {
            "automountServiceAccountToken": false, "nodeName": format!("node-{}", number % NODES),
            "dnsConfig": { "options": options },
            "containers": [{
                "name": "app", "image": image, "ports": [{ "containerPort": 8080 }],
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
            }],
        },
    })
}

// === impl Kwok ===

impl Kwok {
    fn start(cluster: &Cluster) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/scale/kwok/build");
        let built = Command::new(script).stderr(Stdio::inherit()).output().context(script)?;
        ensure!(built.status.success(), "{script} ended with {}", built.status);
        let programs = PathBuf::from(String::from_utf8(built.stdout)?.trim_end());
        let folder = tempfile::tempdir()?;
        let kubeconfig = cluster.control_plane.admin_kubeconfig();
        let arguments = [
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--config={}", programs.join("stages.yaml").display()),
            "--manage-all-nodes=true".to_owned(),
        ];
        let mut process = Component::start("kwok", &programs, folder.path(), &arguments)?;
        process.wait_until_ready(|| {
            let jsonpath = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
            let nodes = cluster.control_plane.kubectl(&["get", "nodes", "-o", jsonpath], None)?;
            ensure!(nodes.stdout.split(' ').filter(|&status| status == "True").count() == NODES, "{}", nodes.stdout);
            Ok(())
        })?;
        Ok(Self { _process: process, _folder: folder })
    }
}

/// A run of a command that reads the whole cluster.
struct Reading {
    took: Duration,
    /// The most memory that was resident, in bytes.
    resident: u64,
    /// The processor time of the API server meanwhile.
    api_server: Duration,
    /// The JSON document.
    report: Value,
}

// === impl Reading ===

impl Reading {
    fn run(cluster: &Cluster, api_server: Process, command: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let report = folder.path().join("report.json");
        let (began, before) = (Instant::now(), api_server.cpu_time()?);
        let mut child = Command::new(program())
            .args(command)
            .args(["-o", "json", "--fail-on", "never", "--kubeconfig"])
            .arg(cluster.control_plane.admin_kubeconfig())
            .stdout(std::fs::File::create(&report)?)
            .spawn()?;
        let process = Process::of(child.id());
        let mut resident = 0;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // The process may have ended since.
            resident = process.peak_resident_bytes().unwrap_or(resident);
            thread::sleep(Duration::from_millis(5));
        };
        let (took, api_server) = (began.elapsed(), api_server.cpu_time()? - before);
        ensure!(status.success(), "{command:?} ended with {status}");
        let report = serde_json::from_slice(&std::fs::read(report)?)?;
        Ok(Self { took, resident, api_server, report })
    }

    /// Returns what it took as cells of the table.
    fn cells(&self) -> String {
        let Self { took, resident, api_server, .. } = self;
        format!("{:.1} s | {} | {:.1} s", took.as_secs_f64(), mebibytes(*resident), api_server.as_secs_f64())
    }
}

// === impl Used ===

impl Used {
    fn now(muslin: Process, api_server: Process) -> Result<Self> {
        Ok(Self { at: Instant::now(), muslin: muslin.cpu_time()?, api_server: api_server.cpu_time()? })
    }
}

// === impl Process ===

impl Process {
    /// Returns the resident memory in bytes once it has settled.
    fn settled(self, cluster: &Cluster) -> Result<u64> {
        cluster.runtime.block_on(self.settled_resident_bytes())
    }
}

/// Formats an amount for each of many pods in milliseconds.
fn each(time: Duration, pods: usize) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0 / real(pods))
}

fn rate(pods: usize, time: Duration) -> f64 {
    real(pods) / time.as_secs_f64()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pods are far below 2^52")]
const fn real(count: usize) -> f64 {
    count as f64
}
