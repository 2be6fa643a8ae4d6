//! The pace at which policies are written anew for new images: an API server compiles each one, which takes it seconds. Must not know what
//! is written.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first write of several, and the longest one.
const PAUSE_MIN: Duration = Duration::from_secs(4);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// The pace of writes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The time of the last write, and the pause after it.
    last: Option<(Instant, Duration)>,
}

// === impl Pace ===

impl Pace {
    /// Returns whether new images may be written now.
    pub(super) fn allows(&self) -> bool {
        self.last.is_none_or(|(at, pause)| at.elapsed() >= pause)
    }

    /// Records a write: the pause doubles while one write follows another, and is short again after a quiet time.
    pub(super) fn wrote(&mut self) {
        let pause = match self.last {
            Some((at, pause)) if at.elapsed() < pause * 2 => (pause * 2).min(PAUSE_MAX),
            _ => PAUSE_MIN,
        };
        self.last = Some((Instant::now(), pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_new_images_are_written_ever_less_often() {
        let mut pace = Pace::default();
        let mut writes = 0;
        for _ in 0..1800 {
            if pace.allows() {
                pace.wrote();
                writes += 1;
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(writes, 20, "in half an hour");
        tokio::time::advance(PAUSE_MAX * 2).await;
        assert!(pace.allows());
        pace.wrote();
        tokio::time::advance(PAUSE_MIN).await;
        assert!(pace.allows(), "after a quiet time");
    }
}
