//! What is answered about a pod that is created: how it is mended, and whether it may be, where a namespace enforces. Must not know
//! of HTTP.

use tokio::time::Instant;

use crate::plan::{self, Skip};
use crate::pod::{Metadata, Pod};
use crate::policy::{Level, Mode, NamespacePolicy};
use crate::rules::Finding;

use crate::admission::decision::{self, Decision, Question, Repeat};
use crate::admission::imprint::Recognised;
use crate::admission::metrics::Outcome;
use crate::admission::review::{POD_REVIEW, Request, Review, Verdict};
use crate::admission::webhook::{Answered, Inner};
use crate::cluster::PodImages;

/// How many findings a denial names; the rest is counted.
const DENIALS_MAX: usize = 5;

impl Inner {
    /// The pod is mended and its author told, as far as its namespace's mode goes.
    pub(in crate::admission) async fn mutate(&self, request: &Request<'_, Pod<'_>>, deadline: Instant) -> Answered {
        let uid = &*request.uid;
        let Some(pod) = request.object.as_ref().filter(|_| request.creates_a_pod()) else {
            return Answered::skipped(uid);
        };
        let namespace = namespace(request, pod);
        if self.is_excluded(namespace) {
            return Answered::skipped(uid);
        }
        let policy = match self.policy(namespace, deadline).await {
            Ok(policy) => policy,
            Err(why) => return left_alone(uid, namespace, &why),
        };
        let answers = self.ask(pod, namespace, policy.mode(self.settings.default_mode), deadline).await;
        // What is made of what strangers' images hold is inside, too.
        self.guarded(
            uid,
            || self.decide(uid, pod, &answers, namespace, &policy),
            || {
                let warning = "muslin: muslin failed on this pod and left it unchanged; please report it".to_owned();
                Verdict::default().with_warnings([warning])
            },
        )
    }

    /// Decides about the pod, and writes the answer.
    pub(in crate::admission) fn decide(
        &self,
        uid: &str,
        pod: &Pod<'_>,
        answers: &PodImages,
        namespace: &str,
        policy: &NamespacePolicy,
    ) -> Answered {
        let mode = policy.mode(self.settings.default_mode);
        let (fingerprints, mut notes) = answers.fingerprints(pod);
        if let Some(invalid) = policy.invalid_mode() {
            notes.push(format!("muslin: label muslin.dev/mode of namespace {namespace}: {invalid}"));
        }
        let profiles = self.settings.profiles.edition();
        let chosen = self.chosen(policy, &mut notes);
        let profile = self.profile(&chosen, pod);
        let context = self.context(namespace, mode, &profile);
        let question = Question::new(pod, &fingerprints, &context, &notes);
        let (decision, is_repeated) =
            self.memory.recall(question, || match (self.planner)(pod, fingerprints, &context) {
                Ok(plan) => Decision::of(&plan, mode, notes, &self.metrics),
                Err(skip) => Decision::skipped(skip),
            });
        let repeat = Repeat { namespace: namespace.into(), policy: policy.clone(), profiles, profile, decision };
        let answered = self.told(uid, pod.name().unwrap_or_default(), &repeat);
        Answered { repeat: Some(repeat).filter(|_| is_repeated && chosen.is_for_all()), ..answered }
    }

    /// Counts and logs a decision, and writes the answer.
    fn told(
        &self,
        uid: &str,
        pod: &str,
        Repeat { namespace, policy, profiles: _, profile, decision }: &Repeat,
    ) -> Answered {
        let mode = policy.mode(self.settings.default_mode);
        for counter in &decision.counters {
            counter.inc();
        }
        if decision.outcome == Outcome::Changed {
            tracing::info!(
                uid,
                namespace,
                pod,
                mode = mode.name(),
                profile = profile.name,
                resolvers = decision.resolvers,
                injected = decision.injected,
                "changed a pod"
            );
        }
        let answer = decision.verdict.answer(uid);
        Answered { outcome: decision.outcome, mode: Some(mode), answer, repeat: None }
    }

    /// The answer to a review of a pod that is the same as one before but for its name, if all else that decides is the same, too.
    /// What is known of images can change at any time.
    pub(in crate::admission) fn repeated(&self, review: &Recognised<'_, Repeat>) -> Option<Answered> {
        if self.settings.inspection.is_some() {
            return None;
        }
        review.memo(|repeat, uid, pod| {
            let is_same = self.namespaces.known(&repeat.namespace).as_ref() == Some(&repeat.policy)
                && self.settings.profiles.are_as_in(&repeat.profiles);
            is_same.then(|| self.told(uid, pod, repeat))
        })?
    }

    /// Whoever asked this asks it again, for other pods of that template: then less of it is read.
    pub(in crate::admission) fn learn(&self, review: &[u8], request: &Request<'_, Pod<'_>>) {
        let metadata = request.object.as_ref().and_then(|pod| pod.metadata.as_ref());
        let Some(Metadata { name, generate_name, .. }) = metadata else { return };
        // The uid and the name that is logged, in this order; then what else is not judged.
        let names = [name, generate_name, &request.name].map(Option::as_deref);
        let own: Vec<&str> = [Some(&*request.uid)].into_iter().chain(names).flatten().collect();
        self.imprints.learn(review, &POD_REVIEW, &own, |excerpt| {
            Review::<Pod<'_>>::read(excerpt.as_bytes()).is_ok_and(|excerpt| says_the_same(request, &excerpt))
        });
    }

