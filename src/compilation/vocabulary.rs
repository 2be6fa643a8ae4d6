//! The situations of a pod that policies know: its DNS policy, and its options as authors write them. Must not know what muslin does in
//! any of them.

use crate::resolver::{known_options, takes_number};

/// The numbers that authors give to options. Zeros are known where muslin fixes them.
const NUMBERS: [(&str, &[u32]); 3] =
    [("ndots", &[1, 2, 3, 4, 5]), ("timeout", &[0, 1, 2, 3, 4, 5, 10]), ("attempts", &[0, 1, 2, 3, 4, 5, 6, 10])];

/// The switches that authors combine with numbers.
const COMMON_SWITCHES: [&str; 5] = ["single-request-reopen", "single-request", "use-vc", "rotate", "edns0"];

/// The numbers of three options together, which are fewer.
const OFTEN: [u32; 4] = [1, 2, 3, 5];

/// The `dnsPolicy` and the `hostNetwork` of a pod. A pod with `None` has nameservers of its own, which no policy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DnsPolicy {
    /// The value of `dnsPolicy`.
    pub(super) name: &'static str,
    /// The value of `hostNetwork`.
    pub(super) has_host_network: bool,
}

/// The settings of a pod that muslin's answer depends on, besides its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    /// The DNS policy.
    pub(super) policy: DnsPolicy,
    /// The options, each `name` or `name:number`, in the order of [`names`].
    pub(super) options: Vec<String>,
}

// === impl DnsPolicy ===

impl DnsPolicy {
    /// Every policy.
    pub(super) const ALL: [Self; 6] = {
        const fn policy(name: &'static str, has_host_network: bool) -> DnsPolicy {
            DnsPolicy { name, has_host_network }
        }
        [
            policy("ClusterFirst", false),
            policy("ClusterFirst", true),
            policy("ClusterFirstWithHostNet", true),
            policy("ClusterFirstWithHostNet", false),
            policy("Default", false),
            policy("Default", true),
        ]
    };

    /// Returns the policy in one word, as expressions build it.
    pub(super) fn key(self) -> String {
        format!("{}{}", self.name, if self.has_host_network { Self::HOST_NETWORK } else { "" })
    }

    /// The end of the key of pods on the node's network.
    pub(super) const HOST_NETWORK: &str = "+host";
}

// === impl Situation ===

impl Situation {
    /// Returns the situation in one line, as expressions build it.
    pub(super) fn key(&self) -> String {
        format!("{}|{}", self.policy.key(), self.options.join(" "))
    }
}

/// Returns the names of options in the order of keys.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    known_options()
}

/// Returns every situation: all lists of options with the cluster's DNS, the common ones with other policies.
pub(super) fn situations() -> Vec<Situation> {
    let lists = option_lists();
    let mut situations = Vec::new();
    for policy in DnsPolicy::ALL {
        let known = lists.iter().filter(|list| match policy {
            DnsPolicy { name: "ClusterFirst", has_host_network: false } => true,
            DnsPolicy { name: "Default", has_host_network: true }
            | DnsPolicy { name: "ClusterFirstWithHostNet", has_host_network: false } => is_common(list),
            _ => list.len() < 2,
        });
        situations.extend(known.map(|options| Situation { policy, options: options.clone() }));
    }
    situations
}

/// Returns whether a list is known with every DNS policy: at most one option, which many pods have or which muslin fixes.
fn is_common(list: &[String]) -> bool {
    match list {
        [] => true,
        [option] => {
            let is_zero = option.ends_with(":0");
            is_zero || option.starts_with("ndots:") || COMMON_SWITCHES.contains(&&**option)
        }
        _ => false,
    }
}

fn option_lists() -> Vec<Vec<String>> {
    let numbered: Vec<(usize, String)> = NUMBERS
        .iter()
        .enumerate()
        .flat_map(|(option, (name, numbers))| numbers.iter().map(move |number| (option, format!("{name}:{number}"))))
        .collect();
    let mut lists = vec![Vec::new()];
    lists.extend(numbered.iter().map(|(_, text)| vec![text.clone()]));
    lists.extend(names().filter(|name| !takes_number(name)).map(|name| vec![name.to_owned()]));
    for (option, text) in &numbered {
        let others = numbered.iter().filter(|(other, _)| other > option);
        lists.extend(others.map(|(_, other)| vec![text.clone(), other.clone()]));
        lists.extend(COMMON_SWITCHES.map(|switch| vec![text.clone(), switch.to_owned()]));
    }
    for ndots in OFTEN {
        for timeout in OFTEN {
            let with =
                |attempts| vec![format!("ndots:{ndots}"), format!("timeout:{timeout}"), format!("attempts:{attempts}")];
            lists.extend(OFTEN.map(with));
        }
    }
    let place = |text: &String| names().position(|name| text.split(':').next() == Some(name));
    for list in &mut lists {
        list.sort_by_key(place);
    }
    lists
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_situation_has_a_key_of_its_own_and_knows_its_options() {
        let situations = situations();
        let keys: BTreeSet<String> = situations.iter().map(Situation::key).collect();
        assert_eq!(keys.len(), situations.len());
        for situation in &situations {
            for option in &situation.options {
                let name = option.split(':').next().unwrap_or_default();
                assert!(names().any(|known| known == name), "{option}");
                assert_eq!(takes_number(name), option.contains(':'), "{option}");
            }
        }
    }
}
