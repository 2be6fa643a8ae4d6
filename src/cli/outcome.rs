//! The end of a command: its exit code, and the message on standard error.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::report::Human;

/// Why a command ends with an exit code other than 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There are findings at or above `--fail-on`.
    Findings,
    /// The input or the arguments are wrong.
    Input(anyhow::Error),
    /// A cluster, a registry, the network or the system failed.
    Outside(anyhow::Error),
}

/// The end of a command: an error sets an exit code other than 0.
pub(super) type Outcome = Result<(), Failure>;

// === impl Failure ===

impl Failure {
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Findings => 1,
            Self::Input(_) => 2,
            Self::Outside(_) => 3,
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings => f.write_str(&error_line("there are findings at or above --fail-on")),
            Self::Input(error) | Self::Outside(error) => f.write_str(&error_line(&error_text(error))),
        }
    }
}

/// Returns the human format for a stream: in colour if the stream shows it, cut to its width if it is a terminal.
pub(super) fn human(stream: &(impl anstream::stream::RawStream + AsFd)) -> Human {
    let in_colour = anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never;
    let width = terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0));
    Human::new(in_colour, width)
}

/// Returns an error with its causes, without those that it already quotes.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Formats an error message for standard error.
pub(super) fn error_line(message: &str) -> String {
    let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
    format!("{style}error{style:#}: {message}")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_that_is_already_quoted_is_left_out() {
        let error = anyhow!("no such file").context("cannot read a: no such file").context("cannot connect");
        assert_eq!(error_text(&error), "cannot connect: cannot read a: no such file");
        assert_eq!(error_text(&anyhow!("b").context("c")), "c: b");
    }
}
