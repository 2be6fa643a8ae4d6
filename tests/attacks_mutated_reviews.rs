//! Mutated reviews: real ones whose structure a seeded generator changes, given to the webhook's router in this process. None may panic,
//! be late, or get a patch that does not apply, that touches what muslin does not own, or that a second pass would change again.
//!
//! `cargo test --release --test attacks_mutated_reviews -- --ignored` tries a million. `MUSLIN_SEED=N` tries one, and prints it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test program that cannot run says why, and prints what it tried"
)]

mod attacks {
    pub(crate) mod mutation;
    pub(crate) mod oracle;
}

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use attacks::mutation::{Mutated, Seeds};
use attacks::oracle::Oracle;
use muslin::admission::Metrics;

/// The number of reviews in the default run, and with `--ignored`.
const SOME: u64 = 50_000;
const MANY: u64 = 1_000_000;

/// The most failures in the report of a run.
const FAILURES_SHOWN: usize = 20;

#[test]
fn mutated_reviews_do_no_harm() {
    run(0..SOME);
}

#[test]
#[ignore = "takes minutes, and wants --release"]
fn a_million_mutated_reviews_do_no_harm() {
    run(0..MANY);
}

fn run(seeds: std::ops::Range<u64>) {
    let seeds = match std::env::var("MUSLIN_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("MUSLIN_SEED is a number");
            println!("{}", Seeds::load().mutated(seed).review);
            seed..seed + 1
        }
        Err(_) => seeds,
    };
    let metrics = Arc::new(Metrics::default());
    let next = AtomicU64::new(seeds.start);
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let outcomes: Vec<Outcomes> = thread::scope(|scope| {
        let work = || {
            let (oracle, bases) = (Oracle::new(&metrics), Seeds::load());
            let mut outcomes = Outcomes::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return outcomes;
                }
                outcomes.add(seed, &oracle, &bases.mutated(seed));
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the oracle does not panic")).collect()
    });

    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for mut outcome in outcomes {
        outcome.counts.iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        failures.append(&mut outcome.failures);
    }
    println!("{counts:?}");
    let shown: Vec<&String> = failures.iter().take(FAILURES_SHOWN).collect();
    assert!(failures.is_empty(), "{} of {} reviews did harm:\n{shown:#?}", failures.len(), seeds.end - seeds.start);
    let text = metrics.text();
    assert!(!text.contains("muslin_panics_total") || text.contains("muslin_panics_total 0"), "{text}");
    if seeds.end - seeds.start > 1 {
        // A generator whose reviews are all rejected would show nothing.
        for outcome in ["changed", "unchanged", "rejected"] {
            assert!(counts.get(outcome).is_some_and(|count| *count * 50 > usize::try_from(seeds.end).unwrap_or(0)));
        }
    }
}

/// What became of some reviews.
#[derive(Default)]
struct Outcomes {
    counts: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Outcomes {
    fn add(&mut self, seed: u64, oracle: &Oracle, mutated: &Mutated) {
        match oracle.judge(mutated) {
            Ok(outcome) => *self.counts.entry(outcome).or_default() += 1,
            Err(failure) => self.failures.push(format!("seed {seed}: {failure}")),
        }
    }
}
