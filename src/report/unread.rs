//! Text that was not read, or that kubectl reads otherwise than it seems.

use crate::manifest::Position;
use crate::text::Line;

/// Text of a file that was not read, or that kubectl reads otherwise than it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The consequence.
    pub severity: Severity,
    /// The file; `-` is standard input.
    pub file: String,
    /// The place in the file, if the file was opened.
    pub at: Option<Position>,
    /// The reason. Without a place, the message names the file.
    pub message: String,
    /// Something to try.
    pub hint: Option<String>,
}

/// The consequence of unread text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text is no manifest, or does not have to be one.
    Note,
    /// kubectl reads the text otherwise than it seems, which counts as a finding of level `warn`.
    Warning,
    /// The check is incomplete.
    Error,
}

// === impl Unread ===

impl Unread {
    /// Returns the message with its place, for people.
    pub fn line(&self) -> Line {
        match self.at {
            Some(at) => Line::new(format!("{}:{at}: {}", self.file, self.message)),
            None => Line::new(self.message.clone()),
        }
    }

    /// Returns a message of severity `Warning`, for people.
    pub fn warning(&self) -> Line {
        let at = self.at.map(|at| format!(":{at}")).unwrap_or_default();
        Line::new(format!("{}{at}: warning: {}", self.file, self.message))
    }

    /// Returns the message and the hint in one text, for formats without hints.
    pub(super) fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

// === impl Severity ===

impl Severity {
    /// Returns the name, as programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
