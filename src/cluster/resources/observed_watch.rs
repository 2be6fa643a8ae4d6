//! The part of a `DNSObservation` that the watcher on the node writes: standing verdicts, the nameservers that it asks, and the node's own
//! nameservers with the files that name them. Must not know how a watcher works.

#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schemas;
use crate::text::Line;
use crate::verdicts::nameserver_origins::{NameserverOrigins, Origin};

/// The most verdicts, asked nameservers and origins of one node, as in the schema.
pub const VERDICTS_MAX: usize = 16;
pub const WATCHED_NAMESERVERS_MAX: usize = 4;
pub const ORIGINS_MAX: usize = 16;
pub const ROLLOUTS_MAX: usize = 8;

/// The longest texts of the schema, in bytes here and in characters there.
const NAME_MAX: usize = 253;
const WORD_MAX: usize = 64;
const TEXT_MAX: usize = 1024;

/// The node's DNS as the watcher on the node sees it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedWatch {
    /// The watcher's pod.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// The watcher's version of muslin.
    #[schemars(length(max = 64))]
    pub version: String,
    /// The time of the last round before this was written. Watchers write at each change of a verdict, and at least every five minutes.
    #[schemars(schema_with = "schemas::date_time")]
    pub checked_at: Time,
    /// The number of rounds since the watcher started.
    #[schemars(range(min = 0))]
    pub rounds: i64,
    /// The time of the last full probe; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::optional_date_time")]
    pub probed_at: Option<Time>,
    /// The verdicts that stand, the most serious first.
    #[serde(default)]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "atomic"))]
    pub verdicts: Vec<StandingVerdict>,
    /// The nameservers that the watcher asks.
    #[serde(default)]
    #[schemars(extend("maxItems" = 4, "x-kubernetes-list-type" = "atomic"))]
    pub nameservers: Vec<WatchedNameserver>,
    /// The node's own nameservers, each with the file that names it. Only with the node's files mounted.
    #[serde(default)]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "atomic"))]
    pub origins: Vec<ObservedOrigin>,
    /// The profiles that roll out, with the watcher's lookups by their new settings.
    // A definition of an earlier release has no such field, and denies it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 8, "x-kubernetes-list-type" = "atomic"))]
    pub rollouts: Vec<ObservedRollout>,
}

/// A verdict that stands on the node.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingVerdict {
    /// The verdict's name, such as `stale-nameserver`.
    #[schemars(length(max = 64))]
    pub verdict: String,
    /// The severity: deny, warn or info.
    #[schemars(schema_with = "schemas::level")]
    pub level: String,
    /// The nameserver, domain or name that the verdict is about; empty for the whole node.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub subject: String,
    /// The problem in a sentence.
    #[schemars(length(max = 1024))]
    pub text: String,
    /// The time since which the verdict stands.
    #[schemars(schema_with = "schemas::date_time")]
    pub since: Time,
}

/// A nameserver that the watcher asks, over the last rounds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedNameserver {
    /// The address.
    #[schemars(length(max = 64))]
    pub address: String,
    /// The number of queries.
    #[schemars(range(min = 0))]
    pub queries: i64,
    /// The number of queries without an answer.
    #[schemars(range(min = 0))]
    pub lost: i64,
    /// The median time until an answer, in milliseconds; absent without answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::milliseconds")]
    pub p50_milliseconds: Option<f64>,
    /// The time until an answer that 1 % of the answers exceed, in milliseconds; absent without answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::milliseconds")]
    pub p99_milliseconds: Option<f64>,
}

/// A place in the node's files that names one nameserver.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedOrigin {
    /// The nameserver.
    #[schemars(length(max = 64))]
    pub address: String,
    /// The file on the node.
    #[schemars(length(max = 1024))]
    pub file: String,
    /// The line in the file, from 1, if it has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::line_number")]
    pub line: Option<i64>,
    /// The program that reads the file, such as `systemd-networkd`.
    #[schemars(length(max = 64))]
    pub mechanism: String,
    /// The address is in the node's resolv.conf now.
    pub in_use: bool,
    /// The state after a reboot: stored (comes back), leased (comes back if the DHCP server still gives it), runtime (is gone), derived
    /// (is written again from other places) or no-effect.
    #[schemars(length(max = 16))]
    pub persistence: String,
}

/// The lookups that a watcher made with the new settings of a profile that rolls out.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRollout {
    /// The profile.
    #[schemars(length(max = 253))]
    pub profile: String,
    /// The name of the new settings, as in the profile's status.
    #[schemars(length(max = 16))]
    pub revision: String,
    /// The number of lookups with the new settings.
    #[schemars(range(min = 0))]
    pub lookups: i64,
    /// The lookup that fails with the new settings and not with the present ones, in a sentence; empty if there is none.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub fault: String,
    /// The time since which that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::optional_date_time")]
    pub since: Option<Time>,
}

