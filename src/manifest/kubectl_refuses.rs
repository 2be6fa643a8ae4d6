//! Texts that kubectl's parser refuses and the parser here takes: go.yaml.in/yaml/v2 reads YAML 1.1, and YAML 1.2 allows more. A manifest
//! that kubectl refuses must not look fine. Comments name functions of that parser's scannerc.go. Must not know of trees.

use std::ops::Range;

use super::parse_error::ParseError;

/// The token that precedes the blanks, comments and dashes between two scalars or brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// The beginning of the text, or a block scalar, which ends with a line.
    Line,
    /// A plain scalar, in a list or map that begins at the offset, if any.
    Plain(Option<usize>),
    /// Something else.
    Token,
}

/// Checks the text between two scalars or brackets, outside of brackets: no tab stands at the beginning of a line, nor behind the dash of an
/// item or the question mark of a key (`yaml_parser_scan_to_next_token`).
pub(super) fn between(text: &str, range: Range<usize>, before: Before) -> Result<(), ParseError> {
    let bytes = &text.as_bytes()[..range.end];
    let mut at = range.start;
    let mut needs_spaces = before == Before::Line;
    if let Before::Plain(block) = before {
        at = after_plain(text, range.clone(), block)?;
        needs_spaces = text[range.start..at].contains('\n');
    }
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\t' if needs_spaces => return Err(tab(at)),
            b' ' | b'\t' => {}
            b'\r' | b'\n' => needs_spaces = true,
            b'-' | b'?' if is_blank(bytes.get(at + 1)) => needs_spaces = true,
            b'#' => {
                needs_spaces = true;
                at += line_length(&bytes[at..]) - 1;
            }
            // A colon, a tag, an anchor.
            _ => {
                needs_spaces = false;
                at += bytes[at..].iter().take_while(|byte| !is_blank(Some(byte))).count() - 1;
            }
        }
        at += 1;
    }
    Ok(())
}

/// Checks the blanks behind a plain scalar, or behind one of its lines, also inside of brackets: a plain scalar takes the lines that follow it,
/// and there a tab is no indent (`yaml_parser_scan_plain_scalar`). `block` is the beginning of the list or map around it. Returns the end
/// of the blanks.
pub(super) fn after_plain(text: &str, range: Range<usize>, block: Option<usize>) -> Result<usize, ParseError> {
    let mut is_first_line = true;
    for (at, byte) in (range.start..range.end).zip(text.as_bytes()[range.clone()].iter()) {
        match byte {
            b'\n' => is_first_line = false,
            b'\t' if !is_first_line && block.is_some_and(|block| column(text, at) <= column(text, block)) => {
                return Err(tab(at));
            }
            b' ' | b'\t' | b'\r' => {}
            _ => return Ok(at),
        }
    }
    Ok(range.end)
}

/// Checks the lines of a plain scalar behind its first.
pub(super) fn plain_lines(text: &str, range: Range<usize>, block: Option<usize>) -> Result<(), ParseError> {
    let mut at = range.start;
    while let Some(newline) = text[at..range.end].find('\n') {
        at = after_plain(text, at + newline..range.end, block)?;
    }
    Ok(())
}

/// Returns the end of the blanks and comments from an offset.
pub(super) fn end_of_blanks(text: &str, from: usize) -> usize {
    let mut rest = &text[from..];
    loop {
        rest = rest.trim_start();
        match rest.strip_prefix('#') {
            Some(comment) => rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return text.len() - rest.len(),
        }
    }
}

/// Checks the lines of a block scalar whose header begins at an offset: no tab stands where its indent is expected
/// (`yaml_parser_scan_block_scalar_breaks`). `end` is where the next token may begin.
pub(super) fn block_scalar(text: &str, header: usize, end: usize, indent: usize) -> Result<(), ParseError> {
    let rest = &text[header..end];
    let indicators = rest[1..].bytes().take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9'));
    // The first line with content decides on the indent.
    let mut is_open = !indicators.into_iter().any(|byte| byte.is_ascii_digit());
    let mut at = header + line_length(rest.as_bytes());
    for line in text[at.min(end)..end].split_inclusive('\n') {
        let blank = line.len() - line.trim_start_matches(' ').len();
        let content = line[blank..].trim_end_matches(['\r', '\n']);
        if content.starts_with('\t') && (is_open || blank < indent) {
            return Err(tab(at + blank));
        }
        is_open &= content.is_empty();
        at += line.len();
    }
    Ok(())
}

