//! `muslin install --watch` on a node: faults that begin and end while the DaemonSet watches, beside a second node that stays healthy.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Topic;
use crate::common::harness::tests;
use crate::node::cluster_dns::ClusterDns;
use crate::node::page;
use crate::node::real_node::{Node, REGISTRY, eventually};
use crate::node::search_list::NodeFile;
use crate::node::watched_network::{Outside, SECOND, SecondNode, count_queries, counted_queries, run, stop_counting};

/// Takes some twenty minutes, at the interval that an installation has.
pub(crate) const ON_REQUEST: Topic = tests![a_watch_names_each_fault_at_its_node_alone_and_clears_it];

/// The times in which a fault must be named and cleared.
const NAMED: Duration = Duration::from_secs(120);
const CLEARED: Duration = Duration::from_secs(300);

/// Time limit of what the cluster does.
const DEADLINE: Duration = Duration::from_secs(120);

/// Time until an Event on CoreDNS is written, which waits up to ten seconds.
const WRITTEN: Duration = Duration::from_secs(30);

/// A fault that begins and ends, and its verdict.
struct Fault {
    name: &'static str,
    verdict: &'static str,
    begin: fn(&Outside<'_>) -> Result<()>,
}

const FAULTS: [Fault; 5] = [
    Fault {
        name: "one of CoreDNS's two upstream servers refuses everything",
        verdict: "stale-nameserver",
        begin: |outside| outside.one_is_stale(),
    },
    Fault {
        name: "UDP to the cluster's DNS is dropped",
        verdict: "udp53-blocked-tcp-open",
        begin: |outside| outside.drop_udp(),
    },
    Fault {
        name: "a proxy answers with addresses of its own",
        verdict: "fake-ip",
        begin: |outside| outside.intercept(),
    },
    Fault {
        name: "a search domain has an address for every name",
        verdict: "search-expansion",
        begin: |outside| outside.wildcard(),
    },
    Fault {
        name: "both upstream servers of CoreDNS are silent",
        verdict: "stale-nameserver",
        begin: |outside| outside.all_are_gone(),
    },
];

/// The watch of the node, as the cluster has it.
struct Watched<'n> {
    node: &'n Node,
    pod: String,
    address: String,
}

fn a_watch_names_each_fault_at_its_node_alone_and_clears_it(node: &mut Node) -> Result<()> {
    let node = &*node;
    let outside = Outside::start(node)?;
    outside.heal()?;
    let _dns = ClusterDns::start(node, "watch.yaml")?;
    let searched = NodeFile::with_the_site(node)?;
    let watched = Watched::install(node)?;
    drop(searched);
    count_queries(node, &watched.address)?;
    let (began, before) = (Instant::now(), watched.metric("muslin_probe_queries_total")?);
    let second = SecondNode::start(node)?;
    watched.stays_well_for(3, "a healthy network")?;
    node.kubectl(&["rollout", "restart", "deployment/coredns", "-n", "kube-system"])?;
    node.kubectl(&["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=120s"])?;
    watched.stays_well_for(3, "a restart of CoreDNS")?;

    let mut rows = String::new();
    for fault in &FAULTS {
        let (named, cleared) = watched.names(fault, &outside).with_context(|| fault.name)?;
        let row = format!("| {} | `{}` | {named} s | {cleared} s |", fault.name, fault.verdict);
        eprintln!("{row}");
        let _ = writeln!(rows, "{row}");
    }
    let (sent, counted) = (watched.metric("muslin_probe_queries_total")? - before, counted_queries(node)? as f64);
    let seconds = began.elapsed().as_secs_f64();
    stop_counting(node);
    ensure!((sent - counted).abs() <= 40.0, "{counted} packets were counted, and the watch's metric has {sent}");
    // What may be spent at once, and what each minute adds: at most two queries a second in any hour (docs/probe.md).
    ensure!(counted <= 2_400.0 + 80.0 * seconds / 60.0, "{counted} queries in {seconds} s");
    second_had_none(node, &second)?;
    let log = watched.log()?;
    drop(second);
    node.kubectl(&["delete", "daemonset", "muslin-watch", "-n", "muslin"])?;
    page::write_section(page::WATCH, &section(&rows, &log, counted, seconds))
}

