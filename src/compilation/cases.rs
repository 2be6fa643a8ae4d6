//! The table of cases: what muslin does in each situation, for each row of options. Each case is made from answers for pods with one
//! container, and checked against answers for pods with two. Must not know expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use super::engine::{Answer, Engine, Found, Place, Question, name};
use super::groups::{Group, Texts};
use super::images::Kind;
use super::vocabulary::{Situation, situations};
use crate::policy::{ContainerResolver, Mode, Profile};

/// The options of some pods, and the condition on their containers: the first row whose condition holds counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The options.
    pub(super) options: Vec<String>,
    /// The index of the first row with the same options.
    pub(super) same_as: usize,
    /// The kinds of containers that the condition is about.
    pub(super) kinds: BTreeSet<usize>,
    /// The condition holds if all containers are of these kinds, not just one.
    pub(super) is_for_all: bool,
}

/// The answer for one situation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) added: Vec<String>,
    pub(super) replaced: Vec<String>,
    pub(super) injected: Option<String>,
    pub(super) groups: Vec<Group>,
    /// The kinds for which this case is not the answer.
    pub(super) excluded: BTreeSet<usize>,
    /// Pairs of kinds for which this case is not the answer, if a pod has both.
    pub(super) conflicts: BTreeSet<(usize, usize)>,
}

/// All cases.
#[derive(Debug, Default)]
pub(super) struct Cases {
    pub(super) rows: Vec<Row>,
    /// The key of a case ([`case_key`]) → the case.
    pub(super) by_key: BTreeMap<String, Case>,
}

/// A kind as containers have it: what goes into the annotation `muslin.dev/resolvers`, and the label of a pod with it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KindTexts {
    pub(super) resolver: String,
    pub(super) libc: String,
}

// === impl Cases ===

