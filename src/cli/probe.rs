//! `muslin probe`: diagnoses DNS where it runs.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use crate::cluster;
use crate::origins::find_origins;
use crate::os;
use crate::probe::{self, Libraries, PrintedLookup, Probe, ProbeResult, ProgramSource};
use crate::report::{ProbeReport, human_origins, json_origins};
use crate::resolver::NAMESERVERS_MAX;
use crate::verdicts::lookup_costs::{lookup_costs, resolvers_to_compare};
use crate::verdicts::nameserver_origins::NameserverOrigins;
use crate::verdicts::observations::{AskedQuery, Targets, Upstream};
use crate::verdicts::system_files::{ResolvConf, forwards_to};
use crate::verdicts::verdicts;

use super::docs_args::DocsArgs;
use super::outcome::{Failure, Outcome};
use super::policy_args::{FailOn, fail_on};
use super::progress::Progress;
use super::terminal;
use crate::text::{Block, Line};

/// The file that every C library reads.
const RESOLV_CONF: &str = "/etc/resolv.conf";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const HOSTS: &str = "/etc/hosts";
/// Set by the kubelet in every container (kubernetes.io/docs, "Service", "Environment variables").
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";
/// Files that Docker and Podman make in each container (moby daemon/initlayer, `.dockerenv`; podman-run(1), `.containerenv`).
const IN_A_CONTAINER: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// The longest wait for the API server, which only adds a line of evidence.
const API_MAX: Duration = Duration::from_secs(3);

/// Find out what is wrong with DNS in this pod, or on this node.
///
/// Queries the nameservers of resolv.conf by UDP, TCP and EDNS, in pairs as musl, glibc and Go do, and in a burst; looks up the
/// same names by getaddrinfo of each C library here; and compares the results with resolv.conf, nsswitch.conf and hosts. Shows
/// each verdict with its confidence, the evidence, what to do, and which profile of muslin would help. `muslin explain
/// stale-nameserver` explains a verdict. Ctrl-C shows what was found so far. Needs no rights. Sends at most --max-queries queries, all to the nameservers, except
/// for one to 192.0.2.1 (TEST-NET-1), an address that no host has.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin probe
  muslin probe --name my-service.shop.svc.cluster.local --pid 1
  muslin probe --root /host --origins-only
  muslin probe --server 10.96.0.10 --external-name registry.example.com --binary /app -o json")]
pub(super) struct ProbeArgs {
    /// Query these nameservers instead of those of resolv.conf, without lookups through C libraries
    #[arg(long, value_name = "IP[:PORT]", value_parser = parse_server)]
    server: Vec<SocketAddr>,

    /// A full name in the cluster that has an address [default: kubernetes.default.svc and the cluster's domain]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Vec<String>,

    /// An external name that has an address
    #[arg(long, value_name = "NAME", value_parser = parse_name, default_value = "example.com")]
    external_name: Vec<String>,

    /// Only query names inside the cluster
    #[arg(long)]
    inside_only: bool,

    /// Only query external names: for a node, or a pod that needs no name of the cluster
    #[arg(long, conflicts_with_all = ["inside_only", "name"])]
    outside_only: bool,

    /// Invent names that do not exist below these domains [default: com, net, org and the external names]
    #[arg(long, value_name = "DOMAIN", value_parser = parse_name)]
    invent_below: Vec<String>,

    /// A name with an answer over 512 bytes [default: the root's keys]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    large_name: Option<String>,

    /// The cluster's domain [default: from the search list, else cluster.local]
    #[arg(long, value_name = "DOMAIN", value_parser = parse_name)]
    cluster_domain: Option<String>,

    /// Show which resolver these processes use, and what the verdicts mean for them; ask their C libraries too (on Linux) [default:
    /// process 1 of a pod, without its libraries]
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,

    /// The same for these program files
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,

    /// Read this file instead of /etc/resolv.conf, without lookups through C libraries
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,

    /// The node's own resolv.conf, to show which of its nameservers are stale
    #[arg(long, value_name = "FILE")]
    node_resolv_conf: Option<PathBuf>,

    /// The node's root folder, to show where its nameservers come from; they are queried too [default: / outside of containers]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Only show where the node's nameservers come from, and send no query
    #[arg(long, conflicts_with_all = ["server", "resolv_conf"])]
    origins_only: bool,

    /// Also query these servers, to which the nameservers forward
    #[arg(long, value_name = "IP[:PORT]", value_parser = parse_server)]
    upstream: Vec<SocketAddr>,

