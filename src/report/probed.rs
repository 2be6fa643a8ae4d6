//! What a probe found: verdicts, what lookups cost, and what was asked, for people and as one JSON document, whose fields other programs
//! rely on: none is renamed or removed.

use std::fmt::Write as _;
use std::time::Duration;

use annotate_snippets::{Level as Title, Renderer};
use serde::Serialize;

use super::Counts;
use crate::policy::Level;
use crate::text::printable;
use crate::verdicts::lookup_costs::{Computed, Cost};
use crate::verdicts::observations::{
    Asked, Observations, Pair, PairMode, Program, Surroundings, SystemLookup, Targets,
};
use crate::verdicts::statistics::Rate;
use crate::verdicts::{Change, Relief, Verdict};

/// All that a probe has to say.
#[derive(Clone, Copy, Debug)]
pub struct Probed<'p> {
    /// What was seen.
    pub seen: &'p Observations,
    /// What is wrong.
    pub verdicts: &'p [Verdict],
    /// What lookups cost.
    pub costs: &'p [Cost],
    /// How many queries were sent.
    pub sent: u32,
    /// How long it took.
    pub took: Duration,
}

// === impl Probed ===

impl Probed<'_> {
    /// How many verdicts there are of each level.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.verdicts.iter().for_each(|verdict| counts.add(verdict.level));
        counts
    }

    /// For people, in colour or not.
    pub fn human(&self, in_colour: bool) -> String {
        let renderer = if in_colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for verdict in self.verdicts {
            let _ = writeln!(text, "{}\n", renderer.render(&[group(verdict)]));
        }
        self.write_costs(&mut text);
        self.write_summary(&mut text);
        text
    }

    fn write_costs(&self, text: &mut String) {
        if self.costs.is_empty() {
            return;
        }
        let mut rows =
            vec![["NAME", "RESOLVER", "QUERIES", "TIME", "GETADDRINFO", "WITH A PROFILE"].map(str::to_owned)];
        for Cost { name, resolver, today, measured, profiles } in self.costs {
            let with = profiles.iter().map(|(profile, computed)| format!("{profile}: {}", cost(*computed)));
            rows.push([
                name.clone(),
                resolver.to_string(),
                today.queries.to_string(),
                if today.found { milliseconds(today.took) } else { format!("{}, not found", milliseconds(today.took)) },
                measured.map(milliseconds).unwrap_or_default(),
                with.collect::<Vec<_>>().join("; "),
            ]);
        }
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", printable(cell)));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text.push('\n');
    }

    fn write_summary(&self, text: &mut String) {
        let Self { seen, verdicts, costs: _, sent, took } = self;
        for program in &seen.surroundings.programs {
            let _ = writeln!(text, "{}", printable(&told(program)));
        }
        let (asked, answered) = (seen.single().count(), seen.single().filter(|asked| asked.is_answered()).count());
        let whole = Rate::of(&seen.pairs, |pair| pair.is_whole());
        let found = if verdicts.is_empty() { "nothing wrong was found".to_owned() } else { self.counts().to_string() };
        let _ = writeln!(
            text,
            "{found}: {sent} {} to {} in {:.1} s; {answered} of {asked} single questions answered, {} of {} pairs \
             whole, {} of {} lookups by getaddrinfo found",
            if *sent == 1 { "query" } else { "queries" },
            match seen.targets.servers.len() {
                1 => "1 nameserver".to_owned(),
                servers => format!("{servers} nameservers"),
            },
            took.as_secs_f64(),
            whole.hits,
            whole.of,
            seen.lookups.iter().filter(|lookup| lookup.found.is_found()).count(),
            seen.lookups.len(),
        );
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let Self { seen, verdicts, costs, sent, took } = self;
        let Counts { deny, warn, info } = self.counts();
        let document = Document {
            verdicts: verdicts.iter().map(JsonVerdict::new).collect(),
            costs: costs.iter().map(JsonCost::new).collect(),
            targets: &seen.targets,
            surroundings: &seen.surroundings,
            lookups: &seen.lookups,
            pairs: MODES.map(|mode| JsonPairs::new(mode, &seen.pairs)).to_vec(),
            asked: &seen.asked,
            summary: JsonSummary { deny, warn, info, queries: *sent, seconds: round(*took) },
        };
        // Writing strings and numbers into memory cannot fail.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

const MODES: [PairMode; 4] = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];

fn group(verdict: &Verdict) -> annotate_snippets::Group<'static> {
    let Verdict { fault, level, sureness, what, evidence, help, relief } = verdict;
    let title = match level {
        Level::Deny => Title::ERROR,
        Level::Warn => Title::WARNING,
        Level::Info => Title::INFO,
    };
    let title = title.with_name(level.name()).primary_title(printable(what)).id(fault.slug);
    let line = |name: &'static str, text: &str| Title::NOTE.with_name(name).message(printable(text));
    title
        .element(line("sure", sureness.name()))
        .elements(evidence.iter().map(|text| line("seen", text)))
        .elements(help.iter().map(|text| Title::HELP.message(printable(text))))
        .elements(relieved(relief).iter().map(|text| line("profile", text)))
}

