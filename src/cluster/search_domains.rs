//! The checks of the search domains in this pod's resolv.conf, and what other pods of muslin saw on their nodes. Must not know profiles,
//! or how a query is sent.

mod cleanup;
mod observation;
mod round;
mod search_rounds;
mod watched;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::observation::{BROKEN_MAX, Observation, Publisher, add_broken};
use self::round::{CheckedDomain, Pace, next_first, update};
use super::resources::DNSObservation;
use super::watch::{Watch, WatchHealth};
use crate::policy::{BrokenDomain, DomainFault};
use crate::probe::{check_search_domains, is_checkable};
use crate::verdicts::DomainCheck;

pub use self::cleanup::delete_old_observations;
pub use self::observation::ObservedDns;
pub use self::search_rounds::SearchRounds;
pub use self::watched::publish_watch;

/// Pause between two looks at whether a profile uses the checks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The broken search domains, as far as this pod knows.
#[derive(Clone, Debug, Default)]
pub struct SearchDomains(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The broken domains of all nodes; `None` without any.
    broken: ArcSwapOption<Arc<[BrokenDomain]>>,
    /// This pod's own domains, each with its fault.
    own: Mutex<Vec<(String, Option<DomainFault>)>>,
}

/// The settings of the checks.
#[derive(Clone, Debug)]
pub struct SearchCheckSettings {
    /// The nameservers of this pod's resolv.conf.
    pub nameservers: Vec<IpAddr>,
    /// The search list of this pod's resolv.conf.
    pub domains: Vec<String>,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// The name of this pod's node; without it, no observation is written.
    pub node: Option<String>,
    /// The name of this replica.
    pub instance: String,
}

struct Checker<U> {
    settings: SearchCheckSettings,
    shared: Arc<Shared>,
    is_used: U,
    publisher: Publisher,
    /// The result of this pod's checks, in the order of the search list.
    own: Vec<CheckedDomain>,
    /// The observations of all nodes, by node.
    others: BTreeMap<String, Observation>,
    /// The observations of a list that is not complete yet.
    listed: BTreeMap<String, Observation>,
    /// The time of the next round.
    due: Instant,
    /// The round that runs.
    round: Option<JoinHandle<Option<Vec<DomainCheck>>>>,
    pace: Pace,
    /// The index of the domain with which a round begins: the budget of one round may not do for all.
    first: usize,
}

// === impl SearchDomains ===

impl SearchDomains {
    /// Checks the domains while `is_used` returns true, in a task that lives as long as the process, and follows the observations of other
    /// pods. Needs the rights list, watch, create and patch on dnsobservations, and create on events of `events.k8s.io`.
    pub fn check(
        client: Client,
        mut settings: SearchCheckSettings,
        is_used: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        settings.domains.retain(|domain| is_checkable(domain));
        let shared = Arc::new(Shared::default());
        let publisher = Publisher::new(client.clone(), settings.node.clone(), settings.instance.clone());
        let checker = Checker {
            settings,
            shared: Arc::clone(&shared),
            is_used,
            publisher,
            own: Vec::new(),
            others: BTreeMap::new(),
            listed: BTreeMap::new(),
            due: Instant::now(),
            round: None,
            pace: Pace::default(),
            first: 0,
        };
        tokio::spawn(checker.run(Api::all(client)));
        Self(shared)
    }

    /// Returns the broken domains of all nodes.
    pub fn broken(&self) -> Arc<[BrokenDomain]> {
        self.0.broken.load().as_deref().map_or_else(Arc::default, Arc::clone)
    }

    /// Returns the domains that this pod checks, each with its fault.
    pub fn checked(&self) -> Vec<(String, Option<DomainFault>)> {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Checker ===

impl<U: Fn() -> bool> Checker<U> {
    async fn run(mut self, api: Api<DNSObservation>) {
        let (config, health) = (watcher::Config::default(), WatchHealth::new("dnsobservations"));
        let mut watch = Watch::all(api, config, health, "the search domains of other nodes are unknown");
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = watch.next() => if let Ok(event) = event {
                    self.apply(event);
                },
                _ = ticks.tick() => self.tick().await,
            }
            self.share();
        }
    }

