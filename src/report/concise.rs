//! Findings as one line each, as editors and `grep` read them.

use super::format::Format;
use super::located_finding::LocatedFinding;
use crate::text::Block;

/// The format `FILE:LINE:COLUMN: LEVEL[RULE] OBJECT: MESSAGE`.
#[derive(Clone, Copy, Debug)]
pub struct Concise;

// === impl Concise ===

impl Format for Concise {
    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { finding, fixed, .. } = located;
        let (place, owner, level) = (located.place(), located.owner(), finding.level.name());
        let fixed = if *fixed { " (fixed)" } else { "" };
        let mut block = Block::default();
        block.push_line(format!("{place}: {level}[{}] {owner}: {}{fixed}", finding.rule.slug, finding.message));
        block
    }
}
