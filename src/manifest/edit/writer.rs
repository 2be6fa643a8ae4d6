//! Writes new values in the style of the document that they are put into. Knows no places.

use serde_json::Value;

use super::layout::ListIndent;
use crate::manifest::stream::Syntax;

/// Writes values as the text around them is written.
#[derive(Clone, Copy)]
pub(super) struct Writer<'t> {
    pub(super) text: &'t str,
    pub(super) syntax: Syntax,
}

// === impl Writer ===

impl Writer<'_> {
    /// Returns a separator of flow style, with a blank behind it if this text has blanks there.
    pub(super) fn separator(self, mark: &str) -> String {
        if self.is_dense() { mark.to_owned() } else { format!("{mark} ") }
    }

    /// Returns true for JSON without blanks.
    fn is_dense(self) -> bool {
        self.syntax == Syntax::Json && !self.text.contains("\": ")
    }

    /// Writes a member of a map in flow style.
    pub(super) fn flow_member(self, key: &str, value: &Value, indent: &str) -> String {
        let value = self.flow(value, indent);
        match self.syntax {
            Syntax::Json => format!("{}{}{value}", Value::from(key), self.separator(":")),
            Syntax::Yaml => format!("{}: {value}", scalar(&Value::from(key))),
        }
    }

    /// Writes a value in flow style. JSON on several lines stays so, indented like the first indented line of the text.
    pub(super) fn flow(self, value: &Value, indent: &str) -> String {
        let unit =
            self.text.lines().map(|line| &line[..line.len() - line.trim_start().len()]).find(|unit| !unit.is_empty());
        match (self.syntax, unit.filter(|_| self.text.trim_end().contains('\n'))) {
            (Syntax::Json, Some(unit)) => pretty_json(value, unit).replace('\n', &format!("\n{indent}")),
            (Syntax::Json, None) if self.is_dense() => value.to_string(),
            _ => one_line(value, self.syntax),
        }
    }
}

fn pretty_json(value: &Value, unit: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Writing into memory cannot fail.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn one_line(value: &Value, syntax: Syntax) -> String {
    let word = |value: &Value| if syntax == Syntax::Json { value.to_string() } else { scalar(value) };
    match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}: {}", word(&Value::from(key.as_str())), one_line(value, syntax))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| one_line(item, syntax)).collect::<Vec<_>>().join(", "))
        }
        scalar => word(scalar),
    }
}

/// Writes a scalar in YAML: plain if every YAML version reads it as the same text, else quoted as in JSON.
fn scalar(value: &Value) -> String {
    /// Words that YAML 1.1, and so `kubectl`, does not read as texts.
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    match value {
        Value::String(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c))
                && !WORDS.contains(&text.to_ascii_lowercase().as_str()) =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}

/// Appends a member of a map in block style.
pub(super) fn block_member(out: &mut String, key: &str, value: &Value, column: usize, lists: ListIndent) {
    out.push_str(&format!("{:column$}{}:", "", scalar(&Value::from(key))));
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            for (key, value) in members {
                block_member(out, key, value, column + 2, lists);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                block_item(out, item, column + lists.0, lists);
            }
        }
        other => out.push_str(&format!(" {}\n", one_line(other, Syntax::Yaml))),
    }
}

/// Appends an item of a list in block style.
pub(super) fn block_item(out: &mut String, value: &Value, column: usize, lists: ListIndent) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let start = out.len();
            for (key, value) in members {
                block_member(out, key, value, column + 2, lists);
            }
            out.replace_range(start + column..start + column + 1, "-");
        }
        other => out.push_str(&format!("{:column$}- {}\n", "", one_line(other, Syntax::Yaml))),
    }
}
