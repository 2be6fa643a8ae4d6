//! Lines and columns of places in a text, found quickly also where the text is one line of megabytes or has a fault in each of
//! ten thousand places.

use std::fmt;
use std::ops::Range;

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Knows the lines of a text.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    text: &'t str,
    /// Where every [`STRIDE`] bytes begin.
    marks: Vec<(usize, Position)>,
}

/// A part of a text that stands on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'t> {
    /// Where it begins.
    pub start: Position,
    /// Where it ends: behind its last character.
    pub end: Position,
    /// The part itself.
    pub text: &'t str,
    /// Its line, without what ends it, and where in that it stands, in bytes; `None` where the line is too long to be shown.
    pub line: Option<(&'t str, Range<usize>)>,
}

/// The longest line that is shown to people, in bytes. Longer ones are written by programs.
const SHOWN_MAX: usize = 400;

/// How much text is counted anew for each position.
const STRIDE: usize = 4096;

// === impl Position ===

impl Position {
    /// The beginning of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Where a text ends that begins here.
    pub(super) fn after(self, text: &str) -> Self {
        match text.rfind('\n') {
            None => Self { line: self.line, column: self.column + text.chars().count() },
            Some(last) => Self {
                line: self.line + text.bytes().filter(|byte| *byte == b'\n').count(),
                column: 1 + text[last + 1..].chars().count(),
            },
        }
    }
}

impl fmt::Display for Position {
    /// As compilers write it: `12:7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column } = self;
        write!(f, "{line}:{column}")
    }
}

// === impl Lines ===

impl<'t> Lines<'t> {
    /// Counts the lines of a text.
    pub fn new(text: &'t str) -> Self {
        let mut marks = vec![(0, Position::START)];
        let (mut offset, mut position) = (0, Position::START);
        while text.len() - offset > STRIDE {
            let end = text.floor_char_boundary(offset + STRIDE);
            position = position.after(&text[offset..end]);
            offset = end;
            marks.push((offset, position));
        }
        Self { text, marks }
    }

    /// The text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// Where a byte of the text stands; beyond the end, where the text ends.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let next = self.marks.partition_point(|(start, _)| *start <= offset);
        let (start, position) = self.marks[next.saturating_sub(1)];
        position.after(&self.text[start..offset])
    }

    /// A part of the text, up to the end of its first line.
    pub fn place(&self, range: Range<usize>) -> Place<'t> {
        let start = self.text.floor_char_boundary(range.start);
        let range = start..self.text.floor_char_boundary(range.end).max(start);
        let text = self.text[range].lines().next().unwrap_or_default();
        let position = self.position(start);
        Place { start: position, end: position.after(text), text, line: self.line(start, text.len()) }
    }

    /// The line on which so many bytes stand, and where on it they do.
    fn line(&self, start: usize, length: usize) -> Option<(&'t str, Range<usize>)> {
        let end = start + length;
        let from = self.text.ceil_char_boundary(start.saturating_sub(SHOWN_MAX));
        let to = self.text.floor_char_boundary(end.saturating_add(SHOWN_MAX));
        let before = match self.text[from..start].rfind('\n') {
            Some(newline) => from + newline + 1,
            None if from == 0 => 0,
            None => return None,
        };
        let after = match self.text[end..to].find('\n') {
            Some(newline) => end + newline,
            None if to == self.text.len() => to,
            None => return None,
        };
        let line = self.text[before..after].trim_end_matches('\r');
        (line.len() <= SHOWN_MAX).then(|| (line, start - before..end - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_the_same_as_counted_from_the_start() {
        let text: String = (0..3000).map(|i| if i % 7 == 0 { "é\n" } else { "日本 x\r\n" }).collect::<String>()
            + &"long ".repeat(5000);
        let lines = Lines::new(&text);
        for offset in (0..text.len()).step_by(997).filter(|offset| text.is_char_boundary(*offset)) {
            assert_eq!(lines.position(offset), Position::START.after(&text[..offset]), "{offset}");
        }
    }

    #[test]
    fn a_place_is_shown_on_its_line() {
        let text = "a: 1\r\nb: 'two' # x\r\nc: |\n  3\n  4\n";
        let place = Lines::new(text).place(9..14);
        assert_eq!((place.text, place.line), ("'two'", Some(("b: 'two' # x", 3..8))));
        assert_eq!((place.start, place.end), (Position { line: 2, column: 4 }, Position { line: 2, column: 9 }));
        let block = Lines::new(text).place(text.find('3').unwrap()..text.len());
        assert_eq!((block.text, block.line), ("3", Some(("  3", 2..3))));
        assert_eq!(Lines::new("").place(0..0).line, Some(("", 0..0)));
    }

    #[test]
    fn a_line_of_a_program_is_not_shown() {
        let text = format!("{{{}\"image\": \"alpine\"}}\n", "\"a\": 1, ".repeat(100));
        let start = text.find("\"alpine").unwrap();
        let place = Lines::new(&text).place(start..start + 8);
        assert_eq!((place.text, place.line, place.start.column), ("\"alpine\"", None, start + 1));
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(Lines::new("a: é\nb: é x").position(11), Position { line: 2, column: 5 });
        assert_eq!(Lines::new("").position(5), Position::START);
    }
}
