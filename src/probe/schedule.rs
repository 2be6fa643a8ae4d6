//! The single queries of a probe: names, types, transports, and the pause before each. Pauses spread the queries over time, so that
//! no rate limit is reached. Must not know how queries are sent.

use std::time::Duration;

use super::asker::random;
use super::dns_question::DnsQuestion;
use crate::verdicts::lookup_costs::{name_spellings, names_queried};
use crate::verdicts::observations::{Purpose, QueryType, Targets, Via};

/// Number of queries for each name and type.
const ROUNDS: usize = 6;
/// Time between two rounds: some 40 queries a second, below any rate limit.
const ROUND_EVERY: Duration = Duration::from_millis(100);
/// Number of names invented for each server; a quarter of them failing is then significant.
const INVENTED: usize = 24;
/// The same in a short probe: a third of them failing is then found by 98 of 100 probes.
const INVENTED_SHORT: usize = 36;
const INVENTED_EVERY: Duration = Duration::from_millis(40);
/// Number of letters of an invented name, so that it does not exist.
const INVENTED_LETTERS: usize = 20;
/// Number of names invented below each search domain.
const SEARCHED: usize = 3;
/// Number of queries for each name that the search list leads to.
const SEARCH_EXPANSION_TRIES: usize = 2;
/// Number of queries whose answer is fragmented; with this many, silence is not two lost packets.
const LARGE_TRIES: usize = 4;
/// EDNS sizes: one that fits any path, and one that leads to fragments.
const EDNS_SIZES: [u16; 2] = [1232, 4096];
/// Number of queries for what needs only confirmation.
const FEW_TRIES: usize = 2;

/// Number of further queries for the name of the burst, with which the burst and the invented names are compared.
pub(super) const COMPARED: usize = 18;
/// The same in a short probe, for the server that would get pairs to compare with.
pub(super) const COMPARED_SHORT: usize = 48;
/// The cluster's domain unless the administrator chose another.
const USUAL_DOMAIN: &str = "cluster.local";

const ADDRESS_TYPES: [QueryType; 2] = [QueryType::A, QueryType::Aaaa];

/// A query to send after a pause.
#[derive(Clone, Debug)]
pub(super) struct ScheduledQuery {
    pub(super) pause: Duration,
    pub(super) purpose: Purpose,
    pub(super) via: Via,
    pub(super) question: DnsQuestion,
}

/// Returns the queries for each nameserver, with this number to compare others with. Short probes leave large and signed answers out.
pub(super) fn nameserver_queries(targets: &Targets, is_short: bool, compared: usize) -> Vec<ScheduledQuery> {
    let mut queries = named_queries(targets);
    if !is_short {
        queries.extend(large_queries(targets));
    }
    queries.extend(invented_queries(targets, if is_short { INVENTED_SHORT } else { INVENTED }));
    queries.extend(zone_queries(targets));
    queries.extend(compared_queries(targets, compared));
    queries
}

/// Returns the queries that show whether a nameserver knows the cluster's zone.
fn zone_queries(targets: &Targets) -> Vec<ScheduledQuery> {
    let Targets { names, cluster_domain, .. } = targets;
    let mut zone_names = vec![cluster_domain.clone(), Targets::api_server_name(cluster_domain)];
    if cluster_domain != USUAL_DOMAIN {
        zone_names.push(Targets::api_server_name(USUAL_DOMAIN));
    }
    zone_names.retain(|name| !names.is_empty() && !names.contains(name));
    let from = nth(1, ROUND_EVERY);
    let mut queries = Vec::new();
    for (index, name) in zone_names.iter().enumerate() {
        for time in 0..FEW_TRIES {
            let pause = from + nth(time, 2 * ROUND_EVERY) + nth(index, INVENTED_EVERY);
            queries.push(ScheduledQuery::new(pause, Purpose::Zone, Via::Udp, DnsQuestion::new(name, QueryType::A)));
        }
    }
    queries
}

