//! Large reviews, off the threads that serve connections and on a bounded number of others, so that no review delays a small one. Must
//! not know what a review is about.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout_at};

/// The bytes of a body from which a review is large. An ordinary review has 4 to 12 KiB, and a large one may take 50 ms.
const LARGE: usize = 48 * 1024;

/// The large reviews that are worked on at the same time. The others wait, until their time is over.
pub(super) const AT_ONCE: usize = 2;

/// The threads for large reviews.
#[derive(Debug)]
pub(super) struct LargeReviews(Semaphore);

/// The time of a large review was over before its turn came.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("other large objects are being reviewed, and there was no time left for this one; try again")]
pub(super) struct NoTurn;

// === impl LargeReviews ===

impl Default for LargeReviews {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl LargeReviews {
    /// Does a part of the work of a review whose body has so many bytes.
    ///
    /// # Errors
    /// The review is large, and its turn does not come by the deadline.
    pub(super) async fn run<T>(&self, bytes: usize, deadline: Instant, work: impl FnOnce() -> T) -> Result<T, NoTurn> {
        if bytes < LARGE {
            return Ok(work());
        }
        let _turn = match self.0.try_acquire() {
            Ok(turn) => turn,
            Err(_) => timeout_at(deadline, self.0.acquire()).await.ok().and_then(Result::ok).ok_or(NoTurn)?,
        };
        // A runtime with one thread, such as that of a test, has no other to go on.
        Ok(match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(work),
            _ => work(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_small_review_is_answered_while_large_ones_are_worked_on() {
        let reviews = Arc::new(LargeReviews::default());
        let mut large = Vec::new();
        let (began, begins) = channel();
        for _ in 0..AT_ONCE {
            let (end, ends) = channel::<()>();
            let (reviews, began) = (Arc::clone(&reviews), began.clone());
            let work = move || {
                began.send(()).unwrap();
                ends.recv()
            };
            let run = async move { reviews.run(LARGE, Instant::now() + Duration::from_secs(60), work).await };
            large.push((tokio::spawn(run), end));
        }
        tokio::task::block_in_place(|| (0..AT_ONCE).for_each(|_| begins.recv().unwrap()));
        assert_eq!(reviews.run(LARGE - 1, soon(), || 1).await.unwrap(), 1);
        assert!(reviews.run(LARGE, soon(), || 1).await.is_err(), "a third large one must wait");
        for (task, end) in large {
            end.send(()).unwrap();
            task.await.unwrap().unwrap().unwrap();
        }
        assert_eq!(reviews.run(LARGE, soon(), || 1).await.unwrap(), 1);
    }
}
