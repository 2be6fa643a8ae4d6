//! The pod inherits the node's resolv.conf, and with it the node's nameservers.
//!
//! ## Why it matters
//! With `dnsPolicy: Default`, and with `ClusterFirst` on `hostNetwork`, the kubelet gives the node's own file to the pod (kubernetes
//! `pkg/kubelet/network/dns/dns.go`, `getPodDNSType`). Services of the cluster then do not resolve. The pod keeps the copy made at its
//! start, so a nameserver that goes stale on the node goes stale in the pod.
//!
//! ## How to fix it
//! On `hostNetwork`, write `dnsPolicy: ClusterFirstWithHostNet`. Otherwise keep `Default` only if the pod must not depend on the
//! cluster's DNS, as the cluster's DNS itself.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::pod::Policy;
use crate::policy::Level;

pub(super) static RULE: Rule = Rule {
    slug: "node-resolv-conf",
    level: Level::Warn,
    reason: EventReason::DnsPolicy,
    can_break_names: false,
    source: include_str!("node_resolv_conf.rs"),
    check,
};

const PATH: &str = "/spec/dnsPolicy";

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    match input.dns.policy {
        Policy::ClusterFirstOnHostNetwork => findings.pod(PATH, || Texts {
            message: "ClusterFirst on hostNetwork means the node's resolv.conf: cluster names do not resolve",
            change: "set dnsPolicy: ClusterFirstWithHostNet",
            help: "set dnsPolicy: ClusterFirstWithHostNet, or Default if the node's nameservers are meant",
        }),
        Policy::Default => findings.at(Level::Info).pod(PATH, || Texts {
            message: "dnsPolicy Default gives the node's nameservers to the pod: cluster names do not resolve",
            change: "remove dnsPolicy: Default",
            help: "leave dnsPolicy out, unless the pod must not depend on the cluster's DNS",
        }),
        Policy::ClusterFirst | Policy::ClusterFirstWithHostNet | Policy::None => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires};

    #[test]
    fn warns_where_host_network_changes_what_cluster_first_means() {
        let findings = fires("node-resolv-conf", Case::pod("debian:12").policy(Policy::ClusterFirstOnHostNetwork));
        assert_eq!(findings[0].level, Level::Warn);
    }

    #[test]
    fn advises_where_the_author_chose_the_node_s_file() {
        let findings = fires("node-resolv-conf", Case::pod("debian:12").policy(Policy::Default));
        assert_eq!(findings[0].level, Level::Info);
    }

    #[test]
    fn silent_where_the_cluster_s_dns_or_the_pod_s_own_is_used() {
        for policy in [Policy::ClusterFirst, Policy::ClusterFirstWithHostNet, Policy::None] {
            assert!(fires("node-resolv-conf", Case::pod("debian:12").policy(policy)).is_empty(), "{policy:?}");
        }
    }
}
