//! Work on many threads, its results in the order of the work, and never more of it at hand than a few pieces a thread.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many batches of results may wait, for each thread, while an earlier one takes longer: enough that a large file among small
/// ones keeps nobody idle for long, and few enough that memory does not depend on how much work there is.
const WAITING_EACH: usize = 4;

/// How much is handed over at once, at most: a job may take less time than waking a thread for it.
const BATCH_MAX: usize = 32;

/// Of how many jobs before it a batch has as many as one: few jobs are spread over all threads, for they may be large.
const BATCH_GROWTH: usize = 16;

/// Does `work` on each of `jobs` in so many threads, and hands the results on in the order of the jobs, until `take` has enough.
pub(super) fn in_order<J: Send, R: Send>(
    threads: usize,
    mut jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> R + Sync,
    mut take: impl FnMut(R) -> ControlFlow<()>,
) {
    let (queue, waiting) = mpsc::sync_channel::<(Vec<J>, SyncSender<Vec<R>>)>(threads);
    let (order, results) = mpsc::sync_channel::<Receiver<Vec<R>>>(threads * WAITING_EACH);
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        // Each batch has a channel for its results; the order of their receiving ends is the order of the jobs.
        scope.spawn(move || {
            let mut count = 0;
            loop {
                let batch: Vec<J> = jobs.by_ref().take((count / BATCH_GROWTH).clamp(1, BATCH_MAX)).collect();
                count += batch.len();
                let (answer, result) = mpsc::sync_channel(1);
                if batch.is_empty() || order.send(result).is_err() || queue.send((batch, answer)).is_err() {
                    return; // there is no more, or nobody wants it
                }
            }
        });
        let (waiting, work) = (&waiting, &work);
        for _ in 0..threads {
            scope.spawn(move || {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((batch, answer)) = next() {
                    // The receiver is gone once `take` has enough.
                    let _ = answer.send(batch.into_iter().map(work).collect());
                }
            });
        }
        // A batch without results has panicked; the scope passes that on.
        for result in results.into_iter().flat_map(|results| results.recv().unwrap_or_default()) {
            if take(result).is_break() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_come_in_the_order_of_the_jobs() {
        let mut results = Vec::new();
        // Early jobs take longest.
        let work = |job: u32| (0..(300 - job) * 100).fold(job, |sum, step| std::hint::black_box(sum ^ step ^ step));
        in_order(4, 0..300, work, |result| {
            results.push(result);
            ControlFlow::Continue(())
        });
        assert_eq!(results, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn stops_when_it_is_told_to() {
        let mut results = Vec::new();
        in_order(
            2,
            0..,
            |job: u64| job,
            |result| {
                results.push(result);
                if result == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!(results, [0, 1, 2, 3, 4, 5]);
    }
}
