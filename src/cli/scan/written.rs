//! How what a scan found is written. Must not know how it is come by.

use serde::Serialize;

use super::found::{ByRule, Found, Group, Top};
use crate::manifest::{Place, Position};
use crate::policy::Level;
use crate::report::{Format as _, ObjectName, Reported, Sarif, Summary};
use crate::text::printable;

#[derive(Serialize)]
struct Document<'f> {
    objects: Vec<Object<'f>>,
    rules: Vec<ByRule>,
}

#[derive(Serialize)]
struct Object<'f> {
    #[serde(flatten)]
    top: &'f Top,
    #[serde(flatten)]
    group: &'f Group,
}

/// One JSON document, whose fields other programs rely on.
pub(super) fn json(found: &Found) -> serde_json::Result<String> {
    let objects = found.groups.iter().map(|(top, group)| Object { top, group }).collect();
    serde_json::to_string_pretty(&Document { objects, rules: found.by_rule() }).map(|text| text + "\n")
}

/// The findings that somebody should act on by object, and all of them by rule.
pub(super) fn tables(found: &Found) -> String {
    let mut rows = vec![["NAMESPACE", "OBJECT", "PODS", "LEVEL", "RULE", "FINDING"].map(str::to_owned).to_vec()];
    for (Top { namespace, kind, name }, group) in &found.groups {
        for grouped in group.findings.iter().filter(|grouped| grouped.finding.level >= Level::Warn) {
            let container = grouped.container.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            let mended = if grouped.mended { " (fixed)" } else { "" };
            rows.push(vec![
                namespace.clone(),
                format!("{kind}/{name}"),
                group.pods.to_string(),
                grouped.level.to_owned(),
                grouped.rule.to_owned(),
                format!("{container}{}{mended}", grouped.message),
            ]);
        }
    }
    if rows.len() == 1 {
        return format!("{} objects, and nothing to act on\n", found.groups.len());
    }
    let mut rules = vec![["RULE", "LEVEL", "OBJECTS", "PODS"].map(str::to_owned).to_vec()];
    rules.extend(found.by_rule().into_iter().map(|ByRule { rule, level, objects, pods }| {
        vec![rule.to_owned(), level.to_owned(), objects.to_string(), pods.to_string()]
    }));
    format!("{}\n{}", table(&rows), table(&rules))
}

/// Columns as wide as what is in them, the last as it is.
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

/// Each object stands for a file, as it has none.
pub(super) fn sarif(found: &Found) -> String {
    let mut summary = Summary { objects: found.groups.len(), ..Summary::default() };
    let mut findings = Vec::new();
    for (Top { namespace, kind, name }, group) in &found.groups {
        summary.pods += group.pods;
        let file = format!("{namespace}/{}/{name}", kind.to_lowercase());
        for grouped in &group.findings {
            summary.counts.add(grouped.finding.level);
            let start = Position { line: 1, column: 1 };
            findings.push(Sarif.finding(&Reported {
                file: &file,
                place: Place { start, end: start, text: "", line: None },
                object: ObjectName { kind, namespace, name },
                path: &grouped.finding.path,
                finding: &grouped.finding,
                because: None,
                earlier: 0,
                mended: grouped.mended,
            }));
        }
    }
    format!("{}{}{}", Sarif.head(), findings.join(Sarif.separator()), Sarif.tail(&summary))
}
