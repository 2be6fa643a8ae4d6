//! Changes the text of a document no more than what it says changes, so that comments, order and layout stay: what is new is put
//! beside what is there, in its style, and not a byte of the rest is touched. Whatever the edit did, its result is read again and
//! must say what is wanted; where it does not, the document is written anew, without comments.

use std::ops::Range;

use json_patch::Patch;
use serde_json::{Map, Value};

use super::node::{Kind, Member};
use super::stream::{Syntax, parse_yaml};
use super::{Document, Node};

/// The text of a changed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text, separator included.
    pub text: String,
    /// Whether comments and layout were kept.
    pub layout_kept: bool,
}

/// Why a document cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The patch does not apply to what the document says.
    #[error("the change does not apply: {0}")]
    Patch(#[from] json_patch::PatchError),
    /// The changed document could not be written.
    #[error("cannot write the document: {0}")]
    Write(String),
}

// === impl Document ===

impl Document<'_> {
    /// The document's text with patches applied, each to the value at a JSON pointer. `node` is what the document says.
    ///
    /// # Errors
    /// A patch does not apply.
    pub fn edited(&self, node: &Node, patches: &[(String, Patch)]) -> Result<Edited, EditError> {
        let mut value = node.to_value();
        for (pointer, patch) in patches {
            if let Some(target) = value.pointer_mut(pointer) {
                json_patch::patch(target, patch)?;
            }
        }
        let says = |text: &str| match self.syntax {
            Syntax::Json => serde_json::from_str::<Value>(text).is_ok_and(|read| read == value),
            Syntax::Yaml => parse_yaml(text).is_ok_and(|read| read == value),
        };
        if let Some(text) = Editor::edit(self.body, self.syntax, node, &value).filter(|text| says(text)) {
            return Ok(Edited { text: format!("{}{text}", self.head), layout_kept: true });
        }
        let text = match self.syntax {
            Syntax::Json => serde_json::to_string_pretty(&value).map_err(|error| error.to_string()),
            Syntax::Yaml => serde_saphyr::to_string(&value).map_err(|error| error.to_string()),
        };
        let text = text.map_err(EditError::Write)?;
        if !says(&text) {
            return Err(EditError::Write("what was written does not read as it should".to_owned()));
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Ok(Edited { text: format!("{}{text}{end}", self.head), layout_kept: false })
    }
}

/// Collects the changes to one text.
struct Editor<'t> {
    text: &'t str,
    syntax: Syntax,
    splices: Vec<Splice>,
}

/// A part of the text, and what takes its place.
struct Splice {
    range: Range<usize>,
    text: String,
}

/// How lists stand below their keys: so many columns further in.
#[derive(Clone, Copy)]
struct ListIndent(usize);

// === impl Editor ===

impl<'t> Editor<'t> {
    /// The text, changed so that it says `value`; `None` where that would take more than putting things in.
    fn edit(text: &'t str, syntax: Syntax, node: &Node, value: &Value) -> Option<String> {
        let mut editor = Self { text, syntax, splices: Vec::new() };
        editor.value(node, None, value)?;
        // In a stable order, so that what is put in at one place stays in the order of its making.
        editor.splices.sort_by_key(|splice| splice.range.start);
        let ends_like_windows = text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
        let mut edited = String::with_capacity(text.len() * 2);
        let mut done = 0;
        for Splice { range, text: new } in editor.splices {
            edited.push_str(text.get(done..range.start)?);
            if ends_like_windows {
                edited.push_str(&new.replace('\n', "\r\n"));
            } else {
                edited.push_str(&new);
            }
            done = range.end;
        }
        edited.push_str(&text[done..]);
        Some(edited)
    }

    /// Makes a value, which stands below the key given, say what is wanted.
    fn value(&mut self, node: &Node, key: Option<&Range<usize>>, wanted: &Value) -> Option<()> {
        match (&node.kind, wanted) {
            (Kind::Map(members), Value::Object(wanted)) => self.map(node, members, wanted),
            (Kind::List(items), Value::Array(wanted)) => self.list(node, items, wanted),
            (Kind::Map(_) | Kind::List(_), _) => None,
            _ if node.to_value() == *wanted => Some(()),
            _ => self.replace(node, key, wanted),
        }
    }

