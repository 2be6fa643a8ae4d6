//! A file as a stream of documents: splits the text and parses each document.

use std::fmt;
use std::ops::Range;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::lines::Position;
use super::node::{JsonError, Node, NodeKind};

/// The documents of one file.
#[derive(Clone, Debug)]
pub struct Stream<'t> {
    /// The documents in order. Their texts joined are the text of the file, byte for byte.
    pub documents: Vec<Document<'t>>,
}

/// One document of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    /// The whole file.
    file: &'t str,
    /// The separator line before the content.
    pub(super) head: &'t str,
    /// The content.
    pub(super) body: &'t str,
    /// Byte offset of the content in the file.
    start: usize,
    pub(super) syntax: Syntax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Json,
}

/// Why a document cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct SyntaxError {
    /// Position in the file.
    pub at: Position,
    /// The parser's message.
    pub message: String,
}

/// The most YAML events of one document: `kubectl get -A -o yaml` writes a whole cluster as one document. The parser's default is
/// a tenth of this; the expansion of aliases stays bounded by the parser's default.
const MAX_YAML_EVENTS: usize = 10_000_000;

// === impl Stream ===

impl<'t> Stream<'t> {
    /// Splits a text. If it is a sequence of JSON values, each value is a document.
    pub fn new(text: &'t str) -> Self {
        // Windows editors put a byte order mark first.
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let json = start.starts_with(['{', '[']).then(|| split_json(text, text.len() - start.len())).flatten();
        Self { documents: json.unwrap_or_else(|| split_yaml(text)) }
    }
}

/// Splits the JSON values that follow each other from `start`, as `jq` and `kubectl` write them; `None` if one is not JSON.
fn split_json(file: &str, start: usize) -> Option<Vec<Document<'_>>> {
    let mut values = serde_json::Deserializer::from_str(&file[start..]).into_iter::<serde::de::IgnoredAny>();
    let mut documents = Vec::new();
    let mut end = 0;
    while let Some(value) = values.next() {
        value.ok()?;
        let next = start + values.byte_offset();
        let body = file[end..next].trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let start = next - body.len();
        documents.push(Document { file, head: &file[end..start], body, start, syntax: Syntax::Json });
        end = next;
    }
    let last = documents.last_mut()?;
    last.body = &file[last.start..];
    Some(documents)
}

/// Splits at lines that begin with `---`. No scalar can hold such a line: YAML forbids it at the start of a line everywhere
/// (YAML 1.2.2, 9.1.2, c-forbidden).
fn split_yaml(file: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut head = "";
    let (mut start, mut offset) = (0, 0);
    for line in file.split_inclusive('\n') {
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if let Some(rest) = rest {
            if offset > 0 {
                documents.push(Document { file, head, body: &file[start..offset], start, syntax: Syntax::Yaml });
            }
            // If content follows the separator on its line, that line is part of the body.
            let rest = rest.trim();
            let is_bare = rest.is_empty() || rest.starts_with('#');
            let end = if is_bare { offset + line.len() } else { offset };
            head = &file[offset..end];
            start = end;
        }
        offset += line.len();
    }
    documents.push(Document { file, head, body: &file[start..], start, syntax: Syntax::Yaml });
    documents
}

// === impl Document ===

impl Document<'_> {
    /// Returns the text of the document in the file, separator included.
    pub fn text(&self) -> impl fmt::Display {
        let Self { head, body, file: _, start: _, syntax: _ } = self;
        fmt::from_fn(move |f| write!(f, "{head}{body}"))
    }

    /// Parses the document; an empty document is null.
    ///
    /// # Errors
    /// The document is not valid YAML or JSON.
    pub fn parse(&self) -> Result<Node, SyntaxError> {
        match self.syntax {
            Syntax::Json => Node::from_json(self.body).map_err(|JsonError { offset, message }| {
                // The parser counts its own position within the value.
                SyntaxError { at: self.position(offset), message: without_location(&message) }
            }),
            Syntax::Yaml => self.parse_yaml().map_err(|error| {
                let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
                let location = error.location();
                let line = number(location.map(|location| location.line()));
                let column = number(location.map(|location| location.column()));
                let first = self.position(0);
                let at = Position {
                    line: first.line + line - 1,
                    column: if line == 1 { first.column + column - 1 } else { column },
                };
                SyntaxError { at, message: without_location(&error.without_snippet().to_string()) }
            }),
        }
    }

    fn parse_yaml(&self) -> Result<Node, serde_saphyr::Error> {
        // Directives precede the separator and so form a document of their own; `...` ends a document.
        let is_blank = |line: &str| line.is_empty() || line.starts_with(['#', '%']) || line == "...";
        if self.body.lines().all(|line| is_blank(line.trim())) {
            return Ok(Node::EMPTY);
        }
        serde_saphyr::from_str_with_options::<Spanned<NodeKind>>(self.body, options()).map(Node::from)
    }

    /// Returns the line of the file on which the content begins, from 1.
    pub fn line(&self) -> usize {
        self.position(0).line
    }

    /// Converts a byte range of the content to one of the file.
    pub fn file_span(&self, span: Range<usize>) -> Range<usize> {
        self.start + span.start..self.start + span.end
    }

    /// Returns the position in the file of an offset of the content. Slow, so only for errors.
    fn position(&self, offset: usize) -> Position {
        Position::START.after(&self.file[..self.file.floor_char_boundary(self.start + offset)])
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: MAX_YAML_EVENTS, max_nodes: MAX_YAML_EVENTS },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

pub(super) fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, options())
}

/// Removes the position from a parser's message: the parser counts it within the document.
fn without_location(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    message.split_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}
