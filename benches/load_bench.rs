//! A closed-loop load benchmark of the webhook, over TLS on loopback: muslin, an echo server on the same stack, and a
//! Go webhook as tutorials write one, in turn and in one run, so that their ratios mean something on a noisy machine.
//!
//! ```text
//! cargo bench --bench load -- --help
//! ```
//!
//! This file reads the options and names the scenarios. It must not know what a webhook does with a review: it sees
//! servers as processes that answer bytes with bytes.

mod common {
    pub(crate) mod process;
    pub(crate) mod server;
}

mod load {
    pub(crate) mod baseline;
    pub(crate) mod client;
    pub(crate) mod echo;
    pub(crate) mod report;
}

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::common::process;
use crate::common::server::Server;
use crate::load::client::{self, Load, Target};
use crate::load::report::{self, Sample};
use crate::load::{baseline, echo};

/// The profile that muslin uses.
const PROFILE: &str = "default";

/// The end of the help text.
const EXAMPLES: &str = "\
Examples:
  cargo bench --bench load                                    # the three servers, 5 rounds, 16 connections
  cargo bench --bench load -- --connections 64 --rounds 9
  cargo bench --bench load -- --servers muslin,echo           # no Go needed
  cargo bench --bench load -- --before /tmp/muslin            # and an older muslin
  cargo bench --bench load -- --memory                        # resident memory before and after 100,000 reviews

The table goes to stdout, progress to stderr. benches/README.md says what each number means.";

/// Load muslin, an echo server on the same stack and a plain Go webhook with the same review, and compare them.
#[derive(Debug, Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --", after_help = EXAMPLES)]
struct Options {
    /// Keep-alive connections, each with one review in flight.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: Option<u16>,

    /// Rounds; in each, every server gets its turn.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// Reviews of one turn, at most.
    #[arg(long, value_name = "N")]
    reviews: Option<u64>,

    /// Length of one turn, at most.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,

    /// Unmeasured reviews before each turn.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    warm_up: u64,

    /// The number of templates: with 1, all pods are replicas of one Deployment; with 1000000, nearly every pod is of a new template.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    templates: u64,

    /// Threads of the load generator.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    client_threads: u16,

    /// Servers to compare.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = ["muslin", "echo", "walk", "baseline"])]
    servers: Vec<Kind>,

    /// Instead of comparing servers: muslin's resident memory, idle, before and after 100,000 reviews at 64
    /// connections (`--reviews`, `--connections` and `--seconds` change that).
    #[arg(long)]
    memory: bool,

    /// The review to post; `{target}` and the like are not expanded, the bytes go out as they are.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reviews/12k.json"),
          hide_default_value = true)]
    review: PathBuf,

    /// The muslin to measure [default: the one that this `cargo bench` built].
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_muslin"), hide_default_value = true)]
    muslin: PathBuf,

    /// Another muslin, such as the last release, to measure in the same run.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,

    /// Let the servers write to stderr; otherwise what they log is thrown away.
    #[arg(long)]
    server_logs: bool,

    /// Be the echo server: answer each review with this many bytes. The benchmark starts itself so.
    #[arg(long, value_name = "BYTES", hide = true)]
    serve_echo: Option<usize>,

    /// Be the echo server that walks over the JSON.
    #[arg(long, hide = true)]
    walk: bool,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// `muslin serve --standalone`.
    Muslin,
    /// The same with the program of `--before`.
    #[value(skip)]
    Before,
    /// A server on muslin's stack that reads as many bytes and answers as many.
    Echo,
    /// The same, but it walks over the JSON of the review.
    Walk,
    /// The Go webhook in `benches/baseline`.
    Baseline,
}

fn main() -> Result<()> {
    let options = Options::parse();
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok().context("a TLS provider is already set")?;

    if let Some(answer_bytes) = options.serve_echo {
        return echo::serve(answer_bytes, options.walk);
    }

    // `block_on` runs its future on this thread, so the servers are children of the main thread: they are killed when
    // the thread that started them ends (see `process::Child`), and this one ends last.
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(options.client_threads.into())
        .enable_all()
        .build()
        .context("start the runtime of the load generator")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        tokio::select! {
            done = run(&options) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; the servers are stopped"),
            _ = terminated.recv() => bail!("terminated; the servers are stopped"),
        }
    })
}

async fn run(options: &Options) -> Result<()> {
    let review = read_review(&options.review)?;
    let table = if options.memory { memory(options, &review).await? } else { compare(options, &review).await? };
    std::io::stdout().lock().write_all(table.as_bytes()).context("write the table to stdout")
}

