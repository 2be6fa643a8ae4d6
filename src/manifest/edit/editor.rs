//! Turns changes of values into splices of a document's text.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::change::{EditError, Wanted};
use super::layout::{Layout, ListIndent};
use super::splice::{Order, Splice};
use super::writer::{Writer, block_item, block_member};
use crate::manifest::node::Node;
use crate::manifest::tree::{Kind, Tree};

/// Collects the changes to one text.
pub(super) struct Editor<'t> {
    tree: &'t Tree<'t>,
    layout: Layout<'t>,
    writer: Writer<'t>,
    sharing: Sharing,
    splices: Vec<Splice>,
    /// Values that several places may share and that were changed, with what they became.
    shared: BTreeMap<u32, Value>,
    /// Maps that several places may share, with their changes.
    maps: BTreeMap<u32, Vec<(String, Option<Value>)>>,
}

/// The fate of a value that an alias shares with other places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// The shared value changes, for all places.
    Kept,
    /// The place that changes gets a value of its own.
    Ended,
}

/// Items of a list to look at to find out that an item was removed before them.
const NEARBY: usize = 8;

/// The new members of a map, by key; `None` removes.
type Members<'w> = Vec<(&'w str, Option<&'w Value>)>;

/// Returns true for JSON in a stream of YAML, or behind a byte order mark.
fn is_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

// === impl Editor ===

impl<'t> Editor<'t> {
    pub(super) fn new(tree: &'t Tree<'t>, sharing: Sharing) -> Self {
        let text = tree.text;
        let writer = Writer::new(text, tree.is_json || is_json(text));
        Self {
            tree,
            layout: Layout { text },
            writer,
            sharing,
            splices: Vec::new(),
            shared: BTreeMap::new(),
            maps: BTreeMap::new(),
        }
    }

    /// Returns the splices that make the changes.
    pub(super) fn splices(self) -> Vec<Splice> {
        self.splices
    }

    /// Makes the changes of one pod.
    pub(super) fn add(&mut self, wanted: &[Wanted]) -> Result<(), EditError> {
        let mut groups: BTreeMap<u32, Members<'_>> = BTreeMap::new();
        for Wanted { map, key, new } in wanted {
            groups.entry(map.at).or_default().push((key, new.as_ref()));
        }
        for (map, members) in groups {
            if !self.tree.aliases.is_empty() {
                let new = members.iter().map(|(key, value)| ((*key).to_owned(), value.cloned())).collect();
                match self.maps.get(&map) {
                    Some(same) if *same == new => continue,
                    Some(_) => return Err(EditError::Shared),
                    None => self.maps.insert(map, new),
                };
            }
            self.change_members(map, &members)?;
        }
        Ok(())
    }