/// Checks that the second node, whose DNS was healthy, never had a verdict.
fn second_had_none(node: &Node, second: &SecondNode<'_>) -> Result<()> {
    let observed = observation(node, SECOND)?;
    let rounds = observed["watch"]["rounds"].as_u64();
    ensure!(rounds > Some(20) && observed["watch"]["verdicts"] == Value::Array(Vec::new()), "{observed:#}");
    ensure!(!second.log().contains("raised"), "{}", second.log());
    let metrics = second.metrics()?;
    ensure!(
        !metrics.lines().any(|line| line.starts_with("muslin_probe_verdict{") && line.ends_with(" 1")),
        "{metrics}"
    );
    let (events, _) = node.kubectl(&["get", "events", "-A", "-o", "jsonpath={.items[*].message}"])?;
    ensure!(!events.contains(&format!("DNS on node {SECOND}")), "{events}");
    Ok(())
}

fn observation(node: &Node, name: &str) -> Result<Value> {
    let (text, _) = node.kubectl(&["get", "dnsobservation", name, "-o", "json"])?;
    Ok(serde_json::from_str::<Value>(&text)?["spec"].take())
}

// === impl Watched ===

impl<'n> Watched<'n> {
    /// Installs the watch as `muslin install --watch` prints it, beside the muslin that runs already.
    fn install(node: &'n Node) -> Result<Self> {
        let image = format!("{REGISTRY}/muslin:{}", env!("CARGO_PKG_VERSION"));
        let printed = run(node.command(env!("CARGO_BIN_EXE_muslin")).args(["install", "--image", &image, "--watch"]))?;
        let parts: Vec<&str> = printed.split("\n---\n").filter(|part| part.contains("name: muslin-watch\n")).collect();
        ensure!(parts.len() == 4, "an account, a role, a binding and a DaemonSet: {parts:#?}");
        let file = node.folder().join("watch.yaml");
        fs::write(&file, parts.join("\n---\n"))?;
        node.kubectl(&["apply", "-f", file.to_str().context("UTF-8")?])?;
        let status = ["rollout", "status", "daemonset/muslin-watch", "-n", "muslin", "--timeout=120s"];
        node.kubectl(&status).with_context(|| {
            node.kubectl(&["describe", "pods", "-n", "muslin"]).map_or_else(|e| e.to_string(), |it| it.0)
        })?;
        let (pods, _) =
            node.kubectl(&["get", "pods", "-n", "muslin", "-l", "app.kubernetes.io/component=watch", "-o", "json"])?;
        let pods: Value = serde_json::from_str(&pods)?;
        let text = |pointer: &str| pods.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (pod, address) = (text("/items/0/metadata/name"), text("/items/0/status/podIP"));
        Ok(Self { node, pod: pod.context("no pod")?, address: address.context("no address")? })
    }

    /// Begins a fault, waits until it is named, ends it, and waits until it is cleared. Returns both times in seconds.
    fn names(&self, fault: &Fault, outside: &Outside<'_>) -> Result<(u64, u64)> {
        let Fault { verdict, begin, .. } = *fault;
        begin(outside)?;
        let began = Instant::now();
        let named = eventually(NAMED, || {
            let verdicts = self.verdicts()?;
            ensure!(verdicts.contains(&verdict.to_owned()), "the verdicts are {verdicts:?}: {}", self.log()?);
            Ok(began.elapsed())
        })?;
        // A proxy that answers everything also answers below the search domains.
        let others: Vec<String> = self.verdicts()?.into_iter().filter(|known| known.as_str() != verdict).collect();
        let is_of_proxy = verdict == "fake-ip" && others.iter().all(|other| other.as_str() == "search-expansion");
        ensure!(others.is_empty() || is_of_proxy, "not alone: {others:?}");
        ensure!(self.metric(&self.of_verdict(verdict))? == 1.0, "the metric does not show it");
        eventually(WRITTEN, || self.has_events("Warning", "DNSFault", verdict))?;
        outside.heal()?;
        let began = Instant::now();
        let cleared = eventually(CLEARED, || {
            let verdicts = self.verdicts()?;
            ensure!(verdicts.is_empty(), "the verdicts are {verdicts:?}: {}", self.log()?);
            Ok(began.elapsed())
        })?;
        ensure!(self.metric(&self.of_verdict(verdict))? == 0.0, "the metric still shows it");
        eventually(WRITTEN, || self.has_events("Normal", "DNSFaultEnded", verdict))?;
        Ok((named.as_secs(), cleared.as_secs()))
    }