/// Every server in turn, round after round.
async fn compare(options: &Options, review: &[u8]) -> Result<String> {
    let mut kinds = Vec::new();
    let before = options.before.as_ref().map(|_| &Kind::Before);
    for kind in options.servers.iter().chain(before) {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }

    let mut lanes = Vec::new();
    let mut answer_bytes = None;
    // The echo answers with as many bytes as muslin, so muslin starts first.
    kinds.sort_by_key(|kind| match kind {
        Kind::Muslin => 0,
        Kind::Before => 1,
        Kind::Echo => 2,
        Kind::Walk => 3,
        Kind::Baseline => 4,
    });
    for kind in kinds {
        let lane = Lane::start(kind, options, review, answer_bytes).await?;
        if kind == Kind::Muslin {
            answer_bytes = Some(lane.answer_bytes);
        }
        lanes.push(lane);
    }

    let load = Load {
        connections: options.connections.unwrap_or(16).into(),
        warm_up: options.warm_up,
        reviews: options.reviews.unwrap_or(100_000),
        time: Duration::from_secs(options.seconds.unwrap_or(3)),
        templates: options.templates,
    };
    for round in 0..usize::from(options.rounds) {
        // Each round begins with another server, so that none always follows the same one.
        for turn in 0..lanes.len() {
            let index = (round + turn) % lanes.len();
            let lane = &mut lanes[index];
            let sample = lane.turn(&load).await?;
            report::progress(&format!("round {}: {}: {sample}", round + 1, lane.server.name()));
            lane.samples.push(sample);
        }
    }

    Ok(report::comparison(&report::Comparison {
        review_bytes: review.len(),
        load: &load,
        client_threads: options.client_threads,
        rows: lanes
            .iter()
            .map(|lane| report::Row {
                name: lane.server.name(),
                idle_bytes: lane.idle_bytes,
                answer_bytes: lane.answer_bytes,
                samples: &lane.samples,
            })
            .collect(),
    }))
}

/// muslin's resident memory, before and after many reviews.
async fn memory(options: &Options, review: &[u8]) -> Result<String> {
    let lane = Lane::start(Kind::Muslin, options, review, None).await?;
    let load = Load {
        connections: options.connections.unwrap_or(64).into(),
        warm_up: 0,
        reviews: options.reviews.unwrap_or(100_000),
        time: Duration::from_secs(options.seconds.unwrap_or(300)),
        templates: options.templates,
    };

    let mut connections = client::connect_all(&lane.target, load.connections).await?;
    let run = client::run(&lane.target, &mut connections, &load, load.reviews).await?;
    if run.reviews < load.reviews {
        bail!("only {} of {} reviews were answered in {:?}: give more --seconds", run.reviews, load.reviews, load.time);
    }
    let loaded_bytes = lane.server.process().resident_bytes()?;
    drop(connections);
    let after_bytes = lane.server.process().settled_resident_bytes().await?;

    Ok(report::memory(&report::Memory {
        review_bytes: review.len(),
        connections: load.connections,
        reviews: run.reviews,
        idle_bytes: lane.idle_bytes,
        loaded_bytes,
        after_bytes,
        peak_bytes: lane.server.process().peak_resident_bytes()?,
    }))
}

/// A running server and what was measured of it.
struct Lane {
    server: Server,
    target: Target,
    idle_bytes: u64,
    answer_bytes: usize,
    samples: Vec<Sample>,
}

// === impl Lane ===

impl Lane {
    /// Starts the server, reads its idle memory, and checks its answer to one review. The answer that muslin gave
    /// sets the size of the echo's.
    async fn start(kind: Kind, options: &Options, review: &[u8], muslin_answer: Option<usize>) -> Result<Self> {
        let logs = options.server_logs;
        let server = match kind {
            Kind::Muslin => Server::muslin("muslin", &options.muslin, PROFILE, logs).await?,
            Kind::Before => {
                let program = options.before.as_deref().context("--before is missing")?;
                Server::muslin("muslin before", program, PROFILE, logs).await?
            }
            Kind::Echo => {
                // 1 KiB is about what muslin answers; it is used only when muslin is not among the servers.
                Server::echo(muslin_answer.unwrap_or(1024), logs).await?
            }
            Kind::Walk => Server::walk(muslin_answer.unwrap_or(1024), logs).await?,
            Kind::Baseline => baseline::start(logs).await?,
        };
        report::progress(&format!("{} is ready at {}", server.name(), server.url()));
        let idle_bytes = server.process().settled_resident_bytes().await?;

        let target = Target::new(server.url(), server.ca_pem(), review)?;
        let answer = client::ask_once(&target).await.with_context(|| format!("ask {} once", server.name()))?;
        if !matches!(kind, Kind::Echo | Kind::Walk) {
            client::check_answer(review, &answer).with_context(|| format!("check the answer of {}", server.name()))?;
        } else if let Some(expected) = muslin_answer.filter(|expected| *expected != answer.len()) {
            bail!("the echo answered {} bytes where {expected} were asked for", answer.len());
        }
        Ok(Self { server, target, idle_bytes, answer_bytes: answer.len(), samples: Vec::new() })
    }

    /// One turn: connect, warm up, then load and measure.
    async fn turn(&self, load: &Load) -> Result<Sample> {
        let process = self.server.process();
        let name = self.server.name();
        let mut connections = client::connect_all(&self.target, load.connections).await?;
        client::run(&self.target, &mut connections, load, load.warm_up)
            .await
            .with_context(|| format!("warm up {name}"))?;

        let itself = process::Process::own();
        let (server_before, client_before) = (process.cpu_time()?, itself.cpu_time()?);
        let run = client::run(&self.target, &mut connections, load, load.reviews)
            .await
            .with_context(|| format!("load {name}"))?;
        let (server_after, client_after) = (process.cpu_time()?, itself.cpu_time()?);
        let resident_bytes = process.resident_bytes()?;
        Sample::new(run, server_after - server_before, client_after - client_before, resident_bytes)
    }
}

fn read_review(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read the review {}", path.display()))
}