    fn map(&mut self, node: &Node, members: &[Member], wanted: &Map<String, Value>) -> Option<()> {
        for member in members {
            match wanted.get(&member.key) {
                Some(wanted) => self.value(&member.value, Some(&member.key_span), wanted)?,
                None => self.remove(node, members, member)?,
            }
        }
        let new: Vec<_> = wanted.iter().filter(|(key, _)| node.get(key).is_none()).collect();
        if new.is_empty() { Some(()) } else { self.add(node, members, &new) }
    }

    fn list(&mut self, node: &Node, items: &[Node], wanted: &[Value]) -> Option<()> {
        for (item, wanted) in items.iter().zip(wanted) {
            self.value(item, None, wanted)?;
        }
        let new = wanted.get(items.len()..)?;
        if new.is_empty() { Some(()) } else { self.append(node, items, new) }
    }

    /// Puts a value in the place of a scalar.
    fn replace(&mut self, node: &Node, key: Option<&Range<usize>>, wanted: &Value) -> Option<()> {
        let new = self.flow(wanted, "");
        if !node.span.is_empty() {
            self.splice(node.span.clone(), new);
            return Some(());
        }
        // Nothing is there, so that it goes behind the key's colon.
        let colon = self.after_colon(key?)?;
        self.splice(colon..colon, format!(" {new}"));
        Some(())
    }

    /// Adds members to a map.
    fn add(&mut self, node: &Node, members: &[Member], new: &[(&String, &Value)]) -> Option<()> {
        let last = own(node, members).last();
        let end = match last {
            Some(last) => Some(self.end(&last.value, Some(&last.key_span))?),
            None => None,
        };
        if self.is_flow(node) {
            let indent = last.and_then(|last| self.indent_of_line(last.key_span.start));
            let new = new.iter().map(|(key, value)| self.flow_member(key, value, indent.unwrap_or_default())).collect();
            self.put_into_flow(node, end, indent, new);
            return Some(());
        }
        let column = self.column_of_keys(node, members)?;
        let lists = own(node, members).find_map(|member| self.list_indent(member)).unwrap_or(ListIndent(0));
        let mut lines = String::new();
        for (key, value) in new {
            block_member(&mut lines, key, value, column, lists);
        }
        self.put_below(end?, column, lines);
        Some(())
    }

    /// Adds items to a list.
    fn append(&mut self, node: &Node, items: &[Node], new: &[Value]) -> Option<()> {
        let last = items.last();
        let end = match last {
            Some(last) => Some(self.end(last, None)?),
            None => None,
        };
        if self.is_flow(node) {
            let indent = last.and_then(|last| self.indent_of_line(last.span.start));
            let new = new.iter().map(|value| self.flow(value, indent.unwrap_or_default())).collect();
            self.put_into_flow(node, end, indent, new);
            return Some(());
        }
        let column = self.column(self.dash(last?)?);
        let mut lines = String::new();
        for value in new {
            block_item(&mut lines, value, column, ListIndent(0));
        }
        self.put_below(end?, column, lines);
        Some(())
    }

    /// Takes a member out of a map, in a block its lines with it. A block without its last member is no map any more; that is
    /// left to be written anew.
    fn remove(&mut self, node: &Node, members: &[Member], member: &Member) -> Option<()> {
        let start = member.key_span.start;
        let end = self.end(&member.value, Some(&member.key_span))?;
        if !self.is_flow(node) {
            let column = self.indent_of_line(start)?.len();
            let below = self.below(end, column);
            self.splice(start - column..below, String::new());
            return Some(());
        }
        let before = own(node, members).rev().find(|other| other.key_span.start < start);
        let after = own(node, members).find(|other| other.key_span.start > start);
        let range = match (before, after) {
            (Some(before), _) => self.end(&before.value, Some(&before.key_span))?..end,
            (None, Some(after)) => start..after.key_span.start,
            (None, None) => start..end,
        };
        self.splice(range, String::new());
        Some(())
    }

