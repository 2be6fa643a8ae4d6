//! The error of every parser of documents. Must not know of files.

/// Why the content of a document cannot be parsed, and the byte offset of the error in it.
#[derive(Debug)]
pub(super) struct ParseError {
    pub(super) offset: usize,
    pub(super) message: String,
}
