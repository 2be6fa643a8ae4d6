//! The hook for namespaces: denies invalid modes, warns of missing profiles, and previews what the running pods would get. Must not
//! know of HTTP.

use serde::Deserialize;
use tokio::time::Instant;

use crate::admission::answer::Answer;
use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Response};
use crate::admission::state::{Effort, State};
use crate::pod::Text;
use crate::policy::{MODE_LABEL, Mode, NamespacePolicy, SELF_LABEL};
use crate::text::Line;

use super::preview::preview;

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
    labels: Option<Labels<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Labels<'a> {
    #[serde(borrow, default, rename = "muslin.dev/mode")]
    mode: Option<Text<'a>>,
    #[serde(borrow, default, rename = "muslin.dev/profile")]
    profile: Option<Text<'a>>,
    /// [`SELF_LABEL`].
    #[serde(borrow, default, rename = "muslin.dev/self")]
    is_self: Option<Text<'a>>,
}

// === impl Namespace ===

impl Namespace<'_> {
    fn name(&self) -> Option<&str> {
        self.metadata.as_ref()?.name.as_deref()
    }

    fn policy(&self) -> NamespacePolicy {
        let (mode, profile) = self
            .labels()
            .map_or((None, None), |Labels { mode, profile, is_self: _ }| (mode.as_deref(), profile.as_deref()));
        NamespacePolicy::from_labels(mode, profile)
    }

    fn labels(&self) -> Option<&Labels<'_>> {
        self.metadata.as_ref()?.labels.as_ref()
    }

    /// Returns whether the webhook configurations exclude the namespace by [`SELF_LABEL`].
    fn is_self(&self) -> bool {
        self.labels().is_some_and(|labels| labels.is_self.as_deref() == Some("true"))
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
            warnings.extend(preview(state, &[(name.to_owned(), mode)], &profile, deadline).await);
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
