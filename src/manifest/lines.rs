//! Lines and columns of byte offsets in a text. Lookups stay fast if the text is one line of megabytes, or if there are ten
//! thousand of them.

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

/// An index of the lines of a text.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    text: &'t str,
    /// Offset and position of the start of every [`STRIDE`] bytes.
    marks: Vec<(usize, Position)>,
}

/// A part of a text, at most to the end of its first line, with that line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt<'t> {
    /// Start of the part.
    pub start: Position,
    /// End of the part, behind its last character.
    pub end: Position,
    /// The part.
    pub text: &'t str,
    /// The line without its line end, and the part's byte range in it; `None` if the line is too long to show.
    pub line: Option<(&'t str, Range<usize>)>,
}

/// The longest line that is shown to people, in bytes. Longer lines are written by programs.
const SHOWN_MAX: usize = 400;

/// Bytes of text between two marks: the most that is counted anew for a position.
const STRIDE: usize = 4096;

// === impl Position ===

impl Position {
    /// The start of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Returns the end of a text that starts here.
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
    /// Writes the position as compilers do: `12:7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column } = self;
        write!(f, "{line}:{column}")
    }
}

// === impl Lines ===

impl<'t> Lines<'t> {
    /// Indexes a text.
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

    /// Returns the text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// Returns the position of a byte; an offset beyond the end gives the end of the text.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let next = self.marks.partition_point(|(start, _)| *start <= offset);
        let (start, position) = self.marks[next.saturating_sub(1)];
        position.after(&self.text[start..offset])
    }

    /// Returns a part of the text, cut at the end of its first line.
    pub fn excerpt(&self, range: Range<usize>) -> Excerpt<'t> {
        let start = self.text.floor_char_boundary(range.start);
        let range = start..self.text.floor_char_boundary(range.end).max(start);
        let text = self.text[range].lines().next().unwrap_or_default();
        let position = self.position(start);
        Excerpt { start: position, end: position.after(text), text, line: self.line(start, text.len()) }
    }

    /// Returns the line that holds `length` bytes from `start`, and their range in it.
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
    fn a_position_equals_the_one_counted_from_the_start() {
        let text: String = (0..3000).map(|i| if i % 7 == 0 { "é\n" } else { "日本 x\r\n" }).collect::<String>()
            + &"long ".repeat(5000);
        let lines = Lines::new(&text);
        for offset in (0..text.len()).step_by(997).filter(|offset| text.is_char_boundary(*offset)) {
            assert_eq!(lines.position(offset), Position::START.after(&text[..offset]), "{offset}");
        }
    }

    #[test]
    fn an_excerpt_has_its_line() {
        let text = "a: 1\r\nb: 'two' # x\r\nc: |\n  3\n  4\n";
        let excerpt = Lines::new(text).excerpt(9..14);
        assert_eq!((excerpt.text, excerpt.line), ("'two'", Some(("b: 'two' # x", 3..8))));
        assert_eq!((excerpt.start, excerpt.end), (Position { line: 2, column: 4 }, Position { line: 2, column: 9 }));
        let block = Lines::new(text).excerpt(text.find('3').unwrap()..text.len());
        assert_eq!((block.text, block.line), ("3", Some(("  3", 2..3))));
        assert_eq!(Lines::new("").excerpt(0..0).line, Some(("", 0..0)));
    }

    #[test]
    fn a_long_line_is_left_out_of_an_excerpt() {
        let text = format!("{{{}\"image\": \"alpine\"}}\n", "\"a\": 1, ".repeat(100));
        let start = text.find("\"alpine").unwrap();
        let excerpt = Lines::new(&text).excerpt(start..start + 8);
        assert_eq!((excerpt.text, excerpt.line, excerpt.start.column), ("\"alpine\"", None, start + 1));
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(Lines::new("a: é\nb: é x").position(11), Position { line: 2, column: 5 });
        assert_eq!(Lines::new("").position(5), Position::START);
    }
}
