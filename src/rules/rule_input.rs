//! What a rule looks at: the pod's resolv.conf as its containers will see it, and what each container resolves names
//! with.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::image::Fingerprint;
use crate::pod::{Dns, ResolvConf, ResolverEnv};
use crate::policy::ContainerResolver;
use crate::resolver::{Family, Resolver, Settings, go};
use crate::text::one_line;

/// A pod as rules see it. What is asked of it for each container is worked out once, as a pod can have thousands of
/// options and of containers.
#[derive(Debug)]
pub struct RuleInput<'a> {
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
    /// The texts of `conf.options`.
    options: Vec<&'a str>,
    /// The names of `conf.searches`.
    searches: Vec<&'a str>,
    /// The options that come from the pod itself.
    authored: Vec<(usize, &'a str)>,
    /// Which of them is the last of a name, by what stands before the first colon.
    places: HashMap<&'a str, usize>,
    /// How each resolver that occurs reads the file.
    settings: HashMap<Resolver, Option<Settings>>,
}

/// One word of the annotation `muslin.dev/ignore`.
#[derive(Clone, Copy, Debug)]
pub struct Ignored<'a> {
    /// The rule that it names; there may be none of this name.
    pub slug: &'a str,
    /// Where the annotation stands, as in [`super::rule::Finding::path`].
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

/// How much of a text of the pod's a message repeats, in bytes: more than the longest option that any resolver knows,
/// with a number. A text can be as long as the pod may be, and a message must fit on a line.
const SHOWN_MAX: usize = 35;

// === impl RuleInput ===

impl<'a> RuleInput<'a> {
    /// A pod whose `dns` the kubelet makes `conf` of.
    pub fn new(
        containers: &'a [Container<'a>],
        dns: &'a Dns,
        conf: &'a ResolvConf,
        namespace: &'a str,
        cluster_domain: &'a str,
    ) -> Self {
        let options = conf.option_texts();
        // The kubelet's own come first.
        let indices: Vec<usize> = dns.effective_options().collect();
        let own = options.len().saturating_sub(indices.len());
        let authored: Vec<_> = indices.into_iter().zip(options[own..].iter().copied()).collect();
        let places = authored.iter().map(|(index, text)| (option_name(text), *index)).collect();
        let mut settings = HashMap::new();
        for container in containers {
            let resolver = container.resolver();
            settings.entry(resolver).or_insert_with(|| Settings::read(resolver, &options));
        }
        let searches = conf.search_texts();
        let ignored = &[];
        Self {
            containers,
            dns,
            conf,
            namespace,
            cluster_domain,
            ignored,
            options,
            searches,
            authored,
            places,
            settings,
        }
    }

    /// The same pod with what people asked to hear nothing of.
    pub fn ignoring(self, ignored: &'a [Ignored<'a>]) -> Self {
        Self { ignored, ..self }
    }

    /// The containers whose resolver is of this family.
    pub fn using(&self, family: Family) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().filter(move |container| container.resolver().family == family)
    }

    /// The options of resolv.conf.
    pub fn options(&self) -> &[&'a str] {
        &self.options
    }

    /// The options that reach resolv.conf from the pod itself: each with its index in `dnsConfig.options` and its text.
    pub fn authored_options(&self) -> &[(usize, &'a str)] {
        &self.authored
    }

    /// The search list of resolv.conf.
    pub fn searches(&self) -> &[&'a str] {
        &self.searches
    }

    /// How this container's resolver reads the file; `None` where its resolver is not known.
    pub fn settings(&self, container: &Container<'_>) -> Option<Settings> {
        let settings = self.settings.get(&container.resolver()).copied().flatten()?;
        Some(match container.res_options() {
            Some(res_options) => settings.after_environment(res_options),
            None => settings,
        })
    }

    /// Where the pod gives an option of this name to a container, as a JSON pointer: in its environment, or else in
    /// `dnsConfig`. `None` where it does not.
    pub(super) fn place_of(&self, container: &Container<'_>, option: &str) -> Option<String> {
        if container.env_options().any(|text| option_name(text) == option) {
            return Some(container.env_path());
        }
        self.places.get(option).copied().map(option_path)
    }

    /// Whether some container may use musl: it does, or what it uses is not known. Options that break musl are no help
    /// there.
    pub(super) fn may_use_musl(&self) -> bool {
        self.containers
            .iter()
            .any(|container| matches!(container.resolver().family, Family::Musl | Family::Static | Family::Unknown))
    }
}

// === impl Container ===

impl Container<'_> {
    /// What it resolves names with, in its environment.
    pub fn resolver(&self) -> Resolver {
        let ResolverEnv { godebug, res_options, local_domain, path: _ } = self.env;
        // An empty LOCALDOMAIN counts, an empty RES_OPTIONS does not (Go: src/net/conf.go).
        let has_libc_variables = local_domain.is_some() || res_options.as_deref().is_some_and(|text| !text.is_empty());
        go::in_environment(self.fingerprint.resolver, godebug.as_deref(), has_libc_variables)
    }

    /// Returns the container's resolver with the evidence for it.
    pub fn known_resolver(&self) -> ContainerResolver {
        ContainerResolver { resolver: self.resolver(), evidence: self.fingerprint.evidence }
    }

    /// Options that its environment adds after those of the file: glibc's `RES_OPTIONS` (glibc: resolv/res_init.c).
    pub fn env_options(&self) -> impl Iterator<Item = &str> {
        self.res_options().into_iter().flat_map(str::split_ascii_whitespace)
    }

    fn res_options(&self) -> Option<&str> {
        self.env.res_options.as_deref().filter(|_| self.resolver().family == Family::Glibc)
    }

    /// The search list that its environment puts in place of the file's: glibc's `LOCALDOMAIN` (glibc:
    /// resolv/res_init.c).
    pub(super) fn env_searches(&self) -> Option<Vec<&str>> {
        let text = self.env.local_domain.as_deref().filter(|_| self.resolver().family == Family::Glibc)?;
        Some(text.split_ascii_whitespace().collect())
    }

    /// Where its image stands.
    pub(super) fn image_path(&self) -> String {
        format!("{}/image", self.path)
    }

    /// Where its environment stands.
    pub(super) fn env_path(&self) -> String {
        format!("{}/env", self.path)
    }
}

/// Where option `index` of the pod stands, as a JSON pointer from the pod.
pub fn option_path(index: usize) -> String {
    format!("/spec/dnsConfig/options/{index}")
}

/// Where search name `index` of the pod stands.
pub(super) fn search_path(index: usize) -> String {
    format!("/spec/dnsConfig/searches/{index}")
}

/// What stands before an option's first colon, wherever the pod wrote it.
pub(super) fn option_name(text: &str) -> &str {
    text.split_once(':').map_or(text, |(name, _)| name)
}

/// A text of the pod's as a message shows it: cut where it is long, and without what a terminal would obey.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    one_line(text, SHOWN_MAX)
}
