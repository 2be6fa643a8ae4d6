//! The hooks for pods: `mutate` changes them on creation, `enforce` denies them in namespaces of mode `enforce`, also when an update
//! starts other containers. Must not know of HTTP.

use std::collections::HashSet;
use std::sync::Arc;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use tokio::time::Instant;

use crate::admission::answer::Answer;
use crate::admission::metrics::{Metrics, Outcome};
use crate::admission::review::{Request, Response};
use crate::admission::state::{Effort, PolicyError, State, Undone};
use crate::budget;
use crate::cluster::{PodImages, SelectedProfile};
use crate::image::Fingerprint;
use crate::plan::{self, Context, Plan, Skip, WARNING_MAX};
use crate::pod::{DOCTOR_ANNOTATION, Pod, RunningPod};
use crate::policy::{Level, Mode, NamespacePolicy, PodStages, Profile, Stage};
use crate::rules::Finding;
use crate::text::Line;

/// The most findings that a denial names; the rest is counted.
const DENIALS_MAX: usize = 5;

/// Changes the pod and warns its author, as far as the namespace's mode allows.
pub(in crate::admission) async fn mutate(
    state: &State,
    request: &Request<'_, Pod<'_>>,
    effort: &mut Effort<'_>,
    deadline: Instant,
) -> Answer {
    let uid = &*request.uid;
    let Some(pod) = request.object.as_ref().filter(|_| request.creates_a_pod()) else { return Answer::skipped(uid) };
    let namespace = namespace_of(request, pod);
    if state.is_excluded(namespace) {
        return Answer::skipped(uid);
    }
    let policy = state.policy(namespace, deadline).await;
    if let Some(asked) = pod.annotations().doctor.as_deref().filter(|_| effort.is_dry_run) {
        return doctors_answer(uid, asked, policy.ok().map(|policy| state.mode(&policy)));
    }
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return unchanged_without_policy(uid, namespace, &error),
    };
    let mode = state.mode(&policy);
    if let Some(names) = state.settings.image_names.as_ref().filter(|_| !effort.is_dry_run) {
        names.note(pod);
    }
    let images = state.images(pod, namespace, mode, effort, deadline).await;
    let name = request.name.as_deref().filter(|name| !name.is_empty()).or(pod.own_name()).unwrap_or(uid);
    let plan_and_answer = || plan_and_answer(state, uid, name, pod, &images, namespace, &policy);
    match state.work(uid, effort, deadline, plan_and_answer).await {
        Ok(answer) => answer,
        Err(undone) => unchanged(uid, namespace, mode, &undone),
    }
}

/// Answers `muslin doctor`, whose pod is a dry run: the annotation gets muslin's version and the namespace's mode. Such a pod is never
/// stored, and gets nothing else, so that the call is proved in each mode.
fn doctors_answer(uid: &str, asked: &str, mode: Option<Mode>) -> Answer {
    let answer = format!("version={} mode={}", env!("CARGO_PKG_VERSION"), mode.map_or("unknown", Mode::name));
    let path = PointerBuf::from_tokens(["metadata", "annotations", DOCTOR_ANNOTATION]);
    // The API server calls again after other webhooks.
    let is_answered = asked == answer;
    let operation = PatchOperation::Add(AddOperation { path, value: answer.into() });
    let patch = Patch(if is_answered { Vec::new() } else { vec![operation] });
    Answer::new(Outcome::Skipped, mode, &Response::allow(uid).with_patch(&patch))
}

