//! The resource `ResolverProfile`: what is injected into pods and how strict each rule is, as administrators write it. Must not
//! know who reads it when.

#![allow(clippy::duplicated_attributes, reason = "columns have types in common")]
#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, Time};
use kube::core::Selector;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::plan::{RISKS, Risk, option_fault, risks, unknown_rule};
use crate::policy::{MuslReleases, NodeLocal, OnConflict, Profile, Strictness};
use crate::resolver::{InvalidResolver, InvalidVersion};

/// What to inject into pods, and how strict to be.
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
    doc = "What muslin injects into the pods of the namespaces that name this profile by their label muslin.dev/profile, and how \
           strict it is with them. `muslin manifests profiles` prints those that are built in, to start from.",
    printcolumn(json_path = ".status.conditions[?(@.type=='Accepted')].status", name = "Accepted", type_ = "string"),
    printcolumn(json_path = ".status.namespaces", name = "Namespaces", type_ = "integer"),
    printcolumn(json_path = ".spec.summary", name = "Summary", type_ = "string"),
    printcolumn(
        json_path = ".status.conditions[?(@.type=='Accepted')].message",
        name = "Why",
        type_ = "string",
        priority = 1
    ),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
pub struct ResolverProfileSpec {
    /// What the profile is for, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("maxLength" = 200))]
    pub summary: String,
    /// The dnsConfig options that pods get, by what their containers use. A pod has one resolv.conf for all its containers.
    #[serde(default)]
    pub options: Options,
    /// What becomes of an option that the pod's author set otherwise: `keep` leaves it and says so, `override` puts the profile's
    /// in its place and says so. `attempts:0` and `timeout:0` are always repaired.
    #[serde(default)]
    pub on_conflict: Conflict,
    /// The level of each rule, by the rule's name: `"off"` (in quotes, as YAML reads it as a boolean otherwise), `info`, `warn` or
    /// `deny`. In namespaces of mode enforce, pods with findings of the level `deny` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleLevel>,
    /// What images use whose names do not tell, by the beginning of their reference. It outranks what muslin reads in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 256, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["prefix"]))]
    pub images: Vec<DeclaredImage>,
    /// What is left alone, in namespaces that enforce too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exempt: Exemptions,
    /// Makes a DNS cache on the node the pod's only nameserver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_local: Option<NodeLocalCache>,
    /// Only pods whose labels fit get this profile; the others of the namespace get the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<PodSelector>,
    /// Rules by which options of this profile can make a name fail that resolved before. A profile that does so is accepted only if
    /// the rule is named here, and each pod that it touches says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "risk_names")]
    pub accept_risk: Vec<String>,
}

/// Options by what the pod's containers use, each `name` or `name:number`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// For pods whose containers all use musl, known by inspection or declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "options")]
    pub musl: Vec<String>,
    /// The same for some releases of musl, in place of `musl`. The first that fits all of the pod's containers counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "atomic"))]
    pub musl_releases: Vec<Releases>,
    /// For pods of which some container uses musl, or seems to by its image's reference alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "options")]
    pub mixed: Vec<String>,
    /// For pods whose containers all use glibc; `others` where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "options")]
    pub glibc: Option<Vec<String>>,
    /// For pods whose containers all use Go's own resolver; `others` where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "options")]
    pub go: Option<Vec<String>>,
    /// For all other pods of which no container is known to use musl.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "options")]
    pub others: Vec<String>,
}

/// Options for some releases of musl.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Releases {
    /// The first of them, such as `1.1.13`; all before where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "version")]
    pub from: Option<String>,
    /// The first that is none of them; all after where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "version")]
    pub before: Option<String>,
    /// The options.
    #[schemars(schema_with = "options")]
    pub options: Vec<String>,
}

/// What becomes of an option that the author set otherwise.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Conflict {
    /// It stays.
    #[default]
    Keep,
    /// The profile's takes its place.
    Override,
}

/// How serious a rule's findings are.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleLevel {
    /// They are not heard.
    Off,
    /// Worth knowing.
    Info,
    /// Warned of.
    Warn,
    /// Refused, where a namespace enforces.
    Deny,
}

/// What images use.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredImage {
    /// The beginning of the reference: a registry, a folder, a repository, or one with the beginning of a tag.
    #[schemars(extend("minLength" = 1, "maxLength" = 255))]
    pub prefix: String,
    /// The resolver, such as `musl 1.2.5`, `glibc` or `go`.
    #[schemars(schema_with = "resolver")]
    pub resolver: String,
}

