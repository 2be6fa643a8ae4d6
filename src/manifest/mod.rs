//! Manifest files: streams of YAML or JSON documents, the objects in them with their pods and pod templates, and edits that keep
//! layout and comments. Works on text in memory; must not know of files or of the cluster.

mod edit;
mod inner_texts;
mod lines;
mod node;
mod objects;
mod pod_views;
mod stream;

pub use edit::{EditError, Edited};
pub use inner_texts::{InnerText, inner_span, inner_texts};
pub use lines::{Excerpt, Lines, Position};
pub use node::{Member, Node, NodeKind};
pub use objects::{Object, SETTINGS_KIND, objects};
pub use pod_views::{ContainerView, PodView};
pub(crate) use pod_views::{is_in_spec, pods_of};
pub use stream::{Document, Stream, SyntaxError};

#[cfg(test)]
mod tests;
