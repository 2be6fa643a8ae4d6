//! Every outside name is first tried below each search name, which takes several times the queries.
//!
//! ## Why it matters
//! With the kubelet's `ndots:5` and three search names, `www.example.com` takes 8 queries instead of 2 (measured on musl, glibc and Go;
//! kubernetes `pkg/kubelet/network/dns/dns.go`). Each query can be lost, and each loss costs a resend. This is advice, because it is
//! Kubernetes' default and fails nothing.
//!
//! ## How to fix it
//! End outside names with a dot in the program's configuration (`www.example.com.`), which every resolver honours. In a pod without
//! musl, `ndots:2` does the same for all names: `my-service.other-namespace` still resolves, with 4 queries. Beside musl, `ndots:2`
//! makes names of Services fail (`ndots-breaks-musl`). `muslin queries` finds the lowest `ndots` that loses none of the names a workload
//! asks for. Fewer search names help everywhere.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::pod::Base;
use crate::policy::Level;
use crate::resolver::{Answer, Family, Resolver, lookup};

pub(super) static RULE: Rule = Rule {
    slug: "ndots-amplification",
    level: Level::Info,
    reason: EventReason::DnsOptions,
    can_break_names: false,
    source: include_str!("ndots_amplification.rs"),
    check,
};

/// An example of an outside name: like most of them, with two dots.
const OUTSIDE: &str = "www.example.com";

/// The dots of the example. A resolver with a higher ndots tries search names first.
const OUTSIDE_DOTS: u32 = 2;

/// One query for A and one for AAAA.
const QUERIES_PER_NAME: u32 = 2;

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.conf.base == Base::Node {
        return; // the node's file is unknown
    }
    let (change, help) = if input.may_use_musl() {
        (
            "end outside names with a dot",
            "end outside names with a dot, as www.example.com.; a lower ndots makes musl fail names of Services",
        )
    } else {
        ("set ndots:2", "set ndots:2, or end outside names with a dot, as www.example.com.")
    };
    let in_pod = input.option_path("ndots");
    for (container, in_file) in input.judge(|resolver| names_before(resolver, input.searches())) {
        let Some(ndots) = input.settings(container).map(|settings| settings.ndots) else { continue };
        let resolver = container.resolver();
        // Node's dns.resolve, which uses c-ares, does not search (measured).
        if ndots <= OUTSIDE_DOTS || resolver.family == Family::CAres {
            continue;
        }
        let before = container.env_searches().map_or(in_file, |own| names_before(resolver, &own));
        if before > 0 {
            let path = container.option_path("ndots", in_pod.as_deref());
            let path = path.unwrap_or_else(|| "/spec/dnsConfig/options".to_owned());
            let message =
                || format!("{resolver} asks for {OUTSIDE} below {before} search names first, as ndots is {ndots}");
            findings.container(container, path, || Texts { message: message(), change, help });
        }
    }
}

/// Returns the number of names that a resolver tries in vain before the outside name, if its ndots is higher than the name's dots.
fn names_before(resolver: Resolver, search: &[&str]) -> u32 {
    let exists = |name: &str| if name == OUTSIDE { Answer::Address } else { Answer::NxDomain };
    let lookup = lookup(resolver, OUTSIDE, OUTSIDE_DOTS + 1, search, exists);
    lookup.map_or(0, |lookup| lookup.queries / QUERIES_PER_NAME - 1)
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires};

    #[test]
    fn advises_on_the_default_of_the_kubelet() {
        let findings = fires("ndots-amplification", Case::pod("debian:12"));
        assert_eq!(findings[0].message, "glibc asks for www.example.com below 3 search names first, as ndots is 5");
        assert_eq!(findings[0].level, Level::Info);
    }

    #[test]
    fn counts_the_search_names_of_the_pod_s_own() {
        let findings = fires("ndots-amplification", Case::pod("debian:12").searches(["a.test", "b.test"]));
        assert!(findings[0].message.contains("below 5 search names"), "{}", findings[0].message);
    }

    #[test]
    fn never_advises_a_lower_ndots_beside_what_may_be_musl() {
        let help = |pod: Case| fires("ndots-amplification", pod)[0].help.clone();
        assert!(help(Case::pod("debian:12")).starts_with("set ndots:2"));
        for other in ["alpine:3.19", "example.com/app:1", "gcr.io/distroless/static"] {
            assert!(!help(Case::pod("debian:12").and(other)).contains("set ndots"), "{other}");
        }
    }

    #[test]
    fn silent_where_the_name_is_asked_for_first() {
        for pod in [
            Case::pod("debian:12").option("ndots", Some("2")),
            Case::pod("alpine:3.19").option("ndots", Some("2")),
            Case::pod("debian:12").env("RES_OPTIONS", "ndots:1"),
            Case::pod("debian:12").env("LOCALDOMAIN", ""),
            Case::pod("debian:12").policy(Policy::None).searches(["a.test"]),
            Case::pod("busybox:1.28"),
            Case::pod("alpine:3.3"),
            Case::declared(Family::CAres.unversioned()),
        ] {
            assert!(fires("ndots-amplification", pod).is_empty());
        }
    }

    #[test]
    fn claims_nothing_of_the_node_s_file() {
        assert!(fires("ndots-amplification", Case::pod("debian:12").policy(Policy::Default)).is_empty());
    }
}
