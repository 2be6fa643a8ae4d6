//! The settings of a compilation. Must not know what is made of them.

use serde_json::Value;

use super::images::KnownImage;
use crate::policy::{Mode, Profile};

/// The settings of a compilation.
#[derive(Clone, Debug)]
pub struct Settings<'s> {
    /// The profile.
    pub profile: &'s Profile,
    /// The label selector of the profile's pods, if it has one.
    pub pod_selector: Option<&'s Value>,
    /// The images that the policies know.
    pub images: &'s [KnownImage],
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'s str,
    /// The number of the cluster's nameservers in the pods' resolv.conf.
    pub cluster_nameservers: usize,
    /// The mode of namespaces without a label.
    pub default_mode: Mode,
    /// The profile of namespaces without a label.
    pub default_profile: &'s str,
    /// The API version of MutatingAdmissionPolicy.
    pub version: ApiVersion,
    /// The webhooks that handle all other pods; `None` without muslin in the cluster.
    pub webhooks: Option<&'s Webhooks>,
}

/// muslin's webhooks in the cluster, beside which the policies stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhooks {
    /// The pods that the webhook changes.
    pub changed: Reach,
    /// The pods that the webhook denies.
    pub denied: Reach,
    /// The namespaces of whose pods only the webhook knows the answer.
    pub left: Vec<String>,
    /// The webhook does not see the pods that the policies change, so that the policies also warn.
    pub is_separated: bool,
}

/// The objects that a webhook is called for, as its configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// `namespaceSelector`.
    pub namespaces: Value,
    /// `objectSelector`.
    pub objects: Value,
    /// `matchConditions`, without those of muslin itself.
    pub conditions: Vec<Value>,
}

/// An API version of MutatingAdmissionPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiVersion {
    /// Kubernetes 1.36 or later.
    #[default]
    V1,
    /// Kubernetes 1.34 and 1.35, where the cluster's administrator has to enable it.
    V1Beta1,
}

// === impl ApiVersion ===

impl ApiVersion {
    /// Returns the version's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }
}
