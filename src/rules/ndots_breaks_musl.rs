//! A lowered `ndots` makes cluster names fail on musl that resolve everywhere else.
//!
//! ## Why it matters
//! musl takes a name with at least `ndots` dots as final: it asks for the name as it is and never tries the search list (musl commit
//! 3d6e2e47). glibc and Go try the search list afterwards. With `ndots:1`, which is often advised against too many queries,
//! `my-service.other-namespace` no longer resolves in an Alpine container (measured, each name and each ndots).
//!
//! ## How to fix it
//! Leave `ndots` out (with `dnsPolicy: None` set `ndots:5`, as the kubelet adds none), or keep it above the number of dots in the names that programs use. Or write those names in full, as
//! `my-service.other-namespace.svc.cluster.local`. `muslin queries` finds the lowest `ndots` that loses none of the names a workload asks
//! for, from CoreDNS's log.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::RuleInput;
use crate::pod::{Base, cluster_searches};
use crate::policy::Level;
use crate::resolver::{Answer, Family, Resolver, Settings, musl, resolves};

pub(super) static RULE: Rule = Rule {
    slug: "ndots-breaks-musl",
    level: Level::Warn,
    reason: EventReason::MuslResolver,
    can_break_names: true,
    source: include_str!("ndots_breaks_musl.rs"),
    check,
};

/// The kubelet's own ndots for a pod with the cluster's DNS (kubernetes `pkg/kubelet/network/dns/dns.go`). Names are compared with
/// those that resolve with it.
const CLUSTER_NDOTS: u32 = 5;

/// The forms in which programs write the name of a Service or of a StatefulSet's pod, the commonest first.
const FORMS: [&str; 6] = ["svc", "svc.ns", "svc.ns.svc", "pod-0.svc", "pod-0.svc.ns", "pod-0.svc.ns.svc"];

/// The forms that ordinary programs need; few use the others.
const COMMON: [&str; 3] = ["svc", "svc.ns", "svc.ns.svc"];

/// An ndots, and the forms of names that it breaks.
#[derive(Clone)]
struct Breakage {
    ndots: u32,
    forms: Vec<&'static str>,
}

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.conf.base == Base::Node {
        return; // the node's file is unknown
    }
    let in_pod = input.option_path("ndots");
    if input.containers.is_empty() {
        if let (Some(path), Some(Breakage { ndots, forms })) = (in_pod, breakage(input, Family::Musl.unversioned())) {
            // An image with musl may not be among the containers, so that this is advice.
            let (_, forms) = common_first(forms);
            let message = || format!("with ndots:{ndots} musl cannot resolve names such as {}", forms.join(", "));
            let help = "leave ndots out if an image is built on Alpine; other C libraries resolve these names";
            let change = "leave ndots out for images with musl";
            findings.at(Level::Info).pod(path, || Texts { message: message(), change, help });
        }
        return;
    }
    for (container, breakage) in input.judge(|resolver| breakage(input, resolver)) {
        let Some(Breakage { ndots, forms }) = breakage else { continue };
        let resolver = container.resolver();
        let (level, forms) = common_first(forms);
        let path = container.option_path("ndots", in_pod.as_deref()).unwrap_or_else(|| "/spec/dnsConfig".to_owned());
        let message = || format!("with ndots:{ndots} {resolver} cannot resolve names such as {}", forms.join(", "));
        // The kubelet adds no ndots to a pod with `dnsPolicy: None`.
        let fix = if input.conf.base == Base::Nothing { "set ndots:5" } else { "leave ndots out" };
        let help = || format!("{fix}, or write such names in full (svc.ns.svc.{})", input.cluster_domain);
        findings.at(level).container(container, path, || Texts { message: message(), change: fix, help: help() });
    }
}

/// Returns the common forms and a warning, or rare ones and advice.
fn common_first(forms: Vec<&'static str>) -> (Level, Vec<&'static str>) {
    let common: Vec<&str> = forms.iter().copied().filter(|form| COMMON.contains(form)).collect();
    if common.is_empty() { (Level::Info, forms) } else { (Level::Warn, common) }
}

/// Returns the names that musl no longer resolves; `None` if there are none, or if another rule reports the cause.
fn breakage(input: &RuleInput<'_>, resolver: Resolver) -> Option<Breakage> {
    if resolver.family != Family::Musl || input.conf.options_line_len() > musl::LINE_MAX {
        return None; // search-line-too-long reports that musl drops the line, ndots with it
    }
    let ndots = lowest_ndots(input, resolver).filter(|ndots| *ndots < CLUSTER_NDOTS)?;
    let forms: Vec<&str> = FORMS.into_iter().filter(|form| breaks(input, resolver, form, ndots)).collect();
    (!forms.is_empty()).then_some(Breakage { ndots, forms })
}

/// Returns the ndots that counts in the worst of the kubelet's random orders: musl takes the first of several on the line.
fn lowest_ndots(input: &RuleInput<'_>, resolver: Resolver) -> Option<u32> {
    let whole = Settings::read_options(resolver, input.options())?.ndots;
    let each = || input.options().iter().filter(|text| text.contains("ndots:"));
    if each().count() < 2 {
        return Some(whole);
    }
    let ndots = each().filter_map(|text| Some(Settings::read_options(resolver, &[*text])?.ndots));
    Some(ndots.fold(whole, u32::min))
}

