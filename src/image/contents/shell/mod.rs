//! The programs that a shell's text starts, and those that a program which only starts another one starts. Must not know of images.

pub(crate) mod builtins;
pub(crate) mod flow;
pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod wrappers;
