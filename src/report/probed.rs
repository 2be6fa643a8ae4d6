//! The report of a probe: verdicts, lookup costs and queries, for people and as one JSON document. Other programs rely on its
//! fields, so none is renamed or removed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::compiler_style::{CompilerStyle, Message};
use super::nameserver_origins::human_origins;
use super::schema_version::SchemaVersion;
use super::summary::Counts;
use super::table::table;
use crate::resolver::{Family, Resolver};
use crate::rules::DocsUrl;
use crate::text::{Block, Line};
use crate::verdicts::lookup_costs::{ComputedLookup, LookupCost};
use crate::verdicts::observations::{
    AskedQuery, Environment, LookupResult, Observations, OwnResolver, Pair, PairMode, Program, SystemLookup, Targets,
    UnaskedLibrary,
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
    /// The probe was stopped before its end.
    pub stopped: bool,
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

    /// Returns the report for people. On a terminal, the name of a verdict is a link to its page below `docs`.
    pub fn human(&self, in_colour: bool, docs: Option<&DocsUrl>) -> Block {
        let style = CompilerStyle::new(in_colour, None);
        let mut text = Block::default();
        self.verdicts.iter().for_each(|verdict| text.push(&style.render(&message(verdict, docs))));
        self.write_costs(&mut text);
        if let Some(origins) = &self.seen.environment.nameserver_origins {
            text.push(&human_origins(origins));
            text.push_line("");
        }
        self.write_summary(&mut text);
        text
    }

    /// Writes a table of at most [`WIDTH`] columns: under each name a row for each resolver, and under it the profiles.
    fn write_costs(&self, text: &mut Block) {
        if self.costs.is_empty() {
            return;
        }
        let header = ["RESOLVER", "QUERIES", "TIME", "COMPUTED", "GETADDRINFO"].map(Line::new).to_vec();
        let rows: Vec<Vec<Line>> = std::iter::once(header).chain(self.costs.iter().map(cost_row)).collect();
        let rows = table(&rows);
        let mut rows = rows.as_str().lines().map(|row| format!("  {row}"));
        text.push_line(rows.next().unwrap_or_default());
        let mut name = None;
        for (cost, row) in self.costs.iter().zip(rows) {
            if name != Some(&cost.name) {
                name = Some(&cost.name);
                push_wrapped(text, "", &cost.name);
            }
            text.push_line(row);
            for (profile, computed) in &cost.profiles {
                push_wrapped(text, "    ", &format!("with {profile}: {}", cost_cell(*computed)));
            }
        }
        text.push_line("");
    }

    fn write_summary(&self, text: &mut Block) {
        let Self { seen, verdicts, costs: _, sent, stopped, took } = self;
        for program in &seen.environment.programs {
            text.push_line(program_line(program));
        }
        for UnaskedLibrary { library, because } in &seen.environment.unasked {
            text.push_line(format!("{library}: not used for lookups by getaddrinfo: {because}"));
        }
        let (asked, answered) =
            (seen.single_queries().count(), seen.single_queries().filter(|asked| asked.is_answered()).count());
        let whole = Rate::count(&seen.pairs, |pair| pair.is_whole());
        let result = match (verdicts.is_empty(), stopped) {
            (true, false) => "no verdict".to_owned(),
            (true, true) => "stopped, no verdict so far".to_owned(),
            (false, false) => self.counts().to_string(),
            (false, true) => format!("stopped, so far {}", self.counts()),
        };
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
        let Self { seen, verdicts, costs, sent, stopped, took } = self;
        let Counts { deny, warn, info } = self.counts();
        Block::indented_json(&ProbeDocument {
            version: SchemaVersion,
            verdicts: verdicts.iter().map(JsonVerdict::new).collect(),
            costs: costs.iter().map(JsonCost::new).collect(),
            targets: &seen.targets,
            surroundings: &seen.environment,
            lookups: &seen.lookups,
            pairs: MODES.map(|mode| JsonPairs::new(mode, &seen.pairs)).to_vec(),
            asked: &seen.asked,
            summary: JsonSummary { deny, warn, info, queries: *sent, seconds: round(*took), stopped: *stopped },
        })
    }
}

/// The most columns of the table.
const WIDTH: usize = 80;

