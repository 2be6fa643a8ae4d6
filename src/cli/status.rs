//! `muslin status`: one picture of the DNS of a cluster. Only reads.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::cluster_args::ClusterArgs;
use super::cluster_completion::namespaces;
use super::install::namespace;
use super::outcome::{Failure, Outcome};
use super::result_args::ResultArgs;
use super::version::version;
use crate::cluster::{self, NoProfile, StatusSettings, context_name};
use crate::policy::Mode;
use crate::report::{StatusView, human_status, json_status, status_page};
use crate::status::status;
use crate::text::Block;

/// Limit of the whole observation. A cluster of 1,000 nodes and 5,000 pods needs some seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Show the state of DNS in a cluster: nodes by verdict, what differs between them, namespaces, images, and muslin itself.
///
/// Reads what the watchers of muslin (muslin install --watch) see on each node, the labels of namespaces, the profiles, the images of
/// running pods, and muslin's own parts. The most important comes first: a standing verdict, a search domain that breaks lookups, a node
/// that is unlike the others with the file and the program that its nameserver comes from, a node without a watcher. Writes nothing, and
/// sends no DNS query. What you have no right to read is named as not known.
///
/// Exit codes: 0 if there is nothing at or above --fail-on, 1 if there is, 2 for wrong arguments, 3 if the cluster cannot be reached.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin status
  muslin status --fail-on warn
  kubectl muslin status -o html --output-file dns.html
  muslin status -o json | jq -r '.nodes[] | select(.state != \"healthy\") | .node'

Rights (kubectl apply -k manifests/status makes roles of them): list on nodes, namespaces and pods, on dnsobservations, resolverprofiles and imagefingerprints of muslin.dev; in muslin's namespace
get on its Deployment, Service and Secret, and list on pods and endpointslices; get on both webhook configurations.")]
pub(super) struct StatusArgs {
    /// muslin's namespace [default: that of the Service in the webhook configuration]
    #[arg(long, short, value_name = "NAME", value_parser = namespace, add = namespaces())]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// The default mode of namespaces without a label [default: that of muslin's Deployment]
    #[arg(long, value_name = "MODE")]
    default_mode: Option<Mode>,

    /// The default profile of namespaces without a label [default: that of muslin's Deployment]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Leave out the images of running pods, for which all pods are read
    #[arg(long)]
    no_images: bool,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,

    #[command(flatten)]
    result: ResultArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Human,
    /// One JSON document
    Json,
    /// One HTML page, for a browser without a network
    Html,
}

// === impl StatusArgs ===

impl StatusArgs {
    pub(super) fn run(&self) -> Outcome {
        self.result.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let status = status(runtime.block_on(self.observe())?);
        let text = self.text_of(&status);
        self.result.finish(&text, |level| status.problems_at_least(level))
    }

    async fn observe(&self) -> Result<crate::status::Observed, Failure> {
        let client = cluster::connect_as(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()).await;
        let client = client
            .context("cannot connect to the cluster (--kubeconfig and --context choose one)")
            .map_err(Failure::Input)?;
        let settings = StatusSettings {
            namespace: self.namespace.clone(),
            default_mode: self.default_mode,
            profile: self.profile.clone(),
            without_images: self.no_images,
        };
        let observed = cluster::observe_status(client, &settings, env!("CARGO_PKG_VERSION"));
        let observed = tokio::time::timeout(LIMIT, observed).await;
        let observed = observed.context("the API server is too slow").map_err(Failure::Outside)?;
        let observed = observed.map_err(|error| Failure::Outside(error.into()))?;
        self.check_profile(&observed).map_err(|error| Failure::Input(error.into()))?;
        Ok(observed)
    }

    /// Checks that the profile of `--profile` exists, if profiles could be listed.
    fn check_profile(&self, observed: &crate::status::Observed) -> Result<(), NoProfile> {
        let (Some(name), Ok(known)) = (self.profile.clone(), &observed.profiles) else { return Ok(()) };
        let known: Vec<String> = known.iter().map(|profile| profile.name.clone()).collect();
        if known.contains(&name) { Ok(()) } else { Err(NoProfile::Missing { name, known }) }
    }

    fn text_of(&self, status: &crate::status::Status) -> Block {
        let view = StatusView {
            context: context_name(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()),
            version: version().to_owned(),
        };
        match self.output {
            Output::Human => human_status(status, &view),
            Output::Json => json_status(status, &view),
            Output::Html => status_page(status, &view),
        }
    }
}
