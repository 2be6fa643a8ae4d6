//! Looks at the rollouts of profiles: their pods, and the watchers' verdicts on the nodes of these. Only the leader looks. Must not know
//! what follows from what it sees, nor how findings are found.
//!
//! Findings are compared on each pod, not between pods: those that it has with the new settings and would not have with the last promoted
//! ones. So no workload that is drawn by chance makes a difference. Labels and annotations, which any user can write, only say which pods
//! to look at: with them a tenant can make the own pods count, but never hide those of others.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::decision::{Evidence, FailedLookup, RaisedVerdict, WorsePod};
use super::entry::Entry;
use super::rollout::{Look, Reach};
use super::shared::Shared;
use crate::cluster::lease::Lease;
use crate::cluster::listing::Listing;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::resources::{Rollout, RolloutPhase};
use crate::pod::ROLLOUT_KEY;
use crate::policy::{RolloutRecord, Stage};
use crate::verdicts::statistics::Rate;

/// Pause between two checks of which rollouts are due.
const TICK: Duration = Duration::from_secs(1);
/// The bounds of the pause between two looks at one rollout. Between them, the pause is a tenth of the soak time and of the rollout's age:
/// a bad change shows early, and a look lists pods.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(2);
const LOOK_EVERY_MAX: Duration = Duration::from_mins(1);
/// The longest look at one namespace, and the most pods without a place in the rollout that are passed over there. A user who fills a
/// namespace with pods hides pods of that namespace alone.
const NAMESPACE_TIME_MAX: Duration = Duration::from_secs(5);
const OTHERS_MAX: usize = 5000;
/// The most pods of one rollout that are looked at, as in previews. Each namespace has its part, and at least so many.
const PODS_MAX: usize = 3000;
const NAMESPACE_PODS_MIN: usize = 20;
/// Observations on one page of a list.
const PAGE: u32 = 500;

/// A source of the findings on pods.
pub trait RolloutSource: Send + Sync {
    /// Returns the rules of level `warn` or above with a finding on a pod, that the pod would not have, or would get fixed, with the last
    /// promoted settings of the profile. `pod` is JSON as the API server sent it.
    fn new_findings<'t>(
        &'t self,
        namespace: &'t str,
        pod: &'t str,
        profile: &'t str,
    ) -> BoxFuture<'t, Vec<&'static str>>;
}

/// Looks at rollouts while this replica is the leader.
pub(super) struct Judge {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) namespaces: Namespaces,
    pub(super) lease: Lease,
    /// The profile of namespaces without a profile label.
    pub(super) default: String,
    pub(super) source: Arc<dyn RolloutSource>,
}

/// The part of a pod that a rollout is judged by.
#[derive(Deserialize)]
struct SeenPod<'p> {
    #[serde(borrow)]
    metadata: SeenMetadata<'p>,
    #[serde(borrow, default)]
    spec: SeenSpec<'p>,
    #[serde(default)]
    status: SeenStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenMetadata<'p> {
    #[serde(borrow)]
    name: Cow<'p, str>,
    creation_timestamp: Option<Timestamp>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<&'p RawValue>,
    #[serde(borrow, default)]
    annotations: SeenAnnotations<'p>,
}

