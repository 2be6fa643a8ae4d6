//! The checks of the search domains in this pod's resolv.conf, and what other pods of muslin saw on their nodes. Must not know profiles,
//! or how a query is sent.

mod observation;
mod round;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::observation::{Observation, Publisher};
use self::round::{CheckedDomain, update};
use super::resources::DNSObservation;
use super::watch::{Watch, WatchHealth};
use crate::policy::{BrokenDomain, DomainFault};
use crate::probe::check_search_domains;

/// Pause between two looks at whether a profile uses the checks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two rounds of checks.
const AGAIN: Duration = Duration::from_mins(3);
/// Time until the round that confirms a first bad answer, or that follows one without any answer.
const CONFIRM: Duration = Duration::from_secs(10);
/// Age from which an observation no longer counts: its pod is gone, or cannot write.
const STALE: SignedDuration = SignedDuration::from_mins(15);

/// Limit of broken domains that reviews go by: as many as one pod may have.
const BROKEN_MAX: usize = 32;

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
    /// The time of the next round.
    due: Instant,
}

// === impl SearchDomains ===

impl SearchDomains {
    /// Checks the domains while `is_used` returns true, in a task that lives as long as the process, and follows the observations of other
    /// pods. Needs the rights list, watch, create and patch on dnsobservations, and create on events of `events.k8s.io`.
    pub fn check(client: Client, settings: SearchCheckSettings, is_used: impl Fn() -> bool + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let publisher = Publisher::new(client.clone(), settings.node.clone(), settings.instance.clone());
        let checker = Checker {
            settings,
            shared: Arc::clone(&shared),
            is_used,
            publisher,
            own: Vec::new(),
            others: BTreeMap::new(),
            due: Instant::now(),
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
            Event::Init => self.others.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                self.others.insert(object.name_any(), observation::read(&object));
            }
            Event::InitDone => {}
            Event::Delete(object) => {
                self.others.remove(&object.name_any());
            }
        }
    }

    /// Makes a round of checks if one is due. Without a use there are no queries, and what was seen is forgotten.
    async fn tick(&mut self) {
        if !(self.is_used)() {
            self.own.clear();
            self.due = Instant::now();
            return;
        }
        if self.due > Instant::now() {
            return;
        }
        let SearchCheckSettings { nameservers, domains, cluster_domain, .. } = &self.settings;
        let known = format!("kubernetes.default.svc.{cluster_domain}");
        let Some(checks) = check_search_domains(nameservers, domains, &known).await else {
            tracing::warn!(
                name = known,
                "the search domains are not checked: no nameserver has an address for the name"
            );
            self.due = Instant::now() + CONFIRM;
            return;
        };
        let results = checks.into_iter().map(|check| (check.result(), check.domain));
        let changed = update(&mut self.own, results, Timestamp::now());
        for domain in &changed {
            match domain.fault {
                Some(fault) => tracing::warn!(domain = domain.domain, "the search domain {} {fault}", domain.domain),
                None => tracing::info!(domain = domain.domain, "the search domain answers NXDOMAIN again"),
            }
        }
        let is_settled = self.own.iter().all(CheckedDomain::is_settled);
        self.due = Instant::now() + if is_settled { AGAIN } else { CONFIRM };
        self.publisher.publish(&self.own, &changed, nameservers).await;
    }

    fn share(&self) {
        let own: Vec<_> = self.own.iter().map(|domain| (domain.domain.clone(), domain.fault)).collect();
        let mut broken: Vec<BrokenDomain> = self.own.iter().filter_map(CheckedDomain::broken).collect();
        if (self.is_used)() {
            let oldest = Timestamp::now() - STALE;
            let is_other = |node: &String| self.settings.node.as_ref() != Some(node);
            let others = self.others.iter().filter(|(node, (at, _))| is_other(node) && *at > oldest);
            for domain in others.flat_map(|(_, (_, broken))| broken) {
                if !broken.iter().any(|known| known.domain == domain.domain) {
                    broken.push(domain.clone());
                }
            }
        }
        broken.truncate(BROKEN_MAX);
        *self.shared.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
        self.shared.broken.store((!broken.is_empty()).then(|| Arc::new(broken.into())));
    }
}
