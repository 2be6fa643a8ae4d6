//! One storm: clients before a real CoreDNS whose upstream, a server of the laboratory, has a bounded capacity. Must not know which
//! options are compared.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::lab::coredns::CoreDns;
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::Program;
use crate::lab::server::Script;
use crate::lab::world::World;

/// A pod's search list: a lookup queries CoreDNS for four names, and CoreDNS its upstream for one.
const SEARCH: &str = "default.svc.cluster.local svc.cluster.local cluster.local";

/// The queries of a lookup that reach the upstream: A and AAAA.
const UPSTREAM_QUERIES: f64 = 2.0;

/// The time before the stall, to which the time after it is compared.
const STALLS_AFTER: Duration = Duration::from_secs(3);

/// A lookup takes some 20 ms on the quiet network, and a busy machine can delay it as long as this.
const QUICK: Duration = Duration::from_millis(500);

/// One storm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storm {
    /// The share of the upstream's capacity that lookups take, if each query is sent once.
    pub(super) load: f64,
    /// The time for which the upstream answers nothing; zero in an overload.
    pub(super) stall: Duration,
    /// Number of queries that may wait for the upstream; more are dropped.
    pub(super) room: usize,
    /// Number of lookups that all clients begin in a second.
    pub(super) lookups_a_second: u32,
    /// The time for which lookups begin.
    pub(super) lasts: Duration,
}

/// Clients of one kind: a program, and its options line.
#[derive(Clone, Debug)]
pub(super) struct Clients<'w> {
    pub(super) program: &'w Program,
    pub(super) options: String,
}

/// The end of a storm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) lookups: usize,
    /// Number of lookups that found an address.
    pub(super) found: usize,
    /// Time from the beginning of the stall until lookups are as quick as before; `None` if they never are.
    pub(super) recovered_after: Option<Duration>,
    /// Number of queries that reached the upstream.
    pub(super) queries: usize,
}

// === impl Storm ===

impl Storm {
    /// Lets clients of each kind look up names, all kinds as many.
    pub(super) fn run(&self, world: &World, crowd: &[Clients<'_>]) -> Result<Outcome> {
        let Self { load, stall, room, lookups_a_second, lasts } = *self;
        let lab = Lab::new(world)?;
        let capacity = f64::from(lookups_a_second) * UPSTREAM_QUERIES / load;
        let zone = Script::new().name("*.example.com", ["203.0.113.7", "2001:db8:9::7"]);
        let upstream = lab.server(server(1), zone.capacity(capacity, room))?;
        let _coredns = CoreDns::start(&lab, server(10), &[server(1)])?;
        upstream.forget();
        let kinds = u32::try_from(crowd.len())?;
        let stagger = Duration::from_secs(1) * kinds / lookups_a_second;
        let lookups = (lasts.as_millis() / stagger.as_millis()).try_into()?;
        let results = thread::scope(|scope| {
            let clients = crowd.iter().enumerate().map(|(kind, Clients { program, options })| {
                let lab = &lab;
                scope.spawn(move || {
                    let conf = format!("search {SEARCH}\nnameserver {}\noptions {options}\n", server(10));
                    let names: Vec<String> =
                        (0..lookups).map(|number| format!("k{kind}n{number}.example.com")).collect();
                    program.look_up_every(stagger, &lab.client(&conf)?, &names)
                })
            });
            let clients: Vec<_> = clients.collect();
            thread::sleep(STALLS_AFTER);
            upstream.stall(stall);
            let results = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
            results.collect::<Result<Vec<_>>>()
        })?;
        let begins = |number: usize| stagger.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        let slow = results.iter().flat_map(|found| found.iter().enumerate());
        let slow = slow.filter(|(_, found)| !found.succeeded() || found.took > QUICK);
        let slow_until = slow.map(|(number, _)| begins(number)).max().unwrap_or_default();
        // A slow lookup in the last second is no recovery.
        let is_over = slow_until + Duration::from_secs(1) < lasts;
        Ok(Outcome {
            lookups: results.iter().map(Vec::len).sum(),
            found: results.iter().flatten().filter(|found| found.succeeded()).count(),
            recovered_after: is_over.then(|| slow_until.saturating_sub(STALLS_AFTER)),
            queries: upstream.seen().len(),
        })
    }
}
