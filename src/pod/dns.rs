//! What a pod says about DNS, and the resolv.conf that its containers get from it: what the kubelet merges, and how.
//!
//! The merge is that of kubernetes `pkg/kubelet/network/dns/dns.go` (`getPodDNSType`, `mergeDNSOptions`, `GetPodDNS`).

use std::collections::{HashMap, HashSet};

/// What decides a pod's resolv.conf: `spec.dnsPolicy`, `spec.hostNetwork` and `spec.dnsConfig` together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Where the kubelet starts from.
    pub policy: Policy,
    /// `dnsConfig.nameservers`.
    pub nameservers: Vec<String>,
    /// `dnsConfig.searches`.
    pub searches: Vec<String>,
    /// `dnsConfig.options`, in the order of the pod.
    pub options: Vec<DnsOption>,
}

/// `spec.dnsPolicy`, with the one case in which it does not mean what it says.
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

/// Where a resolv.conf starts, before `dnsConfig` is merged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The cluster's nameserver, the cluster's three search names, `ndots:5`.
    Cluster,
    /// The file of the node, whose content is not known here.
    Node,
    /// Nothing.
    Nothing,
}

/// One of `dnsConfig.options`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsOption {
    /// Its name. The API server checks only that it is not empty, so that `ndots:2` is one too.
    pub name: String,
    /// Its value; the kubelet treats an empty one as none.
    pub value: Option<String>,
}

/// The resolv.conf that the pod's containers get, as far as the pod tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// What it starts from.
    pub base: Base,
    /// The nameservers, without the cluster's or the node's own, which stand before them.
    pub nameservers: Vec<String>,
    /// The search list, without what the node's file adds.
    pub searches: Vec<String>,
    /// The options, one `name[:value]` each. The kubelet writes them in random order (it walks a Go map).
    pub options: Vec<String>,
}

// === impl Policy ===

impl Policy {
    /// What `spec.dnsPolicy` and `spec.hostNetwork` mean together. A policy that this version does not know counts as
    /// `Default`: nothing is then claimed about the file.
    pub fn of(dns_policy: Option<&str>, host_network: bool) -> Self {
        match dns_policy {
            None | Some("" | "ClusterFirst") if host_network => Self::ClusterFirstOnHostNetwork,
            None | Some("" | "ClusterFirst") => Self::ClusterFirst,
            Some("ClusterFirstWithHostNet") => Self::ClusterFirstWithHostNet,
            Some("None") => Self::None,
            Some(_) => Self::Default,
        }
    }

    /// The value of `spec.dnsPolicy`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterFirst | Self::ClusterFirstOnHostNetwork => "ClusterFirst",
            Self::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
            Self::Default => "Default",
            Self::None => "None",
        }
    }

    /// What the kubelet starts from.
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

    /// Reads `name[:value]`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, value)) => Self::new(name, Some(value)),
            None => Self::new(text, None),
        }
    }

    /// As it stands in resolv.conf: the name alone where the value is absent or empty.
    pub fn text(&self) -> String {
        match self.value.as_deref() {
            None | Some("") => self.name.clone(),
            Some(value) => format!("{}:{value}", self.name),
        }
    }
}

// === impl Dns ===

impl Dns {
    /// Which of the options reach resolv.conf, by index: of several with one name the last.
    pub fn effective_options(&self) -> impl Iterator<Item = usize> {
        // Not by comparing each with each: nobody has counted them yet when a pod is reviewed.
        let last: HashMap<&str, usize> =
            self.options.iter().enumerate().map(|(index, option)| (option.name.as_str(), index)).collect();
        (0..self.options.len()).filter(move |index| last.get(self.options[*index].name.as_str()) == Some(index))
    }

    /// The file that the kubelet makes of it, in a namespace and a cluster domain such as `cluster.local`.
    pub fn resolv_conf(&self, namespace: &str, cluster_domain: &str) -> ResolvConf {
        let base = self.policy.base();
        let mut searches = match base {
            Base::Cluster => cluster_searches(namespace, cluster_domain),
            Base::Node | Base::Nothing => Vec::new(),
        };
        let mut seen: HashSet<String> = searches.iter().cloned().collect();
        searches.extend(self.searches.iter().filter(|search| seen.insert((*search).clone())).cloned());
        let mut options = Vec::with_capacity(self.options.len() + 1);
        if base == Base::Cluster && !self.options.iter().any(|option| option.name == "ndots") {
            options.push("ndots:5".to_owned());
        }
        options.extend(self.effective_options().map(|index| self.options[index].text()));
        let mut seen = HashSet::new();
        let nameservers = self.nameservers.iter().filter(|address| seen.insert(address.as_str())).cloned().collect();
        ResolvConf { base, nameservers, searches, options }
    }
}

/// The search list of a `ClusterFirst` pod, without what the node's file adds to it
/// (kubernetes `pkg/kubelet/network/dns/dns.go`, `generateSearchesForDNSClusterFirst`).
pub fn cluster_searches(namespace: &str, cluster_domain: &str) -> Vec<String> {
    vec![format!("{namespace}.svc.{cluster_domain}"), format!("svc.{cluster_domain}"), cluster_domain.to_owned()]
}

// === impl ResolvConf ===

impl ResolvConf {
    /// The options, each borrowed.
    pub fn option_texts(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    /// The search list, each name borrowed.
    pub fn search_texts(&self) -> Vec<&str> {
        self.searches.iter().map(String::as_str).collect()
    }

    /// How many bytes the `options` line has, the word itself included; 0 where there are none.
    pub fn options_line_len(&self) -> usize {
        match &*self.options {
            [] => 0,
            options => "options".len() + options.iter().map(|option| 1 + option.len()).sum::<usize>(),
        }
    }
}
