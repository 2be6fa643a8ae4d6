//! The interface of an output format for programs. Findings are written one after another, so none is kept in memory, and each on its
//! own, so many can be formatted at once.

use super::located_finding::LocatedFinding;
use super::summary::{FileTally, RunTotals};
use super::unread::Unread;
use crate::text::Block;

/// An output format for findings.
pub trait Format: Sync {
    /// Returns the text before the first finding.
    fn head(&self) -> Block {
        Block::default()
    }

    /// Formats one finding.
    fn finding(&self, finding: &LocatedFinding<'_>) -> Block;

    /// Formats text that was not read as an entry among the findings of its file; empty if the format has no such entries.
    fn unread(&self, _unread: &Unread) -> Block {
        Block::default()
    }

    /// Returns the text before and after the entries of one file.
    fn around(&self, _file: &FileTally<'_>) -> (Block, Block) {
        (Block::default(), Block::default())
    }

    /// Returns the text between two findings.
    fn separator(&self) -> &'static str {
        ""
    }

    /// Returns the text after the last finding.
    fn tail(&self, _run: &RunTotals<'_>) -> Block {
        Block::default()
    }
}
