//! Observations of a cluster. Those of nodes are read as the API server sends a `DNSObservation`; a field that a later muslin adds is
//! ignored.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doctor::{Check, NamespaceLabels, Seen, Unseen};
use crate::policy::Mode;

/// Everything that a status is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time of the observations.
    pub now: Timestamp,
    /// The nodes of the cluster.
    pub nodes: Seen<Vec<Node>>,
    /// The observations of nodes; of those that could not be read, the names are in `unreadable`.
    pub observations: Seen<Vec<NodeObservation>>,
    /// Objects that could not be read, in sentences.
    pub unreadable: Vec<String>,
    /// All namespaces, with their labels.
    pub namespaces: Seen<Vec<NamespaceLabels>>,
    /// The profiles, the built-in ones included.
    pub profiles: Seen<Vec<ObservedProfile>>,
    /// The mode and the profile of namespaces without labels.
    pub defaults: Defaults,
    /// The images of running pods; `None` if they were not asked for.
    pub images: Seen<Option<ImagesInUse>>,
    /// muslin's namespace.
    pub namespace: String,
    /// There is a Deployment of muslin, or a webhook configuration; true if that is not known.
    pub is_installed: bool,
    /// Checks of muslin's own parts.
    pub checks: Vec<Check>,
    /// The end of the serving certificate's validity, if it could be read.
    pub certificate_until: Option<Timestamp>,
}

/// The mode and the profile of namespaces without labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The mode.
    pub mode: Mode,
    /// The name of the profile.
    pub profile: String,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: String,
    /// The kubelet reports that the node is ready.
    pub is_ready: bool,
    /// No watcher can run on the node: it runs Windows, or is a virtual kubelet's.
    pub is_foreign: bool,
}

/// A `DNSObservation`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeObservation {
    /// The node.
    pub node: String,
    /// The observation.
    pub spec: WatchSpec,
}

/// The part of a `DNSObservation` that a status is made from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchSpec {
    /// The nameservers of the node's pods.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// The time of the last check of search domains.
    pub checked_at: Timestamp,
    /// The search domains and their answers to names that do not exist.
    #[serde(default)]
    pub domains: Vec<SearchDomain>,
    /// The watcher's part.
    #[serde(default)]
    pub watch: Option<NodeWatch>,
}

/// A search domain of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchDomain {
    /// The domain.
    pub domain: String,
    /// The answer to names that do not exist: NXDOMAIN, as it should be, another one that breaks lookups, or unknown.
    pub answer: String,
    /// The time since which the answer is so.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// The watcher's part of a `DNSObservation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeWatch {
    /// The watcher's pod.
    pub pod: String,
    /// The watcher's version of muslin.
    pub version: String,
    /// The time of the last round before the watcher wrote this.
    #[schemars(with = "String")]
    pub checked_at: Timestamp,
    /// The number of rounds since the watcher started.
    pub rounds: i64,
    /// The time of the last full probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub probed_at: Option<Timestamp>,
    /// The verdicts that stand.
    #[serde(default)]
    pub verdicts: Vec<Standing>,
    /// The nameservers that the watcher asks.
    #[serde(default)]
    pub nameservers: Vec<AskedNameserver>,
    /// The node's own nameservers, each with the file that names it; empty if the watcher cannot read the node's files.
    #[serde(default)]
    pub origins: Vec<NodeOrigin>,
}

/// A verdict that stands on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The verdict's name, such as `stale-nameserver`.
    pub verdict: String,
    /// `deny`: lookups fail; `warn`: lookups are slower, or fail more often, than necessary; `info`: worth knowing.
    pub level: String,
    /// The nameserver, domain or name that the verdict is about; empty for the whole node.
    #[serde(default)]
    pub subject: String,
    /// The problem in a sentence.
    pub text: String,
    /// The time since which the verdict stands.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// A nameserver that a watcher asks, over its last rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedNameserver {
    /// The address.
    pub address: String,
    /// The number of queries.
    pub queries: i64,
    /// The number of queries without an answer.
    pub lost: i64,
    /// The median time until an answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_milliseconds: Option<f64>,
    /// The time until an answer that 1 % of the answers exceed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_milliseconds: Option<f64>,
}

/// A place in a node's files that names one nameserver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeOrigin {
    /// The nameserver.
    pub address: String,
    /// The file on the node.
    pub file: String,
    /// The line in the file, from 1, if it has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
    /// The program that reads the file, such as `systemd-networkd`.
    pub mechanism: String,
    /// The address is in the node's resolv.conf now.
    pub in_use: bool,
    /// The state after a reboot: `stored`, `leased`, `runtime`, `derived` or `no-effect`.
    pub persistence: String,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedProfile {
    /// The name.
    pub name: String,
    /// The conditions that are not met: their types and messages.
    pub unmet: Vec<(String, String)>,
}

/// The images of running pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImagesInUse {
    /// Number of running pods.
    pub pods: usize,
    /// Number of images.
    pub images: usize,
    /// The images whose resolver is unknown.
    pub unknown: Vec<UnknownImage>,
    /// The reason why the images that muslin read are not known, if they are not.
    pub unread: Option<Unseen>,
}

/// An image whose resolver is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownImage {
    /// The image name, as pods have it.
    pub image: String,
    /// Number of running pods.
    pub pods: usize,
    /// A namespace that uses the image.
    pub namespace: String,
}