    /// CoreDNS's Corefile, to show where it forwards
    #[arg(long, value_name = "FILE")]
    corefile: Option<PathBuf>,

    /// Read CoreDNS's Corefile from the ConfigMap kube-system/coredns
    #[arg(long, conflicts_with = "corefile")]
    from_cluster: bool,

    /// The kubeconfig for --from-cluster [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE", requires = "from_cluster")]
    kubeconfig: Option<PathBuf>,

    /// Do not send the query to TEST-NET-1 that detects interception
    #[arg(long)]
    no_interception_query: bool,

    /// Do not look up names through C libraries
    #[arg(long)]
    no_getaddrinfo: bool,

    /// Program that each C library's loader starts to look up a name [default: the one built into releases]
    #[arg(long, value_name = "FILE", conflicts_with = "no_getaddrinfo")]
    lookup_program: Option<PathBuf>,

    /// Time limit of the whole probe
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,

    /// Limit of queries sent in all
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    max_queries: u32,

    /// Pairs of A and AAAA to send in each of four ways; up to three times as many if some are lost
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pairs: u32,

    /// Queries to send at once at the end
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    burst: u32,

    /// Output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,

    /// Exit with 1 if there is a verdict of this level or above: deny, warn, info or never
    #[arg(long, value_name = "LEVEL", default_value = "deny",
          value_parser = clap::builder::TypedValueParser::map(
              clap::builder::PossibleValuesParser::new(["deny", "warn", "info", "never"]), fail_on))]
    fail_on: FailOn,

    #[command(flatten)]
    docs: DocsArgs,

    /// Only look up this name, through muslin's own C library
    #[arg(long, value_name = "NAME", hide = true)]
    look_up: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Text for people
    Human,
    /// One JSON document: verdicts, costs, lookups, pairs, asked, targets, surroundings and summary
    Json,
}

/// Parses an address with or without a port.
fn parse_server(text: &str) -> Result<SocketAddr, &'static str> {
    let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    ip.or_else(|_| text.parse::<SocketAddr>())
        .map_err(|_| "not an address such as 10.96.0.10, 10.96.0.10:53 or [fd00::a]:53")
}

/// Parses a name, without its final dot.
fn parse_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim_end_matches('.');
    let is_name = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        });
    if is_name { Ok(name.to_owned()) } else { Err("not a name such as my-service.shop.svc.cluster.local") }
}

// === impl ProbeArgs ===

impl ProbeArgs {
    pub(super) fn run(&self) -> Outcome {
        if let Some(name) = &self.look_up {
            return look_up(name);
        }
        if self.origins_only {
            return self.show_origins();
        }
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let probe = runtime.block_on(self.probe()).map_err(Failure::Input)?;
        let progress = Mutex::new(Progress::default());
        let on_progress = |now: probe::Progress| {
            let Ok(mut progress) = progress.lock() else { return };
            let probe::Progress { doing, sent, answered: (answered, asked) } = now;
            let seconds = began.elapsed().as_secs();
            progress.advance(|| {
                format!("{seconds} s of {}: {doing}; {sent} queries sent, {answered} of {asked} answered", self.timeout)
                    .into()
            });
        };
        // Without a handler Ctrl-C ends the probe without a report.
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ProbeResult { seen, sent, stopped } = runtime.block_on(probe.run(&on_progress, stop));
        drop(progress);
        if stopped && seen.single_queries().next().is_none() {
            return Err(Failure::Outside(anyhow!("stopped before any query was answered")));
        }
        if seen.single_queries().next().is_none() {
            return Err(Failure::Input(anyhow!("no query could be sent: raise --max-queries or --timeout")));
        }
        let verdicts = verdicts(&seen);
        if !stopped && verdicts.is_empty() && !seen.single_queries().any(AskedQuery::is_answered) {
            return Err(Failure::Input(anyhow!(
                "no query was answered, and too few were sent to tell why: raise --max-queries or --timeout"
            )));
        }
        let costs = lookup_costs(&seen, &resolvers_to_compare(&seen));
        let report =
            ProbeReport { seen: &seen, verdicts: &verdicts, costs: &costs, sent, stopped, took: began.elapsed() };
        terminal::print(&match self.output {
            Output::Human => report.human(terminal::is_coloured(), self.docs.docs_url.as_ref()),
            Output::Json => report.json(),
        })?;
        match self.fail_on {
            FailOn(Some(level)) if report.counts().at_least(level) > 0 => Err(Failure::Findings),
            FailOn(_) if stopped => {
                Err(Failure::Outside(anyhow!("stopped: the report has only what was found until then")))
            }
            FailOn(_) => Ok(()),
        }
    }

