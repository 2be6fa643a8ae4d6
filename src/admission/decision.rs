//! What is decided about one pod, and a memory of it. Pods of one template are decided alike, and most pods that a cluster
//! creates are of a template that made others before: replicas, jobs, restarts. Must not know of HTTP.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::cluster::Edition;
use crate::image::{Evidence, Fingerprint};
use crate::plan::{Context, Plan, Skip};
use crate::pod::Pod;
use crate::policy::{Mode, NamespacePolicy, Profile};
use crate::resolver::{Resolver, known_options};

use super::Metrics;
use super::metrics::Outcome;
use super::review::{Verdict, Written};

/// How many bytes the memory may hold: some hundred templates.
const MEMORY_MAX: u64 = 1024 * 1024;

/// How many decisions that is, roughly; what the memory is laid out for.
const DECISIONS_EXPECTED: usize = 256;

/// What is decided about a pod: the answer but for the uid, and what is counted and logged of it.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    pub(super) verdict: Written,
    /// What it counts to: the rules that fired, mended or not, and the options that were injected.
    pub(super) counters: Vec<Counter>,
    /// Each container's resolver, as in the pod's annotation.
    pub(super) resolvers: String,
    /// What was injected, as in the pod's annotation.
    pub(super) injected: String,
}

/// What was decided of a pod, and by what, for the next one that is the same but for its name.
#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) namespace: Box<str>,
    pub(super) policy: NamespacePolicy,
    pub(super) profiles: Edition,
    pub(super) profile: Arc<Profile>,
    pub(super) decision: Arc<Decision>,
}

/// All that a decision depends on, written out: equal keys are equal questions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question(Box<[u8]>);

/// The decisions of late, as many as fit. Shared by all requests.
pub(super) struct Memory(Cache<Question, Arc<Decision>, Weight>);

/// A hasher that keeps what it is fed. What derives `Hash` feeds every part with its length or an end mark, so that different
/// values never write the same bytes.
#[derive(Default)]
struct Transcript(Vec<u8>);

#[derive(Clone)]
struct Weight;

// === impl Decision ===

impl Decision {
    /// A pod that is left alone.
    pub(super) fn skipped(skip: Skip) -> Self {
        Self {
            outcome: Outcome::Skipped,
            verdict: Verdict::default().with_audit("skipped", skip.to_string()).written(),
            counters: Vec::new(),
            resolvers: String::new(),
            injected: String::new(),
        }
    }

    /// What a plan comes to. `notes` are told to the author before its own warnings.
    pub(super) fn of(plan: &Plan, mode: Mode, notes: Vec<String>, metrics: &Metrics) -> Self {
        let mut verdict = Verdict::default().with_patch(&plan.patch);
        if mode >= Mode::Warn {
            verdict = verdict.with_warnings(notes).with_warnings(plan.warnings());
        }
        for (key, value) in plan.audit() {
            verdict = verdict.with_audit(key, value);
        }
        let findings = plan.findings.iter().map(|planned| metrics.found(planned.finding.rule, planned.finding.level));
        let outcome = if plan.patch.is_empty() { Outcome::Unchanged } else { Outcome::Changed };
        // What an earlier pass injected was counted then.
        let claims = plan.injected.options.iter().filter(|_| outcome == Outcome::Changed);
        let options = claims.map(|claim| metrics.injected(option_name(&claim.option)));
        Self {
            outcome,
            verdict: verdict.written(),
            counters: findings.chain(options).collect(),
            resolvers: plan.resolvers.clone(),
            injected: plan.injected.to_string(),
        }
    }
}

/// The name of an option, of a bounded number of them.
fn option_name(text: &str) -> &'static str {
    let name = text.split(':').next().unwrap_or_default();
    known_options().find(|known| *known == name).unwrap_or("other")
}

// === impl Question ===

impl Question {
    /// What there is to decide. `notes` are part of the answer, and so of the question.
    pub(super) fn new(pod: &Pod<'_>, fingerprints: &[Fingerprint], context: &Context<'_>, notes: &[String]) -> Self {
        let mut transcript = Transcript::default();
        pod.hash_content(&mut transcript);
        for Fingerprint { resolver, evidence, reason: _ } in fingerprints {
            <(Resolver, Evidence)>::hash(&(*resolver, *evidence), &mut transcript);
        }
        let Context { namespace, cluster_domain, mode, profile, holder_ignores, trusts_annotation, texts_from: _ } =
            context;
        (namespace, cluster_domain, mode, profile, holder_ignores, trusts_annotation, notes).hash(&mut transcript);
        Self(transcript.0.into())
    }
}

/// Whether two pods, or templates of pods, ask for the same decision.
pub(super) fn is_same(one: &Pod<'_>, other: &Pod<'_>) -> bool {
    let transcript = |pod: &Pod<'_>| {
        let mut transcript = Transcript::default();
        pod.hash_content(&mut transcript);
        transcript.0
    };
    transcript(one) == transcript(other)
}

