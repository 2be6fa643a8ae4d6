//! The settings that decide a plan besides the pod and its images.

use std::net::IpAddr;

use crate::pod::UnreadKey;
use crate::policy::{BrokenDomain, CacheFault, Level, Mode, Profile, RolloutRecord};

/// The settings for one plan.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The namespace that the pod is created in.
    pub namespace: &'a str,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'a str,
    /// The number of nameservers that the kubelet gives to pods that use the cluster's DNS (`--cluster-dns`).
    pub cluster_nameservers: usize,
    /// The mode.
    pub mode: Mode,
    /// The profile.
    pub profile: &'a Profile,
    /// The stages of the pod in the rollouts of its profiles, for the pod's annotation and label; `None` without any.
    pub rollout: Option<&'a RolloutRecord>,
    /// The fault of the profile's cache on the node, for which muslin does not set its address; `None` without a trial, too.
    pub cache_fault: Option<CacheFault>,
    /// The addresses of the cluster's nameservers; empty if they are unknown.
    pub cluster_addresses: &'a [IpAddr],
    /// The broken search domains of nodes.
    pub broken_domains: &'a [BrokenDomain],
    /// The annotation `muslin.dev/ignore` of the workload that holds the pod's template, if known.
    pub holder_ignores: Option<&'a str>,
    /// The keys of that workload that begin with `muslin.dev/` and that nothing reads.
    pub holder_unread: &'a [UnreadKey<'a>],
    /// Is true to trust the annotation `muslin.dev/injected`, which anyone can write. Only for plans that change no pod, after a pass
    /// with another profile.
    pub trusts_annotation: bool,
    /// The lowest level whose findings get a message and advice. The webhook only counts the others.
    pub texts_from: Level,
}

// === impl Context ===

impl<'a> Context<'a> {
    /// The settings for a pod in the namespace `default` of a cluster with the usual domain and one nameserver, in mode `inject`, with all texts.
    pub fn usual(profile: &'a Profile) -> Self {
        Self {
            namespace: "default",
            cluster_domain: "cluster.local",
            cluster_nameservers: 1,
            mode: Mode::Inject,
            profile,
            rollout: None,
            cache_fault: None,
            cluster_addresses: &[],
            broken_domains: &[],
            holder_ignores: None,
            holder_unread: &[],
            trusts_annotation: false,
            texts_from: Level::Info,
        }
    }
}