    async fn probe(&self) -> anyhow::Result<Probe> {
        anyhow::ensure!(os::IS_LINUX || self.pid.is_empty(), "leave --pid out: muslin reads processes on Linux only");
        let path = self.resolv_conf.as_deref().unwrap_or(Path::new(RESOLV_CONF));
        let conf = match probe::read_resolv_conf(path) {
            // If servers are given, the file may be missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.server.is_empty() => ResolvConf::default(),
            conf => conf.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let targets = self.targets(&conf)?;
        let is_systems = self.server.is_empty() && self.resolv_conf.is_none();
        let libraries = if self.no_getaddrinfo || !is_systems {
            Libraries::default()
        } else {
            let program = self.lookup_program.as_deref();
            let found = Libraries::find(program, &self.pid, &self.binary);
            found.with_context(|| format!("cannot read {}", program.unwrap_or(Path::new("")).display()))?
        };
        let node = self.node_resolv_conf.as_deref();
        let node =
            node.map(|path| probe::read_resolv_conf(path).with_context(|| format!("cannot read {}", path.display())));
        let processes = self.pid.iter().map(|id| ProgramSource::Process(*id));
        let origins = self.origins(is_systems)?;
        let given = self.root.as_ref().and(origins.as_ref());
        let of_node = given.map(|origins| node_upstreams(origins, &targets)).unwrap_or_default();
        let read = given.map(|origins| origins.nameservers.iter().map(ToString::to_string).collect());
        let from = given.map_or_else(String::new, |origins| format!("the node's {}", origins.resolv_conf));
        let known = self.known_upstreams(&of_node, &from).await?;
        let first = ProgramSource::first_of_pod().filter(|_| self.pid.is_empty() && self.binary.is_empty());
        Ok(Probe {
            targets,
            nsswitch: NSSWITCH.into(),
            hosts: HOSTS.into(),
            timeout: Duration::from_secs(self.timeout),
            queries_max: self.max_queries,
            pairs: self.pairs,
            burst: self.burst,
            interception: !self.no_interception_query && !self.inside_only,
            libraries,
            programs: processes.chain(self.binary.iter().cloned().map(ProgramSource::File)).chain(first).collect(),
            upstreams: self.upstream.iter().copied().chain(of_node.into_iter().filter(|_| !self.inside_only)).collect(),
            known_upstreams: known,
            node_nameservers: node.transpose()?.map(|conf| conf.nameservers).or(read),
            nameserver_origins: origins,
            resolv_conf: conf,
        })
    }

    fn targets(&self, conf: &ResolvConf) -> anyhow::Result<Targets> {
        let cluster_domain = self.cluster_domain.clone().or_else(|| {
            let from_search = conf.search.iter().find_map(|domain| domain.strip_prefix("svc."));
            from_search.map(|domain| domain.trim_end_matches('.').to_owned())
        });
        let cluster_domain = cluster_domain.unwrap_or_else(|| "cluster.local".to_owned());
        let mut servers = self.server.clone();
        if servers.is_empty() {
            let named = conf.nameservers.iter().take(usize::try_from(NAMESERVERS_MAX).unwrap_or(usize::MAX));
            servers = named.filter_map(|address| parse_server(address.split('%').next()?).ok()).collect();
        }
        anyhow::ensure!(
            !servers.is_empty(),
            "resolv.conf has no nameserver: give one with --server, or another file with --resolv-conf"
        );
        let names = if self.outside_only {
            Vec::new()
        } else if self.name.is_empty() {
            vec![Targets::api_server_name(&cluster_domain)]
        } else {
            self.name.clone()
        };
        let external_names = if self.inside_only { Vec::new() } else { self.external_name.clone() };
        let invented_below = match (self.inside_only, self.invent_below.is_empty()) {
            (true, _) => Vec::new(),
            (false, false) => self.invent_below.clone(),
            (false, true) => {
                ["com", "net", "org"].map(str::to_owned).into_iter().chain(external_names.clone()).collect()
            }
        };
        Ok(Targets {
            servers,
            names,
            external_names,
            invented_below,
            large_name: self.large_name.clone(),
            cluster_domain,
        })
    }

    /// Returns where the node's nameservers come from, if this is a node, or its files are below `--root`.
    fn origins(&self, is_systems: bool) -> anyhow::Result<Option<NameserverOrigins>> {
        let is_container =
            || std::env::var_os(IN_A_POD).is_some() || IN_A_CONTAINER.iter().any(|path| Path::new(path).exists());
        let is_node = || os::IS_LINUX && is_systems && !is_container();
        let Some(root) = self.root.clone().or_else(|| is_node().then(|| PathBuf::from("/"))) else { return Ok(None) };
        let tree = probe::read_node_files(&root).with_context(|| format!("cannot read {}", root.display()))?;
        Ok(Some(find_origins(&tree, &root.display().to_string())))
    }

    fn show_origins(&self) -> Outcome {
        let origins = self.origins(true).map_err(Failure::Input)?;
        let Some(origins) = origins else {
            return Err(Failure::Input(anyhow!("in a container, name the folder with the node's files: --root DIR")));
        };
        let text = match self.output {
            Output::Human => human_origins(&origins),
            Output::Json => json_origins(&origins),
        };
        terminal::print(&text)
    }

    async fn known_upstreams(&self, of_node: &[SocketAddr], from: &str) -> anyhow::Result<Vec<Upstream>> {
        let named = self
            .upstream
            .iter()
            .map(|server| Upstream { address: server.ip().to_string(), from: "--upstream".to_owned() });
        let of_node = of_node.iter().map(|server| Upstream { address: server.ip().to_string(), from: from.to_owned() });
        let mut known: Vec<Upstream> = named.chain(of_node).collect();
        let (text, from) = if let Some(path) = &self.corefile {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (Some(text), path.display().to_string())
        } else if self.from_cluster {
            (self.corefile_of_cluster().await, "the Corefile of kube-system/coredns".to_owned())
        } else {
            (None, String::new())
        };
        for address in text.as_deref().map(forwards_to).unwrap_or_default() {
            if !known.iter().any(|upstream| upstream.address == address) {
                known.push(Upstream { address, from: from.clone() });
            }
        }
        Ok(known)
    }

    /// Returns the Corefile that the API server has. If it cannot be read, a note says so and the probe goes on.
    async fn corefile_of_cluster(&self) -> Option<String> {
        let read = async {
            let client = cluster::connect(self.kubeconfig.as_deref()).await?;
            anyhow::Ok(cluster::corefile(client).await?)
        };
        let outcome =
            tokio::time::timeout(API_MAX, read).await.unwrap_or_else(|_| Err(anyhow!("the API server did not answer")));
        outcome.unwrap_or_else(|error| {
            terminal::note(&Line::new(format!("it is unknown where CoreDNS forwards: {error:#}")));
            None
        })
    }
}

/// Returns the node's nameservers to query as servers behind the nameservers: not those that are queried anyway, nor loopback
/// addresses, which are other servers here.
fn node_upstreams(origins: &NameserverOrigins, targets: &Targets) -> Vec<SocketAddr> {
    let addresses = origins.nameservers.iter().filter(|address| !address.is_loopback());
    let servers = addresses.map(|address| SocketAddr::new(*address, 53));
    servers.filter(|server| !targets.servers.contains(server)).collect()
}

/// Looks up a name by the `getaddrinfo` that muslin is linked to, and prints the result as the lookup program does.
fn look_up(name: &str) -> Outcome {
    let began = Instant::now();
    let found = (name, 0).to_socket_addrs();
    let microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let printed = match found {
        Ok(found) => {
            let addresses = found.map(|address| address.ip()).collect();
            PrintedLookup { microseconds, error: None, addresses }
        }
        Err(error) => PrintedLookup { microseconds, error: Some(error.to_string()), addresses: Vec::new() },
    };
    let mut line = Block::json(&printed);
    line.push_line("");
    terminal::print(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_servers_with_and_without_a_port() {
        assert_eq!(parse_server("10.0.0.10"), Ok("10.0.0.10:53".parse().unwrap()));
        assert_eq!(parse_server("[fd00::a]:5353"), Ok("[fd00::a]:5353".parse().unwrap()));
        assert!(parse_server("dns.example.com").is_err());
    }

    #[test]
    fn accepts_names_that_fit_a_dns_message() {
        assert_eq!(parse_name("example.com."), Ok("example.com".to_owned()));
        for text in ["", ".", "a..b", "a b", &"x".repeat(64), &"x.".repeat(128)] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }
}
