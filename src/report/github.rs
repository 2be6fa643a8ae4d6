//! Findings as GitHub's workflow commands, which become annotations of a pull request. Escaped like GitHub's own toolkit
//! (actions/toolkit `packages/core/src/command.ts`, `escapeData` and `escapeProperty`), after text from outside was made lines: the
//! runner gives the annotation's text back its line breaks.

use super::format::Format;
use super::located_finding::LocatedFinding;
use crate::policy::Level;
use crate::text::{Block, Line};

/// The format `::warning file=…,line=…::…`.
#[derive(Clone, Copy, Debug)]
pub struct Github;

// === impl Github ===

impl Format for Github {
    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, object, path: _, finding, because: _, ordinal: _, fixed: _ } = located;
        let command = match finding.level {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Info => "notice",
        };
        let container = finding.container.as_deref().map(|name| format!(", container {name}")).unwrap_or_default();
        let message = Line::new(format!("{object}{container}: {}", finding.message));
        let message = format!("{message}\n{}", Line::new(format!("help: {}", finding.help)));
        Block::rendered(format!(
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}\n",
            escape_property(&Line::new((*file).to_owned())),
            excerpt.start.line,
            excerpt.end.line,
            excerpt.start.column,
            excerpt.end.column,
            escape_property(&format!("muslin: {}", finding.rule.slug)),
            escape_data(&message),
        ))
    }
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