/// Returns the queries to compare others with, spread over the time of the others.
fn compared_queries(targets: &Targets, count: usize) -> impl Iterator<Item = ScheduledQuery> {
    let (from, until) = (nth(1, ROUND_EVERY), nth(INVENTED, INVENTED_EVERY));
    let compared = move |(purpose, name): (Purpose, &str)| {
        let question = DnsQuestion::new(name, QueryType::A);
        (0..count).map(move |index| {
            ScheduledQuery::new(from + fraction(index, count, until), purpose, Via::Udp, question.clone())
        })
    };
    targets.first_name().into_iter().flat_map(compared)
}

/// Returns the queries for names that have an address.
fn named_queries(targets: &Targets) -> Vec<ScheduledQuery> {
    let names = targets.names.iter().map(|name| (Purpose::Name, name));
    let named: Vec<_> = names.chain(targets.external_names.iter().map(|name| (Purpose::External, name))).collect();
    let mut queries = Vec::new();
    for round in 0..ROUNDS {
        for (index, (purpose, name)) in named.iter().enumerate() {
            for (half, kind) in ADDRESS_TYPES.into_iter().enumerate() {
                let within_round = fraction(2 * index + half, 2 * named.len(), ROUND_EVERY);
                let question = DnsQuestion::new(name, kind);
                queries.push(ScheduledQuery::new(nth(round, ROUND_EVERY) + within_round, *purpose, Via::Udp, question));
            }
        }
    }
    for (purpose, name) in &named {
        for index in 0..FEW_TRIES {
            let (question, pause) = (DnsQuestion::new(name, QueryType::A), nth(index, 2 * ROUND_EVERY));
            queries.push(ScheduledQuery::new(pause, *purpose, Via::Tcp, question.clone()));
            let with_edns = question.with_edns(EDNS_SIZES[0]);
            queries.push(ScheduledQuery::new(pause + ROUND_EVERY, *purpose, Via::Udp, with_edns));
        }
    }
    queries
}

/// Returns the queries for large and signed answers.
fn large_queries(targets: &Targets) -> Vec<ScheduledQuery> {
    let root_keys = DnsQuestion::new("", QueryType::Dnskey).with_edns(EDNS_SIZES[0]).with_signatures();
    let large = match &targets.large_name {
        Some(name) => DnsQuestion::new(name, QueryType::A),
        None => root_keys.clone(),
    };
    let mut queries = Vec::new();
    for index in 0..LARGE_TRIES {
        for size in EDNS_SIZES {
            let (pause, question) = (nth(index + 1, ROUND_EVERY), large.clone().with_edns(size));
            queries.push(ScheduledQuery::new(pause, Purpose::Large, Via::Udp, question));
        }
    }
    for index in 0..FEW_TRIES {
        let pause = nth(index, 2 * ROUND_EVERY);
        let plain = DnsQuestion { edns: None, signatures: false, ..large.clone() };
        queries.extend([
            ScheduledQuery::new(pause, Purpose::Large, Via::Udp, plain),
            ScheduledQuery::new(pause, Purpose::Signed, Via::Udp, root_keys.clone()),
            ScheduledQuery::new(pause, Purpose::Unchecked, Via::Udp, root_keys.clone().without_checks()),
        ]);
    }
    queries.push(ScheduledQuery::new(Duration::ZERO, Purpose::Large, Via::Tcp, large));
    queries
}

/// Returns the queries for external names that do not exist.
fn invented_queries(targets: &Targets, count: usize) -> impl Iterator<Item = ScheduledQuery> {
    targets.invented_below.iter().cycle().take(count).enumerate().map(|(index, below)| {
        let question = DnsQuestion::new(&format!("{}.{below}", invented_label()), QueryType::A);
        ScheduledQuery::new(nth(index, INVENTED_EVERY), Purpose::Invented, Via::Udp, question)
    })
}

