//! One file as a stream of documents: where each begins, and what it says.

use std::fmt;
use std::ops::Range;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::lines::Position;
use super::node::{JsonFault, Kind, Node};

/// The documents of one file.
#[derive(Clone, Debug)]
pub struct Stream<'t> {
    /// In order; together their texts are the file's text, to the byte.
    pub documents: Vec<Document<'t>>,
}

/// One document of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    /// The whole file.
    file: &'t str,
    /// What stands before its content: the separator line, and nothing else.
    pub(super) head: &'t str,
    /// Its content.
    pub(super) body: &'t str,
    /// Where in the file its content begins, in bytes.
    start: usize,
    pub(super) syntax: Syntax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Json,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct SyntaxError {
    /// Where in the file.
    pub at: Position,
    /// What is wrong.
    pub message: String,
}

/// A document of a manifest may be this large: `kubectl get -A -o yaml` writes a whole cluster as one. The parser's own default
/// is a tenth of it; what an alias may expand to stays bounded by the default.
const MAX_YAML_EVENTS: usize = 10_000_000;

// === impl Stream ===

impl<'t> Stream<'t> {
    /// Splits a text. A text that begins like JSON, and is one JSON value after another, is one document after another.
    pub fn new(text: &'t str) -> Self {
        // Windows editors put a byte order mark first.
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let json = start.starts_with(['{', '[']).then(|| split_json(text, text.len() - start.len())).flatten();
        Self { documents: json.unwrap_or_else(|| split_yaml(text)) }
    }
}

/// Splits JSON values that follow each other from `start` on, as `jq` and `kubectl` write and read them; `None` where one is no
/// JSON.
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
            // Content may stand on the separator's own line; then that line is part of the body.
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
    /// Its text as it stands in the file, separator included.
    pub fn text(&self) -> impl fmt::Display {
        let Self { head, body, file: _, start: _, syntax: _ } = self;
        fmt::from_fn(move |f| write!(f, "{head}{body}"))
    }

    /// What it says, and where; null where it is empty.
    ///
    /// # Errors
    /// It is not YAML, or not JSON.
    pub fn read(&self) -> Result<Node, SyntaxError> {
        match self.syntax {
            Syntax::Json => Node::from_json(self.body).map_err(|JsonFault { offset, message }| {
                // The parser's position is its own, counted within the value.
                SyntaxError { at: self.position(offset), message: without_location(&message) }
            }),
            Syntax::Yaml => self.read_yaml().map_err(|error| {
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

    fn read_yaml(&self) -> Result<Node, serde_saphyr::Error> {
        // Directives stand before the separator, so that they come as a document of their own; `...` ends one.
        let says_nothing = |line: &str| line.is_empty() || line.starts_with(['#', '%']) || line == "...";
        if self.body.lines().all(|line| says_nothing(line.trim())) {
            return Ok(Node::EMPTY);
        }
        serde_saphyr::from_str_with_options::<Spanned<Kind>>(self.body, options()).map(Node::from)
    }

    /// The line of the file on which its content begins, from 1.
    pub fn line(&self) -> usize {
        self.position(0).line
    }

    /// Where in the file a place of its content is, in bytes.
    pub fn in_file(&self, span: Range<usize>) -> Range<usize> {
        self.start + span.start..self.start + span.end
    }

    /// Line and column in the file; for errors, which are few.
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

/// The parser's message repeats its position, counted within the document.
fn without_location(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    message.split_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}
