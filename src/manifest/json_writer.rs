//! Values as JSON. Does not recurse, because the input decides how deep its values are nested.

use super::node::Node;
use super::scalar::Scalar;
use super::tree::{Kind, Tree};

/// The unwritten rest of a list or map.
enum Rest {
    /// Items, or keys and values in turn, of the entries up to `end`.
    Entries { is_map: bool, next: u32, end: u32, count: u32 },
    /// Keys and values.
    Members { members: std::vec::IntoIter<(u32, u32)>, count: u32 },
}

// === impl Node ===

impl Node<'_> {
    /// Returns the value as JSON, for the programs that read only JSON. Aliases and merged maps are written out.
    pub fn to_json(self) -> String {
        let mut json = String::new();
        write(self, &mut json);
        json
    }
}

/// Appends a value as JSON.
fn write(node: Node<'_>, json: &mut String) {
    let tree = node.tree;
    let mut open = Vec::new();
    start(node, json, &mut open);
    while let Some(rest) = open.last_mut() {
        let next = match rest {
            Rest::Entries { next, end, .. } if next == end => None,
            Rest::Entries { is_map, next, count, .. } => {
                separate(json, count);
                let mut at = *next;
                if *is_map {
                    write_key(tree, at, json);
                    at = tree.after(at);
                }
                *next = tree.after(at);
                Some(at)
            }
            Rest::Members { members, count } => members.next().map(|(key, value)| {
                separate(json, count);
                write_key(tree, key, json);
                value
            }),
        };
        match next {
            Some(at) => start(node.child(at), json, &mut open),
            None => {
                let is_list = matches!(rest, Rest::Entries { is_map: false, .. });
                json.push(if is_list { ']' } else { '}' });
                open.pop();
            }
        }
    }
}

fn separate(json: &mut String, count: &mut u32) {
    if *count > 0 {
        json.push(',');
    }
    *count += 1;
}

fn write_key(tree: &Tree<'_>, key: u32, json: &mut String) {
    write_text(tree.key(key), json);
    json.push(':');
}

fn write_text(text: &str, json: &mut String) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Appends a scalar, or the start of a list or map.
fn start(node: Node<'_>, json: &mut String, open: &mut Vec<Rest>) {
    let Node { tree, at } = node;
    let entry = tree.entry(at);
    if entry.kind.is_list() || entry.kind.is_map() {
        let is_map = entry.kind.is_map();
        json.push(if is_map { '{' } else { '[' });
        open.push(if entry.is_irregular {
            Rest::Members { members: tree.effective_members(at).into_iter(), count: 0 }
        } else {
            Rest::Entries { is_map, next: at + 1, end: tree.after(at), count: 0 }
        });
        return;
    }
    if entry.kind == Kind::Number {
        return json.push_str(&tree.text[entry.span.range()]);
    }
    match tree.scalar(at) {
        Scalar::Null => json.push_str("null"),
        Scalar::Bool(value) => json.push_str(if value { "true" } else { "false" }),
        Scalar::Number(number) => json.push_str(&number.to_string()),
        Scalar::Text(text) => write_text(text, json),
    }
}