    /// Checks that some rounds more pass without a verdict.
    fn stays_well_for(&self, rounds: u32, what: &str) -> Result<()> {
        let from = self.metric("muslin_probe_rounds_total")?;
        eventually(2 * DEADLINE, || {
            ensure!(self.metric("muslin_probe_rounds_total")? >= from + f64::from(rounds), "no rounds");
            Ok(())
        })?;
        let log = self.log()?;
        ensure!(!log.contains("raised") && self.verdicts()?.is_empty(), "{what} has a verdict: {log}");
        Ok(())
    }

    /// Returns the verdicts of the node's observation.
    fn verdicts(&self) -> Result<Vec<String>> {
        let observed = observation(self.node, "node")?;
        let verdicts = observed["watch"]["verdicts"].as_array().context("no verdicts")?;
        Ok(verdicts.iter().filter_map(|verdict| verdict["verdict"].as_str()).map(str::to_owned).collect())
    }

    /// Checks that both the watch's pod and the Deployment of CoreDNS show an Event about the verdict.
    fn has_events(&self, kind: &str, reason: &str, verdict: &str) -> Result<()> {
        for (object, namespace) in
            [(format!("pod/{}", self.pod), "muslin"), ("deployment/coredns".to_owned(), "kube-system")]
        {
            let (described, _) = self.node.kubectl(&["describe", &object, "-n", namespace])?;
            let is_shown = described.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(kind)
                    && words.next() == Some(reason)
                    && line.contains(&format!("DNS on node node: {verdict}"))
            });
            ensure!(is_shown, "{object} shows no {reason} about {verdict}: {described}");
        }
        Ok(())
    }

    fn of_verdict(&self, verdict: &str) -> String {
        format!("muslin_probe_verdict{{node=\"node\",verdict=\"{verdict}\"}}")
    }

    /// Returns the value of a series that begins with this text.
    fn metric(&self, series: &str) -> Result<f64> {
        let url = format!("http://{}:8080/metrics", self.address);
        let text = run(self.node.command("curl").args(["--silent", "--fail", &url]))?;
        let line =
            text.lines().find(|line| line.starts_with(series)).with_context(|| format!("no {series}: {text}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    }

    fn log(&self) -> Result<String> {
        Ok(self.node.kubectl(&["logs", &self.pod, "-n", "muslin"])?.0)
    }
}

fn section(rows: &str, log: &str, counted: f64, seconds: f64) -> String {
    let minutes = seconds / 60.0;
    format!(
        "The DaemonSet of `muslin install --watch` runs on the node, at its default interval. CoreDNS is two pods behind the Service, with two
servers outside to forward to. A second node has a network, a CoreDNS and a watch of its own. Faults begin and end while both watch. The test
fails if a fault is not named at the node within two minutes, or not cleared within five minutes after its end; if another verdict is named;
if the pod, the Deployment of CoreDNS, the DNSObservation or the metrics do not show it; if the second node, a healthy network or a restart
of CoreDNS has a verdict; and if the watch sends more than 2,400 queries and 80 each minute, by a count of its packets on the node.

| fault | verdict | named after | cleared after |
|---|---|---|---|
{rows}
The watch sent {counted} queries in {minutes:.0} minutes. Its log:

```
{}
```",
        log.trim_end()
    )
}
