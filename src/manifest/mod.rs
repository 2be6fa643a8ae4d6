//! Manifest files: streams of YAML or JSON documents, the objects in them with their pods and pod templates, and edits that keep
//! layout and comments. Works on text in memory; must not know of files or of the cluster.

mod edit;
mod lines;
mod node;
mod objects;
mod stream;

pub use edit::{EditError, Edited};
pub use lines::{Excerpt, Lines, Position};
pub use node::{Member, Node, NodeKind};
pub use objects::{Object, objects};
pub use stream::{Document, Stream, SyntaxError};

#[cfg(test)]
mod tests;