    fn apply(&mut self, event: Event<DNSObservation>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(object.name_any(), Observation::read(&object));
            }
            // Until then the observations of before count.
            Event::InitDone => self.others = std::mem::take(&mut self.listed),
            Event::Apply(object) => {
                self.others.insert(object.name_any(), Observation::read(&object));
            }
            Event::Delete(object) => {
                self.others.remove(&object.name_any());
            }
        }
    }

    /// Begins a round of checks if one is due, or ends one. Without a use there are no queries, and what was seen is forgotten.
    async fn tick(&mut self) {
        if !(self.is_used)() {
            if let Some(round) = self.round.take() {
                round.abort();
            }
            self.own.clear();
            (self.due, self.pace) = (Instant::now(), Pace::default());
            return;
        }
        match self.round.take() {
            Some(round) if !round.is_finished() => self.round = Some(round),
            Some(round) => self.end_round(round.await.ok().flatten()).await,
            None if self.due <= Instant::now() => self.begin_round(),
            None => {}
        }
    }

    fn begin_round(&mut self) {
        let SearchCheckSettings { nameservers, domains, .. } = self.settings.clone();
        let (known, mut domains) = (self.known(), domains);
        let first = self.first.min(domains.len());
        domains.rotate_left(first);
        self.round = Some(tokio::spawn(async move { check_search_domains(&nameservers, &domains, &known).await }));
    }

    /// Takes in the results of a round; `None` if the nameservers do not know the cluster.
    async fn end_round(&mut self, checks: Option<Vec<DomainCheck>>) {
        let Some(mut checks) = checks else {
            self.due = Instant::now() + self.pace.after(false);
            if self.pace.begins_to_wait() {
                let known = self.known();
                tracing::warn!(
                    name = known,
                    "search domains are not checked: no nameserver has an address for the name"
                );
            }
            return;
        };
        let (first, all) = (self.first, checks.len());
        self.first = next_first(first, &checks);
        checks.rotate_right(first.min(all));

        let results = checks.into_iter().map(|check| (check.result(), check.domain));
        let changed = update(&mut self.own, results, Timestamp::now());
        for domain in &changed {
            match domain.fault {
                Some(fault) => tracing::warn!(domain = domain.domain, "the search domain {} {fault}", domain.domain),
                None => tracing::info!(domain = domain.domain, "the search domain answers NXDOMAIN again"),
            }
        }
        let is_settled = self.is_settled();
        self.due = Instant::now() + self.pace.after(is_settled);
        // Until then the observation of an earlier pod on this node says more.
        if !self.is_watched() && (is_settled || !changed.is_empty() || self.pace.gave_up()) {
            self.publisher.publish(&self.own, &changed, &self.settings.nameservers).await;
        }
    }

    /// Returns whether each domain has a result that needs no confirmation.
    fn is_settled(&self) -> bool {
        self.own.len() == self.settings.domains.len() && self.own.iter().all(CheckedDomain::is_settled)
    }

    /// Returns whether a watcher on this node publishes the same domains: of two writers, the one that is there on every node wins.
    fn is_watched(&self) -> bool {
        let observation = self.settings.node.as_ref().and_then(|node| self.others.get(node));
        observation.is_some_and(|observation| observation.is_watched(Timestamp::now()))
    }

    /// Returns a name that the cluster's DNS must know.
    fn known(&self) -> String {
        format!("kubernetes.default.svc.{}", self.settings.cluster_domain)
    }

    /// Shares what is broken. Before this pod's own checks are settled, an earlier pod's observation of this node counts too: a pod that is
    /// created meanwhile keeps what it gets.
    fn share(&self) {
        let own: Vec<_> = self.own.iter().map(|domain| (domain.domain.clone(), domain.fault)).collect();
        let mut broken: Vec<BrokenDomain> = self.own.iter().filter_map(CheckedDomain::broken).collect();
        broken.truncate(BROKEN_MAX);
        if (self.is_used)() {
            let (now, is_settled) = (Timestamp::now(), self.is_settled());
            let counts = |node: &String| !is_settled || self.settings.node.as_ref() != Some(node);
            for (_, observation) in self.others.iter().filter(|(node, _)| counts(node)) {
                add_broken(&mut broken, observation.broken(now));
            }
        }
        *self.shared.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
        self.shared.broken.store((!broken.is_empty()).then(|| Arc::new(broken.into())));
    }
}
