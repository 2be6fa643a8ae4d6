//! Writes the proof as a page for people. Must not check the claims.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use muslin::pod::ResolvConf;

use super::Proof;
use super::fault::{FAULTS, FaultKind};
use super::measure::Measured;

const INTRODUCTION: &str = "\
# The proof

muslin's promise, measured: it never breaks a name that resolves without it, and musl recovers sooner from lost packets. Real
resolvers look up `n0.example.com`, `n1.example.com` and so on in network namespaces, against a scripted DNS server with one fault
at a time ([tests/lab](../tests/lab_tests.rs)). The resolv.conf is a pod's: three search domains,
`ndots:5`, and the options of one of three pods. So a lookup queries four names, twice each.

`cargo test --test lab -- --ignored proof` writes this page (as root, in two minutes). A test that always runs makes a shorter
measurement, and fails if a claim or a prediction of the model in `src/resolver/` does not hold. [proof-on-a-node.md](proof-on-a-node.md)
has the same for a pod in a cluster.
";

const LEGEND: &str = "
## Results

A cell has the share of lookups that found an address, then the median and the 99th percentile of their time in seconds. *One family
alone*: the name has IPv4 and IPv6 addresses, and the lookup found only one kind. `=` means that the options are Kubernetes' own. Names
with only IPv6 addresses are useful where pods have such addresses too; they are looked up with muslin's profile for such clusters, `ipv6`.
";

/// The heading above the options.
pub(super) const INJECTED: &str = "Injected options";

pub(super) fn page(proof: &Proof<'_>) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(&claims(proof)?);
    writeln!(page, "\n## {INJECTED}\n")?;
    page.push_str(
        "| resolver | Kubernetes | muslin, all containers use this resolver | muslin, beside other resolvers | ",
    );
    page.push_str("muslin, beside other resolvers, pods have IPv6 addresses |\n|---|---|---|---|---|\n");
    for tested in &proof.resolvers {
        let confs = tested.confs().map(|conf| format!("`{}`", conf.options.join(" ")));
        writeln!(page, "| {} | {} |", tested.program.resolver, confs.join(" | "))?;
    }
    page.push_str(LEGEND);
    for fault in FAULTS {
        writeln!(page, "\n### Fault: {}\n", fault.title)?;
        page.push_str(
            "| resolver | Kubernetes | muslin, all containers | muslin, beside others |\n|---|---|---|---|\n",
        );
        for tested in &proof.resolvers {
            let cells = proof.results(fault, tested)?.map(cell);
            let [kubernetes, alone, beside] = same_as_first(tested.confs_for(fault), cells);
            writeln!(page, "| {} | {kubernetes} | {alone} | {beside} |", tested.program.resolver)?;
        }
    }
    Ok(page)
}

/// Summarises the tables in a few figures.
fn claims(proof: &Proof<'_>) -> Result<String> {
    let mut lookups = 0;
    let mut queries = Vec::new();
    let mut better: [Vec<f64>; 2] = Default::default();
    for fault in FAULTS {
        for tested in &proof.resolvers {
            let [kubernetes, alone, beside] = proof.results(fault, tested)?;
            lookups += kubernetes.lookups + alone.lookups + beside.lookups;
            if fault.kind == FaultKind::Healthy {
                queries.extend([kubernetes, alone, beside].map(|it| it.queries / it.lookups));
            }
            if fault.is_loss_of_one_packet() && tested.is_musl() {
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
- Where one packet is lost, the 99th percentile of musl's time is at least {:.1} times shorter in a pod that uses musl alone, and {:.1}
  times in a pod with other resolvers.
- A lookup on a healthy network takes {} queries, with muslin and without.
",
        least(alone),
        least(beside),
        queries.join(" or "),
    ))
}

/// Replaces cells whose options equal the first column's by `=`.
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

/// Formats seconds: hundredths below one second, tenths above.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.995 { format!("{seconds:.2}") } else { format!("{seconds:.1}") }
}
