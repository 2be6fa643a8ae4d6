//! What a scan found: findings by the object at the top, and by rule; images. Must not know how it is come by or written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::{NamedMeta, Owner};
use crate::image::Fingerprint;
use crate::policy::Level;
use crate::rules::Finding;

/// An object at the top, by namespace, kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct Top {
    pub(super) namespace: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// What was found of one object and of its pods.
#[derive(Debug, Default, Serialize)]
pub(super) struct Group {
    /// How many of its pods were looked at; none where its template was.
    pub(super) pods: usize,
    /// What each container uses, of the last pod.
    pub(super) resolvers: String,
    pub(super) findings: Vec<Grouped>,
}

/// A finding, and on how many pods.
#[derive(Debug, Serialize)]
pub(super) struct Grouped {
    pub(super) rule: &'static str,
    pub(super) level: &'static str,
    pub(super) container: Option<String>,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) pods: usize,
    /// Whether muslin mends it in pods that are made of the template.
    pub(super) mended: bool,
    #[serde(skip)]
    pub(super) finding: Finding,
}

/// An image in use.
#[derive(Debug, Serialize)]
pub(super) struct InUse {
    pub(super) image: String,
    pub(super) resolver: String,
    pub(super) evidence: &'static str,
    pub(super) because: String,
    pub(super) pods: usize,
}

/// How often a rule fired.
#[derive(Serialize)]
pub(super) struct ByRule {
    pub(super) rule: &'static str,
    pub(super) level: &'static str,
    pub(super) objects: usize,
    pub(super) pods: usize,
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) groups: BTreeMap<Top, Group>,
    pub(super) images: BTreeMap<String, (Fingerprint, usize)>,
    /// What makes pods and was itself made by something.
    pub(super) owners: HashMap<Top, Top>,
}

// === impl Top ===

impl Top {
    pub(super) fn of(kind: &str, metadata: &NamedMeta<'_>) -> Self {
        let namespace = metadata.namespace.as_deref().unwrap_or_default().to_owned();
        Self { namespace, kind: kind.to_owned(), name: metadata.name.to_string() }
    }
}

// === impl Found ===

impl Found {
    /// The object at the top of a pod: what made it, and what made that.
    pub(super) fn top(&self, pod: Top, owner: Option<&Owner>) -> Top {
        let Some(owner) = owner else { return pod };
        let owner = Top { namespace: pod.namespace, kind: owner.kind.clone(), name: owner.name.clone() };
        self.owners.get(&owner).cloned().unwrap_or(owner)
    }
}

// === impl Group ===

impl Group {
    pub(super) fn add(&mut self, finding: Finding, mended: bool) {
        let is_same = |other: &&mut Grouped| {
            other.finding.case() == finding.case() && other.message == finding.message && other.mended == mended
        };
        if let Some(known) = self.findings.iter_mut().find(is_same) {
            known.pods += 1;
            return;
        }
        self.findings.push(Grouped {
            rule: finding.rule.slug,
            level: finding.level.name(),
            container: finding.container.clone(),
            message: finding.message.to_string(),
            help: finding.help.to_string(),
            pods: usize::from(self.pods > 0),
            mended,
            finding,
        });
    }
}

impl Found {
    /// Each image in use.
    pub(super) fn images_in_use(&self) -> Vec<InUse> {
        let image = |(image, (fingerprint, pods)): (&String, &(Fingerprint, usize))| InUse {
            image: image.clone(),
            resolver: fingerprint.resolver.to_string(),
            evidence: fingerprint.evidence.name(),
            because: fingerprint.reason.to_string(),
            pods: *pods,
        };
        self.images.iter().map(image).collect()
    }

    /// How often each rule fired at each level, the most serious first.
    pub(super) fn by_rule(&self) -> Vec<ByRule> {
        let mut rows: BTreeMap<(&'static str, Level), ByRule> = BTreeMap::new();
        for group in self.groups.values() {
            let mut counted = BTreeSet::new();
            for Grouped { rule, level, pods, finding, .. } in &group.findings {
                let row = ByRule { rule, level, objects: 0, pods: 0 };
                let row = rows.entry((rule, finding.level)).or_insert(row);
                row.objects += usize::from(counted.insert((rule, finding.level)));
                row.pods += pods;
            }
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|((rule, level), _)| (std::cmp::Reverse(*level), *rule));
        rows.into_iter().map(|(_, row)| row).collect()
    }
}
