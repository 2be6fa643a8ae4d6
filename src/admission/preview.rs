//! What many pods would get, in a few lines. Must not know where the pods come from.

use std::collections::BTreeMap;

use crate::image::Fingerprint;
use crate::plan::{Context, WARNING_MAX, fit, plan};
use crate::pod::Pod;
use crate::policy::{Level, Mode};

/// How many lines there are; what is left out is counted.
const LINES_MAX: usize = 8;

/// What many pods would get.
#[derive(Debug, Default)]
pub(super) struct Preview {
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

// === impl Preview ===

impl Preview {
    /// Counts one pod in.
    pub(super) fn add(&mut self, pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) {
        self.pods += 1;
        let Ok(plan) = plan(pod, fingerprints, context) else { return };
        let name = pod.name().unwrap_or_default();
        if context.mode >= Mode::Inject && !plan.injected.is_empty() {
            count(&mut self.injected, plan.injected.to_string(), name);
        }
        let mut found: Vec<(&'static str, bool)> =
            plan.at_least(Level::Warn).map(|planned| (planned.finding.rule.slug, planned.mended)).collect();
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

    /// How many pods were looked at.
    pub(super) const fn pods(&self) -> usize {
        self.pods
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pods == 0
    }

    /// There are more, which are not looked at.
    pub(super) fn stop(&mut self) {
        self.is_cut = true;
    }

    /// It in lines that the API server does not cut.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { pods, is_cut, injected, denied, found } = self;
        if *pods == 0 {
            return Vec::new();
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
            let mended = if *mended { " (mended)" } else { "" };
            line(group, format!("be warned of {rule}{mended}"))
        }));
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("muslin: and {more} more groups of pods"));
        }
        lines.into_iter().map(|line| fit(line, WARNING_MAX)).collect()
    }
}

fn count<K: Ord>(groups: &mut BTreeMap<K, Group>, key: K, name: &str) {
    groups.entry(key).or_insert_with(|| Group { pods: 0, one: name.to_owned() }).pods += 1;
}