/// What profiles change, a line each.
fn relieved(relief: &Relief) -> Vec<String> {
    let Relief { about, changes, none_because } = relief;
    if let Some(because) = none_because {
        return vec![format!("none helps: {because}")];
    }
    let mut profiles: Vec<&str> = changes.iter().map(|change| change.profile).collect();
    profiles.dedup();
    profiles.sort_unstable();
    profiles.dedup();
    let of = |profile: &str| {
        let changes = changes.iter().filter(|change| change.profile == profile).map(change);
        format!("{profile}: {} ({about})", changes.collect::<Vec<_>>().join(", "))
    };
    profiles.into_iter().map(of).collect()
}

/// `musl 1.2.5: 0.5 s in place of 2.5 s`.
fn change(change: &Change) -> String {
    let Change { profile: _, resolver, today, with_profile } = change;
    let time =
        |time: &Option<Duration>| time.map_or("a failure".to_owned(), |time| format!("{} s", time.as_secs_f64()));
    format!("{resolver}: {} in place of {}", time(with_profile), time(today))
}

fn told(program: &Program) -> String {
    let Program { name, resolver, because, netdns_without_effect, asked_through } = program;
    let through = if *asked_through { ", whose getaddrinfo was asked" } else { "" };
    let netdns = if *netdns_without_effect {
        "; GODEBUG=netdns=cgo is set and has no effect: it needs a program built with CGO_ENABLED=1 and without the tag netgo"
    } else {
        ""
    };
    format!("{name}: {resolver}{through}: {because}{netdns}")
}

fn cost(computed: Computed) -> String {
    let Computed { queries, took, found, whole: _ } = computed;
    format!("{queries} queries, {}{}", milliseconds(took), if found { "" } else { ", not found" })
}

fn milliseconds(time: Duration) -> String {
    match time.as_micros() {
        micros if micros < 10_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{} ms", time.as_millis()),
    }
}

/// In seconds, to a microsecond.
fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

#[derive(Serialize)]
struct Document<'p> {
    verdicts: Vec<JsonVerdict<'p>>,
    costs: Vec<JsonCost<'p>>,
    targets: &'p Targets,
    surroundings: &'p Surroundings,
    lookups: &'p [SystemLookup],
    pairs: Vec<JsonPairs>,
    asked: &'p [Asked],
    summary: JsonSummary,
}

#[derive(Serialize)]
struct JsonVerdict<'p> {
    verdict: &'static str,
    level: &'static str,
    sureness: &'static str,
    what: &'p str,
    evidence: &'p [String],
    help: &'p [String],
    profiles: Vec<JsonChange>,
    no_profile_because: Option<&'static str>,
}

#[derive(Serialize)]
struct JsonChange {
    profile: &'static str,
    resolver: String,
    about: &'static str,
    /// `null` is a failure.
    today_seconds: Option<f64>,
    with_profile_seconds: Option<f64>,
}

#[derive(Serialize)]
struct JsonCost<'p> {
    name: &'p str,
    resolver: String,
    queries: u32,
    seconds: f64,
    found: bool,
    measured_seconds: Option<f64>,
    profiles: Vec<JsonProfileCost>,
}

#[derive(Serialize)]
struct JsonProfileCost {
    profile: &'static str,
    queries: u32,
    seconds: f64,
    found: bool,
}

#[derive(Clone, Serialize)]
struct JsonPairs {
    mode: PairMode,
    pairs: u64,
    whole: u64,
    lost_one: u64,
}

#[derive(Serialize)]
struct JsonSummary {
    deny: usize,
    warn: usize,
    info: usize,
    queries: u32,
    seconds: f64,
}

// === impl JsonVerdict, JsonCost, JsonPairs ===

impl<'p> JsonVerdict<'p> {
    fn new(verdict: &'p Verdict) -> Self {
        let Verdict { fault, level, sureness, what, evidence, help, relief } = verdict;
        let Relief { about, changes, none_because } = relief;
        let profiles = changes.iter().map(|change| JsonChange {
            profile: change.profile,
            resolver: change.resolver.to_string(),
            about,
            today_seconds: change.today.map(round),
            with_profile_seconds: change.with_profile.map(round),
        });
        Self {
            verdict: fault.slug,
            level: level.name(),
            sureness: sureness.name(),
            what,
            evidence,
            help,
            profiles: profiles.collect(),
            no_profile_because: *none_because,
        }
    }
}

impl<'p> JsonCost<'p> {
    fn new(cost: &'p Cost) -> Self {
        let Cost { name, resolver, today, measured, profiles } = cost;
        let with = profiles.iter().map(|(profile, computed)| JsonProfileCost {
            profile,
            queries: computed.queries,
            seconds: round(computed.took),
            found: computed.found,
        });
        Self {
            name,
            resolver: resolver.to_string(),
            queries: today.queries,
            seconds: round(today.took),
            found: today.found,
            measured_seconds: measured.map(round),
            profiles: with.collect(),
        }
    }
}

impl JsonPairs {
    fn new(mode: PairMode, pairs: &[Pair]) -> Self {
        let of = || pairs.iter().filter(|pair| pair.mode == mode);
        let whole = Rate::of(of(), |pair| pair.is_whole());
        Self { mode, pairs: whole.of, whole: whole.hits, lost_one: Rate::of(of(), |pair| pair.is_half()).hits }
    }
}