/// Plans the pod; logs and counts the plan, and returns it as an answer. `name` tells the pod from others of the namespace.
fn plan_and_answer(
    state: &State,
    uid: &str,
    name: &str,
    pod: &Pod<'_>,
    images: &PodImages,
    namespace: &str,
    policy: &NamespacePolicy,
) -> Answer {
    let mode = state.mode(policy);
    let (fingerprints, mut notes) = images.fingerprints(pod);
    if let Some(invalid) = policy.invalid_mode() {
        notes.push(format!("muslin: label muslin.dev/mode of namespace {namespace}: {invalid}"));
    }
    let chosen = state.namespace_profile(policy, &mut notes);
    let (plan, profile) = match plan_in_rollout(state, name, pod, fingerprints, namespace, mode, &chosen) {
        Ok(plan) => plan,
        Err(skip) => {
            let response = Response::allow(uid).with_audit("skipped", Line::new(skip.to_string()));
            return Answer::new(Outcome::Skipped, Some(mode), &response);
        }
    };
    if budget::check().is_err() {
        // The caller answers.
        return Answer::skipped(uid);
    }
    count(&state.metrics, &plan, namespace);
    let outcome = if plan.patch.is_empty() { Outcome::Unchanged } else { Outcome::Changed };
    if outcome == Outcome::Changed {
        tracing::info!(
            uid,
            namespace,
            pod = pod.name().unwrap_or_default(),
            mode = mode.name(),
            profile = profile.name,
            resolvers = &*plan.resolvers,
            injected = %plan.injected,
            "changed a pod"
        );
    }
    let mut response = Response::allow(uid).with_patch(&plan.patch);
    if mode >= Mode::Warn {
        let notes = notes.into_iter().map(|note| Line::cut(note, WARNING_MAX));
        let page = state.settings.docs_url.as_ref().and_then(|docs| plan.page_warning(docs));
        response = response.with_warnings(plan.warnings()).with_warnings(notes).with_warnings(page);
    }
    let response = plan.audit().fold(response, |response, (key, value)| response.with_audit(key, value));
    Answer::new(outcome, Some(mode), &response)
}

/// Plans the pod with the settings that it draws while a profile rolls out. Settings that are not promoted deny no pod: it gets the last
/// promoted ones instead, and the finding that denied it counts in the rollout.
fn plan_in_rollout(
    state: &State,
    name: &str,
    pod: &Pod<'_>,
    fingerprints: Vec<Fingerprint>,
    namespace: &str,
    mode: Mode,
    chosen: &SelectedProfile,
) -> Result<(Plan, Arc<Profile>), Skip> {
    let broken = state.broken_domains();
    let plan = |stages: PodStages<'_>, fingerprints| {
        let profile = state.pod_profile(namespace, chosen, None, pod, &stages);
        let record = stages.decided();
        let rollout = Some(&record).filter(|record| !record.is_empty());
        let context = Context { rollout, ..state.context(namespace, mode, &profile, &broken) };
        let planned = (state.planner)(pod, fingerprints, &context);
        planned.map(|plan| (plan, profile))
    };
    let stages = || PodStages::drawn(pod.annotations().rollout.as_deref(), namespace, name);
    let (drawn, profile) = plan(stages(), fingerprints.clone())?;
    let is_denied = |plan: &Plan| plan.denials().next().is_some();
    if mode == Mode::Enforce && drawn.rollout.label() == Some(Stage::Canary) && is_denied(&drawn) {
        let (stable, profile) = plan(stages().with(None, Stage::Stable), fingerprints)?;
        if !is_denied(&stable) {
            return Ok((stable, profile));
        }
    }
    Ok((drawn, profile))
}

/// Counts the plan's findings, and the options that it injects. An earlier pass has counted the options of a pod that stays as it is.
fn count(metrics: &Metrics, plan: &Plan, namespace: &str) {
    metrics.count_findings(&plan.findings, namespace);
    if !plan.patch.is_empty() {
        plan.injected.options.iter().for_each(|injected| metrics.count_injected(&injected.option));
    }
}

