//! The preview of a change: what the running pods would get if they were created now, in a few lines. Must not know which hook shows
//! it, nor of HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::state::{REVIEW_STEPS, State};
use crate::budget::{self, Budget};
use crate::cluster::SelectedProfile;
use crate::image::Fingerprint;
use crate::plan::{Context, WARNING_MAX, plan};
use crate::pod::Pod;
use crate::policy::{Level, Mode, PodStages};
use crate::text::Line;

/// The most pods that are planned, and the longest time for it: the user who labels a namespace has the answer within a second.
const PODS_MAX: usize = 3000;
const TIME_MAX: Duration = Duration::from_millis(800);
/// The time that is kept for the answer itself.
const MARGIN: Duration = Duration::from_millis(100);
/// The most lines; the rest is counted.
const LINES_MAX: usize = 8;

/// The effect of a change on many pods.
#[derive(Debug, Default)]
struct Preview {
    pods: usize,
    /// True if there are more pods than were planned.
    is_cut: bool,
    /// The pods that get the same options, by the options' text.
    injected: BTreeMap<String, Group>,
    /// The pods that would be denied, by rule.
    denied: BTreeMap<&'static str, Group>,
    /// The pods that would be warned about, by rule.
    found: BTreeMap<&'static str, Group>,
}

/// A group of pods with the same effect.
#[derive(Debug)]
struct Group {
    pods: usize,
    /// The name of one of them.
    example: String,
}

/// Returns lines on what the running pods of these namespaces, each with its mode and its profile, would get. `new` is a profile that is
/// not stored yet.
pub(super) async fn preview(
    state: &State,
    namespaces: &[(String, Mode, SelectedProfile)],
    new: Option<&SelectedProfile>,
    deadline: Instant,
) -> Vec<Line> {
    let deadline = (deadline - MARGIN).min(Instant::now() + TIME_MAX);
    let mut preview = Preview::default();
    for one in namespaces {
        let (namespace, ..) = one;
        let adding = add_namespace(&mut preview, state, one, new, deadline);
        match tokio::time::timeout_at(deadline, adding).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(namespace, %error, "cannot list the pods of a namespace");
                if preview.pods == 0 {
                    return vec![Line::new("muslin: no preview of the effect: the running pods cannot be listed")];
                }
                preview.is_cut = true;
            }
            Err(_) => preview.is_cut = true,
        }
        if preview.is_cut {
            break;
        }
    }
    preview.lines()
}

/// Adds the running pods of a namespace, until the preview is full or the time is over.
async fn add_namespace(
    preview: &mut Preview,
    state: &State,
    (namespace, mode, profile): &(String, Mode, SelectedProfile),
    new: Option<&SelectedProfile>,
    deadline: Instant,
) -> Result<(), kube::Error> {
    let Some(mut pods) = state.namespaces.pods(namespace) else { return Ok(()) };
    while let Some(page) = pods.next().await? {
        for json in page.raw()? {
            if preview.pods >= PODS_MAX || Instant::now() >= deadline {
                preview.is_cut = true;
                return Ok(());
            }
            let mut budget = Budget::new(REVIEW_STEPS);
            state.catch("", || {
                budget.run(|| {
                    let Ok(pod) = serde_json::from_str::<Pod<'_>>(json.get()) else { return };
                    if budget::check().is_err() {
                        return;
                    }
                    let images = state.known_images(&pod, namespace);
                    let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
                    let profile = state.pod_profile(namespace, profile, new, &pod, &stages);
                    let broken = state.broken_domains();
                    // An earlier profile may have changed the pod.
                    let known = state.context(namespace, *mode, &profile, &broken);
                    let context = Context { trusts_annotation: true, ..known };
                    preview.add(&pod, images.fingerprints(&pod).0, &context);
                });
            });
        }
        // Planning a page takes some milliseconds; others may run now.
        tokio::task::yield_now().await;
    }
    Ok(())
}

// === impl Preview ===

impl Preview {
    /// Adds one pod.
    fn add(&mut self, pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) {
        self.pods += 1;
        let Ok(plan) = plan(pod, fingerprints, context) else { return };
        let name = pod.name().unwrap_or_default();
        if context.mode >= Mode::Inject && !plan.injected.is_empty() {
            count(&mut self.injected, plan.injected.to_string(), name);
        }
        // As in the warnings of a pod, what is fixed does not count.
        let open = plan.at_least(Level::Warn).filter(|planned| !planned.fixed);
        let mut found: Vec<&'static str> = open.map(|planned| planned.finding.rule.slug).collect();
        let mut denied: Vec<&'static str> = match context.mode {
            Mode::Enforce => plan.denials().map(|finding| finding.rule.slug).collect(),
            _ => Vec::new(),
        };
        // A pod counts once, even if several of its containers have the finding.
        found.sort_unstable();
        found.dedup();
        denied.sort_unstable();
        denied.dedup();
        for rule in &denied {
            count(&mut self.denied, rule, name);
        }
        for rule in found {
            if !denied.contains(&rule) {
                count(&mut self.found, rule, name);
            }
        }
    }

    /// Formats the preview as warnings within the API server's length limit.
    fn lines(&self) -> Vec<Line> {
        let Self { pods, is_cut, injected, denied, found } = self;
        if *pods == 0 {
            let late = Line::new("muslin: no preview of the effect: the running pods were not listed in time");
            return if *is_cut { vec![late] } else { Vec::new() };
        }
        let of = if *is_cut { format!("of the first {pods} pods") } else { format!("of {pods} pods") };
        if injected.is_empty() && denied.is_empty() && found.is_empty() {
            return vec![Line::new(format!("muslin: none {of} would be changed or warned about if created now"))];
        }
        let line = |group: &Group, effect: String| {
            let Group { pods, example } = group;
            format!("muslin: {pods} {of} would {effect}, for example {example}")
        };
        let mut lines: Vec<String> =
            denied.iter().map(|(rule, group)| line(group, format!("be denied for {rule}"))).collect();
        lines.extend(injected.iter().map(|(options, group)| line(group, format!("get {options}"))));
        lines.extend(found.iter().map(|(rule, group)| line(group, format!("be warned about {rule}"))));
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("muslin: and {more} more groups of pods"));
        }
        lines.into_iter().map(|line| Line::cut(line, WARNING_MAX)).collect()
    }
}

fn count<K: Ord>(groups: &mut BTreeMap<K, Group>, key: K, name: &str) {
    groups.entry(key).or_insert_with(|| Group { pods: 0, example: name.to_owned() }).pods += 1;
}
