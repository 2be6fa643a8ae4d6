//! The arguments that choose the cluster.

use std::path::PathBuf;

use clap::Args;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// The kubeconfig for the cluster [default: $KUBECONFIG, ~/.kube/config, the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}
