//! The resource `DNSObservation`: what muslin's pods on one node saw of the search domains in their resolv.conf, and what the watcher there
//! saw of DNS. Must not know how a domain is checked.

#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]
#![allow(clippy::duplicated_attributes, reason = "columns have types in common")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::observed_watch::ObservedWatch;
use super::schemas;

/// The search domains as muslin's pod on this node sees them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muslin.dev",
    version = "v1alpha1",
    kind = "DNSObservation",
    plural = "dnsobservations",
    shortname = "dnsobs",
    category = "muslin",
    derive = "PartialEq",
    doc = "The search domains of a node's resolv.conf and their answers to names that do not exist, as muslin's pod on the node saw them, \
           and DNS on the node as its watcher sees it. The resource is named for the node. Only muslin writes it: `muslin serve` while a \
           profile uses `search`, and `muslin probe --watch`.",
    printcolumn(json_path = ".spec.broken", name = "Broken", type_ = "string"),
    printcolumn(json_path = ".spec.watch.verdicts[0].verdict", name = "Verdict", type_ = "string", priority = 1),
    printcolumn(json_path = ".spec.nameservers", name = "Nameservers", type_ = "string"),
    printcolumn(json_path = ".spec.checkedAt", name = "Checked", type_ = "date"),
    printcolumn(json_path = ".spec.pod", name = "Pod", type_ = "string", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
pub struct DNSObservationSpec {
    /// The pod that made the checks.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// The nameservers that were asked.
    #[schemars(extend("maxItems" = 3, "x-kubernetes-list-type" = "atomic"))]
    pub nameservers: Vec<String>,
    /// The time of the last round of checks. Observations older than fifteen minutes do not count.
    #[schemars(schema_with = "schemas::date_time")]
    pub checked_at: Time,
    /// The domains that break lookups.
    // Written also if empty: in a server-side apply a field that is left out stays as its other manager wrote it.
    #[serde(default)]
    #[schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "atomic"))]
    pub broken: Vec<String>,
    /// Every domain of the search list.
    #[serde(default)]
    #[schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "atomic"))]
    pub domains: Vec<ObservedDomain>,
    /// DNS on the node, as the watcher sees it; absent without a watcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<ObservedWatch>,
}

/// One search domain.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedDomain {
    /// The domain.
    #[schemars(length(max = 253))]
    pub domain: String,
    /// The answer to names that do not exist, in two rounds if it is not NXDOMAIN: NXDOMAIN, as it should be, NODATA, SERVFAIL, REFUSED,
    /// silence, wildcard (an address for every name), or unknown.
    #[schemars(length(max = 16))]
    pub answer: String,
    /// The time since which the answer is so.
    #[schemars(schema_with = "schemas::date_time")]
    pub since: Time,
}