/// What is left alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exemptions {
    /// The beginnings of image references. Their containers have no findings; a pod that has no other is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 256))]
    pub images: Vec<String>,
    /// Service accounts, `namespace/name`, whose pods are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "accounts")]
    pub service_accounts: Vec<String>,
}

/// Four numbers with dots between them, or hexadecimal digits with two colons at least.
const LOOKS_LIKE_AN_IP_ADDRESS: &str =
    r"self.matches('^([0-9]{1,3}[.]){3}[0-9]{1,3}$|^[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*$')";

/// A DNS cache on each node, such as NodeLocal DNSCache.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeLocalCache {
    /// The address at which it listens on every node, such as `169.254.20.10`.
    // `isIP` is none of CEL's functions before Kubernetes 1.31. What only looks like an address the profile's status tells.
    #[x_kube(validation = Rule::new(LOOKS_LIKE_AN_IP_ADDRESS).message("the address is an IP address, such as 169.254.20.10"))]
    #[schemars(extend("maxLength" = 45))]
    pub address: String,
}

/// Which pods, by their labels, as in other resources.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSelector {
    /// Labels that the pod has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// What holds of the pod's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// What holds of a label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// Of `In` and `NotIn`: the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What muslin makes of a profile.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolverProfileStatus {
    /// `Accepted`: whether it is in use, and why not.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation of the resource that this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// How many namespaces use it.
    #[serde(default)]
    pub namespaces: i64,
}

/// One thing that holds of a resource, or does not.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True` or `False`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in sentences.
    pub message: String,
    /// Since when.
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: Time,
}

// === impl ResolverProfileSpec ===

impl ResolverProfileSpec {
    /// The profile that is meant.
    ///
    /// # Errors
    /// All that is wrong with it, each in a sentence.
    pub fn profile(&self, name: &str) -> Result<Profile, Vec<String>> {
        let mut problems = Vec::new();
        let Options { musl, musl_releases, mixed, glibc, go, others } = &self.options;
        let mut profile = Profile {
            name: name.to_owned(),
            summary: self.summary.clone(),
            all_musl: musl.clone(),
            some_musl: mixed.clone(),
            glibc: glibc.clone(),
            go: go.clone(),
            no_musl: others.clone(),
            on_conflict: match self.on_conflict {
                Conflict::Keep => OnConflict::Keep,
                Conflict::Override => OnConflict::Override,
            },
            ..Profile::nothing()
        };
        let mut keep = |problem: Option<String>| problems.extend(problem);
        for Releases { from, before, options } in musl_releases {
            let mut version = |text: &Option<String>| {
                let read = text.as_deref().map(str::parse).transpose();
                read.unwrap_or_else(|error: InvalidVersion| {
                    keep(Some(format!("options.muslReleases: {error}")));
                    None
                })
            };
            let (from, before) = (version(from), version(before));
            profile.musl_releases.push(MuslReleases { from, before, options: options.clone() });
        }
        for (rule, level) in &self.rules {
            profile.levels.set(rule, level.strictness());
            keep(unknown_rule(rule));
        }
        for DeclaredImage { prefix, resolver } in &self.images {
            let declared = resolver.parse().map_err(|error: InvalidResolver| error.to_string());
            let declared = declared
                .and_then(|resolver| profile.declared.declare(prefix, resolver).map_err(|error| error.to_string()));
            keep(declared.err().map(|error| format!("images: {error}")));
        }
        for prefix in &self.exempt.images {
            keep(profile.exempt.image(prefix).err().map(|error| format!("exempt.images: {error}")));
        }
        self.exempt.service_accounts.iter().for_each(|account| profile.exempt.account(account));
        if let Some(NodeLocalCache { address }) = &self.node_local {
            match address.parse() {
                Ok(address) => profile.node_local = Some(NodeLocal { address }),
                Err(_) => keep(Some(format!("nodeLocal.address: `{address}` is no IP address"))),
            }
        }
        keep(self.pods().err());
        for text in profile.every_option() {
            keep(option_fault(text));
        }
        for Risk { rule, pods, message } in risks(&profile) {
            if !self.accept_risk.iter().any(|accepted| accepted == rule) {
                keep(Some(format!(
                    "options for {pods}: {rule}: {message}; if that is meant, name {rule} in acceptRisk"
                )));
            }
        }
        problems.dedup();
        if problems.is_empty() { Ok(profile) } else { Err(problems) }
    }

