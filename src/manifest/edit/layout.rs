//! Finds places in the text of a document: columns, indents and line ends. Changes nothing. Looks no further than needed, because a
//! document of megabytes may be one line.

use crate::manifest::tree::Tree;

/// The text of a document, as a layout of lines and columns.
#[derive(Clone, Copy)]
pub(super) struct Layout<'t> {
    pub(super) text: &'t str,
}

/// The indent of a block list relative to its key, in columns.
#[derive(Clone, Copy, Default)]
pub(super) struct ListIndent(pub(super) usize);

/// Bytes to look back for the start of a line, where its style is all that depends on it.
const LINE_MAX: usize = 4096;

// === impl Layout ===

impl<'t> Layout<'t> {
    /// Returns the start of the line that holds `offset`. A byte order mark is not part of the first line.
    fn line_start(self, offset: usize) -> usize {
        match self.text[..offset].rfind('\n') {
            Some(newline) => newline + 1,
            None if self.text.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
            None => 0,
        }
    }

    /// Returns the number of bytes before `offset` on its line. Only for block style, whose lines are short.
    pub(super) fn column(self, offset: usize) -> usize {
        offset - self.line_start(offset)
    }

    /// Returns the text before `offset` on its line if that is blank and the line is not the first.
    pub(super) fn indent_of_line(self, offset: usize) -> Option<&'t str> {
        let before = &self.text[..offset];
        let start = before.trim_end_matches([' ', '\t']).len();
        before[..start].ends_with('\n').then(|| &before[start..])
    }

    /// Returns the indent of the line that holds `offset`; nothing if the line is too long to look for its start.
    pub(super) fn indent_around(self, offset: usize) -> &'t str {
        let from = self.text.floor_char_boundary(offset.saturating_sub(LINE_MAX));
        let Some(newline) = self.text[from..offset].rfind('\n') else { return "" };
        let line = &self.text[from + newline + 1..offset];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// Returns the column of the keys of a block map, if only blanks and indicators precede its first key.
    pub(super) fn column_of_keys(self, start: usize) -> Option<usize> {
        let column = self.column(start);
        self.text[start - column..start].bytes().all(|byte| b" -?:".contains(&byte)).then_some(column)
    }

    /// Returns the offset of the dash of the next item of a block list; `end` is the end of the item before it.
    pub(super) fn next_dash(self, list_start: usize, end: usize) -> Option<usize> {
        let column = self.column(list_start);
        let mut line = if self.text[..end].ends_with('\n') { end } else { self.line_end(end) };
        while line < self.text.len() {
            let next = self.line_end(line);
            let content = self.text[line..next].trim_start_matches(' ');
            if content.starts_with('-') {
                return (next - line - content.len() == column).then_some(line + column);
            }
            line = next;
        }
        None
    }

    /// Returns the offset of the header of a block scalar (`|` or `>`), whose key ends at `key` and whose first line has `start`.
    pub(super) fn block_header(self, key: usize, start: usize) -> Option<usize> {
        let line = self.text.get(key..start)?.rsplit_once('\n')?.0;
        let header = line.rfind(['|', '>']).map(|header| key + header)?;
        let is_behind_colon = self.text[key..header].trim_start().starts_with(':');
        (is_behind_colon && !self.text[key..header].contains('#')).then_some(header)
    }

    /// Returns the indent of a member's block list relative to the member's key.
    pub(super) fn list_indent(self, tree: &Tree<'_>, key: u32, value: u32) -> Option<ListIndent> {
        let list = tree.entry(value);
        if !list.kind.is_list() || list.kind.is_flow() {
            return None;
        }
        let dash = self.column(list.span.start as usize);
        Some(ListIndent(dash.checked_sub(self.column(tree.entry(key).span.start as usize))?))
    }

    /// Returns the start of the next line, or the end of the text.
    pub(super) fn line_end(self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |index| offset + index + 1)
    }

    /// Returns the rest of the line behind `offset` if that is blank or a comment, perhaps after a comma.
    pub(super) fn rest_of_line(self, offset: usize) -> Option<&'t str> {
        let rest = &self.text[offset..];
        let blank = |text: &'t str| text.trim_start_matches([' ', '\t']);
        let content = blank(rest);
        let content = content.strip_prefix(',').map_or(content, blank);
        let is_last = content.is_empty() || content.starts_with(['\n', '\r', '#']);
        is_last.then(|| &self.text[offset..self.line_end(offset)])
    }

    /// Returns true if a tab is among the blanks and line ends before the next content, which is no comma.
    pub(super) fn has_tab_before_content(self, offset: usize) -> bool {
        let rest = &self.text[offset..];
        let content = rest.trim_start();
        !content.starts_with(',') && rest[..rest.len() - content.len()].contains('\t')
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

    /// Returns true if lines at a place end with CRLF: if the line above it does, or else the first line of the text.
    pub(super) fn has_crlf(self, offset: usize) -> bool {
        let from = self.text.floor_char_boundary(offset.saturating_sub(LINE_MAX));
        let above = self.text[from..offset].rfind('\n').map(|at| from + at);
        let newline = above.or_else(|| self.text.find('\n'));
        newline.is_some_and(|newline| self.text[..newline].ends_with('\r'))
    }
}
