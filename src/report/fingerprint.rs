//! The identity of a finding, for programs that compare two runs.

use std::hash::Hasher as _;

use fnv::FnvHasher;

use super::located_finding::LocatedFinding;

/// Returns a hash that stays the same when lines move or messages are reworded.
pub(super) fn fingerprint(located: &LocatedFinding<'_>) -> String {
    let LocatedFinding { file, excerpt: _, rendered_in: _, object, path, finding, because: _, ordinal, fixed: _ } =
        located;
    let container = finding.container.as_deref().unwrap_or_default();
    let mut hasher = FnvHasher::default();
    for part in [finding.rule.slug, file, object.kind, object.namespace, object.name, container, path] {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    hasher.write(&ordinal.to_le_bytes());
    format!("{:016x}", hasher.finish())
}
