//! The resolv.conf files of a pod without and with muslin, computed by muslin's own code.

use anyhow::{Context as _, Result, anyhow, ensure};
use muslin::image::{Fingerprint, Reason};
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::Profile;
use muslin::resolver::Resolver;
use serde_json::{Value, json};

use super::fault::Fault;

/// Options that a run tries instead of those that the profile injects: `MUSLIN_LAB_OPTIONS="attempts:4"`.
const TRIED: &str = "MUSLIN_LAB_OPTIONS";

/// A resolv.conf without its nameservers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conf {
    pub(crate) searches: Vec<String>,
    pub(crate) options: Vec<String>,
}

/// A container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) resolver: Resolver,
    /// Is true if the program's image holds a JVM.
    pub(crate) holds_java: bool,
}

/// The resolv.conf of a pod: as Kubernetes writes it, and as muslin changes it.
pub(crate) struct Confs {
    pub(crate) kubernetes: Conf,
    pub(crate) muslin: Conf,
}

// === impl Container ===

impl Container {
    /// Returns a container without a JVM.
    pub(crate) const fn of(resolver: Resolver) -> Self {
        Self { resolver, holds_java: false }
    }
}

// === impl Conf ===

impl Conf {
    /// Returns the options line.
    pub(crate) fn line(&self) -> String {
        self.options.join(" ")
    }

    /// Returns the file that the kubelet writes for a pod, with these options from the node if the pod inherits its file.
    fn of(pod: &Value, node: Option<&str>) -> Result<Self> {
        let text = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&text)?;
        let profile = Profile::default();
        let Context { namespace, cluster_domain, .. } = Context::usual(&profile);
        let conf = pod.dns().resolv_conf(namespace, cluster_domain);
        let mut options = conf.options;
        if options.is_empty() {
            options.extend(node.into_iter().flat_map(str::split_ascii_whitespace).map(str::to_owned));
        }
        Ok(Self { searches: conf.searches, options })
    }
}

// === impl Confs ===

impl Confs {
    /// Plans a pod with these containers that meets this fault.
    pub(crate) fn under(fault: &Fault, profile: &Profile, containers: &[Container]) -> Result<Self> {
        Self::of_pod(profile, containers, fault.kind.nameservers(), fault.node)
    }

    /// Plans a pod with this number of nameservers, or one that inherits a node's file with these options. All images were inspected.
    pub(crate) fn of_pod(
        profile: &Profile,
        containers: &[Container],
        nameservers: usize,
        node: Option<&str>,
    ) -> Result<Self> {
        let fingerprints = containers.iter().map(|Container { resolver, holds_java }| Fingerprint {
            holds_java: *holds_java,
            ..Fingerprint::inspected(*resolver, Reason::Fixed("the laboratory made it"))
        });
        let containers: Vec<_> = (0..containers.len())
            .map(|index| json!({ "name": format!("c{index}"), "image": "registry.example.com/app" }))
            .collect();
        let mut pod = json!({ "metadata": { "name": "pod" }, "spec": { "containers": containers } });
        if nameservers > 1 {
            // The cluster's nameserver stands before them.
            let more: Vec<String> = (1..nameservers).map(|number| format!("192.0.2.{number}")).collect();
            pod["spec"]["dnsConfig"] = json!({ "nameservers": more });
        }
        if node.is_some() {
            pod["spec"]["dnsPolicy"] = json!("Default");
        }
        let kubernetes = Conf::of(&pod, node)?;
        let text = pod.to_string();
        let parsed: Pod<'_> = serde_json::from_str(&text)?;
        let planned = plan(&parsed, fingerprints.collect(), &Context::usual(profile))
            .map_err(|skip| anyhow!("the pod is left alone: {skip}"))?;
        json_patch::patch(&mut pod, &planned.patch).context("patching the pod")?;
        let mut muslin = Conf::of(&pod, node)?;
        if let (true, Ok(tried)) = (muslin != kubernetes, std::env::var(TRIED)) {
            muslin.options = kubernetes.options.clone();
            muslin.options.extend(tried.split_ascii_whitespace().map(str::to_owned));
        }
        ensure!(node.is_none() || muslin == kubernetes, "muslin replaces the options of the node's file: {muslin:?}");
        Ok(Self { kubernetes, muslin })
    }
}
