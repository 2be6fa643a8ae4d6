//! The gain of the profile `three-attempts`, on a node: a pod on musl looks up a Service through kube-proxy and CoreDNS, with and without
//! its option, on a healthy network and with one packet lost in each lookup.

use std::fmt;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::page;
use crate::node::real_node::{Node, eventually};

pub(crate) const TESTS: Topic = tests![a_fixed_musl_pod_resolves_faster_when_packets_are_lost];

pub(crate) const ON_REQUEST: Topic = tests![records_lost_packets_in_docs_proof_on_a_node_md];

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/proof.yaml");

/// The namespaces of the pods; muslin is off in the first.
const NAMESPACES: [&str; 2] = ["bare", "fixed"];
const NAME: &str = "shop.shop.svc.cluster.local";
/// With the trailing dot, one socket asks for this name alone: losing the first packet of each socket is one loss a lookup.
const NAME_ALONE: &str = "shop.shop.svc.cluster.local.";

/// Numbers of concurrent lookups: for the test, and for the page.
const LOOKUPS: usize = 20;
const LOOKUPS_OF_PAGE: usize = 200;

/// The least improvement of musl's 99th percentile when one packet is lost.
const RATIO: f64 = 1.25;
/// Time limit on a busy machine; one measurement takes four seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// The measurements of one pod.
struct Measured {
    options: String,
    healthy: Lookups,
    queries: f64,
    lost: Lookups,
}

/// The results of concurrent lookups.
struct Lookups {
    found: usize,
    /// The durations in milliseconds, the shortest first.
    times: Vec<f64>,
}

fn a_fixed_musl_pod_resolves_faster_when_packets_are_lost(node: &mut Node) -> Result<()> {
    deploy(node)?;
    eventually(DEADLINE, || {
        let [bare, fixed] = &measure(node, LOOKUPS)?;
        for measured in [bare, fixed] {
            ensure!(measured.healthy.all_found() && measured.lost.all_found(), "{bare}\n{fixed}");
        }
        ensure!(fixed.queries <= bare.queries, "more queries on a healthy network:\n{bare}\n{fixed}");
        ensure!(bare.lost.p99() >= RATIO * fixed.lost.p99(), "not {RATIO} times better:\n{bare}\n{fixed}");
        Ok(())
    })
}

fn records_lost_packets_in_docs_proof_on_a_node_md(node: &mut Node) -> Result<()> {
    deploy(node)?;
    let [bare, fixed] = measure(node, LOOKUPS_OF_PAGE)?;
    let text = format!(
        "A pod on musl 1.2.3 looks up the Service `{NAME}` {LOOKUPS_OF_PAGE} times at once, through the kubelet's resolv.conf,
kube-proxy and CoreDNS. The pod exists twice: in a namespace where muslin is off, and in one with the profile `three-attempts`. Then each
lookup loses one packet, the first of its socket. The test fails if a name is not found, a healthy lookup costs more queries, or the 99th
percentile is less than {RATIO} times better.

| options | found | median | 99th percentile | queries a lookup | one packet lost: found | median | 99th percentile |
|---|---|---|---|---|---|---|---|
{bare}
{fixed}

With one packet lost, the 99th percentile is {:.1} times better.",
        bare.lost.p99() / fixed.lost.p99()
    );
    page::write_section(page::LOST_PACKETS, &text)
}

fn deploy(node: &Node) -> Result<()> {
    node.kubectl(&["apply", "-f", MANIFEST])?;
    for namespace in NAMESPACES {
        node.kubectl(&["wait", "pod/lookups", "-n", namespace, "--for=condition=Ready", "--timeout=60s"])?;
    }
    Ok(())
}

fn measure(node: &Node, lookups: usize) -> Result<[Measured; 2]> {
    let [bare, fixed] = NAMESPACES.map(|namespace| Measured::of(node, namespace, lookups));
    Ok([bare?, fixed?])
}

// === impl Measured ===

