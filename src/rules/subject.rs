//! What a rule looks at: the pod's resolv.conf as its containers will see it, and what each container resolves names with.

use std::borrow::Cow;

use crate::image::Fingerprint;
use crate::pod::{Dns, ResolvConf, ResolverEnv};
use crate::resolver::{Family, Resolver, Settings};

/// A pod as rules see it.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Every container, init containers first.
    pub containers: &'a [Container<'a>],
    /// What the pod says.
    pub dns: &'a Dns,
    /// What the kubelet makes of it.
    pub conf: &'a ResolvConf,
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'a str,
    /// What people asked to hear nothing of.
    pub ignored: &'a [Ignored<'a>],
}

/// One word of the annotation `muslin.dev/ignore`.
#[derive(Clone, Copy, Debug)]
pub struct Ignored<'a> {
    /// The rule that it names; there may be none of this name.
    pub slug: &'a str,
    /// Where the annotation stands, as in [`super::Finding::path`].
    pub path: &'static str,
}

/// A container as rules see it.
#[derive(Debug)]
pub struct Container<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its image reference as written; empty where the pod has none.
    pub image: &'a str,
    /// What it resolves names with, and how that is known.
    pub fingerprint: Fingerprint,
    /// The environment variables that decide how names are resolved.
    pub env: &'a ResolverEnv<'a>,
    /// Its place in the pod, as a JSON pointer.
    pub path: Cow<'a, str>,
}

// === impl Subject ===

impl Subject<'_> {
    /// The containers whose resolver is of this family.
    pub fn using(&self, family: Family) -> impl Iterator<Item = &Container<'_>> {
        self.containers.iter().filter(move |container| container.resolver().family == family)
    }

    /// The options that reach resolv.conf from the pod itself: each with its index in `dnsConfig.options` and its text.
    pub fn authored_options(&self) -> impl Iterator<Item = (usize, String)> {
        self.dns.effective_options().map(|index| (index, self.dns.options[index].text()))
    }

    /// How this container's resolver reads the file; `None` where its resolver is not known.
    pub fn settings(&self, container: &Container<'_>) -> Option<Settings> {
        let mut options = self.conf.option_texts();
        options.extend(container.env_options());
        Settings::read(container.resolver(), &options)
    }
}

// === impl Container ===

impl Container<'_> {
    /// What it resolves names with.
    pub fn resolver(&self) -> Resolver {
        self.fingerprint.resolver
    }

    /// Options that its environment adds after those of the file: glibc's `RES_OPTIONS` (glibc: resolv/res_init.c).
    pub fn env_options(&self) -> impl Iterator<Item = &str> {
        let read = self.resolver().family == Family::Glibc;
        self.env.res_options.as_deref().filter(|_| read).into_iter().flat_map(str::split_ascii_whitespace)
    }
}

/// Where option `index` of the pod stands, as a JSON pointer from the pod.
pub fn option_path(index: usize) -> String {
    format!("/spec/dnsConfig/options/{index}")
}
