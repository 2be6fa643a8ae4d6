//! The state of a watch over its rounds: what is suspected, which verdicts stand, and what to do next. Times count from the start of the
//! watch. Must not know of clocks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::query_budget::QueryBudget;
use super::round::Focus;
use super::symptoms::{Symptom, losses, lossy, symptoms};
use crate::policy::Level;
use crate::verdicts::Verdict;
use crate::verdicts::observations::AskedQuery;
use crate::verdicts::statistics::Rate;

/// A new symptom must show in two of this many rounds before a full probe is made.
const ROUNDS: usize = 3;

/// Rounds and full probes that confirm something follow each other after this part of the interval.
const SOONER: u32 = 3;
/// The most rounds in a row that follow sooner.
const SOONER_MAX: u32 = 6;

/// A symptom that a full probe has looked at is new again after this many rounds without it.
const FORGOTTEN: u32 = 4;
/// Number of rounds over which lost packets are counted.
const LOSS_ROUNDS: usize = 20;
/// Number of rounds without a symptom after which a verdict may have ended.
const CLEAN: u32 = 2;
/// Intervals between full probes while a verdict stands that small rounds do not see, and while they see it.
const UNSEEN: u32 = 8;
const SEEN: u32 = 60;
/// Rounds until a full probe looks once more at symptoms without a verdict; twice as many after each. The first comes at once, as chance may
/// hide a fault that only some answers show.
const AGAIN: u32 = 1;
const AGAIN_MAX: u32 = 128;

/// A verdict that a full probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The diagnosis, such as `stale-nameserver`.
    pub slug: &'static str,
    /// Severity: `deny` or `warn`.
    pub level: &'static str,
    /// The name that fails, if there is one.
    pub subject: String,
    /// The problem in one clause.
    pub what: String,
    /// The best advice.
    pub help: Option<String>,
}

/// A verdict that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The verdict, as the last full probe found it.
    pub found: Found,
    /// The time of the first full probe that found it.
    pub since: Duration,
    /// Is true if the last full probe did not find it.
    is_gone: bool,
    /// No short probe has found it.
    is_whole: bool,
}

/// A verdict that only the last full probe found.
#[derive(Clone, Debug)]
struct Pending {
    found: Found,
    since: Duration,
    is_whole: bool,
}

/// A change of the standing verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A verdict begins to stand.
    Raised(Standing),
    /// A verdict stands no more.
    Cleared(Standing),
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A small round.
    Round,
    /// A full probe.
    Probe,
}

/// The state of a watch.
#[derive(Clone, Debug)]
pub struct Watcher {
    interval: Duration,
    /// The most queries of a full probe.
    probe_max: u32,
    /// The expected number of queries of a whole full probe, and of a short one.
    whole_queries: u32,
    short_queries: u32,
    budget: QueryBudget,
    round_due: Duration,
    probe_due: Option<Duration>,
    last_probe: Duration,
    /// New symptoms of the last rounds.
    recent: VecDeque<BTreeSet<Symptom>>,
    /// Symptoms that a full probe has looked at, with the number of rounds since they were last seen.
    known: BTreeMap<Symptom, u32>,
    /// Symptoms for which the last full probe without any verdict was made. They say nothing of a verdict that stands.
    harmless: BTreeSet<Symptom>,
    /// Lost packets of the last rounds.
    losses: VecDeque<Rate>,
    /// Number of rounds in a row with a new symptom.
    sooner: u32,
    /// Number of rounds in a row without a symptom of a verdict.
    clean: u32,
    /// Number of rounds in a row without any symptom.
    quiet: u32,
    /// Number of rounds since the last full probe.
    rounds: u32,
    /// A round since the last full probe had a symptom.
    is_seen: bool,
    /// A symptom that the last full probe has looked at has been absent for some rounds.
    has_faded: bool,
    again: u32,
    standing: Vec<Standing>,
    pending: Vec<Pending>,
    /// The next full probe is for more than symptoms of small rounds.
    is_whole_due: bool,
}

// === impl Found ===

impl Found {
    /// Returns the verdicts that a watch raises: those of level `warn` and above. Advice is for a person who probes.
    pub fn of(verdicts: &[Verdict]) -> Vec<Self> {
        let counts = verdicts.iter().filter(|verdict| verdict.level >= Level::Warn);
        counts
            .map(|verdict| Self {
                slug: verdict.diagnosis.slug,
                level: verdict.level.name(),
                subject: verdict.failing_names.first().cloned().unwrap_or_default(),
                what: verdict.what.clone(),
                help: verdict.help.first().cloned(),
            })
            .collect()
    }
}

// === impl Watcher ===

