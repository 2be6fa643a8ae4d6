//! Writes the storms' part of the page. Must not check the claim.

use std::fmt::Write as _;

use anyhow::Result;

use super::claim::{Compared, middle_recovery};
use super::storm::{Outcome, Storm};
use crate::lab::proof::MEASURED;
use crate::lab::proof::page::{STORMS, today};
use crate::lab::proof::table::seconds;

const INTRODUCTION: &str = "
Many clients look up names through a CoreDNS 1.15 whose only upstream has a bounded capacity. The load is the share of the capacity
that the lookups take if each query is sent once. Three seconds after the first lookup the upstream answers nothing for a while (the
stall); queries wait in a queue without end, or are dropped where ten wait already. A server with such a queue cannot recover once
each query is sent so often that the load exceeds its capacity, so more attempts are a risk.

The claim: where Kubernetes' options find at least 99 % of the names, muslin's find as many, and recover within 1.2 times the time
(and half a second). The default profile injects nothing, so it keeps the claim. The profile `three-attempts`, which is measured here,
keeps it up to 25 % load; beyond is why it is not the default. Storms in which Kubernetes' options themselves lose more than 1 % are
shown, and nothing is claimed of them. *Recovered*: the time from the beginning of the stall until lookups are as quick as before it.
*Queries*: those that reach the upstream, for each lookup; two are needed.

`cargo test --test lab -- --ignored storms` writes this part of the page. A test that always runs has the storm with a stall of 1 s
at 67 % load: `attempts:3` outlasts it as Kubernetes' options do, and `timeout:5 attempts:10`, which version 0.1.0 injected, does not.
";

pub(super) fn page(compared: &[Compared]) -> Result<String> {
    let mut page = format!("{STORMS}{INTRODUCTION}");
    let runs = compared.first().map_or(0, |each| each.muslin.len());
    let claimed = compared.iter().filter(|each| each.is_claimed()).count();
    let worse = compared.iter().filter(|each| each.is_worse()).count();
    let (all, today) = (compared.len(), today());
    writeln!(
        page,
        "\nOn {today}, in {runs} runs, of {all} storms {claimed} are claimed, and {worse} of these are worse with `{MEASURED}`."
    )?;
    for group in compared.chunk_by(|one, other| one.crowd == other.crowd && one.storm.room == other.storm.room) {
        let Some(Compared { crowd, storm, .. }) = group.first() else { continue };
        let room = if storm.room == usize::MAX { "a queue" } else { "dropping" };
        writeln!(page, "\n### Clients: {crowd}; upstream: {room}\n")?;
        page.push_str("| stall | load | Kubernetes: found | recovered after | queries | three-attempts: found | recovered after | queries | |\n");
        page.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for each in group {
            let verdict = match each {
                each if !each.is_claimed() => "not claimed",
                each if each.is_worse() => "**worse**",
                _ => "as good",
            };
            let Compared { crowd: _, storm: Storm { stall, load, .. }, kubernetes, muslin } = each;
            let stall = if stall.is_zero() { "none".to_owned() } else { format!("{} s", stall.as_secs()) };
            let (before, after) = (figures(kubernetes), figures(muslin));
            writeln!(page, "| {stall} | {:.0} % | {before} | {after} | {verdict} |", load * 100.0)?;
        }
    }
    Ok(page)
}

/// Formats the share of names that were found, the time to recovery, and the queries at the upstream for each lookup.
fn figures(outcomes: &[Outcome]) -> String {
    let sum = |figure: fn(&Outcome) -> usize| outcomes.iter().map(figure).sum::<usize>();
    let lookups = sum(|outcome| outcome.lookups).max(1);
    let tenths = |number: usize| format!("{}.{}", number / 10, number % 10);
    let found = tenths(sum(|outcome| outcome.found) * 1000 / lookups);
    let queries = tenths(sum(|outcome| outcome.queries) * 10 / lookups);
    let recovered = middle_recovery(outcomes).map_or("never".to_owned(), |time| format!("{} s", seconds(time)));
    format!("{found} % | {recovered} | {queries}")
}
