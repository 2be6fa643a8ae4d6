//! A pod's resolv.conf without and with muslin, computed by muslin's own code.

use anyhow::{Context as _, Result, anyhow};
use muslin::image::{Fingerprint, Reason};
use muslin::plan::{Context, plan};
use muslin::pod::{Pod, ResolvConf};
use muslin::policy::Profile;
use muslin::resolver::Resolver;
use serde_json::json;

/// The resolv.conf of a pod: as Kubernetes writes it, and as muslin changes it.
pub(crate) struct Options {
    pub(crate) kubernetes: ResolvConf,
    pub(crate) muslin: ResolvConf,
}

// === impl Options ===

impl Options {
    /// Plans a pod with one container for each of these resolvers, all known by inspection.
    pub(crate) fn for_pod(resolvers: &[Resolver], profile: &Profile) -> Result<Self> {
        let containers: Vec<_> = (0..resolvers.len())
            .map(|index| json!({ "name": format!("c{index}"), "image": "registry.example.com/app" }))
            .collect();
        let mut pod = json!({ "metadata": { "name": "pod" }, "spec": { "containers": containers } });
        let fingerprints =
            resolvers.iter().map(|resolver| Fingerprint::inspected(*resolver, Reason::Fixed("the laboratory made it")));
        let kubernetes = resolv_conf(&pod)?;
        let text = pod.to_string();
        let parsed: Pod<'_> = serde_json::from_str(&text)?;
        let planned = plan(&parsed, fingerprints.collect(), &Context::usual(profile))
            .map_err(|skip| anyhow!("the pod is left alone: {skip}"))?;
        json_patch::patch(&mut pod, &planned.patch).context("patching the pod")?;
        Ok(Self { kubernetes, muslin: resolv_conf(&pod)? })
    }
}

/// Returns the resolv.conf that the kubelet writes for a pod.
fn resolv_conf(pod: &serde_json::Value) -> Result<ResolvConf> {
    let text = pod.to_string();
    let pod: Pod<'_> = serde_json::from_str(&text)?;
    let profile = Profile::default();
    let Context { namespace, cluster_domain, .. } = Context::usual(&profile);
    Ok(pod.dns().resolv_conf(namespace, cluster_domain))
}
