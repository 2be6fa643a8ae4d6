//! What decides a plan besides the pod and its images.

use crate::policy::{Mode, Profile};

/// What decides a plan besides the pod itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The namespace that the pod is created in.
    pub namespace: &'a str,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'a str,
    /// How far to go.
    pub mode: Mode,
    /// What to inject, and how strict to be.
    pub profile: &'a Profile,
    /// The annotation `muslin.dev/ignore` of the object that holds the pod's template, where that is known.
    pub holder_ignores: Option<&'a str>,
    /// Whether all is believed that the pod says muslin did, which anybody can write: only where nothing is done to the pod, and
    /// the profile may have been another one.
    pub believes_claims: bool,
}

// === impl Context ===

impl<'a> Context<'a> {
    /// Of a pod in the namespace `default` of a cluster with the usual domain, in mode `inject`.
    pub fn usual(profile: &'a Profile) -> Self {
        Self {
            namespace: "default",
            cluster_domain: "cluster.local",
            mode: Mode::Inject,
            profile,
            holder_ignores: None,
            believes_claims: false,
        }
    }
}
