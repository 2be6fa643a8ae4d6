//! The hook for namespaces: denies invalid modes, warns of missing profiles and of keys that nothing reads, and previews what the
//! running pods would get. Must not know of HTTP.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use crate::admission::answer::Answer;
use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Response};
use crate::admission::state::{Effort, State};
use crate::plan::{page_warning, warning};
use crate::pod::{KeyOwner, KeyPlace, Text, UnreadKey, keep_unread};
use crate::policy::{MODE_LABEL, Mode, NamespacePolicy, PROFILE_LABEL, SELF_LABEL};
use crate::rules::unread_key_texts;
use crate::text::{Line, cut};

use super::preview::preview;

/// The rule on keys that nothing reads.
const UNREAD_KEY: &str = "unread-key";

/// The longest value that a warning quotes, in bytes.
const VALUE_MAX: usize = 20;

/// The part of a namespace that muslin reads.
#[derive(Debug, Default, Deserialize)]
pub(in crate::admission) struct Namespace<'a> {
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    labels: Option<Entries<'a>>,
    #[serde(borrow, default)]
    annotations: Option<Entries<'a>>,
}

/// The labels or the annotations that begin with `muslin.dev/`. Only labels mean anything.
#[derive(Debug, Default)]
struct Entries<'a> {
    /// [`MODE_LABEL`].
    mode: Option<Text<'a>>,
    /// [`PROFILE_LABEL`].
    profile: Option<Text<'a>>,
    /// [`SELF_LABEL`].
    is_self: Option<Text<'a>>,
    /// The keys of others, some of them.
    others: Vec<Text<'a>>,
}

// === impl Namespace ===

impl Namespace<'_> {
    fn name(&self) -> Option<&str> {
        self.metadata.as_ref()?.name.as_deref()
    }

    fn policy(&self) -> NamespacePolicy {
        let (mode, profile) =
            self.labels().map_or((None, None), |Entries { mode, profile, .. }| (mode.as_deref(), profile.as_deref()));
        NamespacePolicy::from_labels(mode, profile)
    }

    fn labels(&self) -> Option<&Entries<'_>> {
        self.metadata.as_ref()?.labels.as_ref()
    }

    /// Returns the keys that nothing reads, some of them.
    fn unread_keys(&self) -> Vec<UnreadKey<'_>> {
        let Some(Metadata { name: _, labels, annotations }) = &self.metadata else { return Vec::new() };
        let labels = labels.iter().flat_map(|labels| labels.others.iter().map(|key| (KeyPlace::Labels, &**key)));
        let annotations = annotations.iter().flat_map(|annotations| {
            let Entries { mode, profile, is_self, others } = annotations;
            let known = [(MODE_LABEL, mode), (PROFILE_LABEL, profile), (SELF_LABEL, is_self)];
            let known = known.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key);
            known.chain(others.iter().map(|key| &**key)).map(|key| (KeyPlace::Annotations, key))
        });
        let unread = |(place, key)| UnreadKey { owner: KeyOwner::Namespace, place, key };
        labels.chain(annotations).map(unread).collect()
    }

    /// Returns whether the webhook configurations exclude the namespace by [`SELF_LABEL`].
    fn is_self(&self) -> bool {
        self.self_value() == Some("true")
    }

    fn self_value(&self) -> Option<&str> {
        self.labels()?.is_self.as_deref()
    }
}

