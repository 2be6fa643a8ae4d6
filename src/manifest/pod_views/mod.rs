//! A pod as part of an object: where each of its values stands in the object. A Deployment holds its pod in one piece; an Argo Workflow
//! holds containers here and DNS settings there. Rules and plans see a pod, findings and edits see the object.

mod pattern;
mod row;
mod search;
mod settings;
mod view;

pub(super) use pattern::matches;
pub(crate) use row::pods_of;
pub(super) use search::{Embedded, search};
pub(super) use settings::operations;
pub(crate) use view::is_in_spec;
pub use view::{ContainerView, PodView};
