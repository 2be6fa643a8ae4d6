//! The plan for one pod: from (pod, fingerprints, profile, mode) to a [`Plan`] with a JSON Patch. Pure data; must not know of HTTP, files
//! or the cluster.

mod cache_risks;
mod cluster_file;
mod context;
mod dns_config;
mod events;
mod findings;
mod libc_label;
mod messages;
mod patch;
mod planning;
mod pod_plan;
mod profile_check;
mod profile_risks;
#[cfg(test)]
mod tests;
mod warnings;

pub use crate::policy::Skip;
pub use cache_risks::{CACHE_RISKS, CacheRisk};
pub use context::Context;
pub use events::{EventNote, pod_events};
pub use libc_label::{Libc, libc_of};
pub use messages::{ANNOTATION_LINE_MAX, count_inspected};
pub(crate) use messages::{ANNOTATION_LINES_MAX, FIXED, NAMES_MAX};
pub use planning::{count_containers, findings_as_is, plan, plan_settings};
pub use pod_plan::{ContainerCounts, Plan, Planned};
pub use profile_check::{option_fault, unknown_rule};
pub use profile_risks::{Risk, RiskCause, risks};
pub use warnings::{WARNING_MAX, page_warning, warning};
