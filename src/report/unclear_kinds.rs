//! The kinds of objects that seem to make pods, but not in a way that muslin knows.

use std::collections::BTreeMap;

use crate::text::Line;

/// The number of objects whose containers muslin does not understand, by kind.
#[derive(Debug, Default)]
pub struct UnclearKinds(BTreeMap<String, usize>);

// === impl UnclearKinds ===

impl Default for &UnclearKinds {
    fn default() -> Self {
        static NONE: UnclearKinds = UnclearKinds(BTreeMap::new());
        &NONE
    }
}

impl UnclearKinds {
    /// Counts one object for each kind.
    pub fn extend(&mut self, kinds: impl IntoIterator<Item = String>) {
        kinds.into_iter().for_each(|kind| *self.0.entry(kind).or_default() += 1);
    }

    /// Adds the numbers of another part of the run.
    pub fn add(&mut self, Self(other): Self) {
        other.into_iter().for_each(|(kind, count)| *self.0.entry(kind).or_default() += count);
    }

    /// Returns the numbers of objects by kind.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// Returns a sentence on them, if there are any. Without it, nothing found in them would look like nothing wrong.
    pub fn note(&self) -> Option<Line> {
        let count: usize = self.0.values().sum();
        let kinds = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (objects, kind) =
            (if count == 1 { "object" } else { "objects" }, if self.0.len() == 1 { "a kind" } else { "kinds" });
        (count > 0).then(|| Line::new(format!("{count} {objects} of {kind} muslin does not understand: {kinds}")))
    }
}
