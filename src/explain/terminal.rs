//! Markdown for a terminal: paragraphs and tables fitted to its width, headings in bold. Code keeps its backticks, so that
//! the text can be read without colour. Must not know what the text is about.

use anstyle::Style;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use textwrap::WrapAlgorithm;
use textwrap::core::display_width;

/// The indent of text below a heading, as in a manual page.
const INDENT: &str = "  ";
/// The space between two columns of a table.
const GAP: &str = "  ";
/// The narrowest width in characters: shorter lines cannot be read.
const WIDTH_MIN: usize = 20;

/// Returns the text as lines of at most `width` characters, if its words allow it. Styles are ANSI codes, for a stream
/// that removes them where they do not belong.
pub fn for_terminal(markdown: &str, width: usize) -> String {
    let mut writer = Writer { output: String::new(), width: width.max(WIDTH_MIN) };
    writer.write(Parser::new_ext(markdown, Options::ENABLE_TABLES));
    writer.output
}

struct Writer {
    output: String,
    width: usize,
}

// === impl Writer ===

impl Writer {
    fn write<'m>(&mut self, mut events: impl Iterator<Item = Event<'m>>) {
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let text = inline(&mut events);
                    self.heading(level, &text);
                }
                Event::Start(Tag::Paragraph) => {
                    let text = inline(&mut events);
                    self.blank_line();
                    self.wrapped(&text, INDENT, INDENT);
                }
                Event::Start(Tag::List(_)) => self.blank_line(),
                Event::Start(Tag::Item) => {
                    let text = inline(&mut events);
                    self.wrapped(&text, "  - ", "    ");
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented)) => {
                    let text = inline(&mut events);
                    self.blank_line();
                    for line in text.lines() {
                        self.line(&format!("    {line}"));
                    }
                }
                Event::Start(Tag::Table(_)) => {
                    let rows = table(&mut events);
                    self.blank_line();
                    self.table(&rows);
                }
                _ => {}
            }
        }
    }

    fn heading(&mut self, level: HeadingLevel, text: &str) {
        let style = match level {
            HeadingLevel::H1 => Style::new().bold().underline(),
            _ => Style::new().bold(),
        };
        self.blank_line();
        self.line(&format!("{style}{text}{style:#}"));
    }

    fn wrapped(&mut self, text: &str, first: &str, next: &str) {
        for (index, line) in wrap(text, self.width - next.len()).iter().enumerate() {
            self.line(&format!("{}{line}", if index == 0 { first } else { next }));
        }
    }

    /// Writes columns as wide as their cells if the terminal has room; otherwise the widest shrink, as far as their words
    /// allow.
    fn table(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize, width: fn(&str) -> usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..columns).map(|column| widest(column, display_width)).collect();
        let least: Vec<usize> = (0..columns).map(|column| widest(column, longest_word)).collect();
        let room = self.width.saturating_sub(INDENT.len() + GAP.len() * columns.saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let shrinkable = widths.iter_mut().zip(&least).filter(|(width, least)| **width > **least);
            let Some((width, _)) = shrinkable.max_by_key(|(width, _)| **width) else { break };
            *width -= 1;
        }
        for (index, row) in rows.iter().enumerate() {
            self.row(row, &widths);
            if index == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                self.line(&format!("{INDENT}{}", rule.join(GAP)));
            }
        }
    }

    fn row(&mut self, row: &[String], widths: &[usize]) {
        let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let mut text = INDENT.to_owned();
            for (cell, width) in cells.iter().zip(widths) {
                let part = cell.get(line).map_or("", String::as_str);
                text.push_str(part);
                text.push_str(&" ".repeat(width.saturating_sub(display_width(part)) + GAP.len()));
            }
            self.line(text.trim_end());
        }
    }

    fn line(&mut self, text: &str) {
        self.output.push_str(text);
        self.output.push('\n');
    }

    fn blank_line(&mut self) {
        if !self.output.is_empty() {
            self.output.push('\n');
        }
    }
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(display_width).max().unwrap_or_default()
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// Returns the text up to the end of the current element.
fn inline<'m>(events: &mut impl Iterator<Item = Event<'m>>) -> String {
    let mut text = String::new();
    let mut depth = 1;
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Code(code) => text.extend(["`", &code, "`"]),
            Event::Text(part) | Event::InlineHtml(part) | Event::Html(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    text
}

/// Returns the cells of the current table, the header first.
fn table<'m>(events: &mut impl Iterator<Item = Event<'m>>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::End(TagEnd::Table) => break,
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                let cell = inline(events);
                if let Some(row) = rows.last_mut() {
                    row.push(cell);
                }
            }
            _ => {}
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::for_terminal;

    fn plain(markdown: &str, width: usize) -> String {
        anstream::adapter::strip_str(&for_terminal(markdown, width)).to_string()
    }

    #[test]
    fn fits_paragraphs_to_the_width_and_keeps_code() {
        assert_eq!(
            plain("# Title\n\nOne two\nthree `four` five.\n\n- an item that is long\n- b\n", 20),
            "Title\n\n  One two three\n  `four` five.\n\n  - an item that is\n    long\n  - b\n"
        );
    }

    #[test]
    fn the_widest_column_shrinks() {
        assert_eq!(
            plain("| a | b |\n|---|---|\n| one | two three four five |\n| `x` | y \\| z |\n", 20),
            "  a    b\n  ---  -------------\n  one  two three\n       four five\n  `x`  y | z\n"
        );
    }

    #[test]
    fn no_width_is_too_small() {
        for width in 0..30 {
            assert!(plain("# T\n\ntext of words\n\n| a | b |\n|---|---|\n| c | d |\n", width).contains('d'), "{width}");
        }
    }
}
