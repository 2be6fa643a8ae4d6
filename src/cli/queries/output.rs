//! Writes what queries show, as a table and as JSON. Must not know how they are read.

use schemars::JsonSchema;
use serde::Serialize;

use crate::queries::{Evidence, HiddenClient, NdotsResult, Summary};
use crate::report::{SchemaVersion, table};
use crate::text::{Block, Line};

/// The most names of a workload in the table; JSON has all.
const NAMES_SHOWN: usize = 3;

/// The most hidden clients, and workloads with leaks, that are noted one by one.
const NOTES_SHOWN: usize = 5;

/// The output of `muslin queries -o json`: what the queries of a log say of each workload.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct JsonDocument<'e> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    #[serde(flatten)]
    summary: &'e Summary,
    /// The workloads, by namespace, kind and name.
    workloads: &'e [&'e Evidence],
}

/// Returns one JSON document. Its fields are a contract.
pub(super) fn json(summary: &Summary, evidence: &[&Evidence]) -> Block {
    Block::indented_json(&JsonDocument { version: SchemaVersion, summary, workloads: evidence })
}

/// Returns a table of the workloads.
pub(super) fn table_of(evidence: &[&Evidence]) -> Block {
    const TITLES: [&str; 11] = [
        "NAMESPACE",
        "WORKLOAD",
        "RESOLVER",
        "PODS",
        "QUERIES",
        "A SECOND",
        "WASTED",
        "NDOTS",
        "SAVES",
        "LEAKS",
        "FOUND BY SEARCH",
    ];
    let mut rows = vec![TITLES.map(Line::new).to_vec()];
    let mut evidence = evidence.to_vec();
    evidence.sort_by_key(|one| std::cmp::Reverse(one.queries));
    for one in evidence {
        let result = |show: fn(&NdotsResult) -> String| one.result.as_ref().map_or_else(|| "-".to_owned(), show);
        let cells = [
            one.workload.namespace.clone(),
            format!("{}/{}", one.workload.kind, one.workload.name),
            resolvers(one),
            one.pods.to_string(),
            one.queries.to_string(),
            one.queries_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}")),
            percent(one.wasted_share),
            result(|result| result.ndots.to_string()),
            result(|result| percent(result.saved_share)),
            result(|result| result.leaked.to_string()),
            names(one),
        ];
        rows.push(cells.map(Line::new).to_vec());
    }
    table(&rows)
}

fn resolvers(evidence: &Evidence) -> String {
    let names: Vec<&str> = evidence.uses.iter().map(|family| family.name()).collect();
    if names.is_empty() { "unknown".to_owned() } else { names.join(", ") }
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
pub(super) fn notes(summary: &Summary, evidence: &[&Evidence]) -> Vec<Line> {
    let mut notes = Vec::new();
    let Summary { queries, other_lines, unknown_clients, unknown_queries, earlier_clients, hidden, .. } = summary;
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
    for HiddenClient { address, is_node, pod, queries, namespaces } in hidden.iter().take(NOTES_SHOWN) {
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
    if hidden.len() > NOTES_SHOWN {
        notes.push(format!("{} more clients hide pods; JSON lists them", hidden.len() - NOTES_SHOWN));
    }
    if *unknown_clients > 0 {
        let earlier = if *earlier_clients > 0 {
            format!("; {earlier_clients} of them had the address before a pod of the list got it")
        } else {
            String::new()
        };
        notes
            .push(format!("{unknown_clients} clients with {unknown_queries} queries are no pods of the list{earlier}"));
    }
    if summary.dropped_queries > 0 {
        notes.push(format!("{} queries of still more clients were dropped", summary.dropped_queries));
    }
    notes.extend(workload_notes(evidence));
    notes.into_iter().map(Line::new).collect()
}

/// The notes about single workloads, and the end of a sentence that counts more of each.
const WORKLOAD_NOTES: [(fn(&Evidence) -> Option<String>, &str); 5] = [
    (unknown_list, "have the node's resolv.conf"),
    (searched_by_server, "have names that no Service can have"),
    (dropped_names, "have dropped names"),
    (ambiguous_names, "have names that may have been given in full"),
    (leaks, "have leaks"),
];

fn unknown_list(evidence: &Evidence) -> Option<String> {
    let note = "has the node's resolv.conf, so its search list is unknown";
    evidence.has_unknown_list.then(|| format!("{} {note}", workload(evidence)))
}

fn searched_by_server(evidence: &Evidence) -> Option<String> {
    let name = evidence.searched_by_server.as_ref()?;
    Some(format!(
        "{}: {name} was answered, and no Service can have that name. The server searches for the pod, as CoreDNS's plugin autopath does, \
         so the log does not show which names need the search",
        workload(evidence)
    ))
}

fn dropped_names(evidence: &Evidence) -> Option<String> {
    let names = evidence.dropped_names;
    (names > 0).then(|| format!("{}: {names} names were dropped to bound the memory", workload(evidence)))
}

fn ambiguous_names(evidence: &Evidence) -> Option<String> {
    let names = evidence.ambiguous;
    let note = "names may have been given in full; they count as found by a search";
    (names > 0).then(|| format!("{}: {names} {note}", workload(evidence)))
}

/// Returns the names that leak: a resolver which asks outside first takes an outside name of the same spelling.
fn leaks(evidence: &Evidence) -> Option<String> {
    let ndots = evidence.result.as_ref()?.ndots;
    let mut names = evidence.leaked(ndots);
    let first = names.next()?;
    let more = names.count();
    let more = if more > 0 { format!(" and {more} more names") } else { String::new() };
    let (workload, resolvers, name) = (workload(evidence), resolvers(evidence), &first.name);
    Some(format!(
        "{workload}: with ndots:{ndots}, {resolvers} first asks outside of the cluster for {name}{more}. An outside name of the same \
         spelling would win: --no-leaks counts these names as lost"
    ))
}

/// Returns what a reader must know about single workloads: the first of each kind, and the number of the others.
fn workload_notes(evidence: &[&Evidence]) -> Vec<String> {
    let mut notes = Vec::new();
    for (note, what) in WORKLOAD_NOTES {
        let mut all = evidence.iter().filter_map(|one| note(one));
        notes.extend(all.by_ref().take(NOTES_SHOWN));
        let more = all.count();
        if more > 0 {
            notes.push(format!("{more} more workloads {what}; JSON lists them"));
        }
    }
    notes
}

fn workload(evidence: &Evidence) -> String {
    format!("{}/{}", evidence.workload.namespace, evidence.workload.name)
}
