//! The whole picture: what to look at first, then each part.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::names::counted;
use super::namespaces::NamespaceGroup;
use super::nodes::{NodeState, State};
use super::observed::{AskedNameserver, Observed, UnknownImage};
use super::problem::{Kind, Problem, sort};
use super::{differences, namespaces, nodes, standing};
use crate::doctor::{self, Seen, Unseen};
use crate::policy::Level;

/// The most problems. A cluster with more has other worries than what the list leaves out.
const PROBLEMS_MAX: usize = 200;
/// The most images of unknown resolvers that are listed.
const UNKNOWN_IMAGES_MAX: usize = 50;
/// The most nameservers that are listed.
const NAMESERVERS_MAX: usize = 64;

/// The picture.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The time of the observations.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// The problems, the most serious first.
    pub problems: Vec<Problem>,
    /// Number of problems that the list leaves out.
    pub problems_left_out: usize,
    /// Sentences that name the parts that could not be read, and what is therefore not known.
    pub unread: Vec<String>,
    /// muslin itself.
    pub muslin: Muslin,
    /// Number of nodes by state.
    pub totals: NodeTotals,
    /// The nodes, the worst first.
    pub nodes: Vec<NodeState>,
    /// The nameservers that watchers ask, those that lose most first.
    pub nameservers: Vec<NameserverRow>,
    /// Namespaces by mode and profile, the largest group first; absent if namespaces could not be listed, or muslin's webhook is not
    /// installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceGroup>>,
    /// The images of running pods; absent if pods could not be listed, or were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
}

/// muslin itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Muslin {
    /// muslin's namespace.
    pub namespace: String,
    /// Checks of muslin's parts, some of those of `muslin doctor`; none if muslin's webhook is not installed.
    pub checks: Vec<doctor::Check>,
    /// Days until the serving certificate expires; absent if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_days: Option<i64>,
}

/// Number of nodes by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeTotals {
    /// All nodes.
    pub all: usize,
    /// Watched, and no verdict stands.
    pub healthy: usize,
    /// A verdict stands.
    pub verdict: usize,
    /// The watcher has written nothing for fifteen minutes.
    pub silent: usize,
    /// No watcher wrote anything.
    pub unwatched: usize,
    /// No watcher can run on the node.
    pub foreign: usize,
}

/// A nameserver that watchers ask, over all of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameserverRow {
    /// The address.
    pub address: String,
    /// Number of nodes that ask it.
    pub nodes: usize,
    /// Number of queries in the watchers' last rounds.
    pub queries: i64,
    /// Number of these without an answer.
    pub lost: i64,
    /// The median over nodes of the median time until an answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_milliseconds: Option<f64>,
    /// The longest time that 1 % of the answers exceed on a node, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_milliseconds: Option<f64>,
    /// The node with this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest_node: Option<String>,
}

/// The images of running pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// Number of running pods.
    pub pods: usize,
    /// Number of images.
    pub images: usize,
    /// Number of images whose resolver is unknown.
    pub unknown_images: usize,
    /// The images whose resolver is unknown, those in most pods first, at most 50.
    pub unknown: Vec<UnknownImage>,
}

// === impl Status ===

impl Status {
    /// Returns the number of problems at or above a level. What is left out of the list is never more serious than what is in it.
    #[must_use]
    pub fn problems_at_least(&self, level: Level) -> usize {
        self.problems.iter().filter(|problem| problem.level >= level).count()
    }
}

/// Returns the picture of what was observed.
#[must_use]
pub fn status(observed: Observed) -> Status {
    let states = nodes::states(&observed);
    let images = images(&observed);
    let mut problems: Vec<Problem> = muslin_problem(&observed).into_iter().collect();
    if observed.observations.is_ok() {
        problems.extend(standing::verdicts(&states, observed.now));
        problems.extend(standing::broken_domains(&states, observed.now));
        problems.extend(differences::differences(&states));
        problems.extend(nodes::problems(&states, observed.now));
    }
    problems.extend(namespaces::problems(&observed));
    problems.extend(images.as_ref().and_then(image_problem));
    sort(&mut problems);
    let problems_left_out = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    Status {
        time: observed.now,
        problems,
        problems_left_out,
        unread: unread(&observed),
        totals: totals(&states),
        nameservers: nameservers(&states),
        namespaces: (observed.is_installed && observed.namespaces.is_ok()).then(|| namespaces::groups(&observed)),
        images,
        muslin: Muslin {
            certificate_days: observed.certificate_until.map(|until| days(until.duration_since(observed.now))),
            namespace: observed.namespace,
            checks: if observed.is_installed { observed.checks } else { Vec::new() },
        },
        nodes: states,
    }
}

const fn days(rest: SignedDuration) -> i64 {
    rest.as_hours() / 24
}

/// Returns what is wrong with muslin's parts, in one problem: one part that fails makes others fail. A check that could not be made is no
/// problem, but unread.
fn muslin_problem(observed: &Observed) -> Option<Problem> {
    if !observed.is_installed {
        let title = "muslin's webhook is not installed: there is neither its Deployment nor a webhook configuration";
        return Some(Problem::new(Level::Info, Kind::Muslin, title).detail("muslin install prints its manifests"));
    }
    let bad: Vec<&doctor::Check> = observed
        .checks
        .iter()
        .filter(|check| matches!(check.status, doctor::Status::Wrong | doctor::Status::Warning))
        .collect();
    let worst = bad.iter().map(|check| check.status).max()?;
    let level = if worst == doctor::Status::Wrong { Level::Deny } else { Level::Warn };
    if let [check] = &*bad {
        let problem = Problem::new(level, Kind::Muslin, format!("muslin: {}", check.message));
        return Some(check.fix.iter().cloned().fold(problem, Problem::detail));
    }
    let title = format!("muslin: {} of its parts fail", counted(bad.len(), "check"));
    let problem = Problem::new(level, Kind::Muslin, title);
    let problem =
        bad.iter().fold(problem, |problem, check| problem.detail(format!("{}: {}", check.check, check.message)));
    Some(problem.detail("muslin doctor says what to do"))
}

