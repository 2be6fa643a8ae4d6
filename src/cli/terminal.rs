//! Everything that commands print, apart from the log of `muslin serve`: results on standard output, messages on standard error. Prints
//! lines and blocks only, except for documents, which pass through as they are. `tests/floors.rs` keeps other files from printing.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::outcome::{ErrorMessage, Failure, Outcome};
use crate::report::Human;
use crate::rules::DocsUrl;
use crate::text::{Block, Line};

/// Standard output, for results that are written piece by piece.
pub(super) struct Results(io::BufWriter<io::StdoutLock<'static>>);

/// Standard error, for everything that is not a result.
pub(super) struct Messages(AutoStream<io::StderrLock<'static>>);

/// Prints a result, with its colours if standard output shows them.
pub(super) fn print(result: &Block) -> Outcome {
    let mut stdout = anstream::stdout().lock();
    ended(stdout.write_all(result.as_str().as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints a document, byte by byte as it is: a manifest of the user's, or a text of muslin's own.
pub(super) fn print_document(text: &[u8]) -> Outcome {
    ended(write_document(text))
}

/// Writes a document to standard output as [`print_document`] does, for a caller to whom a closed pipe is an error.
pub(super) fn write_document(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

fn ended(written: io::Result<()>) -> Outcome {
    match written {
        Ok(()) => Ok(()),
        Err(error) => Failure::output(error),
    }
}

/// Prints a note on standard error. If that is closed, the note is lost.
pub(super) fn note(text: &Line) {
    let _ = Messages::new().note(text);
}

/// Prints a message of another muslin on standard error, as it is. If that is closed, the message is lost.
pub(super) fn message(text: &Line) {
    let _ = Messages::new().line(text);
}

/// Prints the message of a failure. If standard error is closed, the message is lost.
pub(super) fn failure(failure: &Failure) {
    if let Some(message) = failure.message() {
        let _ = Messages::new().error(&message);
    }
}

/// Prints the message of a panic as that of any error: it may quote the input.
pub(super) fn print_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        let _ = Messages::new().error(&ErrorMessage::new(format!("muslin panicked{place}: {message}")));
    }));
}

/// Returns whether standard output shows colours.
pub(super) fn is_coloured() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Returns the width of the terminal that standard output is.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(&stdout)).flatten();
    size.map(|(width, _)| width.0.into())
}

// === impl Results ===

impl Results {
    pub(super) fn new() -> Self {
        Self(io::BufWriter::new(io::stdout().lock()))
    }

    /// Returns the human format: in colour if standard output shows it, cut to its width if it is a terminal.
    pub(super) fn human(docs: Option<DocsUrl>) -> Human {
        Human::new(is_coloured(), width(), docs)
    }

    pub(super) fn write(&mut self, result: &Block) -> io::Result<()> {
        self.0.write_all(result.as_str().as_bytes())
    }

    /// Writes a unified diff: byte by byte as it is for `git apply` and `patch`; on a terminal with everything escaped, and in colour if
    /// the terminal shows it.
    pub(super) fn write_diff(&mut self, diff: &str) -> io::Result<()> {
        let in_colour = is_coloured();
        if !in_colour && !io::stdout().is_terminal() {
            return self.0.write_all(diff.as_bytes());
        }
        let mut shown = Block::default();
        for line in diff.lines() {
            let colour = match line.as_bytes() {
                _ if !in_colour => None,
                [b'+', ..] => Some(AnsiColor::Green),
                [b'-', ..] => Some(AnsiColor::Red),
                [b'@', ..] => Some(AnsiColor::Cyan),
                _ => None,
            };
            let style = Style::new().fg_color(colour.map(Into::into));
            shown.push_styled(style, &Line::new(line.to_owned()));
            shown.push(&Block::fixed("\n"));
        }
        self.write(&shown)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

// === impl Messages ===

impl Messages {
    pub(super) fn new() -> Self {
        Self(anstream::stderr().lock())
    }

    /// Returns the human format: in colour if standard error shows it, cut to its width if it is a terminal.
    pub(super) fn human(docs: Option<DocsUrl>) -> Human {
        let stderr = io::stderr();
        let in_colour = AutoStream::choice(&stderr) != ColorChoice::Never;
        Human::new(in_colour, terminal_size::terminal_size_of(&stderr).map(|(width, _)| width.0.into()), docs)
    }

    pub(super) fn error(&mut self, ErrorMessage { text, hint }: &ErrorMessage) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        writeln!(self.0, "{style}error{style:#}: {text}")?;
        hint.as_ref().map_or(Ok(()), |hint| writeln!(self.0, "hint: {hint}"))
    }

    pub(super) fn warning(&mut self, text: &Line) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        writeln!(self.0, "{style}warning{style:#}: {text}")
    }

    pub(super) fn note(&mut self, text: &Line) -> io::Result<()> {
        writeln!(self.0, "note: {text}")
    }

    pub(super) fn line(&mut self, text: &Line) -> io::Result<()> {
        writeln!(self.0, "{text}")
    }

    pub(super) fn block(&mut self, text: &Block) -> io::Result<()> {
        self.0.write_all(text.as_str().as_bytes())
    }
}
