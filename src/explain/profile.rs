//! The page about a built-in profile: its options, and its costs. The costs follow from the model, so that they change with the options;
//! the others are listed here, each with its measurement.

use std::iter;

use super::example_cluster::{CLUSTER_OPTIONS, NAMES_TRIED, gives_up};
use super::page::{Page, code_list, seconds};
use crate::plan::CACHE_RISKS;
use crate::policy::{Condition, ContainerResolver, MuslCondition, NodeLocal, Profile};
use crate::resolver::{Family, QueryPairing, Settings, musl};

/// `name` is that of a built-in profile.
pub(super) fn page(name: &'static str) -> Page {
    let mut page = Page::titled(format_args!("Profile `{name}`"));
    let Ok(profile) = Profile::builtin(name) else { return page };
    page.paragraph(format_args!("{}.", profile.summary));
    page.heading("Options");
    page.table(
        &["pods", "options"],
        profile.option_rows().map(|row| [condition_words(row.condition), options_words(row.options)]),
    );
    if let Some(node_local) = &profile.node_local {
        page.paragraph(format_args!(
            "The pod's only nameserver becomes {}, with `dnsPolicy: None`.",
            node_local.address
        ));
        page.paragraph(format_args!(
            "muslin tries the address from its own pod first: the name of the cluster's API server, by UDP and TCP, and again every few \
             minutes. While it does not answer, new pods get the profile's options without it, and a warning. A trial says nothing about \
             other nodes. A built-in profile has no status: the result is in the metric `muslin_node_local_reachable` and in the log."
        ));
    }
    page.heading("Costs");
    write_costs(&mut page, name);
    if let Some(NodeLocal { address }) = &profile.node_local {
        page.paragraph(format_args!(
            "A ResolverProfile with `nodeLocal` must name each of these risks in `acceptRisk`, the last one only for a loopback address."
        ));
        page.paragraph(format_args!(
            "To let pods reach the cache, allow {address} by `ipBlock`, port 53, UDP and TCP, in each NetworkPolicy that restricts egress: \
             no `podSelector` matches it."
        ));
    }
    page
}

/// Writes the costs of a built-in profile against Kubernetes' own options.
pub(super) fn write_costs(page: &mut Page, name: &str) {
    let Ok(profile) = Profile::builtin(name) else { return };
    let mut costs: Vec<String> =
        Family::KNOWN.into_iter().flat_map(|family| computed_costs(&profile, family)).collect();
    costs.extend(measured_costs(name).iter().map(|cost| (*cost).to_owned()));
    if profile.node_local.is_some() {
        costs.extend(CACHE_RISKS.iter().map(|risk| format!("`{}`: {} ({})", risk.slug, risk.about, risk.source)));
    }
    if costs.is_empty() {
        page.paragraph("None that the model or a measurement shows.");
    } else {
        page.items(costs);
    }
}

/// Returns the costs that the model knows, in pods whose containers all have this resolver.
fn computed_costs(profile: &Profile, family: Family) -> Vec<String> {
    let resolver = if family == Family::Musl { family.at(musl::RECENT) } else { family.unversioned() };
    let row = profile.options_for(iter::once(ContainerResolver::inspected(resolver)), 1);
    let with = [&[CLUSTER_OPTIONS], &*row.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let (Some(before), Some(after)) =
        (Settings::read_options(resolver, &[CLUSTER_OPTIONS]), Settings::read_options(resolver, &with))
    else {
        return Vec::new();
    };
    let mut costs = Vec::new();
    let mut add = |what: &str, before: String, after: String| {
        costs.push(format!("{}: {what} {after} instead of {before}", family.name()));
    };
    if is_serial(&after) && !is_serial(&before) {
        add("a healthy lookup takes", "one round trip".to_owned(), "two round trips".to_owned());
    }
    if after.attempts > before.attempts {
        let sends = |settings: &Settings| format!("{} times", settings.attempts);
        add("a query that gets no answer is sent", sends(&before), sends(&after));
    }
    if after.slowest_answer() < before.slowest_answer() {
        let slowest = |settings: &Settings| seconds(settings.slowest_answer());
        add("an answer is accepted for", slowest(&before), slowest(&after));
    }
    let dead = |settings: &Settings| settings.dead_nameserver_delay(1, 2, NAMES_TRIED);
    if dead(&after) > dead(&before) {
        add("a lookup waits for a dead first nameserver of two", seconds(dead(&before)), seconds(dead(&after)));
    }
    if after.gives_up_after(1, NAMES_TRIED) > before.gives_up_after(1, NAMES_TRIED) {
        add("a lookup that nothing answers fails after", gives_up(&before), gives_up(&after));
    }
    costs
}

/// Returns the costs that were measured beyond the model, or follow from sources.
fn measured_costs(name: &str) -> &'static [&'static str] {
    match name {
        "single-request-reopen" => &[
            "glibc and Go, healthy: 83 and 84 ms instead of 42 and 43 ms, on a network of 10 ms (measured; musl 42 ms either way)",
            "glibc without the fix for bug 30081: SERVFAIL from one search domain costs timeouts, 25 s with `timeout:5 attempts:5` instead \
             of 0.01 s (measured, glibc 2.31-13+deb11u11)",
            "glibc: the AAAA answer is lost once it takes half the timeout, or if its packet is lost, so that a name with only IPv6 \
             addresses is not found (measured)",
            "Go: what gives up before a lookup does fails: `http.Get` after 30 s, where the first of two nameservers is dead (measured)",
        ],
        "three-attempts" => &[
            "all: while CoreDNS's upstream stalled for 2 s at 80 % of its capacity, 1,500 of 1,500 lookups were found without the option, \
             254 with it, and 439 where a third of the clients had it (measured, musl 1.2.6)",
            "the gain, on a network that loses packets at any load: with 5 % lost, musl finds 100 % of names instead of 98.8 %, the 99th \
             percentile after 3.4 s instead of 5.0 s (measured, musl 1.2.5)",
        ],
        "fast" => &[
            "musl and Go do not find a name whose answer takes 4 s; without the profile both do (measured)",
            "all: more attempts feed an overload: of 3,000 lookups around a stall of 2 s at 67 % load, 1,049 were found with 4 \
             attempts, 3,000 with 2 and 3 (measured, musl 1.2.5)",
            "programs with a deadline of their own, and resolvers inside programs (`muslin explain dnspython`, `grpc`, `netty`), read these \
             options too",
        ],
        _ => &[],
    }
}

