//! Writes what queries show, as a table and as JSON. Must not know how they are read.

use serde::Serialize;

use crate::queries::{Evidence, HiddenClient, ResolverEvidence, Summary};
use crate::report::table;
use crate::text::{Block, Line};

/// The most names of a workload in the table; JSON has all.
const NAMES_SHOWN: usize = 3;

/// The most hidden clients that are noted one by one.
const HIDDEN_SHOWN: usize = 5;

#[derive(Serialize)]
struct JsonDocument<'e> {
    #[serde(flatten)]
    summary: &'e Summary,
    workloads: Vec<JsonWorkload<'e>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonWorkload<'e> {
    #[serde(flatten)]
    evidence: &'e Evidence,
    /// The lowest `ndots` that is safe for every resolver.
    safe_ndots: Option<u32>,
}

/// Returns one JSON document. Its fields are a contract.
pub(super) fn json(summary: &Summary, evidence: &[Evidence]) -> Block {
    let workload = |evidence| JsonWorkload { evidence, safe_ndots: safe_ndots(evidence) };
    Block::indented_json(&JsonDocument { summary, workloads: evidence.iter().map(workload).collect() })
}

/// Returns the `ndots` that is safe for every resolver; `None` if the search list is unknown.
pub(super) fn safe_ndots(evidence: &Evidence) -> Option<u32> {
    (!evidence.has_unknown_list).then(|| evidence.safe_ndots())
}

/// Returns a table of the workloads.
pub(super) fn table_of(evidence: &[Evidence]) -> Block {
    const TITLES: [&str; 10] = [
        "NAMESPACE",
        "WORKLOAD",
        "PODS",
        "QUERIES",
        "A SECOND",
        "WASTED",
        "NDOTS",
        "SAVES",
        "GLIBC, GO",
        "FOUND BY SEARCH",
    ];
    let mut rows = vec![TITLES.map(Line::new).to_vec()];
    let mut evidence: Vec<&Evidence> = evidence.iter().collect();
    evidence.sort_by_key(|one| std::cmp::Reverse(one.queries));
    for one in evidence {
        let unknown = || "-".to_owned();
        let ndots = safe_ndots(one).map_or_else(unknown, |ndots| ndots.to_string());
        let saves = one.musl().filter(|_| !one.has_unknown_list);
        let saves = saves.map_or_else(unknown, |musl| percent(musl.saved_share));
        let falls_back = one.resolvers.iter().find(|result| result.resolver == "glibc");
        let falls_back = falls_back.filter(|_| !one.has_unknown_list).map_or_else(unknown, falling_back);
        let cells = [
            one.workload.namespace.clone(),
            format!("{}/{}", one.workload.kind, one.workload.name),
            one.pods.to_string(),
            one.queries.to_string(),
            one.queries_per_second.map_or_else(unknown, |rate| format!("{rate:.2}")),
            percent(one.wasted_share),
            ndots,
            saves,
            falls_back,
            names(one),
        ];
        rows.push(cells.map(Line::new).to_vec());
    }
    table(&rows)
}

/// Returns the result for glibc and Go, which lose nothing and may ask outside for names of the cluster.
fn falling_back(result: &ResolverEvidence) -> String {
    let leaked = if result.leaked > 0 { format!(", {} leak", result.leaked) } else { String::new() };
    format!("{}{leaked}", result.lowest_ndots)
}

fn names(evidence: &Evidence) -> String {
    let names: Vec<&str> = evidence.found_by_search.iter().take(NAMES_SHOWN).map(|searched| &*searched.name).collect();
    let more = evidence.found_by_search.len() - names.len();
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Returns what a reader must know before trusting the result.
pub(super) fn notes(summary: &Summary, evidence: &[Evidence]) -> Vec<Line> {
    let mut notes = Vec::new();
    let Summary { queries, other_lines, unknown_clients, unknown_queries, hidden, .. } = summary;
    match (summary.from, summary.to) {
        (Some(from), Some(to)) => notes.push(format!(
            "{queries} queries from {from:.0} to {to:.0}: a name that was not asked for in this time may need a higher ndots"
        )),
        _ => notes.push(format!(
            "{queries} queries in a log without times (`kubectl logs --timestamps`, or --period): a name that is not in it may \
             need a higher ndots"
        )),
    }
    if *other_lines > 0 {
        notes.push(format!("{other_lines} lines are no queries in CoreDNS's common format"));
    }
    if !summary.is_whole {
        notes.push(
            "the log lacks queries of many searches, or shows none: give the logs of all CoreDNS replicas. Until then each name that \
             may have been found by a search counts as one"
                .to_owned(),
        );
    }
    for HiddenClient { address, is_node, pod, queries, namespaces } in hidden.iter().take(HIDDEN_SHOWN) {
        let whose = match (is_node, pod) {
            (true, _) => "a node".to_owned(),
            (false, Some(pod)) => format!("the pod {pod}"),
            (false, None) => "no pod of the list".to_owned(),
        };
        let namespaces = if namespaces.is_empty() {
            String::new()
        } else {
            format!(", for the namespaces {}", namespaces.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        };
        notes.push(format!(
            "{address} is {whose} and asked {queries} queries{namespaces}: pods behind a cache, or on the node's network, are hidden. \
             Read the cache's own log for them"
        ));
    }
    if hidden.len() > HIDDEN_SHOWN {
        notes.push(format!("{} more clients hide pods; JSON lists them", hidden.len() - HIDDEN_SHOWN));
    }
    if *unknown_clients > 0 {
        notes.push(format!("{unknown_clients} clients with {unknown_queries} queries are no pods of the list"));
    }
    if summary.dropped_queries > 0 {
        notes.push(format!("{} queries of still more clients were dropped", summary.dropped_queries));
    }
    notes.extend(evidence.iter().flat_map(workload_notes));
    notes.into_iter().map(Line::new).collect()
}

/// Returns what a reader must know about one workload.
fn workload_notes(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    let workload = format!("{}/{}", evidence.workload.namespace, evidence.workload.name);
    if evidence.has_unknown_list {
        notes.push(format!("{workload} has the node's resolv.conf, so its search list is unknown"));
    }
    if evidence.dropped_names > 0 {
        notes.push(format!("{workload}: {} names were dropped to bound the memory", evidence.dropped_names));
    }
    if evidence.ambiguous > 0 {
        let names = evidence.ambiguous;
        notes.push(format!("{workload}: {names} names may have been given in full; they count as found by a search"));
    }
    notes
}
