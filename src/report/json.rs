//! Findings as one JSON document, whose fields other programs rely on: none is renamed or removed.

use serde::Serialize;

use super::{Counts, Format, ObjectName, Reported, Summary};

/// Writes `{"findings": […], "summary": {…}}`.
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

    fn finding(&self, reported: &Reported<'_>) -> String {
        let Reported { file, place, object, path, finding, because: _, earlier: _, mended: _ } = reported;
        let ObjectName { kind, namespace, name } = *object;
        written(&JsonFinding {
            rule: finding.rule.slug,
            level: finding.level.name(),
            message: &finding.message,
            help: &finding.help,
            file,
            line: place.start.line,
            column: place.start.column,
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
        format!("\n],\"summary\":{}}}\n", written(&JsonSummary { files, objects, pods, deny, warn, info }))
    }
}

/// Writing strings and numbers into memory cannot fail.
pub(super) fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