/// Returns the queries for names that do not exist below each search domain.
pub(super) fn search_domain_queries(search: &[String]) -> Vec<ScheduledQuery> {
    let mut queries = Vec::new();
    for (index, domain) in search.iter().filter(|domain| *domain != ".").enumerate() {
        for _ in 0..SEARCHED {
            let name = format!("{}.{}", invented_label(), domain.trim_end_matches('.'));
            for kind in ADDRESS_TYPES {
                let (pause, question) = (nth(index, INVENTED_EVERY), DnsQuestion::new(&name, kind));
                queries.push(ScheduledQuery::new(pause, Purpose::Searched, Via::Udp, question));
            }
        }
    }
    queries
}

/// Returns the queries for names that a search list leads to.
pub(super) fn search_expansion_queries(targets: &Targets, search: &[String]) -> Vec<ScheduledQuery> {
    let mut queries = Vec::new();
    let spellings = name_spellings(&targets.names, &targets.external_names, &targets.cluster_domain);
    for (index, name) in names_queried(&spellings, search).iter().enumerate() {
        for kind in ADDRESS_TYPES {
            for time in 0..SEARCH_EXPANSION_TRIES {
                let pause = nth(index, INVENTED_EVERY) + nth(time, ROUND_EVERY);
                let question = DnsQuestion::new(name, kind);
                queries.push(ScheduledQuery::new(pause, Purpose::SearchExpansion, Via::Udp, question));
            }
        }
    }
    queries
}

/// Returns the queries for each server behind the nameservers.
pub(super) fn upstream_queries(targets: &Targets) -> impl Iterator<Item = ScheduledQuery> {
    targets.external_names.iter().flat_map(|name| {
        (0..ROUNDS).map(|round| {
            let question = DnsQuestion::new(name, QueryType::A);
            ScheduledQuery::new(nth(round, ROUND_EVERY), Purpose::Upstream, Via::Udp, question)
        })
    })
}

/// Returns the pause before the query with this index, if they follow each other this closely.
fn nth(index: usize, every: Duration) -> Duration {
    every * u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns the share `index / of` of a time.
pub(super) fn fraction(index: usize, of: usize, time: Duration) -> Duration {
    time * u32::try_from(index).unwrap_or(0) / u32::try_from(of.max(1)).unwrap_or(1)
}

/// Returns a label that no domain has.
pub(super) fn invented_label() -> String {
    (0..INVENTED_LETTERS).map(|_| char::from(b'a' + u8::try_from(random::<u32>() % 26).unwrap_or(0))).collect()
}

// === impl ScheduledQuery ===

impl ScheduledQuery {
    const fn new(pause: Duration, purpose: Purpose, via: Via, question: DnsQuestion) -> Self {
        Self { pause, purpose, via, question }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets {
            names: vec!["kubernetes.default.svc.cluster.local".to_owned()],
            external_names: vec!["example.com".to_owned()],
            invented_below: vec!["com".to_owned(), "net".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
            ..Targets::default()
        }
    }

    fn count(queries: &[ScheduledQuery], purpose: Purpose) -> usize {
        queries.iter().filter(|query| query.purpose == purpose).count()
    }

    #[test]
    fn schedules_enough_queries_for_each_verdict() {
        let queries = nameserver_queries(&targets(), false, COMPARED);
        let counts = [Purpose::Name, Purpose::External, Purpose::Large, Purpose::Signed, Purpose::Invented]
            .map(|purpose| count(&queries, purpose));
        assert_eq!(counts, [34, 16, 11, 2, 24]);
        assert_eq!(count(&queries, Purpose::Zone), 2, "the API server's name is queried anyway");
    }

    #[test]
    fn invents_no_name_without_a_domain() {
        let queries = nameserver_queries(&Targets { invented_below: Vec::new(), ..targets() }, false, COMPARED);
        assert_eq!(count(&queries, Purpose::Invented), 0);
    }
}
