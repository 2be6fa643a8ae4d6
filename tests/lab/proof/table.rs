//! Writes the proof as a page for people. Must not check the claims.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::compare::Comparison;
use super::fault::{FAULTS, Fault, FaultKind};
use super::measure::Measured;
use super::page::today;
use super::{Cell, Proof, TestedProgram};

const INTRODUCTION: &str = "\
# The proof

muslin's promise is that with its options no lookup is worse than with Kubernetes' own. The default profile injects no option (a test
compares the resolv.conf of each pod on this page), so it keeps the promise. This page measures the profile `three-attempts`, with which
musl recovers sooner from lost packets. In exchange some [storms](#storms) last longer: more attempts keep an overloaded server busy.

Real programs look up `n0.example.com`, `n1.example.com` and so on in network namespaces, against scripted DNS servers with one fault at
a time ([tests/lab](../tests/lab_tests.rs)). The resolv.conf is a pod's: three search domains, `ndots:5`, and the options of a pod where
all containers are alike, or of one with musl beside it (beside musl: glibc). So a lookup queries four names, twice each.

Each lookup is compared with its twin: the same name, with the same packets lost, with Kubernetes' options. A name that these find is
found, with the same address families, as fast. A name that these do not find may take up to 1.5 times their time and half a second.
A healthy lookup takes no more queries. A lookup is *worse* if it is so in every run, compared with every run of Kubernetes' options; a
cell is, if it has such a lookup (two, if two runs of Kubernetes' own options differ, as c-ares draws its waits by lot).

`cargo test --test lab -- --ignored proof` writes this part of the page (as root). A test that always runs makes a shorter
measurement, and fails if a lookup is worse or a prediction of the model in `src/resolver/` does not hold.
[proof-on-a-node.md](proof-on-a-node.md) has some of this for a pod in a cluster.

Not covered: Alpine's own curl, hickory, uClibc, the JVM's caches, Envoy, .NET, Erlang, Ruby, nginx, HAProxy, busybox nslookup. Programs
that bring a resolver along are measured with the options of a pod with musl alone, which gets the most.

The model of these programs on a simulated clock ([tests/model](../tests/model/main.rs)) comes to the same verdicts: with three attempts
no lookup is worse, and of the storms below with a queue and musl alone, it does not outlast the two that the laboratory found. Its
figures differ in these cells, by default and with the profile alike:

- musl, nothing answers, three attempts: 6.7 s and 8 packets in the model, 5.0 s and 6 here.
- glibc, answers take 6 s: not found in the model, found after 24 s here.
- aiodns: its first wait follows measured latency, which the model leaves out: 0.3 s here, 2 s in the model; with dead servers 2 and 4 s
  here, 8 and 16 s there; answers of 4.8 and 6 s are found in 50 and 20 % of lookups here, always there.
- Node, a server that fails or refuses before one that answers: not found here, found in the model.
- eventlet asks for AAAA through the search list here, and fails where a search domain does; first of two servers dead: 9 s here, 4 s in
  the model.
- gRPC, AAAA never answered: found here, not in the model. Netty, conntrack race: not found here, found in the model.
";

const LEGEND: &str = "
## Results

A cell has the share of lookups that found an address, the median and the 99th percentile of their time in seconds, and the queries
that a lookup sent on average. *One family alone*: the name has IPv4 and IPv6 addresses, and the lookup found only one kind. `=` means
that muslin injects nothing. The figures are the middle ones of all runs.
";

/// The heading above the options.
pub(super) const INJECTED: &str = "Injected options";

pub(super) fn page(proof: &Proof<'_>) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(&summary(proof)?);
    page.push_str(&gains(proof)?);
    page.push_str(&injected(proof)?);
    page.push_str(LEGEND);
    for fault in FAULTS {
        let mut rows = String::new();
        for tested in &proof.tested {
            let Some(cells) = proof.cells(fault, tested)? else { continue };
            let asks_both = asks_both(proof, tested)?;
            let [kubernetes, alone, beside] = &cells;
            let first = text(kubernetes, asks_both);
            let muslin = [alone, beside].map(|cell| muslin_text(kubernetes, cell, asks_both));
            writeln!(rows, "| {} | {first} | {} |", tested.program.title, muslin.join(" | "))?;
        }
        if rows.is_empty() {
            continue;
        }
        writeln!(page, "\n### Fault: {}\n", fault.title)?;
        page.push_str(
            "| program | Kubernetes | muslin, all containers alike | muslin, beside others |\n|---|---|---|---|\n",
        );
        page.push_str(&rows);
    }
    Ok(page)
}

/// Counts the cells.
fn summary(proof: &Proof<'_>) -> Result<String> {
    let (mut same, mut better, mut equal, mut lookups) = (0, 0, 0, 0);
    let mut worse = Vec::new();
    for (fault, tested, cells) in proof.rows()? {
        let [kubernetes, muslin @ ..] = &cells;
        let [alone, beside] = muslin;
        // Pods with the same file share their measurement.
        let different = [Some(alone), Some(beside).filter(|beside| beside.conf != alone.conf)];
        for cell in different.into_iter().flatten() {
            match cell.comparison {
                _ if cell.conf == kubernetes.conf => same += 1,
                Comparison::Better => better += 1,
                Comparison::Equal => equal += 1,
                Comparison::Worse(_) => {
                    worse.push(format!("{}, {}, `{}`", tested.program.title, fault.title, cell.conf.line()));
                }
            }
        }
    }
    for run in &proof.runs {
        lookups += run.values().map(|measured| measured.lookups.len()).sum::<usize>();
    }
    let worse_list: String = worse.iter().map(|cell| format!("  - {cell}\n")).collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    let (runs, today) = (proof.runs.len(), today());
    Ok(format!(
        "
On {today}, on Linux {kernel}, in {runs} runs with {lookups} lookups in all:

| cells | number |
|---|---|
| `three-attempts` injects nothing | {same} |
| better with `three-attempts` | {better} |
| equal | {equal} |
| worse | {} |

{worse_list}
",
        worse.len(),
    ))
}

/// Shows what musl gains where packets are lost: over its releases, the least.
fn gains(proof: &Proof<'_>) -> Result<String> {
    let mut text = "## Gains of musl where packets are lost\n\n".to_owned();
    text.push_str("| fault | found, Kubernetes | found, muslin | p99 in seconds, Kubernetes | p99, muslin |\n|---|---|---|---|---|\n");
    for fault in FAULTS.iter().filter(|fault| fault.is_loss()) {
        let (mut found, mut p99) = (Vec::new(), Vec::new());
        for tested in proof.tested.iter().filter(|tested| tested.is_musl()) {
            let Some([kubernetes, alone, _]) = proof.cells(fault, tested)? else { continue };
            if alone.conf == kubernetes.conf {
                continue;
            }
            let share = |cell: &Cell<'_>| cell.middle(|run| run.succeeded() * 1000 / run.lookups.len().max(1));
            found.push([share(&kubernetes), share(&alone)].map(Option::unwrap_or_default));
            p99.push([&kubernetes, &alone].map(|cell| cell.middle(Measured::p99).unwrap_or_default()));
        }
        let worst = |column: usize| found.iter().map(|pair| pair[column]).min().unwrap_or_default();
        let latest = |column: usize| p99.iter().map(|pair| pair[column]).max().unwrap_or_default();
        if !found.is_empty() {
            let (before, after) = (percent(worst(0)), percent(worst(1)));
            let title = fault.title;
            writeln!(text, "| {title} | {before} | {after} | {} | {} |", seconds(latest(0)), seconds(latest(1)))?;
        }
    }
    Ok(text)
}

fn injected(proof: &Proof<'_>) -> Result<String> {
    let mut text = format!("\n## {INJECTED}\n\n");
    text.push_str("| program | nameservers | Kubernetes | muslin, all containers alike | muslin, beside others |\n|---|---|---|---|---|\n");
    for tested in &proof.tested {
        for (several, number) in [(false, "one"), (true, "several")] {
            let confs = tested.confs_with(several)?.map(|conf| format!("`{}`", conf.line()));
            writeln!(text, "| {} | {number} | {} |", tested.program.title, confs.join(" | "))?;
        }
    }
    Ok(text)
}

/// Returns whether the program's answers have both families where nothing is wrong.
fn asks_both(proof: &Proof<'_>, tested: &TestedProgram<'_>) -> Result<bool> {
    let healthy = FAULTS.iter().find(|fault| fault.kind == FaultKind::Healthy);
    let cells = healthy.map(|fault: &Fault| proof.cells(fault, tested)).transpose()?.flatten();
    Ok(cells.is_some_and(|[kubernetes, ..]| kubernetes.middle(Measured::halved) == Some(0)))
}

fn muslin_text(kubernetes: &Cell<'_>, cell: &Cell<'_>, asks_both: bool) -> String {
    if cell.conf == kubernetes.conf {
        return "=".to_owned();
    }
    let comparison = match cell.comparison {
        Comparison::Better => "better: ",
        Comparison::Equal => "equal: ",
        Comparison::Worse(_) => "**worse**: ",
    };
    format!("{comparison}{}", text(cell, asks_both))
}

fn text(cell: &Cell<'_>, asks_both: bool) -> String {
    let share = |figure: fn(&Measured) -> usize| {
        cell.middle(|run| figure(run) * 1000 / run.lookups.len().max(1)).unwrap_or_default()
    };
    let halved = match share(Measured::halved) {
        0 => String::new(),
        _ if !asks_both => String::new(),
        halved => format!(" ({} one family alone)", percent(halved)),
    };
    let median = cell.middle(Measured::median).unwrap_or_default();
    let p99 = cell.middle(Measured::p99).unwrap_or_default();
    let queries = cell.middle(|run| run.queries * 10 / run.lookups.len().max(1)).unwrap_or_default();
    let found = percent(share(Measured::succeeded));
    format!("{found}{halved} {} / {}, {} q", seconds(median), seconds(p99), tenths(queries))
}

fn percent(thousandths: usize) -> String {
    format!("{} %", tenths(thousandths))
}

/// Formats a number of tenths, without a fraction if there is none.
fn tenths(number: usize) -> String {
    match (number / 10, number % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

/// Formats seconds: hundredths below one second, tenths above.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.995 { format!("{seconds:.2}") } else { format!("{seconds:.1}") }
}
