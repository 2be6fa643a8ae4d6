//! The input of a rule: the pod's resolv.conf as its containers see it, and the resolver of each container.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::image::Fingerprint;
use crate::pod::{Base, Dns, ResolvConf, ResolverEnv, UnreadKey};
use crate::policy::{BrokenDomain, ContainerResolver};
use crate::resolver::{Family, NAMESERVERS_MAX, Resolver, Settings, go};
use crate::text::{cut, one_line};

/// A pod as rules see it. Everything that rules need for each container is computed once, because a pod can have thousands of options
/// and of containers.
#[derive(Debug)]
pub struct RuleInput<'a> {
    /// Every container, init containers first.
    pub containers: &'a [Container<'a>],
    /// The pod's settings.
    pub dns: &'a Dns,
    /// The resolv.conf that the kubelet makes from them.
    pub conf: &'a ResolvConf,
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: &'a str,
    /// The words of the annotation `muslin.dev/ignore`.
    pub ignored: &'a [Ignored<'a>],
    /// The indexes in `dnsConfig.options` of what muslin 0.1.0 set, and today's profile would not.
    pub outdated: &'a [usize],
    /// The labels and annotations that begin with `muslin.dev/` and that nothing reads.
    pub unread: &'a [UnreadKey<'a>],
    /// The broken search domains of nodes.
    pub broken: &'a [BrokenDomain],
    /// The texts of `conf.options`.
    options: Vec<&'a str>,
    /// The names of `conf.searches`.
    searches: Vec<&'a str>,
    /// The options that come from the pod itself.
    authored: Vec<(usize, &'a str)>,
    /// Every resolver that occurs, in order, and its settings by the file.
    resolvers: Vec<(Resolver, Option<Settings>)>,
}

/// One word of the annotation `muslin.dev/ignore`.
#[derive(Clone, Copy, Debug)]
pub struct Ignored<'a> {
    /// The name of a rule; such a rule may not exist.
    pub slug: &'a str,
    /// The place of the annotation, as in [`Finding::path`](super::Finding::path).
    pub path: &'static str,
}

/// A container as rules see it.
#[derive(Debug)]
pub struct Container<'a> {
    /// The container's name.
    pub name: &'a str,
    /// The image reference as written; empty if the pod has none.
    pub image: &'a str,
    /// The image's resolver, and the evidence for it.
    pub fingerprint: Fingerprint,
    /// The environment variables that change how names are resolved.
    pub env: &'a ResolverEnv<'a>,
    /// The container's place in the pod, as a JSON pointer.
    pub path: Cow<'a, str>,
}

/// A server near the pod that takes its queries, so that few are lost on the way and conntrack's race does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NearbyServer {
    /// A DNS cache on the node, at a link-local address: NodeLocal DNSCache, AKS LocalDNS, Talos. Queries to it pass no DNAT, and it asks
    /// the cluster's DNS by TCP (kubernetes/website nodelocaldns.md 0189ae0f).
    NodeCache,
    /// A service mesh's DNS proxy. Istio's answers for names of the mesh, and forwards each other query once, from a socket of its own, so
    /// that a lost one waits for the pod's resend (istio/istio `pkg/dns/client/dns.go` 05dc2c41 `queryUpstream`).
    MeshProxy,
}

/// The longest excerpt of a pod's text in a message, in bytes: more than the longest option that any resolver knows, with a number. A
/// text can be as long as the pod, and a message must fit on a line.
const EXCERPT_MAX: usize = 35;

/// The longest excerpt in a change, in bytes: the longest option that any resolver knows has 21.
const SHORT_MAX: usize = 22;

// === impl RuleInput ===