// === impl ObservedWatch ===

impl ObservedWatch {
    /// Cuts texts and lists to the limits of the schema, beyond which the API server would deny the whole observation.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let cut = |text: &mut String, max: usize| {
            if text.len() > max {
                *text = Line::cut(std::mem::take(text), max).into_string();
            }
        };
        self.verdicts.truncate(VERDICTS_MAX);
        self.nameservers.truncate(WATCHED_NAMESERVERS_MAX);
        self.origins.truncate(ORIGINS_MAX);
        self.rollouts.truncate(ROLLOUTS_MAX);
        cut(&mut self.pod, NAME_MAX);
        cut(&mut self.version, WORD_MAX);
        for verdict in &mut self.verdicts {
            cut(&mut verdict.verdict, WORD_MAX);
            cut(&mut verdict.subject, NAME_MAX);
            cut(&mut verdict.text, TEXT_MAX);
        }
        for origin in &mut self.origins {
            cut(&mut origin.file, TEXT_MAX);
            cut(&mut origin.mechanism, WORD_MAX);
        }
        for rollout in &mut self.rollouts {
            cut(&mut rollout.fault, TEXT_MAX);
        }
        self
    }
}

// === impl ObservedOrigin ===

impl ObservedOrigin {
    /// Returns the places of a node's nameservers within the limit: those in use first, and of one address the most useful to change.
    pub fn all_of(origins: &NameserverOrigins) -> Vec<Self> {
        let mut origins: Vec<&Origin> = origins.origins.iter().collect();
        origins.sort_by_key(|origin| (origin.in_use != Some(true), origin.persistence));
        origins.into_iter().take(ORIGINS_MAX).map(Self::of).collect()
    }

    fn of(origin: &Origin) -> Self {
        let persistence = serde_json::to_value(origin.persistence).ok();
        Self {
            address: origin.address.to_string(),
            file: origin.place.file.clone(),
            line: origin.place.line.and_then(|line| i64::try_from(line).ok()),
            mechanism: origin.mechanism.to_owned(),
            in_use: origin.in_use == Some(true),
            persistence: persistence.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::nameserver_origins::{Persistence, Place};

    fn origin(address: &str, persistence: Persistence, in_use: Option<bool>) -> Origin {
        Origin {
            address: address.parse().unwrap(),
            place: Place { file: "/etc/systemd/network/10-eth0.network".to_owned(), line: Some(7) },
            mechanism: "systemd-networkd",
            setting: "DNS=".to_owned(),
            persistence,
            in_use,
            note: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn what_is_in_use_and_can_be_changed_comes_first_and_the_number_is_limited() {
        let mut origins = NameserverOrigins::default();
        origins.origins.extend((0..20).map(|_| origin("192.0.2.3", Persistence::Stored, Some(false))));
        origins.origins.push(origin("192.0.2.2", Persistence::Derived, Some(true)));
        origins.origins.push(origin("192.0.2.1", Persistence::Stored, Some(true)));
        let all = ObservedOrigin::all_of(&origins);
        let addresses: Vec<&str> = all.iter().take(3).map(|origin| &*origin.address).collect();
        assert_eq!((addresses, all.len()), (vec!["192.0.2.1", "192.0.2.2", "192.0.2.3"], ORIGINS_MAX));
        assert_eq!((&*all[1].persistence, all[1].line, all[1].in_use), ("derived", Some(7), true));
    }

    #[test]
    fn an_observation_is_cut_to_the_limits_of_the_schema() {
        let at = Time(jiff::Timestamp::UNIX_EPOCH);
        let long = "ä".repeat(5_000);
        let verdict = StandingVerdict {
            verdict: long.clone(),
            level: "warn".to_owned(),
            subject: long.clone(),
            text: long.clone(),
            since: at.clone(),
        };
        let observed = ObservedWatch {
            pod: long.clone(),
            version: long,
            checked_at: at,
            rounds: 1,
            probed_at: None,
            verdicts: vec![verdict; 100],
            nameservers: Vec::new(),
            origins: Vec::new(),
            rollouts: Vec::new(),
        };
        let bounded = observed.bounded();
        let first = &bounded.verdicts[0];
        assert_eq!(bounded.verdicts.len(), VERDICTS_MAX);
        assert!(first.text.len() <= TEXT_MAX && first.subject.len() <= NAME_MAX && first.verdict.len() <= WORD_MAX);
        assert!(bounded.pod.len() <= NAME_MAX && bounded.version.len() <= WORD_MAX);
    }
}