/// Denies the pod, as all webhooks have left it, for findings that its namespace does not allow. If that cannot be decided, the pod
/// is denied as well: the namespace asks for that. An update is denied only for findings that the pod did not have before.
pub(in crate::admission) async fn enforce(
    state: &State,
    request: &Request<'_, RunningPod<'_>>,
    effort: &mut Effort<'_>,
    deadline: Instant,
) -> Answer {
    let uid = &*request.uid;
    let Some(RunningPod(pod)) = request.object.as_ref().filter(|_| request.writes_a_pod()) else {
        return Answer::skipped(uid);
    };
    let before = request.old_object.as_ref().map(|RunningPod(before)| before);
    let namespace = namespace_of(request, pod);
    if state.is_excluded(namespace) {
        return Answer::skipped(uid);
    }
    let policy = match state.enforced_policy(namespace, deadline).await {
        Ok(policy) => policy,
        Err(error) => return denied_without_policy(uid, namespace, &error),
    };
    let mode = state.mode(&policy);
    if mode != Mode::Enforce {
        return Answer::new(Outcome::Skipped, Some(mode), &Response::allow(uid));
    }
    let images = state.images(pod, namespace, mode, effort, deadline).await;
    let judge = || {
        // The configuration of the webhook in the manifests sends no such update.
        if before.is_some_and(|before| pod.runs_the_images_of(before)) {
            return None;
        }
        // `mutate` has already shown the notes on the profile.
        let stages = PodStages::recorded(pod.annotations().rollout.as_deref());
        let chosen = state.namespace_profile(&policy, &mut Vec::new());
        let profile = state.pod_profile(namespace, &chosen, None, pod, &stages);
        let mut denials = denials(state, pod, &images, namespace, &profile);
        if let Some(before) = before.filter(|_| !denials.is_empty()) {
            let earlier = self::denials(state, before, &state.known_images(before, namespace), namespace, &profile);
            let earlier: HashSet<_> = earlier.iter().map(Finding::case).collect();
            denials.retain(|denial| !earlier.contains(&denial.case()));
        }
        denial(namespace, &denials)
    };
    match state.work(uid, effort, deadline, judge).await {
        Ok(None) => Answer::new(Outcome::Unchanged, Some(mode), &Response::allow(uid)),
        Ok(Some(message)) => {
            tracing::info!(uid, namespace, pod = pod.name().unwrap_or_default(), denial = &*message, "denied a pod");
            Answer::new(Outcome::Denied, Some(mode), &Response::deny(uid, message))
        }
        Err(undone) => {
            tracing::warn!(uid, namespace, %undone, "denied a pod");
            Answer::new(Outcome::Failed, Some(mode), &Response::deny(uid, undecided(namespace, &undone.to_string())))
        }
    }
}

/// Returns the findings for which an enforcing namespace denies the pod; none if muslin skips it.
fn denials(state: &State, pod: &Pod<'_>, images: &PodImages, namespace: &str, profile: &Profile) -> Vec<Finding> {
    let (fingerprints, _) = images.fingerprints(pod);
    let broken = state.broken_domains();
    let found = plan::findings_as_is(pod, fingerprints, &state.context(namespace, Mode::Enforce, profile, &broken));
    let mut denials = found.unwrap_or_default();
    denials.retain(|finding| finding.level >= Level::Deny);
    denials
}

/// Returns the namespace of a request; the object's own may be empty.
fn namespace_of<'r, O>(request: &'r Request<'_, O>, pod: &'r Pod<'_>) -> &'r str {
    request.namespace.as_deref().or(pod.namespace()).unwrap_or("default")
}

fn unchanged(uid: &str, namespace: &str, mode: Mode, undone: &Undone) -> Answer {
    tracing::warn!(uid, namespace, %undone, "left a pod unchanged");
    let warning = (mode >= Mode::Warn).then(|| Line::new(format!("muslin: the pod was left unchanged: {undone}")));
    Answer::new(Outcome::Failed, Some(mode), &Response::allow(uid).with_warnings(warning))
}

fn unchanged_without_policy(uid: &str, namespace: &str, error: &PolicyError) -> Answer {
    tracing::warn!(uid, namespace, %error, "left a pod unchanged: its namespace is not known");
    let warning = Line::new("muslin: the pod's namespace is not known yet, so the pod was left unchanged");
    Answer::new(Outcome::Failed, None, &Response::allow(uid).with_warnings([warning]))
}

fn denied_without_policy(uid: &str, namespace: &str, error: &PolicyError) -> Answer {
    tracing::warn!(uid, namespace, %error, "denied a pod: its namespace is not known");
    Answer::new(Outcome::Failed, None, &Response::deny(uid, undecided(namespace, &error.to_string())))
}

fn undecided(namespace: &str, why: &str) -> Line {
    Line::new(format!(
        "muslin cannot decide whether this pod may run in namespace {namespace}, whose mode is enforce: {why}"
    ))
}

/// Returns the message of a denial, if there is reason for one: each finding, its container and its fix.
fn denial(namespace: &str, denials: &[Finding]) -> Option<Line> {
    if denials.is_empty() {
        return None;
    }
    let more = denials.len().saturating_sub(DENIALS_MAX);
    let named: Vec<String> = denials.iter().take(DENIALS_MAX).map(finding_with_fix).collect();
    let more = if more > 0 { format!("; and {more} more findings") } else { String::new() };
    Some(Line::new(format!("muslin enforces DNS settings in namespace {namespace}: {}{more}", named.join("; "))))
}

fn finding_with_fix(Finding { rule, level: _, container, message, change: _, help, path: _ }: &Finding) -> String {
    let container = container.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{}: {container}{message} (fix: {help})", rule.slug)
}