impl Watcher {
    /// Returns a watch that begins with a full probe, which sends at most `probe_max` queries.
    pub fn new(interval: Duration, probe_max: u32) -> Self {
        Self {
            interval,
            probe_max,
            whole_queries: probe_max,
            short_queries: probe_max,
            budget: QueryBudget::new(interval),
            round_due: interval,
            probe_due: Some(Duration::ZERO),
            last_probe: Duration::ZERO,
            recent: VecDeque::new(),
            known: BTreeMap::new(),
            harmless: BTreeSet::new(),
            losses: VecDeque::new(),
            sooner: 0,
            clean: 0,
            quiet: 0,
            rounds: 0,
            is_seen: false,
            has_faded: false,
            again: AGAIN,
            standing: Vec::new(),
            pending: Vec::new(),
            is_whole_due: true,
        }
    }

    /// Lets the first round begin at this time, so that the watches of many nodes do not ask at the same moment.
    pub fn begin_rounds_at(&mut self, at: Duration) {
        self.round_due = at;
    }

    /// Returns the next step, and its time. A full probe waits until the budget affords it; rounds go on meanwhile.
    pub fn next(&mut self, now: Duration) -> (Duration, Step) {
        let queries = if self.is_whole_due { self.whole_queries } else { self.short_queries };
        let probe = self.probe_due.map(|due| due.max(self.budget.affords(now, queries)));
        match probe {
            Some(due) if due <= self.round_due => (due, Step::Probe),
            _ => (self.round_due, Step::Round),
        }
    }

    /// Returns the standing verdicts, the oldest first.
    pub fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// Returns what the last rounds showed.
    pub fn focus(&self) -> Focus {
        let mut focus = Focus::default();
        for symptom in self.recent.iter().flatten().chain(self.known.keys()) {
            match symptom {
                Symptom::SearchDomain(domain, _) => _ = focus.suspects.insert(domain.clone()),
                Symptom::Tcp(server) => _ = focus.without_tcp.insert(*server),
                _ => {}
            }
        }
        // One that a full probe has not looked at may have lost some packets.
        for symptom in self.known.keys() {
            if let Symptom::Unanswered(server) = symptom {
                focus.silent.insert(*server);
            }
        }
        focus
    }

    /// Makes a full probe the next step, because something else has changed.
    pub fn probe_at(&mut self, now: Duration) {
        self.probe_due = Some(now);
        self.is_whole_due = true;
    }

    /// Returns whether the next full probe must be whole, and not a short one: it is for more than symptoms of small rounds, or about a
    /// verdict that short ones do not find.
    pub fn is_whole_due(&self) -> bool {
        self.is_whole_due
    }

    /// Returns the most queries of a round that begins now.
    pub fn round_allowance(&mut self, now: Duration) -> u32 {
        self.budget.for_round(now)
    }

    /// Returns the most queries of a full probe that begins now.
    pub fn allowance(&mut self, now: Duration) -> u32 {
        self.budget.left(now).min(self.probe_max)
    }

    /// Returns whether this many queries may be sent besides rounds and full probes.
    pub fn affords(&mut self, now: Duration, queries: u32) -> bool {
        self.budget.affords(now, queries) <= now
    }

    /// Counts queries that neither a round nor a full probe sent.
    pub fn spend(&mut self, now: Duration, queries: u32) {
        self.budget.spend(now, queries);
    }

    /// Takes in a small round that has ended.
    pub fn after_round(&mut self, now: Duration, asked: &[AskedQuery], sent: u32) {
        self.budget.spend(now, sent);
        let silent = self.focus().silent;
        let shown = symptoms(asked);
        // Losses of many rounds outlast the fault that caused them, so they do not show that it goes on.
        let is_clean = shown.is_subset(&self.harmless);
        let mut seen = shown;
        seen.extend(self.count_losses(asked));
        self.known.retain(|symptom, absent| {
            *absent = if seen.contains(symptom) { 0 } else { *absent + 1 };
            *absent < FORGOTTEN
        });
        self.has_faded |= self.known.iter().any(|(symptom, absent)| *absent == CLEAN && symptom.fades(&silent));
        let new: BTreeSet<Symptom> = seen.iter().filter(|symptom| !self.known.contains_key(symptom)).cloned().collect();
        let has_known = new.len() < seen.len();
        let is_suspicious = self.recent.iter().flatten().any(|symptom| new.contains(symptom));
        self.is_whole_due |= is_suspicious && new.iter().any(Symptom::needs_whole_probe);
        self.sooner = if new.is_empty() { 0 } else { self.sooner + 1 };
        self.recent.push_back(new);
        while self.recent.len() >= ROUNDS {
            self.recent.pop_front();
        }
        self.clean = if is_clean { self.clean + 1 } else { 0 };
        self.is_seen |= !is_clean;
        self.quiet = if seen.is_empty() { self.quiet + 1 } else { 0 };
        self.rounds += 1;
        if self.quiet >= FORGOTTEN {
            self.again = AGAIN;
        }
        let is_sooner = (1..=SOONER_MAX).contains(&self.sooner);
        self.round_due = now + if is_sooner { self.interval / SOONER } else { self.interval };
        if is_suspicious || self.has_ended(now) || (has_known && self.looks_again()) {
            self.probe_due.get_or_insert(now);
        }
    }

