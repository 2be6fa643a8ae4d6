//! Decisions of an administrator: the mode of a namespace, the level of a finding, and the options to inject. Must not know of
//! Kubernetes' API or of any one rule.

mod cache_fault;
mod config;
mod declared_images;
mod did_you_mean;
mod exemptions;
mod level;
mod level_override;
mod mode;
mod musl_condition;
mod namespace_policy;
mod option_rows;
mod precedence;
mod profile;
mod refined_profile;
mod rollout;
mod search_list;

pub use cache_fault::CacheFault;
pub use config::{Config, InvalidConfig, PlacedText};
pub use declared_images::DeclaredImages;
pub use did_you_mean::{did_you_mean, meant_word};
pub use exemptions::Exemptions;
pub use level::{InvalidLevel, Level};
pub use level_override::{InvalidLevelOverride, LevelOverride, LevelOverrides};
pub use mode::{InvalidMode, MODE_LABEL, Mode};
pub use musl_condition::{ContainerResolver, MuslCondition};
pub use namespace_policy::{NamespacePolicy, PROFILE_LABEL, SELF_LABEL};
pub use option_rows::{Condition, OptionRow};
pub use precedence::{InjectAnnotation, ModeDecision, ModeInputs, ModeLabel, PodKind, Skip, precedence};
pub use profile::{NodeLocal, OnConflict, Profile, Releases, UnknownProfile};
pub(crate) use refined_profile::ndots;
pub use rollout::{PodStages, RolloutRecord, Stage};
pub use search_list::{BrokenDomain, DomainFault, SearchList};

/// The namespace of the cluster's own components. muslin excludes it, whatever its labels, because they must start when muslin
/// cannot.
pub(crate) const SYSTEM_NAMESPACE: &str = "kube-system";

/// Returns whether muslin excludes the namespace, whatever its labels: `kube-system` and muslin's own.
pub fn is_excluded(namespace: &str, own_namespace: Option<&str>) -> bool {
    namespace == SYSTEM_NAMESPACE || Some(namespace) == own_namespace
}
