//! Text from outside, made fit for a sentence: visible, on one line, and no longer than a limit. A sentence for a terminal, a log, an
//! annotation, an Event or an admission response is a [`Line`], the output of a command is a [`Block`], and only this file makes
//! them. Must not know where the text comes from or where the sentence goes.
//!
//! A program that reads JSON gets the true text: a message becomes a [`Line`] where it is shown, not where it is written, and JSON has
//! escapes of its own.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::{Deref, Range};

use anstyle::Style;
use serde::Serialize;

const ELLIPSIS: &str = "…";

/// One line that shows all that it says. What a reader cannot see, and what a terminal or a CI system would obey, is written as
/// `\n` or `\u{1b}`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Line(Cow<'static, str>);

// === impl Line ===

impl Line {
    /// Returns a sentence with everything escaped that does not belong on a line. Escaping a line again changes nothing.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::cut(sentence, usize::MAX)
    }

    /// Returns a sentence as [`Self::new`] does, in at most `limit` bytes. A sentence that is cut ends in `…`.
    pub fn cut(sentence: impl Into<Cow<'static, str>>, limit: usize) -> Self {
        let sentence = sentence.into();
        if sentence.len() <= limit && is_plain(&sentence) {
            return Self(sentence);
        }
        Self(Cow::Owned(escaped(&sentence, limit)))
    }

    /// Returns the line as a string.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Line {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<String> for Line {
    fn from(sentence: String) -> Self {
        Self::new(sentence)
    }
}

impl From<&'static str> for Line {
    fn from(sentence: &'static str) -> Self {
        Self::new(sentence)
    }
}

impl PartialEq<&str> for Line {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl From<Line> for Cow<'static, str> {
    fn from(Line(text): Line) -> Self {
        text
    }
}

/// Text of any number of lines for a terminal or a program: lines, fixed words, and JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(String);

// === impl Block ===

impl Block {
    /// Returns a block of fixed words.
    pub fn fixed(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// Returns a value as JSON on one line, in which characters that a [`Line`] escapes have JSON's escapes.
    pub fn json(value: &impl Serialize) -> Self {
        // What is written here consists of strings and numbers, and always fits JSON.
        Self(escape_json(serde_json::to_string(value).unwrap_or_default()))
    }

    /// Returns a value as [`Self::json`] does, on indented lines.
    pub fn indented_json(value: &impl Serialize) -> Self {
        Self(escape_json(serde_json::to_string_pretty(value).unwrap_or_default()) + "\n")
    }

    /// Returns the output of a renderer that got nothing but lines and fixed words. `tests/floors.rs` lists the callers.
    pub(crate) fn rendered(text: String) -> Self {
        Self(text)
    }

    /// Adds a line and its end.
    pub fn push_line(&mut self, line: impl Into<Line>) {
        self.0.push_str(&line.into());
        self.0.push('\n');
    }

    /// Adds a text without an end of the line.
    pub fn push_styled(&mut self, style: Style, line: &Line) {
        self.0.push_str(&format!("{style}{line}{style:#}"));
    }

    /// Adds a text that a terminal shows as a link to an address (OSC 8). An address has no character that a line escapes.
    pub fn push_link(&mut self, address: &Line, line: &Line) {
        self.0.push_str(&format!("\u{1b}]8;;{address}\u{1b}\\{line}\u{1b}]8;;\u{1b}\\"));
    }

    /// Adds another block.
    pub fn push(&mut self, Self(text): &Self) {
        self.0.push_str(text);
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns JSON with `\u202e` for each character that a [`Line`] escapes and JSON does not. In JSON such characters are parts of
/// strings, and line breaks are not.
pub(crate) fn escape_json(json: String) -> String {
    // Most JSON has none of them, which is quick to see.
    if json.bytes().all(|byte| byte < b'\x7f') && !json.contains("##") {
        return json;
    }
    let needs_escape = |index: usize, c: char| match c {
        '\u{7f}' => true,
        c => c != ':' && !c.is_ascii_control() && is_escaped(&json, index, c),
    };
    let mut escaped = String::with_capacity(json.len() + 64);
    for (index, c) in json.char_indices() {
        if needs_escape(index, c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns a line of a file as it is shown, with four spaces for a tab, and the place of a part of it.
pub(crate) fn quote(line: &str, part: Range<usize>) -> (Line, Range<usize>) {
    let (mut shown, mut place) = (String::with_capacity(line.len()), 0..0);
    for (index, character) in line.char_indices().chain([(line.len(), '\n')]) {
        if index <= part.start {
            place.start = shown.len();
        }
        if index <= part.end {
            place.end = shown.len();
        }
        match character {
            _ if index == line.len() => {}
            '\t' => shown.push_str("    "),
            other if is_escaped(line, index, other) => push_escape(&mut shown, other),
            other => shown.push(other),
        }
    }
    (Line(Cow::Owned(shown)), place)
}

/// Returns the text in at most `limit` bytes; a text that is cut ends in `…`. A fragment of a sentence needs no more: the sentence
/// is escaped as a whole.
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len()));
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

/// Returns the text as a [`Line`] of at most `limit` bytes has it, for a part of a message that is also stored.
pub(crate) fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit && is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(escaped(text, limit)) }
}

/// Returns whether a text is of printable ASCII characters and cannot be a command, as most are; this is quick to see.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.starts_with([' ', ':']) && !text.contains("##")
}

/// Returns the text with escapes, cut to `limit` bytes between characters and escapes.
fn escaped(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    let mut end = 0;
    for (index, character) in text.char_indices() {
        if line.len() + ELLIPSIS.len() <= limit {
            end = line.len();
        }
        if is_escaped(text, index, character) {
            push_escape(&mut line, character);
        } else {
            line.push(character);
        }
        if line.len() > limit {
            line.truncate(end);
            line.push_str(ELLIPSIS);
            break;
        }
    }
    line
}

fn push_escape(line: &mut String, character: char) {
    match character {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        other => line.extend(other.escape_unicode()),
    }
}

/// Returns whether the character at this index of a text is escaped.
fn is_escaped(text: &str, index: usize, character: char) -> bool {
    match character {
        ':' => text[index + 1..].starts_with(':') && text[..index].trim_start().is_empty(),
        '#' => text[..index].ends_with('#') && starts_tag(&text[index + 1..]),
        _ => is_hidden(character),
    }
}

/// Returns whether `##` before this text makes it a command, at any place of a line: `##[error]` for GitHub's runner
/// (actions/runner `src/Runner.Common/ActionCommand.cs`, `TryParse`; `TryParseV2` has `::error::` at the start of a line),
/// `##vso[…]` for the agent of Azure Pipelines, and others of this form.
fn starts_tag(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('[')
}

/// Returns whether a reader cannot see a character, or it changes what is seen around it: control characters, line separators,
/// the controls of bidirectional text (Unicode Standard Annex 9), and characters without a shape (Unicode Technical Report 36, 3.5).
pub(crate) const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_a_text_that_fits() {
        assert!(matches!(cut("attempts:0", 10), Cow::Borrowed("attempts:0")));
        assert!(matches!(Line::cut("attempts:0", 10), Line(Cow::Borrowed("attempts:0"))));
        assert_eq!(
            &*Line::new("größe — 1 µs, 大丈夫, # a ## b, [x]: y::z"),
            "größe — 1 µs, 大丈夫, # a ## b, [x]: y::z"
        );
    }

