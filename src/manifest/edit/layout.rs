//! Finds places in the text of a document: columns, indents, line ends and the ends of values. Changes nothing.

use std::ops::Range;

use crate::manifest::node::{Member, Node, NodeKind};

/// The text of a document, as a layout of lines and columns.
#[derive(Clone, Copy)]
pub(super) struct Layout<'t> {
    pub(super) text: &'t str,
}

/// The indent of a block list relative to its key, in columns.
#[derive(Clone, Copy)]
pub(super) struct ListIndent(pub(super) usize);

// === impl Layout ===

impl<'t> Layout<'t> {
    /// Returns true if a list or a map is in flow style (in brackets).
    pub(super) fn is_flow(self, node: &Node) -> bool {
        self.text[node.span.start..].starts_with(['{', '['])
    }

    /// Returns the number of bytes before `offset` on its line.
    pub(super) fn column(self, offset: usize) -> usize {
        offset - self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Returns the text before `offset` on its line if that is blank and the line is not the first.
    pub(super) fn indent_of_line(self, offset: usize) -> Option<&'t str> {
        let start = offset - self.column(offset);
        let before = &self.text[start..offset];
        (start > 0 && before.chars().all(|c| c == ' ' || c == '\t')).then_some(before)
    }

    /// Returns the column of a block map's keys: that of the first key with only blanks and dashes before it, because the very
    /// first key may follow an anchor.
    pub(super) fn column_of_keys(self, node: &Node, members: &[Member]) -> Option<usize> {
        own_members(node, members).map(|member| member.key_span.start).find_map(|start| {
            let column = self.column(start);
            self.text[start - column..start].chars().all(|c| c == ' ' || c == '-').then_some(column)
        })
    }

    /// Returns the offset of the dash before an item of a block list.
    pub(super) fn dash(self, item: &Node) -> Option<usize> {
        let before = self.text[..item.span.start].trim_end_matches(' ');
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// Returns the indent of a member's block list relative to the member's key.
    pub(super) fn list_indent(self, member: &Member) -> Option<ListIndent> {
        let first = member.value.as_list().filter(|_| !self.is_flow(&member.value))?.first()?;
        Some(ListIndent(self.column(self.dash(first)?).checked_sub(self.column(member.key_span.start))?))
    }

    /// Returns the offset behind the colon that follows a key.
    pub(super) fn after_colon(self, key: &Range<usize>) -> Option<usize> {
        let rest = &self.text[key.end..];
        let colon = rest.find(|c: char| !c.is_whitespace()).filter(|index| rest[*index..].starts_with(':'))?;
        Some(key.end + colon + 1)
    }

    /// Returns the end of a value; `key` is the span of the value's key, if the value is a member of a map.
    pub(super) fn end_of(self, node: &Node, key: Option<&Range<usize>>) -> Option<usize> {
        if let Some(key) = key {
            let colon = self.after_colon(key)?;
            if node.span.start < colon {
                return Some(self.end_of_alias(colon));
            }
        }
        let children_end = match &node.kind {
            NodeKind::Map(members) => match own_members(node, members).last() {
                Some(last) => Some(self.end_of(&last.value, Some(&last.key_span))?),
                None => None,
            },
            NodeKind::List(items) => match items.last() {
                Some(last) if last.span.start < node.span.start => return None, // an alias, whose place is unknown
                Some(last) => Some(self.end_of(last, None)?),
                None => None,
            },
            _ if node.span.is_empty() => return self.after_colon(key?),
            _ => return Some(self.end_of_scalar(node)),
        };
        if !self.is_flow(node) {
            return children_end;
        }
        self.closing_bracket(children_end.unwrap_or(node.span.start + 1))
    }

    /// Returns the end of the alias behind a colon, or the colon's own offset if nothing follows on the line.
    fn end_of_alias(self, colon: usize) -> usize {
        let rest = &self.text[colon..];
        let start = rest.len() - rest.trim_start_matches(' ').len();
        let alias = &rest[start..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
        let length = if alias.starts_with('*') { alias.find(is_end).unwrap_or(alias.len()) } else { 0 };
        if length == 0 { colon } else { colon + start + length }
    }

    /// Returns the end of a scalar. The span of a block scalar (`|`) reaches to the next token; only lines indented at least as
    /// far as its first line belong to it.
    fn end_of_scalar(self, node: &Node) -> usize {
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

    /// Returns the start of the next line, or the end of the text.
    pub(super) fn line_end(self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |index| offset + index + 1)
    }

    /// Returns the offset behind the closing bracket if only blanks, commas and comments precede it.
    fn closing_bracket(self, mut offset: usize) -> Option<usize> {
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

    /// Returns the start of the line below `end`. Comments indented further than `column` are skipped too: they belong to the
    /// value above them.
    pub(super) fn line_below(self, end: usize, column: usize) -> usize {
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
}

/// Returns the members written in the map itself, without those merged in from another map (`<<`).
pub(super) fn own_members<'n>(node: &Node, members: &'n [Member]) -> impl DoubleEndedIterator<Item = &'n Member> {
    let start = node.span.start;
    members.iter().filter(move |member| member.key_span.start >= start)
}
