//! Limits the lines of each kind, so that no client can fill the log: each place in the code that logs has a burst of lines, and then a
//! rate. Must not know what a line says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one kind at once.
const BURST: u32 = 20;

/// The time in which one more line of a kind is allowed.
const PAUSE: Duration = Duration::from_secs(1);

/// A layer that drops lines beyond the limits. Lines of the levels debug and trace have none: their reader asked for all of them.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    kinds: Mutex<HashMap<Identifier, Kind>>,
    dropped: Arc<AtomicU64>,
}

/// The lines of one place in the code.
#[derive(Debug)]
struct Kind {
    left: u32,
    counted_at: Instant,
}

// === impl Throttle ===

impl Throttle {
    /// Returns the number of dropped lines, which grows.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    fn allows(&self, kind: Identifier, now: Instant) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_insert(Kind { left: BURST, counted_at: now }).take(now)
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let is_allowed =
            *event.metadata().level() > Level::INFO || self.allows(event.metadata().callsite(), Instant::now());
        if !is_allowed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }
}

// === impl Kind ===

impl Kind {
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.counted_at).as_secs() / PAUSE.as_secs();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            self.counted_at = now;
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn many_lines_of_one_kind_are_dropped_and_counted_but_no_others() {
        let (throttle, lines) = (Throttle::default(), Lines::default());
        let dropped = throttle.dropped();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(throttle).with(layer), || {
            for number in 0..16_276 {
                tracing::warn!(number, "left a pod unchanged");
                tracing::debug!("asked for");
            }
            tracing::error!("another kind");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = |message: &str| text.lines().filter(|line| line.contains(message)).count();
        // A slow machine may earn some more lines.
        assert!((20..30).contains(&count("left a pod unchanged")), "{}", count("left a pod unchanged"));
        assert_eq!((count("asked for"), count("another kind")), (16_276, 1));
        assert_eq!(dropped.load(Ordering::Relaxed) as usize, 16_276 - count("left a pod unchanged"));
    }

    #[test]
    fn a_kind_earns_one_line_in_each_pause() {
        let start = Instant::now();
        let mut kind = Kind { left: BURST, counted_at: start };
        let mut allowed = |at: Duration| std::iter::repeat_with(|| kind.take(start + at)).take_while(|is| *is).count();
        assert_eq!(allowed(Duration::ZERO), 20);
        assert_eq!(allowed(PAUSE * 3), 3);
        assert_eq!(allowed(PAUSE * 1000), 20);
    }
}
