//! A finding with its place in a file, as every format receives it.

use crate::manifest::Excerpt;
use crate::rules::Finding;

/// A finding and its place.
#[derive(Clone, Debug)]
pub struct LocatedFinding<'r> {
    /// The file; `-` is standard input.
    pub file: &'r str,
    /// The value to point at.
    pub excerpt: Excerpt<'r>,
    /// The object that holds the value.
    pub object: ObjectName<'r>,
    /// JSON pointer to the cause, or to where it is missing, from the object.
    pub path: &'r str,
    /// The finding.
    pub finding: &'r Finding,
    /// The reason why the container's resolver is known: `alpine:3.19 is musl 1.2.4 (assumed): …`.
    pub because: Option<String>,
    /// Number of earlier findings with the same rule, container and path.
    pub ordinal: u64,
    /// True if muslin fixed the cause.
    pub fixed: bool,
}

/// The name of a Kubernetes object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName<'r> {
    /// The kind.
    pub kind: &'r str,
    /// The namespace of the object, or the assumed one if the object has none.
    pub namespace: &'r str,
    /// The name.
    pub name: &'r str,
}

// === impl ObjectName ===

impl std::fmt::Display for ObjectName<'_> {
    /// Writes `Deployment shop/web`; without a namespace, `DNS settings controller`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, namespace, name } = self;
        match (*namespace, *name) {
            ("", "") => f.write_str(kind),
            ("", name) => write!(f, "{kind} {name}"),
            (namespace, name) => write!(f, "{kind} {namespace}/{name}"),
        }
    }
}