    /// Takes in a full probe that has ended, and returns what changed.
    pub fn after_probe(&mut self, now: Duration, found: Vec<Found>, sent: u32) -> Vec<Change> {
        let is_whole = std::mem::take(&mut self.is_whole_due);
        self.budget.spend(now, sent);
        self.probe_due = None;
        self.last_probe = now;
        // The next one is about as large, and larger if more is answered.
        let expected = if is_whole { &mut self.whole_queries } else { &mut self.short_queries };
        *expected = (sent + sent / 4).min(self.probe_max);
        let mut changes = self.end_standing(&found, is_whole);
        let mut pending = Vec::new();
        for found in found {
            if let Some(standing) = self.standing.iter_mut().find(|standing| standing.found.slug == found.slug) {
                standing.found = found;
                standing.is_whole &= is_whole;
                continue;
            }
            match self.pending.iter().position(|pending| pending.found.slug == found.slug) {
                Some(index) => {
                    let Pending { since, is_whole: before, .. } = self.pending.swap_remove(index);
                    let standing = Standing { found, since, is_gone: false, is_whole: is_whole && before };
                    changes.push(Change::Raised(standing.clone()));
                    self.standing.push(standing);
                }
                None => pending.push(Pending { found, since: now, is_whole }),
            }
        }
        // A short probe says nothing of what only whole ones find.
        pending.extend(self.pending.drain(..).filter(|pending| pending.is_whole && !is_whole));
        self.is_whole_due |= !is_whole && pending.iter().any(|pending| pending.is_whole);
        self.pending = pending;
        if self.is_whole_due || !self.pending.is_empty() || self.standing.iter().any(|standing| standing.is_gone) {
            self.probe_due = Some(now + self.interval / SOONER);
        }
        if changes.iter().any(|change| matches!(change, Change::Cleared(_))) {
            // What returns after its verdict has ended is a new fault.
            self.known.retain(|_, absent| *absent < CLEAN);
        }
        self.look_away();
        changes
    }

    /// Returns the verdicts that stand no more: neither this full probe nor the last one found them, or it did not, and small rounds that
    /// had shown symptoms show none.
    fn end_standing(&mut self, found: &[Found], is_whole: bool) -> Vec<Change> {
        let have_rounds_ended = self.clean >= CLEAN && (self.is_seen || self.has_faded);
        let mut ended = Vec::new();
        for mut standing in std::mem::take(&mut self.standing) {
            let is_found = found.iter().any(|found| found.slug == standing.found.slug);
            let is_unclear = !is_found && standing.is_whole && !is_whole;
            if is_unclear {
                self.is_whole_due = true;
            } else if !is_found && (standing.is_gone || (have_rounds_ended && !standing.is_whole)) {
                ended.push(Change::Cleared(standing));
                continue;
            } else {
                standing.is_gone = !is_found;
            }
            self.standing.push(standing);
        }
        ended
    }

    /// Counts the lost packets of a round, and returns the symptom of losses over many rounds.
    fn count_losses(&mut self, asked: &[AskedQuery]) -> Option<Symptom> {
        self.losses.push_back(losses(asked));
        while self.losses.len() > LOSS_ROUNDS {
            self.losses.pop_front();
        }
        let all = self
            .losses
            .iter()
            .fold(Rate::default(), |all, round| Rate { hits: all.hits + round.hits, total: all.total + round.total });
        lossy(all)
    }

    /// Returns whether a standing verdict may have ended.
    fn has_ended(&self, now: Duration) -> bool {
        let waited = now.saturating_sub(self.last_probe);
        let is_over = self.clean >= CLEAN && (self.is_seen || waited >= self.interval * UNSEEN);
        !self.standing.is_empty() && (is_over || self.has_faded || waited >= self.interval * SEEN)
    }

    /// Returns whether a full probe should look once more at symptoms for which the last one had no verdict.
    fn looks_again(&mut self) -> bool {
        let looks = self.rounds >= self.again && self.standing.is_empty() && self.pending.is_empty();
        if looks {
            self.is_whole_due |= self.again > AGAIN;
            self.again = (self.again * 2).min(AGAIN_MAX);
        }
        looks
    }

    /// Notes that a full probe has looked at the symptoms of the last rounds.
    fn look_away(&mut self) {
        self.known.extend(self.recent.drain(..).flatten().map(|symptom| (symptom, 0)));
        if self.standing.is_empty() && self.pending.is_empty() {
            self.harmless = self.known.keys().cloned().collect();
        }
        self.losses.clear();
        (self.sooner, self.clean, self.rounds, self.is_seen, self.has_faded) = (0, 0, 0, false, false);
    }
}
