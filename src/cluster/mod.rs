//! Everything that talks to the Kubernetes API. Must not know of admission or of command lines.

mod certificates;
mod corefile;
mod doctor;
mod events;
mod fingerprint_names;
mod fingerprints;
mod image_inspection;
mod lease;
mod listing;
mod missed_pods;
mod namespaces;
mod node_caches;
mod own_events;
mod pod_probe;
mod policies;
mod profile_events;
mod profiles;
mod pull_secrets;
mod reports;
mod resources;
mod rollout_lookups;
mod search_domains;
mod status;
mod warm_up;
mod watch;
mod watch_writer;
mod writes;

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

pub use certificates::{CertificateSpec, Certificates, IssueError, Issued, KeyHealth, ProblemEvents, ServingKey};
pub use corefile::corefile;
pub use doctor::{ObserveError, observe};
pub use events::{EventSource, EventTally, Events, PodEvents};
pub use fingerprint_names::{FingerprintFacts, FingerprintNames, NamedImage};
pub use fingerprints::{FACTS_FORMAT, Fingerprints};
pub use image_inspection::{ImageInspection, PodImages};
pub use lease::Lease;
pub use listing::{Listing, Page};
pub use missed_pods::{MarkSource, MissedPods};
pub use namespaces::{LookupError, Namespaces};
pub use node_caches::NodeCaches;
pub use own_events::OwnPod;
pub use pod_probe::{
    NoInstalledImage, PodProbe, PodProbeError, PodProbeEvent, PodProbeSettings, ProbePlace, installed_image,
};
pub use policies::{ImageNames, Policies, PolicyCounts, PolicySettings, PolicyState, withdraw_policies};
pub use profiles::{
    NoProfile, ProfileSettings, Profiles, RolloutSource, SelectedProfile, rollout_note, unrecorded_settings,
};
pub use pull_secrets::PullSecrets;
pub use reports::{FindingSource, ReportCounts, ReportState, ReportedFinding, write_reports};
pub use resources::{
    DNSObservation, DNSObservationSpec, ImageFingerprint, ImageFingerprintSpec, ImageFingerprintStatus,
    NDOTS_EVIDENCE_ANNOTATION, NdotsEvidence, ObservedDomain, ObservedOrigin, ObservedRollout, ObservedWatch,
    ProfileProblem, ResolverProfile, ResolverProfileSpec, ResolverProfileStatus, Rollout, RolloutPhase, RolloutStatus,
    Seen, StandingVerdict, WatchedNameserver,
};
pub use rollout_lookups::RolloutLookups;
pub use search_domains::{
    ObservedDns, SearchCheckSettings, SearchDomains, SearchRounds, delete_old_observations, publish_watch,
};
pub use status::{StatusSettings, observe_status};
pub use warm_up::warm_up;
pub use watch::WatchHealth;
pub use watch_writer::{DnsDeployment, VerdictChange, WatchReport, WatchWriter, WatcherPod};
pub use writes::WriteError;

/// The reason why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file is unusable.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// There is neither a service account nor a kubeconfig.
    #[error("found neither a service account nor a kubeconfig: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    /// The client could not be built.
    #[error("cannot build a client: {0}")]
    Client(#[from] kube::Error),
}

/// Limit of silence in one read of the API. The server renews a watch well within this time.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// Returns a client for a kubeconfig file and one of its contexts, for a person at a command line.
///
/// # Errors
/// No configuration was found, or it is unusable. The cluster is not contacted yet.
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

/// Returns the name of the context that [`connect_as`] uses; `None` in a pod, or if no kubeconfig names one.
pub fn context_name(kubeconfig: Option<&Path>, context: Option<&str>) -> Option<String> {
    let current = || {
        let kubeconfig = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from).ok()?;
        kubeconfig.current_context
    };
    context.map(str::to_owned).or_else(current)
}

/// Returns a client for a kubeconfig file, or for what the environment offers: a service account in a pod, `$KUBECONFIG`,
/// `~/.kube/config`.
///
/// # Errors
/// No configuration was found, or it is unusable. The cluster is not contacted yet.
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
