//! A pod's DNS settings, and the resolv.conf that the kubelet makes from them.
//!
//! The merge is that of kubernetes `pkg/kubelet/network/dns/dns.go` (`getPodDNSType`, `mergeDNSOptions`, `GetPodDNS`).

use std::collections::HashSet;

/// The settings that decide a pod's resolv.conf, `spec.dnsPolicy`, `spec.hostNetwork` and `spec.dnsConfig`, and the proxy that may take
/// the pod's queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// The policy, which decides what the kubelet starts from.
    pub policy: Policy,
    /// `dnsConfig.nameservers`.
    pub nameservers: Vec<String>,
    /// `dnsConfig.searches`.
    pub searches: Vec<String>,
    /// `dnsConfig.options`, in the order of the pod.
    pub options: Vec<DnsOption>,
    /// Is true if the pod shows that a service mesh's proxy takes its DNS queries. The namespace and the mesh's own configuration can say
    /// so too, which the pod does not show before the sidecar is in it.
    pub mesh_dns_proxy: bool,
}

/// `spec.dnsPolicy`, with a variant of its own for the case in which `hostNetwork` changes its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The cluster's DNS, and the default.
    #[default]
    ClusterFirst,
    /// The cluster's DNS, on the node's network too.
    ClusterFirstWithHostNet,
    /// `ClusterFirst` with `hostNetwork: true`: the kubelet falls back to the node's file.
    ClusterFirstOnHostNetwork,
    /// The node's file.
    Default,
    /// `dnsConfig` alone.
    None,
}

/// The start of a resolv.conf, before the kubelet merges `dnsConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The cluster's nameserver, the cluster's three search names, `ndots:5`.
    Cluster,
    /// The node's file, whose content is unknown here.
    Node,
    /// An empty file.
    Nothing,
}

/// One of `dnsConfig.options`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsOption {
    /// The name. The API server only checks that it is not empty, so `ndots:2` is a valid name.
    pub name: String,
    /// The value; the kubelet treats an empty one as absent.
    pub value: Option<String>,
}

/// The resolv.conf that the pod's containers get, as far as the pod decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The start of the file.
    pub base: Base,
    /// The pod's nameservers; those of the cluster or the node come before them.
    pub nameservers: Vec<String>,
    /// The search list, without the names that the node's file adds.
    pub searches: Vec<String>,
    /// The options, one `name[:value]` each. The kubelet writes them in random order (it walks a Go map).
    pub options: Vec<String>,
    /// The indexes in `dnsConfig.options` of the options that come from the pod: the last of `options`.
    authored: Vec<usize>,
}

// === impl Policy ===

impl Policy {
    /// Returns the policy by `spec.dnsPolicy` and `spec.hostNetwork`. An unknown policy counts as `Default`, for which rules claim nothing
    /// about the file.
    pub fn of(dns_policy: Option<&str>, host_network: bool) -> Self {
        match dns_policy {
            None | Some("" | "ClusterFirst") if host_network => Self::ClusterFirstOnHostNetwork,
            None | Some("" | "ClusterFirst") => Self::ClusterFirst,
            Some("ClusterFirstWithHostNet") => Self::ClusterFirstWithHostNet,
            Some("None") => Self::None,
            Some(_) => Self::Default,
        }
    }

    /// Returns the value of `spec.dnsPolicy`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterFirst | Self::ClusterFirstOnHostNetwork => "ClusterFirst",
            Self::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
            Self::Default => "Default",
            Self::None => "None",
        }
    }

    /// Returns what the kubelet starts from.
    pub const fn base(self) -> Base {
        match self {
            Self::ClusterFirst | Self::ClusterFirstWithHostNet => Base::Cluster,
            Self::ClusterFirstOnHostNetwork | Self::Default => Base::Node,
            Self::None => Base::Nothing,
        }
    }
}

// === impl DnsOption ===

impl DnsOption {
    /// The option `name`, or `name:value`.
    pub fn new(name: &str, value: Option<&str>) -> Self {
        Self { name: name.to_owned(), value: value.map(str::to_owned) }
    }

    /// Returns the option `name[:value]`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, value)) => Self::new(name, Some(value)),
            None => Self::new(text, None),
        }
    }

    /// Returns the option as in resolv.conf: the name alone if the value is absent or empty.
    pub fn text(&self) -> String {
        match self.value.as_deref() {
            None | Some("") => self.name.clone(),
            Some(value) => format!("{}:{value}", self.name),
        }
    }
}

// === impl Dns ===

impl Dns {
    /// Returns the indexes of the options that reach resolv.conf: the last of each name.
    pub fn effective_options(&self) -> impl Iterator<Item = usize> {
        // Sorted by name and index, because comparing each with each would take too long for a pod with many thousands.
        let name = |index: &usize| self.options[*index].name.as_str();
        let mut indexes: Vec<usize> = (0..self.options.len()).collect();
        indexes.sort_by_key(name);
        let mut last: Vec<usize> =
            indexes.chunk_by(|one, other| name(one) == name(other)).filter_map(<[usize]>::last).copied().collect();
        last.sort_unstable();
        last.into_iter()
    }

    /// Returns the file that the kubelet makes, in a namespace and a cluster domain such as `cluster.local`.
    pub fn resolv_conf(&self, namespace: &str, cluster_domain: &str) -> ResolvConf {
        let base = self.policy.base();
        let mut searches = match base {
            Base::Cluster => cluster_searches(namespace, cluster_domain),
            Base::Node | Base::Nothing => Vec::new(),
        };
        if !self.searches.is_empty() {
            let mut seen: HashSet<String> = searches.iter().cloned().collect();
            searches.extend(self.searches.iter().filter(|search| seen.insert((*search).clone())).cloned());
        }
        let mut options = Vec::with_capacity(self.options.len() + 1);
        if base == Base::Cluster && !self.options.iter().any(|option| option.name == "ndots") {
            options.push("ndots:5".to_owned());
        }
        let authored: Vec<usize> = self.effective_options().collect();
        options.extend(authored.iter().map(|index| self.options[*index].text()));
        let mut seen = HashSet::new();
        let nameservers = self.nameservers.iter().filter(|address| seen.insert(address.as_str())).cloned().collect();
        ResolvConf { base, nameservers, searches, options, authored }
    }
}

/// Returns the search list of a `ClusterFirst` pod, without the names that the node's file adds
/// (kubernetes `pkg/kubelet/network/dns/dns.go`, `generateSearchesForDNSClusterFirst`).
pub fn cluster_searches(namespace: &str, cluster_domain: &str) -> Vec<String> {
    vec![format!("{namespace}.svc.{cluster_domain}"), format!("svc.{cluster_domain}"), cluster_domain.to_owned()]
}

// === impl ResolvConf ===

impl ResolvConf {
    /// Returns the options, each borrowed.
    pub fn option_texts(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    /// Returns the options that come from the pod: each with its index in `dnsConfig.options` and its text.
    pub fn authored_options(&self) -> impl Iterator<Item = (usize, &str)> {
        let from_base = self.options.len() - self.authored.len();
        self.authored.iter().copied().zip(self.options[from_base..].iter().map(String::as_str))
    }

    /// Returns the search list, each name borrowed.
    pub fn search_texts(&self) -> Vec<&str> {
        self.searches.iter().map(String::as_str).collect()
    }

    /// Returns the bytes of the `options` line, the word itself included; 0 without options.
    pub fn options_line_len(&self) -> usize {
        match &*self.options {
            [] => 0,
            options => "options".len() + options.iter().map(|option| 1 + option.len()).sum::<usize>(),
        }
    }
}
