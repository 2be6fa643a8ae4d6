//! The annotations that muslin reads, and how much room the others leave: the API server refuses a pod whose annotations are
//! larger than a limit, so that what muslin adds must never be what exceeds it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Text;
use super::{IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION};

/// Set by a kubelet on the mirror of a static pod, which must not be changed
/// (kubernetes `pkg/apis/core/annotation_key_constants.go`, `MirrorPodAnnotationKey`).
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// How many bytes all keys and values of one object's annotations may have together
/// (kubernetes `staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go`, `TotalAnnotationSizeLimitB`).
const SIZE_LIMIT: usize = 256 * 1024;

/// The annotations that muslin reads.
#[derive(Debug, Hash)]
pub struct Annotations<'a> {
    /// [`INJECT_ANNOTATION`].
    pub inject: Option<Text<'a>>,
    /// [`IGNORE_ANNOTATION`].
    pub ignore: Option<Text<'a>>,
    /// [`RESOLVERS_ANNOTATION`].
    pub resolvers: Option<Text<'a>>,
    /// [`INJECTED_ANNOTATION`].
    pub injected: Option<Text<'a>>,
    /// [`WARNINGS_ANNOTATION`].
    pub warnings: Option<Text<'a>>,
    /// Whether this is the mirror of a static pod.
    pub mirror: bool,
    /// How many bytes the annotations that are not muslin's have, keys and values, counted as JSON writes them: never too few.
    pub others_size: usize,
}

// === impl Annotations ===

impl<'a> Annotations<'a> {
    /// Those of an object that has none.
    pub const NONE: Self = Self {
        inject: None,
        ignore: None,
        resolvers: None,
        injected: None,
        warnings: None,
        mirror: false,
        others_size: 0,
    };

    /// How many bytes muslin's own annotations may have, keys and values together.
    pub fn room(&self) -> usize {
        SIZE_LIMIT.saturating_sub(self.others_size)
    }

    fn read(&mut self, key: &str, value: &'a RawValue) -> Result<(), serde_json::Error> {
        let slot = match key {
            RESOLVERS_ANNOTATION => &mut self.resolvers,
            INJECTED_ANNOTATION => &mut self.injected,
            WARNINGS_ANNOTATION => &mut self.warnings,
            _ => {
                self.others_size += key.len() + value.get().len();
                self.mirror |= key == MIRROR_ANNOTATION;
                match key {
                    INJECT_ANNOTATION => &mut self.inject,
                    IGNORE_ANNOTATION => &mut self.ignore,
                    _ => return Ok(()),
                }
            }
        };
        *slot = serde_json::from_str(value.get())?;
        Ok(())
    }
}

/// The rules that a value of [`IGNORE_ANNOTATION`] names, in order.
pub fn ignored_rules(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ' ', '\t', '\n']).map(str::trim).filter(|slug| !slug.is_empty())
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;

        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut annotations = Annotations::NONE;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let value: &'de RawValue = map.next_value()?;
                    annotations
                        .read(&key, value)
                        .map_err(|error| A::Error::custom(format!("annotation {key}: {error}")))?;
                }
                Ok(annotations)
            }
        }

        deserializer.deserialize_map(AnnotationsVisitor)
    }
}
