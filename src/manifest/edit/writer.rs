//! Writes new values in the style of the document that they are put into. Knows no places.

use serde_json::Value;

use super::layout::ListIndent;

/// Writes values as the text around them is written.
pub(super) struct Writer<'t> {
    is_json: bool,
    /// JSON without blanks.
    is_dense: bool,
    /// The indent of JSON on several lines: that of its first indented line.
    unit: Option<&'t str>,
}

// === impl Writer ===

impl<'t> Writer<'t> {
    pub(super) fn new(text: &'t str, is_json: bool) -> Self {
        let is_on_lines = is_json && text.trim_end().contains('\n');
        let indent = |line: &'t str| &line[..line.len() - line.trim_start().len()];
        let unit = is_on_lines.then(|| text.lines().map(indent).find(|unit| !unit.is_empty())).flatten();
        Self { is_json, is_dense: is_json && !text.contains("\": "), unit }
    }

    /// Returns true for JSON on several lines.
    pub(super) fn is_on_lines(&self) -> bool {
        self.unit.is_some()
    }

    /// Returns a separator of flow style, with a blank behind it if this text has blanks there.
    pub(super) fn separator(&self, mark: &str) -> String {
        if self.is_dense { mark.to_owned() } else { format!("{mark} ") }
    }

    /// Writes a member of a map in flow style.
    pub(super) fn flow_member(&self, key: &str, value: &Value, indent: &str) -> String {
        let value = self.flow(value, indent);
        if self.is_json {
            return format!("{}{}{value}", Value::from(key), self.separator(":"));
        }
        format!("{}: {value}", scalar(&Value::from(key)))
    }

    /// Writes a value in flow style. JSON on several lines stays so.
    pub(super) fn flow(&self, value: &Value, indent: &str) -> String {
        match self.unit {
            Some(unit) => pretty_json(value, unit).replace('\n', &format!("\n{indent}")),
            None if self.is_dense => value.to_string(),
            None => one_line(value, self.is_json),
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

fn one_line(value: &Value, is_json: bool) -> String {
    let word = |value: &Value| if is_json { value.to_string() } else { scalar(value) };
    match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}: {}", word(&Value::from(key.as_str())), one_line(value, is_json))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| one_line(item, is_json)).collect::<Vec<_>>().join(", "))
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
        other => other.to_string().chars().flat_map(escaped).collect(),
    }
}

/// Escapes what JSON allows in quotes, and YAML 1.1 reads as a line end or refuses.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let is_special = matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let code = if is_special { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    code.chars().collect::<Vec<_>>().into_iter()
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
        other => out.push_str(&format!(" {}\n", one_line(other, false))),
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
        other => out.push_str(&format!("{:column$}- {}\n", "", one_line(other, false))),
    }
}
