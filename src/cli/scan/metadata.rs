//! The metadata of cluster objects that a scan reads: names, labels and owners.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::pod::Text;

/// An object, of which only the metadata is read.
#[derive(Deserialize)]
pub(super) struct NamedObject<'a> {
    #[serde(borrow)]
    pub(super) metadata: NamedMetadata<'a>,
}

/// The metadata of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamedMetadata<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// A reference to the object that made this one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference {
    #[serde(default)]
    api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(default)]
    controller: bool,
}

// === impl NamedMetadata ===

impl NamedMetadata<'_> {
    /// Returns the value of a label.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Returns the owner that controls the object.
    pub(super) fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

// === impl OwnerReference ===

impl OwnerReference {
    /// Returns the owner's API group; empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}
