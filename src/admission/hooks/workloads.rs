//! What is said to whoever applies what makes pods: the warnings that they would see, if they made the pods themselves. Nothing is
//! changed and nothing refused. Must not know of HTTP.

use tokio::time::Instant;

use crate::plan::{Context, Plan, WARNING_MAX, plan};
use crate::pod::workload::Workload;
use crate::policy::Mode;
use crate::text::one_line;

use crate::admission::decision::is_same;
use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Verdict};
use crate::admission::webhook::{Answered, Inner};

impl Inner {
    /// Warns of what the pods of a new or changed template will be.
    pub(in crate::admission) async fn warn(&self, request: &Request<'_, Workload<'_>>, deadline: Instant) -> Answered {
        let uid = &*request.uid;
        let template = |workload: &'_ Option<Workload<'_>>| workload.as_ref().and_then(Workload::template).is_some();
        let (Some(workload), true) = (&request.object, request.writes() && template(&request.object)) else {
            return Answered::skipped(uid);
        };
        let Some(pod) = workload.template() else { return Answered::skipped(uid) };
        let before = request.old_object.as_ref().and_then(Workload::template);
        let namespace = request.namespace.as_deref().unwrap_or("default");
        if self.is_excluded(namespace) || before.is_some_and(|before| is_same(before, pod)) {
            return Answered::skipped(uid);
        }
        // Who is told nothing misses nothing: the pods are looked at once more.
        let Ok(policy) = self.policy(namespace, deadline).await else { return Answered::skipped(uid) };
        let mode = policy.mode(self.settings.default_mode);
        let answers = self.ask(pod, namespace, mode, deadline).await;
        self.guarded(
            uid,
            || {
                let (fingerprints, mut notes) = answers.fingerprints(pod);
                let profile = self.profile(&self.chosen(&policy, &mut notes), pod);
                let holder_ignores = workload.ignores();
                let context = Context { holder_ignores, ..self.context(namespace, mode, &profile) };
                match plan(pod, fingerprints, &context) {
                    Ok(plan) => {
                        Answered::new(uid, Outcome::Unchanged, Some(mode), &verdict(&plan, mode, namespace, notes))
                    }
                    Err(_) => Answered::new(uid, Outcome::Skipped, Some(mode), &Verdict::default()),
                }
            },
            Verdict::default,
        )
    }
}

fn verdict(plan: &Plan, mode: Mode, namespace: &str, notes: Vec<String>) -> Verdict {
    let mut verdict = Verdict::default();
    if mode >= Mode::Warn {
        let denied = Some(plan).filter(|_| mode == Mode::Enforce).and_then(|plan| denied(plan, namespace));
        let notes = notes.into_iter().map(|note| one_line(&note, WARNING_MAX).into_owned());
        verdict = verdict.with_warnings(plan.warnings_of_workload(denied.into_iter().chain(notes).collect()));
    }
    plan.audit().fold(verdict, |verdict, (key, value)| verdict.with_audit(key, value))
}

/// That the pods will be refused, if they will.
fn denied(plan: &Plan, namespace: &str) -> Option<String> {
    let mut rules: Vec<&str> = plan.denials().map(|finding| finding.rule.slug).collect();
    rules.dedup();
    let line = || format!("muslin: its pods will be denied, as namespace {namespace} enforces: {}", rules.join(", "));
    (!rules.is_empty()).then(|| one_line(&line(), WARNING_MAX).into_owned())
}