/// Adds a text in lines of at most [`WIDTH`] columns, each after this indent.
fn push_wrapped(text: &mut Block, indent: &str, line: &str) {
    let line: Vec<char> = Line::new(line.to_owned()).chars().collect();
    for part in line.chunks(WIDTH - indent.len()) {
        text.push_line(format!("{indent}{}", part.iter().collect::<String>()));
    }
}

/// Returns the row of one resolver's lookup of one name.
fn cost_row(cost: &LookupCost) -> Vec<Line> {
    let LookupCost { name: _, resolver, today, measured, profiles: _ } = cost;
    [
        resolver.to_string(),
        today.queries.to_string(),
        milliseconds(today.took),
        (if today.found { "found" } else { "not found" }).to_owned(),
        measured.as_ref().map(lookup_cell).unwrap_or_default(),
    ]
    .map(Line::new)
    .to_vec()
}

/// Returns the result of a lookup by `getaddrinfo`: its time if it found an address, or else its error.
fn lookup_cell(lookup: &SystemLookup) -> String {
    let SystemLookup { took, result, error, .. } = lookup;
    let time = milliseconds(*took);
    match result {
        LookupResult::Addresses(_) => time,
        LookupResult::GivenUp => format!("FAILED: none in {time}"),
        // The C library's own names are short; the texts of the standard library are not.
        LookupResult::Nothing => match error.as_deref().and_then(|error| error.strip_prefix("EAI_")) {
            Some(error) => format!("FAILED: {error}, {time}"),
            None => format!("FAILED, {time}"),
        },
    }
}

const MODES: [PairMode; 4] = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];

fn message(verdict: &Verdict, docs: Option<&DocsUrl>) -> Message<'static> {
    let Verdict { diagnosis, level, confidence, what, evidence, help, profile_effects, .. } = verdict;
    let profiles = profile_lines(profile_effects);
    let notes = [("confidence", Line::new(confidence.name()))]
        .into_iter()
        .chain(evidence.iter().map(|text| ("evidence", Line::new(text.clone()))))
        .chain(help.iter().map(|text| ("help", Line::new(text.clone()))))
        .chain(profiles.into_iter().map(|text| ("profile", Line::new(text))))
        .collect();
    let page = docs.map(|docs| docs.page_of_verdict(diagnosis.slug));
    Message { level: *level, title: Line::new(what.clone()), slug: diagnosis.slug, page, place: None, notes }
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
    let Program { name, resolver, because, netdns_without_effect, asked_through, own_resolvers } = program;
    let through = if *asked_through { ", used for lookups by getaddrinfo" } else { "" };
    let netdns = if *netdns_without_effect {
        "; GODEBUG=netdns=cgo is set but has no effect: it needs a program built with CGO_ENABLED=1 and without the tag netgo"
    } else {
        ""
    };
    let own = own_resolver_text(*resolver, own_resolvers);
    format!("{name}: {resolver}{through}: {because}{netdns}{own}")
}

/// Returns that lookups by `getaddrinfo` do not show how a program with another resolver fares.
fn own_resolver_text(resolver: Resolver, own_resolvers: &[OwnResolver]) -> String {
    const ELSEWHERE: &str =
        "lookups by getaddrinfo do not show how that fares; the verdicts on nameservers hold for it";
    match resolver.family {
        Family::Go => return format!("; its program asks the nameservers by Go's own resolver: {ELSEWHERE}"),
        Family::CAres => return format!("; its program asks the nameservers by c-ares: {ELSEWHERE}"),
        _ => {}
    }
    let texts = own_resolvers.iter().map(|own| format!("{} ({})", own.name, own.evidence)).collect::<Vec<_>>();
    if texts.is_empty() {
        return String::new();
    }
    format!("; besides its C library it holds the resolver of {}: {ELSEWHERE}", texts.join(", "))
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

/// The output of `muslin probe -o json`: verdicts, the costs of lookups, and all observations.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProbeDocument<'p> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    /// What is wrong, the most serious first.
    verdicts: Vec<JsonVerdict<'p>>,
    /// The costs of lookups by name and resolver.
    costs: Vec<JsonCost<'p>>,
    /// The names and servers that were queried.
    targets: &'p Targets,
    /// Files, programs and counters of this machine.
    surroundings: &'p Environment,
    /// Lookups through C libraries.
    lookups: &'p [SystemLookup],
    /// Queries for A and AAAA of one name, sent as pairs, by the way they were sent.
    pairs: Vec<JsonPairs>,
    /// Single queries, in the order of their answers.
    asked: &'p [AskedQuery],
    /// Totals.
    summary: JsonSummary,
}

