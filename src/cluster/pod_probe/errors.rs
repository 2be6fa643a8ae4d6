//! The reasons why a pod cannot be probed, in words for the person who asked.

use std::fmt;
use std::time::Duration;

use super::settings::{PodProbeSettings, ProbePlace};

/// A request to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Reads a pod.
    ReadPod,
    /// Creates the pod beside.
    CreatePod,
    /// Adds the ephemeral container.
    AddContainer,
    /// Reads the log.
    ReadLog,
    /// Deletes the pod beside.
    DeletePod,
}

/// The reason why a probe of a pod fails.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PodProbeError {
    /// There is no such pod.
    #[error("there is no pod {pod} in namespace {namespace}")]
    NoPod { pod: String, namespace: String },
    /// The pod has no such container.
    #[error("the pod has no container {container}; it has {containers}")]
    NoContainer { container: String, containers: String },
    /// The pod cannot be probed.
    #[error("the pod {pod} cannot be probed: {because}")]
    Unfit { pod: String, because: String },
    /// Rights are missing.
    #[error(
        "you have no right to {rights} in namespace {namespace} (docs/probe.md lists the rights of both ways{other_way})"
    )]
    NoRight { rights: String, namespace: String, other_way: &'static str },
    /// Pod Security refuses the pod or the container.
    #[error(
        "Pod Security refuses it: {0}. The probe itself meets the standard restricted, so the namespace refuses what the inspected pod has, \
         such as the host's network"
    )]
    PodSecurity(String),
    /// An admission plugin or webhook refuses the pod or the container.
    #[error("the API server refuses to {what}: {message}")]
    Refused { what: Request, message: String },
    /// The API server's answer is another error.
    #[error("cannot {what}: {message}")]
    Failed { what: Request, message: String },
    /// The API server did not answer.
    #[error("cannot {0}: the API server does not answer")]
    Silent(Request),
    /// A webhook changed the DNS settings of the pod beside.
    #[error(
        "an admission webhook changed the DNS settings of the pod beside ({0}), so that it would not show those of the inspected pod. In a \
         namespace in mode enforce muslin ignores opt-outs; use --ephemeral, which probes in the pod itself"
    )]
    Changed(String),
    /// The image cannot be pulled.
    #[error("the node cannot pull the image {image}: {message}. Name another with --image")]
    Image { image: String, message: String },
    /// The container cannot start.
    #[error("the container of the probe cannot start: {0}")]
    NoStart(String),
    /// The container did not start in time.
    #[error("the probe did not start within {} s{}; --start-timeout allows more", .after.as_secs(), because(.reason.as_deref()))]
    NotStarted { after: Duration, reason: Option<String> },
    /// The container did not end in time.
    #[error("the probe did not end within {} s", .after.as_secs())]
    NotEnded { after: Duration },
    /// The log ends in the middle of a line.
    #[error(
        "the node gives {lines} lines of the probe's log, and then a part of a line: it has lost the end, or cannot be reached. Try again"
    )]
    CutLog { lines: usize },
    /// The pod is gone.
    #[error("the pod {pod} is gone: it was deleted, or evicted")]
    Gone { pod: String },
    /// The caller stopped the probe.
    #[error("stopped")]
    Stopped,
    /// The pod beside could not be deleted.
    #[error("the pod {pod} is left, and could not be deleted ({because}): kubectl delete pod -n {namespace} {pod}")]
    Left { pod: String, namespace: String, because: String },
}

// === impl PodProbeError ===

impl PodProbeError {
    /// Returns true if another input would help, and not another state of the cluster.
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::NoPod { .. } | Self::NoContainer { .. } | Self::Unfit { .. })
    }
}

// === impl Request ===

impl Request {
    /// Returns the right that it needs: the verb and the resource.
    pub(super) const fn right(self) -> (&'static str, &'static str) {
        match self {
            Self::ReadPod => ("get", "pods"),
            Self::CreatePod => ("create", "pods"),
            Self::AddContainer => ("patch", "pods/ephemeralcontainers"),
            Self::ReadLog => ("get", "pods/log"),
            Self::DeletePod => ("delete", "pods"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadPod => "read the pod",
            Self::CreatePod => "create the pod beside",
            Self::AddContainer => "add the ephemeral container",
            Self::ReadLog => "read the log of the probe",
            Self::DeletePod => "delete the pod beside",
        })
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// Returns the error of rights that are missing.
pub(super) fn no_right(rights: &[Request], namespace: &str, place: ProbePlace) -> PodProbeError {
    let rights = rights.iter().map(|request| {
        let (verb, resource) = request.right();
        format!("{verb} {resource}")
    });
    PodProbeError::NoRight {
        rights: rights.collect::<Vec<_>>().join(", "),
        namespace: namespace.to_owned(),
        other_way: match place {
            ProbePlace::Beside => "; --ephemeral needs other ones",
            ProbePlace::Inside => "; without --ephemeral it needs other ones",
        },
    }
}

/// Returns an error with its causes, each once: an error of kube quotes its source.
pub(super) fn causes(error: &kube::Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !message.contains(&cause.to_string()) {
            message = format!("{message}: {cause}");
        }
        source = cause.source();
    }
    message
}

/// Returns the reason for a failed request.
pub(super) fn failed(what: Request, settings: &PodProbeSettings, error: &kube::Error) -> PodProbeError {
    let kube::Error::Api(status) = error else {
        return PodProbeError::Failed { what, message: causes(error) };
    };
    let message = status.message.clone();
    match status.code {
        403 if message.contains("violates PodSecurity") => PodProbeError::PodSecurity(message),
        // RBAC: `User "u" cannot create resource "pods" in API group "" in the namespace "n"`.
        403 if message.contains(" cannot ") && message.contains(" resource ") => {
            no_right(&[what], &settings.namespace, settings.place)
        }
        // Admission plugins such as quotas answer 403, webhooks with any code.
        403 => PodProbeError::Refused { what, message },
        _ if message.starts_with("admission webhook") => PodProbeError::Refused { what, message },
        // For a log, the node may be what is not found.
        404 if matches!(what, Request::AddContainer | Request::DeletePod) => {
            PodProbeError::Gone { pod: settings.pod.clone() }
        }
        _ => PodProbeError::Failed { what, message },
    }
}