    fn splice(&mut self, range: Range<usize>, text: String) {
        self.splices.push(Splice { range, text });
    }

    /// Puts lines below the one on which something ends.
    fn put_below(&mut self, end: usize, column: usize, mut lines: String) {
        let at = self.below(end, column);
        if !self.text[..at].ends_with('\n') {
            lines.insert(0, '\n');
            lines.pop();
        }
        self.splice(at..at, lines);
    }

    /// Puts things behind the one that ends there, or first into what is empty; each on a line of its own where that one is the
    /// last of its line, and `indent` is what stands before it.
    fn put_into_flow(&mut self, node: &Node, end: Option<usize>, indent: Option<&str>, new: Vec<String>) {
        let comma = self.spaced(",");
        let Some(end) = end else {
            let start = node.span.start + 1;
            return self.splice(start..start, new.join(&comma));
        };
        let line = &self.text[end..self.line_end(end)];
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

    // === where things are ===

    /// Whether a list or a map stands in brackets.
    fn is_flow(&self, node: &Node) -> bool {
        self.text[node.span.start..].starts_with(['{', '['])
    }

    /// How many bytes stand before it on its line.
    fn column(&self, offset: usize) -> usize {
        offset - self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// What stands before it on its line, where that is nothing but blanks, and there is a line before.
    fn indent_of_line(&self, offset: usize) -> Option<&'t str> {
        let start = offset - self.column(offset);
        let before = &self.text[start..offset];
        (start > 0 && before.chars().all(|c| c == ' ' || c == '\t')).then_some(before)
    }

    /// The column at which a block's keys stand: that of a key with nothing but blanks and dashes before it, for the first may
    /// stand behind an anchor.
    fn column_of_keys(&self, node: &Node, members: &[Member]) -> Option<usize> {
        own(node, members).map(|member| member.key_span.start).find_map(|start| {
            let column = self.column(start);
            self.text[start - column..start].chars().all(|c| c == ' ' || c == '-').then_some(column)
        })
    }

    /// The dash of an item in a block.
    fn dash(&self, item: &Node) -> Option<usize> {
        let before = self.text[..item.span.start].trim_end_matches(' ');
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// How much further in than its key a block list stands.
    fn list_indent(&self, member: &Member) -> Option<ListIndent> {
        let first = member.value.as_list().filter(|_| !self.is_flow(&member.value))?.first()?;
        Some(ListIndent(self.column(self.dash(first)?).checked_sub(self.column(member.key_span.start))?))
    }

    /// Behind the colon that follows a key.
    fn after_colon(&self, key: &Range<usize>) -> Option<usize> {
        let rest = &self.text[key.end..];
        let colon = rest.find(|c: char| !c.is_whitespace()).filter(|index| rest[*index..].starts_with(':'))?;
        Some(key.end + colon + 1)
    }

    /// Where a value ends, which stands below the key given.
    fn end(&self, node: &Node, key: Option<&Range<usize>>) -> Option<usize> {
        if let Some(key) = key {
            let colon = self.after_colon(key)?;
            if node.span.start < colon {
                // It stands elsewhere: an alias is here, or nothing.
                let rest = &self.text[colon..];
                let start = rest.len() - rest.trim_start_matches(' ').len();
                let alias = &rest[start..];
                let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
                let length = if alias.starts_with('*') { alias.find(is_end).unwrap_or(alias.len()) } else { 0 };
                return Some(if length == 0 { colon } else { colon + start + length });
            }
        }
        let children_end = match &node.kind {
            Kind::Map(members) => match own(node, members).last() {
                Some(last) => Some(self.end(&last.value, Some(&last.key_span))?),
                None => None,
            },
            Kind::List(items) => match items.last() {
                Some(last) if last.span.start < node.span.start => return None, // an alias, whose place is not known
                Some(last) => Some(self.end(last, None)?),
                None => None,
            },
            _ if node.span.is_empty() => return self.after_colon(key?),
            _ => return Some(self.scalar_end(node)),
        };
        if !self.is_flow(node) {
            return children_end;
        }
        self.closing(children_end.unwrap_or(node.span.start + 1))
    }

    /// Where a scalar ends. That of a block (`|`) goes on to what comes next; its own lines are those no further out than its
    /// first.
    fn scalar_end(&self, node: &Node) -> usize {
        let Range { start, end } = node.span.clone();
        let text = self.text[start..end].trim_end_matches(' ');
        let Some(indent) = self.indent_of_line(start).filter(|_| text.ends_with('\n')) else { return end };
        let mut offset = self.line_end(start);
        while offset < start + text.len() {
            let line = &self.text[offset..self.line_end(offset)];
            let content = line.trim_start_matches(' ');
            if !content.trim_end().is_empty() && line.len() - content.len() < indent.len() {
                break;
            }
            offset += line.len();
        }
        offset
    }

    /// The start of the next line, or the end of the text.
    fn line_end(&self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |index| offset + index + 1)
    }

    /// Behind the bracket that closes what has nothing left but blanks, commas and comments.
    fn closing(&self, mut offset: usize) -> Option<usize> {
        loop {
            let rest = &self.text[offset..];
            match rest.chars().next()? {
                '}' | ']' => return Some(offset + 1),
                '#' => offset += rest.find('\n')?,
                c if c.is_whitespace() || c == ',' => offset += c.len_utf8(),
                _ => return None,
            }
        }
    }

    /// The start of the line below a place, and below the comments that stand further in than a column: they speak of what is
    /// above them.
    fn below(&self, end: usize, column: usize) -> usize {
        let mut below = if self.text[..end].ends_with('\n') { end } else { self.line_end(end) };
        let mut offset = below;
        while offset < self.text.len() {
            let next = self.line_end(offset);
            let line = &self.text[offset..next];
            let content = line.trim_start_matches(' ');
            if content.starts_with('#') && line.len() - content.len() > column {
                below = next;
            } else if !content.trim_end().is_empty() {
                break;
            }
            offset = next;
        }
        below
    }

    // === how things are written ===

    /// A mark between things in brackets, with the blank that this text has behind it.
    fn spaced(&self, mark: &str) -> String {
        if self.is_dense() { mark.to_owned() } else { format!("{mark} ") }
    }

    /// Whether this is JSON without a blank.
    fn is_dense(&self) -> bool {
        self.syntax == Syntax::Json && !self.text.contains("\": ")
    }

    fn flow_member(&self, key: &str, value: &Value, indent: &str) -> String {
        let value = self.flow(value, indent);
        match self.syntax {
            Syntax::Json => format!("{}{}{value}", Value::from(key), self.spaced(":")),
            Syntax::Yaml => format!("{}: {value}", scalar(&Value::from(key))),
        }
    }

    /// A value in brackets: in JSON on as many lines as its writer would, indented as the first indented line of the text is.
    fn flow(&self, value: &Value, indent: &str) -> String {
        let unit =
            self.text.lines().map(|line| &line[..line.len() - line.trim_start().len()]).find(|unit| !unit.is_empty());
        match (self.syntax, unit.filter(|_| self.text.trim_end().contains('\n'))) {
            (Syntax::Json, Some(unit)) => pretty(value, unit).replace('\n', &format!("\n{indent}")),
            (Syntax::Json, None) if self.is_dense() => value.to_string(),
            _ => one_line(value, self.syntax),
        }
    }
}

/// The members of a map that stand in it, and not in another that is merged into it (`<<`).
fn own<'n>(node: &Node, members: &'n [Member]) -> impl DoubleEndedIterator<Item = &'n Member> {
    let start = node.span.start;
    members.iter().filter(move |member| member.key_span.start >= start)
}

fn pretty(value: &Value, unit: &str) -> String {
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

/// A scalar in YAML: bare where no reader of any version could take it for anything else, or else quoted as in JSON.
fn scalar(value: &Value) -> String {
    /// Words that YAML 1.1, and so `kubectl`, does not take for texts.
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

fn block_member(out: &mut String, key: &str, value: &Value, column: usize, lists: ListIndent) {
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

fn block_item(out: &mut String, value: &Value, column: usize, lists: ListIndent) {
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
