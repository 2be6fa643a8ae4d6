//! `muslin queries`: the lowest `ndots` of each workload, from the queries that it made.

mod against;
mod input;
mod output;
mod pods;
mod profile;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use crate::os::Signals;
use crate::queries::{Analysis, Evidence, Limits, Settings, Summary, WorkloadName};
use crate::text::Line;

use against::Judged;
use input::Source;
use pods::PodSource;

pub(super) use output::JsonDocument as QueriesDocument;

use super::cluster_args::ClusterArgs;
use super::cluster_completion::namespaces;
use super::outcome::{Failure, Outcome};
use super::terminal;

/// Time between two lists of the cluster's pods.
const RELIST: Duration = Duration::from_secs(30);

/// The most workloads without a profile that are noted one by one.
const PROFILE_NOTES: usize = 20;

/// Find the lowest ndots that each workload can have, from the queries that it made.
///
/// Reads the query log of CoreDNS (its plugin `log`, as text or JSON) from a file or from standard input, or dnstap. Finds the
/// lookups behind the queries, and shows for each workload: its resolver, queries, the share wasted on the search list, the names found
/// only through the search list, and the lowest ndots that loses none of them. musl never searches for a name with as many dots; glibc
/// and Go do so later, but first ask outside of the cluster (LEAKS). Where the log allows two readings, the higher ndots counts. Give it
/// the logs of all replicas, for as long as your workloads take to ask for all of their names. Ctrl-C shows what was found so far.
///
/// Clients are pods by their addresses, of the cluster or of a file. A client that stands for many pods, such as a cache on the node,
/// is reported and left out: read the cache's own log instead.
///
/// Exit codes: 0 if the profile of --against loses no name, and without it; 1 if it loses one; 2 for unusable input; 3 if the cluster
/// cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl -n kube-system logs -l k8s-app=kube-dns --tail=-1 --prefix --timestamps | muslin queries
  kubectl -n kube-system logs -l k8s-app=kube-dns -f --timestamps | muslin queries --for 3600 -n shop
  muslin queries coredns.log --pods pods.json -n shop --workload web -o profile
  muslin queries coredns.log --pods pods.json --against profile.yaml
  muslin queries --dnstap tcp:0.0.0.0:6000 --for 600")]
pub(super) struct QueriesArgs {
    /// The log file; - or nothing for standard input
    #[arg(value_name = "FILE", conflicts_with = "dnstap")]
    file: Option<PathBuf>,

    /// Read dnstap: listen on unix:PATH or tcp:IP:PORT until Ctrl-C or --for, or read a FILE of frame streams
    #[arg(long, value_name = "SOURCE")]
    dnstap: Option<String>,

    /// Stop reading after this time
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    time_limit: Option<u32>,

    /// A file of the cluster's pods, as `kubectl get pods -A -o json` prints them [default: the cluster's]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "context"])]
    pods: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,

    /// A domain that nodes add to the search list; others are learned from the queries
    #[arg(long, value_name = "DOMAIN")]
    search: Vec<String>,

    /// The time that a log without times covers
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    period: Option<u32>,

    /// Show only the workloads of this namespace
    #[arg(long, short, value_name = "NAME", add = namespaces())]
    namespace: Option<String>,

    /// Show only the workloads of this name
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,

    /// Count a name that glibc or Go would first ask for outside of the cluster as lost
    #[arg(long)]
    no_leaks: bool,

    /// Exit with 1 if this ResolverProfile's ndots loses a name that its pods asked for
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// A ResolverProfile for each workload whose ndots can be lower than 5, to apply
    Profile,
}

// === impl QueriesArgs ===

