//! musl waits long before it sends a lost query again.
//!
//! ## Why it matters
//! musl sends `attempts` times within `timeout`. With its defaults of 5 s and 2, a lost packet costs 2.5 s, and each name of the search
//! list can cost as much again: 10 s were measured where one of each pair of queries is lost. musl ignores every option that is
//! advised against the 5 s delay of glibc (`single-request-reopen`, `use-vc`). Only the ratio of `timeout` and `attempts` helps.
//!
//! This is advice where the pod does not show whether it matters. In a pod that inherits the node's resolv.conf, the options in that
//! file are not known here. Behind a service mesh's DNS proxy, only the queries that the proxy forwards can be lost. The rule is silent
//! if a nameserver of the pod is a cache on its node (a link-local address such as 169.254.20.10). Some clusters put such a cache behind
//! the address of the cluster's DNS, which no pod shows (NodeLocal DNSCache in its usual form, GKE, Talos): there the rule may be wrong,
//! and its level in the profile can be `off`.
//!
//! ## How to fix it
//! `attempts:3` resends after 1.7 s and gives up no sooner than before: with 5 % loss, 100 % of 2,400 lookups were found instead of
//! 98.8 %, the 99th percentile after 3.4 s instead of 5.0 s (measured, musl 1.2.5). More attempts feed an overload: while CoreDNS's
//! upstream stalled for 2 s at 80 % of its capacity, 1,500 of 1,500 lookups were found with the defaults and 254 with `attempts:3`;
//! at 67 %, 3,000 of 3,000 were found with 3 attempts and 1,049 with 4. So no profile sets the option unless you choose
//! `three-attempts`. Beside other resolvers more attempts can do harm too: Go waits longer where the AAAA query is never answered. musl
//! 1.1.13 to 1.1.15 (Alpine 3.4 and 3.5) do not read `attempts`, so only a newer Alpine helps there. A NodeLocal DNSCache avoids most of
//! the loss without that risk.

use std::time::Duration;

use super::event_reason::EventReason;
use super::musl_advice::{quicker_resend, resend_sooner};
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{NearbyServer, RuleInput};
use crate::pod::Base;
use crate::policy::Level;
use crate::resolver::{Family, Viability};

pub(super) static RULE: Rule = Rule {
    slug: "musl-slow-retry",
    level: Level::Warn,
    reason: EventReason::MuslResolver,
    can_break_names: false,
    source: include_str!("musl_slow_retry.rs"),
    check,
};

