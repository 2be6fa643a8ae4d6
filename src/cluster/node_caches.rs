//! The trials of the DNS caches on the node that profiles name: each address is tried from this pod before muslin sets it in a pod, and
//! again every few minutes. Every replica goes by its own trials. Must not know profiles, or how a query is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::policy::CacheFault;
use crate::probe::try_cache;

/// Pause between two looks at which addresses are in use.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time after which an address that answers is tried again.
const AGAIN: Duration = Duration::from_mins(3);
/// Time after which an address that does not answer is tried again: a cache restarts within seconds.
const AGAIN_AFTER_FAULT: Duration = Duration::from_secs(30);
/// The least time between two trials of one address, however often profiles change.
const GAP: Duration = Duration::from_secs(5);
/// Limit of the addresses in use. With at most twelve queries in a trial, this bounds the queries.
const ADDRESSES_MAX: usize = 16;

/// The caches in use, each with the result of its last trial.
#[derive(Clone, Debug, Default)]
pub struct NodeCaches {
    trials: Arc<ArcSwap<BTreeMap<IpAddr, Trial>>>,
    /// A profile changed.
    changed: Arc<Notify>,
}

/// The last trial of an address.
#[derive(Clone, Copy, Debug)]
struct Trial {
    fault: Option<CacheFault>,
    /// The time of the next trial.
    due: Instant,
    /// The earliest time of the next trial if a profile changes.
    free: Instant,
}

// === impl NodeCaches ===

impl NodeCaches {
    /// Returns the fault of a cache; `None` if it answered in its last trial.
    pub(super) fn fault(&self, address: IpAddr) -> Option<CacheFault> {
        self.trials.load().get(&address).map_or(Some(CacheFault::NotTried), |trial| trial.fault)
    }

    /// Returns the tried addresses with their faults.
    pub fn tried(&self) -> Vec<(IpAddr, Option<CacheFault>)> {
        self.trials.load().iter().map(|(address, trial)| (*address, trial.fault)).collect()
    }

    /// Asks for a trial of all addresses, because a profile changed.
    pub(super) fn retry(&self) {
        self.changed.notify_one();
    }

    /// Tries the addresses that `used` returns, as long as the process lives. Without addresses no query is sent.
    pub(super) async fn follow(self, cluster_domain: String, used: impl Fn() -> BTreeSet<IpAddr>) {
        loop {
            let has_changed = tokio::select! {
                () = self.changed.notified() => true,
                () = sleep(LOOK_EVERY) => false,
            };
            let used: BTreeSet<IpAddr> = used().into_iter().take(ADDRESSES_MAX).collect();
            let mut trials = BTreeMap::clone(&self.trials.load());
            let before = trials.len();
            let now = Instant::now();
            // An address that comes back at once is not tried more often than others.
            trials.retain(|address, trial| used.contains(address) || trial.free > now);
            if has_changed {
                trials.values_mut().for_each(|trial| trial.due = trial.due.min(trial.free));
            }
            let is_due = |address: &&IpAddr| trials.get(address).is_none_or(|trial| trial.due <= now);
            let due: Vec<IpAddr> = used.iter().filter(is_due).copied().collect();
            if due.is_empty() && !has_changed && trials.len() == before {
                continue;
            }
            let tried = due.iter().map(async |address| (*address, try_cache(*address, &cluster_domain).await.fault()));
            for (address, fault) in join_all(tried).await {
                let before = trials.insert(address, Trial::ended(fault)).map(|trial| trial.fault);
                match fault {
                    _ if before == Some(fault) => {}
                    None => tracing::info!(%address, "the cache on the node answers; new pods get its address"),
                    Some(fault) => {
                        tracing::warn!(%address, "new pods do not get the cache on the node: {address} {fault}")
                    }
                }
            }
            self.trials.store(Arc::new(trials));
        }
    }
}

// === impl Trial ===

impl Trial {
    /// Returns a trial that ended now.
    fn ended(fault: Option<CacheFault>) -> Self {
        let now = Instant::now();
        let again = if fault.is_none() { AGAIN } else { AGAIN_AFTER_FAULT };
        Self { fault, due: now + again, free: now + GAP }
    }
}