    /// The pod, as all webhooks have left it, is refused if something is wrong with it that its namespace does not take. What cannot
    /// be found out is refused as well: the namespace asks for that.
    pub(in crate::admission) async fn enforce(&self, request: &Request<'_, Pod<'_>>, deadline: Instant) -> Answered {
        let uid = &*request.uid;
        let Some(pod) = request.object.as_ref().filter(|_| request.creates_a_pod()) else {
            return Answered::skipped(uid);
        };
        let namespace = namespace(request, pod);
        if self.is_excluded(namespace) {
            return Answered::skipped(uid);
        }
        let policy = match self.enforced_policy(namespace, deadline).await {
            Ok(policy) => policy,
            Err(why) => return refused(uid, namespace, &why),
        };
        let mode = policy.mode(self.settings.default_mode);
        if mode != Mode::Enforce {
            return Answered::new(uid, Outcome::Skipped, Some(mode), &Verdict::default());
        }
        let answers = self.ask(pod, namespace, mode, deadline).await;
        self.guarded(
            uid,
            || {
                let (fingerprints, _) = answers.fingerprints(pod);
                // What is to be said of the profile was said when the pod was mended.
                let profile = self.profile(&self.chosen(&policy, &mut Vec::new()), pod);
                let left = plan::findings_as_is(pod, fingerprints, &self.context(namespace, mode, &profile));
                match denial(namespace, left) {
                    Some(message) => {
                        tracing::info!(uid, namespace, pod = pod.name().unwrap_or_default(), message, "denied a pod");
                        Answered::new(uid, Outcome::Denied, Some(mode), &Verdict::default().denied(message))
                    }
                    None => Answered::new(uid, Outcome::Unchanged, Some(mode), &Verdict::default()),
                }
            },
            || Verdict::default().denied(unenforceable(namespace, "muslin failed on this pod; please report it")),
        )
    }

    /// The API server calls because the namespace enforces by its labels as the API server knows them. Where the watch knows others
    /// one of the two is behind, and the namespace itself tells.
    async fn enforced_policy(&self, namespace: &str, deadline: Instant) -> Result<NamespacePolicy, String> {
        let known = self.policy(namespace, deadline).await?;
        if known.mode(self.settings.default_mode) == Mode::Enforce {
            return Ok(known);
        }
        match tokio::time::timeout_at(deadline, self.namespaces.fetch(namespace)).await {
            Ok(policy) => policy.map_err(|error| error.to_string()),
            Err(_) => Err("no answer from the API server in time".to_owned()),
        }
    }
}

/// Whether all that is read of two requests is the same.
fn says_the_same(one: &Request<'_, Pod<'_>>, other: &Request<'_, Pod<'_>>) -> bool {
    let (Some(pod), Some(other_pod)) = (&one.object, &other.object) else { return false };
    one.creates_a_pod()
        && other.creates_a_pod()
        && (&one.uid, &one.name, &one.namespace) == (&other.uid, &other.name, &other.namespace)
        && decision::is_same(pod, other_pod)
        && (pod.name(), pod.namespace(), pod.labels()) == (other_pod.name(), other_pod.namespace(), other_pod.labels())
}

/// The namespace of a request; the object's own may be empty.
fn namespace<'r>(request: &'r Request<'_, Pod<'_>>, pod: &'r Pod<'_>) -> &'r str {
    request.namespace.as_deref().or(pod.namespace()).unwrap_or("default")
}

fn left_alone(uid: &str, namespace: &str, why: &str) -> Answered {
    tracing::warn!(uid, namespace, why, "left a pod alone: its namespace is not known");
    let warning = "muslin: the pod's namespace is not known yet, so the pod was left unchanged".to_owned();
    Answered::new(uid, Outcome::Failed, None, &Verdict::default().with_warnings([warning]))
}

fn refused(uid: &str, namespace: &str, why: &str) -> Answered {
    tracing::warn!(uid, namespace, why, "denied a pod: its namespace is not known");
    Answered::new(uid, Outcome::Failed, None, &Verdict::default().denied(unenforceable(namespace, why)))
}

fn unenforceable(namespace: &str, why: &str) -> String {
    format!("muslin cannot tell whether this pod may run in namespace {namespace}, whose mode is enforce: {why}")
}

/// Why a pod is refused in a namespace that enforces: what is wrong, with which container, and how to mend it.
pub(in crate::admission) fn denial(namespace: &str, left: Result<Vec<Finding>, Skip>) -> Option<String> {
    let mut denials = left.unwrap_or_default();
    denials.retain(|finding| finding.level >= Level::Deny);
    if denials.is_empty() {
        return None;
    }
    let more = denials.len().saturating_sub(DENIALS_MAX);
    let told: Vec<String> = denials.iter().take(DENIALS_MAX).map(told).collect();
    let more = if more > 0 { format!("; and {more} more findings") } else { String::new() };
    Some(format!("muslin enforces DNS settings in namespace {namespace}: {}{more}", told.join("; ")))
}

fn told(Finding { rule, level: _, container, message, help, path: _ }: &Finding) -> String {
    let container = container.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{}: {container}{message} (fix: {help})", rule.slug)
}
