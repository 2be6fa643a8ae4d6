//! Turns the difference between a document and the value it should have into splices of its text.

use std::ops::Range;

use serde_json::{Map, Value};

use super::layout::{Layout, ListIndent, own_members};
use super::writer::{Writer, block_item, block_member};
use crate::manifest::node::{Member, Node, NodeKind};
use crate::manifest::stream::Syntax;

/// Collects the changes to one text.
struct Editor<'t> {
    layout: Layout<'t>,
    writer: Writer<'t>,
    splices: Vec<Splice>,
}

/// A part of the text and its replacement.
struct Splice {
    range: Range<usize>,
    text: String,
}

/// Returns the text changed so that it reads as `value`; `None` if splices cannot do that.
pub(super) fn edit(text: &str, syntax: Syntax, node: &Node, value: &Value) -> Option<String> {
    let mut editor = Editor { layout: Layout { text }, writer: Writer { text, syntax }, splices: Vec::new() };
    editor.change(node, None, value)?;
    editor.into_text()
}

// === impl Editor ===

impl Editor<'_> {
    fn into_text(self) -> Option<String> {
        let Self { layout: Layout { text }, writer: _, mut splices } = self;
        // A stable sort keeps insertions at one place in the order in which they were made.
        splices.sort_by_key(|splice| splice.range.start);
        let has_crlf = text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
        let mut edited = String::with_capacity(text.len() * 2);
        let mut done = 0;
        for Splice { range, text: new } in splices {
            edited.push_str(text.get(done..range.start)?);
            if has_crlf {
                edited.push_str(&new.replace('\n', "\r\n"));
            } else {
                edited.push_str(&new);
            }
            done = range.end;
        }
        edited.push_str(&text[done..]);
        Some(edited)
    }

    /// Changes a value; `key` is the span of its key, if it is a member of a map.
    fn change(&mut self, node: &Node, key: Option<&Range<usize>>, wanted: &Value) -> Option<()> {
        match (&node.kind, wanted) {
            (NodeKind::Map(members), Value::Object(wanted)) => self.change_map(node, members, wanted),
            (NodeKind::List(items), Value::Array(wanted)) => self.change_list(node, items, wanted),
            (NodeKind::Map(_) | NodeKind::List(_), _) => None,
            _ if node.to_value() == *wanted => Some(()),
            _ => self.replace_scalar(node, key, wanted),
        }
    }

    fn change_map(&mut self, node: &Node, members: &[Member], wanted: &Map<String, Value>) -> Option<()> {
        for member in members {
            match wanted.get(&member.key) {
                Some(wanted) => self.change(&member.value, Some(&member.key_span), wanted)?,
                None => self.remove_member(node, members, member)?,
            }
        }
        let new: Vec<_> = wanted.iter().filter(|(key, _)| node.get(key).is_none()).collect();
        if new.is_empty() { Some(()) } else { self.add_members(node, members, &new) }
    }

    fn change_list(&mut self, node: &Node, items: &[Node], wanted: &[Value]) -> Option<()> {
        for (item, wanted) in items.iter().zip(wanted) {
            self.change(item, None, wanted)?;
        }
        let new = wanted.get(items.len()..)?;
        if new.is_empty() { Some(()) } else { self.append_items(node, items, new) }
    }

    fn replace_scalar(&mut self, node: &Node, key: Option<&Range<usize>>, wanted: &Value) -> Option<()> {
        let new = self.writer.flow(wanted, "");
        if !node.span.is_empty() {
            self.splice(node.span.clone(), new);
            return Some(());
        }
        // The value is empty, so the new one goes behind the key's colon.
        let colon = self.layout.after_colon(key?)?;
        self.splice(colon..colon, format!(" {new}"));
        Some(())
    }

    fn add_members(&mut self, node: &Node, members: &[Member], new: &[(&String, &Value)]) -> Option<()> {
        let last = own_members(node, members).last();
        let end = match last {
            Some(last) => Some(self.layout.end_of(&last.value, Some(&last.key_span))?),
            None => None,
        };
        if self.layout.is_flow(node) {
            let indent = last.and_then(|last| self.layout.indent_of_line(last.key_span.start));
            let member =
                |(key, value): &(&String, &Value)| self.writer.flow_member(key, value, indent.unwrap_or_default());
            let new = new.iter().map(member).collect();
            self.insert_flow(node, end, indent, new);
            return Some(());
        }
        let column = self.layout.column_of_keys(node, members)?;
        let lists = own_members(node, members).find_map(|member| self.layout.list_indent(member));
        let mut lines = String::new();
        for (key, value) in new {
            block_member(&mut lines, key, value, column, lists.unwrap_or(ListIndent(0)));
        }
        self.insert_below(end?, column, lines);
        Some(())
    }

    fn append_items(&mut self, node: &Node, items: &[Node], new: &[Value]) -> Option<()> {
        let last = items.last();
        let end = match last {
            Some(last) => Some(self.layout.end_of(last, None)?),
            None => None,
        };
        if self.layout.is_flow(node) {
            let indent = last.and_then(|last| self.layout.indent_of_line(last.span.start));
            let new = new.iter().map(|value| self.writer.flow(value, indent.unwrap_or_default())).collect();
            self.insert_flow(node, end, indent, new);
            return Some(());
        }
        let column = self.layout.column(self.layout.dash(last?)?);
        let mut lines = String::new();
        for value in new {
            block_item(&mut lines, value, column, ListIndent(0));
        }
        self.insert_below(end?, column, lines);
        Some(())
    }

    /// Removes a member of a map, in block style with its lines. A block map cannot lose its last member this way, because
    /// nothing would be left that reads as a map; the caller's check finds that and rewrites the document.
    fn remove_member(&mut self, node: &Node, members: &[Member], member: &Member) -> Option<()> {
        let start = member.key_span.start;
        let end = self.layout.end_of(&member.value, Some(&member.key_span))?;
        if !self.layout.is_flow(node) {
            let column = self.layout.indent_of_line(start)?.len();
            let below = self.layout.line_below(end, column);
            self.splice(start - column..below, String::new());
            return Some(());
        }
        let before = own_members(node, members).rev().find(|other| other.key_span.start < start);
        let after = own_members(node, members).find(|other| other.key_span.start > start);
        let range = match (before, after) {
            (Some(before), _) => self.layout.end_of(&before.value, Some(&before.key_span))?..end,
            (None, Some(after)) => start..after.key_span.start,
            (None, None) => start..end,
        };
        self.splice(range, String::new());
        Some(())
    }

    fn splice(&mut self, range: Range<usize>, text: String) {
        self.splices.push(Splice { range, text });
    }

    /// Inserts lines below the line that holds `end`.
    fn insert_below(&mut self, end: usize, column: usize, mut lines: String) {
        let at = self.layout.line_below(end, column);
        if !self.layout.text[..at].ends_with('\n') {
            lines.insert(0, '\n');
            lines.pop();
        }
        self.splice(at..at, lines);
    }

    /// Inserts values into a map or list in flow style, behind the value that ends at `end`, or first if there is none. If that
    /// value is the last of its line and `indent` precedes it, each new value gets a line of its own.
    fn insert_flow(&mut self, node: &Node, end: Option<usize>, indent: Option<&str>, new: Vec<String>) {
        let comma = self.writer.separator(",");
        let Some(end) = end else {
            let start = node.span.start + 1;
            return self.splice(start..start, new.join(&comma));
        };
        let line = &self.layout.text[end..self.layout.line_end(end)];
        let rest = line.trim_start_matches(' ');
        let behind_comma = rest.strip_prefix(',');
        let is_last_of_line = |rest: &str| rest.trim().is_empty() || rest.trim_start().starts_with('#');
        match indent.filter(|_| is_last_of_line(behind_comma.unwrap_or(rest)) && line.ends_with('\n')) {
            Some(indent) => {
                let below = end + line.len();
                let mut lines = new.iter().map(|new| format!("{indent}{new}")).collect::<Vec<_>>().join(",\n");
                match behind_comma {
                    Some(_) => lines.push(','),
                    None => self.splice(end..end, ",".to_owned()),
                }
                self.splice(below..below, lines + "\n");
            }
            None => self.splice(end..end, new.iter().map(|new| format!("{comma}{new}")).collect()),
        }
    }
}
