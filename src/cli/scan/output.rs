//! Writes the results of a scan as tables, JSON and SARIF. Must not know how they are collected.

use schemars::JsonSchema;
use serde::Serialize;

use super::results::{CountedFinding, ObjectFindings, RuleCount, ScanResults, TopObject};
use crate::manifest::{Excerpt, Position};
use crate::plan::ContainerCounts;
use crate::policy::Level;
use crate::report::{Format as _, LocatedFinding, ObjectName, RunTotals, Sarif, SchemaVersion, linked_table};
use crate::rules::{DocsUrl, Rule};
use crate::text::{Block, Line};

/// The output of `muslin scan -o json`: findings by object and by rule.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct JsonDocument<'f> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    /// The objects at the top of their owner chains, such as Deployments.
    objects: Vec<JsonObject<'f>>,
    /// The rules that found something, the most serious first.
    rules: Vec<RuleCount>,
    /// Containers of all objects.
    containers: usize,
    /// Containers whose resolver is unknown: no rule about a resolver can find anything in them.
    #[serde(rename = "unknownContainers")]
    unknown: usize,
}

/// An object and its findings.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Object")]
struct JsonObject<'f> {
    #[serde(flatten)]
    top: &'f TopObject,
    #[serde(flatten)]
    findings: &'f ObjectFindings,
}

/// Returns one JSON document. Its fields are a contract.
pub(super) fn json(results: &ScanResults) -> Block {
    let objects = results.ordered().into_iter().map(|(top, findings)| JsonObject { top, findings }).collect();
    let ContainerCounts { all: containers, unknown } = results.summary().containers;
    Block::indented_json(&JsonDocument {
        version: SchemaVersion,
        objects,
        rules: results.rule_counts(),
        containers,
        unknown,
    })
}

/// Returns two tables: findings of level `warn` and `deny` by object, and all findings by rule. With the address of the pages, the names
/// of rules are links.
pub(super) fn tables(results: &ScanResults, docs: Option<&DocsUrl>) -> Block {
    let mut rows = vec![["NAMESPACE", "OBJECT", "PODS", "LEVEL", "RULE", "FINDING"].map(Line::new).to_vec()];
    for level in [Level::Deny, Level::Warn] {
        let findings = results.objects.iter().flat_map(|(top, object)| {
            let of_level = object.findings.iter().filter(move |counted| counted.finding.level == level);
            of_level.map(move |counted| (top, object, counted))
        });
        for (TopObject { namespace, kind, name, group: _ }, object, counted) in findings {
            let CountedFinding { rule, level, container, message, fixed, .. } = counted;
            let container = container.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            let fixed = if *fixed { " (fixed)" } else { "" };
            rows.push(vec![
                Line::new(namespace.clone()),
                Line::new(format!("{kind}/{name}")),
                Line::new(object.pods.to_string()),
                Line::new(*level),
                Line::new(*rule),
                Line::new(format!("{container}{message}{fixed}")),
            ]);
        }
    }
    let unknown = results.summary().unknown("`--inspect` reads their images, a ResolverProfile declares them");
    if rows.len() == 1 {
        let mut text = Block::default();
        text.push_line(format!("no findings of level warn or deny in {} objects", results.objects.len()));
        unknown.into_iter().for_each(|line| text.push_line(line));
        return text;
    }
    let mut rules = vec![["RULE", "LEVEL", "OBJECTS", "PODS"].map(Line::new).to_vec()];
    rules.extend(results.rule_counts().into_iter().map(|RuleCount { rule, level, objects, pods }| {
        [rule.to_owned(), level.to_owned(), objects.to_string(), pods.to_string()].map(Line::new).to_vec()
    }));
    let link = |cell: &Line| Some(Line::new(docs?.page_of(Rule::named(cell)?.slug)));
    let mut text = linked_table(&rows, |column, cell| if column == 4 { link(cell) } else { None });
    text.push_line("");
    text.push(&linked_table(&rules, |column, cell| if column == 0 { link(cell) } else { None }));
    if let Some(unknown) = unknown {
        text.push_line("");
        text.push_line(unknown);
    }
    text
}

/// Returns a SARIF log. SARIF wants a file for each finding; `namespace/kind/name` stands for it.
pub(super) fn sarif(results: &ScanResults, docs: Option<DocsUrl>) -> Block {
    let format = Sarif { docs };
    let mut log = format.head();
    let mut separator = "";
    for (TopObject { namespace, kind, name, group: _ }, object) in results.ordered() {
        let file = format!("{namespace}/{}/{name}", kind.to_lowercase());
        for counted in &object.findings {
            let start = Position { line: 1, column: 1 };
            log.push(&Block::fixed(std::mem::replace(&mut separator, format.separator())));
            log.push(&format.finding(&LocatedFinding {
                file: &file,
                excerpt: Excerpt { start, end: start, text: "", line: None },
                rendered_in: None,
                object: ObjectName { kind, namespace, name },
                path: &counted.finding.path,
                finding: &counted.finding,
                because: None,
                ordinal: 0,
                fixed: counted.fixed,
            }));
        }
    }
    log.push(&format.tail(&RunTotals { summary: results.summary(), ..RunTotals::default() }));
    log
}
