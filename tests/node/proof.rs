//! What muslin promises, in a node: a pod on musl looks up a Service through kube-proxy and CoreDNS, as Kubernetes made it and as
//! muslin mended it, with every packet arriving and with one lost in each lookup.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::real_node::{Node, eventually};

pub(crate) const TESTS: Topic = tests![a_pod_on_musl_finds_names_sooner_when_packets_are_lost];

pub(crate) const ON_REQUEST: Topic = tests![records_the_proof_in_the_documentation];

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/proof.yaml");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proof-on-a-node.md");

/// Where the pods are: muslin is off in the first.
const NAMESPACES: [&str; 2] = ["bare", "mended"];
const NAME: &str = "shop.shop.svc.cluster.local";
/// So written it is asked for as it is, from one socket: the loss of the first packet of each socket is one loss a lookup.
const NAME_ALONE: &str = "shop.shop.svc.cluster.local.";

/// How many lookups are made at once: for the test, and for the page.
const LOOKUPS: usize = 20;
const LOOKUPS_OF_PAGE: usize = 200;

/// How much better musl's 99th percentile must be where one packet is lost.
const RATIO: f64 = 4.0;
/// How long a machine that is busy may keep that from being seen; one measurement takes four seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// What one pod's lookups came to.
struct Measured {
    options: String,
    healthy: Lookups,
    queries: f64,
    lost: Lookups,
}

/// Lookups at once.
struct Lookups {
    found: usize,
    /// How long each took in milliseconds, the shortest first.
    times: Vec<f64>,
}

fn a_pod_on_musl_finds_names_sooner_when_packets_are_lost(node: &mut Node) -> Result<()> {
    deploy(node)?;
    eventually(DEADLINE, || {
        let [bare, mended] = &measure(node, LOOKUPS)?;
        for measured in [bare, mended] {
            ensure!(measured.healthy.all_found() && measured.lost.all_found(), "{bare}\n{mended}");
        }
        ensure!(mended.queries <= bare.queries, "more queries on a healthy network:\n{bare}\n{mended}");
        ensure!(bare.lost.p99() >= RATIO * mended.lost.p99(), "not {RATIO} times better:\n{bare}\n{mended}");
        Ok(())
    })
}

fn records_the_proof_in_the_documentation(node: &mut Node) -> Result<()> {
    deploy(node)?;
    let [bare, mended] = measure(node, LOOKUPS_OF_PAGE)?;
    let page = format!(
        "# The proof, on a node

What [proof.md](proof.md) shows in a laboratory, in a cluster of one node ([tests/node](../tests/node/node)): a pod on musl 1.2.3 looks up
the Service `{NAME}` {LOOKUPS_OF_PAGE} times at once, through the kubelet's resolv.conf, kube-proxy and CoreDNS. It exists twice:
in a namespace where muslin is off, and in one where it injects. Then one packet is lost in each lookup: the first that leaves its socket.

This page is written by `cargo test --test node -- --ignored` (as root); a test that always runs does the same with fewer lookups,
and fails where a name is not found, a healthy lookup costs more queries, or the 99th percentile is less than {RATIO} times better.

| options | found | median | 99th percentile | queries a lookup | one packet lost: found | median | 99th percentile |
|---|---|---|---|---|---|---|---|
{bare}
{mended}

With one packet lost, the 99th percentile is {:.1} times better.
",
        bare.lost.p99() / mended.lost.p99()
    );
    fs::write(PAGE, page).with_context(|| format!("writing {PAGE}"))
}

fn deploy(node: &Node) -> Result<()> {
    node.kubectl(&["apply", "-f", MANIFEST])?;
    for namespace in NAMESPACES {
        node.kubectl(&["wait", "pod/lookups", "-n", namespace, "--for=condition=Ready", "--timeout=60s"])?;
    }
    Ok(())
}

fn measure(node: &Node, lookups: usize) -> Result<[Measured; 2]> {
    let [bare, mended] = NAMESPACES.map(|namespace| Measured::of(node, namespace, lookups));
    Ok([bare?, mended?])
}

// === impl Measured ===

impl Measured {
    fn of(node: &Node, namespace: &str, lookups: usize) -> Result<Self> {
        let inside = |arguments: &[&str]| -> Result<String> {
            let exec = ["exec", "-n", namespace, "lookups", "--", "/shop"];
            Ok(node.kubectl(&[&exec, arguments].concat())?.0)
        };
        let file = inside(&["show", "/etc/resolv.conf"])?;
        let options = file.lines().find_map(|line| line.strip_prefix("options ")).context("it has no options")?;
        let mut options: Vec<&str> = options.split_whitespace().collect();
        // The kubelet writes them in any order.
        options.sort_unstable();
        let (ip, _) = node.kubectl(&["get", "pod/lookups", "-n", namespace, "-o", "jsonpath={.status.podIP}"])?;
        let number = lookups.to_string();

        // Both at the kernel's first look at a packet, before kube-proxy's rules send it on.
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
    /// A row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, healthy, queries, lost } = self;
        write!(f, "| `{options}` | {healthy} | {queries:.0} | {lost} |")
    }
}

// === impl Lookups ===

impl Lookups {
    /// Reads a line for each: milliseconds, and what came.
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

/// Rules of the node for packets that come in, until this is dropped.
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

    /// How many packets the counter has seen.
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
