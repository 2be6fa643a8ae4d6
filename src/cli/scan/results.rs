//! The results of a scan: findings by top-level object and by rule, and images. Must not know how they are collected or written.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use super::metadata::{NamedMetadata, OwnerReference};
use crate::image::Fingerprint;
use crate::plan::ContainerCounts;
use crate::policy::Level;
use crate::report::{SchemaVersion, Summary};
use crate::resolver::{Cgo, Resolver};
use crate::rules::{Finding, HOLDER};
use crate::text::Line;

/// The longest owner chain that is followed: authors can write one in a circle. A pod of Knative has four owners.
const OWNERS_MAX: usize = 8;

/// The object at the top of an owner chain, such as a Deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub(super) struct TopObject {
    /// The namespace.
    pub(super) namespace: String,
    /// The kind.
    pub(super) kind: String,
    /// The name.
    pub(super) name: String,
    /// The API group; empty for the core group. Two groups can have a kind of the same name.
    pub(super) group: String,
}

/// The findings of one object and its pods.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct ObjectFindings {
    /// Number of running pods checked; 0 if the template was checked instead.
    pub(super) pods: usize,
    /// The resolver of each container, from the last pod.
    pub(super) resolvers: String,
    /// The findings.
    pub(super) findings: Vec<CountedFinding>,
    /// The containers of all pods, or of the template, and those of unknown resolvers.
    #[serde(skip)]
    pub(super) containers: ContainerCounts,
    /// The number of pods in which each rule found something at each level.
    #[serde(skip)]
    pub(super) pods_by_rule: BTreeMap<(&'static str, Level), usize>,
}

/// A finding, and the number of pods that have it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct CountedFinding {
    /// The rule's name, with a page in docs/rules.
    pub(super) rule: &'static str,
    /// `deny`: lookups fail; `warn`: lookups are slower, or fail more often, than necessary; `info`: worth knowing.
    #[schemars(extend("enum" = ["deny", "warn", "info"]))]
    pub(super) level: &'static str,
    /// The container, if the finding is about one.
    pub(super) container: Option<String>,
    /// The finding in a sentence.
    pub(super) message: String,
    /// The advice.
    pub(super) help: String,
    /// Number of pods that have it; 0 if the template was checked instead.
    pub(super) pods: usize,
    /// True if muslin fixes the cause in new pods of the template.
    pub(super) fixed: bool,
    /// The former name of `fixed`. This release still writes it.
    #[schemars(extend("deprecated" = true))]
    mended: bool,
    #[serde(skip)]
    pub(super) finding: Finding,
}

/// An image in use.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageInUse {
    #[serde(rename = "schemaVersion")]
    schema: SchemaVersion<1>,
    /// The image name, as pods have it.
    pub(super) image: String,
    /// The resolver, with its version if known.
    pub(super) resolver: String,
    /// `declared` (by an administrator), `inspected` (read in the image), `assumed` (suggested by its name), or `none`.
    pub(super) evidence: &'static str,
    /// The reason for this result.
    pub(super) because: String,
    /// Another resolver that the image's own program has, such as `c-ares 1.34.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
    /// The C library in a Go program, such as `musl 1.2.5`; `none` for a program without one. Absent if that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    cgo: Option<String>,
    /// True if the image holds a JVM.
    #[serde(rename = "holdsJava")]
    holds_java: bool,
    /// Number of pods.
    pub(super) pods: usize,
}

/// The number of objects and pods that a rule found something in.
#[derive(Serialize, JsonSchema)]
pub(super) struct RuleCount {
    /// The rule's name, with a page in docs/rules.
    pub(super) rule: &'static str,
    /// The level of the findings.
    #[schemars(extend("enum" = ["deny", "warn", "info"]))]
    pub(super) level: &'static str,
    /// Number of objects.
    pub(super) objects: usize,
    /// Number of pods.
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
    /// The part of the cluster that was scanned, such as `namespace shop`.
    pub(super) scope: String,
    /// Notes about objects that could not be read.
    pub(super) notes: Vec<Line>,
}

// === impl TopObject ===

impl TopObject {
    pub(super) fn new(group: &str, kind: &str, metadata: &NamedMetadata<'_>) -> Self {
        let namespace = metadata.namespace.as_deref().unwrap_or_default().to_owned();
        Self { namespace, kind: kind.to_owned(), name: metadata.name.to_string(), group: group.to_owned() }
    }

