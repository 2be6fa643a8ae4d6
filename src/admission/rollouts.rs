//! The findings that a running pod has with the new settings of a profile alone, for the judge of its rollout. Nothing waits for an image.
//! Must not know where pods come from, or what follows from findings.

use std::collections::HashMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Duration, Instant};

use crate::budget::Budget;
use crate::cluster::{PodImages, RolloutSource};
use crate::plan::Context;
use crate::pod::Pod;
use crate::policy::{Level, Mode, NamespacePolicy, PodStages, Stage};

use super::state::{REVIEW_STEPS, State};
use super::webhook::Webhook;

/// The longest wait for a namespace's labels, if the watch has not seen them yet.
const POLICY_MAX: Duration = Duration::from_secs(2);

/// The findings that a pod keeps: the highest level of each rule on each container.
type OpenFindings = HashMap<(&'static str, Option<String>), Level>;

impl RolloutSource for Webhook {
    fn new_findings<'t>(
        &'t self,
        namespace: &'t str,
        pod: &'t str,
        profile: &'t str,
    ) -> BoxFuture<'t, Vec<&'static str>> {
        new_findings(self.state(), namespace, pod, profile).boxed()
    }
}

async fn new_findings(state: &State, namespace: &str, pod: &str, profile: &str) -> Vec<&'static str> {
    if state.is_excluded(namespace) {
        return Vec::new();
    }
    let Ok(policy) = state.policy(namespace, Instant::now() + POLICY_MAX).await else { return Vec::new() };
    let Ok(pod) = serde_json::from_str::<Pod<'_>>(pod) else { return Vec::new() };
    let images = state.known_images(&pod, namespace);
    let mut budget = Budget::new(REVIEW_STEPS);
    let compare = || {
        let findings = |stage| open_findings(state, &pod, &images, namespace, &policy, (profile, stage));
        let (stable, canary) = (findings(Stage::Stable), findings(Stage::Canary));
        // A finding of a higher level is another one: it denies pods, perhaps.
        let is_new = |(finding, level): &(&(_, _), &Level)| stable.get(*finding).is_none_or(|before| before < level);
        let mut rules: Vec<&'static str> = canary.iter().filter(is_new).map(|((rule, _), _)| *rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    };
    let rules = state.catch("", || budget.run(compare));
    // Beyond the budget both lists are cut, in different places.
    rules.filter(|_| budget.check().is_ok()).unwrap_or_default()
}

/// Returns the findings of level `warn` or above that the pod would keep if it were created now, in one stage of the rollout of a profile.
fn open_findings(
    state: &State,
    pod: &Pod<'_>,
    images: &PodImages,
    namespace: &str,
    policy: &NamespacePolicy,
    (profile, stage): (&str, Stage),
) -> OpenFindings {
    let mode: Mode = state.mode(policy);
    let stages = PodStages::recorded(pod.annotations().rollout.as_deref()).with(Some(profile), stage);
    let profile = state.pod_profile(namespace, &state.namespace_profile(policy, &mut Vec::new()), None, pod, &stages);
    let broken = state.broken_domains();
    // One of the two settings changed the pod.
    let context = Context { trusts_annotation: true, ..state.context(namespace, mode, &profile, &broken) };
    let Ok(plan) = (state.planner)(pod, images.fingerprints(pod).0, &context) else { return OpenFindings::new() };
    let open = plan.at_least(Level::Warn).filter(|planned| !planned.fixed);
    let mut findings = OpenFindings::new();
    for planned in open {
        let finding = &planned.finding;
        let level = findings.entry((finding.rule.slug, finding.container.clone())).or_insert(finding.level);
        *level = finding.level.max(*level);
    }
    findings
}