impl<'a> RuleInput<'a> {
    /// Returns the input for a pod whose `dns` becomes `conf`.
    pub fn new(
        containers: &'a [Container<'a>],
        dns: &'a Dns,
        conf: &'a ResolvConf,
        namespace: &'a str,
        cluster_domain: &'a str,
    ) -> Self {
        let options = conf.option_texts();
        let authored = conf.authored_options().collect();
        let mut resolvers: Vec<Resolver> = containers.iter().map(Container::resolver).collect();
        resolvers.sort_unstable();
        resolvers.dedup();
        let settings = |resolver| (resolver, Settings::read_options(resolver, &options));
        let resolvers = resolvers.into_iter().map(settings).collect();
        let searches = conf.search_texts();
        let (ignored, outdated, unread, broken) = (&[], &[], &[], &[]);
        Self {
            containers,
            dns,
            conf,
            namespace,
            cluster_domain,
            ignored,
            outdated,
            unread,
            broken,
            options,
            searches,
            authored,
            resolvers,
        }
    }

    /// Returns the input with the words of the annotation `muslin.dev/ignore`.
    pub fn ignoring(self, ignored: &'a [Ignored<'a>]) -> Self {
        Self { ignored, ..self }
    }

    /// Returns the input with the indexes in `dnsConfig.options` of what muslin 0.1.0 set, and today's profile would not.
    pub fn with_outdated(self, outdated: &'a [usize]) -> Self {
        Self { outdated, ..self }
    }

    /// Returns the input with the labels and annotations that begin with `muslin.dev/` and that nothing reads.
    pub fn with_unread(self, unread: &'a [UnreadKey<'a>]) -> Self {
        Self { unread, ..self }
    }

    /// Returns the input with the broken search domains of nodes.
    pub fn with_broken(self, broken: &'a [BrokenDomain]) -> Self {
        Self { broken, ..self }
    }

    /// Returns the containers whose resolver is of this family.
    pub fn using(&self, family: Family) -> impl Iterator<Item = &'a Container<'a>> {
        self.containers.iter().filter(move |container| container.resolver().family == family)
    }

    /// Returns each container with the judgement on its resolver. Each resolver that occurs is judged once, because a judgement may
    /// look at every option, and there may be as many containers.
    pub(super) fn judge<T: Clone>(
        &self,
        mut judge: impl FnMut(Resolver) -> T,
    ) -> impl Iterator<Item = (&'a Container<'a>, T)> {
        let judged: Vec<T> = self.resolvers.iter().map(|(resolver, _)| judge(*resolver)).collect();
        self.containers.iter().filter_map(move |container| {
            let judgement = judged.get(self.index_of(container.resolver())?)?;
            Some((container, judgement.clone()))
        })
    }

    /// Returns the options of resolv.conf.
    pub fn options(&self) -> &[&'a str] {
        &self.options
    }

    /// Returns the options of resolv.conf that come from the pod itself: each with its index in `dnsConfig.options` and its text.
    pub fn authored_options(&self) -> &[(usize, &'a str)] {
        &self.authored
    }

    /// Returns the search list of resolv.conf.
    pub fn searches(&self) -> &[&'a str] {
        &self.searches
    }

    /// Returns the settings of a resolver of the pod by the file; `None` if the resolver is unknown.
    pub(super) fn file_settings(&self, resolver: Resolver) -> Option<Settings> {
        let (_, settings) = self.resolvers.get(self.index_of(resolver)?)?;
        *settings
    }

    /// Returns the settings of a container's resolver, by the file and the environment; `None` if the resolver is unknown.
    pub fn settings(&self, container: &Container<'_>) -> Option<Settings> {
        let settings = self.file_settings(container.resolver())?;
        Some(match container.res_options() {
            Some(res_options) => settings.after_environment(res_options),
            None => settings,
        })
    }

    /// Returns the JSON pointer to the last option of this name in `dnsConfig`.
    pub(super) fn option_path(&self, name: &str) -> Option<String> {
        let (index, _) = self.authored.iter().rfind(|(_, text)| option_name(text) == name)?;
        Some(option_path(*index))
    }

    /// Returns the server near the pod that takes the queries of a resolver, as far as the pod shows one. musl asks all nameservers at
    /// once, so that a cache among them is enough; other resolvers ask the first one first.
    pub(super) fn nearby_server(&self, family: Family) -> Option<NearbyServer> {
        // At least one nameserver comes before the pod's own, unless the policy is `None`.
        let before = usize::from(self.conf.base != Base::Nothing);
        let asked = if family == Family::Musl { NAMESERVERS_MAX as usize } else { 1 };
        let mut asked = self.conf.nameservers.iter().take(asked.saturating_sub(before));
        let is_link_local = |text: &String| match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => address.is_link_local(),
            Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
            Err(_) => false,
        };
        if asked.any(is_link_local) {
            return Some(NearbyServer::NodeCache);
        }
        self.dns.mesh_dns_proxy.then_some(NearbyServer::MeshProxy)
    }

    /// Returns whether a container with a resolver of another family than these may act on an option, also by c-ares in its program.
    pub(super) fn others_honour(&self, option: &str, families: &[Family]) -> bool {
        let honours =
            |resolver: Resolver| !families.contains(&resolver.family) && !resolver.support(option).is_ignored();
        self.containers
            .iter()
            .any(|container| honours(container.resolver()) || container.second_resolver().is_some_and(honours))
    }

    /// Returns whether some container may use musl. Options that break musl are no help there.
    pub(super) fn may_use_musl(&self) -> bool {
        self.containers
            .iter()
            .any(|container| matches!(container.resolver().family, Family::Musl | Family::Static | Family::Unknown))
    }

    fn index_of(&self, wanted: Resolver) -> Option<usize> {
        self.resolvers.binary_search_by_key(&wanted, |(resolver, _)| *resolver).ok()
    }
}