fn images(observed: &Observed) -> Option<Images> {
    let images = observed.images.as_ref().ok()?.as_ref()?;
    let mut unknown = images.unknown.clone();
    unknown.sort_by(|a, b| b.pods.cmp(&a.pods).then_with(|| a.image.cmp(&b.image)));
    unknown.truncate(UNKNOWN_IMAGES_MAX);
    Some(Images { pods: images.pods, images: images.images, unknown_images: images.unknown.len(), unknown })
}

fn image_problem(images: &Images) -> Option<Problem> {
    let first = images.unknown.first()?;
    let title = format!(
        "the resolver of {} is unknown, so no rule about resolvers finds anything in their pods",
        counted(images.unknown_images, "image")
    );
    let pods = counted(first.pods, "pod");
    let problem = Problem::new(Level::Info, Kind::Image, title);
    let problem = problem.detail(format!("in most pods: {} ({pods}, namespace {})", first.image, first.namespace));
    Some(problem.detail("install with image inspection, or declare the images in a ResolverProfile"))
}

fn totals(states: &[NodeState]) -> NodeTotals {
    let count = |wanted| states.iter().filter(|state| state.state == wanted).count();
    NodeTotals {
        all: states.len(),
        healthy: count(State::Healthy),
        verdict: count(State::Verdict),
        silent: count(State::Silent),
        unwatched: count(State::Unwatched),
        foreign: count(State::Foreign),
    }
}

fn nameservers(states: &[NodeState]) -> Vec<NameserverRow> {
    let mut asked: BTreeMap<&str, Vec<(&str, &AskedNameserver)>> = BTreeMap::new();
    for state in states {
        for nameserver in state.fresh().map(|watch| watch.nameservers.as_slice()).unwrap_or_default() {
            asked.entry(&nameserver.address).or_default().push((&state.node, nameserver));
        }
    }
    let mut rows: Vec<NameserverRow> = asked.into_iter().map(|(address, asked)| row(address, &asked)).collect();
    let lost = |row: &NameserverRow| if row.queries > 0 { row.lost as f64 / row.queries as f64 } else { 0.0 };
    rows.sort_by(|a, b| lost(b).total_cmp(&lost(a)).then_with(|| b.nodes.cmp(&a.nodes)));
    rows.truncate(NAMESERVERS_MAX);
    rows
}

fn row(address: &str, asked: &[(&str, &AskedNameserver)]) -> NameserverRow {
    let mut medians: Vec<f64> = asked.iter().filter_map(|(_, asked)| asked.p50_milliseconds).collect();
    medians.sort_by(f64::total_cmp);
    let times = asked.iter().filter_map(|(node, asked)| Some((*node, asked.p99_milliseconds?)));
    let slowest = times.max_by(|(_, one), (_, other)| one.total_cmp(other));
    NameserverRow {
        address: address.to_owned(),
        nodes: asked.len(),
        queries: asked.iter().fold(0, |sum, (_, asked)| asked.queries.max(0).saturating_add(sum)),
        lost: asked.iter().fold(0, |sum, (_, asked)| asked.lost.max(0).saturating_add(sum)),
        p50_milliseconds: medians.get(medians.len() / 2).copied(),
        p99_milliseconds: slowest.map(|(_, time)| time),
        slowest_node: slowest.map(|(node, _)| node.to_owned()),
    }
}

/// Returns what could not be read, and what is therefore not known.
fn unread(observed: &Observed) -> Vec<String> {
    fn reason<T>(seen: &Seen<T>) -> Option<&Unseen> {
        seen.as_ref().err()
    }
    let images = observed.images.as_ref().ok().and_then(Option::as_ref);
    let parts = [
        (reason(&observed.nodes), "nodes", "nodes without an observation are not known"),
        (reason(&observed.observations), "dnsobservations", "nothing is known of DNS on nodes"),
        (reason(&observed.namespaces), "namespaces", "modes and profiles of namespaces are not known"),
        (reason(&observed.profiles), "resolverprofiles", "profiles that are not accepted are not known"),
        (reason(&observed.images), "pods", "images of unknown resolvers are not known"),
        (
            images.and_then(|images| images.unread.as_ref()),
            "imagefingerprints",
            "the resolvers that muslin read from images, or that are declared there, count as unknown",
        ),
    ];
    let sentence = |(unseen, what, without): (Option<&Unseen>, &str, &str)| {
        Some(match unseen? {
            Unseen::Forbidden(_) => format!("you may not list {what}: {without}"),
            Unseen::Failed(message) => format!("cannot list {what} ({message}): {without}"),
        })
    };
    parts
        .into_iter()
        .filter_map(sentence)
        .chain(observed.unreadable.iter().cloned())
        .chain(unknown_checks(observed))
        .collect()
}

/// Returns the checks of muslin's parts that could not be made, in one sentence with the first reason: mostly they lack the same rights.
fn unknown_checks(observed: &Observed) -> Option<String> {
    let unknown: Vec<_> = observed.checks.iter().filter(|check| check.status == doctor::Status::Unknown).collect();
    let names: Vec<&str> = unknown.iter().map(|check| check.check).collect();
    let checks = if names.len() == 1 { "the check" } else { "the checks" };
    Some(format!("{checks} {} of muslin itself: {}", names.join(", "), unknown.first()?.message))
}
