//! Findings as GitHub's workflow commands, which become annotations of a pull request. Escaped as GitHub's own toolkit does
//! (actions/toolkit `packages/core/src/command.ts`, `escapeData` and `escapeProperty`).

use super::{Format, Reported};
use crate::policy::Level;

/// Writes `::warning file=…,line=…::…`.
#[derive(Clone, Copy, Debug)]
pub struct Github;

// === impl Github ===

impl Format for Github {
    fn finding(&self, reported: &Reported<'_>) -> String {
        let Reported { file, place, object, path: _, finding, because: _, earlier: _, mended: _ } = reported;
        let command = match finding.level {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Info => "notice",
        };
        let container = finding.container.as_deref().map(|name| format!(", container {name}")).unwrap_or_default();
        let message = format!("{object}{container}: {}\nhelp: {}", finding.message, finding.help);
        format!(
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}\n",
            property(file),
            place.start.line,
            place.end.line,
            place.start.column,
            place.end.column,
            property(&format!("muslin: {}", finding.rule.slug)),
            data(&message),
        )
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