/// Checks a plain scalar inside brackets. There, a colon or a question mark at its beginning is a sign of its own, and a question mark ends
/// it (`yaml_parser_fetch_next_token`, `yaml_parser_scan_plain_scalar`); and a colon before a bracket or a comma belongs to it.
pub(super) fn plain_in_brackets(text: &str, range: Range<usize>, is_key: bool) -> Result<(), ParseError> {
    let plain = &text[range.clone()];
    if plain.contains('?') || plain.starts_with(':') {
        let message =
            "inside brackets kubectl takes `?`, and `:` at the beginning, for signs of a map; quote this text";
        return Err(ParseError { offset: range.start, message: message.into() });
    }
    let mut behind = text[range.end..].chars();
    if is_key && behind.next() == Some(':') && matches!(behind.next(), Some(',' | '[' | ']' | '{' | '}')) {
        let message = "inside brackets kubectl takes this `:` for a part of the text; put a space behind it";
        return Err(ParseError { offset: range.end, message: message.into() });
    }
    Ok(())
}

/// Checks a key inside brackets: its colon stands on the line on which it begins (`yaml_simple_key_is_valid`), unless a question mark
/// precedes it.
pub(super) fn key_in_brackets(text: &str, range: Range<usize>) -> Result<(), ParseError> {
    let mut is_one_line = !text[range.clone()].contains('\n');
    let mut rest = text[range.end..].trim_start_matches([' ', '\t']);
    while let Some(comment_or_line) = rest.strip_prefix(['#', '\r', '\n']) {
        is_one_line = false;
        let is_comment = rest.starts_with('#');
        rest = if is_comment { comment_or_line.split_once('\n').map_or("", |(_, rest)| rest) } else { comment_or_line };
        rest = rest.trim_start();
    }
    let is_explicit = || text[..range.start].trim_end().ends_with('?');
    if is_one_line || !rest.starts_with(':') || is_explicit() {
        return Ok(());
    }
    let message = "kubectl wants a key and its colon on one line";
    Err(ParseError { offset: range.start, message: message.into() })
}

/// Checks the name of an anchor or alias, with its sign (`yaml_parser_scan_anchor`).
pub(super) fn anchor(text: &str, range: Range<usize>) -> Result<(), ParseError> {
    let name = &text.as_bytes()[range.clone()];
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.iter().skip(1).all(is_usual) {
        return Ok(());
    }
    let message = "in the name of an anchor kubectl takes letters of ASCII, digits, `-` and `_` alone";
    Err(ParseError { offset: range.start, message: message.into() })
}

/// Checks a text in double quotes: YAML 1.1 has no `\/`.
pub(super) fn escapes(text: &str, range: Range<usize>) -> Result<(), ParseError> {
    let mut rest = &text[range.clone()];
    while let Some(backslash) = rest.find('\\') {
        let offset = range.end - rest.len() + backslash;
        rest = &rest[backslash + 1..];
        if rest.starts_with('/') {
            return Err(ParseError { offset, message: "kubectl refuses `\\/` in YAML; write `/`".into() });
        }
        let mut escaped = rest.chars();
        escaped.next();
        rest = escaped.as_str();
    }
    Ok(())
}

/// Checks the first line of a document: kubectl takes nothing but a comment behind `---` (`YAMLReader` of k8s.io/apimachinery), also where
/// YAML has no separator there.
pub(super) fn separator(text: &str) -> Result<(), ParseError> {
    let Some(rest) = text.strip_prefix("---") else { return Ok(()) };
    let rest = rest.lines().next().unwrap_or_default().trim();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(());
    }
    let message = "kubectl takes nothing but a comment behind `---`; begin the content on the next line";
    Err(ParseError { offset: 0, message: message.into() })
}

fn tab(offset: usize) -> ParseError {
    ParseError { offset, message: "kubectl takes no tab here; write spaces, or leave the line empty".into() }
}

/// Returns the number of bytes between the beginning of the line and an offset.
fn column(text: &str, at: usize) -> usize {
    at - text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn is_blank(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| b" \t\r\n".contains(byte))
}

/// Returns the number of bytes to the end of the line, without the line break if there is none.
fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1)
}
