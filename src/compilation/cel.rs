//! Literals of the Common Expression Language, and constants that may be larger than one expression. Must not know what they mean.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The most characters of one expression (cel-go `parser/parser.go`: 100,000), with room for what stands around a constant.
const EXPRESSION_MAX: usize = 90_000;

/// A constant map from texts to some type, as one or more variables.
pub(super) struct Table {
    name: &'static str,
    /// The literal of each variable.
    parts: Vec<String>,
}

/// Returns a text as a literal.
pub(super) fn text(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\\' => literal.push_str("\\\\"),
            '\'' => literal.push_str("\\'"),
            '\n' => literal.push_str("\\n"),
            other if other.is_control() => {
                let _ = write!(literal, "\\U{:08x}", u32::from(other));
            }
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// Returns a list of texts as a literal.
pub(super) fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| text(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// Returns a map of literals with texts as keys.
pub(super) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, String)>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{}: {value}", text(key))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Returns an expression with a name for another one: `name` is free in `body`.
pub(super) fn bind(name: &str, value: &str, body: &str) -> String {
    format!("[{value}].map({name}, {body})[0]")
}

// === impl Table ===

impl Table {
    /// A table of literals. `default` is the literal of the value of every other key, and of an empty key.
    pub(super) fn new(name: &'static str, entries: &BTreeMap<String, String>, default: &str) -> Self {
        let mut parts = Vec::new();
        let mut part = map([("", default.to_owned())]);
        for (key, value) in entries {
            let entry = map([(key.as_str(), value.clone())]);
            if part.chars().count() + entry.chars().count() > EXPRESSION_MAX {
                parts.push(std::mem::replace(&mut part, entry));
            } else {
                part.truncate(part.len() - 1);
                let _ = write!(part, ", {}", &entry[1..]);
            }
        }
        parts.push(part);
        Self { name, parts }
    }

    /// Returns the variables with the table, each a name and a literal.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let Self { name, parts } = self;
        parts.iter().enumerate().map(move |(index, part)| (format!("{name}{index}"), part.clone()))
    }

    /// Returns whether the table has a key.
    pub(super) fn has(&self, key: &str) -> String {
        let Self { name, parts } = self;
        let has: Vec<String> = (0..parts.len()).map(|part| format!("{key} in variables.{name}{part}")).collect();
        format!("({})", has.join(" || "))
    }

    /// Returns the value of a key; the default for another one.
    pub(super) fn get(&self, key: &str) -> String {
        let Self { name, parts } = self;
        let mut value = format!("variables.{name}0['']");
        for part in (0..parts.len()).rev() {
            let table = format!("variables.{name}{part}");
            value = format!("({key} in {table} ? {table}[{key}] : {value})");
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped() {
        assert_eq!(text("a'b\\c\nd\u{7}"), r"'a\'b\\c\nd\U00000007'");
    }

    #[test]
    fn a_large_table_has_several_parts_of_bounded_size() {
        let entries: BTreeMap<String, String> =
            (0..20_000).map(|number| (format!("image-{number}"), text("kind"))).collect();
        let table = Table::new("images", &entries, "''");
        let variables: Vec<_> = table.variables().collect();
        assert!(variables.len() > 3);
        assert!(variables.iter().all(|(_, literal)| literal.len() < 100_000 && literal.ends_with('}')));
        let count: usize = variables.iter().map(|(_, literal)| literal.matches("image-").count()).sum();
        assert_eq!(count, entries.len());
        assert!(table.get("k").starts_with("(k in variables.images0 ? variables.images0[k] : "));
    }
}
