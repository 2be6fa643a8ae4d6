//! The report of a probe: verdicts, lookup costs and queries, for people and as one JSON document. Other programs rely on its
//! fields, so none is renamed or removed.

use std::time::Duration;

use serde::Serialize;

use super::compiler_style::{CompilerStyle, Message};
use super::nameserver_origins::human_origins;
use super::summary::Counts;
use super::table::table;
use crate::text::{Block, Line};
use crate::verdicts::lookup_costs::{ComputedLookup, LookupCost};
use crate::verdicts::observations::{
    AskedQuery, Environment, Observations, Pair, PairMode, Program, SystemLookup, Targets, UnaskedLibrary,
};
use crate::verdicts::statistics::Rate;
use crate::verdicts::{Improvement, ProfileEffects, Verdict};

/// All results of a probe.
#[derive(Clone, Copy, Debug)]
pub struct ProbeReport<'p> {
    /// The observations.
    pub seen: &'p Observations,
    /// The verdicts.
    pub verdicts: &'p [Verdict],
    /// The costs of lookups.
    pub costs: &'p [LookupCost],
    /// Number of queries sent.
    pub sent: u32,
    /// Duration of the probe.
    pub took: Duration,
}

// === impl ProbeReport ===

impl ProbeReport<'_> {
    /// Counts the verdicts of each level.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.verdicts.iter().for_each(|verdict| counts.add(verdict.level));
        counts
    }

    /// Returns the report for people.
    pub fn human(&self, in_colour: bool) -> Block {
        let style = CompilerStyle::new(in_colour, None);
        let mut text = Block::default();
        self.verdicts.iter().for_each(|verdict| text.push(&style.render(&message(verdict))));
        self.write_costs(&mut text);
        if let Some(origins) = &self.seen.environment.nameserver_origins {
            text.push(&human_origins(origins));
            text.push_line("");
        }
        self.write_summary(&mut text);
        text
    }

    fn write_costs(&self, text: &mut Block) {
        if self.costs.is_empty() {
            return;
        }
        let mut rows =
            vec![["NAME", "RESOLVER", "QUERIES", "TIME", "GETADDRINFO", "WITH A PROFILE"].map(Line::new).to_vec()];
        for LookupCost { name, resolver, today, measured, profiles } in self.costs {
            let with = profiles.iter().map(|(profile, computed)| format!("{profile}: {}", cost_cell(*computed)));
            let row = [
                name.clone(),
                resolver.to_string(),
                today.queries.to_string(),
                if today.found { milliseconds(today.took) } else { format!("{}, not found", milliseconds(today.took)) },
                measured.map(milliseconds).unwrap_or_default(),
                with.collect::<Vec<_>>().join("; "),
            ];
            rows.push(row.map(Line::new).to_vec());
        }
        text.push(&table(&rows));
        text.push_line("");
    }

    fn write_summary(&self, text: &mut Block) {
        let Self { seen, verdicts, costs: _, sent, took } = self;
        for program in &seen.environment.programs {
            text.push_line(program_line(program));
        }
        for UnaskedLibrary { library, because } in &seen.environment.unasked {
            text.push_line(format!("{library}: not used for lookups by getaddrinfo: {because}"));
        }
        let (asked, answered) =
            (seen.single_queries().count(), seen.single_queries().filter(|asked| asked.is_answered()).count());
        let whole = Rate::count(&seen.pairs, |pair| pair.is_whole());
        let result = if verdicts.is_empty() { "no verdict".to_owned() } else { self.counts().to_string() };
        text.push_line(format!(
            "{result}: {sent} {} to {} in {:.1} s; {answered} of {asked} single queries answered, {} of {} pairs \
             fully answered, {} of {} lookups by getaddrinfo successful",
            if *sent == 1 { "query" } else { "queries" },
            match seen.targets.servers.len() {
                1 => "1 nameserver".to_owned(),
                servers => format!("{servers} nameservers"),
            },
            took.as_secs_f64(),
            whole.hits,
            whole.total,
            seen.lookups.iter().filter(|lookup| lookup.result.is_found()).count(),
            seen.lookups.len(),
        ));
    }

    /// Returns the report as JSON.
    pub fn json(&self) -> Block {
        let Self { seen, verdicts, costs, sent, took } = self;
        let Counts { deny, warn, info } = self.counts();
        Block::indented_json(&Document {
            verdicts: verdicts.iter().map(JsonVerdict::new).collect(),
            costs: costs.iter().map(JsonCost::new).collect(),
            targets: &seen.targets,
            surroundings: &seen.environment,
            lookups: &seen.lookups,
            pairs: MODES.map(|mode| JsonPairs::new(mode, &seen.pairs)).to_vec(),
            asked: &seen.asked,
            summary: JsonSummary { deny, warn, info, queries: *sent, seconds: round(*took) },
        })
    }
}

const MODES: [PairMode; 4] = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];

