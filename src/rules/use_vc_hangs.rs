//! `use-vc` makes glibc use TCP alone, where no option limits how long it waits.
//!
//! ## Why it matters
//! A nameserver or firewall that accepts the connection and never answers held a lookup for over 140 s (measured, Debian's glibc 2.36;
//! `timeout` and `attempts` limit UDP only, glibc `resolv/res_send.c` `send_vc`). If DNS has no TCP, every lookup fails at once. glibc
//! reads the option since 2.14. musl ignores it; Go uses TCP too, within its timeout.
//!
//! ## How to fix it
//! `single-request-reopen` fixes the conntrack race for which `use-vc` is mostly set, and stays with UDP; `muslin explain
//! single-request-reopen` has its costs. A NodeLocal DNSCache uses TCP to the cluster's DNS for the pods.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, option_path};
use crate::policy::Level;
use crate::resolver::{Family, Resolver, Settings, Transport, Viability, glibc};

pub(super) static RULE: Rule = Rule {
    slug: "use-vc-hangs",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("use_vc_hangs.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let last_in_pod = |resolver: Resolver| {
        let mut options = input.authored_options().iter();
        options.rfind(|(_, text)| asks_for_tcp(resolver, text)).map(|(index, _)| *index)
    };
    for (container, in_pod) in input.judge(last_in_pod) {
        let resolver = container.resolver();
        if resolver.family != Family::Glibc || !input.settings(container).is_some_and(hangs) {
            continue;
        }
        let path = if container.env_options().any(|text| asks_for_tcp(resolver, text)) {
            container.env_path()
        } else {
            in_pod.map_or_else(|| "/spec/dnsConfig/options".to_owned(), option_path)
        };
        let releases = || match resolver.version {
            Some(_) => resolver.to_string(),
            None => format!("glibc from {}.{}", glibc::USE_VC_SINCE.major, glibc::USE_VC_SINCE.minor),
        };
        let message = || format!("{} asks by TCP alone, and waits minutes for a server that never answers", releases());
        let help = if container.second_resolver().is_some() {
            "remove it, and use a NodeLocal DNSCache: c-ares, which the program has too, ignores single-request-reopen"
        } else {
            "set single-request-reopen in its place, which fixes the same race by UDP"
        };
        findings.container(container, path, || Texts { message: message(), change: "remove use-vc", help });
    }
}

fn hangs(settings: Settings) -> bool {
    settings.viability() == Viability::Works && settings.transport == Transport::Tcp
}

fn asks_for_tcp(resolver: Resolver, text: &str) -> bool {
    text.contains("use-vc") && Settings::read_options(resolver, &[text]).is_some_and(hangs)
}

#[cfg(test)]
mod tests {
    use crate::resolver::{Family, Version};
    use crate::rules::tests::{Case, fires};

    #[test]
    fn fires_on_glibc_and_says_from_which_release() {
        let findings = fires("use-vc-hangs", Case::pod("debian:12").option("ndots", Some("2")).option("use-vc", None));
        assert_eq!(
            findings[0].message,
            "glibc from 2.14 asks by TCP alone, and waits minutes for a server that never answers"
        );
        assert_eq!(findings[0].path, "/spec/dnsConfig/options/1");
    }

    #[test]
    fn silent_before_the_release_that_reads_it() {
        let fired = |minor| {
            let pod = Case::declared(Family::Glibc.at(Version::new(2, minor, 0))).option("use-vc", None);
            fires("use-vc-hangs", pod).len()
        };
        assert_eq!([fired(13), fired(14), fired(36)], [0, 1, 1]);
    }

    #[test]
    fn fires_on_the_environment_of_one_container_alone() {
        let pod = Case::pod("debian:12").and("debian:12").env("RES_OPTIONS", "use-vc");
        let findings = fires("use-vc-hangs", pod);
        assert_eq!((findings.len(), &*findings[0].path), (1, "/spec/containers/1/env"));
    }

    #[test]
    fn silent_where_the_option_is_not_read_or_the_wait_is_bounded() {
        for pod in [Case::pod("alpine:3.19"), Case::declared(Family::Go.unversioned()), Case::pod("example.com/app:1")]
        {
            assert!(fires("use-vc-hangs", pod.option("use-vc", None)).is_empty());
        }
        assert!(fires("use-vc-hangs", Case::pod("debian:12").option("xuse-vc", None)).is_empty());
    }
}
