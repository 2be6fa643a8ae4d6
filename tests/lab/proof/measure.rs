//! Many lookups under faults at the same time: real resolvers against scripted servers, each pair of a fault and a resolv.conf at
//! addresses of its own. Must not know which figures are expected.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::fault::{DOMAIN, Fault, Prediction, SERVERS_MAX};
use super::pods::Conf;
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::{FinishedLookup, Program};
use crate::lab::world::World;

/// Number of measurements that run at the same time: those that wait longest, and those that wait least. The latter keep the
/// processor busy; with more of them, they would measure their wait for it.
const LONGEST_AT_ONCE: usize = 24;
const SHORTEST_AT_ONCE: usize = 4;

/// The wait for which a measurement without a prediction is sorted.
const UNPREDICTED: Duration = Duration::from_secs(15);

/// A measurement to make.
#[derive(Clone)]
pub(super) struct Task<'a> {
    pub(super) fault: &'a Fault,
    pub(super) program: &'a Program,
    pub(super) conf: Conf,
    pub(super) lookups: usize,
    pub(super) prediction: Option<Prediction>,
}

/// The result of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// By the number of the name, so that the same lookup of two measurements lost the same packets.
    pub(super) lookups: Vec<FinishedLookup>,
    /// Number of queries that reached a server.
    pub(super) queries: usize,
}

/// The identity of a measurement: fault, program and options line.
pub(super) type Key = (&'static str, String, String);

/// All results of one run.
pub(super) type Run = HashMap<Key, Measured>;

/// Makes all measurements, each once, working from both ends of the list sorted by duration.
pub(super) fn measure(world: &World, tasks: &[Task<'_>]) -> Result<Run> {
    let mut labs = HashMap::new();
    let mut addresses: HashMap<&str, u8> = HashMap::new();
    let mut queue: Vec<(u8, &Task<'_>)> = Vec::new();
    for task in tasks {
        if queue.iter().any(|(_, other)| other.key() == task.key()) {
            continue;
        }
        let title = task.fault.title;
        if !labs.contains_key(title) {
            labs.insert(title, Lab::new(world)?);
        }
        let next = addresses.entry(title).or_insert(1);
        queue.push((*next, task));
        *next = next.checked_add(SERVERS_MAX as u8).context("a laboratory has no more addresses")?;
    }
    queue.sort_by_key(|(_, task)| match task.prediction {
        Some(Prediction::Succeeds(time)) => time,
        Some(Prediction::Fails) | None => UNPREDICTED,
    });
    let queue = Mutex::new(VecDeque::from(queue));
    let done = Mutex::new(HashMap::new());
    let work = |longest_first: bool| -> Result<()> {
        loop {
            let mut left = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let next = if longest_first { left.pop_back() } else { left.pop_front() };
            drop(left);
            let Some((address, task)) = next else { return Ok(()) };
            let lab = labs.get(task.fault.title).context("a fault without a laboratory")?;
            let measured = task.run(lab, address).with_context(|| format!("{:?}", task.key()))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(task.key(), measured);
        }
    };
    thread::scope(|scope| {
        let longest = (0..LONGEST_AT_ONCE).map(|_| scope.spawn(|| work(true)));
        let shortest = (0..SHORTEST_AT_ONCE).map(|_| scope.spawn(|| work(false)));
        let workers: Vec<_> = longest.chain(shortest).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a measurement panicked"))?)
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

// === impl Task ===

impl Task<'_> {
    pub(super) fn key(&self) -> Key {
        (self.fault.title, self.program.title.clone(), self.conf.line())
    }

    fn run(&self, lab: &Lab<'_>, address: u8) -> Result<Measured> {
        let servers = self.fault.start(lab, [server(address), server(address + 1), server(address + 2)])?;
        let nameservers: String = servers.iter().map(|server| format!("nameserver {}\n", server.address())).collect();
        let search = match &self.conf.searches[..] {
            [] => String::new(),
            searches => format!("search {}\n", searches.join(" ")),
        };
        let client = lab.client(&format!("{search}{nameservers}options {}\n", self.conf.line()))?;
        let names: Vec<String> = (0..self.lookups).map(|number| format!("n{number}.{DOMAIN}")).collect();
        let lookups = self.program.look_up(&client, &names)?;
        Ok(Measured { lookups, queries: servers.iter().map(|server| server.seen().len()).sum() })
    }
}

// === impl Measured ===

impl Measured {
    /// Returns the number of lookups that found an address.
    pub(super) fn succeeded(&self) -> usize {
        self.lookups.iter().filter(|found| found.succeeded()).count()
    }

    /// Returns the number of lookups that found addresses of only one family.
    pub(super) fn halved(&self) -> usize {
        self.lookups.iter().filter(|found| matches!(found.families(), (0, 1..) | (1.., 0))).count()
    }

    pub(super) fn median(&self) -> Duration {
        self.rank(50)
    }

    pub(super) fn p99(&self) -> Duration {
        self.rank(99)
    }

    /// Returns the nearest rank: the 99th of 100.
    fn rank(&self, percent: usize) -> Duration {
        let mut times: Vec<Duration> = self.lookups.iter().map(|found| found.took).collect();
        times.sort_unstable();
        times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }
}
