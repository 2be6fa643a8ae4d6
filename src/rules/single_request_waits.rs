//! `single-request-reopen` and `single-request` make lookups slower, and some of them fail.
//!
//! ## Why it matters
//! glibc and Go then ask for A and AAAA one after the other: a healthy lookup takes two round trips (84 instead of 43 ms on a network of
//! 10 ms), and where nameservers are dead, Go waits twice as long: 40 s instead of 20 s with the first of two dead, so that `http.Get`
//! gives up first. glibc before 2.41 without the fix for its bug 30081 waits for an answer to a query that it never sent where a server
//! answers SERVFAIL: 25 s instead of 0.01 s with `timeout:5 attempts:5` (all measured). glibc also loses the AAAA answer once it takes half
//! the timeout.
//!
//! ## How to fix it
//! Remove the option, unless the nodes' kernels are older than 5.6, the cluster's DNS has several endpoints behind DNAT, and no container
//! uses Go. A newer kernel or a NodeLocal DNSCache ends the race that the option avoids. musl ignores it.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::policy::Level;
use crate::resolver::{Family, QueryPairing, Version};

pub(super) static RULE: Rule = Rule {
    slug: "single-request-waits",
    level: Level::Warn,
    reason: EventReason::DnsOptions,
    can_break_names: true,
    source: include_str!("single_request_waits.rs"),
    check,
};

/// The first release of glibc with the fix for bug 30081. Debian's 2.36-9+deb12u14 has it too, so 2.36 may or may not.
const FIXED_SINCE: Version = Version::new(2, 41, 0);
const MAY_BE_FIXED: Version = Version::new(2, 36, 0);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let in_pod = input.option_path("single-request-reopen").or_else(|| input.option_path("single-request"));
    let honouring = input.using(Family::Glibc).chain(input.using(Family::Go));
    for container in honouring {
        let Some(settings) = input.settings(container) else { continue };
        if !matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial) {
            continue;
        }
        let resolver = container.resolver();
        let is_fixed = resolver.version.is_none_or(|version| version >= FIXED_SINCE || version == MAY_BE_FIXED);
        let (level, what) = match resolver.family {
            Family::Go => (Level::Warn, "takes twice as long where a nameserver is dead"),
            _ if is_fixed => (Level::Info, "takes two round trips"),
            _ => (Level::Warn, "waits for its time-outs after a SERVFAIL"),
        };
        let names = ["single-request-reopen", "single-request"];
        let path = names.iter().find_map(|name| container.option_path(name, in_pod.as_deref()));
        let path = path.unwrap_or_else(|| "/spec/dnsConfig/options".to_owned());
        let message = || format!("with single-request, a lookup of {resolver} {what}");
        findings.at(level).container(container, path, || Texts {
            message: message(),
            change: "remove the single-request option",
            help: "remove the option unless the nodes' kernels are older than 5.6",
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::resolver::{Family, Resolver, Version};
    use crate::rules::tests::{Case, fires, says};

    fn level(resolver: Resolver) -> Option<Level> {
        let pod = Case::declared(resolver).option("single-request-reopen", None);
        says("single-request-waits", pod).first().map(|(level, _)| *level)
    }

    #[test]
    fn is_serious_for_go_and_for_glibc_without_the_fix() {
        let glibc = |minor| Family::Glibc.at(Version::new(2, minor, 0));
        assert_eq!(level(Family::Go.unversioned()), Some(Level::Warn));
        assert_eq!(
            [31, 36, 39, 41].map(|minor| level(glibc(minor))),
            [Some(Level::Warn), Some(Level::Info), Some(Level::Warn), Some(Level::Info)]
        );
        assert_eq!(level(Family::Glibc.unversioned()), Some(Level::Info));
    }

    #[test]
    fn silent_on_musl_which_ignores_the_option() {
        assert_eq!(level(Family::Musl.at(Version::new(1, 2, 5))), None);
    }

    #[test]
    fn silent_without_the_option() {
        assert!(fires("single-request-waits", Case::pod("debian:12")).is_empty());
    }
}