/// A verdict.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Verdict")]
struct JsonVerdict<'p> {
    /// The verdict's name, with a page in docs/verdicts.
    verdict: &'static str,
    /// `deny`: lookups fail; `warn`: lookups are slower, or fail more often, than necessary; `info`: worth knowing.
    #[schemars(extend("enum" = ["deny", "warn", "info"]))]
    level: &'static str,
    /// How certain the verdict is.
    confidence: &'static str,
    /// The same value, under the name that it had in 0.1.0. Will be removed.
    #[schemars(extend("deprecated" = true))]
    sureness: &'static str,
    /// The verdict in a sentence.
    what: &'p str,
    /// The observations behind it.
    evidence: &'p [String],
    /// What to do.
    help: &'p [String],
    /// The profiles that improve something.
    profiles: Vec<JsonImprovement>,
    /// Why no profile helps, if none does.
    no_profile_because: Option<&'static str>,
    /// Requested names that do not resolve because of it.
    failing_names: &'p [String],
}

/// The improvement of one resolver's lookup by a profile.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Improvement")]
struct JsonImprovement {
    /// The profile's name.
    profile: &'static str,
    /// The resolver, with its release.
    resolver: String,
    /// The lookup that improves.
    about: &'static str,
    /// Seconds without the profile; `null` if the lookup fails.
    today_seconds: Option<f64>,
    /// Seconds with the profile; `null` if the lookup fails.
    with_profile_seconds: Option<f64>,
}

/// The cost of one lookup by one resolver.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cost")]
struct JsonCost<'p> {
    /// The name that is looked up.
    name: &'p str,
    /// The resolver, with its release.
    resolver: String,
    /// Queries that the resolver sends, as computed.
    queries: u32,
    /// Seconds that the lookup takes, as computed.
    seconds: f64,
    /// The lookup finds an address, as computed.
    found: bool,
    /// Seconds that the lookup through the C library took; `null` if there was none.
    measured_seconds: Option<f64>,
    /// Why the lookup through the C library failed; `null` if it did not.
    measured_error: Option<String>,
    /// The same with the options of each profile.
    profiles: Vec<JsonProfileCost>,
}

/// The cost of a lookup with the options of a profile.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProfileCost")]
struct JsonProfileCost {
    /// The profile's name.
    profile: &'static str,
    /// Queries that the resolver sends.
    queries: u32,
    /// Seconds that the lookup takes.
    seconds: f64,
    /// The lookup finds an address.
    found: bool,
}

/// The pairs of queries that were sent one way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Pairs")]
struct JsonPairs {
    /// The way they were sent.
    mode: PairMode,
    /// All pairs.
    pairs: u64,
    /// Pairs with both answers.
    whole: u64,
    /// Pairs of which one answer came.
    lost_one: u64,
    /// Pairs of which an answer has an error code.
    failed: u64,
}

/// The totals of a probe.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Summary")]
struct JsonSummary {
    /// Verdicts of level `deny`.
    deny: usize,
    /// Verdicts of level `warn`.
    warn: usize,
    /// Verdicts of level `info`.
    info: usize,
    /// Queries sent.
    queries: u32,
    /// Duration of the probe.
    seconds: f64,
    /// The probe was stopped before its end.
    stopped: bool,
}

// === impl JsonVerdict, JsonCost, JsonPairs ===

impl<'p> JsonVerdict<'p> {
    fn new(verdict: &'p Verdict) -> Self {
        let Verdict { diagnosis, level, confidence, what, evidence, help, profile_effects, failing_names, .. } =
            verdict;
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
            failing_names,
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
            measured_seconds: measured.as_ref().map(|lookup| round(lookup.took)),
            measured_error: measured.as_ref().filter(|lookup| !lookup.result.is_found()).map(|lookup| {
                let given_up = lookup.result == LookupResult::GivenUp;
                lookup.error.clone().unwrap_or_else(|| if given_up { "given up" } else { "nothing found" }.to_owned())
            }),
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
            failed: Rate::count(of_mode(), |pair| pair.is_failed()).hits,
        }
    }
}
