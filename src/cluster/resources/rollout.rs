//! The rollout of a `ResolverProfile`: what the administrator asks for, and what the leader keeps of it in the status. Must not know who
//! decides, or by what.

#![allow(unreachable_pub, reason = "kube's macros write the types once more, inside of functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schemas;

/// The rollout of new settings: a share of the new pods gets them first.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The share of new pods that get the new settings, in percent. The others get the last promoted settings.
    #[schemars(range(min = 1, max = 100), extend("format" = "int32"))]
    pub percent: u8,
    /// The time for which pods must have run with the new settings before all new pods get them, such as `1h` or `30m`: between 1s and 336h
    /// (14 days). The time begins with the first such pod.
    #[serde(default = "default_soak")]
    #[schemars(schema_with = "schemas::soak")]
    pub soak: String,
    /// The number of pods that may have a finding of the level `warn` or `deny` with the new settings alone. More of them end the rollout.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3000), extend("format" = "int32"))]
    pub max_findings: u16,
}

/// The rollout as the leader sees it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// `Progressing`, `Promoted` (all new pods get the settings) or `RolledBack` (all new pods get the last promoted settings).
    // A text, so that a phase of another release does not make the whole resource unreadable.
    #[schemars(length(max = 32))]
    pub phase: String,
    /// The name of the settings in the annotations `muslin.dev/rollout` of pods.
    #[schemars(length(max = 16))]
    pub revision: String,
    /// The generation of the resource that the phase is about.
    pub generation: i64,
    /// The time at which the rollout of these settings began.
    #[schemars(schema_with = "schemas::date_time")]
    pub started_at: Time,
    /// The time of the first pod with the new settings, from which the soak time counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemas::optional_date_time")]
    pub soaking_since: Option<Time>,
    /// The number of pods that were created in the rollout with the new settings, and still exist.
    #[serde(default)]
    pub canary_pods: i64,
    /// The number of pods that were created in the rollout with the last promoted settings, and still exist.
    #[serde(default)]
    pub stable_pods: i64,
    /// The number of these pods with a finding that they have with the new settings alone.
    #[serde(default)]
    pub worse_pods: i64,
    /// The reason for the phase, in one word.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The reason for the phase, in sentences.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The phase of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutPhase {
    /// A share of the new pods gets the new settings.
    Progressing,
    /// All new pods get them.
    Promoted,
    /// No new pod gets them.
    RolledBack,
}

fn default_soak() -> String {
    "1h".to_owned()
}

// === impl RolloutPhase ===

impl RolloutPhase {
    /// All phases.
    pub const ALL: [Self; 3] = [Self::Progressing, Self::Promoted, Self::RolledBack];

    /// Returns the word of the status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Progressing => "Progressing",
            Self::Promoted => "Promoted",
            Self::RolledBack => "RolledBack",
        }
    }
}

// === impl RolloutStatus ===

impl RolloutStatus {
    /// Returns the phase; `None` for one that only another release knows.
    pub fn phase(&self) -> Option<RolloutPhase> {
        RolloutPhase::ALL.into_iter().find(|phase| phase.name() == self.phase)
    }
}
