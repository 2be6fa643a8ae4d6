//! What the pods that run would get, if they were made anew, in a few lines. Must not know who asks, nor of HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::SelectedProfile;
use crate::image::Fingerprint;
use crate::plan::{Context, WARNING_MAX, plan};
use crate::pod::Pod;
use crate::policy::{Level, Mode};
use crate::text::one_line;

use crate::admission::webhook::Inner;

/// How many pods are looked at, and for how long: whoever labels a namespace has the answer within a second.
const PODS_MAX: usize = 3000;
const TIME_MAX: Duration = Duration::from_millis(800);
/// What is left of the time for the answer itself.
const MARGIN: Duration = Duration::from_millis(100);
/// How many lines there are; what is left out is counted.
const LINES_MAX: usize = 8;

/// What many pods would get.
#[derive(Debug, Default)]
struct Preview {
    pods: usize,
    /// There are more pods than were looked at.
    is_cut: bool,
    /// What is injected, by its text.
    injected: BTreeMap<String, Group>,
    /// Rules that leave nothing to a namespace that enforces.
    denied: BTreeMap<&'static str, Group>,
    /// Rules that fire, mended or not.
    found: BTreeMap<(&'static str, bool), Group>,
}

/// Pods that have something in common.
#[derive(Debug)]
struct Group {
    pods: usize,
    /// The name of one of them.
    one: String,
}

// === impl Inner ===

impl Inner {
    /// What the pods of these namespaces, each with its mode, would get of a profile.
    pub(in crate::admission) async fn preview(
        &self,
        namespaces: &[(String, Mode)],
        chosen: &SelectedProfile,
        deadline: Instant,
    ) -> Vec<String> {
        let deadline = (deadline - MARGIN).min(Instant::now() + TIME_MAX);
        let mut preview = Preview::default();
        for (namespace, mode) in namespaces {
            let looking = self.look_at(namespace, *mode, chosen, &mut preview, deadline);
            match tokio::time::timeout_at(deadline, looking).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(namespace, %error, "cannot list the pods of a namespace");
                    if preview.pods == 0 {
                        return vec!["muslin: what the pods would get is not told: they cannot be listed".to_owned()];
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

    async fn look_at(
        &self,
        namespace: &str,
        mode: Mode,
        chosen: &SelectedProfile,
        preview: &mut Preview,
        deadline: Instant,
    ) -> Result<(), kube::Error> {
        let Some(mut pods) = self.namespaces.pods(namespace) else { return Ok(()) };
        while let Some(page) = pods.next().await? {
            for pod in page.items::<Pod<'_>>()? {
                if preview.pods >= PODS_MAX || Instant::now() >= deadline {
                    preview.is_cut = true;
                    return Ok(());
                }
                let answers = self.recall(&pod);
                let profile = self.profile(chosen, &pod);
                self.caught("", || {
                    // It may have been mended by another profile.
                    let context = Context { trusts_annotation: true, ..self.context(namespace, mode, &profile) };
                    preview.add(&pod, answers.fingerprints(&pod).0, &context);
                });
            }
            // A page is read and planned in some milliseconds, in which others wait.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

// === impl Preview ===

impl Preview {
    /// Counts one pod in.
    fn add(&mut self, pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) {
        self.pods += 1;
        let Ok(plan) = plan(pod, fingerprints, context) else { return };
        let name = pod.name().unwrap_or_default();
        if context.mode >= Mode::Inject && !plan.injected.is_empty() {
            count(&mut self.injected, plan.injected.to_string(), name);
        }
        let mut found: Vec<(&'static str, bool)> =
            plan.at_least(Level::Warn).map(|planned| (planned.finding.rule.slug, planned.fixed)).collect();
        let mut denied: Vec<&'static str> = match context.mode {
            Mode::Enforce => plan.denials().map(|finding| finding.rule.slug).collect(),
            _ => Vec::new(),
        };
        // A pod counts once, however many containers it has.
        found.sort_unstable();
        found.dedup();
        denied.sort_unstable();
        denied.dedup();
        for rule in &denied {
            count(&mut self.denied, rule, name);
        }
        for (rule, mended) in found {
            if !denied.contains(&rule) {
                count(&mut self.found, (rule, mended), name);
            }
        }
    }

    /// It in lines that the API server does not cut.
    fn lines(&self) -> Vec<String> {
        let Self { pods, is_cut, injected, denied, found } = self;
        if *pods == 0 {
            let late = "muslin: what the pods would get is not told: they were not listed in time".to_owned();
            return if *is_cut { vec![late] } else { Vec::new() };
        }
        let of = if *is_cut { format!("of the first {pods} pods") } else { format!("of {pods} pods") };
        if injected.is_empty() && denied.is_empty() && found.is_empty() {
            return vec![format!("muslin: {of}, made anew, none would be changed or warned of")];
        }
        let line =
            |Group { pods, one }: &Group, what: String| format!("muslin: {of} {pods} would {what}, such as {one}");
        let mut lines: Vec<String> =
            denied.iter().map(|(rule, group)| line(group, format!("be denied for {rule}"))).collect();
        lines.extend(injected.iter().map(|(options, group)| line(group, format!("get {options}"))));
        lines.extend(found.iter().map(|((rule, mended), group)| {
            let mended = if *mended { " (fixed)" } else { "" };
            line(group, format!("be warned of {rule}{mended}"))
        }));
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("muslin: and {more} more groups of pods"));
        }
        lines.into_iter().map(|line| one_line(&line, WARNING_MAX).into_owned()).collect()
    }
}

fn count<K: Ord>(groups: &mut BTreeMap<K, Group>, key: K, name: &str) {
    groups.entry(key).or_insert_with(|| Group { pods: 0, one: name.to_owned() }).pods += 1;
}
