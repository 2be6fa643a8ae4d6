//! Manifest files: streams of YAML or JSON documents, the objects in them with their pods and pod templates, and edits that keep
//! layout and comments. Works on text in memory; must not know of files or of the cluster.

mod builder;
mod edit;
mod fingerprint;
mod flow_tabs;
mod inner_texts;
mod json;
mod json_writer;
mod kubectl_refuses;
mod lines;
mod node;
mod objects;
mod parse_error;
mod pod_views;
mod scalar;
mod stream;
mod tree;
mod yaml;
mod yaml_errors;

pub use edit::{Changes, Edit, EditError};
pub use inner_texts::{InnerText, inner_span, inner_texts};
pub use lines::{Excerpt, Lines, Position};
pub use node::Node;
pub use objects::{Object, SETTINGS_KIND, objects};
pub use pod_views::{ContainerView, PodView};
pub(crate) use pod_views::{is_in_spec, pods_of};
pub use stream::{Document, Stream, SyntaxError};
pub use tree::{Remark, RemarkKind, Tree};

#[cfg(test)]
mod tests;
