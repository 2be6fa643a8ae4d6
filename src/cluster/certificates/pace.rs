//! The pace at which muslin restores the CAs of a webhook configuration that something else changes: at once, and with growing pauses
//! when the other writer does not give in. Must not know how a configuration is written.

use std::time::Duration;

use tokio::time::Instant;

use super::certificate::Certificate;

/// The pause before the third write in a row; each further one is twice as long. The first two are written at once.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The time without another writer, beyond two pauses, after which the pauses begin anew.
const QUIET: Duration = Duration::from_secs(3);

/// The last write of the CAs of one configuration.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<LastWrite>);

#[derive(Debug)]
struct LastWrite {
    trusted: Vec<Certificate>,
    at: Instant,
    /// The time until the same CAs may be written again.
    pause: Duration,
}

// === impl Pace ===

impl Pace {
    /// Returns whether these CAs may be written now. CAs that differ from the last written ones always may.
    pub(super) fn allows(&self, trusted: &[&Certificate]) -> bool {
        self.repeated(trusted).is_none_or(|last| last.at.elapsed() >= last.pause)
    }

    /// Records that these CAs were written, and returns the pause until they may be written again.
    pub(super) fn wrote(&mut self, trusted: &[&Certificate]) -> Duration {
        let pause = match self.repeated(trusted) {
            Some(LastWrite { at, pause, .. }) if at.elapsed() < *pause * 2 + QUIET => {
                (*pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
            }
            _ => Duration::ZERO,
        };
        let trusted = trusted.iter().map(|certificate| (*certificate).clone()).collect();
        self.0 = Some(LastWrite { trusted, at: Instant::now(), pause });
        pause
    }

    /// Returns the last write if it was of the same CAs: then something else has changed them since.
    fn repeated(&self, trusted: &[&Certificate]) -> Option<&LastWrite> {
        self.0.as_ref().filter(|last| last.trusted.iter().eq(trusted.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::cluster::certificates::issue::CertificateSpec;

    fn authority() -> Certificate {
        CertificateSpec::new(vec!["muslin".to_owned()]).new_authority(Timestamp::now()).unwrap().certificate
    }

    /// Returns the number of writes in this time against a writer who reverts each at once, looked at every 10 ms.
    async fn writes(pace: &mut Pace, trusted: &[&Certificate], time: Duration) -> u32 {
        let end = Instant::now() + time;
        let mut writes = 0;
        while Instant::now() < end {
            if pace.allows(trusted) {
                pace.wrote(trusted);
                writes += 1;
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        writes
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_does_not_give_in_is_answered_ever_less_often() {
        let (authority, mut pace) = (authority(), Pace::default());
        assert_eq!(writes(&mut pace, &[&authority], Duration::from_secs(20)).await, 8);
        writes(&mut pace, &[&authority], Duration::from_secs(120)).await;
        assert_eq!(writes(&mut pace, &[&authority], PAUSE_MAX * 10).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_quiet_time_the_first_change_is_answered_at_once() {
        let (authority, mut pace) = (authority(), Pace::default());
        writes(&mut pace, &[&authority], Duration::from_secs(20)).await;
        tokio::time::advance(PAUSE_MAX).await;
        for _ in 0..5 {
            assert!(pace.allows(&[&authority]));
            assert_eq!(pace.wrote(&[&authority]), Duration::ZERO);
            tokio::time::advance(QUIET).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn other_cas_are_written_at_once() {
        let (old, new, mut pace) = (authority(), authority(), Pace::default());
        writes(&mut pace, &[&old], Duration::from_secs(20)).await;
        assert!(!pace.allows(&[&old]) && pace.allows(&[&old, &new]));
    }
}
