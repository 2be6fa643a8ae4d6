//! Keys of labels and annotations that begin with `muslin.dev/`, and whether anything reads them. Must not know what a key means.

use super::text::Text;

/// Annotation with which people opt a pod out: `"false"`.
pub const INJECT_ANNOTATION: &str = "muslin.dev/inject";
/// Annotation with which people silence rules on a pod, or on all pods of a workload: `rule-a,rule-b`.
pub const IGNORE_ANNOTATION: &str = "muslin.dev/ignore";
/// Annotation with each container's resolver.
pub const RESOLVERS_ANNOTATION: &str = "muslin.dev/resolvers";
/// Annotation with the options that muslin set.
pub const INJECTED_ANNOTATION: &str = "muslin.dev/injected";
/// Annotation with the findings, one on each line.
pub const WARNINGS_ANNOTATION: &str = "muslin.dev/warnings";
/// Annotation and label with the settings that a pod got from a profile that rolled out when the pod was created: the label has the stage,
/// the annotation also the profile and its settings.
pub const ROLLOUT_KEY: &str = "muslin.dev/rollout";
/// Annotation of a pod that admission policies changed instead of the webhook, with the images that they knew. They remove it from every
/// other pod, so that its author's does not count.
pub const POLICIES_ANNOTATION: &str = "muslin.dev/policies";
/// Annotation of the pod that `muslin doctor` asks the API server to create as a dry run. The webhook answers in it; other pods get
/// nothing for it.
pub const DOCTOR_ANNOTATION: &str = "muslin.dev/doctor";

/// The prefix of every key that muslin reads or writes.
pub(crate) const PREFIX: &str = "muslin.dev/";

/// The most keys of one object that are reported because nothing reads them.
const UNREAD_MAX: usize = 4;

/// The part of an object's metadata with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `metadata.labels`.
    Labels,
    /// `metadata.annotations`.
    Annotations,
}

/// The object whose metadata has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// A pod or a pod template.
    Pod,
    /// The workload that holds the pod template.
    Workload,
    /// The Job template of a CronJob.
    JobTemplate,
    /// A namespace.
    Namespace,
}

/// A key that begins with `muslin.dev/` and that nothing reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadKey<'a> {
    /// The object.
    pub owner: KeyOwner,
    /// The part of its metadata.
    pub place: KeyPlace,
    /// The key.
    pub key: &'a str,
}

// === impl KeyPlace ===

impl KeyPlace {
    /// Both places.
    pub const ALL: [Self; 2] = [Self::Labels, Self::Annotations];

    /// Returns the field of the metadata.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    /// Returns the word for one of them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotation",
        }
    }
}

// === impl UnreadKey ===

impl<'a> UnreadKey<'a> {
    /// Returns the keys that nothing reads on a workload or on a Job template, of all keys of one part of its metadata.
    pub fn of_workload(
        owner: KeyOwner,
        place: KeyPlace,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> impl Iterator<Item = Self> {
        let is_read =
            move |key: &str| (owner, place) == (KeyOwner::Workload, KeyPlace::Annotations) && key == IGNORE_ANNOTATION;
        let keys = keys.into_iter().filter(move |key| key.starts_with(PREFIX) && !is_read(key));
        keys.take(UNREAD_MAX).map(move |key| Self { owner, place, key })
    }
}

/// Keeps a key that begins with `muslin.dev/`, if not too many are kept.
pub(crate) fn keep_unread<'a>(unread: &mut Vec<Text<'a>>, key: &Text<'a>) {
    if key.starts_with(PREFIX) && unread.len() < UNREAD_MAX {
        unread.push(key.clone());
    }
}
