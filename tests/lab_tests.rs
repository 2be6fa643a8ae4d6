//! The laboratory: deliberate DNS faults in separate network namespaces, and real resolvers that meet them. The machine itself
//! stays unchanged except for a cache folder: file descriptors hold the namespaces, and the programs die with the threads that
//! started them, so that nothing remains however a run ends. Needs root on Debian; `lab/tools` installs the rest.
//!
//! A test is a function in a file of `lab/`, listed in that file's `TESTS`:
//!
//! ```ignore
//! fn musl_resends_after_half_its_timeout(world: &World) -> Result<()> {
//!     let lab = Lab::new(world)?;
//!     let script = Script::new().name("www.example.com", ["203.0.113.7"]).rule(any().nth(1), Then::Drop);
//!     let dns = lab.server(server(1), script)?;
//!     let client = lab.client(&format!("nameserver {}\n", dns.address()))?;
//!     let found = world.musl(|version| version < musl::TCP_SINCE)?.look_up_one(&client, "www.example.com")?;
//!     ensure!(found.took.as_secs_f64() > 2.4, "{found:?}");
//!     ensure!(dns.seen_of("www.example.com").len() == 3, "{:?}", dns.seen());
//!     Ok(())
//! }
//! ```
//!
//! - [`lab::server::Script`]: the names that a server knows, then rules: `any()`, `a()`, `aaaa()`, narrowed by `.name("*.example.com")`,
//!   `.over(Udp)`, `.edns(true)`, `.nth(2)`, `.up_to(3)`, `.chance(0.05, seed)`; and the reaction to such a query: `Then::Drop`,
//!   `truth()`, `code(ServFail)`, `addresses(["198.18.0.4"])`, altered by `.after(delay)`, `.ttl(1)`, `.cut(Cut::Empty)`,
//!   `.wrong_id()`. Also: `.tcp(…)`, `.edns(…)`, `.loses(0.05, seed)`, `.at_most_a_second(20)`, `.capacity(300.0, 10)`,
//!   `.latency(…)`, `Script::dead()`.
//! - [`lab::server::Server`]: `seen()` returns every query it received, `follow(script)` replaces its script, `stall(time)` stops it.
//! - [`lab::network::Lab`]: servers at any `server(1)` to `server(254)`; `forward("udp dport 53 drop")` and every other nft rule,
//!   `balance(CLUSTER_DNS, &[…])`, `intercept(…)`, `race(…)`; `program(…)` runs a real server.
//! - [`lab::client::Client`]: `run(&Command)` runs any program, such as `muslin probe`, with the test's resolv.conf.
//! - [`lab::resolvers::Program`]: a real resolver, `world.glibc()`, `world.go()`, `world.musls()`, or a program that brings one along,
//!   `world.programs()`; `look_up(&client, &names)`.
//!
//! Most tests wait most of the time, so sixteen run at once unless `--test-threads` sets another number.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod harness;
    pub(crate) mod schemas;
}

mod lab {
    pub(crate) mod client;
    pub(crate) mod coarse_clock;
    pub(crate) mod coredns;
    pub(crate) mod namespace;
    pub(crate) mod network;
    pub(crate) mod probe;
    pub(crate) mod process;
    pub(crate) mod proof;
    pub(crate) mod queries;
    pub(crate) mod resolvers;
    pub(crate) mod scripted;
    pub(crate) mod server;
    pub(crate) mod storms;
    pub(crate) mod world;
}

use std::process::ExitCode;

use anyhow::Result;
use common::harness::{self, Suite};
use lab::probe::{answers, getaddrinfo, healthy, libraries, losses, matrix, names, release, servers, watch};
use lab::world::World;
use lab::{coarse_clock, coredns, proof, queries, scripted, storms};
use libtest_mimic::Arguments;

/// Number of tests that run at once. They wait for packets that never come, not for a processor.
const TESTS_AT_ONCE: usize = 16;

type Test = fn(&World) -> Result<()>;
type Topic = harness::Topic<Test>;

const SUITE: Suite<Test> = Suite {
    topics: &[
        scripted::TESTS,
        coarse_clock::TESTS,
        coredns::TESTS,
        queries::TESTS,
        healthy::TESTS,
        servers::TESTS,
        losses::TESTS,
        answers::TESTS,
        names::TESTS,
        watch::TESTS,
        matrix::TESTS,
        getaddrinfo::TESTS,
        libraries::TESTS,
        // Last, as these keep the processor busy.
        proof::TESTS,
        proof::node_domain::TESTS,
        storms::TESTS,
    ],
    on_request: &[
        matrix::BY_HAND,
        release::BY_HAND,
        watch::BY_HAND,
        proof::BY_HAND,
        proof::node_domain::BY_HAND,
        storms::BY_HAND,
    ],
};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    SUITE.run(&arguments, World::new, |world, test| test(world))
}
