//! A file as a stream of documents: splits the text and parses each document.

use std::convert::identity;
use std::fmt;
use std::ops::Range;

use super::builder::Builder;
use super::fingerprint::{self, Replaced};
use super::kubectl_refuses::{self, Before};
use super::lines::Position;
use super::parse_error::ParseError;
use super::tree::Tree;
use super::{json, yaml};

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
    /// kubectl reads the separator line as a part of the document.
    has_separator: bool,
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

// === impl Stream ===

impl<'t> Stream<'t> {
    /// Splits a text. If it is a sequence of JSON values, each value is a document.
    pub fn new(text: &'t str) -> Self {
        let start = text.len() - text.trim_start().len();
        let (mut documents, rest) =
            if text[start..].starts_with(['{', '[']) { split_json(text, start) } else { (Vec::new(), 0) };
        if rest < text.len() || documents.is_empty() {
            split_yaml(text, rest, &mut documents);
        }
        Self { documents }
    }
}

/// Splits the JSON values that follow each other from `start`, as `jq` and `kubectl` write them. Returns also where the rest begins, which
/// is not JSON: kubectl reads it as YAML, from the line below the last value if nothing follows the value on its line.
fn split_json(file: &str, start: usize) -> (Vec<Document<'_>>, usize) {
    let mut values = serde_json::Deserializer::from_str(&file[start..]).into_iter::<serde::de::IgnoredAny>();
    let mut documents = Vec::new();
    let mut end = 0;
    while let Some(Ok(_)) = values.next() {
        let next = start + values.byte_offset();
        let body = file[end..next].trim_start();
        let start = next - body.len();
        let head = &file[end..start];
        documents.push(Document { file, head, body, start, has_separator: false, syntax: Syntax::Json });
        end = next;
    }
    let Some(last) = documents.last_mut() else { return (documents, 0) };
    let rest = &file[end..];
    let content = rest.trim_start();
    end += match rest[..rest.len() - content.len()].find('\n') {
        _ if content.is_empty() => rest.len(),
        Some(newline) => newline + 1,
        None => rest.len() - content.len(),
    };
    last.body = &file[last.start..end];
    (documents, end)
}

/// Splits at lines that begin with `---`, from an offset, as `YAMLReader` of k8s.io/apimachinery does. No scalar can hold such a line with
/// nothing behind the dashes: YAML forbids it at the start of a line everywhere (YAML 1.2.2, 9.1.2, c-forbidden).
fn split_yaml<'t>(file: &'t str, from: usize, documents: &mut Vec<Document<'t>>) {
    let mut head = "";
    let (mut start, mut offset) = (from, from);
    // kubectl drops a separator that ends a document, and keeps one that follows nothing.
    let (mut has_separator, mut follows_nothing) = (false, true);
    for line in file[from..].split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            if offset > from {
                let body = &file[start..offset];
                documents.push(Document { file, head, body, start, has_separator, syntax: Syntax::Yaml });
            }
            // kubectl refuses content on that line: see `kubectl_refuses::separator`. It is part of the body.
            let rest = rest.trim();
            let is_bare = rest.is_empty() || rest.starts_with('#');
            let end = if is_bare { offset + line.len() } else { offset };
            head = &file[offset..end];
            start = end;
            has_separator = follows_nothing;
            follows_nothing = !follows_nothing;
        } else {
            follows_nothing = false;
        }
        offset += line.len();
    }
    documents.push(Document { file, head, body: &file[start..], start, has_separator, syntax: Syntax::Yaml });
}

// === impl Document ===

impl<'t> Document<'t> {
    /// Returns the text of the document in the file, separator included.
    pub fn text(&self) -> impl fmt::Display {
        let Self { head, body, file: _, start: _, has_separator: _, syntax: _ } = self;
        fmt::from_fn(move |f| write!(f, "{head}{body}"))
    }

    /// Parses the document; an empty document is null.
    ///
    /// # Errors
    /// The document is not valid YAML or JSON.
    pub fn parse(&self) -> Result<Tree<'t>, SyntaxError> {
        self.build(self.body, identity)
            .map(Builder::finish)
            .map_err(|ParseError { offset, message }| SyntaxError { at: self.position(offset), message })
    }

    /// Returns the fingerprint of a text in the syntax of the document; `None` if it is not valid.
    pub(super) fn fingerprint(&self, content: &str) -> Option<u64> {
        // Without aliases, merged maps and repeated keys it takes no tree.
        let folded = self.build(content, Builder::folding).ok().and_then(|builder| builder.fingerprint());
        let of_tree = || {
            let tree = self.build(content, identity).ok()?.finish();
            Some(fingerprint::of_tree(&tree, &Replaced::default()))
        };
        folded.or_else(of_tree)
    }

    fn build<'c>(&self, content: &'c str, with: fn(Builder<'c>) -> Builder<'c>) -> Result<Builder<'c>, ParseError> {
        let builder = || Ok(with(Builder::new(content, self.syntax == Syntax::Json)?));
        match self.syntax {
            Syntax::Json => json::parse(content, builder()?),
            Syntax::Yaml => {
                kubectl_refuses::separator(content)?;
                match first_line(content) {
                    None => {
                        kubectl_refuses::between(content, 0..content.len(), Before::Line)?;
                        builder()
                    }
                    Some((offset, line)) if ends_document(line) => self.nothing(builder()?, content, offset),
                    Some(_) => yaml::parse(content, builder),
                }
            }
        }
    }

    /// Reads a document that ends before it begins: kubectl refuses it without its separator, and does not read what follows.
    fn nothing<'c>(
        &self,
        mut builder: Builder<'c>,
        content: &'c str,
        offset: usize,
    ) -> Result<Builder<'c>, ParseError> {
        if !self.has_separator {
            let message = "kubectl refuses `...` before a document begins; delete this line";
            return Err(ParseError { offset, message: message.into() });
        }
        let end = offset + "...".len();
        if first_line(&content[end..]).is_some() {
            builder.remark_unread(end);
        }
        Ok(builder)
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

/// Returns the first line that is neither blank nor a comment, and its offset.
fn first_line(content: &str) -> Option<(usize, &str)> {
    let mut offset = 0;
    for line in content.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            return Some((offset, line));
        }
        offset += line.len();
    }
    None
}

fn ends_document(line: &str) -> bool {
    line.strip_prefix("...").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
