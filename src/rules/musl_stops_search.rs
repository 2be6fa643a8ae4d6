//! musl ends a lookup at the first search name whose server fails or has no address.
//!
//! ## Why it matters
//! A name with too few dots is first tried below each search name. musl continues after NXDOMAIN only: SERVFAIL, REFUSED, no answer, or
//! a name without an address ends the lookup, and musl never tries the name itself (musl `src/network/lookup_name.c`
//! `name_from_dns_search`; measured). Go continues after all of these. glibc continues after SERVFAIL and after a name without an
//! address; after REFUSED, FORMERR, NOTIMP and silence it skips the other search names, tries the name itself, and else reports that
//! there is no such name (glibc `resolv/res_query.c` `__res_context_search`; run on 2.36). So every search name of the pod's own
//! makes all outside names depend on the servers of that domain; kubernetes#64924 is such an outage. This is advice, because the
//! failure depends on those servers.
//!
//! ## How to fix it
//! Remove the search names, and write the names that they served in full. Or end outside names with a dot in the program's
//! configuration (`www.example.com.`): musl then does not search.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{RuleInput, excerpt, search_path, short};
use crate::policy::Level;
use crate::resolver::{Family, Resolver, search_domains_read};

pub(super) static RULE: Rule = Rule {
    slug: "musl-stops-search",
    level: Level::Info,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_stops_search.rs"),
    check,
};

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let is_foreign = |name: &String| name != "." && !is_in_the_cluster(name, input.cluster_domain);
    let Some(index) = input.dns.searches.iter().position(is_foreign) else { return };
    let name = excerpt(&input.dns.searches[index]);
    for (container, searches) in input.judge(|resolver| searches(resolver, input)) {
        if searches {
            let message = || format!("{} ends a lookup where {name} fails or has no address", container.resolver());
            let help =
                "remove the search name, or end outside names with a dot; glibc and Go would still try the name itself";
            let change = || format!("remove the search name {}", short(&input.dns.searches[index]));
            findings.container(container, search_path(index), || Texts { message: message(), change: change(), help });
        }
    }
}

/// Returns whether the cluster's own DNS answers for the name. The answer is NXDOMAIN if nothing has the name.
fn is_in_the_cluster(name: &str, cluster_domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.strip_suffix(cluster_domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns whether the resolver is a musl that tries search names. musl before 1.1.13 does not, nor any musl with `ndots:0` or with a
/// line that is too long.
fn searches(resolver: Resolver, input: &RuleInput<'_>) -> bool {
    let ndots = || input.file_settings(resolver).map_or(0, |settings| settings.ndots);
    resolver.family == Family::Musl && ndots() > 0 && search_domains_read(resolver, input.searches()) > 0
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires};

    #[test]
    fn advises_where_a_search_name_of_the_pod_s_own_can_end_a_lookup() {
        let findings = fires("musl-stops-search", Case::pod("alpine:3.19").searches(["corp.example.com"]));
        assert_eq!(findings[0].level, Level::Info);
        assert_eq!(findings[0].message, "musl 1.2.4 ends a lookup where corp.example.com fails or has no address");
        assert_eq!(findings[0].path, "/spec/dnsConfig/searches/0");
    }

    #[test]
    fn silent_on_the_names_that_the_cluster_s_dns_answers_for() {
        let rebuilt = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
        let pod = Case::pod("alpine:3.19").policy(Policy::None).searches(rebuilt).option("ndots", Some("5"));
        assert!(fires("musl-stops-search", pod).is_empty());
        assert!(fires("musl-stops-search", Case::pod("alpine:3.19")).is_empty());
        let lookalike = Case::pod("alpine:3.19").searches(["my-cluster.local"]);
        assert_eq!(fires("musl-stops-search", lookalike).len(), 1);
    }

    #[test]
    fn silent_where_musl_does_not_search() {
        let old = Case::pod("alpine:3.3").searches(["corp.example.com"]);
        let off = Case::pod("alpine:3.19").searches(["corp.example.com"]).option("ndots", Some("0"));
        let dropped = Case::pod("alpine:3.19").searches(["corp.example.com", &"x".repeat(240)]);
        for pod in [old, off, dropped] {
            assert!(fires("musl-stops-search", pod).is_empty());
        }
    }

    #[test]
    fn silent_on_resolvers_that_go_on() {
        assert!(fires("musl-stops-search", Case::pod("debian:12").searches(["corp.example.com"])).is_empty());
    }
}
