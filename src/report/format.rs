//! The interface of an output format. Findings are written one after another, so none is kept in memory, and each on its own, so
//! many can be formatted at once.

use super::located_finding::LocatedFinding;
use super::summary::Summary;
use crate::text::Block;

/// An output format for findings.
pub trait Format: Sync {
    /// Returns the text before the first finding.
    fn head(&self) -> Block {
        Block::default()
    }

    /// Formats one finding.
    fn finding(&self, finding: &LocatedFinding<'_>) -> Block;

    /// Returns the text between two findings.
    fn separator(&self) -> &'static str {
        ""
    }

    /// Returns the text after the last finding.
    fn tail(&self, _summary: &Summary) -> Block {
        Block::default()
    }
}
