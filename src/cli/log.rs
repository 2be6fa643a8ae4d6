//! The log of `muslin serve`, on standard error. A thread of its own writes the lines: a slow or blocked reader delays no review, and
//! lines that do not fit in the queue are dropped and counted. So are many lines of one kind.

mod fields;
mod short_lines;
mod throttle;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use fields::fields;
use short_lines::{LineFormat, ShortLines};
use throttle::Throttle;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Auto,
    Human,
    Json,
}

/// The running log. When it is dropped, the queued lines are written.
pub(super) struct Log {
    guard: Option<WorkerGuard>,
    dropped: ErrorCounter,
    /// The lines dropped by the throttle.
    throttled: Arc<AtomicU64>,
}

/// The most lines that wait for their reader, each of at most 1 KiB.
const QUEUE_MAX: usize = 2048;

/// The longest wait for the reader when the process ends.
const FLUSH_MAX: Duration = Duration::from_millis(1500);

/// Starts to log what the filter lets through.
///
/// # Errors
/// The filter is invalid.
pub(super) fn start(filter: &str, format: LogFormat) -> anyhow::Result<Log> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let is_terminal = io::stderr().is_terminal();
    let is_human = match format {
        LogFormat::Human => true,
        LogFormat::Auto => is_terminal,
        LogFormat::Json => false,
    };
    let (lines, mut log) = write_to(io::stderr());
    let throttle = Throttle::default();
    log.throttled = throttle.dropped();
    let registry = tracing_subscriber::registry().with(filter).with(throttle);
    if is_human {
        let lines = ShortLines::new(lines, LineFormat::Text);
        let layer = tracing_subscriber::fmt::layer().fmt_fields(fields());
        registry.with(layer.with_ansi(is_terminal).with_writer(lines)).init();
    } else {
        let lines = ShortLines::new(lines, LineFormat::Json);
        registry.with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(lines)).init();
    }
    // A panic is logged as one line, not printed between the lines.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(message = panic.payload_as_str().unwrap_or("panicked"), location);
    }));
    Ok(log)
}

/// Returns a writer whose lines a thread of its own writes on.
fn write_to(reader: impl Write + Send + 'static) -> (NonBlocking, Log) {
    let builder = NonBlockingBuilder::default().thread_name("log").lossy(true).buffered_lines_limit(QUEUE_MAX);
    // The thread flushes whenever the queue is empty, so that a busy server writes many lines at once.
    let (lines, guard) = builder.finish(BufWriter::new(reader));
    let dropped = lines.error_counter();
    (lines, Log { guard: Some(guard), dropped, throttled: Arc::default() })
}

// === impl Log ===

impl Log {
    /// Returns a function that returns the number of dropped lines.
    pub(super) fn dropped_lines(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let Self { guard: _, dropped, throttled } = self;
        let (dropped, throttled) = (dropped.clone(), Arc::clone(throttled));
        move || dropped.dropped_lines() as u64 + throttled.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let guard = self.guard.take();
        let (sender, flushed) = mpsc::channel();
        // The guard itself prints to standard output if the queue is full, which may be blocked as well.
        let dropping = thread::Builder::new().name("log-end".to_owned()).spawn(move || {
            drop(guard);
            let _ = sender.send(());
        });
        if dropping.is_ok() {
            let _ = flushed.recv_timeout(FLUSH_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use tracing_subscriber::fmt::MakeWriter as _;

    use super::*;

    #[test]
    fn writes_every_line_of_many_threads_whole() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, log) = write_to(writer);
        let sent: BTreeSet<_> =
            ["a", "b", "c"].iter().flat_map(|name| (0..500).map(move |n| format!("{name} {n}"))).collect();
        thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let (lines, sent) = (&lines, &sent);
                scope.spawn(move || {
                    for line in sent.iter().filter(|line| line.starts_with(name)) {
                        lines.make_writer().write_all(format!("{line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(log);
        drop(lines);
        let read = io::read_to_string(reader).unwrap();
        assert_eq!(read.lines().count(), sent.len());
        assert_eq!(read.lines().map(str::to_owned).collect::<BTreeSet<_>>(), sent);
    }

    #[test]
    fn a_blocked_reader_delays_neither_lines_nor_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, log) = write_to(writer);
        let started = Instant::now();
        let line = [b'x'; 1000];
        let sent = 3 * QUEUE_MAX;
        for _ in 0..sent {
            lines.make_writer().write_all(&line).unwrap();
        }
        let dropped = log.dropped_lines()();
        assert!(dropped as usize > sent / 3, "{dropped} of {sent} lines were dropped");
        drop(log);
        assert!(started.elapsed() < FLUSH_MAX + Duration::from_secs(5));
        drop(reader);
    }

    #[test]
    fn a_closed_reader_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, log) = write_to(writer);
        drop(reader);
        lines.make_writer().write_all(b"unread\n").unwrap();
        drop(log);
    }
}