fn message(verdict: &Verdict) -> Message<'static> {
    let Verdict { diagnosis, level, confidence, what, evidence, help, profile_effects } = verdict;
    let profiles = profile_lines(profile_effects);
    let notes = [("confidence", Line::new(confidence.name()))]
        .into_iter()
        .chain(evidence.iter().map(|text| ("evidence", Line::new(text.clone()))))
        .chain(help.iter().map(|text| ("help", Line::new(text.clone()))))
        .chain(profiles.into_iter().map(|text| ("profile", Line::new(text))))
        .collect();
    Message { level: *level, title: Line::new(what.clone()), slug: diagnosis.slug, place: None, notes }
}

/// Returns one line for each profile that improves something.
fn profile_lines(effects: &ProfileEffects) -> Vec<String> {
    let ProfileEffects { about, improvements, none_because } = effects;
    if let Some(because) = none_because {
        return vec![format!("no profile helps: {because}")];
    }
    let mut profiles: Vec<&str> = improvements.iter().map(|improvement| improvement.profile).collect();
    profiles.sort_unstable();
    profiles.dedup();
    let line = |profile: &str| {
        let of_profile = improvements.iter().filter(|improvement| improvement.profile == profile);
        let texts: Vec<String> = of_profile.map(improvement_text).collect();
        format!("{profile}: {} ({about}; its costs: `muslin explain profile {profile}`)", texts.join(", "))
    };
    profiles.into_iter().map(line).collect()
}

/// Returns `musl 1.2.5: 0.5 s instead of 2.5 s`.
fn improvement_text(improvement: &Improvement) -> String {
    let Improvement { profile: _, resolver, today, with_profile } = improvement;
    let time =
        |time: &Option<Duration>| time.map_or("a failure".to_owned(), |time| format!("{} s", time.as_secs_f64()));
    format!("{resolver}: {} instead of {}", time(with_profile), time(today))
}

/// Returns the line about a program and its resolver.
fn program_line(program: &Program) -> String {
    let Program { name, resolver, because, netdns_without_effect, asked_through } = program;
    let through = if *asked_through { ", used for lookups by getaddrinfo" } else { "" };
    let netdns = if *netdns_without_effect {
        "; GODEBUG=netdns=cgo is set but has no effect: it needs a program built with CGO_ENABLED=1 and without the tag netgo"
    } else {
        ""
    };
    format!("{name}: {resolver}{through}: {because}{netdns}")
}

fn cost_cell(computed: ComputedLookup) -> String {
    let ComputedLookup { queries, took, found, .. } = computed;
    format!("{queries} queries, {}{}", milliseconds(took), if found { "" } else { ", not found" })
}

fn milliseconds(time: Duration) -> String {
    match time.as_micros() {
        micros if micros < 10_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{} ms", time.as_millis()),
    }
}

/// Returns seconds, to a microsecond.
fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

#[derive(Serialize)]
struct Document<'p> {
    verdicts: Vec<JsonVerdict<'p>>,
    costs: Vec<JsonCost<'p>>,
    targets: &'p Targets,
    surroundings: &'p Environment,
    lookups: &'p [SystemLookup],
    pairs: Vec<JsonPairs>,
    asked: &'p [AskedQuery],
    summary: JsonSummary,
}

#[derive(Serialize)]
struct JsonVerdict<'p> {
    verdict: &'static str,
    level: &'static str,
    confidence: &'static str,
    /// The same value, under the name that it had in 0.1.0.
    sureness: &'static str,
    what: &'p str,
    evidence: &'p [String],
    help: &'p [String],
    profiles: Vec<JsonImprovement>,
    no_profile_because: Option<&'static str>,
}

#[derive(Serialize)]
struct JsonImprovement {
    profile: &'static str,
    resolver: String,
    about: &'static str,
    /// `null` if the lookup fails.
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
        let Verdict { diagnosis, level, confidence, what, evidence, help, profile_effects } = verdict;
        let ProfileEffects { about, improvements, none_because } = profile_effects;
        let profiles = improvements.iter().map(|improvement| JsonImprovement {
            profile: improvement.profile,
            resolver: improvement.resolver.to_string(),
            about,
            today_seconds: improvement.today.map(round),
            with_profile_seconds: improvement.with_profile.map(round),
        });
        Self {
            verdict: diagnosis.slug,
            level: level.name(),
            confidence: confidence.name(),
            sureness: confidence.name(),
            what,
            evidence,
            help,
            profiles: profiles.collect(),
            no_profile_because: *none_because,
        }
    }
}

impl<'p> JsonCost<'p> {
    fn new(cost: &'p LookupCost) -> Self {
        let LookupCost { name, resolver, today, measured, profiles } = cost;
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
        let of_mode = || pairs.iter().filter(|pair| pair.mode == mode);
        let whole = Rate::count(of_mode(), |pair| pair.is_whole());
        Self {
            mode,
            pairs: whole.total,
            whole: whole.hits,
            lost_one: Rate::count(of_mode(), |pair| pair.is_half()).hits,
        }
    }
}
