//! The resource `ResolverProfile`: the options that muslin injects into pods and the level of each rule, as administrators write
//! them. Must not know who reads the resource, or when.

#![allow(clippy::duplicated_attributes, reason = "columns have types in common")]
#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rollout::{Rollout, RolloutStatus};
use super::schemas;

/// The options that pods get, and the levels of the rules.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muslin.dev",
    version = "v1alpha1",
    kind = "ResolverProfile",
    plural = "resolverprofiles",
    shortname = "rprof",
    category = "muslin",
    status = "ResolverProfileStatus",
    derive = "PartialEq",
    doc = "The DNS options that muslin injects into pods, and the level of each rule, for namespaces whose label \
           muslin.dev/profile names this profile. `muslin manifests profiles` prints the built-in profiles, to start from.",
    printcolumn(json_path = ".status.conditions[?(@.type=='Accepted')].status", name = "Accepted", type_ = "string"),
    printcolumn(json_path = ".status.namespaces", name = "Namespaces", type_ = "integer"),
    printcolumn(json_path = ".status.rollout.phase", name = "Rollout", type_ = "string"),
    printcolumn(json_path = ".spec.summary", name = "Summary", type_ = "string"),
    printcolumn(
        json_path = ".status.conditions[?(@.type=='Accepted')].message",
        name = "Why",
        type_ = "string",
        priority = 1
    ),
    printcolumn(json_path = ".status.rollout.message", name = "Rollout-Why", type_ = "string", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
pub struct ResolverProfileSpec {
    /// The purpose of the profile, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("maxLength" = 200))]
    pub summary: String,
    /// The dnsConfig options that pods get, by the resolvers of their containers. A pod has one resolv.conf for all its containers.
    #[serde(default)]
    pub options: Options,
    /// The treatment of an option that the pod's author set to another value: `keep` leaves the author's and reports it, `override`
    /// replaces it with the profile's and reports that. `attempts:0` and `timeout:0` are always fixed.
    #[serde(default)]
    pub on_conflict: Conflict,
    /// The level of each rule, by the rule's name: `"off"` (in quotes: YAML reads a bare off as a boolean), `info`, `warn` or
    /// `deny`. Namespaces in mode enforce deny pods with findings of the level `deny`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleLevel>,
    /// Declarations of the resolvers of images, by the beginning of the image name. They outrank the results of inspecting the images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 256, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["prefix"]))]
    pub images: Vec<DeclaredImage>,
    /// Images and service accounts that muslin leaves alone, in namespaces in mode enforce too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exempt: Exemptions,
    /// A DNS cache on the node, which becomes the pod's only nameserver. The profile must name the risks of that in `acceptRisk`.
    /// muslin tries the address from its own pod, and sets it in new pods only while it answers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_local: Option<NodeLocalCache>,
    /// The search list of new pods with musl that use the cluster's DNS: `inherit` leaves the node's search domains in it, `cluster` drops
    /// them, and `whenBroken` drops them while one of them is seen to be broken (`kubectl get dnsobservations`). Names below the dropped
    /// domains must then be written in full: accept the risk node-searches-lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub search: Search,
    /// Namespaces in which the pods that `podSelector` selects get this profile's `ndots` beside the options of their namespace's own
    /// profile, without any label. Such a profile sets no other option, and nothing else. The highest `ndots` of several counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::namespaces")]
    pub namespaces: Vec<String>,
    /// The pods that get this profile, by their labels; all if unset. Other pods of the namespace get the cluster's default profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
    /// Accepted risks. A profile that can make a name fail that resolves without it is accepted only if it names the risk here: the
    /// rule that reports it, or `node-searches-lost`, `nameserver-blocked`, `cache-missing` and `loopback-nameserver` for a cache on the
    /// node, the first also for `search`. A pod in which the profile makes such a rule fire gets a note about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::risk_names")]
    pub accept_risk: Vec<String>,
    /// The rollout of new settings: a share of the new pods gets them first. They are promoted to all new pods after a soak time, or rolled
    /// back if a watcher has a verdict on a node of such a pod, or such pods have more findings or restarts. Running pods never change.
    /// Without it, all new pods get new settings at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// Options by the resolvers of the pod's containers, each `name` or `name:number`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// For pods whose containers all use musl, known by inspection or declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::options")]
    pub musl: Vec<String>,
    /// For pods that use certain releases of musl. The first entry that the pod meets counts, before every other row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "atomic"))]
    pub musl_releases: Vec<Releases>,
    /// For pods in which some container uses musl, or may use it by its image name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::options")]
    pub mixed: Vec<String>,
    /// For pods whose containers all use glibc; `others` if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::options")]
    pub glibc: Option<Vec<String>>,
    /// For pods whose containers all use Go's own resolver; `others` if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::options")]
    pub go: Option<Vec<String>>,
    /// For all other pods in which no container is known to use musl.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::options")]
    pub others: Vec<String>,
}

/// Options for pods whose containers use certain releases of musl, known by inspection or declaration.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Releases {
    /// Inclusive lower bound, such as `1.1.13`; no bound if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::version")]
    pub from: Option<String>,
    /// Exclusive upper bound; no bound if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::version")]
    pub before: Option<String>,
    /// If true, pods with a JVM in an image are left out: Netty reads `attempts` as a budget of queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub except_java: bool,
    /// The most nameservers in the pod's resolv.conf, those of the cluster included; any number if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3), extend("format" = "int32"))]
    pub nameservers_max: Option<u8>,
    /// The options.
    #[schemars(schema_with = "schemas::options")]
    pub options: Vec<String>,
}

