//! One file as a stream of documents: where each begins, and what it says.

use std::fmt;

use serde_json::Value;

/// The documents of one file.
#[derive(Clone, Debug)]
pub struct Stream<'t> {
    /// In order; together their texts are the file's text, to the byte.
    pub documents: Vec<Document<'t>>,
}

/// One document of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    /// What stands before its content: the separator line, and nothing else.
    pub(super) head: &'t str,
    /// Its content.
    pub(super) body: &'t str,
    /// The line of the file on which `body` begins, from 0.
    first_line: usize,
    pub(super) syntax: Syntax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Json,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct SyntaxError {
    /// The line in the file, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A document of a manifest may be this large: `kubectl get -A -o yaml` writes a whole cluster as one. The parser's own default
/// is a tenth of it; what an alias may expand to stays bounded by the default.
const MAX_YAML_EVENTS: usize = 10_000_000;

// === impl Stream ===

impl<'t> Stream<'t> {
    /// Splits a text. A text that begins like a JSON object or array, and is one, is one document.
    pub fn new(text: &'t str) -> Self {
        // Windows editors put a byte order mark first.
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let syntax = if start.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(start).is_ok() {
            Syntax::Json
        } else {
            Syntax::Yaml
        };
        match syntax {
            Syntax::Json => {
                let (head, body) = text.split_at(text.len() - start.len());
                let first_line = head.matches('\n').count();
                Self { documents: vec![Document { head, body, first_line, syntax }] }
            }
            Syntax::Yaml => Self { documents: split_yaml(text) },
        }
    }
}

/// Splits at lines that begin with `---`. No scalar can hold such a line: YAML forbids it at the start of a line everywhere
/// (YAML 1.2.2, 9.1.2, c-forbidden).
fn split_yaml(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut head = "";
    let (mut start, mut first_line) = (0, 0);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if let Some(rest) = rest {
            if offset > 0 {
                documents.push(Document { head, body: &text[start..offset], first_line, syntax: Syntax::Yaml });
            }
            // Content may stand on the separator's own line; then that line is part of the body.
            let rest = rest.trim();
            let is_bare = rest.is_empty() || rest.starts_with('#');
            let end = if is_bare { offset + line.len() } else { offset };
            head = &text[offset..end];
            start = end;
            first_line = number + usize::from(is_bare);
        }
        offset += line.len();
    }
    documents.push(Document { head, body: &text[start..], first_line, syntax: Syntax::Yaml });
    documents
}

// === impl Document ===

impl Document<'_> {
    /// Its text as it stands in the file, separator included.
    pub fn text(&self) -> impl fmt::Display {
        let Self { head, body, first_line: _, syntax: _ } = self;
        fmt::from_fn(move |f| write!(f, "{head}{body}"))
    }

    /// What it says; null where it is empty.
    ///
    /// # Errors
    /// It is not YAML, or not JSON.
    pub fn parse(&self) -> Result<Value, SyntaxError> {
        match self.syntax {
            Syntax::Json => serde_json::from_str(self.body)
                .map_err(|error| self.error(error.line(), error.column(), error.to_string())),
            Syntax::Yaml => parse_yaml(self.body).map_err(|error| {
                let location = error.location();
                let at = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
                self.error(
                    at(location.map(|location| location.line())),
                    at(location.map(|location| location.column())),
                    without_location(&error.without_snippet().to_string()),
                )
            }),
        }
    }

    /// Where a value stands in the file, line and column from 1, by its JSON pointer from the document; where it is not there,
    /// where the nearest thing above it stands. `None` where the text cannot be walked.
    pub fn locate(&self, pointer: &str) -> Option<(usize, usize)> {
        let document = yamlpath::Document::new(self.body).ok()?;
        let mut tokens: Vec<String> =
            pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        loop {
            let route = super::edit::route(&tokens);
            if route.is_empty() {
                return Some((self.first_line + 1, 1));
            }
            let exact = document.query_exact(&route).ok().flatten();
            if let Some(feature) = exact.or_else(|| document.query_key_only(&route).ok()) {
                let (line, column) = feature.location.point_span.0;
                return Some((self.first_line + line + 1, column + 1));
            }
            tokens.pop();
        }
    }

    fn error(&self, line: usize, column: usize, message: String) -> SyntaxError {
        SyntaxError { line: self.first_line + line, column, message }
    }
}

pub(super) fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: MAX_YAML_EVENTS, max_nodes: MAX_YAML_EVENTS },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// The parser's message repeats its position, counted within the document.
fn without_location(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    message.split_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}
