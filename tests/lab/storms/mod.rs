//! Storms: an upstream behind CoreDNS that stalls, or has too much to do, while many clients repeat their queries. More attempts can
//! keep a server busy with repetitions that nobody waits for any more. A short storm always runs; others, run by hand, write their
//! part of `docs/proof.md`.

mod storm;

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::world::World;
use storm::{Clients, Outcome, Storm};

pub(crate) const TESTS: Topic = tests![three_attempts_outlast_a_stall_and_ten_do_not];

/// The factor by which recovery may take longer than with Kubernetes' options.
const LONGER: f64 = 1.2;

/// The time by which two recoveries of the same kind differ on a busy machine.
const NOISE: Duration = Duration::from_millis(500);

/// Two thirds of the capacity, a stall of a second, and the options of version 0.1.0 for pods that use musl alone.
fn three_attempts_outlast_a_stall_and_ten_do_not(world: &World) -> Result<()> {
    // A busy machine stalls by itself, so the claim is false if it fails twice.
    let check = || outlasts_a_stall(world);
    check().or_else(|first| check().with_context(|| format!("before: {first:#}")))
}

fn outlasts_a_stall(world: &World) -> Result<()> {
    let storm = Storm {
        load: 2.0 / 3.0,
        stall: Duration::from_secs(1),
        room: usize::MAX,
        lookups_a_second: 50,
        lasts: Duration::from_secs(12),
    };
    let musl = world.musl(|_| true)?;
    let options = ["ndots:5", "ndots:5 attempts:3", "ndots:5 timeout:5 attempts:10"];
    let [default, three, ten] = thread::scope(|scope| {
        let storms = options.map(|options| {
            let clients = Clients { program: musl, options: options.to_owned() };
            scope.spawn(move || storm.run(world, &[clients]))
        });
        storms.map(|storm| storm.join().map_err(|_| anyhow!("a storm panicked"))?)
    });
    let (default, three, ten) = (default?, three?, ten?);
    let all = format!("{default:?}, {three:?}, {ten:?}");
    ensure!(default.found == default.lookups, "Kubernetes' options do not outlast the stall: {all}");
    ensure!(three.found == three.lookups && recovers(default, three), "attempts:3 does not outlast the stall: {all}");
    ensure!(ten.found * 4 < ten.lookups * 3 && ten.recovered_after.is_none(), "attempts:10 outlasts the stall: {all}");
    Ok(())
}

/// Returns whether a storm is over about as soon as with Kubernetes' options.
fn recovers(default: Outcome, with: Outcome) -> bool {
    match (default.recovered_after, with.recovered_after) {
        (Some(default), Some(with)) => with <= default.mul_f64(LONGER) + NOISE,
        (default, _) => default.is_none(),
    }
}
