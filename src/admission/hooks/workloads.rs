//! The hook for objects that make pods: returns the warnings that creating the pods would give. Changes and denies nothing. Must not
//! know of HTTP.

use tokio::time::Instant;

use crate::admission::answer::Answer;
use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Response};
use crate::admission::state::{Effort, State};
use crate::plan::{Context, Plan, WARNING_MAX, plan};
use crate::pod::workload::Workload;
use crate::policy::{Mode, PodStages};
use crate::text::Line;

/// Warns about the pods of a new or changed template.
pub(in crate::admission) async fn warn(
    state: &State,
    request: &Request<'_, Workload<'_>>,
    effort: &mut Effort<'_>,
    deadline: Instant,
) -> Answer {
    let uid = &*request.uid;
    let workload = request.object.as_ref().filter(|_| request.writes());
    let Some((workload, pod)) = workload.and_then(|workload| Some((workload, workload.template()?))) else {
        return Answer::skipped(uid);
    };
    let unread: Vec<_> = workload.unread_keys().collect();
    let namespace = request.namespace.as_deref().unwrap_or("default");
    let is_known = |before: &Workload<'_>| {
        before.template().is_some_and(|before| before.equals_for_plan(pod))
            && unread.iter().all(|key| before.unread_keys().any(|before| before == *key))
    };
    if state.is_excluded(namespace) || request.old_object.as_ref().is_some_and(is_known) {
        return Answer::skipped(uid);
    }
    // Skipping is safe: the pods are reviewed again on creation.
    let Ok(policy) = state.policy(namespace, deadline).await else { return Answer::skipped(uid) };
    let mode = state.mode(&policy);
    let images = state.images(pod, namespace, mode, effort, deadline).await;
    let answer = || {
        let (fingerprints, mut notes) = images.fingerprints(pod);
        // A template is not drawn: its pods are.
        let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
        let profile = state.pod_profile(namespace, &state.namespace_profile(&policy, &mut notes), None, pod, &stages);
        let broken = state.broken_domains();
        let context = Context {
            holder_ignores: workload.ignores(),
            holder_unread: &unread,
            ..state.context(namespace, mode, &profile, &broken)
        };
        match plan(pod, fingerprints, &context) {
            Ok(plan) => {
                Answer::new(Outcome::Unchanged, Some(mode), &response(state, uid, &plan, mode, namespace, notes))
            }
            Err(_) => Answer::new(Outcome::Skipped, Some(mode), &Response::allow(uid)),
        }
    };
    state.work(uid, effort, deadline, answer).await.unwrap_or_else(|undone| {
        tracing::warn!(uid, namespace, %undone, "did not check a workload");
        let warning =
            (mode >= Mode::Warn).then(|| Line::new(format!("muslin: the workload was not checked: {undone}")));
        Answer::new(Outcome::Failed, Some(mode), &Response::allow(uid).with_warnings(warning))
    })
}

fn response<'a>(
    state: &State,
    uid: &'a str,
    plan: &Plan,
    mode: Mode,
    namespace: &str,
    notes: Vec<String>,
) -> Response<'a> {
    let mut response = Response::allow(uid);
    if mode >= Mode::Warn {
        let denial = Some(plan).filter(|_| mode == Mode::Enforce).and_then(|plan| denial_warning(plan, namespace));
        let notes = notes.into_iter().map(|note| Line::cut(note, WARNING_MAX)).collect();
        let page = state.settings.docs_url.as_ref().and_then(|docs| plan.page_warning(docs));
        response = response.with_warnings(plan.warnings_of_workload(denial, notes)).with_warnings(page);
    }
    plan.audit().fold(response, |response, (key, value)| response.with_audit(key, value))
}

/// Returns a warning that the pods will be denied, if they will.
fn denial_warning(plan: &Plan, namespace: &str) -> Option<Line> {
    let mut rules: Vec<&str> = plan.denials().map(|finding| finding.rule.slug).collect();
    rules.dedup();
    let line = || format!("muslin: its pods will be denied, as namespace {namespace} enforces: {}", rules.join(", "));
    (!rules.is_empty()).then(|| Line::cut(line(), WARNING_MAX))
}
