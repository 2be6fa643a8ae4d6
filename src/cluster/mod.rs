//! Everything that talks to the Kubernetes API. Must not know of admission or of command lines.

mod certificates;
mod corefile;
mod events;
mod fingerprints;
mod image_inspection;
mod lease;
mod listing;
mod namespaces;
mod profiles;
mod pull_secrets;
mod resources;
mod warm_up;
mod watch;

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

pub use certificates::{CertificateSpec, Certificates, IssueError, Issued, ServingKey};
pub use corefile::corefile;
pub use events::{Events, Story, Tally as EventTally, Teller};
pub use fingerprints::Fingerprints;
pub use image_inspection::{Answers, Inspection};
pub use lease::Lease;
pub use listing::{Listing, Page};
pub use namespaces::{LookupError, Namespaces};
pub use profiles::{Edition, NoProfile, Profiles, SelectedProfile};
pub use pull_secrets::PullSecrets;
pub use resources::{
    ImageFingerprint, ImageFingerprintSpec, ImageFingerprintStatus, ResolverProfile, ResolverProfileSpec,
    ResolverProfileStatus, Seen,
};
pub use warm_up::warm_up;
pub use watch::WatchHealth;

/// Why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file is unusable.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// There is neither a service account nor a kubeconfig.
    #[error("found neither a service account nor a kubeconfig: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    /// The client could not be made of them.
    #[error("cannot make a client: {0}")]
    Client(#[from] kube::Error),
}

/// How long one read of the API may be silent; a watch is renewed by the server well within it.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// A client by a kubeconfig file and one of its contexts, for a person at a command line.
///
/// # Errors
/// Nothing to connect by was found, or it is unusable. Whether the cluster answers is not tried.
pub async fn connect_as(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ConnectError> {
    let Some(context) = context else { return connect(kubeconfig).await };
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = match kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        None => Config::from_kubeconfig(&options).await?,
    };
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config)?)
}

/// A client by a kubeconfig file, or by the surroundings: a service account in a pod, `$KUBECONFIG`, `~/.kube/config`.
///
/// # Errors
/// Nothing to connect by was found, or it is unusable. Whether the cluster answers is not tried.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await?,
    };
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config)?)
}