impl Hasher for Transcript {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A transcript is compared, not summed up.
    fn finish(&self) -> u64 {
        0
    }
}

// === impl Memory ===

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::with_weighter(DECISIONS_EXPECTED, MEMORY_MAX, Weight))
    }
}

impl Memory {
    /// The decision of this question: remembered, or made and kept; and whether it was remembered.
    pub(super) fn recall(&self, question: Question, decide: impl FnOnce() -> Decision) -> (Arc<Decision>, bool) {
        if let Some(decision) = self.0.get(&question) {
            return (decision, true);
        }
        let decision = Arc::new(decide());
        self.0.insert(question, Arc::clone(&decision));
        (decision, false)
    }
}

impl Weighter<Question, Arc<Decision>> for Weight {
    fn weight(&self, question: &Question, decision: &Arc<Decision>) -> u64 {
        let Decision { outcome: _, verdict, counters, resolvers, injected } = &**decision;
        let bytes = size_of::<Decision>()
            + question.0.len()
            + verdict.size()
            + size_of_val(&**counters)
            + resolvers.len()
            + injected.len();
        bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;

    fn question(pod: &str, mode: Mode) -> Question {
        let pod: Pod<'_> = serde_json::from_str(pod).unwrap();
        let fingerprints: Vec<Fingerprint> =
            pod.containers().map(|container| image::assume(container.image.as_deref().unwrap_or_default())).collect();
        let profile = Profile::default();
        let context = Context {
            namespace: "shop",
            cluster_domain: "cluster.local",
            mode,
            profile: &profile,
            holder_ignores: None,
            trusts_annotation: false,
            texts_from: crate::policy::Level::Warn,
        };
        Question::new(&pod, &fingerprints, &context, &[])
    }

    const POD: &str = r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"app","image":"alpine:3.19"}]}}"#;

    #[test]
    fn two_pods_of_one_template_are_one_question() {
        let other = POD.replace(r#""name":"a""#, r#""generateName":"b-","namespace":"shop","uid":"1""#);
        assert_eq!(question(POD, Mode::Inject), question(&other, Mode::Inject));
    }

    #[test]
    fn whatever_a_plan_can_depend_on_makes_another_question() {
        let one = question(POD, Mode::Inject);
        assert_ne!(one, question(POD, Mode::Warn));
        for (from, to) in [
            ("alpine:3.19", "alpine:3.18"),
            (r#""name":"app""#, r#""name":"apps""#),
            (r#""name":"a""#, r#""annotations":{}"#),
            (r#""name":"a""#, r#""annotations":{"muslin.dev/inject":"true"}"#),
            (r#""name":"a""#, r#""annotations":{"muslin.dev/ignore":"musl-slow-retry"}"#),
            (r#""name":"a""#, r#""labels":{"muslin.dev/libc":"musl"}"#),
            (r#""spec":{"#, r#""spec":{"hostNetwork":true,"#),
            (r#""spec":{"#, r#""spec":{"dnsPolicy":"None","#),
            (r#""spec":{"#, r#""spec":{"dnsConfig":{},"#),
            (r#""spec":{"#, r#""spec":{"dnsConfig":{"searches":["a"]},"#),
            (r#""spec":{"#, r#""spec":{"dnsConfig":{"nameservers":["a"]},"#),
            (r#""spec":{"#, r#""spec":{"os":{"name":"linux"},"#),
            (r#""image":"#, r#""command":["a"],"image":"#),
            (r#""image":"#, r#""args":["a"],"image":"#),
            (r#""image":"#, r#""env":[{"name":"GODEBUG","value":"netdns=go"}],"image":"#),
            (r#""containers":"#, r#""initContainers":"#),
        ] {
            let pod = POD.replace(from, to);
            assert_ne!(pod, POD);
            assert_ne!(one, question(&pod, Mode::Inject), "{pod}");
        }
    }

    #[test]
    fn a_question_is_answered_once_as_long_as_the_memory_holds() {
        let memory = Memory::default();
        let ask = || question(POD, Mode::Inject);
        let (first, is_known) = memory.recall(ask(), || Decision::skipped(Skip::Empty));
        assert!(!is_known);
        let (second, is_known) = memory.recall(ask(), || unreachable!("it was decided before"));
        assert!(is_known && Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn the_memory_forgets_rather_than_grow() {
        let memory = Memory::default();
        for index in 0..10_000 {
            let pod = POD.replace("app", &format!("{index}{}", "x".repeat(1000)));
            memory.recall(question(&pod, Mode::Inject), || Decision::skipped(Skip::Empty));
        }
        assert!(memory.0.weight() <= MEMORY_MAX, "{}", memory.0.weight());
    }
}
