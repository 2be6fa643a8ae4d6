//! The network around a watch on the node: servers outside the cluster, faults, and a second node whose DNS stays healthy. Must not know
//! the verdicts of a watch.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::node::real_node::{Node, eventually};

/// The cluster's DNS Service.
const CLUSTER_DNS: &str = "10.96.0.10";

/// The servers outside the cluster to which CoreDNS forwards (`watch.yaml`), and a proxy.
const OUTSIDE: &str = "192.0.2.53";
const OUTSIDE_TOO: &str = "192.0.2.57";
const PROXY: &str = "192.0.2.58";

/// The search domain of the node's site, and its nameserver (`node`).
const DOMAIN: &str = "corp.example.net";
const SITE: &str = "192.0.2.54";

/// The link between the node and the second one.
const LINK: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

/// The name of the second node, and the port of its metrics.
pub(crate) const SECOND: &str = "second";
const SECOND_METRICS: &str = "127.0.0.1:9153";

/// Time in which a program starts on a busy machine.
const STARTED: Duration = Duration::from_secs(30);

/// A program in the node's network that ends with its value, and with this process.
struct Program(Child);

/// The servers outside, and the site's.
pub(crate) struct Outside<'n> {
    node: &'n Node,
    _programs: [Program; 2],
}

/// A node with a network of its own, its own CoreDNS, and a watch that runs as a process.
pub(crate) struct SecondNode<'n> {
    node: &'n Node,
    id: u32,
    programs: Vec<Program>,
}

// === impl Program ===

impl Program {
    fn start(node: &Node, name: &str, words: &[&str]) -> Result<Self> {
        let log = File::create(node.folder().join(format!("{name}.log")))?;
        let mut command = node.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(words);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("starting {name}"))?))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Outside ===

impl<'n> Outside<'n> {
    /// Starts healthy servers.
    pub(crate) fn start(node: &'n Node) -> Result<Self> {
        for address in [OUTSIDE, OUTSIDE_TOO, PROXY] {
            run(node.command("ip").args(["address", "add", &format!("{address}/32"), "dev", "lo"]))?;
        }
        let proxy = format!(
            ". {{\nbind {PROXY}\ntemplate IN A . {{\nanswer \"{{{{ .Name }}}} 1 IN A 198.18.0.4\"\n}}\ntemplate ANY ANY . {{\nrcode NOERROR\n}}\n}}\n"
        );
        fs::write(outside_file(node), outside("NXDOMAIN"))?;
        let proxy_file = node.folder().join("watch-proxy");
        fs::write(&proxy_file, proxy)?;
        let start = |name, file: &Path| {
            Program::start(node, name, &coredns(node, &file.display().to_string()).each_ref().map(String::as_str))
        };
        let programs = [start("outside", &outside_file(node))?, start("proxy", &proxy_file)?];
        Ok(Self { node, _programs: programs })
    }

    /// Lets one of the two servers refuse everything, as an address does that belongs to another machine now.
    pub(crate) fn one_is_stale(&self) -> Result<()> {
        Ok(fs::write(outside_file(self.node), outside("REFUSED"))?)
    }

    /// Drops packets of CoreDNS to both servers.
    pub(crate) fn all_are_gone(&self) -> Result<()> {
        let to = format!("ip daddr {{ {OUTSIDE}, {OUTSIDE_TOO} }} ip saddr 10.244.0.0/24 drop");
        self.rule("filter", "-300", &to)
    }

    /// Drops queries by UDP on their way from the node's pods to the cluster's DNS.
    pub(crate) fn drop_udp(&self) -> Result<()> {
        self.rule("filter", "-300", &format!("ip daddr {CLUSTER_DNS} udp dport 53 drop"))
    }

    /// Lets a proxy answer in place of the cluster's DNS. Its rule comes before those of kube-proxy.
    pub(crate) fn intercept(&self) -> Result<()> {
        self.rule("nat", "-110", &format!("ip daddr {CLUSTER_DNS} udp dport 53 dnat ip to {PROXY}"))
    }

    /// Lets the site's domain have an address for every name.
    pub(crate) fn wildcard(&self) -> Result<()> {
        let site =
            "template IN A {\nanswer \"{{ .Name }} 60 IN A 192.0.2.99\"\n}\ntemplate ANY ANY {\nrcode NOERROR\n}";
        self.site(site)
    }

    /// Ends every fault.
    pub(crate) fn heal(&self) -> Result<()> {
        fs::write(outside_file(self.node), outside("NXDOMAIN"))?;
        self.site("template ANY ANY {\nrcode NXDOMAIN\n}")?;
        // Fails if there is no such table.
        let _ = self.node.command("nft").args(["delete", "table", "inet", "fault"]).output();
        Ok(())
    }

    fn site(&self, answers: &str) -> Result<()> {
        let text = format!("{DOMAIN} {{\nbind {SITE}\nreload 2s 1s\n{answers}\n}}\n");
        Ok(fs::write(self.node.folder().join("site"), text)?)
    }

    fn rule(&self, kind: &str, priority: &str, rule: &str) -> Result<()> {
        nft(
            self.node,
            &format!(
                "table inet fault {{ chain fault {{ type {kind} hook prerouting priority {priority}; {rule}; }}\n}}"
            ),
        )
    }
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        let _ = self.heal();
        for address in [OUTSIDE, OUTSIDE_TOO, PROXY] {
            let _ = run(self.node.command("ip").args(["address", "del", &format!("{address}/32"), "dev", "lo"]));
        }
    }
}

fn outside_file(node: &Node) -> PathBuf {
    node.folder().join("watch-outside")
}

