//! A progress line on the terminal, for commands that take longer than a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::text::Line;

/// Time before the line appears.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two redraws.
const TICK: Duration = Duration::from_millis(100);

/// A progress line on standard error; hidden if that is no terminal.
pub(super) struct Progress {
    since: Instant,
    bar: Option<ProgressBar>,
}

// === impl Progress ===

impl Default for Progress {
    fn default() -> Self {
        Self { since: Instant::now(), bar: None }
    }
}

impl Progress {
    /// Runs `write`, which may print to the terminal, with the line hidden.
    pub(super) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows a message. `message` is called only if the line is visible.
    pub(super) fn advance(&mut self, message: impl FnOnce() -> Line) {
        if self.bar.is_none() && self.since.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(TICK);
            bar
        });
        if !bar.is_hidden() {
            bar.set_message(message().into_string());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
