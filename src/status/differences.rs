//! Differences between nodes. A fact that all nodes share is none; of the others, the smaller group of nodes is named.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{counted, nodes, some_of};
use super::nodes::NodeState;
use super::origins::sentences;
use super::problem::{Kind, Problem};
use crate::policy::Level;

/// Nodes differ in earnest if one of this many or fewer is unlike the others. Pools and zones with settings of their own are larger.
const ODD_SHARE: usize = 10;
/// The most examples of a fact that single nodes have.
const EXAMPLES_MAX: usize = 3;
/// With fewer nodes, none is the odd one.
const COMPARED_MIN: usize = 3;

/// A fact and the nodes that it holds on, among those compared.
struct Compared<'s, F> {
    fact: F,
    /// The nodes that are unlike the others.
    odd: Vec<&'s NodeState>,
    /// The fact holds on them; otherwise on all the others.
    odd_have_it: bool,
    /// The number of nodes that were compared.
    all: usize,
}

/// Returns all differences.
pub(super) fn differences(states: &[NodeState]) -> Vec<Problem> {
    let mut problems = nameservers(states);
    problems.extend(dormant(states));
    problems.extend(cluster_dns(states));
    problems.extend(search_lists(states));
    problems.extend(versions(states));
    problems
}

/// Compares the facts of nodes. `facts` returns `None` for a node of which they are not known.
fn compare<'s, F: Ord + Clone>(
    states: &'s [NodeState],
    facts: impl Fn(&'s NodeState) -> Option<BTreeSet<F>>,
) -> Vec<Compared<'s, F>> {
    let known: Vec<(&NodeState, BTreeSet<F>)> =
        states.iter().filter_map(|state| Some((state, facts(state)?))).collect();
    let mut having: BTreeMap<&F, Vec<usize>> = BTreeMap::new();
    for (index, (_, facts)) in known.iter().enumerate() {
        for fact in facts {
            having.entry(fact).or_default().push(index);
        }
    }
    let all = known.len();
    let compared = |(fact, have): (&F, Vec<usize>)| {
        let odd_have_it = have.len() * 2 <= all;
        // Few facts are on most nodes, so this is linear in the number of facts and nodes.
        let lack = || (0..all).filter(|index| have.binary_search(index).is_err()).collect();
        let odd: Vec<usize> = if odd_have_it { have } else { lack() };
        Compared { fact: fact.clone(), odd: odd.into_iter().map(|index| known[index].0).collect(), odd_have_it, all }
    };
    having.into_iter().map(compared).filter(|compared| !compared.odd.is_empty()).collect()
}

/// Takes the facts that single nodes have, if that is so for most nodes: then no node is the odd one, and one problem says so.
fn take_own(all: &mut Vec<Compared<'_, &str>>, has: &str) -> Option<Problem> {
    let is_own = |one: &Compared<'_, &str>| one.odd_have_it && one.odd.len() == 1;
    let compared = all.first()?.all;
    let owners: BTreeSet<&str> =
        all.iter().filter(|one| is_own(one)).flat_map(|one| &one.odd).map(|state| state.node.as_str()).collect();
    if compared < COMPARED_MIN || owners.len() * 2 <= compared {
        return None;
    }
    let owners: Vec<&str> = owners.into_iter().collect();
    let title = format!("{} each {has} that no other node has", nodes(&owners, compared));
    let mut problem = Problem::new(Level::Info, Kind::Difference, title).on(&owners);
    let examples = all.iter().filter(|one| is_own(one)).take(EXAMPLES_MAX);
    problem.details.extend(examples.map(|one| format!("{} on {}", one.fact, some_of(&one.names()))));
    all.retain(|one| !is_own(one));
    Some(problem)
}

// === impl Compared ===

impl<F> Compared<'_, F> {
    fn names(&self) -> Vec<&str> {
        self.odd.iter().map(|state| state.node.as_str()).collect()
    }

    /// Returns the nodes as the subject of a sentence, and the number of the others.
    fn nodes(&self) -> (String, usize) {
        (nodes(&self.names(), self.all), self.all - self.odd.len())
    }

    /// Returns a warning for one odd node or a small share of nodes, and advice for a group of nodes, such as a pool.
    fn level(&self) -> Level {
        let is_odd = self.all >= COMPARED_MIN && (self.odd.len() == 1 || self.odd.len() * ODD_SHARE <= self.all);
        if is_odd { Level::Warn } else { Level::Info }
    }

    fn problem(&self, level: Level, title: String) -> Problem {
        Problem::new(level, Kind::Difference, title).on(&self.names())
    }

    fn has(&self, one: &'static str, several: &'static str) -> &'static str {
        if self.odd.len() == 1 { one } else { several }
    }
}

/// Returns the addresses that a node's files name: those in use, or those that can come back.
fn named(state: &NodeState, in_use: bool) -> Option<BTreeSet<&str>> {
    let origins = &state.fresh()?.origins;
    let counts = |persistence: &str| in_use || matches!(persistence, "stored" | "leased");
    let current: BTreeSet<&str> =
        origins.iter().filter(|origin| origin.in_use).map(|origin| origin.address.as_str()).collect();
    let chosen = origins
        .iter()
        .filter(|origin| origin.in_use == in_use && counts(&origin.persistence))
        .map(|origin| origin.address.as_str())
        .filter(|address| in_use || !current.contains(address));
    (!origins.is_empty()).then(|| chosen.collect())
}

