//! The fields of an event in a log for people. `tracing_subscriber` escapes terminal sequences in messages, but leaves them in fields
//! that are shown by `Display`, and line breaks in both (0.3.23 `fmt/format/mod.rs`, `record_debug`).

use std::fmt::{self, Debug};

use anstyle::Style;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::text::Line;

/// Returns a format in which each field is one line, whatever its value is.
pub(super) fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(write_field).delimited(" ")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = Line::new(format!("{value:?}"));
    match field.name() {
        "message" => write!(writer, "{value}"),
        // The module and the line of a record of the crate `log`.
        name if name.starts_with("log.") => Ok(()),
        name => {
            let (italic, dimmed) = match writer.has_ansi_escapes() {
                true => (Style::new().italic(), Style::new().dimmed()),
                false => (Style::new(), Style::new()),
            };
            write!(writer, "{italic}{name}{italic:#}{dimmed}={dimmed:#}{value}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what an event with a hostile text in each kind of field writes.
    fn written(in_colour: bool) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(fields()).with_ansi(in_colour);
        let layer = layer.with_writer(move || writer.clone());
        let text = "a\u{1b}[2J\n::error::b\u{9b}\u{202e}\u{2028}\u{e0041}";
        let error: &(dyn Error + 'static) = &io::Error::other(text);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(text, shown = %text, debug = ?[text], error, "{text}");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_value_leaves_its_line() {
        let line = written(false);
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!((&*Line::new(line.to_owned()), end), (line, "\n"));
        assert!(line.contains(" shown=a\\u{1b}[2J\\n::error::b\\u{9b}\\u{202e}\\u{2028}\\u{e0041} "), "{line}");
    }

    #[test]
    fn the_only_colours_are_our_own() {
        let coloured = written(true);
        assert!(coloured.contains("\u{1b}[3mshown\u{1b}[0m\u{1b}[2m=\u{1b}[0ma"), "{coloured:?}");
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        let message = |line: &str| line.split_once(' ').unwrap().1.to_owned();
        assert_eq!(message(&plain), message(&written(false)));
    }
}
