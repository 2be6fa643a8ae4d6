//! The proof as a page for people. Knows no claim.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use muslin::pod::ResolvConf;

use super::Proof;
use super::fault::{FAULTS, Kind};
use super::measure::Measured;

const INTRODUCTION: &str = "\
# The proof

What muslin promises, measured: it never makes a name fail that would have resolved without it, and musl recovers sooner from what
a network loses. Real resolvers look up `n0.example.com`, `n1.example.com` and so on in network namespaces, against a scripted DNS
server that makes one fault at a time ([tests/lab](../tests/lab_tests.rs)). The resolv.conf is a pod's: three search domains, `ndots:5`,
and the options of one of three pods. So a lookup asks for four names, twice each.

This page is written by `cargo test --test lab -- --ignored proof` (as root; it takes two minutes). A shorter run of the same is one of the
tests that always run, and fails if a claim does not hold or if the model in `src/resolver/` says otherwise than the measurement.
[proof-on-a-node.md](proof-on-a-node.md) has the same for a pod in a cluster.
";

const LEGEND: &str = "
## What came of it

The share of lookups that found an address, then the median and the 99th percentile of their time in seconds. *One family alone*: of
a name with both IPv4 and IPv6 addresses only one sort was found. A cell that says `=` has Kubernetes' own options. Names that have IPv6
addresses alone are of use where pods have them too, and are looked up with the profile that muslin uses there, `ipv6`.
";

/// The heading over the options.
pub(super) const INJECTED: &str = "What is injected";

pub(super) fn page(proof: &Proof<'_>) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(&claims(proof)?);
    writeln!(page, "\n## {INJECTED}\n")?;
    page.push_str("| resolver | Kubernetes | muslin, where all containers use it | muslin, beside other resolvers | ");
    page.push_str("the same, where pods have IPv6 addresses |\n|---|---|---|---|---|\n");
    for subject in &proof.subjects {
        let confs = subject.confs().map(|conf| format!("`{}`", conf.options.join(" ")));
        writeln!(page, "| {} | {} |", subject.program.resolver, confs.join(" | "))?;
    }
    page.push_str(LEGEND);
    for fault in FAULTS {
        writeln!(page, "\n### Fault: {}\n", fault.title)?;
        page.push_str(
            "| resolver | Kubernetes | muslin, all containers | muslin, beside others |\n|---|---|---|---|\n",
        );
        for subject in &proof.subjects {
            let cells = proof.of(fault, subject)?.map(cell);
            let [kubernetes, alone, beside] = same_as_first(subject.confs_for(fault), cells);
            writeln!(page, "| {} | {kubernetes} | {alone} | {beside} |", subject.program.resolver)?;
        }
    }
    Ok(page)
}

/// What the tables show, in a few figures.
fn claims(proof: &Proof<'_>) -> Result<String> {
    let mut lookups = 0;
    let mut queries = Vec::new();
    let mut better: [Vec<f64>; 2] = Default::default();
    for fault in FAULTS {
        for subject in &proof.subjects {
            let [kubernetes, alone, beside] = proof.of(fault, subject)?;
            lookups += kubernetes.lookups + alone.lookups + beside.lookups;
            if fault.kind == Kind::Healthy {
                queries.extend([kubernetes, alone, beside].map(|it| it.queries / it.lookups));
            }
            if fault.is_loss_of_one_packet() && subject.is_musl() {
                for (better, muslin) in better.iter_mut().zip([alone, beside]) {
                    better.push(kubernetes.p99.as_secs_f64() / muslin.p99.as_secs_f64());
                }
            }
        }
    }
    let least = |ratios: &[f64]| ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let [alone, beside] = &better;
    queries.sort_unstable();
    queries.dedup();
    let queries: Vec<String> = queries.iter().map(usize::to_string).collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    Ok(format!(
        "
On Linux {kernel}, in {lookups} lookups:

- No resolver finds fewer names with muslin than without, under any fault.
- Where one packet is lost, the 99th percentile of musl's time is at least {:.1} times better in a pod that uses musl alone, and {:.1}
  times in one where others share its resolv.conf.
- A lookup on a healthy network costs {} queries, with muslin and without.
",
        least(alone),
        least(beside),
        queries.join(" or "),
    ))
}

/// Cells with the options of the first say so.
fn same_as_first(confs: [&ResolvConf; 3], [first, alone, beside]: [String; 3]) -> [String; 3] {
    let unless = |conf: &ResolvConf, cell| if conf.options == confs[0].options { "=".to_owned() } else { cell };
    [first, unless(confs[1], alone), unless(confs[2], beside)]
}

fn cell(measured: &Measured) -> String {
    let Measured { lookups, succeeded, halved, median, p99, queries: _ } = measured;
    let share = |part: usize| f64::from(u32::try_from(part * 1000 / lookups).unwrap_or_default()) / 10.0;
    let halved = if *halved > 0 { format!(" ({} % one family alone)", share(*halved)) } else { String::new() };
    format!("{} %{halved} {} / {}", share(*succeeded), seconds(*median), seconds(*p99))
}

/// In hundredths below a second, in tenths above.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.995 { format!("{seconds:.2}") } else { format!("{seconds:.1}") }
}
