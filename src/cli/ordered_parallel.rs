//! Parallel work with results in the order of the jobs, and a bounded number of results in memory.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Batches of results that may wait per thread while an earlier batch takes longer: enough that a large file among small ones does
/// not leave threads idle for long, few enough that memory does not grow with the number of jobs.
const WAITING_EACH: usize = 4;

/// The most jobs in a batch. A job may take less time than waking a thread for it, so jobs are handed over in batches.
const BATCH_MAX: usize = 32;

/// A batch has one job for each `BATCH_GROWTH` jobs before it, so that few jobs, which may be large, use all threads.
const BATCH_GROWTH: usize = 16;

/// Runs `work` on each job in a number of threads, and calls `take` with the results in the order of the jobs until it breaks.
pub(super) fn map_in_order<J: Send, R: Send>(
    threads: usize,
    mut jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> R + Sync,
    mut take: impl FnMut(R) -> ControlFlow<()>,
) {
    let (queue, waiting) = mpsc::sync_channel::<(Vec<J>, SyncSender<Vec<R>>)>(threads);
    let (order, results) = mpsc::sync_channel::<Receiver<Vec<R>>>(threads * WAITING_EACH);
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        // Each batch has a channel for its results; the receivers are queued in the order of the jobs.
        scope.spawn(move || {
            let mut count = 0;
            loop {
                let batch: Vec<J> = jobs.by_ref().take((count / BATCH_GROWTH).clamp(1, BATCH_MAX)).collect();
                count += batch.len();
                let (answer, result) = mpsc::sync_channel(1);
                if batch.is_empty() || order.send(result).is_err() || queue.send((batch, answer)).is_err() {
                    return; // no more jobs, or `take` broke
                }
            }
        });
        let (waiting, work) = (&waiting, &work);
        for _ in 0..threads {
            scope.spawn(move || {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((batch, answer)) = next() {
                    // The receiver is gone once `take` breaks.
                    let _ = answer.send(batch.into_iter().map(work).collect());
                }
            });
        }
        // A batch without results panicked; the scope propagates the panic.
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
    fn results_are_in_the_order_of_the_jobs() {
        let mut results = Vec::new();
        // Early jobs take longest.
        let work = |job: u32| (0..(300 - job) * 100).fold(job, |sum, step| std::hint::black_box(sum ^ step ^ step));
        map_in_order(4, 0..300, work, |result| {
            results.push(result);
            ControlFlow::Continue(())
        });
        assert_eq!(results, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn stops_when_take_breaks() {
        let mut results = Vec::new();
        map_in_order(
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
