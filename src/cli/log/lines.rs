//! Lines on their way to whoever reads them. They are gathered in memory and written by one thread, so that the ones who log wait
//! neither for the reader nor for each other's writing.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait for their reader before new lines are dropped.
const BYTES_WAITING: usize = 2 << 20;

/// How long lines are gathered after others were written: to wake the writer for each, and to write each by itself, would cost a
/// review as much as all else that muslin does.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the end of the program waits for a reader that takes no lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines are written to.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

/// Lines are written as long as this lives, and those that wait then.
pub(in crate::cli) struct Writing {
    lines: Lines,
    ended: Receiver<()>,
}

#[derive(Default)]
pub(super) struct Shared {
    waiting: Mutex<Waiting>,
    /// To wake the writer, which sleeps where nothing waits.
    something: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    is_over: bool,
    writer_sleeps: bool,
}

// === impl Lines ===

impl Lines {
    /// # Errors
    /// The system has no thread left.
    pub(super) fn write_to(&self, reader: impl Write + Send + 'static) -> anyhow::Result<Writing> {
        let (sender, ended) = mpsc::channel();
        let shared = Arc::clone(&self.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                shared.write_all_to(reader);
                drop(sender);
            })
            .context("cannot start the thread that writes the log")?;
        Ok(Writing { lines: self.clone(), ended })
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Shared;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

// === impl Shared ===

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is over and nothing waits.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, none of the runtime's")]
    fn write_all_to(&self, mut reader: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.waiting();
            while waiting.lines.is_empty() && !waiting.is_over {
                waiting.writer_sleeps = true;
                waiting = self.something.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.writer_sleeps = false;
            std::mem::swap(&mut waiting.lines, &mut taken);
            let dropped = std::mem::take(&mut waiting.dropped);
            let is_over = waiting.is_over;
            drop(waiting);
            if dropped > 0 {
                tracing::warn!(dropped, "the log's reader was too slow for all lines");
            }
            if taken.is_empty() {
                return;
            }
            // Where the reader is gone there is nobody to tell.
            let _ = reader.write_all(&taken).and_then(|()| reader.flush());
            taken.clear();
            if !is_over {
                thread::sleep(PAUSE);
            }
        }
    }
}

impl Write for &Shared {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > BYTES_WAITING {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        let is_to_wake = std::mem::take(&mut waiting.writer_sleeps);
        drop(waiting);
        if is_to_wake {
            self.something.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Writing ===

impl Drop for Writing {
    fn drop(&mut self) {
        self.lines.0.waiting().is_over = true;
        self.lines.0.something.notify_one();
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lines_of_many_threads_arrive_whole_and_all() {
        let lines = Lines::default();
        let (reader, writer) = io::pipe().unwrap();
        let writing = lines.write_to(writer).unwrap();
        let said: BTreeSet<_> =
            ["a", "b", "c"].iter().flat_map(|name| (0..1000).map(move |n| format!("{name} {n}"))).collect();
        thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let (lines, said) = (&lines, &said);
                scope.spawn(move || {
                    for line in said.iter().filter(|line| line.starts_with(name)) {
                        lines.make_writer().write_all(format!("{line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(writing);
        let read = io::read_to_string(reader).unwrap();
        assert_eq!(read.lines().count(), said.len());
        assert_eq!(read.lines().map(str::to_owned).collect::<BTreeSet<_>>(), said);
    }

    #[test]
    fn a_reader_that_takes_nothing_keeps_nobody_waiting() {
        let lines = Lines::default();
        let (reader, writer) = io::pipe().unwrap();
        let writing = lines.write_to(writer).unwrap();
        let line = [b'x'; 1000];
        let said = 3 * BYTES_WAITING / line.len();
        for _ in 0..said {
            lines.make_writer().write_all(&line).unwrap();
        }
        assert!(lines.0.waiting().lines.len() <= BYTES_WAITING);
        let dropped = lines.0.waiting().dropped;
        assert!(dropped as usize > said / 3, "{dropped} of {said} lines were dropped");
        drop(writing);
        drop(reader);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let lines = Lines::default();
        let (reader, writer) = io::pipe().unwrap();
        let writing = lines.write_to(writer).unwrap();
        drop(reader);
        lines.make_writer().write_all(b"to nobody\n").unwrap();
        drop(writing);
        assert!(lines.0.waiting().lines.is_empty());
    }
}
