//! Findings as one JSON document. Its fields are a contract: none is renamed or removed.

use serde::Serialize;

use super::format::Format;
use super::located_finding::{LocatedFinding, ObjectName};
use super::summary::{Counts, RunTotals, Summary};
use super::unread::Unread;
use crate::plan::ContainerCounts;
use crate::text::Block;

/// The format `{"findings": […], "unread": […], "changedFiles": […], "summary": {…}}`.
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
    /// The stream in which line and column count, if they do not count in the file.
    #[serde(rename = "renderedIn")]
    rendered_in: Option<&'r str>,
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

/// Text that was not read, with null for what is unknown.
#[derive(Serialize)]
struct JsonUnread<'r> {
    level: &'static str,
    file: &'r str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'r str,
    hint: Option<&'r str>,
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
    /// Number of findings that `--level` leaves out of `findings`.
    hidden: usize,
}

// === impl Json ===

impl Format for Json {
    fn head(&self) -> Block {
        Block::fixed("{\"findings\":[\n")
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, rendered_in, object, path, finding, .. } = located;
        let ObjectName { kind, namespace, name } = *object;
        Block::json(&JsonFinding {
            rule: finding.rule.slug,
            level: finding.level.name(),
            message: &finding.message,
            help: &finding.help,
            file,
            line: excerpt.start.line,
            column: excerpt.start.column,
            rendered_in: *rendered_in,
            object: JsonObject { kind, namespace, name },
            container: finding.container.as_deref(),
            path,
        })
    }

    fn separator(&self) -> &'static str {
        ",\n"
    }

    fn tail(&self, run: &RunTotals<'_>) -> Block {
        let RunTotals { summary, hidden, unread, changed_files } = *run;
        let Summary { files, objects, pods, containers, counts: Counts { deny, warn, info } } = summary;
        let ContainerCounts { all: containers, unknown } = containers;
        let unread: Vec<JsonUnread<'_>> = unread.iter().map(JsonUnread::of).collect();
        let mut tail = Block::fixed("\n],\"unread\":");
        tail.push(&Block::json(&unread));
        tail.push(&Block::fixed(",\"changedFiles\":"));
        tail.push(&Block::json(&changed_files));
        tail.push(&Block::fixed(",\"summary\":"));
        tail.push(&Block::json(&JsonSummary { files, objects, pods, containers, unknown, deny, warn, info, hidden }));
        tail.push(&Block::fixed("}\n"));
        tail
    }
}

// === impl JsonUnread ===

impl<'r> JsonUnread<'r> {
    fn of(unread: &'r Unread) -> Self {
        let Unread { severity, file, at, message, hint } = unread;
        Self {
            level: severity.name(),
            file,
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            message,
            hint: hint.as_deref(),
        }
    }
}
