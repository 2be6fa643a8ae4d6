//! Profiles: the options to inject and the level of each rule. Six profiles are built in; custom ones come from the cluster.

use std::net::{IpAddr, Ipv4Addr};

use super::declared_images::DeclaredImages;
use super::exemptions::Exemptions;
use super::level_override::LevelOverrides;
use super::musl_condition::MuslCondition;
use super::search_list::SearchList;
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
    /// Options for pods whose musl is in a range of releases; the first entry that the pod meets counts, before every other row.
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
    /// The search list of pods with musl.
    pub search: SearchList,
    /// The levels of rules; the built-in profiles override none.
    pub rules: LevelOverrides,
    /// The declared resolvers of images.
    pub images: DeclaredImages,
    /// The exempt images and service accounts.
    pub exempt: Exemptions,
}

/// Options for pods whose containers use musl in a range of releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Releases {
    /// The condition.
    pub condition: MuslCondition,
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
    pub const NAMES: [&str; 6] = ["default", "ipv6", "three-attempts", "single-request-reopen", "fast", "node-local"];

    /// Returns the built-in profile of this name.
    ///
    /// # Errors
    /// The name is none of [`Self::NAMES`].
    pub fn builtin(name: &str) -> Result<Self, UnknownProfile> {
        match name {
            "default" => Ok(Self::default()),
            "ipv6" => Ok(Self::ipv6()),
            "three-attempts" => Ok(Self::three_attempts()),
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
            search: SearchList::Inherit,
            rules: LevelOverrides::default(),
            images: DeclaredImages::default(),
            exempt: Exemptions::default(),
        }
    }

    /// Three queries in place of two, for pods with musl alone, in a known release and with one nameserver. The best set of options for
    /// lost packets (`tests/model/search.rs`): with 20 % lost, musl finds 96.5 % of names in place of 81 %. Not the default, because it
    /// adds to an overload: where the upstream is at 80 % of its capacity and stalls for 2 s, lookups did not recover. Not beside glibc,
    /// whose lookups got slower where 20 % of packets were lost (measured, `docs/proof.md`).
    fn three_attempts() -> Self {
        let condition = MuslCondition {
            from: Some(Version::new(1, 2, 1)),
            before: None,
            except_java: true,
            nameservers_max: Some(1),
        };
        Self {
            name: "three-attempts".to_owned(),
            summary: "attempts:3 for musl 1.2.1 or later: fewer lookups fail where packets are lost, but overloaded nameservers \
                      recover later or not at all"
                .to_owned(),
            musl_releases: vec![Releases { condition, options: options(["attempts:3"]) }],
            ..Self::nothing()
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

    /// The name that 0.1.0 gave to a profile of its own: its default's `single-request-reopen` lost names that have only IPv6
    /// addresses. No row of the default has that option now.
    fn ipv6() -> Self {
        Self { name: "ipv6".to_owned(), summary: "another name for `default`".to_owned(), ..Self::default() }
    }
}

impl Default for Profile {
    /// No option. A search over option sets found none that helps musl and makes nothing worse (`tests/model/search.rs`): each that
    /// resends sooner can keep an overloaded nameserver from recovering, and each `timeout` breaks programs with a resolver of
    /// their own.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            summary: "no option: none helps musl without making some lookup worse; zeros are fixed".to_owned(),
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
            Err("there is no profile `quick`: use default, ipv6, three-attempts, single-request-reopen, fast, node-local".to_owned())
        );
    }
}
