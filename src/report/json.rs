//! Findings as one JSON document. Its fields are a contract: none is renamed or removed.

use schemars::JsonSchema;
use serde::Serialize;

use super::format::Format;
use super::located_finding::{LocatedFinding, ObjectName};
use super::schema_version::SchemaVersion;
use super::summary::{Counts, RunTotals, Summary};
use super::unclear_kinds::UnclearKinds;
use super::unread::Unread;
use crate::plan::ContainerCounts;
use crate::text::Block;

/// The version of the document.
const VERSION: u32 = 1;

/// The format `{"schemaVersion": 1, "findings": […], "unread": […], "unclearKinds": […], "changedFiles": […], "summary": {…}}`.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// The output of `muslin check -o json`. [`Json`] writes it piece by piece; this type gives its schema.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "the fields make the schema")]
pub struct CheckDocument<'r> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<VERSION>,
    /// The findings, file by file in the order of the arguments.
    findings: Vec<JsonFinding<'r>>,
    /// Text that was not read, or that kubectl reads otherwise than it seems.
    unread: Vec<JsonUnread<'r>>,
    /// The kinds whose objects hold containers in a place that muslin does not know. Nothing in them was checked.
    #[serde(rename = "unclearKinds")]
    unclear: Vec<JsonUnclearKind<'r>>,
    /// The files that `--fix` changed, or that it would change with `--diff`.
    #[serde(rename = "changedFiles")]
    changed_files: Vec<&'r str>,
    /// Totals.
    summary: JsonSummary,
}

/// A finding and its place.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct JsonFinding<'r> {
    /// The rule's name, with a page in docs/rules.
    rule: &'static str,
    /// `deny`: lookups fail; `warn`: lookups are slower, or fail more often, than necessary; `info`: worth knowing.
    #[schemars(extend("enum" = ["deny", "warn", "info"]))]
    level: &'static str,
    /// The finding in a sentence.
    message: &'r str,
    /// The advice.
    help: &'r str,
    /// The file; `-` is standard input.
    file: &'r str,
    /// The line of the value to look at, from 1.
    line: usize,
    /// The column, in Unicode code points from 1.
    column: usize,
    /// The stream in which line and column count, if they do not count in the file.
    #[serde(rename = "renderedIn")]
    rendered_in: Option<&'r str>,
    /// The object that holds the value.
    object: JsonObject<'r>,
    /// The container, if the finding is about one.
    container: Option<&'r str>,
    /// JSON pointer (RFC 6901) to the cause, or to where it is missing, from the object.
    path: &'r str,
}

/// The name of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Object")]
struct JsonObject<'r> {
    /// The kind.
    kind: &'r str,
    /// The namespace of the object, or of `--namespace` if the object has none.
    namespace: &'r str,
    /// The name.
    name: &'r str,
}

/// Text that was not read, with null for what is unknown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Unread")]
struct JsonUnread<'r> {
    /// `error` if that makes the check incomplete; `warning` if kubectl reads the text otherwise than it seems, which `summary` counts
    /// as `warn`; `note` otherwise.
    level: &'static str,
    /// The file.
    file: &'r str,
    /// The line, from 1.
    line: Option<usize>,
    /// The column, in Unicode code points from 1.
    column: Option<usize>,
    /// The reason in a sentence.
    message: &'r str,
    /// Advice.
    hint: Option<&'r str>,
}

/// A kind that muslin does not understand.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnclearKind")]
struct JsonUnclearKind<'r> {
    /// The kind.
    kind: &'r str,
    /// Number of objects.
    objects: usize,
}

/// The totals of a run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Summary")]
struct JsonSummary {
    /// Files read.
    files: usize,
    /// Kubernetes objects of any kind.
    objects: usize,
    /// Pods and pod templates.
    pods: usize,
    /// Containers.
    containers: usize,
    /// Containers whose resolver is unknown: no rule about a resolver can find anything in them.
    #[serde(rename = "unknownContainers")]
    unknown: usize,
    /// Findings of level `deny`.
    deny: usize,
    /// Findings of level `warn`.
    warn: usize,
    /// Findings of level `info`.
    info: usize,
    /// Number of findings that `--level` leaves out of `findings`.
    hidden: usize,
}

// === impl Json ===

impl Format for Json {
    fn head(&self) -> Block {
        let mut head = Block::fixed("{\"schemaVersion\":");
        head.push(&Block::json(&SchemaVersion::<VERSION>));
        head.push(&Block::fixed(",\"findings\":[\n"));
        head
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
        let RunTotals { summary, hidden, unread, unclear, changed_files } = *run;
        let Summary { files, objects, pods, containers, counts: Counts { deny, warn, info } } = summary;
        let ContainerCounts { all: containers, unknown } = containers;
        let unread: Vec<JsonUnread<'_>> = unread.iter().map(JsonUnread::of).collect();
        let mut tail = Block::fixed("\n],\"unread\":");
        tail.push(&Block::json(&unread));
        tail.push(&Block::fixed(",\"unclearKinds\":"));
        tail.push(&Block::json(&JsonUnclearKind::all(unclear)));
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

// === impl JsonUnclearKind ===

impl<'r> JsonUnclearKind<'r> {
    fn all(kinds: &'r UnclearKinds) -> Vec<Self> {
        kinds.iter().map(|(kind, objects)| Self { kind, objects }).collect()
    }
}
