//! One image fingerprint, as it is stored in the cluster, and as it will be. Whatever is stored takes little memory. Must not know when
//! resources are read or written.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::cluster::resources::{ImageFingerprint, ImageFingerprintStatus, Seen};
use crate::image::Fingerprint;
use crate::image::contents::{ImageFacts, Invocation};
use crate::registry::{Digest, Image, Platform};
use crate::resolver::Resolver;

/// The format of the facts. Facts of another one are not read.
///
/// 2: at most 8 KiB, as text; programs may be left out of the list of common ones (`shortened`).
/// 3: names by folder and kind; scripts without the exec bit are marked; c-ares.
pub const FORMAT: u32 = 3;
/// The longest facts that are read, in bytes. Those of today have at most 8 KiB, and the image's command.
pub(super) const DATA_MAX_BYTES: usize = 32 << 10;
/// Limit of references that the resource of one image lists; the latest stay.
const REFERENCES_MAX: usize = 16;
/// Limit of references that are kept in memory for one image, and the longest one, in bytes.
const REFERENCES_KEPT_MAX: usize = 4;
const REFERENCE_MAX_BYTES: usize = 512;
/// The longest name of a namespace (RFC 1123), and of a reader, in bytes.
const NAME_MAX_BYTES: usize = 63;
/// The least time between two writes for uses of the same image.
const USE_GRAIN: SignedDuration = SignedDuration::from_hours(12);

/// A reference, as pods write it, for those who may know what it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reference {
    pub(super) name: Box<str>,
    /// The identity of the credentials that read the image; `None` if everybody may read it.
    pub(super) reader: Option<Box<str>>,
}

/// The part of a resource that [`crate::registry::Images`] does not hold.
pub(super) struct Stored {
    pub(super) last_used: Option<Timestamp>,
    pub(super) references: Vec<(Reference, Timestamp)>,
    pub(super) platform: Option<Platform>,
    pub(super) declared: Option<Resolver>,
    pub(super) version: Option<String>,
    /// The namespace whose quota the resource counts for.
    pub(super) namespace: Box<str>,
}

/// An image to write, with the references that were used.
pub(super) struct Pending {
    pub(super) image: Arc<Image>,
    pub(super) namespace: Arc<str>,
    pub(super) references: HashMap<Reference, Timestamp>,
}

// === impl Stored ===

impl Stored {
    /// Reads a resource, and the image in it if its facts have today's format.
    pub(super) fn read(object: &ImageFingerprint, digest: &Digest) -> (Self, Option<Arc<Image>>) {
        let declared = object.spec.declared.as_deref().and_then(|text| match text.parse() {
            Ok(resolver) => Some(resolver),
            Err(error) => {
                tracing::warn!(name = object.name_any(), %error, "a declaration is invalid");
                None
            }
        });
        let mut stored = Self {
            last_used: None,
            references: Vec::new(),
            platform: None,
            declared,
            version: object.resource_version(),
            namespace: "".into(),
        };
        let Some(status) = &object.status else { return (stored, None) };
        let is_short = |text: &str| text.len() <= NAME_MAX_BYTES;
        let is_kept =
            |seen: &&Seen| seen.name.len() <= REFERENCE_MAX_BYTES && seen.reader.as_deref().is_none_or(is_short);
        let reference =
            |seen: &Seen| Reference { name: seen.name.as_str().into(), reader: seen.reader.as_deref().map(Into::into) };
        stored.last_used = Some(status.last_used.0);
        stored.namespace =
            status.namespace.as_str().get(..status.namespace.len().min(NAME_MAX_BYTES)).unwrap_or("").into();
        let kept = status.references.iter().filter(is_kept).take(REFERENCES_KEPT_MAX);
        stored.references = kept.map(|seen| (reference(seen), seen.at.0)).collect();
        let is_readable = status.format == FORMAT && status.data.len() <= DATA_MAX_BYTES && is_short(&status.platform);
        let facts = is_readable.then(|| serde_json::from_str::<ImageFacts>(&status.data).ok()).flatten();
        let (Some(facts), Ok(platform)) = (facts, status.platform.parse::<Platform>()) else { return (stored, None) };
        stored.platform = Some(platform.without_variant());
        (stored, Some(Arc::new(Image { digest: digest.clone(), platform, facts })))
    }

    /// Returns whether the resource has a late use of this reference. A tag can move to another image and back: `latest` is the last
    /// time at which it named an image.
    pub(super) fn has(&self, reference: &Reference, latest: Option<Timestamp>, now: Timestamp) -> bool {
        let at = self.references.iter().find(|(known, _)| known == reference).map(|(_, at)| *at);
        let is_latest = at.is_some_and(|at| latest.is_none_or(|latest| latest <= at));
        is_latest && self.last_used.is_some_and(|used| now.duration_since(used) < USE_GRAIN)
    }

    /// Returns whether the image was not used for this time.
    pub(super) fn is_unused_for(&self, hours: i64, now: Timestamp) -> bool {
        self.last_used.is_none_or(|used| now.duration_since(used) >= SignedDuration::from_hours(hours))
    }
}

// === impl Pending ===

