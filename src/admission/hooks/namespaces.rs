//! What is said to whoever labels a namespace: that a mode is none, that there is no such profile, and what the pods that run there
//! would get. Must not know of HTTP.

use serde::Deserialize;
use tokio::time::Instant;

use crate::pod::Text;
use crate::policy::{MODE_LABEL, Mode, NamespacePolicy};

use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Verdict};
use crate::admission::webhook::{Answered, Inner};

/// The part of a namespace that matters.
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
    labels: Option<Labels<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Labels<'a> {
    #[serde(borrow, default, rename = "muslin.dev/mode")]
    mode: Option<Text<'a>>,
    #[serde(borrow, default, rename = "muslin.dev/profile")]
    profile: Option<Text<'a>>,
}

// === impl Namespace ===

impl Namespace<'_> {
    fn policy(&self) -> NamespacePolicy {
        let labels = self.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        let (mode, profile) =
            labels.map_or((None, None), |Labels { mode, profile }| (mode.as_deref(), profile.as_deref()));
        NamespacePolicy::from_labels(mode, profile)
    }
}

// === impl Inner ===

impl Inner {
    /// Refuses a label that is no mode, and tells what the labels would change.
    pub(in crate::admission) async fn label(
        &self,
        request: &Request<'_, Namespace<'_>>,
        deadline: Instant,
    ) -> Answered {
        let uid = &*request.uid;
        let Some(namespace) = request.object.as_ref().filter(|_| request.writes_a_namespace()) else {
            return Answered::skipped(uid);
        };
        let (policy, before) = (namespace.policy(), request.old_object.as_ref().map(Namespace::policy));
        // What was wrong before is no reason to refuse another change, and was told.
        if before.as_ref().unwrap_or(&NamespacePolicy::default()) == &policy {
            return Answered::skipped(uid);
        }
        let mode = policy.mode(self.settings.default_mode);
        let invalid = |policy: &NamespacePolicy| policy.invalid_mode().map(ToString::to_string);
        if let Some(problem) = invalid(&policy).filter(|now| before.as_ref().and_then(invalid).as_ref() != Some(now)) {
            let message = format!("label {MODE_LABEL}: {problem}");
            return Answered::new(uid, Outcome::Denied, None, &Verdict::default().denied(message));
        }
        let name = request.name.as_deref().filter(|name| !name.is_empty());
        let own = || namespace.metadata.as_ref().and_then(|metadata| metadata.name.as_deref());
        let name = name.or_else(own).unwrap_or_default();
        let mut warnings = Vec::new();
        if self.is_excluded(name) {
            warnings.push(format!("muslin: namespace {name} is left alone, whatever its labels"));
        } else {
            let chosen = self.chosen(&policy, &mut warnings);
            if before.is_some() && mode != Mode::Off {
                warnings.extend(self.preview(&[(name.to_owned(), mode)], &chosen, deadline).await);
            }
        }
        Answered::new(uid, Outcome::Unchanged, Some(mode), &Verdict::default().with_warnings(warnings))
    }
}
