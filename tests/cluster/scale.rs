//! muslin beside thousands of running pods, which kwok simulates: the time and the memory that it takes itself and that it costs the
//! API server, as a curve over the number of pods. Runs only on request, by `scripts/conformance scale`.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::cluster::status::{name as node, observation, points_out_the_odd_node};
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

/// The numbers of nodes with a watcher's observation, for the status after the curve.
const WATCHED_NODES: [usize; 2] = [100, 1_000];

/// The namespaces: the first has every second pod.
const NAMESPACES: usize = 11;

/// Namespaces without pods, and their modes: `muslin status` is to count them.
const MODES: [(&str, &str); 4] =
    [("crowd-audit-a", "audit"), ("crowd-audit-b", "audit"), ("crowd-off", "off"), ("crowd-enforce", "enforce")];

/// Clients that create pods at the same time.
const CLIENTS: usize = 8;

/// The image whose resolver muslin does not know.
const UNKNOWN: &str = "registry.example.com/shop/web:1.4";

/// Containers of pods: most need nothing, some get an Event. The share of each is one.
const CONTAINERS: [(&str, Option<&str>); 5] =
    [("debian:12", None), (UNKNOWN, None), ("alpine:3.20", None), ("alpine:3.16", None), ("alpine:3.20", Some("0"))];

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
    crowd.add_nodes(0..NODES)?;
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
    table.push_str(&crowd.status_of_watched_nodes(api_server)?);
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

