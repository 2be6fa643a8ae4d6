//! The lookups of a watcher with the new settings of profiles that roll out, over time. A fault counts when two comparisons in a row find
//! it. Must not know how names are looked up, nor who decides about a rollout.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

use super::profiles::{CanarySettings, UsualFile, canary_settings};
use super::resources::ObservedRollout;
use crate::probe::{COMPARISON_QUERIES_MAX, Comparison, WorseLookup, compare_settings, names_as_given};
use crate::text::Line;
use crate::verdicts::observations::Targets;

/// The most rollouts that are tried at once; others are tried later, as each ends.
const ROLLOUTS_MAX: usize = 2;

/// The rollouts of one look, with their lookups.
type Looked = Vec<(CanarySettings, Comparison)>;

/// The lookups of one node for the rollouts of all profiles.
pub struct RolloutLookups {
    client: Client,
    usual: UsualFile,
    names: Vec<String>,
    every: Duration,
    due: Instant,
    running: Option<JoinHandle<Result<Looked, kube::Error>>>,
    tried: Vec<Tried>,
    has_news: bool,
    has_failed: bool,
}

/// The comparisons for one rollout.
struct Tried {
    canary: CanarySettings,
    observed: ObservedRollout,
    /// The last comparison found a fault.
    was_worse: bool,
}

// === impl RolloutLookups ===

impl RolloutLookups {
    /// The most queries of one look.
    pub const QUERIES_MAX: u32 = COMPARISON_QUERIES_MAX * 2;

    /// Returns the lookups for these names and servers, and a resolv.conf with this search list and these options. Looks follow each other
    /// after this time.
    pub fn new(client: Client, targets: &Targets, search: &[String], options: &[String], every: Duration) -> Self {
        let names = targets.names.iter().take(1).chain(targets.external_names.iter().take(1)).cloned();
        Self {
            client,
            names: names_as_given(&names.collect::<Vec<_>>(), search),
            usual: UsualFile {
                nameservers: targets.servers.clone(),
                search: search.to_vec(),
                options: options.to_vec(),
                cluster_domain: targets.cluster_domain.clone(),
            },
            every,
            due: Instant::now(),
            running: None,
            tried: Vec::new(),
            has_news: false,
            has_failed: false,
        }
    }

    /// Begins a look if one is due, and none is running.
    pub fn begin(&mut self) {
        if self.running.is_some() || Instant::now() < self.due {
            return;
        }
        let (client, usual, names) = (self.client.clone(), self.usual.clone(), self.names.clone());
        self.running = Some(tokio::spawn(async move {
            let mut looked = Vec::new();
            for canary in canary_settings(client, &usual).await?.into_iter().take(ROLLOUTS_MAX) {
                let comparison = compare_settings(&names, &canary.settings).await;
                looked.push((canary, comparison));
            }
            Ok(looked)
        }));
    }

    /// Takes in a look that has ended; returns the number of its queries, or the first of several problems in a row.
    ///
    /// # Errors
    /// The profiles cannot be listed.
    pub async fn finished(&mut self) -> Option<Result<u32, kube::Error>> {
        let look = self.running.take_if(|look| look.is_finished())?;
        self.due = Instant::now() + self.every;
        match look.await.ok()? {
            Ok(looked) => {
                self.has_failed = false;
                let sent = looked.iter().map(|(_, comparison)| comparison.sent).sum();
                self.take_in(looked, Timestamp::now());
                Some(Ok(sent))
            }
            Err(error) => (!std::mem::replace(&mut self.has_failed, true)).then_some(Err(error)),
        }
    }

    fn take_in(&mut self, looked: Looked, now: Timestamp) {
        let mut before = std::mem::take(&mut self.tried);
        for (canary, comparison) in looked {
            // Other settings, or another rollout of the same ones, are judged anew.
            let is_same = |tried: &Tried| tried.canary == canary;
            let known = before.iter().position(is_same).map(|index| before.swap_remove(index));
            let mut tried = known.unwrap_or_else(|| Tried::new(canary));
            self.has_news |= tried.add(&comparison, now);
            self.tried.push(tried);
        }
        self.has_news |= !before.is_empty();
    }

    /// Returns whether a rollout began, ended, or was found worse since the last call.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Returns the rollouts as an observation has them.
    pub fn observed(&self) -> Vec<ObservedRollout> {
        self.tried.iter().map(|tried| tried.observed.clone()).collect()
    }
}

impl Drop for RolloutLookups {
    fn drop(&mut self) {
        if let Some(look) = &self.running {
            look.abort();
        }
    }
}

// === impl Tried ===

impl Tried {
    fn new(canary: CanarySettings) -> Self {
        let observed = ObservedRollout {
            profile: canary.profile.clone(),
            revision: canary.revision.clone(),
            lookups: 0,
            fault: String::new(),
            since: None,
        };
        Self { canary, observed, was_worse: false }
    }

    /// Adds a comparison; returns whether something is to be reported. A fault stays: it ends the rollout.
    fn add(&mut self, comparison: &Comparison, now: Timestamp) -> bool {
        let Comparison { lookups, worse, sent: _ } = comparison;
        let is_first = self.observed.lookups == 0 && *lookups > 0;
        self.observed.lookups += i64::from(*lookups);
        let is_confirmed = std::mem::replace(&mut self.was_worse, worse.is_some()) && self.observed.fault.is_empty();
        let Some(worse) = worse.as_ref().filter(|_| is_confirmed) else { return is_first };
        self.observed.fault = text(worse);
        self.observed.since = Some(Time(now));
        true
    }
}

fn text(WorseLookup { resolver, name, why, present }: &WorseLookup) -> String {
    let present = present.as_millis();
    let sentence = format!(
        "{resolver} does not resolve {name} with the new settings ({why}), and does with the present ones (in {present} ms)"
    );
    Line::new(sentence).into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Family;

    fn canary() -> CanarySettings {
        CanarySettings {
            profile: "web".to_owned(),
            revision: "5f3c2a1b".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            settings: Vec::new(),
        }
    }

    fn comparison(is_worse: bool) -> Comparison {
        let worse = WorseLookup {
            resolver: Family::Musl.unversioned(),
            name: "kubernetes.default".to_owned(),
            why: "NXDOMAIN after 2 ms".to_owned(),
            present: Duration::from_millis(3),
        };
        Comparison { lookups: 4, worse: is_worse.then_some(worse), sent: 30 }
    }

    #[test]
    fn a_fault_counts_when_two_comparisons_in_a_row_find_it_and_stays() {
        let mut tried = Tried::new(canary());
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(tried.add(&comparison(true), at(1)), "the first lookups are news");
        assert!(!tried.add(&comparison(false), at(2)));
        assert!(!tried.add(&comparison(true), at(3)) && tried.observed.fault.is_empty());
        assert!(tried.add(&comparison(true), at(4)));
        assert_eq!(
            tried.observed.fault,
            "musl does not resolve kubernetes.default with the new settings (NXDOMAIN after 2 ms), and does with the present ones (in 3 ms)"
        );
        assert!(!tried.add(&comparison(false), at(5)) && !tried.add(&comparison(true), at(6)));
        assert!(!tried.add(&comparison(true), at(7)));
        assert_eq!((tried.observed.since, tried.observed.lookups), (Some(Time(at(4))), 28));
    }
}
