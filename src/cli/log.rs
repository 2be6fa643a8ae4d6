//! The log of `muslin serve`, on standard error. Its lines are written by a thread of their own, many at once: whoever reads them may
//! be slow or gone, and no review waits for that.

use std::io::{self, BufWriter, IsTerminal as _, Stderr, Write};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How many lines wait for their reader before new ones are dropped: a few megabytes at most.
const LINES_WAITING: usize = 4096;

/// How long lines are gathered after others were written: to wake the writer for each, and to write each by itself, costs a review as
/// much as all else that muslin does.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Auto,
    Human,
    Json,
}

/// Writes lines together. The thread that it is used by flushes it when no more lines wait.
struct Gathered(BufWriter<Stderr>);

/// Logs what a filter lets through, until the guard is dropped; then what waits is written.
///
/// # Errors
/// The filter is none.
pub(super) fn start(filter: &str, format: LogFormat) -> anyhow::Result<WorkerGuard> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let is_terminal = io::stderr().is_terminal();
    let writer = Gathered(BufWriter::with_capacity(64 * 1024, io::stderr()));
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING).lossy(true).finish(writer);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Human => builder.with_ansi(is_terminal).init(),
        LogFormat::Auto if is_terminal => builder.with_ansi(true).init(),
        LogFormat::Auto | LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    // A panic is one line of the log like any other, and not text between them.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message = panic.payload_as_str().unwrap_or("panicked"), location);
    }));
    Ok(guard)
}

// === impl Gathered ===

impl Write for Gathered {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.write(lines)
    }

    #[expect(clippy::disallowed_methods, reason = "a thread of its own, none of the runtime's")]
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        sleep(PAUSE);
        Ok(())
    }
}
