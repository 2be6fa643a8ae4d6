//! Findings as one JSON document. Its fields are a contract: none is renamed or removed.

use serde::Serialize;

use super::format::Format;
use super::located_finding::{LocatedFinding, ObjectName};
use super::summary::{Counts, Summary};
use crate::plan::ContainerCounts;
use crate::text::Block;

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
    containers: usize,
    #[serde(rename = "unknownContainers")]
    unknown: usize,
    deny: usize,
    warn: usize,
    info: usize,
}

// === impl Json ===

impl Format for Json {
    fn head(&self) -> Block {
        Block::fixed("{\"findings\":[\n")
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, object, path, finding, because: _, ordinal: _, fixed: _ } = located;
        let ObjectName { kind, namespace, name } = *object;
        Block::json(&JsonFinding {
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

    fn tail(&self, summary: &Summary) -> Block {
        let Summary { files, objects, pods, containers, counts: Counts { deny, warn, info } } = *summary;
        let ContainerCounts { all: containers, unknown } = containers;
        let mut tail = Block::fixed("\n],\"summary\":");
        tail.push(&Block::json(&JsonSummary { files, objects, pods, containers, unknown, deny, warn, info }));
        tail.push(&Block::fixed("}\n"));
        tail
    }
}