/// Returns the configuration of the servers outside. The second one answers everything with `code`, or like the first.
fn outside(code: &str) -> String {
    let server = |address: &str, is_healthy: bool| {
        let answers = if is_healthy {
            "template IN A example.com {\nmatch ^example[.]com[.]$\nanswer \"{{ .Name }} 60 IN A 203.0.113.7\"\nfallthrough\n}\n\
             template IN AAAA example.com {\nmatch ^example[.]com[.]$\nrcode NOERROR\nfallthrough\n}\n"
        } else {
            ""
        };
        let code = if is_healthy { "NXDOMAIN" } else { code };
        format!(". {{\nbind {address}\nreload 2s 1s\n{answers}template ANY ANY . {{\nrcode {code}\n}}\n}}\n")
    };
    format!("{}{}", server(OUTSIDE, true), server(OUTSIDE_TOO, code == "NXDOMAIN"))
}

fn coredns(node: &Node, file: &str) -> [String; 3] {
    [node.folder().join("bin/coredns").display().to_string(), "-conf".to_owned(), file.to_owned()]
}

// === impl SecondNode ===

impl<'n> SecondNode<'n> {
    /// Starts the second node's network, its CoreDNS, and its watch, which writes to the same cluster.
    pub(crate) fn start(node: &'n Node) -> Result<Self> {
        let holder = Program::start(node, "second", &["unshare", "--net", "sleep", "infinity"])?;
        let mut second = Self { node, id: holder.0.id(), programs: vec![holder] };
        // The program begins when its network is made.
        let program = || fs::read_to_string(format!("/proc/{}/comm", second.id));
        eventually(STARTED, || {
            ensure!(program()?.trim() == "sleep", "no network yet");
            Ok(())
        })?;
        let [here, there] = LINK;
        let links = format!(
            "link add second type veth peer name eth0 netns {}\naddr add {here}/24 dev second\nlink set second up\n",
            second.id
        );
        feed(node.command("ip").args(["-batch", "-"]), &links)?;
        let links =
            format!("link set lo up\naddr add {there}/24 dev eth0\nlink set eth0 up\nroute add default via {here}\n");
        feed(second.command("ip").args(["-batch", "-"]), &links)?;

        let corefile = format!(
            "cluster.local in-addr.arpa {{\nbind {there}\nkubernetes {{\nkubeconfig {}/dns.kubeconfig node\n}}\nready {there}:8181\n}}
{DOMAIN} {{\nbind {there}\ntemplate ANY ANY {{\nrcode NXDOMAIN\n}}\n}}
. {{\nbind {there}\nforward . {OUTSIDE}\ncache 30\n}}\n",
            node.folder().display()
        );
        let file = node.folder().join("second-dns");
        fs::write(&file, corefile)?;
        second.begin("second-dns", &coredns(node, &file.display().to_string()).each_ref().map(String::as_str))?;
        let ready = format!("http://{there}:8181/ready");
        eventually(STARTED, || run(second.command("curl").args(["--silent", "--fail", &ready])).map(drop))?;

        let conf = node.folder().join("second-resolv.conf");
        fs::write(
            &conf,
            format!(
                "search default.svc.cluster.local svc.cluster.local cluster.local {DOMAIN}\nnameserver {there}\noptions ndots:5\n"
            ),
        )?;
        let conf = conf.display().to_string();
        let watch = ["probe", "--watch", "--node", SECOND, "--resolv-conf", &conf, "--metrics-bind", SECOND_METRICS];
        second.begin("second-watch", &[&[env!("CARGO_BIN_EXE_muslin")][..], &watch].concat())?;
        Ok(second)
    }

    /// Returns the metrics of the watch.
    pub(crate) fn metrics(&self) -> Result<String> {
        run(self.command("curl").args(["--silent", "--fail", &format!("http://{SECOND_METRICS}/metrics")]))
    }

    /// Returns what the watch printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.node.folder().join("second-watch.log")).unwrap_or_default()
    }

    fn begin(&mut self, name: &str, words: &[&str]) -> Result<()> {
        let target = format!("--target={}", self.id);
        self.programs.push(Program::start(
            self.node,
            name,
            &[&["nsenter", &target, "--net", "--"][..], words].concat(),
        )?);
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.node.command("nsenter");
        command.args([&format!("--target={}", self.id), "--net", "--", program]);
        command
    }
}

impl Drop for SecondNode<'_> {
    fn drop(&mut self) {
        // The other end is removed with the second node's network.
        let _ = run(self.node.command("ip").args(["link", "del", "second"]));
    }
}

/// Counts the queries of a pod, from before any fault.
pub(crate) fn count_queries(node: &Node, pod: &str) -> Result<()> {
    let rules = format!(
        "table inet counted {{ counter queries {{ }}\nchain count {{ type filter hook prerouting priority -310;
             ip saddr {pod} udp dport 53 counter name queries; ip saddr {pod} tcp dport 53 tcp flags & (syn | ack) == syn counter name queries; }}\n}}"
    );
    nft(node, &rules)
}

/// Returns the number of counted queries.
pub(crate) fn counted_queries(node: &Node) -> Result<u64> {
    let text = run(node.command("nft").args(["list", "counter", "inet", "counted", "queries"]))?;
    let number =
        text.split_whitespace().skip_while(|word| *word != "packets").nth(1).context("no number of packets")?;
    Ok(number.parse()?)
}

/// Ends the counting.
pub(crate) fn stop_counting(node: &Node) {
    let _ = run(node.command("nft").args(["delete", "table", "inet", "counted"]));
}

fn nft(node: &Node, rules: &str) -> Result<()> {
    feed(node.command("nft").args(["-f", "-"]), rules)
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
