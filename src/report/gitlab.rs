//! Findings as a GitLab Code Quality report (docs.gitlab.com, "Code Quality report format"), which merge requests show beside the
//! changed lines.

use serde_json::json;

use super::fingerprint::fingerprint;
use super::format::Format;
use super::located_finding::LocatedFinding;
use super::summary::RunTotals;
use crate::policy::Level;
use crate::text::Block;

/// The format of one JSON array.
#[derive(Clone, Copy, Debug)]
pub struct Gitlab;

// === impl Gitlab ===

impl Format for Gitlab {
    fn head(&self) -> Block {
        Block::fixed("[\n")
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, rendered_in, finding, .. } = located;
        let severity = match finding.level {
            Level::Deny => "critical",
            Level::Warn => "major",
            Level::Info => "info",
        };
        // GitLab requires a line. In a file that was rendered to a stream, the line is unknown.
        let line = if rendered_in.is_some() { 1 } else { excerpt.start.line };
        Block::json(&json!({
            "description": format!("{}: {} (help: {})", located.owner(), finding.message, finding.help),
            "check_name": finding.rule.slug,
            "fingerprint": fingerprint(located),
            "severity": severity,
            "location": { "path": file, "lines": { "begin": line } },
        }))
    }

    fn separator(&self) -> &'static str {
        ",\n"
    }

    fn tail(&self, _run: &RunTotals<'_>) -> Block {
        Block::fixed("\n]\n")
    }
}
