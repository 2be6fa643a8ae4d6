//! What the text of a shell, and programs that only start another, start. Must not know of images.

pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod wrappers;
