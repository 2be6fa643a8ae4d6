//! Profiles: the options to inject and the level of each rule. Five profiles are built in; custom ones come from the cluster.

use std::net::{IpAddr, Ipv4Addr};

use super::declared_images::DeclaredImages;
use super::exemptions::Exemptions;
use super::level_override::LevelOverrides;
use crate::resolver::Version;

/// A profile. [`Self::options_for`] returns the options for a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// The name, as in the namespace's label.
    pub name: String,
    /// The purpose, in one sentence.
    pub summary: String,
    /// Options for pods whose containers all use musl, by inspection or declaration.
    pub musl: Vec<String>,
    /// Options in place of `musl` for some releases; the first range that includes all of the pod's containers counts.
    pub musl_releases: Vec<Releases>,
    /// Options for pods of which some container uses musl, or seems to by its image's name alone.
    pub mixed: Vec<String>,
    /// Options for pods whose containers all use glibc; `others` if absent.
    pub glibc: Option<Vec<String>>,
    /// Options for pods whose containers all use Go's resolver; `others` if absent.
    pub go: Option<Vec<String>>,
    /// Options for all other pods.
    pub others: Vec<String>,
    /// The treatment of options that the pod's author set to other values.
    pub on_conflict: OnConflict,
    /// The DNS cache on the node that replaces the pod's nameserver.
    pub node_local: Option<NodeLocal>,
    /// The levels of rules; the built-in profiles override none.
    pub rules: LevelOverrides,
    /// The declared resolvers of images.
    pub images: DeclaredImages,
    /// The exempt images and service accounts.
    pub exempt: Exemptions,
}

/// Options for a range of musl's releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Releases {
    /// The first release of the range; `None` for no lower bound.
    pub from: Option<Version>,
    /// The first release after the range; `None` for no upper bound.
    pub before: Option<Version>,
    /// The options.
    pub options: Vec<String>,
}

/// The treatment of an option that the pod's author set to another value than the profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// The author's value stays, with a warning.
    #[default]
    Keep,
    /// The profile's value replaces it, with a warning.
    Override,
}

/// A DNS cache on each node that replaces the cluster's DNS service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeLocal {
    /// The address at which the cache listens on every node.
    pub address: IpAddr,
}

/// A name of no built-in profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile `{name}`: use {}", Profile::NAMES.join(", "))]
pub struct UnknownProfile {
    name: String,
}

// === impl Profile ===

impl Profile {
    /// The names of the built-in profiles.
    pub const NAMES: [&str; 5] = ["default", "ipv6", "single-request-reopen", "fast", "node-local"];

    /// Returns the built-in profile of this name.
    ///
    /// # Errors
    /// The name is none of [`Self::NAMES`].
    pub fn builtin(name: &str) -> Result<Self, UnknownProfile> {
        match name {
            "default" => Ok(Self::default()),
            "ipv6" => Ok(Self::ipv6()),
            "single-request-reopen" => Ok(Self::single_request_reopen()),
            "fast" => Ok(Self::fast()),
            "node-local" => Ok(Self::node_local()),
            _ => Err(UnknownProfile { name: name.to_owned() }),
        }
    }

    /// Returns a profile that injects nothing and overrides no level.
    pub fn nothing() -> Self {
        Self {
            name: String::new(),
            summary: String::new(),
            musl: Vec::new(),
            musl_releases: Vec::new(),
            mixed: Vec::new(),
            glibc: None,
            go: None,
            others: Vec::new(),
            on_conflict: OnConflict::Keep,
            node_local: None,
            rules: LevelOverrides::default(),
            images: DeclaredImages::default(),
            exempt: Exemptions::default(),
        }
    }

    /// A second query socket for glibc, which avoids the conntrack race; musl ignores the option.
    fn single_request_reopen() -> Self {
        let options = options(["single-request-reopen"]);
        Self {
            name: "single-request-reopen".to_owned(),
            summary:
                "single-request-reopen in every pod: avoids the conntrack race for glibc, which then asks for AAAA but \
                      once; musl ignores it"
                    .to_owned(),
            musl: options.clone(),
            mixed: options.clone(),
            others: options,
            ..Self::nothing()
        }
    }

    /// A resend after 0.5 s on musl and after 3 s elsewhere. Not the default, because names whose answer takes 4 s then fail on musl
    /// (measured, dns-lab, table 7).
    fn fast() -> Self {
        let options = options(["timeout:3", "attempts:6"]);
        Self {
            name: "fast".to_owned(),
            summary: "timeout:3 attempts:6 in every pod: quicker recovery, but names that take over 3 s fail"
                .to_owned(),
            musl: options.clone(),
            mixed: options.clone(),
            others: options,
            ..Self::nothing()
        }
    }

    /// The cache on the node as the only nameserver. Queries to it pass no DNAT, so no resolver meets the conntrack race
    /// (kubernetes/website: nodelocaldns). The address is that of NodeLocal DNSCache's manifests.
    fn node_local() -> Self {
        Self {
            name: "node-local".to_owned(),
            summary: "NodeLocal DNSCache (169.254.20.10) as the only nameserver, with the default options".to_owned(),
            node_local: Some(NodeLocal { address: IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10)) }),
            ..Self::default()
        }
    }

    /// The default for clusters whose pods have IPv6 addresses: without a second socket for glibc. With `single-request-reopen`,
    /// glibc does not ask again for an AAAA answer that is lost or takes half the timeout, so it does not find a name that has only
    /// IPv6 addresses (measured, docs/proof.md). Pods with only IPv4 addresses have no use for such a name.
    fn ipv6() -> Self {
        Self {
            name: "ipv6".to_owned(),
            summary: "the default where pods have IPv6 addresses: as `default`, but one socket for all queries"
                .to_owned(),
            mixed: options(["timeout:5", "attempts:5"]),
            ..Self::default()
        }
    }
}

impl Default for Profile {
    /// The options with which success was never lower than without options (measured, dns-lab, table 7). musl resends after 0.5 s if
    /// every container honours that, and after 1 s if glibc shares the file and gets a socket for each query. Clusters whose pods
    /// have IPv6 addresses use `ipv6` instead.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            summary: "quicker resends for musl, separate sockets for what shares a pod with it".to_owned(),
            musl: options(["timeout:5", "attempts:10"]),
            mixed: options(["single-request-reopen", "timeout:5", "attempts:5"]),
            ..Self::nothing()
        }
    }
}

fn options<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_has_its_name() {
        for name in Profile::NAMES {
            assert_eq!(Profile::builtin(name).map(|profile| profile.name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_the_known_names() {
        assert_eq!(
            Profile::builtin("quick").map_err(|error| error.to_string()),
            Err("there is no profile `quick`: use default, ipv6, single-request-reopen, fast, node-local".to_owned())
        );
    }
}
