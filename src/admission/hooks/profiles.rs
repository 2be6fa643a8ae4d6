//! The hook for ResolverProfiles: denies invalid ones, and previews what the pods of the namespaces that use them would get. Must not
//! know of HTTP.

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::admission::answer::Answer;
use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Response};
use crate::admission::state::{Effort, State};
use crate::cluster::{ProfileProblem, ResolverProfile, SelectedProfile, rollout_note, unrecorded_settings};
use crate::policy::{Mode, NamespacePolicy};
use crate::text::Line;

use super::preview::preview;

/// The most problems that a denial names.
const PROBLEMS_MAX: usize = 5;

/// Denies an invalid profile, and previews what a valid one changes.
pub(in crate::admission) async fn check_profile(
    state: &State,
    request: &Request<'_, &RawValue>,
    effort: &mut Effort<'_>,
    deadline: Instant,
) -> Answer {
    let uid = &*request.uid;
    let Some(object) = request.object.filter(|_| request.writes_a_profile()) else { return Answer::skipped(uid) };
    let parse = |object: &RawValue| serde_json::from_str::<ResolverProfile>(object.get());
    let read = state.work(uid, effort, deadline, || {
        let before = request.old_object.and_then(|before| parse(before).ok());
        parse(object).map(|resource| (resource, before))
    });
    let (resource, before) = match read.await {
        Ok(Ok(resource)) => resource,
        Err(undone) => {
            let message = Line::new(format!("muslin cannot read the profile: {undone}"));
            return Answer::new(Outcome::Failed, None, &Response::deny(uid, message));
        }
        // The API server has checked it against the schema, so muslin and the resource's definition are of different releases.
        Ok(Err(error)) => {
            let warning = Line::new(format!("muslin: this release of muslin cannot read the profile: {error}"));
            return Answer::new(Outcome::Failed, None, &Response::allow(uid).with_warnings([warning]));
        }
    };
    let name = resource.metadata.name.clone().unwrap_or_default();
    let knows = state.settings.profiles.knows_cluster_dns();
    let profile = match state.catch(uid, || SelectedProfile::from_resource(&resource, knows)) {
        Some(Ok(profile)) => profile,
        Some(Err(problems)) => {
            return Answer::new(Outcome::Denied, None, &Response::deny(uid, joined(&problems)));
        }
        None => {
            let warning = Line::new("muslin: muslin failed on this profile, which is not used; please report it");
            return Answer::new(Outcome::Failed, None, &Response::allow(uid).with_warnings([warning]));
        }
    };
    let already = before.as_ref().and_then(|before| {
        let already = state.catch(uid, || SelectedProfile::from_resource(before, knows).ok())?;
        already.map(|already| (before, already))
    });
    if let Some(problem) = already.as_ref().and_then(|(before, _)| unrecorded_settings(before, &resource)) {
        return Answer::new(Outcome::Denied, None, &Response::deny(uid, joined([&problem])));
    }
    let already = already.as_ref().map(|(_, already)| already);
    let already = already.map_or(&[][..], SelectedProfile::unaccepted);
    let added: Vec<&ProfileProblem> = profile.unaccepted().iter().filter(|risk| !already.contains(risk)).collect();
    if !added.is_empty() {
        return Answer::new(Outcome::Denied, None, &Response::deny(uid, joined(added)));
    }
    let rollout = state.catch(uid, || rollout_note(before.as_ref(), &resource)).flatten();
    let mut warnings: Vec<Line> = rollout.map(|note| Line::new(format!("muslin: {note}"))).into_iter().collect();
    if !profile.unaccepted().is_empty() {
        let risks = joined(profile.unaccepted());
        warnings.push(Line::new(format!("muslin: the next release will not use this profile: {risks}")));
    }
    warnings.extend(preview(state, &users(state, &name, &profile), Some(&profile), deadline).await);
    Answer::new(Outcome::Unchanged, None, &Response::allow(uid).with_warnings(warnings))
}

/// Returns the namespaces whose pods the profile would change, each with its mode and the profile that it would have.
fn users(state: &State, name: &str, profile: &SelectedProfile) -> Vec<(String, Mode, SelectedProfile)> {
    let default = &state.settings.profile;
    let using = state.namespaces.using(name, default, profile.namespaces()).into_iter();
    let user = |(namespace, policy): (Box<str>, NamespacePolicy)| {
        let is_named = policy.profile().unwrap_or(default) == name;
        let own = if is_named { profile.clone() } else { state.namespace_profile(&policy, &mut Vec::new()) };
        (namespace.to_string(), state.mode(&policy), own)
    };
    let users = using.map(user);
    users.filter(|(namespace, mode, _)| *mode != Mode::Off && !state.is_excluded(namespace)).collect()
}

/// Joins the first problems into one line.
fn joined<'p>(problems: impl IntoIterator<Item = &'p ProfileProblem>) -> Line {
    let named: Vec<String> = problems.into_iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
    Line::new(named.join("; "))
}