impl Cases {
    /// Asks the engine for every case, on this number of threads, or one for each processor.
    pub(super) fn ask(engine: &Engine<'_>, kinds: &[Kind], threads: Option<usize>) -> Self {
        let rows = rows(engine.profile, kinds, engine.cluster_nameservers);
        let situations = situations();
        let asker = |situation, mode, row: Option<usize>| {
            let options = row.map_or(&[][..], |row: usize| &rows[row].options);
            Asker { engine, kinds, rows: &rows, mode, options, row, situation }
        };
        let mut askers: Vec<Asker<'_>> = Vec::new();
        for situation in &situations {
            askers.push(asker(situation, Mode::Warn, None));
            let distinct = (0..rows.len()).filter(|index| rows[*index].same_as == *index);
            askers.extend(distinct.map(|index| asker(situation, Mode::Inject, Some(index))));
        }
        let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        let part = askers.len().div_ceil(threads).max(1);
        let by_key = thread::scope(|scope| {
            let case = |asker: &Asker<'_>| Some((case_key(asker.row, asker.situation), asker.case()?));
            let parts: Vec<_> = askers
                .chunks(part)
                .map(|part| scope.spawn(move || part.iter().filter_map(case).collect::<Vec<_>>()))
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        Self { rows, by_key }
    }
}

/// Returns the key of a case: in mode `warn`, or in mode `inject` with the options of a row.
pub(super) fn case_key(row: Option<usize>, situation: &Situation) -> String {
    format!("{}|{}", row_key(row), situation.key())
}

/// Returns the first part of the key of a case.
pub(super) fn row_key(row: Option<usize>) -> String {
    row.map_or_else(|| "warn".to_owned(), |row| format!("row{row}"))
}

/// Returns the texts of each kind.
pub(super) fn kind_texts(engine: &Engine<'_>, kinds: &[Kind]) -> Vec<KindTexts> {
    let situation = &situations()[0];
    let texts = |kind: &Kind| {
        let question = Question { mode: Mode::Warn, row: &[], situation, kinds: &[kind] };
        let Answer { resolvers, libc, .. } = engine.ask(&question)?;
        Some(KindTexts { resolver: resolvers.strip_prefix(&format!("{}=", name(0)))?.to_owned(), libc })
    };
    kinds.iter().map(|kind| texts(kind).unwrap_or(KindTexts { resolver: String::new(), libc: String::new() })).collect()
}

/// Returns the profile's rows that a pod with this number of nameservers can get.
fn rows(profile: &Profile, kinds: &[Kind], nameservers: usize) -> Vec<Row> {
    let resolvers: Vec<ContainerResolver> = kinds
        .iter()
        .map(|kind| {
            let fingerprint = profile.images.apply(&kind.image, kind.fingerprint.clone());
            ContainerResolver {
                resolver: fingerprint.resolver,
                evidence: fingerprint.evidence,
                holds_java: fingerprint.holds_java,
            }
        })
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    for row in profile.option_rows().filter(|row| row.condition.admits(nameservers)) {
        let options = row.options.to_vec();
        let same_as = rows.iter().position(|other| other.options == options).unwrap_or(rows.len());
        let is_met = |index: &usize| row.condition.is_met_by(resolvers[*index]);
        let kinds = (0..kinds.len()).filter(is_met).collect();
        rows.push(Row { options, same_as, kinds, is_for_all: row.condition.is_for_all() });
    }
    rows
}

/// Asks for one case.
struct Asker<'a> {
    engine: &'a Engine<'a>,
    kinds: &'a [Kind],
    rows: &'a [Row],
    mode: Mode,
    options: &'a [String],
    /// The index of the row; `None` in mode `warn`.
    row: Option<usize>,
    situation: &'a Situation,
}

// === impl Asker ===

impl Asker<'_> {
    /// Returns the case; `None` if it is the answer for no kind.
    fn case(&self) -> Option<Case> {
        let answers: Vec<Option<Answer>> =
            self.kinds.iter().map(|kind| self.engine.ask(&self.question(&[kind]))).collect();
        let first = answers.iter().flatten().next()?;
        let Answer { added, replaced, injected, .. } = first;
        let is_same = |answer: &Answer| {
            (&answer.added, &answer.replaced, &answer.injected) == (added, replaced, injected)
                && pod_groups(answer) == pod_groups(first)
        };
        let mut case =
            Case { added: added.clone(), replaced: replaced.clone(), injected: injected.clone(), ..Case::default() };
        case.groups = self.groups(&answers, first);
        for (kind, answer) in answers.iter().enumerate() {
            let is_right = answer.as_ref().is_some_and(|answer| is_same(answer) && case.is_answer(&[kind], answer));
            if !is_right {
                case.excluded.insert(kind);
            }
        }
        if !case.groups.iter().all(Group::is_plain) || case.excluded.len() == self.kinds.len() {
            return None;
        }
        self.check_pairs(&mut case);
        Some(case)
    }

    fn question<'q>(&'q self, kinds: &'q [&'q Kind]) -> Question<'q> {
        let Self { mode, options, situation, .. } = self;
        Question { mode: *mode, row: options, situation, kinds }
    }

    /// Returns the lines of all kinds together: findings, accepted risks, other notes.
    fn groups(&self, answers: &[Option<Answer>], first: &Answer) -> Vec<Group> {
        let mut by_place: BTreeMap<&Place, Group> = BTreeMap::new();
        let mut accepted: BTreeMap<String, Group> = BTreeMap::new();
        let mut notes = Vec::new();
        for (kind, answer) in answers.iter().enumerate() {
            let Some(answer) = answer else { continue };
            for found in &answer.findings {
                let group = by_place.entry(&found.place).or_insert_with(|| match found.container {
                    None => Group::of_pod(found),
                    Some(_) => Group::Containers {
                        slug: found.slug,
                        needs_all: false,
                        change_varies: false,
                        findings: BTreeMap::new(),
                    },
                });
                if let Group::Containers { findings, .. } = group {
                    findings.insert(kind, Texts::of(found));
                }
            }
            for note in &answer.notes {
                let Some((head, message)) = note.split_once(&format!("{}: ", name(0))) else { continue };
                let group = accepted
                    .entry(head.to_owned())
                    .or_insert_with(|| Group::Accepted { head: head.to_owned(), messages: BTreeMap::new() });
                if let Group::Accepted { messages, .. } = group {
                    messages.insert(kind, message.to_owned());
                }
            }
        }
        notes.extend(first.notes.iter().filter(|note| !is_about_a_container(note)).map(|note| Group::of_note(note)));
        by_place.into_values().chain(accepted.into_values()).chain(notes).collect()
    }

    /// Compares the case with the answers for pairs, and notes where it is not the answer.
    fn check_pairs(&self, case: &mut Case) {
        let kinds: Vec<usize> = (0..self.kinds.len()).filter(|kind| !case.excluded.contains(kind)).collect();
        let mut answers = Vec::new();
        for pair in pairs(case, &kinds) {
            if self.row.is_none_or(|row| self.row_of(&pair) == Some(row)) {
                answers.push((pair, self.engine.ask_once(&self.question(&pair.map(|kind| &self.kinds[kind])))));
            }
        }
        for (pair, answer) in &answers {
            answer.iter().for_each(|answer| case.learn(*pair, answer));
        }
        for (pair, answer) in answers {
            if !answer.is_some_and(|answer| case.is_answer(&pair, &answer)) {
                case.conflicts.insert((pair[0], pair[1]));
            }
        }
    }

    /// Returns the row of a pod with containers of these kinds.
    fn row_of(&self, kinds: &[usize]) -> Option<usize> {
        let holds = |row: &&Row| {
            let is_met = |kind: &usize| row.kinds.contains(kind);
            if row.is_for_all { kinds.iter().all(is_met) } else { kinds.iter().any(is_met) }
        };
        self.rows.iter().find(holds).map(|row| row.same_as)
    }
}