    #[test]
    fn cuts_a_long_text_between_characters() {
        for cut in [
            |text: &str, limit| cut(text, limit).into_owned(),
            |text: &str, limit| Line::cut(text.to_owned(), limit).into_string(),
        ] {
            assert_eq!(cut("attempts:0", 9), "attemp…");
            assert_eq!(cut("ßßßß", 7), "ßß…");
            assert!(cut(&"ß".repeat(100), 50).len() <= 50);
        }
    }

    #[test]
    fn cuts_no_escape_in_two() {
        for (limit, expected) in [(10, "ab…"), (11, "ab…"), (12, "ab\\u{202e}cd")] {
            assert_eq!(&*Line::cut("ab\u{202e}cd", limit), expected);
        }
    }

    #[test]
    fn shows_what_cannot_be_seen() {
        assert_eq!(&*Line::new("a\u{1b}[31m\r\nb\tc\0"), "a\\u{1b}[31m\\r\\nb\\tc\\u{0}");
        let hidden =
            "\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{fffa}\u{e0041}";
        let escapes: String = hidden.chars().flat_map(char::escape_unicode).collect();
        assert_eq!(&*Line::new(hidden), escapes);
    }

    #[test]
    fn disarms_commands_of_ci_systems() {
        assert_eq!(&*Line::new("::error::x"), "\\u{3a}:error::x");
        assert_eq!(&*Line::new(" \u{3000}::error::x"), " \u{3000}\\u{3a}:error::x");
        assert_eq!(&*Line::new("pod ##[error]x ###vso[y] ##teamcity[z]"), {
            "pod #\\u{23}[error]x ##\\u{23}vso[y] #\\u{23}teamcity[z]"
        });
    }

    #[test]
    fn json_keeps_the_true_text() {
        let text = "a\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}\n::error::##[error]é";
        let Block(json) = Block::json(&[text]);
        assert_eq!(json, "[\"a\\u001b\\u007f\\u009b\\u202e\\udb40\\udc41\\n::error::#\\u0023[error]é\"]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
        let Block(indented) = Block::indented_json(&[text]);
        assert_eq!(
            (indented.lines().count(), serde_json::from_str::<Vec<String>>(&indented).unwrap()),
            (3, vec![text.to_owned()])
        );
    }

    #[test]
    fn a_quote_knows_where_its_part_is() {
        let line = "\ta\u{202e}: 'x\u{1b}y' # ##[error]";
        let start = line.find('\'').unwrap();
        let (shown, place) = quote(line, start..start + 5);
        assert_eq!(shown, "    a\\u{202e}: 'x\\u{1b}y' # #\\u{23}[error]");
        assert_eq!(&shown[place], "'x\\u{1b}y'");
        assert_eq!(quote("ab", 2..2).1, 2..2);
        assert_eq!(quote("", 0..0), (Line::default(), 0..0));
    }

    proptest! {
        /// Lines hold nothing hidden, keep within the limit, and are the same when they are made lines again.
        #[test]
        fn any_text_is_made_a_line(text in "(\\PC|\\p{Cc}|\\p{Cf}|[:# \\[\u{2028}\u{202e}]){0,60}", limit in 3_usize..200) {
            for line in [Line::new(text.clone()), Line::cut(text.clone(), limit)] {
                prop_assert!(!line.contains(is_hidden), "{line}");
                prop_assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
                prop_assert_eq!(&Line::new(line.clone()), &line);
            }
            prop_assert!(Line::cut(text.clone(), limit).len() <= limit);
            prop_assert_eq!(&*one_line(&text, limit), &*Line::cut(text.clone(), limit));
        }
    }
}