/// The resend with `attempts:3`: 5 s / 3, in whole milliseconds. More attempts resend sooner and feed an overload more.
const ACCEPTABLE: Duration = Duration::from_millis(1_666);

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let nearby = input.nearby_server(Family::Musl);
    if nearby == Some(NearbyServer::NodeCache) {
        return;
    }
    let is_known = || ["timeout", "attempts"].into_iter().all(|name| input.option_path(name).is_some());
    let hides_options = input.conf.base == Base::Node && !is_known();
    for container in input.using(Family::Musl) {
        let Some(settings) = input.settings(container).filter(|settings| settings.viability() == Viability::Works)
        else {
            continue;
        };
        let resolver = container.resolver();
        let resend = settings.one_loss_delay();
        if resend.is_some_and(|after| after <= ACCEPTABLE) {
            continue;
        }
        let message = || match (resend.map(|after| after.as_secs_f64()), nearby) {
            (Some(after), Some(_)) => {
                format!("{resolver} resends after {after} s; only what the mesh's DNS proxy forwards can be lost")
            }
            (Some(after), None) if hides_options => {
                format!("{resolver} resends a lost query after {after} s, unless the node's file has other options")
            }
            (Some(after), None) => format!("{resolver} resends a lost query only after {after} s"),
            (None, _) => format!("{resolver} never resends a lost query (attempts:{})", settings.attempts),
        };
        let level = if nearby.is_some() || hides_options { Level::Info } else { Level::Warn };
        findings.at(level).container(container, "/spec/dnsConfig/options", || Texts {
            message: message(),
            change: resend_sooner(input, resolver),
            help: quicker_resend(input, resolver),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::resolver::Family;
    use crate::rules::tests::{Case, fires, says};

    #[test]
    fn fires_on_a_plain_alpine_pod() {
        let findings = fires("musl-slow-retry", Case::pod("alpine:3.19"));
        assert_eq!(findings[0].message, "musl 1.2.4 resends a lost query only after 2.5 s");
        assert_eq!(findings[0].container.as_deref(), Some("app"));
    }

    #[test]
    fn fires_where_attempts_are_not_parsed() {
        // musl 1.1.14 (Alpine 3.4) does not read `attempts`.
        let pod = Case::pod("alpine:3.4").option("timeout", Some("5")).option("attempts", Some("10"));
        let findings = fires("musl-slow-retry", pod);
        assert!(findings[0].help.starts_with("use a newer Alpine"), "{}", findings[0].help);
    }

    #[test]
    fn fires_on_a_single_attempt_however_short_the_timeout() {
        let pod = Case::pod("alpine:3.19").option("timeout", Some("1")).option("attempts", Some("1"));
        assert_eq!(fires("musl-slow-retry", pod)[0].message, "musl 1.2.4 never resends a lost query (attempts:1)");
    }

    #[test]
    fn silent_with_the_options_that_muslin_injects() {
        assert!(fires("musl-slow-retry", Case::pod("alpine:3.19").option("attempts", Some("3"))).is_empty());
        assert_eq!(fires("musl-slow-retry", Case::pod("alpine:3.19").option("attempts", Some("2"))).len(), 1);
    }

    #[test]
    fn is_advice_in_a_pod_that_inherits_the_node_s_file() {
        for policy in [Policy::Default, Policy::ClusterFirstOnHostNetwork] {
            let found = says("musl-slow-retry", Case::pod("alpine:3.19").policy(policy));
            let message = "musl 1.2.4 resends a lost query after 2.5 s, unless the node's file has other options";
            assert_eq!(found, [(Level::Info, message.to_owned())]);
        }
        let own = |pod: Case| pod.option("timeout", Some("5")).option("attempts", Some("2"));
        let found = says("musl-slow-retry", own(Case::pod("alpine:3.19").policy(Policy::Default)));
        assert_eq!(found[0].0, Level::Warn, "both options are known");
    }

    #[test]
    fn silent_behind_a_cache_on_the_node() {
        for nameservers in [&["169.254.20.10"][..], &["10.96.0.10", "169.254.10.10"], &["fe80::53"]] {
            let pod = Case::pod("alpine:3.19").policy(Policy::None).nameservers(nameservers);
            assert!(fires("musl-slow-retry", pod).is_empty(), "{nameservers:?}");
        }
        let beside = Case::pod("alpine:3.19").nameservers(&["169.254.20.10"]);
        assert!(fires("musl-slow-retry", beside).is_empty(), "musl asks both at once");
        let fourth = Case::pod("alpine:3.19").nameservers(&["10.0.0.1", "10.0.0.2", "169.254.20.10"]);
        assert_eq!(fires("musl-slow-retry", fourth).len(), 1, "musl reads three nameservers");
        let other = Case::pod("alpine:3.19").policy(Policy::None).nameservers(&["10.96.0.10"]);
        assert_eq!(fires("musl-slow-retry", other).len(), 1);
    }

    #[test]
    fn is_advice_behind_a_mesh_s_dns_proxy() {
        let found = says("musl-slow-retry", Case::pod("alpine:3.19").behind_a_mesh());
        let message = "musl 1.2.4 resends after 2.5 s; only what the mesh's DNS proxy forwards can be lost";
        assert_eq!(found, [(Level::Info, message.to_owned())]);
    }

    #[test]
    fn advises_no_attempts_beside_a_resolver_that_they_slow_down() {
        let go = Case::declared(Family::Go.unversioned()).and("alpine:3.19");
        assert!(fires("musl-slow-retry", go)[0].help.starts_with("use a NodeLocal DNSCache;"));
        let glibc = Case::pod("alpine:3.19").and("debian:12");
        assert!(fires("musl-slow-retry", glibc)[0].help.ends_with("attempts:3"));
    }

    #[test]
    fn silent_on_glibc() {
        assert!(fires("musl-slow-retry", Case::pod("debian:12")).is_empty());
    }
}
