//! What is injected into a pod, and how strict each rule is. The four profiles that are built in; custom ones come from the cluster.

use std::net::{IpAddr, Ipv4Addr};

use super::{Declared, Exempt, Levels};
use crate::resolver::Version;

/// What to inject, by what the pod's containers use; how strict each rule is; what is known of images that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Its name, as in the namespace's label.
    pub name: String,
    /// What it is for, in one sentence.
    pub summary: String,
    /// Options for a pod whose containers all use musl, known by inspection or declaration.
    pub musl: Vec<String>,
    /// The same for some releases of musl, the first that fits all of the pod's containers.
    pub musl_releases: Vec<Releases>,
    /// Options for a pod of which some container uses musl, or seems to by its reference alone.
    pub mixed: Vec<String>,
    /// Options for a pod whose containers all use glibc, where they differ from `others`.
    pub glibc: Option<Vec<String>>,
    /// Options for a pod whose containers all use Go's resolver, where they differ from `others`.
    pub go: Option<Vec<String>>,
    /// Options for any other pod of which no container is known to use musl.
    pub others: Vec<String>,
    /// What becomes of an option that the pod's author set otherwise.
    pub on_conflict: OnConflict,
    /// Replaces the pod's nameserver by a cache on its node.
    pub node_local: Option<NodeLocal>,
    /// How strict each rule is; the built-in profiles change none.
    pub levels: Levels,
    /// What the admin says of images.
    pub declared: Declared,
    /// What is left alone.
    pub exempt: Exempt,
}

/// Options for some releases of musl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Releases {
    /// The first of them; `None` for all before.
    pub from: Option<Version>,
    /// The first that is none of them; `None` for all after.
    pub before: Option<Version>,
    /// The options.
    pub options: Vec<String>,
}

/// What becomes of an option that the pod's author set otherwise than the profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// It stays, and its author is told.
    #[default]
    Keep,
    /// The profile's takes its place, and its author is told.
    Override,
}

/// The cache on each node that takes the place of the cluster's DNS service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeLocal {
    /// The address it listens at on every node.
    pub address: IpAddr,
}

/// A name that no profile has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile `{name}`: use {}", Profile::NAMES.join(", "))]
pub struct UnknownProfile {
    name: String,
}

// === impl Profile ===

impl Profile {
    /// The names of the built-in profiles.
    pub const NAMES: [&str; 5] = ["default", "ipv6", "single-request-reopen", "fast", "node-local"];

    /// The built-in profile of this name.
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

    /// Injects nothing, and leaves every rule as it is.
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
            levels: Levels::default(),
            declared: Declared::default(),
            exempt: Exempt::default(),
        }
    }

    /// A second query socket for glibc, for which it cures the conntrack race; musl ignores it.
    fn single_request_reopen() -> Self {
        let options = options(["single-request-reopen"]);
        Self {
            name: "single-request-reopen".to_owned(),
            summary:
                "single-request-reopen in every pod: cures the conntrack race for glibc, which then asks for AAAA but \
                      once; musl ignores it"
                    .to_owned(),
            musl: options.clone(),
            mixed: options.clone(),
            others: options,
            ..Self::nothing()
        }
    }

    /// A resend after 0.5 s on musl and after 3 s elsewhere. Measured: names whose answer takes 4 s then fail on musl
    /// (dns-lab, table 7), which is why it is not the default.
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

    /// The cache on the node as the only nameserver: no DNAT on the way to it, so no conntrack race for any resolver
    /// (kubernetes/website: nodelocaldns). The address is the one that its manifests use.
    fn node_local() -> Self {
        Self {
            name: "node-local".to_owned(),
            summary: "NodeLocal DNSCache (169.254.20.10) as the only nameserver, with the default options".to_owned(),
            node_local: Some(NodeLocal { address: IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10)) }),
            ..Self::default()
        }
    }

    /// The default of clusters whose pods have IPv6 addresses: no second socket for glibc, which with `single-request-reopen` does
    /// not ask again for an AAAA answer that is lost or takes half the timeout, so that a name that has IPv6 addresses alone is not
    /// found (measured, docs/proof.md). Where pods have IPv4 addresses only, such a name is of no use to them.
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
    /// Chosen from measurement so that success is never lower than with no options (dns-lab, table 7): musl then resends after
    /// 0.5 s where every container honours that, after 1 s where glibc shares the file and gets a socket a query. Where pods have
    /// IPv6 addresses, `ipv6` takes its place.
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
    fn every_built_in_profile_is_found_by_its_name() {
        for name in Profile::NAMES {
            assert_eq!(Profile::builtin(name).map(|profile| profile.name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        assert_eq!(
            Profile::builtin("quick").map_err(|error| error.to_string()),
            Err("there is no profile `quick`: use default, ipv6, single-request-reopen, fast, node-local".to_owned())
        );
    }
}
