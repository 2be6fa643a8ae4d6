//! Findings as one JSON document. Its fields are a contract: none is renamed or removed.

use serde::Serialize;

use super::format::Format;
use super::located_finding::{LocatedFinding, ObjectName};
use super::summary::{Counts, Summary};

/// The format `{"findings": […], "summary": {…}}`.
#[derive(Clone, Copy, Debug)]
pub struct Json;

#[derive(Serialize)]
struct JsonFinding<'r> {
    rule: &'static str,
    level: &'static str,
    message: &'r str,
    help: &'r str,
    file: &'r str,
    line: usize,
    column: usize,
    object: JsonObject<'r>,
    container: Option<&'r str>,
    path: &'r str,
}

#[derive(Serialize)]
struct JsonObject<'r> {
    kind: &'r str,
    namespace: &'r str,
    name: &'r str,
}

#[derive(Serialize)]
struct JsonSummary {
    files: usize,
    objects: usize,
    pods: usize,
    deny: usize,
    warn: usize,
    info: usize,
}

// === impl Json ===

impl Format for Json {
    fn head(&self) -> String {
        "{\"findings\":[\n".to_owned()
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> String {
        let LocatedFinding { file, excerpt, object, path, finding, because: _, ordinal: _, fixed: _ } = located;
        let ObjectName { kind, namespace, name } = *object;
        to_json(&JsonFinding {
            rule: finding.rule.slug,
            level: finding.level.name(),
            message: &finding.message,
            help: &finding.help,
            file,
            line: excerpt.start.line,
            column: excerpt.start.column,
            object: JsonObject { kind, namespace, name },
            container: finding.container.as_deref(),
            path,
        })
    }

    fn separator(&self) -> &'static str {
        ",\n"
    }

    fn tail(&self, summary: &Summary) -> String {
        let Summary { files, objects, pods, counts: Counts { deny, warn, info } } = *summary;
        format!("\n],\"summary\":{}}}\n", to_json(&JsonSummary { files, objects, pods, deny, warn, info }))
    }
}

/// Writes a value that consists of strings and numbers, which cannot fail.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
