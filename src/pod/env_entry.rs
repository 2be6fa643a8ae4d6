//! One entry of a container's `env`, as written in the pod. Must not know which variables matter.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::objects_only::deserialize_objects_only;
use super::text::Text;

/// One of `env`. The value is parsed only if the variable matters, because unescaping would copy it.
#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub(super) struct Variable<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) value: Option<&'a RawValue>,
    /// The reference that the value comes from.
    #[serde(borrow, default)]
    pub(super) value_from: Option<&'a RawValue>,
}

deserialize_objects_only! { Variable }