// === impl Container ===

impl Container<'_> {
    /// Returns the container's resolver, in its environment.
    pub fn resolver(&self) -> Resolver {
        let ResolverEnv { godebug, res_options, local_domain, .. } = self.env;
        // An empty LOCALDOMAIN counts, an empty RES_OPTIONS does not (Go: src/net/conf.go).
        let has_libc_variables = local_domain.is_some() || res_options.as_deref().is_some_and(|text| !text.is_empty());
        go::in_environment(self.fingerprint.resolver, godebug.as_deref(), has_libc_variables)
    }

    /// Returns a resolver that the program has beside the main one. One that the image has, and the program may load, does not count.
    pub fn second_resolver(&self) -> Option<Resolver> {
        self.fingerprint.beside.as_ref().filter(|second| second.in_program).map(|second| second.resolver)
    }

    /// Returns the container's resolver with the evidence for it.
    pub fn known_resolver(&self) -> ContainerResolver {
        let Fingerprint { evidence, holds_java, .. } = self.fingerprint;
        ContainerResolver { resolver: self.resolver(), evidence, holds_java }
    }

    /// Returns the options that the environment adds after those of the file: `RES_OPTIONS` of glibc and c-ares (glibc:
    /// resolv/res_init.c; c-ares: src/lib/ares_sysconfig_files.c).
    pub(crate) fn env_options(&self) -> impl Iterator<Item = &str> {
        self.res_options().into_iter().flat_map(str::split_ascii_whitespace)
    }

    fn res_options(&self) -> Option<&str> {
        self.env.res_options.as_deref().filter(|_| matches!(self.resolver().family, Family::Glibc | Family::CAres))
    }

    /// Returns the search list that the environment sets in place of the file's: glibc's `LOCALDOMAIN` (glibc: resolv/res_init.c).
    pub(super) fn env_searches(&self) -> Option<Vec<&str>> {
        let text = self.env.local_domain.as_deref().filter(|_| self.resolver().family == Family::Glibc)?;
        Some(text.split_ascii_whitespace().collect())
    }

    /// Returns the JSON pointer to the place that gives the container an option of this name: its environment, or else `in_pod`.
    pub(super) fn option_path(&self, name: &str, in_pod: Option<&str>) -> Option<String> {
        if self.env_options().any(|text| option_name(text) == name) {
            return Some(self.env_path());
        }
        in_pod.map(str::to_owned)
    }

    /// Returns the JSON pointer to the container's image.
    pub(super) fn image_path(&self) -> String {
        format!("{}/image", self.path)
    }

    /// Returns the JSON pointer to the container's environment.
    pub(super) fn env_path(&self) -> String {
        format!("{}/env", self.path)
    }
}

/// Returns the JSON pointer to option `index` of the pod.
pub fn option_path(index: usize) -> String {
    format!("/spec/dnsConfig/options/{index}")
}

/// Returns the JSON pointer to search name `index` of the pod.
pub(super) fn search_path(index: usize) -> String {
    format!("/spec/dnsConfig/searches/{index}")
}

/// Returns the part of an option before its first colon, whether the pod wrote it as name or as value.
pub(super) fn option_name(text: &str) -> &str {
    text.split_once(':').map_or(text, |(name, _)| name)
}

/// Returns a text of the pod for a change, which has room for two of them ([`super::CHANGE_MAX`]): shorter, and without what a
/// [`crate::text::Line`] would escape.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    one_line(text, SHORT_MAX)
}

/// Returns a text of the pod for a message: short.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, EXCERPT_MAX)
}
