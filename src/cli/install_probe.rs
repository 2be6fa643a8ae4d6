//! `muslin install probe`: the Job that probes DNS, with the image of the muslin in the cluster.

use anyhow::Context as _;
use clap::Args;

use crate::cluster::connect_as;
use crate::installation::ProbeJob;

use super::cluster_args::ClusterArgs;
use super::cluster_completion::namespaces;
use super::kubectl_names::{parse_label, parse_name};
use super::outcome::{Failure, Outcome};
use super::probe_image::{parse_image, probe_image};
use super::terminal;

/// Print a Job that runs muslin probe.
///
/// Pipe it to kubectl create -f -, and read its report by kubectl logs -f job/dns-probe. The Job has the image of the muslin in the cluster,
/// unless you name one. Its pod is reviewed like any other, so that the probe runs with the options that muslin sets; for the settings of a
/// certain pod, use muslin probe POD.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  muslin install probe | kubectl create -n shop -f -
  muslin install probe --node worker-1 --namespace shop --image registry.example.com/muslin:0.1.0
  muslin install probe --node-files | kubectl create -n kube-system -f -")]
pub(super) struct InstallProbe {
    /// The image of muslin [default: that of the muslin in the cluster]
    #[arg(long, value_name = "IMAGE", value_parser = parse_image)]
    image: Option<String>,

    /// The Job's namespace [default: that of kubectl create]
    #[arg(long, short, value_name = "NAME", value_parser = parse_label, add = namespaces())]
    namespace: Option<String>,

    /// The node to probe from [default: any]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    node: Option<String>,

    /// The Job that also shows where the node's nameservers come from; its pod reads the node's files, which needs a namespace without Pod
    /// Security
    #[arg(long)]
    node_files: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

// === impl InstallProbe ===

impl InstallProbe {
    pub(super) fn run(self) -> Outcome {
        let Self { image, namespace, node, node_files, cluster } = self;
        let image = match image {
            Some(image) => image,
            None => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
                runtime.block_on(async {
                    let client = connect_as(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await;
                    let client = client.context("cannot connect to the cluster").map_err(Failure::Outside)?;
                    probe_image(client).await
                })?
            }
        };
        let job = ProbeJob { image, namespace, node, reads_node: node_files };
        terminal::print_document(job.manifest().as_bytes())
    }
}
