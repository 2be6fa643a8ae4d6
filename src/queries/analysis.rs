//! The analysis of a stream of queries, in bounded memory: each client belongs to a pod, each pod to a workload.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::client::{Client, namespace_of_search};
use super::evidence::{Evidence, Period};
use super::node_domains::NodeDomains;
use super::pods::{Pods, WorkloadName};
use super::query::{Outcome, Query};
use super::traffic::Traffic;
use super::tried::Wholeness;

/// The number of namespaces below which one client searches, from which it must be several pods.
const NAMESPACES_OF_MANY: usize = 3;

/// Bounds of the memory that a stream can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The names of one client in each of two generations.
    pub names_of_client: usize,
    /// The names of all clients. One takes about 150 bytes.
    pub names: usize,
    /// The clients that are no pods.
    pub other_clients: usize,
    /// The queries that wait for a newer list of pods.
    pub waiting: usize,
}

/// The analysis of a stream of queries.
pub struct Analysis {
    limits: Limits,
    settings: Settings,
    pods: Pods,
    nodes: NodeDomains,
    /// By the address, and the pod that had it when it asked.
    clients: HashMap<(IpAddr, Option<u64>), ClientState>,
    workloads: BTreeMap<WorkloadName, Traffic>,
    /// Queries of clients that a newer list of pods may have.
    waiting: Vec<Query<'static>>,
    names: usize,
    others: usize,
    wholeness: Wholeness,
    summary: Summary,
}

/// The administrator's knowledge of the cluster, and wishes for the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's domain.
    pub cluster_domain: String,
    /// Domains that nodes add to the search list. Others are learned from the queries.
    pub node_domains: Vec<String>,
    /// A newer list of pods may follow.
    pub pods_change: bool,
    /// A name that a resolver would first ask for outside of the cluster counts as lost.
    pub no_leaks: bool,
}

/// The counts of a whole stream, apart from its workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The time of the first query, if the log has times.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// The time of the last query.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
    /// All queries.
    pub queries: u64,
    /// Lines and frames that are no queries.
    pub other_lines: u64,
    /// Clients that are no pod of the list, and no node.
    pub unknown_clients: usize,
    /// Their queries.
    pub unknown_queries: u64,
    /// The unknown clients that had the address before the pod of the list that has it.
    pub earlier_clients: usize,
    /// Queries of clients beyond the limit of clients.
    pub dropped_queries: u64,
    /// Names that were dropped to stay within the limits.
    pub dropped_names: u64,
    /// Is true if the log shows nearly all searches from beginning to end. A log of some of the replicas does not.
    pub is_whole: bool,
    /// The domains that nodes add to the search list, as given and as learned.
    pub node_domains: Vec<String>,
    /// Clients that stand for several pods.
    pub hidden: Vec<HiddenClient>,
}

/// A client behind which pods are hidden, as behind a cache on the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HiddenClient {
    /// The client's address.
    pub address: IpAddr,
    /// Is true for a node's address.
    pub is_node: bool,
    /// The pod that has the address.
    pub pod: Option<String>,
    /// The client's queries.
    pub queries: u64,
    /// The namespaces below which it searched, up to eight.
    pub namespaces: BTreeSet<String>,
}

/// The state of one address.
struct ClientState {
    queries: u64,
    /// Namespaces other than the pod's below which the client searched.
    namespaces: BTreeSet<String>,
    /// The pod's workload and name.
    pod: Option<(WorkloadName, String)>,
    client: Option<Client>,
}

// === impl Limits ===

impl Default for Limits {
    /// A pod asks for some hundred names; all names together take about 60 MiB.
    fn default() -> Self {
        Self { names_of_client: 4096, names: 400_000, other_clients: 10_000, waiting: 20_000 }
    }
}

// === impl Analysis ===

impl Analysis {
    /// Begins an analysis of the queries of these pods.
    pub fn new(pods: Pods, settings: Settings, limits: Limits) -> Self {
        Self {
            limits,
            pods,
            nodes: NodeDomains::given(&settings.node_domains),
            settings,
            clients: HashMap::new(),
            workloads: BTreeMap::new(),
            waiting: Vec::new(),
            names: 0,
            others: 0,
            wholeness: Wholeness::default(),
            summary: Summary::default(),
        }
    }

    /// Takes a newer list of pods, and assigns the queries that wait for it. A pod whose address went to another one is over.
    pub fn set_pods(&mut self, pods: Pods) {
        self.pods = pods;
        let Self { pods, wholeness, names, .. } = self;
        self.clients.retain(|(address, pod), state| {
            let is_over = pod.is_some()
                && pods.holders(*address).next().is_some()
                && !pods.holders(*address).any(|holder| Some(holder.id) == *pod);
            if let Some(client) = state.client.as_ref().filter(|_| is_over) {
                client.names.judge(client.list.own(), wholeness);
                *names -= client.names.len();
            }
            !is_over
        });
        for query in std::mem::take(&mut self.waiting) {
            self.assign(&query);
        }
    }

    /// Returns the pods.
    pub fn pods(&self) -> &Pods {
        &self.pods
    }

