//! The end of a command: its exit code, and the message on standard error.

use std::io;
use std::process::ExitCode;

use crate::text::Line;

/// Why a command ends with an exit code other than 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There are findings at or above `--fail-on`.
    Findings,
    /// The result is a finding that no level counts, such as names that a profile loses.
    Found(Line),
    /// The input or the arguments are wrong.
    Input(anyhow::Error),
    /// The arguments are wrong, and there is something to try.
    Usage(anyhow::Error, &'static str),
    /// A cluster, a registry, the network or the system failed.
    Outside(anyhow::Error),
    /// muslin in a pod has shown its message, and ended with this code.
    Shown(u8),
}

/// The end of a command: an error sets an exit code other than 0.
pub(super) type Outcome = Result<(), Failure>;

/// An error as it is shown.
pub(super) struct ErrorMessage {
    pub(super) text: Line,
    /// Something to try.
    pub(super) hint: Option<Line>,
}

// === impl Failure ===

impl Failure {
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Findings | Self::Found(_) => 1,
            Self::Input(_) | Self::Usage(..) => 2,
            Self::Outside(_) => 3,
            Self::Shown(code) => *code,
        })
    }

    /// Returns the message; `None` if it was shown before.
    pub(super) fn message(&self) -> Option<ErrorMessage> {
        Some(match self {
            Self::Findings => ErrorMessage::new("there are findings at or above --fail-on"),
            Self::Found(text) => ErrorMessage { text: text.clone(), hint: None },
            Self::Input(error) | Self::Outside(error) => ErrorMessage::of(error),
            Self::Usage(error, hint) => ErrorMessage { hint: Some(Line::new(*hint)), ..ErrorMessage::of(error) },
            Self::Shown(_) => return None,
        })
    }

    /// Returns the outcome of an error while writing to standard output. A closed pipe is no failure: the reader has enough.
    pub(super) fn output(error: io::Error) -> Outcome {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(Self::Outside(anyhow::Error::new(error).context("cannot write to standard output")))
    }
}

// === impl ErrorMessage ===

impl ErrorMessage {
    pub(super) fn new(text: impl Into<Line>) -> Self {
        Self { text: text.into(), hint: None }
    }

    /// Returns an error with its causes, without those that it already quotes.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_that_is_already_quoted_is_left_out() {
        let error = anyhow!("no such file").context("cannot read a: no such file").context("cannot connect");
        assert_eq!(ErrorMessage::of(&error).text, "cannot connect: cannot read a: no such file");
        assert_eq!(ErrorMessage::of(&anyhow!("b").context("c")).text, "c: b");
    }

    #[test]
    fn a_cause_cannot_add_a_line() {
        let error = anyhow!("b\nerror: c").context("a\u{1b}[2J");
        assert_eq!(ErrorMessage::of(&error).text, "a\\u{1b}[2J: b\\nerror: c");
    }
}
