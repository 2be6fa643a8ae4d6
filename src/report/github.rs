//! Findings as GitHub's workflow commands, which become annotations of a pull request. Escaped like GitHub's own toolkit
//! (actions/toolkit `packages/core/src/command.ts`, `escapeData` and `escapeProperty`), after text from outside was made lines: the
//! runner gives the annotation's text back its line breaks.

use super::format::Format;
use super::located_finding::LocatedFinding;
use super::unread::{Severity, Unread};
use crate::policy::Level;
use crate::text::{Block, Line};

/// The format `::warning file=…,line=…::…`.
#[derive(Clone, Copy, Debug)]
pub struct Github;

// === impl Github ===

impl Format for Github {
    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, excerpt, rendered_in, finding, .. } = located;
        let command = match finding.level {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Info => "notice",
        };
        // In a file that was rendered to a stream, the line is unknown; GitHub then marks the file.
        let (place, rendered) = match rendered_in {
            None => (
                format!(
                    ",line={},endLine={},col={},endColumn={}",
                    excerpt.start.line, excerpt.end.line, excerpt.start.column, excerpt.end.column
                ),
                String::new(),
            ),
            Some(stream) => (String::new(), format!(" (rendered at {stream}:{})", excerpt.start)),
        };
        let message = Line::new(format!("{}: {}{rendered}", located.owner(), finding.message));
        let message = format!("{message}\n{}", Line::new(format!("help: {}", finding.help)));
        command_line(command, file, &place, finding.rule.slug, &message)
    }

    fn unread(&self, unread: &Unread) -> Block {
        let Unread { severity, file, at, .. } = unread;
        let (command, title) = match severity {
            Severity::Error => ("error", "not checked"),
            Severity::Warning => ("warning", "read otherwise"),
            Severity::Note => return Block::default(),
        };
        let place = at.map(|at| format!(",line={},col={}", at.line, at.column)).unwrap_or_default();
        let message: Vec<Line> = unread.text().lines().map(|line| Line::new(line.to_owned())).collect();
        command_line(command, file, &place, title, &message.join("\n"))
    }
}

/// Returns a command; `place` are further properties, and `message` consists of lines.
fn command_line(command: &str, file: &str, place: &str, title: &str, message: &str) -> Block {
    Block::rendered(format!(
        "::{command} file={}{place},title={}::{}\n",
        escape_property(&Line::new(file.to_owned())),
        escape_property(&format!("muslin: {title}")),
        escape_data(message),
    ))
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