impl Measured {
    fn of(node: &Node, namespace: &str, lookups: usize) -> Result<Self> {
        let inside = |arguments: &[&str]| -> Result<String> {
            let exec = ["exec", "-n", namespace, "lookups", "--", "/shop"];
            Ok(node.kubectl(&[&exec, arguments].concat())?.0)
        };
        let file = inside(&["show", "/etc/resolv.conf"])?;
        let options = file.lines().find_map(|line| line.strip_prefix("options ")).context("no options")?;
        let mut options: Vec<&str> = options.split_whitespace().collect();
        // The kubelet writes options in any order.
        options.sort_unstable();
        let (ip, _) = node.kubectl(&["get", "pod/lookups", "-n", namespace, "-o", "jsonpath={.status.podIP}"])?;
        let number = lookups.to_string();

        // Both rules act before kube-proxy's rules forward the packet.
        let network = Rules::new(node, &format!("ip saddr {ip} udp dport 53 counter"))?;
        let healthy = Lookups::read(&inside(&["times", NAME, &number])?)?;
        let queries = network.counted()? / real(lookups);
        drop(network);
        let network = Rules::new(
            node,
            &format!(
                "ip saddr {ip} udp dport 53 udp sport @begun accept
                 ip saddr {ip} udp dport 53 add @begun {{ udp sport }} drop"
            ),
        )?;
        let lost = Lookups::read(&inside(&["times", NAME_ALONE, &number])?)?;
        drop(network);
        Ok(Self { options: options.join(" "), healthy, queries, lost })
    }
}

impl fmt::Display for Measured {
    /// Formats a row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, healthy, queries, lost } = self;
        write!(f, "| `{options}` | {healthy} | {queries:.0} | {lost} |")
    }
}

// === impl Lookups ===

impl Lookups {
    /// Parses one line for each lookup: milliseconds and the result.
    fn read(text: &str) -> Result<Self> {
        let mut lookups = Self { found: 0, times: Vec::new() };
        for line in text.lines() {
            let (time, came) = line.split_once(' ').with_context(|| format!("no lookup: {line}"))?;
            lookups.times.push(time.parse().with_context(|| format!("no time: {line}"))?);
            lookups.found += usize::from(came == "found");
        }
        lookups.times.sort_by(f64::total_cmp);
        Ok(lookups)
    }

    fn all_found(&self) -> bool {
        self.found == self.times.len() && self.found > 0
    }

    fn percentile(&self, percent: usize) -> f64 {
        self.times.get((self.times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn p99(&self) -> f64 {
        self.percentile(99)
    }
}

impl fmt::Display for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = real(self.found) / real(self.times.len()) * 100.0;
        write!(f, "{found} % | {:.2} s | {:.2} s", self.percentile(50) / 1000.0, self.p99() / 1000.0)
    }
}

/// The node's rules for incoming packets; removed when dropped.
struct Rules<'n>(&'n Node);

// === impl Rules ===

impl<'n> Rules<'n> {
    fn new(node: &'n Node, rules: &str) -> Result<Self> {
        let mut nft = node.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("starting nft")?;
        let table = format!(
            "table ip proof {{
                 set begun {{ type inet_service; flags dynamic; timeout 1m; }}
                 chain in {{
                     type filter hook prerouting priority raw;
                     {rules}
                 }}
             }}\n"
        );
        nft.stdin.take().context("nft has no standard input")?.write_all(table.as_bytes())?;
        ensure!(nft.wait()?.success(), "nft refuses {table}");
        Ok(Self(node))
    }

    /// Returns the number of counted packets.
    fn counted(&self) -> Result<f64> {
        let output = self.0.command("nft").args(["list", "table", "ip", "proof"]).output().context("starting nft")?;
        let text = String::from_utf8(output.stdout)?;
        let (_, count) = text.split_once("packets ").with_context(|| format!("no counter in {text}"))?;
        count.split(' ').next().unwrap_or_default().parse().with_context(|| format!("no counter in {text}"))
    }
}

impl Drop for Rules<'_> {
    fn drop(&mut self) {
        let deleted = self.0.command("nft").args(["delete", "table", "ip", "proof"]).status();
        if !deleted.is_ok_and(|status| status.success()) {
            let _ = writeln!(std::io::stderr(), "the rules of the proof are still there");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of lookups are far below 2^52")]
const fn real(count: usize) -> f64 {
    count as f64
}
