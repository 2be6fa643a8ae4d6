//! The images that ImageFingerprints name for everybody, each with its resolver: for admission policies, which know no credentials. A name
//! that means images with different resolvers is left out. Must not know policies.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::fingerprints::FACTS_FORMAT;
use super::resources::ImageFingerprint;
use crate::image::contents::{ImageFacts, Invocation};
use crate::image::{Fingerprint, Reason};
use crate::registry::Platform;

/// The part of an ImageFingerprint that policies use. Small on purpose: one is kept for each image of the cluster.
#[derive(Clone, Debug, Default)]
pub struct FingerprintFacts {
    /// The fingerprint of the image's own program; `None` if another release of muslin wrote it.
    fingerprint: Option<Fingerprint>,
    /// The architecture, such as `amd64`.
    arch: Option<Box<str>>,
    /// The names that everybody may read, each with its last use.
    names: Vec<(Box<str>, Timestamp)>,
    /// The number of names that only those with some credentials may know.
    private: usize,
}

/// The names of many ImageFingerprints.
#[derive(Debug, Default)]
pub struct FingerprintNames {
    /// The names with one meaning.
    pub images: BTreeMap<String, NamedImage>,
    /// The names with several.
    pub unclear: BTreeSet<String>,
    /// The number of private names.
    pub private: usize,
    /// The number of resources of another release of muslin.
    pub unread: usize,
}

/// An image by one of its names.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// The fingerprint of the image's own program.
    pub fingerprint: Fingerprint,
    /// The architectures on which the image is known.
    pub architectures: BTreeSet<Box<str>>,
    /// The last use of the name.
    pub used: Timestamp,
}

// === impl FingerprintFacts ===

impl FingerprintFacts {
    /// Reads a resource.
    pub fn new(item: &ImageFingerprint) -> Self {
        let Some(status) = &item.status else { return Self::default() };
        let declared = item.spec.declared.as_deref().and_then(|text| text.parse().ok());
        let declared =
            declared.map(|resolver| Fingerprint::declared(resolver, Reason::Fixed("an administrator declared it")));
        let read = || {
            let facts: ImageFacts =
                serde_json::from_str(&status.data).ok().filter(|_| status.format == FACTS_FORMAT)?;
            Some(facts.fingerprint(&Invocation::default()))
        };
        let public = status.references.iter().filter(|seen| seen.reader.is_none());
        let names: Vec<_> = public.map(|seen| (seen.name.as_str().into(), seen.at.0)).collect();
        Self {
            fingerprint: declared.or_else(read),
            arch: status.platform.parse::<Platform>().ok().map(|platform| platform.arch.into()),
            private: status.references.len() - names.len(),
            names,
        }
    }
}

// === impl FingerprintNames ===

impl FingerprintNames {
    /// Collects the names of resources.
    pub fn of<'f>(facts: impl IntoIterator<Item = &'f FingerprintFacts>) -> Self {
        let mut all = Self::default();
        for FingerprintFacts { fingerprint, arch, names, private, .. } in facts {
            let Some(fingerprint) = fingerprint else {
                all.unread += usize::from(!names.is_empty() || *private > 0);
                continue;
            };
            all.private += private;
            for (name, used) in names {
                all.add(name, fingerprint, arch.as_deref(), *used);
            }
        }
        for name in &all.unclear {
            all.images.remove(name);
        }
        all
    }

    fn add(&mut self, name: &str, fingerprint: &Fingerprint, arch: Option<&str>, used: Timestamp) {
        let named = self.images.entry(name.to_owned()).or_insert_with(|| NamedImage {
            fingerprint: fingerprint.clone(),
            architectures: BTreeSet::new(),
            used,
        });
        named.architectures.extend(arch.map(Box::from));
        named.used = named.used.max(used);
        // On other platforms, or before the tag moved.
        if !is_alike(&named.fingerprint, fingerprint) {
            self.unclear.insert(name.to_owned());
        }
    }
}

fn is_alike(one: &Fingerprint, other: &Fingerprint) -> bool {
    let parts = |of: &Fingerprint| {
        let Fingerprint { resolver, evidence, reason: _, holds_java, beside } = of;
        (*resolver, *evidence, *holds_java, beside.as_ref().map(|second| (second.resolver, second.in_program)))
    };
    parts(one) == parts(other)
}
