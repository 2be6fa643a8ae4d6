//! Observations of a cluster. Objects stay JSON, as the API server sent them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::check::Check;
use super::expected::Right;

/// An observation, or the reason why there is none.
pub type Seen<T> = Result<T, Unseen>;

/// The reason why there is no observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The caller lacks a right. The text is the API server's.
    Forbidden(String),
    /// The API server or the network failed.
    Failed(String),
}

/// Everything that the checks look at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time of the observations.
    pub now: Timestamp,
    /// The version of the muslin that runs the checks.
    pub own_version: String,
    /// muslin's namespace.
    pub namespace: String,
    /// The version of the API server, such as `v1.34.4`.
    pub server: Seen<String>,
    /// The custom resource definitions that exist.
    pub definitions: Seen<Vec<Value>>,
    /// The webhook configurations, mutating and validating.
    pub configurations: [Seen<Option<Value>>; 2],
    /// The labels of all namespaces.
    pub namespaces: Seen<Vec<NamespaceLabels>>,
    /// muslin's Deployment.
    pub deployment: Seen<Option<Value>>,
    /// The pods of the Deployment.
    pub pods: Seen<Vec<Value>>,
    /// The answers of each pod with an address.
    pub replicas: Vec<Replica>,
    /// The inspections of images that failed in the last minutes, by the logs of the pods, in their order.
    pub failed_inspections: Vec<FailedInspection>,
    /// muslin's Service.
    pub service: Seen<Option<Value>>,
    /// The EndpointSlices of the Service.
    pub slices: Seen<Vec<Value>>,
    /// The Secret with the serving certificate.
    pub secret: ServingSecret,
    /// The trust of each webhook in the serving certificate.
    pub trust: Vec<WebhookTrust>,
    /// The rights that the manifests grant, and whether muslin's service account has them.
    pub rights: Vec<(Right, Seen<bool>)>,
    /// The dry run in a namespace whose pods muslin reviews; `None` if there is none.
    pub dry_run: Option<DryRun>,
    /// The dry run in a namespace of mode `enforce`, where the API server says why it does not reach muslin.
    pub enforced_dry_run: Option<DryRun>,
    /// The API server's metrics, before and after the dry runs.
    pub api_metrics: [Seen<String>; 2],
}

/// A namespace and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceLabels {
    /// The name.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

/// A pod's answers through the API server's pod proxy.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The pod.
    pub pod: String,
    /// The answer of `/readyz` at the plain port.
    pub ready: PortAnswer,
    /// The answer of `/healthz` at the webhook's port.
    pub webhook: PortAnswer,
    /// The pod's metrics.
    pub metrics: PortAnswer,
}

/// An inspection of an image that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FailedInspection {
    /// The image name.
    pub image: String,
    /// The registry that the name means.
    pub registry: String,
    /// The registry cannot be reached or does not work, whatever the image is.
    pub unreachable: bool,
    /// The error.
    pub error: String,
}

/// The answer of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortAnswer {
    /// The status and the body.
    Answer(u16, String),
    /// The API server's reason why there is no answer.
    Silent(String),
    /// The caller may not ask.
    Unseen(Unseen),
}

/// The Secret with the serving certificate.
#[derive(Clone, Debug)]
pub struct ServingSecret {
    /// The name.
    pub name: String,
    /// Is true if muslin itself issues the certificate.
    pub is_muslins: bool,
    /// The certificate in it; `None` if the Secret or a readable certificate is missing.
    pub certificate: Seen<Option<CertificateFacts>>,
}

/// The certificate that muslin serves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The begin of its validity.
    pub from: Timestamp,
    /// The end of its validity.
    pub until: Timestamp,
    /// The names that it is for.
    pub names: Vec<String>,
}

/// The trust of one webhook's `caBundle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTrust {
    /// The webhook's name.
    pub webhook: String,
    /// The trust.
    pub trust: Trust,
}

/// The trust that a `caBundle` puts in the serving certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A valid CA of the bundle issued the certificate.
    Trusted,
    /// The bundle is empty.
    Empty,
    /// The bundle has no readable certificate.
    Unreadable,
    /// No CA of the bundle issued the certificate.
    Foreign,
    /// The CA that issued the certificate is not valid now.
    Expired,
    /// The certificate is not known.
    Unknown,
}

/// A pod that the API server was to create as a dry run.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The namespace.
    pub namespace: String,
    /// The time of the call.
    pub took: Duration,
    /// The answer.
    pub result: CallResult,
}

/// The answer to a dry run.
#[derive(Clone, Debug)]
pub enum CallResult {
    /// The pod as it would be created.
    Created(Box<Value>),
    /// The API server's message why the pod would not be created.
    Denied(String),
    /// There is no answer.
    Unseen(Unseen),
}

// === impl FailedInspection ===

impl FailedInspection {
    /// Returns the failed inspection that a line of muslin's log reports.
    pub fn of_log_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

// === impl Unseen ===

impl Unseen {
    /// Returns a check that could not be made.
    pub(super) fn check(&self, name: &'static str, subject: &str) -> Check {
        match self {
            Self::Forbidden(message) => Check::unknown(
                name,
                format!("you may not read {subject}: {message}"),
                "run muslin doctor with the rights of a cluster admin",
            ),
            Self::Failed(message) => Check::unknown(
                name,
                format!("cannot read {subject}: {message}"),
                "run muslin doctor again; if this stays, look at the API server and at the network between",
            ),
        }
    }
}
