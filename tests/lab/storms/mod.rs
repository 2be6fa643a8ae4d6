//! Storms: an upstream behind CoreDNS that stalls, or has too much to do, while many clients repeat their queries. More attempts can
//! keep a server busy with repetitions that nobody waits for any more. A short storm always runs; others, run by hand, write their
//! part of `docs/proof.md`.

mod claim;
mod storm;
mod table;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use muslin::policy::Profile;

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::proof::page;
use crate::lab::proof::pods::{Confs, Container};
use crate::lab::proof::{MEASURED, runs};
use crate::lab::world::World;
use claim::{Compared, recovers};
use storm::{Clients, Outcome, Storm};

pub(crate) const TESTS: Topic = tests![three_attempts_outlast_a_stall_and_ten_do_not];

/// Run by hand: `cargo test --test lab -- --ignored storms`.
pub(crate) const BY_HAND: Topic = tests![writes_the_storms_to_docs];

const LOADS: [f64; 4] = [0.25, 0.5, 0.67, 0.8];
const STALLS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
const OVERLOADS: [f64; 2] = [1.2, 2.0];

/// The highest load at which [`MEASURED`] outlasts every storm that Kubernetes' options outlast. Beyond it is the reason why that
/// profile is not the default.
const OUTLASTS_UP_TO: f64 = 0.25;

/// The upstream's room for waiting queries: a queue without end, and so little that what cannot be answered is dropped.
const ROOMS: [usize; 2] = [usize::MAX, 10];

/// Number of storms that run at the same time, of which each keeps an eighth of a processor busy.
const AT_ONCE: usize = 8;

/// Clients of several kinds in pods of their own, without muslin and with it.
struct Crowd<'w> {
    title: &'static str,
    kubernetes: Vec<Clients<'w>>,
    muslin: Vec<Clients<'w>>,
}

/// Two thirds of the capacity, a stall of a second, and the options of version 0.1.0 for pods that use musl alone.
fn three_attempts_outlast_a_stall_and_ten_do_not(world: &World) -> Result<()> {
    let _alone = page::turn();
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
    ensure!(
        three.found == three.lookups && recovers(default.recovered_after, three.recovered_after),
        "attempts:3 does not outlast the stall: {all}"
    );
    ensure!(ten.found * 4 < ten.lookups * 3 && ten.recovered_after.is_none(), "attempts:10 outlasts the stall: {all}");
    Ok(())
}

/// Writes the page before the check, so that it shows what does not hold.
fn writes_the_storms_to_docs(world: &World) -> Result<()> {
    let _alone = page::turn();
    let compared = measure(world, &Crowd::all(world)?, &every_storm(), runs()?)?;
    page::replace(page::Part::Storms, &table::page(&compared)?)?;
    let (expected, broken): (Vec<_>, Vec<_>) =
        compared.iter().filter(|each| each.is_worse()).partition(|each| each.storm.load > OUTLASTS_UP_TO);
    let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
    ensure!(broken.is_empty(), "{} storms are worse with {MEASURED}:\n{}", broken.len(), broken.join("\n"));
    ensure!(!expected.is_empty(), "{MEASURED} outlasts all storms, so nothing speaks against it as the default");
    Ok(())
}

/// Returns all storms of the page.
fn every_storm() -> Vec<Storm> {
    let of = |load, stall, room| Storm { load, stall, room, lookups_a_second: 50, lasts: Duration::from_secs(25) };
    let mut storms = Vec::new();
    for room in ROOMS {
        for stall in STALLS {
            storms.extend(LOADS.map(|load| of(load, stall, room)));
        }
        storms.extend(OVERLOADS.map(|load| of(load, Duration::ZERO, room)));
    }
    storms
}

/// Runs each storm over each crowd, without muslin's options and with them, one beside the other, as many times.
fn measure(world: &World, crowds: &[Crowd<'_>], storms: &[Storm], runs: usize) -> Result<Vec<Compared>> {
    let mut queue = VecDeque::new();
    for _ in 0..runs {
        for (crowd, Crowd { title: _, kubernetes, muslin }) in crowds.iter().enumerate() {
            for (storm, which) in storms.iter().enumerate() {
                queue.push_back((crowd, storm, false, which, kubernetes));
                queue.push_back((crowd, storm, true, which, muslin));
            }
        }
    }
    let queue = Mutex::new(queue);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((crowd, storm, is_muslin, which, clients)) = next else { return Ok(()) };
            let outcome = which.run(world, clients).with_context(|| format!("{which:?}"))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((crowd, storm, is_muslin, outcome));
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a storm panicked"))?)
    })?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcomes = |wanted: (usize, usize, bool)| -> Vec<Outcome> {
        let of = done.iter().filter(|(crowd, storm, is_muslin, _)| (*crowd, *storm, *is_muslin) == wanted);
        of.map(|(.., outcome)| *outcome).collect()
    };
    let mut compared = Vec::new();
    for (crowd, Crowd { title, .. }) in crowds.iter().enumerate() {
        for (number, storm) in storms.iter().enumerate() {
            let [kubernetes, muslin] = [false, true].map(|is_muslin| outcomes((crowd, number, is_muslin)));
            compared.push(Compared { crowd: title, storm: *storm, kubernetes, muslin });
        }
    }
    Ok(compared)
}

// === impl Crowd ===

impl<'w> Crowd<'w> {
    /// Returns the crowds of the page: musl alone, and as many clients of each of musl, glibc and Go, where each container of glibc
    /// has one of musl beside it.
    fn all(world: &'w World) -> Result<Vec<Self>> {
        let (musl, glibc, go) = (world.musl(|_| true)?, world.glibc()?, world.go()?);
        let profile = Profile::builtin(MEASURED)?;
        let of = |title, kinds: Vec<(_, Vec<_>)>| {
            let mut crowd = Self { title, kubernetes: Vec::new(), muslin: Vec::new() };
            for (program, resolvers) in kinds {
                let containers: Vec<Container> = resolvers.into_iter().map(Container::of).collect();
                let Confs { kubernetes, muslin } = Confs::of_pod(&profile, &containers, 1, None)?;
                crowd.kubernetes.push(Clients { program, options: kubernetes.line() });
                crowd.muslin.push(Clients { program, options: muslin.line() });
            }
            anyhow::Ok(crowd)
        };
        let mixed =
            vec![(musl, vec![musl.resolver]), (glibc, vec![glibc.resolver, musl.resolver]), (go, vec![go.resolver])];
        Ok(vec![of("musl", vec![(musl, vec![musl.resolver])])?, of("musl, glibc and Go", mixed)?])
    }
}
