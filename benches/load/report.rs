//! Figures as Markdown: one turn's, a comparison's, a memory run's. It must not know how they were measured.

use std::fmt::{self, Write};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::load::client::{Load, Run};

/// What one server did in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    reviews_per_second: f64,
    /// CPU time of the server for one review, in µs.
    server_micros: f64,
    /// CPU time of the load generator for one review, in µs.
    client_micros: f64,
    p50: Duration,
    p99: Duration,
    /// Resident memory right after the last answer, connections still open.
    resident_bytes: u64,
}

/// One server's samples, one a round.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) idle_bytes: u64,
    pub(crate) answer_bytes: usize,
    pub(crate) samples: &'a [Sample],
}

/// What a comparison found. The first row is the one that the others are compared with.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) review_bytes: usize,
    pub(crate) load: &'a Load,
    pub(crate) client_threads: u16,
    pub(crate) rows: Vec<Row<'a>>,
}

/// What a memory run found, in bytes of resident memory.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) review_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) reviews: u64,
    pub(crate) idle_bytes: u64,
    pub(crate) loaded_bytes: u64,
    pub(crate) after_bytes: u64,
    pub(crate) peak_bytes: u64,
}

/// The median of some values, and how far they lie apart.
#[derive(Clone, Copy, Debug)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

/// Reports progress.
#[expect(clippy::print_stderr, reason = "progress is for the person who watches")]
pub(crate) fn progress(message: &str) {
    eprintln!("load: {message}");
}

/// The tables of a comparison.
pub(crate) fn comparison(comparison: &Comparison<'_>) -> String {
    let Comparison { review_bytes, load, client_threads, rows } = comparison;
    let rounds = rows.first().map_or(0, |row| row.samples.len());
    let mut out = Lines::default();
    out.line(format_args!(
        "Review of {review_bytes} bytes, {} connections, {rounds} rounds of at most {} reviews or {} s a server; \
         load generator with {client_threads} threads on the same {} CPUs. Medians of the rounds.",
        load.connections,
        load.reviews,
        load.time.as_secs(),
        cpus(),
    ));
    out.line("");
    out.line(
        "| server | reviews/s | server CPU a review (µs) | client CPU a review (µs) | p50 (µs) | p99 (µs) \
         | RSS idle (MB) | RSS after (MB) | answer (bytes) |",
    );
    out.line("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for Row { name, idle_bytes, answer_bytes, samples } in rows {
        let median = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value)).median;
        out.line(format_args!(
            "| {name} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} | {:.1} | {answer_bytes} |",
            median(|sample| sample.reviews_per_second),
            median(|sample| sample.server_micros),
            median(|sample| sample.client_micros),
            median(|sample| micros(sample.p50)),
            median(|sample| micros(sample.p99)),
            megabytes(*idle_bytes),
            // The last, not the median: memory grows with the reviews of all rounds.
            samples.last().map_or(0.0, |sample| megabytes(sample.resident_bytes)),
        ));
    }

    let Some((first, others)) = rows.split_first() else { return out.text };
    if others.is_empty() {
        return out.text;
    }
    out.line("");
    out.line("| ratio, of each round | median | min..max |");
    out.line("|---|---:|---:|");
    for other in others {
        let mut ratio = |what: &str, value: fn(&Sample) -> f64| {
            let pairs = first.samples.iter().zip(other.samples);
            let Spread { median, min, max } = Spread::of(pairs.map(|(one, two)| value(one) / value(two)));
            out.line(format_args!("| {what}, {} : {} | {median:.3} | {min:.3}..{max:.3} |", first.name, other.name));
        };
        ratio("reviews/s", |sample| sample.reviews_per_second);
        ratio("server CPU a review", |sample| sample.server_micros);
        ratio("p99", |sample| micros(sample.p99));
    }
    out.text
}

/// The table of a memory run.
pub(crate) fn memory(memory: &Memory) -> String {
    let Memory { review_bytes, connections, reviews, idle_bytes, loaded_bytes, after_bytes, peak_bytes } = memory;
    let mut out = Lines::default();
    out.line(format_args!("muslin, {reviews} reviews of {review_bytes} bytes at {connections} connections."));
    out.line("");
    out.line("| resident memory | MB |");
    out.line("|---|---:|");
    out.line(format_args!("| idle, before | {:.1} |", megabytes(*idle_bytes)));
    out.line(format_args!("| after the last review, connections open | {:.1} |", megabytes(*loaded_bytes)));
    out.line(format_args!("| idle, after, connections closed | {:.1} |", megabytes(*after_bytes)));
    out.line(format_args!("| peak | {:.1} |", megabytes(*peak_bytes)));
    out.text
}

// === impl Sample ===

impl Sample {
    pub(crate) fn new(run: Run, server_cpu: Duration, client_cpu: Duration, resident_bytes: u64) -> Result<Self> {
        let Run { reviews, elapsed, mut latencies } = run;
        if latencies.is_empty() {
            bail!("no review was answered");
        }
        latencies.sort_unstable();
        let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        let count = reviews as f64;
        Ok(Self {
            reviews_per_second: count / elapsed.as_secs_f64(),
            server_micros: micros(server_cpu) / count,
            client_micros: micros(client_cpu) / count,
            p50: percentile(50),
            p99: percentile(99),
            resident_bytes,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reviews_per_second, server_micros, client_micros, p50, p99, resident_bytes } = self;
        write!(
            f,
            "{reviews_per_second:.0} reviews/s, CPU a review {server_micros:.1} µs (client {client_micros:.1} µs), \
             p50 {:.0} µs, p99 {:.0} µs, RSS {:.1} MB",
            micros(*p50),
            micros(*p99),
            megabytes(*resident_bytes),
        )
    }
}

// === impl Spread ===

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        let at = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self { median, min: at(sorted.first()), max: at(sorted.last()) }
    }
}

/// Text, line by line.
#[derive(Debug, Default)]
struct Lines {
    text: String,
}

// === impl Lines ===

impl Lines {
    fn line(&mut self, line: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Millions of bytes.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
