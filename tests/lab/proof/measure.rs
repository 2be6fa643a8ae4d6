//! Many lookups under faults at the same time: real resolvers against scripted servers, each pair of a fault and a resolv.conf at
//! its own address. Must not know which figures are expected.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use muslin::pod::ResolvConf;
use muslin::resolver::Resolver;

use super::fault::{DOMAIN, Fault, Names, Prediction};
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::{FinishedLookup, Program};
use crate::lab::world::World;

/// Number of measurements that run at the same time: those that wait longest, and those that wait least. The latter keep the
/// processor busy; with more of them, they would measure their wait for it.
const LONGEST_AT_ONCE: usize = 18;
const SHORTEST_AT_ONCE: usize = 6;

/// A measurement to make.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) fault: &'a Fault,
    pub(super) program: &'a Program,
    pub(super) conf: &'a ResolvConf,
    pub(super) lookups: usize,
    pub(super) prediction: Option<Prediction>,
}

/// The result of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) lookups: usize,
    /// Number of lookups that found an address.
    pub(super) succeeded: usize,
    /// Number of lookups that found addresses of only one family, of names with both.
    pub(super) halved: usize,
    pub(super) median: Duration,
    pub(super) p99: Duration,
    /// Number of queries that reached a server.
    pub(super) queries: usize,
}

/// The identity of a measurement: fault, resolver and options line.
pub(super) type Key = (&'static str, Resolver, String);

/// All results.
pub(super) type Measurements = HashMap<Key, Measured>;

/// Makes all measurements, each once, working from both ends of the list sorted by duration.
pub(super) fn measure(world: &World, tasks: &[Task<'_>]) -> Result<Measurements> {
    let mut labs = HashMap::new();
    let mut addresses: HashMap<&str, u8> = HashMap::new();
    let mut queue = Vec::new();
    for task in tasks {
        if queue.iter().any(|(_, other): &(_, &Task<'_>)| other.key() == task.key()) {
            continue;
        }
        let title = task.fault.title;
        if !labs.contains_key(title) {
            labs.insert(title, Lab::new(world)?);
        }
        let next = addresses.entry(title).or_insert(1);
        queue.push((*next, task));
        *next = next.checked_add(2).context("a laboratory has no more addresses")?;
    }
    queue.sort_by_key(|(_, task)| match task.prediction {
        Some(Prediction::Succeeds(time)) => time,
        Some(Prediction::Fails) | None => Duration::from_secs(15),
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
        (self.fault.title, self.program.resolver, self.conf.options.join(" "))
    }

    fn run(&self, lab: &Lab<'_>, address: u8) -> Result<Measured> {
        let servers = self.fault.start(lab, [server(address), server(address + 1)])?;
        let nameservers: Vec<String> =
            servers.iter().map(|server| format!("nameserver {}\n", server.address())).collect();
        let ResolvConf { searches, options, .. } = self.conf;
        let client = lab.client(&format!(
            "search {}\n{}options {}\n",
            searches.join(" "),
            nameservers.concat(),
            options.join(" ")
        ))?;
        let names: Vec<String> = (0..self.lookups).map(|number| format!("n{number}.{DOMAIN}")).collect();
        let found = self.program.look_up(&client, &names)?;
        let queries = servers.iter().map(|server| server.seen().len()).sum();
        Ok(Measured::of(&found, queries, self.fault.names == Names::Both))
    }
}

// === impl Measured ===

impl Measured {
    fn of(found: &[FinishedLookup], queries: usize, has_both: bool) -> Self {
        let mut times: Vec<Duration> = found.iter().map(|found| found.took).collect();
        times.sort_unstable();
        // The nearest rank: the 99th of 100.
        let rank = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
        Self {
            lookups: found.len(),
            succeeded: found.iter().filter(|found| found.succeeded()).count(),
            halved: found.iter().filter(|found| has_both && matches!(found.families(), (0, 1..) | (1.., 0))).count(),
            median: rank(50),
            p99: rank(99),
            queries,
        }
    }
}