const fn is_serial(settings: &Settings) -> bool {
    matches!(settings.pairing, QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial)
}

fn options_words(options: &[String]) -> String {
    if options.is_empty() { "none".to_owned() } else { code_list(options.iter().map(String::as_str)) }
}

fn condition_words(condition: Condition) -> String {
    match condition {
        Condition::MuslReleases(MuslCondition { from, before, except_java, nameservers_max }) => {
            let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
            let before = before.map(|before| format!(" before {before}")).unwrap_or_default();
            let java = if except_java { ", without a JVM" } else { "" };
            let nameservers = nameservers_max.map(|max| format!(", at most {max} nameserver(s)")).unwrap_or_default();
            format!("all musl{from}{before}{java}{nameservers}")
        }
        Condition::Musl => "all musl".to_owned(),
        Condition::Mixed => "some musl".to_owned(),
        Condition::Glibc => "all glibc".to_owned(),
        Condition::Go => "all Go".to_owned(),
        Condition::Others => "all others".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile that gives every pod these options.
    fn everywhere(options: &[&str]) -> Profile {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Profile { musl: options.clone(), mixed: options.clone(), others: options, ..Profile::nothing() }
    }

    #[test]
    fn shorter_waits_lose_slow_answers_and_more_attempts_add_load() {
        let profile = everywhere(&["timeout:3", "attempts:6"]);
        assert_eq!(
            computed_costs(&profile, Family::Musl),
            [
                "musl: a query that gets no answer is sent 6 times instead of 2 times",
                "musl: an answer is accepted for 3 s instead of 5 s",
            ]
        );
        let go = computed_costs(&profile, Family::Go);
        assert_eq!(
            go.last().map(String::as_str),
            Some("go: a lookup that nothing answers fails after 72 s instead of 40 s")
        );
    }

    #[test]
    fn a_second_socket_costs_a_round_trip_where_it_is_honoured() {
        let profile = everywhere(&["single-request-reopen"]);
        assert!(computed_costs(&profile, Family::Musl).is_empty(), "musl ignores it");
        assert_eq!(
            computed_costs(&profile, Family::Glibc),
            ["glibc: a healthy lookup takes two round trips instead of one round trip"]
        );
        assert_eq!(
            computed_costs(&profile, Family::Go)[1],
            "go: a lookup waits for a dead first nameserver of two 40 s instead of 20 s"
        );
    }

    #[test]
    fn the_page_of_each_profile_shows_its_options_and_its_costs() {
        for name in Profile::NAMES {
            let page = page(name).into_text();
            assert!(page.contains("\n## Options\n") && page.contains("\n## Costs\n"), "{page}");
            for cost in measured_costs(name) {
                assert!(page.contains(cost), "{page}");
            }
        }
        let page = page("node-local").into_text();
        assert!(page.contains("169.254.20.10") && page.contains("muslin_node_local_reachable"), "{page}");
        for risk in &CACHE_RISKS {
            assert!(page.contains(&format!("`{}`: {}", risk.slug, risk.about)), "{page}");
        }
    }
}