/// Returns the pairs of kinds to compare: kinds with findings of the same rules are alike, so that one stands for all of them beside others,
/// and two of them for the pairs among themselves.
fn pairs(case: &Case, kinds: &[usize]) -> Vec<[usize; 2]> {
    let mut alike: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
    for kind in kinds {
        let has = |group: &Group| match group {
            Group::Pod { .. } => true,
            Group::Containers { findings, .. } => findings.contains_key(kind),
            Group::Accepted { messages, .. } => messages.contains_key(kind),
        };
        alike.entry(case.groups.iter().map(has).collect()).or_default().push(*kind);
    }
    let mut pairs: Vec<[usize; 2]> =
        alike.values().filter_map(|kinds| Some([*kinds.first()?, *kinds.get(1)?])).collect();
    let first: Vec<usize> = alike.values().filter_map(|kinds| kinds.first().copied()).collect();
    for (index, one) in first.iter().enumerate() {
        pairs.extend(first[index + 1..].iter().map(|other| [*one, *other]));
    }
    pairs
}

fn is_about_a_container(note: &str) -> bool {
    note.contains(&format!("{}: ", name(0)))
}

/// Returns what an answer says about the pod as a whole.
fn pod_groups(answer: &Answer) -> Vec<Group> {
    let findings = answer.findings.iter().filter(|found| found.container.is_none()).map(Group::of_pod);
    let notes = answer.notes.iter().filter(|note| !is_about_a_container(note));
    findings.chain(notes.map(|note| Group::of_note(note))).collect()
}

// === impl Case ===

impl Case {
    /// Returns whether the case says what the engine says about a pod with containers of these kinds.
    fn is_answer(&self, kinds: &[usize], answer: &Answer) -> bool {
        let Answer { added, replaced, injected, warnings, .. } = answer;
        let lines: Vec<String> = self.groups.iter().flat_map(|group| group.lines(kinds)).collect();
        let lines = (!lines.is_empty()).then(|| lines.join("\n"));
        (&self.added, &self.replaced, &self.injected, &lines) == (added, replaced, injected, warnings)
    }

    /// Notes which findings need every container, those that a kind has alone and not beside the other one, and which changes vary.
    fn learn(&mut self, pair: [usize; 2], answer: &Answer) {
        for group in &mut self.groups {
            let Group::Containers { slug, needs_all, change_varies, findings } = group else { continue };
            for (index, kind) in pair.iter().enumerate() {
                let Some(texts) = findings.get(kind) else { continue };
                let is_same = |found: &&Found| {
                    found.container == Some(index) && found.slug == *slug && Texts::of(found).message == texts.message
                };
                match answer.findings.iter().find(is_same) {
                    None => *needs_all = true,
                    Some(found) => *change_varies |= Texts::of(found) != *texts,
                }
            }
        }
    }
}
