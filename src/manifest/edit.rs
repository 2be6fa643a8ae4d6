//! Applies patches to the text of a document and keeps its comments, order and layout: new values are put beside existing ones, in
//! their style, and the rest keeps every byte. The result is always parsed again and compared with the wanted value; if they
//! differ, the whole document is written anew, without comments.

mod editor;
mod layout;
mod writer;

use json_patch::Patch;
use serde_json::Value;

use super::node::Node;
use super::stream::{Document, Syntax, parse_yaml};

/// The text of a changed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text, separator included.
    pub text: String,
    /// True if comments and layout were kept.
    pub layout_kept: bool,
}

/// Why a document cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The patch does not fit the document.
    #[error("the change does not apply: {0}")]
    Patch(#[from] json_patch::PatchError),
    /// The changed document cannot be written as JSON.
    #[error("cannot write the document as JSON: {0}")]
    WriteJson(#[from] serde_json::Error),
    /// The changed document cannot be written as YAML.
    #[error("cannot write the document as YAML: {0}")]
    WriteYaml(#[from] serde_saphyr::SerializeError),
    /// The written text reads as another value than it should.
    #[error("cannot write the document: the written text reads differently")]
    ReadsDifferently,
}

// === impl Document ===

impl Document<'_> {
    /// Returns the document's text with patches applied, each to the value at a JSON pointer. `node` is the parsed document.
    ///
    /// # Errors
    /// A patch does not apply, or the result cannot be written.
    pub fn apply_patches(&self, node: &Node, patches: &[(String, Patch)]) -> Result<Edited, EditError> {
        let mut value = node.to_value();
        for (pointer, patch) in patches {
            if let Some(target) = value.pointer_mut(pointer) {
                json_patch::patch(target, patch)?;
            }
        }
        let reads_as_value = |text: &str| match self.syntax {
            Syntax::Json => serde_json::from_str::<Value>(text).is_ok_and(|read| read == value),
            Syntax::Yaml => parse_yaml(text).is_ok_and(|read| read == value),
        };
        if let Some(text) = editor::edit(self.body, self.syntax, node, &value).filter(|text| reads_as_value(text)) {
            return Ok(Edited { text: format!("{}{text}", self.head), layout_kept: true });
        }
        let text = match self.syntax {
            Syntax::Json => serde_json::to_string_pretty(&value)?,
            Syntax::Yaml => serde_saphyr::to_string(&value)?,
        };
        if !reads_as_value(&text) {
            return Err(EditError::ReadsDifferently);
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Ok(Edited { text: format!("{}{text}{end}", self.head), layout_kept: false })
    }
}