#[derive(Default, Deserialize)]
struct SeenAnnotations<'p> {
    #[serde(borrow, default, rename = "muslin.dev/rollout")]
    rollout: Option<Cow<'p, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenSpec<'p> {
    #[serde(borrow, default)]
    node_name: Option<Cow<'p, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenStatus {
    #[serde(default)]
    container_statuses: Option<Vec<SeenContainer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenContainer {
    #[serde(default)]
    restart_count: u32,
}

/// The part of a DNSObservation that a rollout is judged by.
#[derive(Deserialize)]
struct SeenObservation {
    metadata: SeenNode,
    #[serde(default)]
    spec: SeenWatchSpec,
}

#[derive(Deserialize)]
struct SeenNode {
    name: String,
}

#[derive(Default, Deserialize)]
struct SeenWatchSpec {
    #[serde(default)]
    watch: Option<SeenWatch>,
}

#[derive(Deserialize)]
struct SeenWatch {
    #[serde(default)]
    verdicts: Vec<SeenVerdict>,
    #[serde(default)]
    rollouts: Vec<SeenRollout>,
}

/// The lookups of a watcher with the new settings.
#[derive(Deserialize)]
struct SeenRollout {
    profile: String,
    revision: String,
    #[serde(default)]
    fault: String,
    #[serde(default)]
    since: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SeenVerdict {
    verdict: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    text: String,
    since: Timestamp,
}

// === impl Judge ===

impl Judge {
    pub(super) async fn run(self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked: HashMap<String, Instant> = HashMap::new();
        loop {
            ticks.tick().await;
            if !self.lease.is_held() {
                continue;
            }
            let custom = self.shared.custom.load_full();
            let going: HashSet<&String> =
                custom.iter().filter(|(_, entry)| is_going(entry)).map(|(name, _)| name).collect();
            looked.retain(|name, _| going.contains(name));
            for (name, entry) in custom.iter().filter(|(name, _)| going.contains(name)) {
                if looked.get(name).is_some_and(|at| at.elapsed() < pause(entry)) {
                    continue;
                }
                self.look_at(name, entry).await;
                looked.insert(name.clone(), Instant::now());
            }
        }
    }

    async fn look_at(&self, name: &str, entry: &Entry) {
        // Changes during the look count in the next one.
        let at = Timestamp::now();
        let seen = self.evidence(name, entry).await.map_err(|error| error.to_string());
        if let Err(problem) = &seen {
            tracing::warn!(name, problem, "cannot look at the rollout of a profile");
        }
        let look = Look { uid: entry.uid.clone(), revision: entry.rollout.revision.clone(), at, seen };
        self.shared.add_look(name, look);
    }

    async fn evidence(&self, profile: &str, entry: &Entry) -> Result<Evidence, kube::Error> {
        let mut evidence = Evidence::default();
        let namespaces = self.namespaces.using(profile, &self.default, &entry.refined_namespaces());
        let pods_max = (PODS_MAX / namespaces.len().max(1)).max(NAMESPACE_PODS_MIN);
        for (namespace, _) in namespaces {
            let adding = self.add_namespace(&mut evidence, &namespace, (profile, entry), pods_max);
            match timeout(NAMESPACE_TIME_MAX, adding).await {
                Ok(added) => added?,
                Err(_) => evidence.is_cut = true,
            }
        }
        let started = entry.status.as_ref().and_then(|status| Some(status.rollout.as_ref()?.started_at.0));
        if let Some(started) = started {
            self.add_observations(&mut evidence, (profile, &entry.rollout.revision), started).await?;
        }
        Ok(evidence)
    }

    /// Adds the pods of a namespace, up to so many.
    async fn add_namespace(
        &self,
        evidence: &mut Evidence,
        namespace: &str,
        (profile, entry): (&str, &Entry),
        pods_max: usize,
    ) -> Result<(), kube::Error> {
        let Some(pods) = self.namespaces.pods(namespace) else { return Ok(()) };
        let (mut pods, mut counted, mut others) = (pods.labels(ROLLOUT_KEY), 0, 0);
        while let Some(page) = pods.next().await? {
            for json in page.raw()? {
                // A pod that cannot be read is none of a rollout: the API server writes valid pods.
                let pod = serde_json::from_str::<SeenPod<'_>>(json.get()).ok();
                let staged = pod.and_then(|pod| Some((pod.stage(profile, &entry.rollout.revision)?, pod)));
                let Some((stage, pod)) = staged else {
                    others += 1;
                    continue;
                };
                if counted >= pods_max {
                    evidence.is_cut = true;
                    return Ok(());
                }
                counted += 1;
                let rules = self.source.new_findings(namespace, json.get(), profile).await;
                evidence.add(namespace, &pod, stage, rules);
            }
            if others >= OTHERS_MAX {
                evidence.is_cut = true;
                return Ok(());
            }
            // Planning a page takes some milliseconds; others may run now.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Adds the verdicts that watchers raised since the rollout began, and their lookups with the new settings.
    async fn add_observations(
        &self,
        evidence: &mut Evidence,
        rollout: (&str, &str),
        started: Timestamp,
    ) -> Result<(), kube::Error> {
        let mut list = Listing::new(self.client.clone(), "/apis/muslin.dev/v1alpha1/dnsobservations", PAGE);
        while let Some(page) = list.next().await? {
            for json in page.raw()? {
                // An observation of another release, perhaps.
                let Ok(observation) = serde_json::from_str(json.get()) else { continue };
                evidence.add_observation(observation, rollout, started);
            }
        }
        Ok(())
    }
}

fn is_going(entry: &Entry) -> bool {
    let phase = entry.status.as_ref().and_then(|status| status.rollout.as_ref()?.phase());
    entry.accepted.is_ok() && matches!(entry.rollout.reach, Reach::Share(_)) && phase == Some(RolloutPhase::Progressing)
}

/// Returns the pause between two looks at a rollout.
fn pause(entry: &Entry) -> Duration {
    let started = entry.status.as_ref().and_then(|status| Some(status.rollout.as_ref()?.started_at.0));
    let age = started.map(|started| Timestamp::now().duration_since(started));
    let soak = entry.spec.rollout.as_ref().and_then(|rollout: &Rollout| rollout.soak().ok());
    let shortest = age.into_iter().chain(soak).min().and_then(|time| Duration::try_from(time).ok()).unwrap_or_default();
    (shortest / 10).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
}

// === impl SeenPod ===

impl SeenPod<'_> {
    fn stage(&self, profile: &str, revision: &str) -> Option<Stage> {
        let SeenMetadata { deletion_timestamp, annotations, .. } = &self.metadata;
        let record = annotations.rollout.as_deref().filter(|_| deletion_timestamp.is_none())?;
        RolloutRecord::parse(record).stage(profile, revision)
    }

    fn has_restarted(&self) -> bool {
        self.status.container_statuses.iter().flatten().any(|container| container.restart_count > 0)
    }
}

// === impl Evidence ===

impl Evidence {
    fn add(&mut self, namespace: &str, pod: &SeenPod<'_>, stage: Stage, rules: Vec<&'static str>) {
        let SeenMetadata { name, creation_timestamp, .. } = &pod.metadata;
        let rate = match stage {
            Stage::Canary => &mut self.canary,
            Stage::Stable => &mut self.stable,
        };
        *rate = Rate { hits: rate.hits + u64::from(pod.has_restarted()), total: rate.total + 1 };
        if stage == Stage::Canary {
            self.first_canary = self.first_canary.into_iter().chain(*creation_timestamp).min();
            self.nodes.extend(pod.spec.node_name.as_deref().map(str::to_owned));
        }
        if !rules.is_empty() {
            self.worse += 1;
            self.worse_example.get_or_insert_with(|| WorsePod { pod: format!("{namespace}/{name}"), rules });
        }
    }

    /// Adds the observation of a node: its lookups with the new settings, and, if it has pods with them, its verdicts. Advice does not
    /// count.
    fn add_observation(&mut self, observation: SeenObservation, rollout: (&str, &str), started: Timestamp) {
        let SeenObservation { metadata: SeenNode { name: node }, spec } = observation;
        let Some(SeenWatch { verdicts, rollouts }) = spec.watch else { return };
        for SeenRollout { profile, revision, fault: text, since } in rollouts {
            if rollout != (&*profile, &*revision) {
                continue;
            }
            self.looked_up += 1;
            let failed = since.filter(|since| *since >= started && !text.is_empty());
            let failed = failed.map(|since| FailedLookup { node: node.clone(), text, since });
            let all = self.failed_lookup.take().into_iter().chain(failed);
            self.failed_lookup = all.min_by_key(|one| one.since);
        }
        if !self.nodes.contains(&node) {
            return;
        }
        self.watched += 1;
        let raised = verdicts.into_iter().filter(|one| one.since >= started && ["warn", "deny"].contains(&&*one.level));
        let first = raised
            .min_by_key(|one| one.since)
            .map(|SeenVerdict { verdict, level: _, text, since }| RaisedVerdict { node, verdict, text, since });
        let all = self.verdict.take().into_iter().chain(first);
        self.verdict = all.min_by_key(|one| one.since);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn add(evidence: &mut Evidence, pod: &Value, rules: &[&'static str]) {
        let text = pod.to_string();
        let pod: SeenPod<'_> = serde_json::from_str(&text).unwrap();
        if let Some(stage) = pod.stage("web", "1") {
            evidence.add("shop", &pod, stage, rules.to_vec());
        }
    }

    fn pod(name: &str, record: &str, created: &str, restarts: u32) -> Value {
        json!({
            "metadata": {
                "name": name, "creationTimestamp": created,
                "annotations": { "muslin.dev/rollout": record, "other": "x" }
            },
            "spec": { "nodeName": format!("node-of-{name}"), "containers": [{ "name": "app" }] },
            "status": { "phase": "Running", "containerStatuses": [{ "name": "app", "restartCount": restarts }] }
        })
    }

    #[test]
    fn pods_of_this_rollout_count_by_their_stage() {
        let mut evidence = Evidence::default();
        add(&mut evidence, &pod("a", "web@1=canary", "1970-01-01T00:00:20Z", 3), &[]);
        add(&mut evidence, &pod("b", "ndots@9=stable web@1=canary", "1970-01-01T00:00:10Z", 0), &["musl-no-tcp"]);
        add(&mut evidence, &pod("c", "web@1=stable", "1970-01-01T00:00:01Z", 0), &["musl-no-tcp"]);
        // Pods of other settings, without a record, and on their way out do not count.
        add(&mut evidence, &pod("d", "web@2=canary", "1970-01-01T00:00:01Z", 9), &["musl-no-tcp"]);
        add(&mut evidence, &json!({ "metadata": { "name": "e" } }), &["musl-no-tcp"]);
        let mut leaving = pod("f", "web@1=canary", "1970-01-01T00:00:01Z", 9);
        leaving["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:30Z");
        add(&mut evidence, &leaving, &["musl-no-tcp"]);
        assert_eq!(evidence.canary, Rate { hits: 1, total: 2 });
        assert_eq!(evidence.stable, Rate { hits: 0, total: 1 });
        assert_eq!(evidence.first_canary, Some(at(10)));
        assert_eq!(evidence.nodes.iter().collect::<Vec<_>>(), ["node-of-a", "node-of-b"]);
        assert_eq!(evidence.worse, 2);
        assert_eq!(evidence.worse_example.unwrap(), WorsePod { pod: "shop/b".to_owned(), rules: vec!["musl-no-tcp"] });
    }

    #[test]
    fn a_verdict_counts_if_it_is_new_serious_and_on_a_node_with_new_settings() {
        let verdict = |name: &str, level: &str, since: &str| json!({ "verdict": name, "level": level, "subject": "10.96.0.10", "text": "it is so", "since": since });
        let observed = |node: &str, verdicts: Vec<Value>| -> SeenObservation {
            let watch = json!({ "pod": "w", "checkedAt": "1970-01-01T00:02:00Z", "rounds": 3, "verdicts": verdicts });
            serde_json::from_value(json!({ "metadata": { "name": node }, "spec": { "pod": "w", "watch": watch } }))
                .unwrap()
        };
        let before = || verdict("fake-ip", "deny", "1970-01-01T00:00:59Z");
        let advice = || verdict("search-expansion", "info", "1970-01-01T00:01:30Z");
        let raised = || verdict("slow-server", "warn", "1970-01-01T00:01:30Z");
        for (node, verdicts, expected) in [
            ("node-1", vec![], None),
            ("node-1", vec![before(), advice()], None),
            ("node-1", vec![before(), raised()], Some("slow-server")),
            ("node-2", vec![raised()], None),
        ] {
            let mut evidence = Evidence { nodes: ["node-1".to_owned()].into(), ..Evidence::default() };
            evidence.add_observation(observed(node, verdicts), ("web", "1"), at(60));
            assert_eq!(evidence.verdict.map(|verdict| verdict.verdict).as_deref(), expected);
            assert_eq!(evidence.watched, usize::from(node == "node-1"));
        }
        // Without a watcher an observation has the search domains alone.
        let unwatched = json!({ "metadata": { "name": "node-1" }, "spec": { "pod": "muslin", "broken": [] } });
        let mut evidence = Evidence { nodes: ["node-1".to_owned()].into(), ..Evidence::default() };
        evidence.add_observation(serde_json::from_value(unwatched).unwrap(), ("web", "1"), at(60));
        assert_eq!((evidence.watched, evidence.verdict), (0, None));
    }

    #[test]
    fn a_failed_lookup_counts_on_each_node_for_these_settings_since_the_rollout_began() {
        let rollout = |revision: &str, fault: &str, since: Value| json!({ "profile": "web", "revision": revision, "lookups": 9, "fault": fault, "since": since });
        for (seen, looked_up, expected) in [
            (rollout("1", "", Value::Null), 1, None),
            (rollout("1", "musl fails", json!("1970-01-01T00:01:30Z")), 1, Some("musl fails")),
            (rollout("1", "an earlier rollout", json!("1970-01-01T00:00:59Z")), 1, None),
            (rollout("2", "other settings", json!("1970-01-01T00:01:30Z")), 0, None),
        ] {
            let watch = json!({ "pod": "w", "verdicts": [], "rollouts": [seen] });
            let observation = json!({ "metadata": { "name": "node-9" }, "spec": { "pod": "w", "watch": watch } });
            let mut evidence = Evidence { nodes: ["node-1".to_owned()].into(), ..Evidence::default() };
            evidence.add_observation(serde_json::from_value(observation).unwrap(), ("web", "1"), at(60));
            assert_eq!((evidence.looked_up, evidence.watched), (looked_up, 0));
            assert_eq!(evidence.failed_lookup.map(|failed| failed.text).as_deref(), expected);
        }
    }
}