// === impl Entries ===

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Entries::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key {
                        MODE_LABEL => entries.mode = map.next_value()?,
                        PROFILE_LABEL => entries.profile = map.next_value()?,
                        SELF_LABEL => entries.is_self = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            keep_unread(&mut entries.others, &key);
                        }
                    }
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Denies a label with an invalid mode, and previews what the labels change.
pub(in crate::admission) async fn check_labels(
    state: &State,
    request: &Request<'_, Namespace<'_>>,
    effort: &mut Effort<'_>,
    deadline: Instant,
) -> Answer {
    let uid = &*request.uid;
    let Some(namespace) = request.object.as_ref().filter(|_| request.writes_a_namespace()) else {
        return Answer::skipped(uid);
    };
    let read =
        state.work(uid, effort, deadline, || (namespace.policy(), request.old_object.as_ref().map(Namespace::policy)));
    let (policy, before) = match read.await {
        Ok(read) => read,
        Err(undone) => {
            let message = Line::new(format!("muslin cannot read the namespace's labels: {undone}"));
            return Answer::new(Outcome::Failed, None, &Response::deny(uid, message));
        }
    };
    let name = request.name.as_deref().filter(|name| !name.is_empty()).or(namespace.name()).unwrap_or_default();
    let mut warnings: Vec<Line> = self_warning(state, request, namespace, name).into_iter().collect();
    warnings.extend(unread_warnings(state, request, namespace));
    // An invalid label that was there before must not block other changes; the user was warned when it was set.
    if before.as_ref().unwrap_or(&NamespacePolicy::default()) == &policy {
        return Answer::new(Outcome::Skipped, None, &Response::allow(uid).with_warnings(warnings));
    }
    let invalid = |policy: &NamespacePolicy| policy.invalid_mode().map(ToString::to_string);
    if let Some(problem) = invalid(&policy).filter(|now| before.as_ref().and_then(invalid).as_ref() != Some(now)) {
        let message = Line::new(format!("label {MODE_LABEL}: {problem}"));
        return Answer::new(Outcome::Denied, None, &Response::deny(uid, message));
    }
    let mode = state.mode(&policy);
    if state.is_excluded(name) {
        warnings.push(Line::new(format!("muslin: namespace {name} is excluded, whatever its labels")));
    } else {
        let mut notes = Vec::new();
        let profile = state.namespace_profile(&policy, &mut notes);
        warnings.extend(notes.into_iter().map(Line::new));
        if before.is_some() && mode != Mode::Off {
            warnings.extend(preview(state, &[(name.to_owned(), mode, profile)], None, deadline).await);
        }
    }
    Answer::new(Outcome::Unchanged, Some(mode), &Response::allow(uid).with_warnings(warnings))
}

/// Returns a warning if [`SELF_LABEL`] is new on a namespace that is not muslin's. The label is not denied: a muslin that moves to
/// another namespace needs it there before the first replica runs.
fn self_warning(
    state: &State,
    request: &Request<'_, Namespace<'_>>,
    namespace: &Namespace<'_>,
    name: &str,
) -> Option<Line> {
    let is_new = namespace.is_self() && !request.old_object.as_ref().is_some_and(Namespace::is_self);
    let is_own = state.settings.own_namespace.as_deref() == Some(name);
    (is_new && !is_own).then(|| {
        Line::new(format!(
            "muslin: label {SELF_LABEL} excludes namespace {name}; it is meant for muslin's own namespace"
        ))
    })
}

/// Returns a warning for each key that is new and that nothing reads.
fn unread_warnings(state: &State, request: &Request<'_, Namespace<'_>>, namespace: &Namespace<'_>) -> Vec<Line> {
    let before = request.old_object.as_ref().map(Namespace::unread_keys).unwrap_or_default();
    let unread = namespace.unread_keys().into_iter().filter(|key| !before.contains(key));
    let mut warnings: Vec<Line> = unread
        .map(|key| {
            let (change, reason) = unread_key_texts(&key);
            warning(&[], &change, &reason, UNREAD_KEY)
        })
        .collect();
    let before = request.old_object.as_ref().and_then(Namespace::self_value);
    if let Some(value) = namespace.self_value().filter(|value| *value != "true" && before != Some(*value)) {
        let reason = format!("nothing knows the value `{}` of {SELF_LABEL}", cut(value, VALUE_MAX));
        let change = format!("write {SELF_LABEL}: \"true\", or remove it");
        warnings.push(warning(&[], &change, &reason, UNREAD_KEY));
    }
    let page = state.settings.docs_url.as_ref().filter(|_| !warnings.is_empty());
    warnings.extend(page.map(|docs| page_warning(docs, UNREAD_KEY)));
    warnings
}
