//! A change to a document, and why it cannot be made.

use serde_json::Value;

use crate::manifest::fingerprint::Place;

/// A member of a map, and the value that it should have.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) map: Place,
    pub(super) key: String,
    /// The new value; `None` if the member is removed.
    pub(super) new: Option<Value>,
}

/// Why a document cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The patch does not fit the document.
    #[error("the change does not apply: {0}")]
    Patch(#[from] json_patch::PatchError),
    /// A part of the document is nested too deep to be changed.
    #[error("the part to change is nested too deep")]
    Depth(#[from] serde_json::Error),
    /// The value is shared with other places by an anchor.
    #[error("other places share the value through an anchor (&) and an alias (*); write it out for this pod")]
    Shared,
    /// The style of the document is not understood.
    #[error("the place to change is written in a way that muslin cannot edit; write it with a key on each line")]
    Style,
}
