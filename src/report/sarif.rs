//! Findings as SARIF 2.1.0 (OASIS), which code scanning and editors read. Every rule is described whether it fired or not, so that
//! a reader knows what was looked for.

use std::hash::Hasher as _;

use fnv::FnvHasher;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::json::written;
use super::{Format, Reported, Summary};
use crate::policy::Level;
use crate::rules::{RULES, Rule};

/// Writes one SARIF log with one run.
#[derive(Clone, Copy, Debug)]
pub struct Sarif;

/// What a path may hold unescaped in a URI (RFC 3986, 3.3), its separator included.
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
    fn head(&self) -> String {
        let driver = json!({
            "name": "muslin",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": RULES.iter().map(|rule| described(rule)).collect::<Value>(),
        });
        format!(
            "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":{driver}}},\
             \"columnKind\":\"unicodeCodePoints\",\"results\":[\n",
        )
    }

    fn finding(&self, reported: &Reported<'_>) -> String {
        let Reported { file, place, object, path, finding, because, earlier: _, mended: _ } = reported;
        let container = finding.container.as_deref().map(|name| format!(", container {name}")).unwrap_or_default();
        let because = because.as_deref().map(|because| format!("\n{because}")).unwrap_or_default();
        let mut region = json!({
            "startLine": place.start.line,
            "startColumn": place.start.column,
            "endLine": place.end.line,
            "endColumn": place.end.column,
        });
        if !place.text.is_empty() {
            region["snippet"] = json!({ "text": place.text });
        }
        written(&json!({
            "ruleId": finding.rule.slug,
            "ruleIndex": RULES.iter().position(|rule| *rule == finding.rule),
            "level": level(finding.level),
            "message": { "text": format!("{object}{container}: {}{because}\nhelp: {}", finding.message, finding.help) },
            "locations": [{
                "physicalLocation": { "artifactLocation": { "uri": uri(file) }, "region": region },
                "logicalLocations": [{ "fullyQualifiedName": format!("{object}{path}"), "kind": "object" }],
            }],
            "partialFingerprints": { "muslinFinding/v1": fingerprint(reported) },
        }))
    }

    fn separator(&self) -> &'static str {
        ",\n"
    }

    fn tail(&self, _summary: &Summary) -> String {
        "\n]}]}\n".to_owned()
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Info => "note",
    }
}

fn described(rule: &Rule) -> Value {
    let documentation = rule.documentation();
    json!({
        "id": rule.slug,
        "shortDescription": { "text": rule.summary() },
        "fullDescription": { "text": rule.summary() },
        "help": { "text": documentation, "markdown": documentation },
        "defaultConfiguration": { "level": level(rule.level) },
    })
}

/// A file's path as a URI reference.
fn uri(file: &str) -> String {
    let path = utf8_percent_encode(file, PATH);
    if file.starts_with('/') { format!("file://{path}") } else { path.to_string() }
}

/// What stays the same when lines move: neither the position nor the words of the message take part.
fn fingerprint(reported: &Reported<'_>) -> String {
    let Reported { file, place: _, object, path, finding, because: _, earlier, mended: _ } = reported;
    let container = finding.container.as_deref().unwrap_or_default();
    let mut hasher = FnvHasher::default();
    for part in [finding.rule.slug, file, object.kind, object.namespace, object.name, container, path] {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    hasher.write(&earlier.to_le_bytes());
    format!("{:016x}", hasher.finish())
}