fn with_origins(problem: Problem, compared: &Compared<'_, &str>) -> Problem {
    let origins = compared.odd.iter().flat_map(|state| {
        let origins = state.fresh().map(|watch| watch.origins.as_slice()).unwrap_or_default();
        origins.iter().map(|origin| (state.node.as_str(), origin))
    });
    sentences(compared.fact, origins).into_iter().fold(problem, Problem::detail)
}

/// Compares the nameservers that nodes use.
fn nameservers(states: &[NodeState]) -> Vec<Problem> {
    let problem = |compared: Compared<'_, &str>| {
        let (subject, others) = compared.nodes();
        let address = compared.fact;
        if compared.odd_have_it {
            let has = compared.has("uses", "use");
            let title = format!("{subject} {has} the nameserver {address}, unlike {}", counted(others, "other node"));
            with_origins(compared.problem(compared.level(), title), &compared)
        } else {
            let lacks = compared.has("lacks", "lack");
            let title = format!("{subject} {lacks} the nameserver {address} of {}", counted(others, "other node"));
            compared.problem(compared.level(), title)
        }
    };
    let mut all = compare(states, |state| named(state, true));
    let own = take_own(&mut all, "use a nameserver");
    own.into_iter().chain(all.into_iter().map(problem)).collect()
}

/// Compares the nameservers that files name and nodes do not use now.
fn dormant(states: &[NodeState]) -> Vec<Problem> {
    let mut all = compare(states, |state| named(state, false));
    let own = take_own(&mut all, "have a nameserver in files, not in use now,");
    let problem = |compared: Compared<'_, &str>| {
        let (subject, _) = compared.nodes();
        let has = compared.has("has", "have");
        let title = format!("{subject} {has} the nameserver {} in files, not in use now", compared.fact);
        with_origins(compared.problem(Level::Info, title), &compared)
    };
    own.into_iter().chain(all.into_iter().filter(|compared| compared.odd_have_it).map(problem)).collect()
}

/// Compares the addresses of the cluster's DNS that pods on nodes have.
fn cluster_dns(states: &[NodeState]) -> Vec<Problem> {
    let addresses = |state: &NodeState| {
        let all = state.cluster_dns.join(", ");
        (!all.is_empty()).then(|| BTreeSet::from([all]))
    };
    let all = compare(states, addresses);
    let common = all.iter().find(|compared| !compared.odd_have_it).map(|compared| compared.fact.clone());
    let problem = |compared: Compared<'_, String>| {
        let (subject, others) = compared.nodes();
        let others = counted(others, "other node");
        let common = common.as_ref().map(|common| format!(": {common}")).unwrap_or_default();
        let asks = compared.has("asks", "ask");
        let title = format!("{subject} {asks} {} for the cluster's names, unlike {others}{common}", compared.fact);
        let problem = compared.problem(compared.level(), title);
        problem.detail("compare clusterDNS in the kubelets' configuration, and the cache on the node, if there is one")
    };
    all.into_iter().filter(|compared| compared.odd_have_it).map(problem).collect()
}

/// Compares search lists, without the domains that Kubernetes adds for the namespace of muslin's pod.
fn search_lists(states: &[NodeState]) -> Vec<Problem> {
    let problem = |compared: Compared<'_, &str>| {
        let (subject, others) = compared.nodes();
        let has = if compared.odd_have_it { compared.has("has", "have") } else { compared.has("lacks", "lack") };
        let others = counted(others, "other node");
        compared.problem(Level::Info, format!("{subject} {has} the search domain {}, unlike {others}", compared.fact))
    };
    let mut all = compare(states, own_domains);
    let own = take_own(&mut all, "have a search domain");
    own.into_iter().chain(all.into_iter().map(problem)).collect()
}

fn own_domains(state: &NodeState) -> Option<BTreeSet<&str>> {
    let all = state.search_domains.iter().map(|domain| domain.domain.as_str());
    let own = all.filter(|name| !name.split('.').any(|label| label == "svc"));
    (!state.search_domains.is_empty()).then(|| own.collect())
}

/// Compares the versions of watchers.
fn versions(states: &[NodeState]) -> Option<Problem> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for state in states {
        if let Some(watch) = state.fresh() {
            versions.entry(&watch.version).or_default().push(&state.node);
        }
    }
    if versions.len() < 2 {
        return None;
    }
    let least = versions.iter().min_by_key(|(_, nodes)| nodes.len())?.1.clone();
    let each = versions.iter().map(|(version, nodes)| format!("{version} on {}", counted(nodes.len(), "node")));
    let title = format!("watchers are of different versions: {}", each.collect::<Vec<_>>().join(", "));
    let problem = Problem::new(Level::Info, Kind::Difference, title).on(&least);
    Some(problem.detail(format!("the fewest: {}", some_of(&least))))
}
