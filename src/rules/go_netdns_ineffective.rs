//! `GODEBUG=netdns=cgo` asks for the C library's resolver in a program that does not have it.
//!
//! ## Why it matters
//! A Go program built with `CGO_ENABLED=0` or `-tags netgo` has only Go's own resolver and ignores the setting (Go `src/net/conf.go`:
//! "ignoring GODEBUG=netdns=cgo as the binary was compiled without support for the cgo resolver"; tried with Go 1.26.8). Programs that
//! need nsswitch.conf or mDNS will not get them. A static program on an image without a C library was nearly always built so, but
//! only inspection can show it; without inspection this is advice.
//!
//! ## How to fix it
//! Remove the setting, or build the program with `CGO_ENABLED=1` on an image that has a C library.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Container, RuleInput};
use crate::policy::Level;
use crate::resolver::{Cgo, Family, go};

pub(super) static RULE: Rule = Rule {
    slug: "go-netdns-ineffective",
    level: Level::Warn,
    reason: EventReason::GoResolver,
    can_break_names: false,
    source: include_str!("go_netdns_ineffective.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    for container in input.containers.iter().filter(|container| asks_for_cgo(container)) {
        let resolver = container.resolver();
        let (level, message) = match (resolver.family, resolver.cgo) {
            (Family::Go, Cgo::Absent) => {
                (Level::Warn, "GODEBUG=netdns=cgo has no effect: the program was built without cgo")
            }
            (Family::Static, _) => {
                (Level::Info, "GODEBUG=netdns=cgo has no effect if the static program was built without cgo")
            }
            _ => continue,
        };
        let help = "remove it, or build the program with CGO_ENABLED=1 on an image with a C library";
        let change = "remove netdns=cgo from GODEBUG";
        findings.at(level).container(container, container.env_path(), || Texts { message, change, help });
    }
}

fn asks_for_cgo(container: &Container<'_>) -> bool {
    container.env.godebug.as_deref().and_then(go::netdns) == Some(go::Netdns::Cgo)
}

#[cfg(test)]
mod tests {
    use crate::policy::Level;
    use crate::resolver::{Cgo, Family};
    use crate::rules::tests::{Case, fires, says};

    fn level(pod: Case, godebug: &'static str) -> Option<Level> {
        says("go-netdns-ineffective", pod.env("GODEBUG", godebug)).first().map(|(level, _)| *level)
    }

    fn go(cgo: Cgo) -> Case {
        Case::declared(Family::Go.unversioned().with_cgo(cgo))
    }

    #[test]
    fn fires_on_a_program_without_cgo() {
        let findings = fires("go-netdns-ineffective", go(Cgo::Absent).env("GODEBUG", "madvdontneed=1,netdns=cgo+2"));
        assert_eq!(findings[0].level, Level::Warn);
        assert_eq!(findings[0].path, "/spec/containers/0/env");
    }

    #[test]
    fn is_advice_on_a_static_program() {
        assert_eq!(level(Case::pod("gcr.io/distroless/static"), "netdns=cgo"), Some(Level::Info));
    }

    #[test]
    fn silent_where_the_setting_may_have_its_effect() {
        let linked = Cgo::Linked { libc: Family::Glibc, version: None };
        for pod in [go(linked), go(Cgo::Unknown), Case::pod("debian:12"), Case::pod("alpine:3.19")] {
            assert_eq!(level(pod, "netdns=cgo"), None);
        }
    }

    #[test]
    fn silent_on_other_settings() {
        for godebug in ["", "netdns=go", "netdns=1", "netdns=cgo,netdns=go", "xnetdns=cgo", "netdns=cgox"] {
            assert_eq!(level(go(Cgo::Absent), godebug), None, "{godebug}");
        }
    }
}