impl QueriesArgs {
    pub(super) fn run(&self) -> Outcome {
        let against = self.against.as_deref().map(Judged::read).transpose().map_err(Failure::Input)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let analysis = runtime.block_on(self.read());
        // A thread that still waits for standard input must not keep the command from ending.
        runtime.shutdown_background();
        let analysis = analysis?;
        let mut analysis = analysis.lock().map_err(|_| Failure::Outside(anyhow!("reading the queries failed")))?;
        let (summary, all) = analysis.finish(self.period.map(f64::from));
        if summary.queries == 0 {
            return Err(Failure::Usage(
                anyhow!("no query in the input"),
                "CoreDNS writes queries with the plugin `log` in its Corefile, in the plugin's common format",
            ));
        }
        let shown: Vec<&Evidence> = all.iter().filter(|one| self.shows(&one.workload)).collect();
        output::notes(&summary, &shown).iter().for_each(terminal::note);
        match self.output {
            Output::Table => terminal::print(&output::table_of(&shown))?,
            Output::Json => terminal::print(&output::json(&summary, &shown))?,
            Output::Profile => print_profiles(&analysis, &summary, &shown, &all)?,
        }
        match against {
            Some(judged) => judged.judge(analysis.pods(), &summary, &all, self.no_leaks),
            None => Ok(()),
        }
    }

    fn shows(&self, workload: &WorkloadName) -> bool {
        let is = |wanted: &Option<String>, name: &String| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is(&self.namespace, &workload.namespace) && is(&self.workload, &workload.name)
    }

    /// Reads the input until it ends, until a signal, or until the time limit.
    async fn read(&self) -> Result<Arc<Mutex<Analysis>>, Failure> {
        let mut signals = Signals::new().context("cannot wait for signals").map_err(Failure::Outside)?;
        let source =
            PodSource::new(self.pods.as_deref(), self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref());
        let mut source = source.await?;
        let pods = source.read(&self.cluster_domain).await?;
        let settings = Settings {
            cluster_domain: self.cluster_domain.clone(),
            node_domains: self.search.clone(),
            pods_change: source.can_change(),
            no_leaks: self.no_leaks,
        };
        let analysis = Arc::new(Mutex::new(Analysis::new(pods, settings, Limits::default())));
        let input = Source::open(self.file.as_deref(), self.dnstap.as_deref()).await?;
        let mut reading = std::pin::pin!(input.read(Arc::clone(&analysis)));
        let mut stop = std::pin::pin!(async {
            match self.time_limit {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                None => std::future::pending().await,
            }
        });
        let mut relist = tokio::time::interval_at(tokio::time::Instant::now() + RELIST, RELIST);
        loop {
            tokio::select! {
                read = &mut reading => {
                    read?;
                    break;
                }
                () = &mut stop => break,
                _ = signals.next() => break,
                _ = relist.tick(), if source.can_change() => self.read_pods(&mut source, &analysis).await,
            }
        }
        if analysis.lock().is_ok_and(|analysis| analysis.waits_for_pods()) {
            self.read_pods(&mut source, &analysis).await;
        }
        Ok(analysis)
    }

    /// Reads the pods anew.
    async fn read_pods(&self, source: &mut PodSource, analysis: &Mutex<Analysis>) {
        match source.read(&self.cluster_domain).await {
            Ok(pods) => {
                if let Ok(mut analysis) = analysis.lock() {
                    analysis.set_pods(pods);
                }
            }
            Err(failure) => {
                terminal::note(&Line::new(format!(
                    "the pods are those of before: {}",
                    failure.message().map(|message| message.text).unwrap_or_default()
                )));
            }
        }
    }
}

fn print_profiles(analysis: &Analysis, summary: &Summary, shown: &[&Evidence], all: &[Evidence]) -> Outcome {
    let (profiles, notes) = profile::profiles(analysis.pods(), summary, shown, all);
    notes.iter().take(PROFILE_NOTES).for_each(terminal::note);
    if notes.len() > PROFILE_NOTES {
        let more = notes.len() - PROFILE_NOTES;
        terminal::note(&Line::new(format!("no profile for {more} more workloads")));
    }
    if profiles.is_empty() {
        return Err(Failure::Input(anyhow!("no workload of the log can have a lower ndots by a profile")));
    }
    let documents: Result<Vec<String>, _> = profiles.iter().map(serde_saphyr::to_string).collect();
    let documents = documents.context("cannot write the profile").map_err(Failure::Input)?;
    terminal::print_document(documents.join("---\n").as_bytes())
}
