//! Findings as SARIF 2.1.0 (OASIS), which code scanning and editors read. Every rule is described, fired or not, so that a reader
//! knows what was checked.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::fingerprint::fingerprint;
use super::format::Format;
use super::located_finding::LocatedFinding;
use super::summary::RunTotals;
use super::unread::{Severity, Unread};
use crate::policy::Level;
use crate::rules::{DocsUrl, RULES, Rule};
use crate::text::Block;

/// The format of one SARIF log with one run.
#[derive(Clone, Debug, Default)]
pub struct Sarif {
    /// The address of the rules' pages, for `helpUri`.
    pub docs: Option<DocsUrl>,
}

/// The characters escaped in a path of a URI (RFC 3986, 3.3); the separator stays.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'@')
    .remove(b'+')
    .remove(b'=');

// === impl Sarif ===

impl Format for Sarif {
    fn head(&self) -> Block {
        let mut driver = json!({
            "name": "muslin",
            "fullName": concat!("muslin ", env!("CARGO_PKG_VERSION")),
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": RULES.iter().map(|rule| self.rule_descriptor(rule)).collect::<Value>(),
        });
        if let Some(docs) = &self.docs {
            driver["informationUri"] = json!(docs.as_str());
        }
        let mut head = Block::fixed(
            "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":",
        );
        head.push(&Block::json(&driver));
        head.push(&Block::fixed("},\"columnKind\":\"unicodeCodePoints\",\"results\":[\n"));
        head
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, rendered_in, object, path, finding, because, ordinal: _, fixed: _ } =
            located;
        let because = because.as_deref().map(|because| format!("\n{because}")).unwrap_or_default();
        let mut region = json!({
            "startLine": excerpt.start.line,
            "startColumn": excerpt.start.column,
            "endLine": excerpt.end.line,
            "endColumn": excerpt.end.column,
        });
        if !excerpt.text.is_empty() {
            region["snippet"] = json!({ "text": excerpt.text });
        }
        let mut rendered = String::new();
        if let Some(stream) = rendered_in {
            // The line in the file is unknown; code scanning requires one.
            rendered = format!(" (rendered at {stream}:{})", excerpt.start);
            region = json!({ "startLine": 1 });
        }
        Block::json(&json!({
            "ruleId": finding.rule.slug,
            "ruleIndex": RULES.iter().position(|rule| *rule == finding.rule),
            "level": sarif_level(finding.level),
            "message": { "text": format!("{}: {}{rendered}{because}\nhelp: {}", located.owner(), finding.message, finding.help) },
            "locations": [{
                "physicalLocation": { "artifactLocation": { "uri": uri(file) }, "region": region },
                "logicalLocations": [{ "fullyQualifiedName": format!("{object}{path}"), "kind": "object" }],
            }],
            "partialFingerprints": { "muslinFinding/v1": fingerprint(located) },
        }))
    }

    fn separator(&self) -> &'static str {
        ",\n"
    }

    fn tail(&self, run: &RunTotals<'_>) -> Block {
        let unclear =
            run.unclear.note().map(|note| json!({ "level": "note", "message": { "text": note.to_string() } }));
        let notifications = run.unread.iter().map(notification).chain(unclear);
        let invocation = json!({
            "executionSuccessful": run.unread.iter().all(|unread| unread.severity != Severity::Error),
            "toolExecutionNotifications": notifications.collect::<Value>(),
        });
        let mut tail = Block::fixed("\n],\"invocations\":[");
        tail.push(&Block::json(&invocation));
        tail.push(&Block::fixed("]}]}\n"));
        tail
    }
}

impl Sarif {
    fn rule_descriptor(&self, rule: &Rule) -> Value {
        let documentation = rule.documentation();
        let mut descriptor = json!({
            "id": rule.slug,
            "name": identifier(rule.slug),
            "shortDescription": { "text": rule.summary() },
            "fullDescription": { "text": rule.summary() },
            "help": { "text": documentation, "markdown": documentation },
            "defaultConfiguration": { "level": sarif_level(rule.level) },
        });
        if let Some(docs) = &self.docs {
            descriptor["helpUri"] = json!(docs.page_of(rule.slug));
        }
        descriptor
    }
}

fn notification(unread: &Unread) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri(&unread.file) } });
    if let Some(at) = unread.at {
        location["region"] = json!({ "startLine": at.line, "startColumn": at.column });
    }
    json!({
        "level": unread.severity.name(),
        "message": { "text": unread.text() },
        "locations": [{ "physicalLocation": location }],
    })
}

/// Returns a slug as an identifier in Pascal case, which Azure DevOps requires as a rule's name.
fn identifier(slug: &str) -> String {
    slug.split('-')
        .flat_map(|word| word.chars().enumerate().map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c }))
        .collect()
}

fn sarif_level(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Info => "note",
    }
}

/// Returns a file's path as a URI reference.
fn uri(file: &str) -> String {
    let path = utf8_percent_encode(file, PATH);
    if file.starts_with('/') { format!("file://{path}") } else { path.to_string() }
}