    /// Which pods it is for; `None` where for all.
    ///
    /// # Errors
    /// The selector makes no sense.
    pub fn pods(&self) -> Result<Option<Selector>, String> {
        let Some(PodSelector { match_labels, match_expressions }) = &self.pod_selector else { return Ok(None) };
        let requirement = |LabelExpression { key, operator, values }: &LabelExpression| LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.clone(),
            values: (!values.is_empty()).then(|| values.clone()),
        };
        let selector = LabelSelector {
            match_labels: Some(match_labels.clone()),
            match_expressions: Some(match_expressions.iter().map(requirement).collect()),
        };
        selector.try_into().map(Some).map_err(|error| format!("podSelector: {error}"))
    }

    /// What a profile is, as an administrator would write it.
    pub fn of(profile: &Profile) -> Self {
        let Profile { summary, all_musl, musl_releases: _, some_musl, glibc, go, no_musl, node_local, .. } = profile;
        Self {
            summary: summary.clone(),
            options: Options {
                musl: all_musl.clone(),
                musl_releases: Vec::new(),
                mixed: some_musl.clone(),
                glibc: glibc.clone(),
                go: go.clone(),
                others: no_musl.clone(),
            },
            node_local: node_local
                .as_ref()
                .map(|NodeLocal { address }| NodeLocalCache { address: address.to_string() }),
            ..Self::default()
        }
    }
}

// === impl RuleLevel ===

impl RuleLevel {
    const fn strictness(self) -> Strictness {
        use crate::policy::Level;
        match self {
            Self::Off => Strictness::Off,
            Self::Info => Strictness::At(Level::Info),
            Self::Warn => Strictness::At(Level::Warn),
            Self::Deny => Strictness::At(Level::Deny),
        }
    }
}

// === impl Condition ===

impl Condition {
    /// Whether the profile is in use, since now.
    pub fn accepted(problems: Option<&[String]>) -> Self {
        let (status, reason, message) = match problems {
            None => ("True", "Valid", "it is in use".to_owned()),
            Some(problems) => ("False", "Invalid", problems.join("; ")),
        };
        Self {
            type_: "Accepted".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: Time(Timestamp::now()),
        }
    }

    /// Whether both say the same, whenever they began to.
    pub fn says(&self, other: &Self) -> bool {
        let Self { type_, status, reason, message, last_transition_time: _ } = self;
        (type_, status, reason, message) == (&other.type_, &other.status, &other.reason, &other.message)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "atomic",
        "items": { "type": "string", "maxLength": 32, "pattern": "^[a-z][a-z0-9-]*(:[0-9]{1,5})?$" },
        "x-kubernetes-validations": [
            {
                "rule": "self.all(option, !option.matches('^(timeout|attempts):0+$'))",
                "message": "at 0 lookups die of timeout and attempts",
            },
            {
                "rule": "self.all(option, self.exists_one(other, other.split(':')[0] == option.split(':')[0]))",
                "message": "an option is named once",
            },
        ],
    })
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9]{1,4}(\\.[0-9]{1,4}){1,2}$" })
}

fn resolver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "pattern": "^(musl|glibc|go|uclibc|c-ares|static)( [0-9]+(\\.[0-9]+){1,2})?$",
    })
}

fn accounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "items": {
            "type": "string",
            "maxLength": 317,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        },
    })
}

fn risk_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": { "type": "string", "enum": RISKS },
    })
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Profile, Vec<String>> {
        serde_saphyr::from_str::<ResolverProfileSpec>(yaml).unwrap().profile("strict")
    }

    #[test]
    fn a_built_in_profile_written_out_is_the_same_profile() {
        for name in Profile::NAMES {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(ResolverProfileSpec::of(&profile).profile(name), Ok(profile));
        }
    }

    #[test]
    fn a_risk_is_accepted_only_by_its_name() {
        let risky = "options: {musl: ['ndots:1']}\n";
        let problems = read(risky).unwrap_err().join("; ");
        assert!(problems.contains("options for pods that use musl: ndots-breaks-musl: "), "{problems}");
        assert!(problems.contains("name ndots-breaks-musl in acceptRisk"), "{problems}");
        assert!(read(&format!("{risky}acceptRisk: [use-vc-hangs]\n")).is_err());
        assert!(read(&format!("{risky}acceptRisk: [ndots-breaks-musl]\n")).is_ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = read(
            "rules: {musl-slow-retries: warn}\nimages: [{prefix: '//', resolver: musl}]\nnodeLocal: {address: node}\n\
             options: {others: ['rotat']}\n",
        );
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:#?}");
        assert!(problems[0].contains("did you mean musl-slow-retry?"), "{problems:#?}");
    }
}
