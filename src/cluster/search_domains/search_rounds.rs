//! The checks of a watcher's search domains, on which profiles depend: the same as those of `muslin serve`, at times that the watcher
//! chooses. Must not know of the API.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::round::{CheckedDomain, Pace, next_first, update};
use crate::cluster::resources::ObservedDomain;
use crate::probe::{check_search_domains, is_checkable};
use crate::verdicts::DomainCheck;
use crate::verdicts::observations::Targets;

/// The port that the checks use.
const PORT: u16 = 53;

/// The checks of one pod's search domains over time.
pub struct SearchRounds {
    nameservers: Vec<IpAddr>,
    domains: Vec<String>,
    /// A name that the cluster's DNS must know.
    known: String,
    own: Vec<CheckedDomain>,
    due: Instant,
    running: Option<JoinHandle<Option<Vec<DomainCheck>>>>,
    pace: Pace,
    first: usize,
    has_news: bool,
}

// === impl SearchRounds ===

impl SearchRounds {
    /// The most queries of one round of checks.
    pub const QUERIES_MAX: u32 = crate::probe::SEARCH_QUERIES_MAX;

    /// Returns the checks of these domains; of none if a nameserver has another port than resolv.conf can name.
    pub fn new(targets: &Targets, domains: &[String]) -> Self {
        let is_usual = !targets.names.is_empty() && targets.servers.iter().all(|server| server.port() == PORT);
        let domains = domains.iter().filter(|domain| is_usual && is_checkable(domain));
        Self {
            nameservers: targets.servers.iter().map(|server| server.ip()).collect(),
            domains: domains.cloned().collect(),
            known: Targets::api_server_name(&targets.cluster_domain),
            own: Vec::new(),
            due: Instant::now(),
            running: None,
            pace: Pace::default(),
            first: 0,
            has_news: false,
        }
    }

    /// Begins a round of checks if one is due, or a domain is suspicious, and none is running.
    pub fn begin(&mut self, is_suspicious: bool) {
        let is_healthy = self.own.iter().all(|domain| domain.broken().is_none());
        let is_due = self.due <= Instant::now() || (is_suspicious && is_healthy);
        if self.domains.is_empty() || self.running.is_some() || !is_due {
            return;
        }
        let (nameservers, mut domains, known) = (self.nameservers.clone(), self.domains.clone(), self.known.clone());
        let first = self.first.min(domains.len());
        domains.rotate_left(first);
        self.running = Some(tokio::spawn(async move { check_search_domains(&nameservers, &domains, &known).await }));
    }

    /// Takes in a round that has ended; returns the number of its queries.
    pub async fn finished(&mut self) -> Option<u32> {
        let round = self.running.take_if(|round| round.is_finished())?;
        let Some(mut checks) = round.await.ok().flatten() else {
            self.due = Instant::now() + self.pace.after(false);
            return Some(2);
        };
        let (first, all) = (self.first, checks.len());
        self.first = next_first(first, &checks);
        checks.rotate_right(first.min(all));
        let names: usize = checks.iter().map(|check| check.names.len()).sum();
        let results = checks.into_iter().map(|check| (check.result(), check.domain));
        self.has_news |= !update(&mut self.own, results, Timestamp::now()).is_empty();
        let is_settled = self.own.len() == self.domains.len() && self.own.iter().all(CheckedDomain::is_settled);
        self.due = Instant::now() + self.pace.after(is_settled);
        Some(u32::try_from(2 + 2 * names).unwrap_or(Self::QUERIES_MAX))
    }

    /// Returns whether a domain broke or is healthy again since the last call.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Returns the domains and their answers, as an observation has them.
    pub fn observed(&self) -> Vec<ObservedDomain> {
        let observed = |domain: &CheckedDomain| ObservedDomain {
            domain: domain.domain.clone(),
            answer: domain.answer().to_owned(),
            since: Time(domain.since),
        };
        self.own.iter().map(observed).collect()
    }
}

impl Drop for SearchRounds {
    fn drop(&mut self) {
        if let Some(round) = &self.running {
            round.abort();
        }
    }
}