    /// Returns whether queries wait for a newer list of pods.
    pub fn waits_for_pods(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Counts a line or frame that is no query.
    pub fn add_other_line(&mut self) {
        self.summary.other_lines += 1;
    }

    /// Adds a query.
    pub fn add(&mut self, query: &Query<'_>) {
        self.summary.queries += 1;
        if let Some(at) = query.at {
            self.summary.from = Some(self.summary.from.map_or(at, |from| from.min(at)));
            self.summary.to = Some(self.summary.to.map_or(at, |to| to.max(at)));
        }
        let may_wait = self.settings.pods_change && self.waiting.len() < self.limits.waiting;
        if may_wait && !self.pods.is_node(query.client) && self.pods.at(query.client, query.at).is_none() {
            return self.waiting.push(query.clone().into_owned());
        }
        self.assign(query);
    }

    /// Adds a query to its client's.
    fn assign(&mut self, query: &Query<'_>) {
        let Self { pods, clients, workloads, nodes, names, others, limits, .. } = self;
        let pod = pods.at(query.client, query.at);
        let key = (query.client, pod.map(|pod| pod.id));
        let state = match clients.get_mut(&key) {
            Some(state) => state,
            None => {
                if pod.is_none() && *others >= limits.other_clients {
                    self.summary.dropped_queries += 1;
                    return;
                }
                *others += usize::from(pod.is_none());
                clients.entry(key).or_insert(ClientState {
                    queries: 0,
                    namespaces: BTreeSet::new(),
                    pod: pod.map(|pod| (pod.workload.clone(), pod.name.clone())),
                    client: pod.and_then(|pod| pod.list.clone()).map(Client::new),
                })
            }
        };
        state.queries += 1;
        let mut is_own = false;
        if let Some(pod) = pod {
            let traffic = match workloads.get_mut(&pod.workload) {
                Some(traffic) => traffic,
                None => workloads.entry(pod.workload.clone()).or_default(),
            };
            traffic.queries += 1;
            traffic.add_pod(&pod.name, &pod.resolvers);
            traffic.has_unknown_list |= state.client.is_none();
            if let Some(client) = state.client.as_mut().filter(|_| query.is_lookup) {
                let before = client.names.len();
                is_own = client.add(query, nodes, traffic);
                if client.names.is_full(limits.names_of_client) {
                    traffic.dropped += client.names.drop_old(client.list.own(), &mut self.wholeness) as u64;
                }
                *names = *names + client.names.len() - before;
            }
        }
        if !is_own && query.outcome != Outcome::Found && state.namespaces.len() < 8 {
            let own = pod.map(|pod| pod.workload.namespace.as_str());
            let namespace = namespace_of_search(&query.name, &self.settings.cluster_domain);
            if let Some(namespace) = namespace.filter(|namespace| own != Some(namespace)) {
                state.namespaces.insert(namespace.to_owned());
            }
        }
        if self.names > self.limits.names {
            self.drop_old_names();
        }
    }

    /// Drops the older names of all clients. A second time in a row drops all.
    fn drop_old_names(&mut self) {
        let clients = self.clients.values_mut().filter_map(|state| Some((state.pod.as_ref()?, state.client.as_mut()?)));
        for ((workload, _), client) in clients {
            let dropped = client.names.drop_old(client.list.own(), &mut self.wholeness);
            self.names -= dropped;
            if let Some(traffic) = self.workloads.get_mut(workload) {
                traffic.dropped += dropped as u64;
            }
        }
    }

    /// Returns the counts of the stream, and the evidence for each workload. `seconds` is the time that the log covers, where it has no
    /// times of its own.
    pub fn finish(&mut self, seconds: Option<f64>) -> (Summary, Vec<Evidence>) {
        for query in std::mem::take(&mut self.waiting) {
            self.assign(&query);
        }
        let mut wholeness = self.wholeness;
        let mut summary = self.summary.clone();
        let mut hidden = BTreeSet::new();
        for ((address, _), state) in &self.clients {
            if let Some(client) = &state.client {
                client.names.judge(client.list.own(), &mut wholeness);
            }
            let is_node = state.pod.is_none() && self.pods.is_node(*address);
            if is_node || state.namespaces.len() >= NAMESPACES_OF_MANY {
                let ClientState { queries, namespaces, pod, .. } = state;
                hidden.extend(pod.iter().map(|(workload, _)| workload));
                let pod = pod.as_ref().map(|(workload, pod)| format!("{}/{pod}", workload.namespace));
                let (queries, namespaces) = (*queries, namespaces.clone());
                summary.hidden.push(HiddenClient { address: *address, is_node, pod, queries, namespaces });
            } else if state.pod.is_none() {
                summary.unknown_clients += 1;
                summary.unknown_queries += state.queries;
                summary.earlier_clients += usize::from(self.pods.holders(*address).next().is_some());
            }
        }
        summary.hidden.sort_by_key(|client| (std::cmp::Reverse(client.queries), client.address));
        summary.is_whole = wholeness.is_whole();
        summary.node_domains = self.nodes.domains().to_vec();
        summary.dropped_names = self.workloads.values().map(|traffic| traffic.dropped).sum();
        let period = Period::new(summary.from, summary.to, seconds);
        let workloads = self.workloads.iter().filter(|(name, _)| !hidden.contains(name));
        let evidence = workloads
            .map(|(name, traffic)| Evidence::new(name, traffic, &period, summary.is_whole, self.settings.no_leaks));
        (summary.clone(), evidence.collect())
    }
}
