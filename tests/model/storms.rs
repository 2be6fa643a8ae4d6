//! Many clients before a CoreDNS whose upstream has a bounded capacity and stalls once: which options turn a stall into a storm of
//! repeated queries that the upstream never works off.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::claim::simulate;
use crate::faults::{NAME, SEARCH};
use crate::network::{Loss, Network, Server};
use crate::servers::{Bounded, CoreDns, Zone};
use crate::stubs::{Question, Stub};

/// One storm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// The lookups a second; each asks the upstream for A and AAAA.
    pub(crate) lookups_a_second: u32,
    /// The share of the upstream's capacity that they take.
    pub(crate) load: f64,
    pub(crate) stall: Duration,
    /// The queue's length, beyond which the upstream drops queries.
    pub(crate) room: usize,
}

/// The end of a storm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) found: usize,
    pub(crate) lookups: usize,
    /// The time from the beginning of the stall until lookups are as quick as before it; `None` where they never are.
    pub(crate) recovered_after: Option<Duration>,
}

/// The time for which lookups begin.
const LASTS: Duration = Duration::from_secs(30);
const STALLS_AT: Duration = Duration::from_secs(5);
const LATENCY: Duration = Duration::from_millis(1);
/// A lookup on the quiet network takes 12 ms.
const QUICK: Duration = Duration::from_millis(100);

/// A part of the clients, with the options in its pods' resolv.conf.
#[derive(Clone, Copy)]
pub(crate) struct Clients<'s> {
    pub(crate) stub: &'s Stub,
    pub(crate) options: &'s [&'s str],
}

