//! The arguments of `muslin probe POD`, which choose the pod and the place of the probe.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::cli::cluster_completion::{namespaces, pods};
use crate::cli::kubectl_names::{parse_label, parse_pod};
use crate::cli::probe_image::parse_image;

/// The arguments for a probe of a pod.
#[derive(Debug, Args)]
pub(crate) struct PodArgs {
    /// Probe for this pod, NAME or pod/NAME: in a pod beside it, on its node and with its DNS settings, which is deleted afterwards; with
    /// --ephemeral in the pod itself [default: where muslin runs]
    #[arg(value_name = "POD", value_parser = parse_pod, group = "in_cluster", add = pods(),
          conflicts_with_all = ["root", "origins_only", "node_resolv_conf", "resolv_conf", "corefile", "binary", "lookup_program"])]
    pub(super) pod: Option<String>,

    /// The namespace of POD [default: that of the context]
    #[arg(long, short, value_name = "NAME", requires = "pod", value_parser = parse_label, add = namespaces())]
    pub(super) namespace: Option<String>,

    /// The container of POD whose process and variables count [default: as for kubectl logs]
    #[arg(long, short, value_name = "NAME", requires = "pod")]
    pub(super) container: Option<String>,

    /// Probe in an ephemeral container of POD. The container stays in the pod's specification until the pod is deleted
    #[arg(long, requires = "pod")]
    pub(super) ephemeral: bool,

    /// The image of muslin for the probe of POD [default: that of the muslin in the cluster]
    #[arg(long, value_name = "IMAGE", requires = "pod", value_parser = parse_image)]
    pub(super) image: Option<String>,

    /// Time limit until the probe of POD runs, which pulls its image first
    #[arg(long, value_name = "SECONDS", default_value = "60", requires = "pod", value_parser = RangedU64ValueParser::<u64>::new().range(1..=3600))]
    pub(super) start_timeout: u64,

    /// The kubeconfig for POD, --from-cluster or --watch --node [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE", requires = "in_cluster")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", requires = "in_cluster")]
    pub(super) context: Option<String>,
}