    /// Changes, adds and removes members of a map.
    fn change_members(&mut self, map: u32, members: &Members<'_>) -> Result<(), EditError> {
        let tree = self.tree;
        if !tree.entry(map).kind.is_map() {
            return Err(EditError::Style);
        }
        let own: Vec<u32> = tree.members(map).map(|(key, _)| key).collect();
        let mut added = Vec::new();
        for (name, new) in members {
            let found = tree.member(map, name);
            let own_member = found.filter(|(key, _)| own.binary_search(key).is_ok());
            match (own_member, *new) {
                (Some((key, value)), Some(new)) => self.change(value, Some(key), new)?,
                (Some((key, _)), None) => self.remove_member(map, key)?,
                // The value of a merged map gets one beside it that counts more.
                (None, Some(new)) => added.push((*name, new)),
                (None, None) if found.is_some() => return Err(EditError::Shared),
                (None, None) => {}
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        if self.sharing == Sharing::Ended && tree.entry(map).is_shared {
            return self.move_anchor(map, &added);
        }
        self.add_members(map, &added)
    }

    /// Changes a value; `key` is its key, if it is a member of a map.
    fn change(&mut self, value: u32, key: Option<u32>, wanted: &Value) -> Result<(), EditError> {
        let tree = self.tree;
        let at = tree.resolved(value);
        let entry = tree.entry(at);
        let is_alias = tree.entry(value).kind == Kind::Alias;
        if is_alias && self.sharing == Sharing::Ended {
            return self.replace_alias(value, key, wanted);
        }
        if is_alias || entry.is_shared {
            match self.shared.get(&at) {
                Some(same) if same == wanted => return Ok(()),
                Some(_) => return Err(EditError::Shared),
                None => self.shared.insert(at, wanted.clone()),
            };
        }
        match wanted {
            Value::Object(wanted) if entry.kind.is_map() => {
                let changed = self.difference(at, wanted);
                self.change_members(at, &changed)
            }
            Value::Array(wanted) if entry.kind.is_list() => self.change_list(at, wanted),
            _ if entry.kind.is_map() || entry.kind.is_list() => Err(EditError::Style),
            _ if self.reads_as(at, wanted) => Ok(()),
            _ => {
                self.replace_scalar(at, key, wanted);
                Ok(())
            }
        }
    }

    /// Returns the members in which a map differs from a wanted one.
    fn difference<'w>(&self, map: u32, wanted: &'w Map<String, Value>) -> Members<'w>
    where
        't: 'w,
    {
        let members = self.tree.effective_members(map);
        let mut changed: Members<'w> = Vec::new();
        for (key, value) in &members {
            let key = self.tree.key(*key);
            match wanted.get_key_value(key) {
                Some((_, new)) if self.reads_as(*value, new) => {}
                Some((key, new)) => changed.push((key, Some(new))),
                None => changed.push((key, None)),
            }
        }
        let own: HashSet<&str> = members.iter().map(|(key, _)| self.tree.key(*key)).collect();
        let is_new = |key: &str| !own.contains(key);
        changed.extend(wanted.iter().filter(|(key, _)| is_new(key)).map(|(key, value)| (&**key, Some(value))));
        changed
    }

    fn reads_as(&self, value: u32, wanted: &Value) -> bool {
        Node { tree: self.tree, at: self.tree.resolved(value) }.to_value().is_ok_and(|value| value == *wanted)
    }

    fn change_list(&mut self, list: u32, wanted: &[Value]) -> Result<(), EditError> {
        let items: Vec<u32> = self.tree.children(list).collect();
        if wanted.is_empty() && !items.is_empty() {
            self.splice(self.tree.entry(list).span.range(), "[]".to_owned());
            return Ok(());
        }
        let mut next = 0;
        for (index, item) in items.iter().enumerate() {
            let Some(new) = wanted.get(next) else {
                self.remove_item(list, &items, index)?;
                continue;
            };
            let is_wanted_later = || items[index + 1..].iter().take(NEARBY).any(|item| self.reads_as(*item, new));
            if !self.reads_as(*item, new) && (items.len() - index > wanted.len() - next || is_wanted_later()) {
                self.remove_item(list, &items, index)?;
                continue;
            }
            self.change(*item, None, new)?;
            next += 1;
        }
        let new = wanted.get(next..).unwrap_or_default();
        if new.is_empty() { Ok(()) } else { self.append_items(list, new) }
    }

    fn replace_scalar(&mut self, value: u32, key: Option<u32>, wanted: &Value) {
        let range = self.tree.entry(value).span.range();
        let new = self.writer.flow(wanted, "");
        if range.is_empty() {
            return self.splice(range, format!(" {new}"));
        }
        // A block scalar ends with a line end, which stays, and begins with a header above its first line.
        let end = range.start + self.layout.text[range.clone()].trim_end_matches(['\n', '\r']).len();
        let header = key.and_then(|key| self.layout.block_header(self.end_of(key), range.start));
        self.splice(header.unwrap_or(range.start)..end, new);
    }

    fn add_members(&mut self, map: u32, new: &[(&str, &Value)]) -> Result<(), EditError> {
        let entry = self.tree.entry(map);
        let last = self.tree.members(map).last();
        let end = last.map(|(_, value)| self.end_of(value));
        if entry.kind.is_flow() {
            let indent = last.and_then(|(key, _)| self.layout.indent_of_line(self.start_of(key)));
            let inner = self.indent_inside(map, indent);
            let member = |(key, value): &(&str, &Value)| self.writer.flow_member(key, value, inner);
            let new = new.iter().map(member).collect();
            self.insert_flow(map, end, indent, new);
            return Ok(());
        }
        let column = self.layout.column_of_keys(entry.span.start as usize).ok_or(EditError::Style)?;
        let lists = self.lists_of(map);
        let mut lines = String::new();
        for (key, value) in new {
            block_member(&mut lines, key, value, column, lists);
        }
        self.insert_below(end.ok_or(EditError::Style)?, column, lines);
        Ok(())
    }

    /// Returns the indent of lines inside a value that is put into a list or map in flow style: `indent` if the value begins a line.
    fn indent_inside(&self, outer: u32, indent: Option<&'t str>) -> &'t str {
        indent.unwrap_or_else(|| {
            if self.writer.is_on_lines() { self.layout.indent_around(self.start_of(outer)) } else { "" }
        })
    }

    /// Returns how the lists of a block map are indented: as those of the map, or of the document.
    fn lists_of(&self, map: u32) -> ListIndent {
        let indent = |(key, value)| self.layout.list_indent(self.tree, key, value);
        self.tree.members(map).find_map(indent).unwrap_or_default()
    }

    fn append_items(&mut self, list: u32, new: &[Value]) -> Result<(), EditError> {
        let entry = self.tree.entry(list);
        let last = self.tree.children(list).last();
        let end = last.map(|last| self.end_of(last));
        if entry.kind.is_flow() {
            let indent = last.and_then(|last| self.layout.indent_of_line(self.start_of(last)));
            let inner = self.indent_inside(list, indent);
            let new = new.iter().map(|value| self.writer.flow(value, inner)).collect();
            self.insert_flow(list, end, indent, new);
            return Ok(());
        }
        let column = self.layout.column(entry.span.start as usize);
        let mut lines = String::new();
        for value in new {
            block_item(&mut lines, value, column, ListIndent(0));
        }
        self.insert_below(end.ok_or(EditError::Style)?, column, lines);
        Ok(())
    }

    /// Removes a member of a map, in block style with its lines.
    fn remove_member(&mut self, map: u32, key: u32) -> Result<(), EditError> {
        let members: Vec<(u32, u32)> = self.tree.members(map).collect();
        let index = members.iter().position(|(own, _)| *own == key).ok_or(EditError::Style)?;
        let entry = self.tree.entry(map);
        let range = self.start_of(key)..self.end_of(members[index].1);
        if entry.kind.is_flow() {
            let before = index.checked_sub(1).map(|before| self.end_of(members[before].1));
            let after = members.get(index + 1).map(|(key, _)| self.start_of(*key));
            self.remove_flow(range, before, after);
            return Ok(());
        }
        if members.len() == 1 {
            self.splice(entry.span.range(), "{}".to_owned());
            return Ok(());
        }
        self.remove_lines(range)
    }

    fn remove_item(&mut self, list: u32, items: &[u32], index: usize) -> Result<(), EditError> {
        let entry = self.tree.entry(list);
        let range = self.start_of(items[index])..self.end_of(items[index]);
        if entry.kind.is_flow() {
            let before = index.checked_sub(1).map(|before| self.end_of(items[before]));
            let after = items.get(index + 1).map(|item| self.start_of(*item));
            self.remove_flow(range, before, after);
            return Ok(());
        }
        let first = entry.span.start as usize;
        let dash = match index.checked_sub(1) {
            Some(before) => self.layout.next_dash(first, self.end_of(items[before])).ok_or(EditError::Style)?,
            None => first,
        };
        self.remove_lines(dash..range.end)
    }

    fn remove_flow(&mut self, range: Range<usize>, before: Option<usize>, after: Option<usize>) {
        let range = match (before, after) {
            (Some(before), _) => before..range.end,
            (None, Some(after)) => range.start..after,
            (None, None) => range,
        };
        self.splice(range, String::new());
    }

    /// Removes the lines of a value in block style; the first begins with the value.
    fn remove_lines(&mut self, range: Range<usize>) -> Result<(), EditError> {
        let column = self.layout.column(range.start);
        let start = range.start - column;
        if !self.layout.text[start..range.start].bytes().all(|byte| byte == b' ') {
            return Err(EditError::Style);
        }
        let below = self.layout.line_below(range.end, column);
        self.splice(start..below, String::new());
        Ok(())
    }

    /// Gives the place of an alias a value of its own.
    fn replace_alias(&mut self, alias: u32, key: Option<u32>, wanted: &Value) -> Result<(), EditError> {
        let map = self.tree.resolved(alias);
        if let Value::Object(members) = wanted
            && self.tree.entry(map).kind.is_map()
        {
            let changed: Option<Vec<_>> =
                self.difference(map, members).into_iter().map(|(key, value)| Some((key, value?))).collect();
            if let Some(changed) = changed {
                return self.extend_alias(alias, key, &changed);
            }
        }
        let new = self.writer.flow(wanted, "");
        self.splice(self.tree.entry(alias).span.range(), new);
        Ok(())
    }

    /// Puts a map in place of an alias that merges the alias's map and has further members.
    fn extend_alias(&mut self, alias: u32, key: Option<u32>, members: &[(&str, &Value)]) -> Result<(), EditError> {
        let range = self.tree.entry(alias).span.range();
        let name = &self.layout.text[range.clone()];
        let is_line = key
            .filter(|_| self.layout.rest_of_line(range.end).is_some_and(|rest| !rest.contains(',')))
            .and_then(|key| {
                let start = self.start_of(key);
                self.layout.column_of_keys(start).filter(|_| !self.layout.text[start..range.start].contains('\n'))
            });
        let Some(column) = is_line else {
            let member = |(key, value): &(&str, &Value)| self.writer.flow_member(key, value, "");
            let members: Vec<_> = members.iter().map(member).collect();
            self.splice(range, format!("{{<<: {name}, {}}}", members.join(", ")));
            return Ok(());
        };
        let mut lines = format!("{:indent$}<<: {name}\n", "", indent = column + 2);
        for (key, value) in members {
            block_member(&mut lines, key, value, column + 2, ListIndent(0));
        }
        let blank = usize::from(self.layout.text[..range.start].ends_with(' '));
        self.splice(range.start - blank..range.end, String::new());
        self.insert_below(range.end, column + 1, lines);
        Ok(())
    }

    /// Puts a map around an anchored map that merges it and has further members, so that the anchor keeps its value.
    fn move_anchor(&mut self, map: u32, members: &[(&str, &Value)]) -> Result<(), EditError> {
        let entry = self.tree.entry(map);
        let anchor = self.anchor_of(map).ok_or(EditError::Style)?;
        let (start, end) = (entry.span.start as usize, entry.span.end as usize);
        if entry.kind.is_flow() {
            let member = |(key, value): &(&str, &Value)| self.writer.flow_member(key, value, "");
            let members: Vec<_> = members.iter().map(member).collect();
            self.splice(anchor.start..anchor.start, "{<<: ".to_owned());
            self.insert(end, format!(", {}}}", members.join(", ")), map);
            return Ok(());
        }
        let name = &self.layout.text[anchor.clone()];
        let column = self.layout.column(start);
        if anchor.end > start - column || !self.layout.text[start - column..start].bytes().all(|byte| byte == b' ') {
            return Err(EditError::Style);
        }
        let blank = usize::from(self.layout.text[..anchor.start].ends_with(' '));
        self.splice(anchor.start - blank..anchor.end, String::new());
        self.splice(start - column..start - column, format!("{:column$}<<: {name}\n", ""));
        let mut line = start - column;
        while line < end {
            let next = self.layout.line_end(line);
            if !self.layout.text[line..next].trim().is_empty() {
                self.splice(line..line, "  ".to_owned());
            }
            line = next;
        }
        let mut lines = String::new();
        for (key, value) in members {
            block_member(&mut lines, key, value, column, ListIndent(0));
        }
        self.insert_below(end, column, lines);
        Ok(())
    }

    /// Returns the start of a value or key, with its anchor.
    fn start_of(&self, at: u32) -> usize {
        let entry = self.tree.entry(at);
        let start = entry.span.start as usize;
        let anchor = Some(at).filter(|_| entry.has_anchor).and_then(|at| self.anchor_of(at));
        anchor.map_or(start, |anchor| start.min(anchor.start))
    }

    /// Returns the place of a value's anchor.
    fn anchor_of(&self, at: u32) -> Option<Range<usize>> {
        let index = self.tree.anchors.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(self.tree.anchors[index].1.range())
    }

    fn end_of(&self, at: u32) -> usize {
        self.tree.entry(at).span.end as usize
    }

    fn splice(&mut self, range: Range<usize>, text: String) {
        self.splices.push(Splice { range, text, order: Order::First });
    }

    /// Inserts a text at the end of the values in brackets.
    fn insert(&mut self, at: usize, text: String, outer: u32) {
        self.splices.push(Splice { range: at..at, text, order: Order::Inside(Reverse(outer)) });
    }

    /// Inserts lines below the line that holds `end`.
    fn insert_below(&mut self, end: usize, column: usize, mut lines: String) {
        let at = self.layout.line_below(end, column);
        if !self.layout.text[..at].ends_with('\n') {
            lines.insert(0, '\n');
            lines.pop();
        }
        self.splices.push(Splice { range: at..at, text: lines, order: Order::Lines(Reverse(column)) });
    }

    /// Inserts values into a map or list in flow style, behind the value that ends at `end`, or first if there is none. If that
    /// value is the last of its line and `indent` precedes it, each new value gets a line of its own.
    fn insert_flow(&mut self, outer: u32, end: Option<usize>, indent: Option<&str>, new: Vec<String>) {
        let comma = self.writer.separator(",");
        let Some(end) = end else {
            let start = self.tree.entry(outer).span.start as usize + 1;
            return self.splice(start..start, new.join(&comma));
        };
        let line = self.layout.rest_of_line(end).filter(|line| line.ends_with('\n'));
        let (Some(indent), Some(line)) = (indent, line) else {
            let mut new: String = new.iter().map(|new| format!("{comma}{new}")).collect();
            if self.layout.has_tab_before_content(end) {
                // No plain scalar may stand before such a line.
                new.push(',');
            }
            return self.insert(end, new, outer);
        };
        let below = end + line.len();
        let mut lines = new.iter().map(|new| format!("{indent}{new}")).collect::<Vec<_>>().join(",\n");
        let has_comma = line.trim_start_matches([' ', '\t']).starts_with(',');
        if !has_comma {
            self.insert(end, ",".to_owned(), outer);
        }
        if has_comma || self.layout.has_tab_before_content(below) {
            lines.push(',');
        }
        self.splice(below..below, lines + "\n");
    }
}
