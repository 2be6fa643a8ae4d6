//! The annotations that muslin reads, and the room that the others leave. The API server denies a pod whose annotations exceed a limit,
//! and muslin's own must never cause that.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::keys::{
    DOCTOR_ANNOTATION, IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, POLICIES_ANNOTATION,
    RESOLVERS_ANNOTATION, ROLLOUT_KEY, WARNINGS_ANNOTATION, keep_unread,
};
use super::text::Text;

/// Annotation with the settings of a pod's Istio proxy, as YAML (istio.io, "DNS Proxying").
pub(crate) const ISTIO_CONFIG_ANNOTATION: &str = "proxy.istio.io/config";
/// Annotation that opts a pod of Istio's ambient mode out of the DNS proxy: `"false"` (istio.io, "DNS Proxying").
pub(crate) const AMBIENT_DNS_ANNOTATION: &str = "ambient.istio.io/dns-capture";

/// Annotation that a kubelet sets on the mirror of a static pod, which must not be changed
/// (kubernetes `pkg/apis/core/annotation_key_constants.go`, `MirrorPodAnnotationKey`).
pub(crate) const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// The API server's limit on all keys and values of one object's annotations, in bytes
/// (kubernetes `staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go`, `TotalAnnotationSizeLimitB`).
const SIZE_LIMIT: usize = 256 * 1024;

/// The annotations that muslin reads.
#[derive(Debug, PartialEq)]
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
    /// [`ROLLOUT_KEY`].
    pub rollout: Option<Text<'a>>,
    /// [`DOCTOR_ANNOTATION`].
    pub doctor: Option<Text<'a>>,
    /// `proxy.istio.io/config`.
    pub(super) istio_config: Option<Text<'a>>,
    /// `ambient.istio.io/dns-capture`.
    pub(super) ambient_dns_capture: Option<Text<'a>>,
    /// Is true for the mirror of a static pod.
    pub mirror: bool,
    /// The keys that begin with `muslin.dev/` and that nothing reads, some of them.
    pub(super) unread: Vec<Text<'a>>,
    /// The size of other annotations in bytes, keys and values, as JSON writes them: never too small.
    pub others_size: usize,
}

// === impl Annotations ===

impl<'a> Annotations<'a> {
    /// The annotations of an object without any.
    pub const NONE: Self = Self {
        inject: None,
        ignore: None,
        resolvers: None,
        injected: None,
        warnings: None,
        rollout: None,
        doctor: None,
        istio_config: None,
        ambient_dns_capture: None,
        mirror: false,
        unread: Vec::new(),
        others_size: 0,
    };

    /// Returns the keys that begin with `muslin.dev/`, those that nothing reads among them only in part.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let Self { inject, ignore, resolvers, injected, warnings, rollout, doctor, .. } = self;
        let known = [
            (INJECT_ANNOTATION, inject),
            (IGNORE_ANNOTATION, ignore),
            (RESOLVERS_ANNOTATION, resolvers),
            (INJECTED_ANNOTATION, injected),
            (WARNINGS_ANNOTATION, warnings),
            (ROLLOUT_KEY, rollout),
            (DOCTOR_ANNOTATION, doctor),
        ];
        let known = known.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key);
        known.chain(self.unread.iter().map(|key| &**key))
    }

    /// Returns the bytes that muslin's own annotations may have, keys and values together.
    pub fn room(&self) -> usize {
        SIZE_LIMIT.saturating_sub(self.others_size)
    }

    fn set(&mut self, key: &Text<'a>, value: &'a RawValue) -> Result<(), serde_json::Error> {
        let slot = match &**key {
            RESOLVERS_ANNOTATION => &mut self.resolvers,
            INJECTED_ANNOTATION => &mut self.injected,
            WARNINGS_ANNOTATION => &mut self.warnings,
            ROLLOUT_KEY => &mut self.rollout,
            _ => {
                self.others_size += key.len() + value.get().len();
                self.mirror |= &**key == MIRROR_ANNOTATION;
                match &**key {
                    INJECT_ANNOTATION => &mut self.inject,
                    IGNORE_ANNOTATION => &mut self.ignore,
                    DOCTOR_ANNOTATION => &mut self.doctor,
                    ISTIO_CONFIG_ANNOTATION => &mut self.istio_config,
                    AMBIENT_DNS_ANNOTATION => &mut self.ambient_dns_capture,
                    // Only the webhook's configuration reads it.
                    POLICIES_ANNOTATION => return Ok(()),
                    _ => {
                        keep_unread(&mut self.unread, key);
                        return Ok(());
                    }
                }
            }
        };
        *slot = serde_json::from_str(value.get())?;
        Ok(())
    }
}

/// Returns the rules that a value of [`IGNORE_ANNOTATION`] names, in order.
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
                        .set(&key, value)
                        .map_err(|error| A::Error::custom(format!("annotation {key}: {error}")))?;
                }
                Ok(annotations)
            }
        }

        deserializer.deserialize_map(AnnotationsVisitor)
    }
}