impl Pending {
    /// Returns the status to write over what the cluster has.
    pub(super) fn status(&self, before: Option<&Stored>) -> ImageFingerprintStatus {
        let Self { image, namespace, references } = self;
        let known = before.map(|stored| stored.references.as_slice()).unwrap_or_default();
        let mut seen: HashMap<&Reference, Timestamp> = known.iter().map(|(reference, at)| (reference, *at)).collect();
        seen.extend(references.iter().map(|(reference, at)| (reference, *at)));
        let mut seen: Vec<(&Reference, Timestamp)> = seen.into_iter().collect();
        seen.sort_unstable_by(|(one, at), (other, other_at)| other_at.cmp(at).then(one.cmp(other)));
        seen.truncate(REFERENCES_MAX);
        let Image { digest, platform, facts } = &**image;
        let Fingerprint { resolver, evidence, reason, beside, .. } = facts.fingerprint(&Invocation::default());
        let first = before.map(|stored| stored.namespace.as_ref()).filter(|first| !first.is_empty());
        let as_seen = |(Reference { name, reader }, at): (&Reference, Timestamp)| Seen {
            name: name.to_string(),
            at: Time(at),
            reader: reader.as_deref().map(str::to_owned),
        };
        ImageFingerprintStatus {
            resolver: resolver.family.name().to_owned(),
            version: resolver.release(),
            beside: beside.filter(|second| second.in_program).map(|second| second.resolver.to_string()),
            evidence: evidence.name().to_owned(),
            because: reason.to_string(),
            image: seen.first().map(|(reference, _)| reference.name.to_string()).unwrap_or_default(),
            digest: digest.to_string(),
            platform: platform.to_string(),
            last_used: Time(seen.first().map_or_else(Timestamp::now, |(_, at)| *at)),
            references: seen.into_iter().map(as_seen).collect(),
            namespace: first.unwrap_or(namespace).to_owned(),
            format: FORMAT,
            // Facts are made of maps and texts, which always have a form in JSON.
            data: serde_json::to_string(facts).unwrap_or_default(),
        }
    }
}

/// Returns the name of the resource for an image.
pub(super) fn name_of(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

/// Returns the image that a resource is for.
pub(super) fn digest_of(object: &ImageFingerprint) -> Option<Digest> {
    object.metadata.name.as_deref()?.replacen('-', ":", 1).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::resources::ImageFingerprintSpec;

    fn digest() -> Digest {
        Digest::sha256(b"an image")
    }

    fn pending(reference: &str, reader: Option<&str>) -> Pending {
        let reference = Reference { name: reference.into(), reader: reader.map(Into::into) };
        let facts = serde_json::from_str("{\"config\":{\"cmd\":[\"app\"]}}").unwrap();
        let image = Image { digest: digest(), platform: Platform::linux("amd64"), facts };
        let references = HashMap::from([(reference, Timestamp::now())]);
        Pending { image: Arc::new(image), namespace: "shop".into(), references }
    }

    fn object(status: ImageFingerprintStatus) -> ImageFingerprint {
        let mut object = ImageFingerprint::new(&name_of(&digest()), ImageFingerprintSpec::default());
        object.status = Some(status);
        object
    }

    #[test]
    fn reads_what_it_writes() {
        let pending = pending("example.com/app:1", Some("0123"));
        let (stored, image) = Stored::read(&object(pending.status(None)), &digest());
        assert_eq!(image.unwrap(), pending.image);
        let reference = pending.references.keys().next().unwrap();
        assert_eq!(stored.references[0].0, *reference, "with its reader");
        assert!(&*stored.namespace == "shop" && stored.has(reference, None, Timestamp::now()));
    }

    #[test]
    fn facts_in_another_format_are_not_read() {
        let written = pending("example.com/app:1", None).status(None);
        for status in [
            ImageFingerprintStatus { format: 1, ..written.clone() },
            ImageFingerprintStatus { format: 0, ..written.clone() },
            ImageFingerprintStatus { format: FORMAT + 1, ..written.clone() },
            ImageFingerprintStatus { data: String::new(), ..written.clone() },
            ImageFingerprintStatus { data: format!("{}{}", written.data, " ".repeat(DATA_MAX_BYTES)), ..written },
        ] {
            assert!(Stored::read(&object(status), &digest()).1.is_none());
        }
    }

    /// As 0.1.0 wrote it.
    #[test]
    fn an_old_resource_is_parsed_without_its_facts() {
        let status = serde_json::json!({
            "resolver": "musl", "evidence": "inspected", "because": "it is old", "image": "a", "digest": "b",
            "platform": "linux/amd64", "lastUsed": "2026-01-01T00:00:00Z", "facts": { "config": {}, "kinds": [[[[]]]] },
        });
        let status: ImageFingerprintStatus = serde_json::from_value(status).unwrap();
        let (stored, image) = Stored::read(&object(status), &digest());
        assert!(image.is_none() && stored.last_used.is_some());
    }

    #[test]
    fn little_is_kept_of_whatever_is_stored() {
        let mut status = pending("example.com/app:1", None).status(None);
        let seen = |name: String| Seen { name, at: Time(Timestamp::now()), reader: None };
        status.references = (0..1000).map(|number| seen(format!("{number}{}", "x".repeat(number * 8)))).collect();
        status.namespace = "n".repeat(100_000);
        let (stored, _) = Stored::read(&object(status), &digest());
        let bytes: usize = stored.references.iter().map(|(reference, _)| reference.name.len()).sum();
        assert!(bytes + stored.namespace.len() < 4096, "{bytes} bytes");
    }
}