/// The treatment of an option that the author set to another value.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Conflict {
    /// The author's option stays.
    #[default]
    Keep,
    /// The profile's option replaces it.
    Override,
}

/// The search list of pods with musl.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Search {
    /// The search domains of the cluster and of the node.
    #[default]
    Inherit,
    /// The search domains of the cluster and the pod's own.
    Cluster,
    /// The same, while a domain of a node is broken.
    WhenBroken,
}

/// The level of a rule's findings.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleLevel {
    /// Findings are dropped.
    Off,
    /// Findings are advice.
    Info,
    /// Findings are warnings.
    Warn,
    /// Findings are warnings, and deny the pod in namespaces in mode enforce.
    Deny,
}

/// The declared resolver of images.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredImage {
    /// The beginning of the image name: a registry, a folder, a repository, or a repository with the beginning of a tag.
    #[schemars(extend("minLength" = 1, "maxLength" = 255))]
    pub prefix: String,
    /// The resolver, such as `musl 1.2.5`, `glibc` or `go`.
    #[schemars(schema_with = "schemas::resolver")]
    pub resolver: String,
}

/// Images and service accounts that muslin leaves alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exemptions {
    /// Beginnings of image names. Their containers have no findings; muslin leaves a pod alone that has only such containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 256))]
    pub images: Vec<String>,
    /// Service accounts, `namespace/name`, whose pods muslin leaves alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schemas::service_accounts")]
    pub service_accounts: Vec<String>,
}

/// Four numbers with dots between them, or hexadecimal digits with two colons at least.
const LOOKS_LIKE_AN_IP_ADDRESS: &str =
    r"self.matches('^([0-9]{1,3}[.]){3}[0-9]{1,3}$|^[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*$')";

/// A DNS cache on each node, such as NodeLocal DNSCache.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeLocalCache {
    /// The address at which the cache listens on every node, such as `169.254.20.10`.
    // CEL has no `isIP` before Kubernetes 1.31. The status reports what only looks like an address.
    #[x_kube(validation = Rule::new(LOOKS_LIKE_AN_IP_ADDRESS).message("the address is an IP address, such as 169.254.20.10"))]
    #[schemars(extend("maxLength" = 45))]
    pub address: String,
}

/// A selector of pods by their labels, as in other resources.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSelector {
    /// Labels that the pod must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Label requirements that the pod must meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// A label requirement.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// The values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// The state of a profile, as muslin sees it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolverProfileStatus {
    /// `Accepted`: True if the profile is in use. With a cache on the node also `RisksAccepted`: True if `acceptRisk` names the risks
    /// of the cache; and `NodeLocalReachable`: True if the address answers muslin's own pod, which says nothing about other nodes. With a
    /// rollout also `Progressing`, `Promoted` and `RolledBack`, of which one is True.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation of the resource that this status describes.
    #[serde(default)]
    pub observed_generation: i64,
    /// The number of namespaces that use the profile.
    #[serde(default)]
    pub namespaces: i64,
    /// The last promoted settings, as the spec had them: those of all new pods outside of a rollout.
    // Any value, so that settings of another release do not make the whole resource unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::stored_settings")]
    pub stable: Option<Value>,
    /// The rollout of the spec's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
}

/// A condition of a resource.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, in one word.
    pub reason: String,
    /// Human-readable explanation.
    pub message: String,
    /// The generation of the resource that the condition is about, for the conditions of a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::optional_generation")]
    pub observed_generation: Option<i64>,
    /// Time of the last transition.
    #[schemars(schema_with = "schemas::date_time")]
    pub last_transition_time: Time,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