/// Returns whether a name of this form resolves with the kubelet's ndots, but not with this one.
fn breaks(input: &RuleInput<'_>, resolver: Resolver, form: &str, ndots: u32) -> bool {
    let own_namespace = &cluster_searches(input.namespace, input.cluster_domain)[0];
    let service = format!("svc.ns.svc.{}", input.cluster_domain);
    let neighbour = format!("svc.{own_namespace}");
    let exists = |name: &str| {
        let name = name.strip_prefix("pod-0.").unwrap_or(name);
        if name == service || name == neighbour { Answer::Address } else { Answer::NxDomain }
    };
    let resolves = |ndots| resolves(resolver, form, ndots, input.searches(), exists).unwrap_or(false);
    resolves(CLUSTER_NDOTS) && !resolves(ndots)
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::rules::tests::{Case, fires};

    fn message(ndots: &str) -> Option<String> {
        let findings = fires("ndots-breaks-musl", Case::pod("alpine:3.19").option("ndots", Some(ndots)));
        findings.into_iter().next().map(|finding| finding.message.into_owned())
    }

    #[test]
    fn names_what_stops_resolving() {
        assert_eq!(
            message("1").as_deref(),
            Some("with ndots:1 musl 1.2.4 cannot resolve names such as svc.ns, svc.ns.svc")
        );
        assert_eq!(message("2").as_deref(), Some("with ndots:2 musl 1.2.4 cannot resolve names such as svc.ns.svc"));
    }

    #[test]
    fn is_advice_where_only_a_rare_form_breaks() {
        let findings = fires("ndots-breaks-musl", Case::pod("alpine:3.19").option("ndots", Some("3")));
        assert_eq!(findings[0].level, Level::Info);
        assert_eq!(findings[0].message, "with ndots:3 musl 1.2.4 cannot resolve names such as pod-0.svc.ns.svc");
    }

    #[test]
    fn counts_the_lowest_of_several_as_the_kubelet_s_order_is_random() {
        let pod = Case::pod("alpine:3.19").option("ndots:4", None).option("xndots:1", None);
        let findings = fires("ndots-breaks-musl", pod);
        assert!(findings[0].message.starts_with("with ndots:1 "), "{}", findings[0].message);
    }

    #[test]
    fn fires_where_the_name_holds_the_value() {
        assert_eq!(fires("ndots-breaks-musl", Case::pod("alpine:3.19").option("ndots:1", None)).len(), 1);
    }

    #[test]
    fn fires_where_no_policy_means_no_ndots() {
        let pod = Case::pod("alpine:3.19").policy(Policy::None).searches([
            "default.svc.cluster.local",
            "svc.cluster.local",
            "cluster.local",
        ]);
        let findings = fires("ndots-breaks-musl", pod);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].help.starts_with("set ndots:5, or "), "{}", findings[0].help);
    }

    #[test]
    fn advises_ndots_5_without_a_policy_also_where_the_author_set_another() {
        let pod = Case::pod("alpine:3.19").policy(Policy::None).option("ndots", Some("1"));
        let pod = pod.searches(["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
        assert!(fires("ndots-breaks-musl", pod)[0].help.starts_with("set ndots:5, or "));
        let cluster = fires("ndots-breaks-musl", Case::pod("alpine:3.19").option("ndots", Some("1")));
        assert!(cluster[0].help.starts_with("leave ndots out, or "));
    }

    #[test]
    fn silent_where_musl_drops_the_line_as_another_rule_says_that() {
        assert!(fires("ndots-breaks-musl", Case::pod("alpine:3.19").option(&"x".repeat(300), None)).is_empty());
    }

    #[test]
    fn silent_with_enough_dots() {
        for ndots in ["4", "5", "15"] {
            assert_eq!(message(ndots), None, "{ndots}");
        }
    }

    #[test]
    fn silent_on_glibc_which_tries_the_search_list_afterwards() {
        assert!(fires("ndots-breaks-musl", Case::pod("debian:12").option("ndots", Some("1"))).is_empty());
    }

    #[test]
    fn silent_without_the_cluster_s_search_list() {
        assert!(fires("ndots-breaks-musl", Case::pod("alpine:3.19").policy(Policy::None)).is_empty());
        let node = Case::pod("alpine:3.19").policy(Policy::Default).option("ndots", Some("1"));
        assert!(fires("ndots-breaks-musl", node).is_empty());
    }

    #[test]
    fn is_advice_where_no_container_is_known() {
        let findings = fires("ndots-breaks-musl", Case::settings().option("ndots", Some("1")));
        assert_eq!((findings.len(), findings[0].level), (1, Level::Info));
        assert!(findings[0].message.starts_with("with ndots:1 musl cannot"), "{}", findings[0].message);
        assert!(fires("ndots-breaks-musl", Case::settings()).is_empty(), "the settings say nothing of ndots");
        assert!(fires("ndots-breaks-musl", Case::settings().option("ndots", Some("5"))).is_empty());
    }
}
