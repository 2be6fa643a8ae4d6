//! Manifest files: streams of YAML or JSON documents, the objects in them with their pods and pod templates, and edits that keep
//! layout and comments. Works on text in memory; must not know of files or of the cluster.

mod builder;
mod edit;
mod fingerprint;
mod flow_tabs;
mod json;
mod json_writer;
mod lines;
mod node;
mod objects;
mod parse_error;
mod scalar;
mod stream;
mod tree;
mod yaml;
mod yaml_errors;

pub use edit::{Changes, Edit, EditError};
pub use lines::{Excerpt, Lines, Position};
pub use node::Node;
pub use objects::{Object, objects};
pub use stream::{Document, Stream, SyntaxError};
pub use tree::{Remark, RemarkKind, Tree};

#[cfg(test)]
mod tests;
