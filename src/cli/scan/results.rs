//! The results of a scan: findings by top-level object and by rule, and images. Must not know how they are collected or written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::metadata::{NamedMetadata, OwnerReference};
use crate::image::Fingerprint;
use crate::plan::ContainerCounts;
use crate::policy::Level;
use crate::report::Summary;
use crate::rules::{Finding, HOLDER};
use crate::text::Line;

/// The object at the top of an owner chain, such as a Deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct TopObject {
    pub(super) namespace: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// The findings of one object and its pods.
#[derive(Debug, Default, Serialize)]
pub(super) struct ObjectFindings {
    /// Number of running pods checked; 0 if the template was checked instead.
    pub(super) pods: usize,
    /// The resolver of each container, from the last pod.
    pub(super) resolvers: String,
    pub(super) findings: Vec<CountedFinding>,
    /// The containers of all pods, or of the template, and those of unknown resolvers.
    #[serde(skip)]
    pub(super) containers: ContainerCounts,
    /// The number of pods in which each rule found something at each level.
    #[serde(skip)]
    pub(super) pods_by_rule: BTreeMap<(&'static str, Level), usize>,
}

/// A finding, and the number of pods that have it.
#[derive(Debug, Serialize)]
pub(super) struct CountedFinding {
    pub(super) rule: &'static str,
    pub(super) level: &'static str,
    pub(super) container: Option<String>,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) pods: usize,
    /// True if muslin fixes the cause in new pods of the template.
    pub(super) fixed: bool,
    /// The former name of `fixed`, kept for one release.
    mended: bool,
    #[serde(skip)]
    pub(super) finding: Finding,
}

/// An image in use.
#[derive(Debug, Serialize)]
pub(super) struct ImageInUse {
    pub(super) image: String,
    pub(super) resolver: String,
    pub(super) evidence: &'static str,
    pub(super) because: String,
    pub(super) pods: usize,
}

/// The number of objects and pods that a rule found something in.
#[derive(Serialize)]
pub(super) struct RuleCount {
    pub(super) rule: &'static str,
    pub(super) level: &'static str,
    pub(super) objects: usize,
    pub(super) pods: usize,
}

/// All results of a scan.
#[derive(Default)]
pub(super) struct ScanResults {
    pub(super) objects: BTreeMap<TopObject, ObjectFindings>,
    /// The images in use, each with its fingerprint and its number of pods.
    pub(super) images: BTreeMap<String, (Fingerprint, usize)>,
    /// The owner of each workload that has one, such as a ReplicaSet's Deployment.
    pub(super) owners: HashMap<TopObject, TopObject>,
    /// Notes about objects that could not be read.
    pub(super) notes: Vec<Line>,
}

// === impl TopObject ===

impl TopObject {
    pub(super) fn new(kind: &str, metadata: &NamedMetadata<'_>) -> Self {
        let namespace = metadata.namespace.as_deref().unwrap_or_default().to_owned();
        Self { namespace, kind: kind.to_owned(), name: metadata.name.to_string() }
    }

    /// Returns the owner of this object.
    pub(super) fn owned_by(&self, owner: &OwnerReference) -> Self {
        Self { namespace: self.namespace.clone(), kind: owner.kind.clone(), name: owner.name.clone() }
    }
}

// === impl ScanResults ===

impl ScanResults {
    /// Returns the object at the top of a pod's owner chain: its owner's owner, its owner, or the pod itself.
    pub(super) fn top_of(&self, pod: TopObject, owner: Option<&OwnerReference>) -> TopObject {
        let Some(owner) = owner.map(|owner| pod.owned_by(owner)) else { return pod };
        self.owners.get(&owner).cloned().unwrap_or(owner)
    }

    /// Returns the totals of all objects.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary { objects: self.objects.len(), ..Summary::default() };
        for object in self.objects.values() {
            summary.pods += object.pods;
            summary.containers.add(object.containers);
            object.findings.iter().for_each(|counted| summary.counts.add(counted.finding.level));
        }
        summary
    }

    /// Returns every image in use.
    pub(super) fn images_in_use(&self) -> Vec<ImageInUse> {
        let image = |(image, (fingerprint, pods)): (&String, &(Fingerprint, usize))| ImageInUse {
            image: image.clone(),
            resolver: fingerprint.resolver.to_string(),
            evidence: fingerprint.evidence.name(),
            because: fingerprint.reason.to_string(),
            pods: *pods,
        };
        self.images.iter().map(image).collect()
    }

    /// Returns how often each rule fired at each level, the most serious first.
    pub(super) fn rule_counts(&self) -> Vec<RuleCount> {
        let mut rows: BTreeMap<(&'static str, Level), RuleCount> = BTreeMap::new();
        for object in self.objects.values() {
            for ((rule, level), pods) in &object.pods_by_rule {
                let row = RuleCount { rule, level: level.name(), objects: 0, pods: 0 };
                let row = rows.entry((rule, *level)).or_insert(row);
                row.objects += 1;
                row.pods += pods;
            }
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|((rule, level), _)| (std::cmp::Reverse(*level), *rule));
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

// === impl ObjectFindings ===

impl ObjectFindings {
    /// Adds the findings of the template, or of one of the pods.
    pub(super) fn add_all(&mut self, findings: impl Iterator<Item = (Finding, bool)>) {
        let mut rules = BTreeSet::new();
        for (finding, fixed) in findings {
            rules.insert((finding.rule.slug, finding.level));
            self.add(finding, fixed);
        }
        for rule in rules {
            *self.pods_by_rule.entry(rule).or_default() += usize::from(self.pods > 0);
        }
    }

    /// Drops the findings of the template, which those of running pods replace. Findings about the object itself stay.
    pub(super) fn drop_template(&mut self) {
        let all = std::mem::take(self).findings.into_iter();
        let own = all.filter(|counted| counted.finding.path.starts_with(HOLDER));
        self.add_all(own.map(|counted| (counted.finding, counted.fixed)));
    }

    /// Adds a finding, or counts one more pod for a finding already present.
    fn add(&mut self, finding: Finding, fixed: bool) {
        let is_same = |other: &&mut CountedFinding| {
            other.finding.case() == finding.case() && other.message == finding.message && other.fixed == fixed
        };
        if let Some(known) = self.findings.iter_mut().find(is_same) {
            known.pods += 1;
            return;
        }
        self.findings.push(CountedFinding {
            rule: finding.rule.slug,
            level: finding.level.name(),
            container: finding.container.clone(),
            message: finding.message.to_string(),
            help: finding.help.to_string(),
            pods: usize::from(self.pods > 0),
            fixed,
            mended: fixed,
            finding,
        });
    }
}
