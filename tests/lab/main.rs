//! The laboratory: DNS faults made on purpose, in network namespaces of its own, and real resolvers that meet them. Nothing of
//! the machine is touched but a cache folder: the namespaces are held by file descriptors and the programs die with the threads
//! that started them, so that nothing is left however a run ends. Needs root on Debian; `tools` installs the rest.
//!
//! A case is a function in a file of this folder, named in that file's `TESTS`:
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
//! - [`server::Script`]: the names a server knows, then rules: `any()`, `a()`, `aaaa()`, narrowed by `.name("*.example.com")`,
//!   `.over(Udp)`, `.edns(true)`, `.nth(2)`, `.up_to(3)`, `.chance(0.05, seed)`; and what becomes of such a query: `Then::Drop`,
//!   `truth()`, `code(ServFail)`, `addresses(["198.18.0.4"])`, altered by `.after(delay)`, `.ttl(1)`, `.cut(Cut::Empty)`,
//!   `.wrong_id()`. Besides: `.tcp(…)`, `.edns(…)`, `.loses(0.05, seed)`, `.at_most_a_second(20)`, `.latency(…)`, `Script::dead()`.
//! - [`server::Server`]: `seen()` is every query it got, `follow(script)` changes its mind.
//! - [`network::Lab`]: servers at any `server(1)` to `server(254)`; `forward("udp dport 53 drop")` and every other nft rule,
//!   `balance(CLUSTER_DNS, &[…])`, `intercept(…)`, `race(…)`; `program(…)` runs what is a server itself.
//! - [`client::Client`]: `run(&Command)` runs any program, such as `muslin probe`, with the test's resolv.conf.
//! - [`resolvers::Program`]: a real resolver, `world.glibc()`, `world.go()`, `world.musls()`; `look_up(&client, &names)`.
//!
//! Most cases wait most of the time, so sixteen run at once unless `--test-threads` says otherwise.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod client;
mod coarse_clock;
mod coredns;
mod namespace;
mod network;
mod probe;
mod process;
mod proof;
mod resolvers;
mod scripted;
mod server;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use world::World;

/// How many tests run at once. They wait for packets that never come, not for a processor.
const TESTS_AT_ONCE: usize = 16;

type Test = fn(&World) -> Result<()>;

/// The tests of one file, by name.
type Topic = &'static [(&'static str, Test)];

const TOPICS: [Topic; 4] = [scripted::TESTS, coarse_clock::TESTS, coredns::TESTS, proof::TESTS];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    match World::new() {
        Ok(world) => libtest_mimic::run(&arguments, trials(Some(Arc::new(world)))).exit_code(),
        Err(error) => {
            eprintln!("cannot open the laboratory: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn trials(world: Option<Arc<World>>) -> Vec<Trial> {
    let trial = |(name, test): &(&'static str, Test)| {
        let (world, test) = (world.clone(), *test);
        Trial::test(*name, move || {
            let world = world.ok_or("the laboratory is closed")?;
            test(&world).map_err(|error| Failed::from(format!("{error:?}")))
        })
    };
    let always = TOPICS.iter().chain(&probe::TOPICS).flat_map(|topic| topic.iter()).map(trial);
    always.chain(proof::BY_HAND.iter().map(trial).map(|trial| trial.with_ignored_flag(true))).collect()
}
