//! The state of each node, and the nodes that nothing watches.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::names::{age, counted, nodes, some_of};
use super::observed::{Node, NodeWatch, Observed, SearchDomain, WatchSpec};
use super::problem::{Kind, Problem};
use crate::policy::Level;

/// Age from which an observation no longer counts: watchers write one at least every five minutes.
const SILENT: SignedDuration = SignedDuration::from_mins(15);
/// The most silent watchers that are named with their times.
const SILENT_NAMED_MAX: usize = 5;

/// The state of a node, from bad to good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A verdict stands.
    Verdict,
    /// The watcher has written nothing for fifteen minutes.
    Silent,
    /// No watcher wrote anything.
    Unwatched,
    /// The node runs no watcher: Windows, or a virtual node.
    Foreign,
    /// Watched, and no verdict stands.
    Healthy,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// The name.
    pub node: String,
    /// The state.
    pub state: State,
    /// The kubelet reports that the node is ready; absent if nodes could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// The watcher's last observation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<NodeWatch>,
    /// The nameservers of the cluster's DNS, as muslin's pods on the node have them.
    pub cluster_dns: Vec<String>,
    /// The search domains and their answers.
    pub search_domains: Vec<SearchDomain>,
}

// === impl State ===

impl State {
    /// Returns the state as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Silent => "silent",
            Self::Unwatched => "unwatched",
            Self::Foreign => "foreign",
            Self::Healthy => "healthy",
        }
    }
}

// === impl NodeState ===

impl NodeState {
    /// Returns the watcher's observation if it still counts.
    pub(super) fn fresh(&self) -> Option<&NodeWatch> {
        self.watch.as_ref().filter(|_| matches!(self.state, State::Verdict | State::Healthy))
    }

    /// Returns the level of the most serious verdict that stands.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        let watch = self.fresh()?;
        watch.verdicts.iter().map(|standing| level(&standing.level)).max()
    }
}

/// Returns a level by its name. A name of a later muslin counts as a warning.
pub(super) fn level(name: &str) -> Level {
    name.parse().unwrap_or(Level::Warn)
}

/// Returns whether a time is close to now. Clocks differ, so it may also be to come.
pub(super) fn is_fresh(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now).abs() < SILENT
}

/// Returns all nodes, the worst first. If nodes could not be listed, those with observations.
pub(super) fn states(observed: &Observed) -> Vec<NodeState> {
    let observations = observed.observations.as_deref().unwrap_or_default();
    let specs: BTreeMap<&str, &WatchSpec> = observations.iter().map(|one| (one.node.as_str(), &one.spec)).collect();
    let mut states: Vec<NodeState> = match &observed.nodes {
        Ok(nodes) => {
            let state = |node: &Node| state(&node.name, Some(node), specs.get(&*node.name).copied(), observed.now);
            nodes.iter().map(state).collect()
        }
        Err(_) => specs.iter().map(|(name, spec)| state(name, None, Some(spec), observed.now)).collect(),
    };
    states.sort_by(|a, b| {
        let key = |one: &NodeState| (one.state, Reverse(one.level()));
        key(a).cmp(&key(b)).then_with(|| a.node.cmp(&b.node))
    });
    states
}

fn state(name: &str, node: Option<&Node>, spec: Option<&WatchSpec>, now: Timestamp) -> NodeState {
    let watch = spec.and_then(|spec| spec.watch.clone());
    let state = match &watch {
        Some(watch) if !is_fresh(watch.checked_at, now) => State::Silent,
        Some(watch) if !watch.verdicts.is_empty() => State::Verdict,
        Some(_) => State::Healthy,
        None if node.is_some_and(|node| node.is_foreign) => State::Foreign,
        None => State::Unwatched,
    };
    let fresh = spec.filter(|spec| is_fresh(spec.checked_at, now));
    NodeState {
        node: name.to_owned(),
        state,
        ready: node.map(|node| node.is_ready),
        watch,
        cluster_dns: fresh.map(|spec| spec.nameservers.clone()).unwrap_or_default(),
        search_domains: fresh.map(|spec| spec.domains.clone()).unwrap_or_default(),
    }
}

/// Returns what is wrong with the watch of nodes.
pub(super) fn problems(states: &[NodeState], now: Timestamp) -> Vec<Problem> {
    let named = |wanted: &dyn Fn(&&NodeState) -> bool| -> Vec<&str> {
        states.iter().filter(wanted).map(|state| state.node.as_str()).collect()
    };
    let mut problems = Vec::new();
    if !states.iter().any(|state| state.watch.is_some()) {
        let title = "no node is watched, so what is wrong with DNS on nodes is not known";
        let problem = Problem::new(Level::Info, Kind::Watch, title);
        return vec![problem.detail("muslin install --watch installs a watcher on each node")];
    }
    let all = states.len();
    let unwatched = named(&|state| state.state == State::Unwatched && state.ready != Some(false));
    if !unwatched.is_empty() {
        let title = format!("no watcher has written from {}", nodes(&unwatched, all));
        let advice = "look at the DaemonSet of the watchers, its tolerations, and its pods on these nodes";
        problems.push(Problem::new(Level::Warn, Kind::Watch, title).detail(advice).on(&unwatched));
    }
    let away = named(&|state| state.state == State::Unwatched && state.ready == Some(false));
    if !away.is_empty() {
        let title = format!("{} not watched and not ready: {}", counted(away.len(), "node"), some_of(&away));
        problems.push(Problem::new(Level::Info, Kind::Watch, title).on(&away));
    }
    problems.extend(silent(states, now));
    problems
}

fn silent(states: &[NodeState], now: Timestamp) -> Option<Problem> {
    let silent: Vec<(&str, &NodeWatch)> = states
        .iter()
        .filter(|state| state.state == State::Silent)
        .filter_map(|state| Some((state.node.as_str(), state.watch.as_ref()?)))
        .collect();
    let names: Vec<&str> = silent.iter().map(|(node, _)| *node).collect();
    let first = silent.first()?;
    let title = match &*silent {
        [(node, watch)] if watch.checked_at <= now => {
            format!("the watcher of node {node} has been silent for {}", age(watch.checked_at, now))
        }
        _ => format!("the watchers of {} are silent", nodes(&names, states.len())),
    };
    let mut problem = Problem::new(Level::Warn, Kind::Watch, title).on(&names);
    for (node, watch) in silent.iter().take(SILENT_NAMED_MAX) {
        let NodeWatch { pod, checked_at, .. } = watch;
        problem = problem.detail(if *checked_at > now {
            format!("node {node}: the pod {pod} wrote a time that is {} ahead; check the clocks", age(*checked_at, now))
        } else {
            format!("node {node}: the pod {pod} wrote last {} ago", age(*checked_at, now))
        });
    }
    problem.since = (silent.len() == 1 && first.1.checked_at <= now).then_some(first.1.checked_at);
    Some(problem)
}