/// Returns what the start of muslin took, a scan, a status, and the dry run of a label, as cells of the table.
fn ask(cluster: &Cluster, muslin: &Muslin<'_>, api_server: Process, size: usize) -> Result<String> {
    thread::sleep(WARM_UP);
    let warm_up = Process::of(muslin.id()).cpu_time()?;
    let scan = Run::of(cluster, api_server, &["scan", "-A"])?;
    let objects = scan.report["objects"].as_array().context("the report has no objects")?;
    let pods: u64 = objects.iter().filter_map(|object| object["pods"].as_u64()).sum();
    ensure!(usize::try_from(pods)? == size, "the scan saw {pods} of {size} pods");
    let status = Run::of(cluster, api_server, &["status"])?;
    is_true(cluster, &status.report, size)?;
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

/// Checks the status against the cluster: the pods, their four images, the nodes without a watcher, and the namespaces by mode.
fn is_true(cluster: &Cluster, status: &Value, size: usize) -> Result<()> {
    let images = &status["images"];
    let unknown = (0..size).filter(|&number| container(number).0 == UNKNOWN).count();
    ensure!(images["pods"] == size && images["images"] == 4 && images["unknownImages"] == 1, "{images}");
    ensure!(images["unknown"][0]["image"] == UNKNOWN && images["unknown"][0]["pods"] == unknown, "{images}");
    let totals = &status["totals"];
    ensure!(totals["all"] == NODES && totals["unwatched"] == NODES, "{totals}");
    let groups = status["namespaces"].as_array().context("the status has no namespaces")?;
    let names = |mode: &str| -> Vec<&str> {
        let groups = groups.iter().filter(|group| group["mode"] == mode);
        groups.flat_map(|group| group["namespaces"].as_array()).flatten().filter_map(Value::as_str).collect()
    };
    let inject = names("inject");
    ensure!((0..NAMESPACES).all(|number| inject.contains(&namespace(number).as_str())), "{groups:?}");
    ensure!(MODES.iter().all(|(name, mode)| names(mode).contains(name)), "{groups:?}");
    let all = cluster.control_plane.kubectl(&["get", "namespaces", "-o", "name"], None)?;
    // muslin's own namespace has no mode.
    let all = all.stdout.lines().filter(|&line| line != "namespace/muslin").count();
    let counted: usize = groups.iter().filter_map(|group| group["namespaces"].as_array()).map(Vec::len).sum();
    ensure!(counted == all, "{counted} of {all} namespaces: {groups:?}");
    Ok(())
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
        for (name, mode) in MODES {
            cluster.namespace(name, &[("muslin.dev/mode", mode)])?;
        }
        Ok(Self { cluster, client: cluster.runtime.block_on(cluster.control_plane.client())?, created: 0 })
    }

    fn add_nodes(&self, numbers: Range<usize>) -> Result<()> {
        self.cluster.runtime.block_on(async {
            let nodes: Api<Node> = Api::all(self.client.clone());
            for number in numbers {
                let metadata = ObjectMeta { name: Some(node(number)), ..ObjectMeta::default() };
                nodes.create(&PostParams::default(), &Node { metadata, ..Node::default() }).await?;
            }
            Ok(())
        })
    }

    /// Adds nodes and a watcher's observation for each, of which one is odd; returns what a status of all of them takes, as a table.
    fn status_of_watched_nodes(&self, api_server: Process) -> Result<String> {
        let kind = GroupVersionKind::gvk("muslin.dev", "v1alpha1", "DNSObservation");
        let kind = ApiResource::from_gvk_with_plural(&kind, "dnsobservations");
        let observations: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
        let mut table = "\n| watched nodes | running pods | `status` | its memory | its CPU in the API server | JSON | lines for people |\n\
                         |---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
        let mut from = 0;
        for to in WATCHED_NODES {
            self.add_nodes(from.max(NODES)..to)?;
            self.cluster.runtime.block_on(async {
                for number in from..to {
                    let observation = serde_json::from_value(observation(number, 1))?;
                    observations.create(&PostParams::default(), &observation).await?;
                }
                anyhow::Ok(())
            })?;
            from = to;
            let status = Run::of(self.cluster, api_server, &["status"])?;
            let totals = &status.report["totals"];
            ensure!(totals["all"] == to && totals["healthy"] == to - 2 && totals["verdict"] == 2, "{totals}");
            let kubeconfig = self.cluster.control_plane.admin_kubeconfig();
            let shown = Command::new(program()).arg("status").arg("--kubeconfig").arg(kubeconfig).output()?;
            let shown = String::from_utf8(shown.stdout)?;
            points_out_the_odd_node(&shown, to)?;
            let (cells, size, lines) = (status.cells(), status.written.div_ceil(1024), shown.lines().count());
            writeln!(table, "| {to} | {} | {cells} | {size} KiB | {lines} |", self.created)?;
        }
        let (at_once, all) = (DeleteParams::default(), ListParams::default());
        self.cluster.runtime.block_on(observations.delete_collection(&at_once, &all))?;
        Ok(table)
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

/// The pods of one ReplicaSet.
const PODS_OF_A_SET: usize = 40;

/// Returns the image of a pod, and its value of `attempts`.
const fn container(number: usize) -> (&'static str, Option<&'static str>) {
    CONTAINERS[number / PODS_OF_A_SET % CONTAINERS.len()]
}

/// Returns a pod of one of some hundred ReplicaSets.
fn pod(number: usize) -> Value {
    let set = number / PODS_OF_A_SET;
    let (image, attempts) = container(number);
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
            "automountServiceAccountToken": false, "nodeName": node(number % NODES),
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

/// A run of a command of muslin that reads the cluster.
struct Run {
    took: Duration,
    /// The most memory that was resident, in bytes.
    resident: u64,
    /// The processor time of the API server meanwhile.
    api_server: Duration,
    /// The JSON that the command wrote.
    report: Value,
    /// The size of the JSON, in bytes.
    written: usize,
}

// === impl Run ===

impl Run {
    fn of(cluster: &Cluster, api_server: Process, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let report = folder.path().join("report.json");
        let (began, before) = (Instant::now(), api_server.cpu_time()?);
        let mut child = Command::new(program())
            .args(arguments)
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
        ensure!(status.success(), "{arguments:?} ended with {status}");
        let report = std::fs::read(report)?;
        let written = report.len();
        Ok(Self { took, resident, api_server, report: serde_json::from_slice(&report)?, written })
    }

    /// Returns the time, the memory, and the processor time in the API server, as cells of a table.
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
