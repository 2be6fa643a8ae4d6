//! Shows on a terminal that something goes on, once it has gone on for a while.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long a command may take before somebody wants to know why.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// A line on standard error; nothing where that is no terminal.
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
    /// Does something that may write to the terminal, with the line out of the way.
    pub(super) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows how far it has come, in words that are asked for only where somebody sees them.
    pub(super) fn advance(&mut self, message: impl FnOnce() -> String) {
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
            bar.set_message(message());
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
