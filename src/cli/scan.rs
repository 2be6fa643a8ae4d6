//! `muslin scan`: findings in a running cluster, by top-level object and by rule. Only reads.

mod cluster;
mod custom_kinds;
mod html;
mod metadata;
mod output;
mod results;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::cluster::context_name;
use crate::policy::Mode;
use crate::report::Counts;

use cluster::{Cluster, Scope};
use html::About;
use results::ScanResults;

pub(super) use output::JsonDocument as ScanDocument;
pub(super) use results::ImageInUse;

use super::cluster_args::ClusterArgs;
use super::cluster_completion::namespaces;
use super::docs_args::DocsArgs;
use super::outcome::{Failure, Outcome};
use super::registry_args::RegistryArgs;
use super::result_args::ResultArgs;
use super::terminal;
use super::version::version;
use crate::report::table;
use crate::text::{Block, Line};

/// Find what is wrong with the DNS of the pods in a cluster.
///
/// Checks running pods, and the templates of workloads without pods, also those of custom resources such as Rollouts. Groups findings by top-level object, such as the Deployment,
/// and by rule. Only reads; if it has no right to read something, it says so and continues. Resolvers are known from image names,
/// or from the images with --inspect. If muslin is in the PATH as kubectl-muslin, `kubectl muslin scan` does the same.
///
/// Findings that muslin fixes in new pods do not count for --fail-on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin scan -A
  muslin scan -n shop -l app=web --inspect
  kubectl muslin scan -A -o sarif > muslin.sarif
  muslin scan -A --inspect -o html --output-file dns.html")]
pub(super) struct Scan {
    /// The namespace to scan [default: the context's]
    #[arg(long, short, value_name = "NAME", conflicts_with = "all_namespaces", add = namespaces())]
    namespace: Option<String>,

    /// Scan all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,

    /// Scan only pods and workloads that match this label selector
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// The default mode of namespaces without a label, as given to `muslin serve`
    #[arg(long, value_name = "MODE", default_value = "inject")]
    default_mode: Mode,

    /// The default profile of namespaces without a label, as given to `muslin serve`
    #[arg(long, value_name = "NAME", default_value = "default")]
    profile: String,

    /// The cluster's domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,

    /// Read images from their registries instead of trusting their names
    #[arg(long)]
    inspect: bool,

    /// List the images in use and their resolvers instead of findings
    #[arg(long)]
    images: bool,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,

    #[command(flatten)]
    result: ResultArgs,

    #[command(flatten)]
    docs: DocsArgs,

    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// One HTML page with findings by namespace and by rule, for a browser without a network
    Html,
}

// === impl Scan ===

impl Scan {
    pub(super) fn run(&self) -> Outcome {
        self.result.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let results = runtime.block_on(self.scan())?;
        results.notes.iter().for_each(terminal::note);
        let mut counts = Counts::default();
        for counted in results.objects.values().flat_map(|object| &object.findings).filter(|counted| !counted.fixed) {
            counts.add(counted.finding.level);
        }
        let text = self.text_of(&results);
        self.result.finish(&text, |level| counts.at_least(level))
    }

    async fn scan(&self) -> Result<ScanResults, Failure> {
        let scope = Scope {
            namespace: self.namespace.as_deref(),
            all_namespaces: self.all_namespaces,
            selector: self.selector.as_deref(),
            default_mode: self.default_mode,
            profile: &self.profile,
            cluster_domain: &self.cluster_domain,
        };
        let registries = self.inspect.then(|| self.registry.settings()).transpose()?;
        let cluster =
            Cluster::connect(scope, self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref(), registries)
                .await?;
        cluster.scan().await
    }

    fn text_of(&self, results: &ScanResults) -> Block {
        match (self.images, self.output) {
            (_, Output::Html) => html::html(
                results,
                &About {
                    context: context_name(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()),
                    time: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
                    version: version(),
                    docs: self.docs.docs_url.as_ref(),
                    is_inspected: self.inspect,
                },
            ),
            (true, Output::Json) => Block::indented_json(&results.images_in_use()),
            (true, _) => {
                let mut rows = vec![["IMAGE", "RESOLVER", "EVIDENCE", "PODS"].map(Line::new).to_vec()];
                rows.extend(results.images_in_use().into_iter().map(|image| {
                    let pods = image.pods.to_string();
                    [image.image, image.resolver, image.evidence.to_owned(), pods].map(Line::new).to_vec()
                }));
                table(&rows)
            }
            (false, Output::Table) => output::tables(
                results,
                self.docs.docs_url.as_ref().filter(|_| self.result.output_file.is_none() && terminal::is_coloured()),
            ),
            (false, Output::Json) => output::json(results),
            (false, Output::Sarif) => output::sarif(results, self.docs.docs_url.clone()),
        }
    }
}