/// Lets clients look up under a storm, each lookup with the next of `population`.
pub(crate) fn run(population: &[Clients<'_>], storm: Storm) -> Outcome {
    simulate(async {
        let start = Instant::now();
        let stall = (start + STALLS_AT, start + STALLS_AT + storm.stall);
        let rate = f64::from(storm.lookups_a_second * 2) / storm.load;
        let upstream = Rc::new(Bounded::new(Zone::healthy(NAME), rate as u32, storm.room, stall));
        let core_dns: Rc<dyn Server> =
            Rc::new(CoreDns { cluster_domain: "cluster.local".into(), upstream, latency: LATENCY });
        let found = Rc::new(Cell::new(0));
        let slowest = Rc::new(Cell::new(start));
        let lookups = storm.lookups_a_second * LASTS.as_secs() as u32;
        let mut running = Vec::new();
        for number in 0..lookups {
            let begin = start + Duration::from_secs(1) / storm.lookups_a_second * number;
            let Clients { stub, options } = population[number as usize % population.len()];
            let options = std::iter::once("ndots:5").chain(options.iter().copied()).map(str::to_owned).collect();
            let (look_up, resolver, deadline) = (stub.look_up, stub.resolver, stub.deadline);
            let question = Question { name: NAME.into(), search: SEARCH.map(str::to_owned).to_vec(), options };
            let (core_dns, found, slowest) = (Rc::clone(&core_dns), Rc::clone(&found), Rc::clone(&slowest));
            running.push(tokio::task::spawn_local(async move {
                sleep_until(begin).await;
                let network = Network::new(vec![core_dns], Loss::None, NAME);
                let limit = deadline.unwrap_or(Duration::from_secs(600));
                let result = timeout(limit, look_up(&network, &question, resolver)).await.unwrap_or_default();
                if result.any() {
                    found.set(found.get() + 1);
                }
                if !result.any() || begin.elapsed() > QUICK {
                    slowest.set(slowest.get().max(begin));
                }
            }));
        }
        for lookup in running {
            let _ = lookup.await;
        }
        // A lookup that began in the last second and was slow is no recovery.
        let slow_until = slowest.get();
        let recovered_after = (slow_until < start + LASTS - Duration::from_secs(1))
            .then(|| slow_until.saturating_duration_since(stall.0));
        Outcome { found: found.get(), lookups: lookups as usize, recovered_after }
    })
}

/// The shares of the upstream's capacity, the stalls in seconds, and the lengths of the queue. The hardest storms come first, because a
/// search ends at the first that a set of options does not outlast.
const LOADS: [f64; 4] = [0.8, 0.67, 0.5, 0.25];
const STALLS: [u64; 3] = [2, 1, 5];
const ROOMS: [usize; 2] = [usize::MAX, 300];

/// Returns every storm of the claim.
fn storms() -> impl Iterator<Item = Storm> {
    let of_load =
        |load| STALLS.into_iter().flat_map(move |stall| ROOMS.into_iter().map(move |room| (load, stall, room)));
    LOADS.into_iter().flat_map(of_load).map(|(load, stall, room)| Storm {
        lookups_a_second: 100,
        load,
        stall: Duration::from_secs(stall),
        room,
    })
}

/// Returns whether a population recovers from every storm from which `default` recovers, within 1.2 times the time, and finds as
/// many answers.
pub(crate) fn are_survived(default: &[Clients<'_>], population: &[Clients<'_>]) -> bool {
    storms().all(|storm| is_survived(run(default, storm), run(population, storm)))
}

fn is_survived(default: Outcome, with: Outcome) -> bool {
    let is_claimed = default.found * 100 >= default.lookups * 99;
    let is_as_quick = match (default.recovered_after, with.recovered_after) {
        (Some(default), Some(with)) => with <= default.mul_f64(1.2),
        (default, _) => default.is_none(),
    };
    !is_claimed || with.found >= default.found && is_as_quick
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stubs;

    /// Measured through CoreDNS 1.15.0 (shared/facts/harm.md): of 3,000 lookups.
    #[test]
    fn a_storm_begins_where_it_was_measured() {
        let all = stubs::all();
        let musl: Vec<&Stub> = all.iter().filter(|stub| stub.name == "musl 1.2.5").collect();
        let found = |options: &[&str], stall| {
            let storm =
                Storm { lookups_a_second: 100, load: 0.67, stall: Duration::from_secs(stall), room: usize::MAX };
            let population: Vec<Clients<'_>> = musl.iter().map(|stub| Clients { stub, options }).collect();
            run(&population, storm).found
        };
        assert_eq!(found(&[], 1), 3000);
        assert_eq!(found(&["attempts:3"], 1), 3000);
        assert_eq!(found(&["attempts:4"], 1), 3000);
        assert!(found(&["timeout:5", "attempts:10"], 1) < 1500);
        assert_eq!(found(&[], 2), 3000);
        assert_eq!(found(&["attempts:3"], 2), 3000);
        assert!(found(&["attempts:4"], 2) < 1500);
        assert!(found(&["timeout:5", "attempts:5"], 2) < 1500);
        assert!(found(&[], 5) < 1500);
    }

    /// The storms of docs/proof.md in which musl alone asks an upstream with a queue without end.
    #[test]
    fn the_storms_that_three_attempts_do_not_outlast_are_those_of_the_laboratory() {
        let all = stubs::all();
        let musl = all.iter().find(|stub| stub.name == "musl 1.2.5").unwrap();
        let clients = |options| [Clients { stub: musl, options }];
        let is_worse = |storm: &Storm| {
            let (default, with) = (run(&clients(&[]), *storm), run(&clients(&["attempts:3"]), *storm));
            storm.room == usize::MAX && !is_survived(default, with)
        };
        let worse: Vec<(f64, u64)> =
            storms().filter(is_worse).map(|storm| (storm.load, storm.stall.as_secs())).collect();
        assert_eq!(worse, [(0.8, 2), (0.67, 2)]);
    }

    /// Measured in the laboratory through CoreDNS 1.15.0 at 50 lookups a second: 1,500 of 1,500 found with Kubernetes' options, 254
    /// with `attempts:3`.
    #[test]
    fn three_attempts_do_not_outlast_a_stall_of_two_seconds_at_four_fifths_of_the_capacity() {
        let all = stubs::all();
        let musl = all.iter().find(|stub| stub.name == "musl 1.2.5").unwrap();
        let storm = Storm { lookups_a_second: 50, load: 0.8, stall: Duration::from_secs(2), room: usize::MAX };
        let found = |options: &[&str]| run(&[Clients { stub: musl, options }], storm).found;
        assert_eq!(found(&[]), 1500);
        assert!(found(&["attempts:3"]) < 500);
    }
}