    /// Returns the owner of this object.
    pub(super) fn owned_by(&self, owner: &OwnerReference) -> Self {
        let (kind, name, group) = (owner.kind.clone(), owner.name.clone(), owner.group().to_owned());
        Self { namespace: self.namespace.clone(), kind, name, group }
    }
}

// === impl ScanResults ===

impl ScanResults {
    /// Returns the object at the top of a pod's owner chain, as far as the objects on it were listed; the pod itself without an owner.
    pub(super) fn top_of(&self, pod: TopObject, owner: Option<&OwnerReference>) -> TopObject {
        let Some(owner) = owner.map(|owner| pod.owned_by(owner)) else { return pod };
        let chain = std::iter::successors(Some(&owner), |object| self.owners.get(object));
        chain.take(OWNERS_MAX).last().unwrap_or(&owner).clone()
    }

    /// Returns the objects with their findings: those with the most serious finding first, then by namespace and owner.
    pub(super) fn ordered(&self) -> Vec<(&TopObject, &ObjectFindings)> {
        let mut objects: Vec<_> = self.objects.iter().collect();
        // The sort is stable, and the map is sorted by namespace and owner.
        objects.sort_by_key(|(_, object)| Reverse(object.findings.iter().map(|counted| counted.finding.level).max()));
        objects
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
            schema: SchemaVersion,
            image: image.clone(),
            resolver: fingerprint.resolver.to_string(),
            evidence: fingerprint.evidence.name(),
            because: fingerprint.reason.to_string(),
            beside: fingerprint.beside.as_ref().filter(|one| one.in_program).map(|one| one.resolver.to_string()),
            cgo: match fingerprint.resolver.cgo {
                Cgo::Unknown => None,
                Cgo::Absent => Some("none".to_owned()),
                Cgo::Linked { libc, version } => Some(Resolver { version, ..libc.unversioned() }.to_string()),
            },
            holds_java: fingerprint.holds_java,
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
        rows.sort_by_key(|((rule, level), _)| (Reverse(*level), *rule));
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
        // Stable, so that findings of one level keep their order.
        self.findings.sort_by_key(|counted| Reverse(counted.finding.level));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    fn object(namespace: &str, kind: &str, name: &str) -> TopObject {
        let [namespace, kind, name] = [namespace, kind, name].map(str::to_owned);
        TopObject { namespace, kind, name, group: String::new() }
    }

    fn finding(level: Level) -> (Finding, bool) {
        let rule = Rule::named("attempts-zero").unwrap();
        let (change, help, path) = Default::default();
        let message = level.name().into();
        (Finding { rule, level, container: None, message, change, help, path }, false)
    }

    #[test]
    fn the_most_serious_comes_first_then_namespace_and_owner() {
        let mut results = ScanResults::default();
        for (namespace, name, levels) in [
            ("a", "x", &[Level::Info][..]),
            ("a", "y", &[]),
            ("b", "z", &[Level::Info, Level::Deny]),
            ("b", "w", &[Level::Warn]),
            ("a", "v", &[Level::Deny]),
        ] {
            let mut findings = ObjectFindings::default();
            findings.add_all(levels.iter().map(|level| finding(*level)).collect::<Vec<_>>().into_iter());
            results.objects.insert(object(namespace, "Deployment", name), findings);
        }
        let names: Vec<_> = results.ordered().into_iter().map(|(top, _)| &*top.name).collect();
        assert_eq!(names, ["v", "z", "w", "x", "y"]);
        let z = &results.objects[&object("b", "Deployment", "z")];
        assert_eq!(z.findings.iter().map(|counted| counted.level).collect::<Vec<_>>(), ["deny", "info"]);
    }

    #[test]
    fn follows_owners_to_the_top_and_never_for_ever() {
        let mut results = ScanResults::default();
        let chain =
            ["ReplicaSet", "Deployment", "Revision", "Configuration", "Service"].map(|kind| object("a", kind, "x"));
        for pair in chain.windows(2) {
            results.owners.insert(pair[0].clone(), pair[1].clone());
        }
        let owner: OwnerReference =
            serde_json::from_str(r#"{"apiVersion":"v1","kind":"ReplicaSet","name":"x","controller":true}"#).unwrap();
        assert_eq!(results.top_of(object("a", "Pod", "p"), Some(&owner)).kind, "Service");
        results.owners.insert(chain[4].clone(), chain[0].clone());
        results.top_of(object("a", "Pod", "p"), Some(&owner));
        assert_eq!(results.top_of(object("a", "Pod", "p"), None).kind, "Pod");
    }
}
