//! `muslin probe`: diagnoses DNS where it runs, or in a pod of a cluster.

mod args;
mod in_pod;
mod pod_args;
mod watch;
mod watch_args;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

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

use args::{Output, parse_server};

pub(super) use args::ProbeArgs;

use super::outcome::{Failure, Outcome};
use super::policy_args::FailOn;
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
/// Time in which a container runtime copies the report to the container's log. Two of four reports of 74 KiB ended at a multiple of 4 KiB in
/// the log of containerd 1.6.20, when the process ended right after it had written (github.com/containerd/containerd/issues/7289).
const LOG_COPY: Duration = Duration::from_secs(2);
/// The longest wait for the API server, which only adds a line of evidence.
const API_MAX: Duration = Duration::from_secs(3);

// === impl ProbeArgs ===

impl ProbeArgs {
    pub(super) fn run(&self) -> Outcome {
        if let Some(name) = &self.look_up {
            return look_up(name);
        }
        if let Some(pod) = &self.pod.pod {
            return in_pod::run(self, pod);
        }
        if self.watch.watch {
            return watch::run(self);
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
        self.print(&report)?;
        if std::env::var_os(IN_A_POD).is_some() {
            runtime.block_on(async { tokio::time::sleep(LOG_COPY).await });
        }
        match self.fail_on {
            FailOn(Some(level)) if report.counts().at_least(level) > 0 => Err(Failure::Findings),
            FailOn(_) if stopped => {
                Err(Failure::Outside(anyhow!("stopped: the report has only what was found until then")))
            }
            FailOn(_) => Ok(()),
        }
    }

    fn print(&self, report: &ProbeReport<'_>) -> Outcome {
        terminal::print(&match self.output {
            Output::Human => report.human(terminal::is_coloured(), self.docs.docs_url.as_ref()),
            Output::Json => report.json(),
        })
    }

    async fn probe(&self) -> anyhow::Result<Probe> {
        anyhow::ensure!(os::IS_LINUX || self.pid.is_empty(), "leave --pid out: muslin reads processes on Linux only");
        let conf = self.read_resolv_conf()?;
        let targets = self.targets(&conf)?;
        let is_systems = self.uses_the_systems_file();
        let libraries = if self.no_getaddrinfo || self.watch.watch || !is_systems {
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
        let first = ProgramSource::first_of_pod()
            .filter(|_| self.pid.is_empty() && self.binary.is_empty() && !self.watch.watch);
        Ok(Probe {
            targets,
            nsswitch: NSSWITCH.into(),
            hosts: HOSTS.into(),
            timeout: Duration::from_secs(self.timeout),
            queries_max: self.max_queries,
            pairs: self.pairs,
            burst: self.burst,
            is_short: false,
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

    fn read_resolv_conf(&self) -> anyhow::Result<ResolvConf> {
        let path = self.resolv_conf.as_deref().unwrap_or(Path::new(RESOLV_CONF));
        match probe::read_resolv_conf(path) {
            // If servers are given, the file may be missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.server.is_empty() => {
                Ok(ResolvConf::default())
            }
            conf => conf.with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Returns whether the nameservers are those of this system.
    fn uses_the_systems_file(&self) -> bool {
        self.server.is_empty() && self.resolv_conf.is_none()
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
            let client = cluster::connect_as(self.pod.kubeconfig.as_deref(), self.pod.context.as_deref()).await?;
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
