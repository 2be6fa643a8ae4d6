//! `muslin queries`: the lowest `ndots` of each workload, from the queries that it made.

mod input;
mod output;
mod pods;
mod profile;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use kube::ResourceExt as _;

use crate::cluster::{ResolverProfile, SelectedProfile};
use crate::queries::{Analysis, Evidence, Limits, Summary, WorkloadName};

use input::Source;
use pods::PodSource;

use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::text::Line;

/// Time between two lists of the cluster's pods.
const RELIST: Duration = Duration::from_secs(30);

/// Find the lowest ndots that each workload can have, from the queries that it made.
///
/// Reads the query log of CoreDNS (its plugin `log`, as text or JSON) from a file or from standard input, or dnstap. Finds the
/// lookups behind the queries, and shows for each workload: queries, the share wasted on the search list, the names found only
/// through the search list, and the lowest ndots that loses none of them: on musl, which never searches for a name with as many dots,
/// and on glibc and Go, which do so later. Where the log allows two readings, the higher ndots counts. Give it the logs of all
/// replicas, for as long as your workloads take to ask for all of their names. Ctrl-C shows what was found so far.
///
/// Clients are pods by their addresses, of the cluster or of a file. A client that stands for many pods, such as a cache on the node,
/// is reported and left out: read the cache's own log instead.
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
    #[arg(long = "for", value_name = "SECONDS")]
    time_limit: Option<u64>,

    /// A file of the cluster's pods, as `kubectl get pods -A -o json` prints them [default: the cluster's]
    #[arg(long, value_name = "FILE")]
    pods: Option<PathBuf>,

    /// The kubeconfig for the cluster [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE", conflicts_with = "pods")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", conflicts_with = "pods")]
    context: Option<String>,

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
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,

    /// Show only the workloads of this name
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,

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
    /// A ResolverProfile for each workload whose ndots can be lower than 5
    Profile,
}

// === impl QueriesArgs ===

impl QueriesArgs {
    pub(super) fn run(&self) -> Outcome {
        let against = self.against.as_ref().map(read_profile).transpose().map_err(Failure::Input)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let analysis = runtime.block_on(self.read());
        // A thread that still waits for standard input must not keep the command from ending.
        runtime.shutdown_background();
        let analysis = analysis?;
        let analysis = analysis.lock().map_err(|_| Failure::Outside(anyhow!("reading the queries failed")))?;
        let (summary, mut evidence) = analysis.finish(self.period.map(f64::from));
        if summary.queries == 0 {
            return Err(Failure::Usage(
                anyhow!("no query in the input"),
                "CoreDNS writes queries with the plugin `log` in its Corefile, in the plugin's common format",
            ));
        }
        evidence.retain(|one| self.shows(&one.workload));
        output::notes(&summary, &evidence).iter().for_each(terminal::note);
        match self.output {
            Output::Table => terminal::print(&output::table_of(&evidence))?,
            Output::Json => terminal::print(&output::json(&summary, &evidence))?,
            Output::Profile => self.print_profiles(&analysis, &evidence)?,
        }
        against.map_or(Ok(()), |(resource, profile)| judge(&analysis, &summary, &evidence, &resource, &profile))
    }

    fn shows(&self, workload: &WorkloadName) -> bool {
        let is = |wanted: &Option<String>, name: &String| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is(&self.namespace, &workload.namespace) && is(&self.workload, &workload.name)
    }

    /// Reads the input until it ends, until Ctrl-C, or until the time limit.
    async fn read(&self) -> Result<Arc<Mutex<Analysis>>, Failure> {
        let source = PodSource::new(self.pods.as_deref(), self.kubeconfig.as_deref(), self.context.as_deref());
        let mut source = source.await?;
        let pods = source.read(&self.cluster_domain).await?;
        let analysis = Analysis::new(pods, &self.cluster_domain, &self.search, Limits::default());
        let analysis = Arc::new(Mutex::new(analysis));
        let input = Source::open(self.file.as_deref(), self.dnstap.as_deref()).await?;
        let mut reading = std::pin::pin!(input.read(Arc::clone(&analysis)));
        let mut stop = std::pin::pin!(async {
            match self.time_limit {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        });
        let mut relist = tokio::time::interval_at(tokio::time::Instant::now() + RELIST, RELIST);
        let can_change = source.can_change();
        loop {
            tokio::select! {
                read = &mut reading => {
                    read?;
                    break;
                }
                () = &mut stop => break,
                signal = tokio::signal::ctrl_c() => {
                    signal.context("cannot wait for Ctrl-C").map_err(Failure::Outside)?;
                    break;
                }
                _ = relist.tick(), if can_change => match source.read(&self.cluster_domain).await {
                    Ok(pods) => if let Ok(mut analysis) = analysis.lock() {
                        analysis.set_pods(pods);
                    },
                    Err(failure) => terminal::note(&Line::new(format!("the pods are those of before: {}", failure.message().text))),
                },
            }
        }
        Ok(analysis)
    }

    fn print_profiles(&self, analysis: &Analysis, evidence: &[Evidence]) -> Outcome {
        let (profiles, notes) = profile::profiles(analysis.pods(), evidence);
        notes.iter().for_each(terminal::note);
        if profiles.is_empty() {
            return Err(Failure::Input(anyhow!("no workload of the log can have a lower ndots by a profile")));
        }
        let documents: Result<Vec<String>, _> = profiles.iter().map(serde_saphyr::to_string).collect();
        let documents = documents.context("cannot write the profile").map_err(Failure::Input)?;
        terminal::print_document(documents.join("---\n").as_bytes())
    }
}

fn read_profile(path: &PathBuf) -> anyhow::Result<(ResolverProfile, SelectedProfile)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let resource: ResolverProfile =
        serde_saphyr::from_str(&text).with_context(|| format!("{shown} is no ResolverProfile"))?;
    let profile = SelectedProfile::from_resource(&resource, true).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{shown}: {}", problems.join("; "))
    })?;
    Ok((resource, profile))
}

/// Fails if the profile's `ndots` loses a name of the log.
fn judge(
    analysis: &Analysis,
    summary: &Summary,
    evidence: &[Evidence],
    resource: &ResolverProfile,
    profile: &SelectedProfile,
) -> Outcome {
    let name = resource.name_any();
    let Some(ndots) = resource.spec.options.musl_ndots() else {
        terminal::note(&Line::new(format!("the profile {name} sets no ndots for musl, so musl loses no name by it")));
        return Ok(());
    };
    let mut checked = 0;
    let mut lost = Vec::new();
    for one in evidence {
        let selected =
            analysis.pods().workloads_with(&one.workload.namespace, |labels| profile.selects(|| labels.clone()));
        if selected.contains(&one.workload) {
            checked += 1;
            lost.extend(one.lost(ndots).map(|searched| (&one.workload, searched)));
        }
    }
    if checked == 0 {
        return Err(Failure::Input(anyhow!("the log has no query of a pod that the profile {name} selects")));
    }
    let Some((WorkloadName { namespace, kind, name: workload }, searched)) = lost.first() else {
        let queries = summary.queries;
        terminal::note(&Line::new(format!(
            "ndots:{ndots} of the profile {name} loses no name of {checked} workloads in {queries} queries"
        )));
        return Ok(());
    };
    let more = if lost.len() > 1 { format!(", and {} more names", lost.len() - 1) } else { String::new() };
    Err(Failure::Found(Line::new(format!(
        "with ndots:{ndots} of the profile {name}, musl loses {} of {namespace}/{kind}/{workload}, found as {}{more}",
        searched.name, searched.found
    ))))
}
