//! Writes the results of a scan as tables, JSON and SARIF. Must not know how they are collected.

use serde::Serialize;

use super::results::{CountedFinding, ObjectFindings, RuleCount, ScanResults, TopObject};
use crate::manifest::{Excerpt, Position};
use crate::policy::Level;
use crate::report::{Format as _, LocatedFinding, ObjectName, Sarif, Summary};
use crate::text::printable;

#[derive(Serialize)]
struct JsonDocument<'f> {
    objects: Vec<JsonObject<'f>>,
    rules: Vec<RuleCount>,
}

#[derive(Serialize)]
struct JsonObject<'f> {
    #[serde(flatten)]
    top: &'f TopObject,
    #[serde(flatten)]
    findings: &'f ObjectFindings,
}

/// Returns one JSON document. Its fields are a contract.
pub(super) fn json(results: &ScanResults) -> serde_json::Result<String> {
    let objects = results.objects.iter().map(|(top, findings)| JsonObject { top, findings }).collect();
    serde_json::to_string_pretty(&JsonDocument { objects, rules: results.rule_counts() }).map(|text| text + "\n")
}

/// Returns two tables: findings of level `warn` and `deny` by object, and all findings by rule.
pub(super) fn tables(results: &ScanResults) -> String {
    let mut rows = vec![["NAMESPACE", "OBJECT", "PODS", "LEVEL", "RULE", "FINDING"].map(str::to_owned).to_vec()];
    for (TopObject { namespace, kind, name }, object) in &results.objects {
        for counted in object.findings.iter().filter(|counted| counted.finding.level >= Level::Warn) {
            let CountedFinding { rule, level, container, message, fixed, .. } = counted;
            let container = container.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            let fixed = if *fixed { " (fixed)" } else { "" };
            rows.push(vec![
                namespace.clone(),
                format!("{kind}/{name}"),
                object.pods.to_string(),
                (*level).to_owned(),
                (*rule).to_owned(),
                format!("{container}{message}{fixed}"),
            ]);
        }
    }
    if rows.len() == 1 {
        return format!("no findings of level warn or deny in {} objects\n", results.objects.len());
    }
    let mut rules = vec![["RULE", "LEVEL", "OBJECTS", "PODS"].map(str::to_owned).to_vec()];
    rules.extend(results.rule_counts().into_iter().map(|RuleCount { rule, level, objects, pods }| {
        vec![rule.to_owned(), level.to_owned(), objects.to_string(), pods.to_string()]
    }));
    format!("{}\n{}", table(&rows), table(&rules))
}

/// Returns rows as columns, each but the last padded to its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let (last, before) = row.split_last().map_or(("", &row[..]), |(last, before)| (last.as_str(), before));
        for (cell, width) in before.iter().zip(&widths) {
            text.push_str(&format!("{:<width$}  ", printable(cell)));
        }
        text.push_str(printable(last).trim_end());
        text.push('\n');
    }
    text
}

/// Returns a SARIF log. SARIF wants a file for each finding; `namespace/kind/name` stands for it.
pub(super) fn sarif(results: &ScanResults) -> String {
    let mut summary = Summary { objects: results.objects.len(), ..Summary::default() };
    let mut findings = Vec::new();
    for (TopObject { namespace, kind, name }, object) in &results.objects {
        summary.pods += object.pods;
        let file = format!("{namespace}/{}/{name}", kind.to_lowercase());
        for counted in &object.findings {
            summary.counts.add(counted.finding.level);
            let start = Position { line: 1, column: 1 };
            findings.push(Sarif.finding(&LocatedFinding {
                file: &file,
                excerpt: Excerpt { start, end: start, text: "", line: None },
                object: ObjectName { kind, namespace, name },
                path: &counted.finding.path,
                finding: &counted.finding,
                because: None,
                ordinal: 0,
                fixed: counted.fixed,
            }));
        }
    }
    format!("{}{}{}", Sarif.head(), findings.join(Sarif.separator()), Sarif.tail(&summary))
}
