//! What is told of a pod that runs, in Events: by the reasons that people filter and alert by, in a list that stays. Everything is
//! found out anew from the pod as it is, so that an annotation which somebody wrote or changed says nothing through them. Must not
//! know how Events are written.

use std::collections::HashSet;

use crate::image::Fingerprint;
use crate::pod::{Claim, Injected, Pod};
use crate::policy::{Level, Skip};
use crate::rules::{EventReason, Finding};
use crate::text::one_line;

use super::context::Context;
use super::messages::{self, MENDED};
use super::planning::{claims, left, plan, plan_after};
use super::pod_plan::{Plan, Planned};

/// How many bytes the API server takes of an Event's text
/// (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const MESSAGE_MAX: usize = 1024;

/// One thing that is told of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Why.
    pub reason: EventReason,
    /// Whether somebody should act on it: it is not mended.
    pub is_warning: bool,
    /// What, in at most as many bytes as an Event takes.
    pub message: String,
}

/// What there is to tell of a pod as the API server keeps it, at most once by reason. `fingerprints` has one for each of
/// [`Pod::containers`], in their order.
///
/// # Errors
/// The pod is left alone, and why.
pub fn story(pod: &Pod<'_>, fingerprints: Vec<Fingerprint>, context: &Context<'_>) -> Result<Vec<Told>, Skip> {
    let Plan { findings, injected, resolvers, is_done, .. } = plan(pod, fingerprints.clone(), context)?;
    if is_done {
        return Ok(told(&injected, &findings, &resolvers, context));
    }
    // It was mended by other settings, when less was known of its images, or not at all: what it has now tells what is mended.
    let injected = confirmed(pod, context);
    let believing = Context { believes_claims: true, ..*context };
    let Plan { mut findings, .. } = plan_after(&injected, pod, fingerprints.clone(), &believing)?;
    let left = left(pod, fingerprints, context)?;
    let left: HashSet<_> = left.iter().map(Finding::case).collect();
    for Planned { finding, mended } in &mut findings {
        *mended = !left.contains(&finding.case());
    }
    Ok(told(&injected, &findings, &resolvers, context))
}

/// Of what the pod says that muslin set, that which it has, and which the profile could have given it.
fn confirmed(pod: &Pod<'_>, context: &Context<'_>) -> Injected {
    let options: Vec<String> = pod.dns().options.iter().map(|option| option.text()).collect();
    let mut injected = claims(pod);
    injected.claims.retain(|Claim { set, was, at: _ }| {
        was.is_none() && options.contains(set) && context.profile.every_option().any(|option| option == set)
    });
    injected
}

fn told(injected: &Injected, findings: &[Planned], resolvers: &str, context: &Context<'_>) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    if !injected.is_empty() {
        let message = format!("has {injected} by profile {}: {resolvers}", context.profile.name);
        all.push(Told { reason: EventReason::DnsOptionsInjected, is_warning: false, message });
    }
    let serious = findings.iter().filter(|planned| planned.finding.level >= Level::Warn);
    for (planned, names) in messages::grouped(serious) {
        let Planned { finding, mended } = planned;
        let text = messages::told(planned, &names);
        let line = if *mended { format!("{text}{MENDED}") } else { format!("{text} (fix: {})", finding.help) };
        let reason = finding.rule.reason;
        match all.iter_mut().find(|told| told.reason == reason) {
            Some(told) => {
                told.is_warning |= !mended;
                told.message.push_str("; ");
                told.message.push_str(&line);
            }
            None => all.push(Told { reason, is_warning: !mended, message: line }),
        }
    }
    all.into_iter().map(|told| Told { message: one_line(&told.message, MESSAGE_MAX).into_owned(), ..told }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image;
    use crate::policy::{Mode, Profile};

    fn of(pod: &Value, mode: Mode) -> Result<Vec<Told>, Skip> {
        let text = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let fingerprints = pod.containers().map(|container| image::assume(container.image())).collect();
        let profile = Profile::default();
        story(&pod, fingerprints, &Context { mode, ..Context::usual(&profile) })
    }

    /// An Alpine pod as the default profile makes it.
    fn mended() -> Value {
        json!({
            "metadata": { "name": "web", "annotations": { "muslin.dev/injected": "single-request-reopen timeout:5 attempts:5" } },
            "spec": {
                "containers": [{ "name": "app", "image": "alpine:3.19" }],
                "dnsConfig": { "options": [
                    { "name": "single-request-reopen" }, { "name": "timeout", "value": "5" }, { "name": "attempts", "value": "5" }
                ] }
            }
        })
    }

    #[test]
    fn a_mended_pod_is_told_of_what_it_got_and_why() {
        let told = of(&mended(), Mode::Inject).unwrap();
        let told: Vec<(&str, bool, &str)> =
            told.iter().map(|told| (told.reason.name(), told.is_warning, &*told.message)).collect();
        assert_eq!(
            told,
            [
                (
                    "DNSOptionsInjected",
                    false,
                    "has single-request-reopen timeout:5 attempts:5 by profile default: app=musl-1.2.4 (assumed)"
                ),
                (
                    "MuslResolver",
                    false,
                    "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (mended)"
                ),
            ]
        );
    }

    #[test]
    fn what_a_pod_only_says_is_not_told() {
        let mut never_mended = mended();
        never_mended["spec"]["dnsConfig"] = Value::Null;
        never_mended["metadata"]["annotations"]["muslin.dev/warnings"] = json!("attempts-zero: app: it crashes");
        let told = of(&never_mended, Mode::Inject).unwrap();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].is_warning && told[0].message.contains("only after 2.5 s (fix: "), "{told:#?}");
        assert!(!told[0].message.contains("attempts-zero"), "{told:#?}");

        let mut healthy = mended();
        healthy["spec"]["containers"][0]["image"] = json!("debian:12");
        healthy["metadata"]["annotations"]["muslin.dev/injected"] = json!("edns0 timeout:9");
        healthy["spec"]["dnsConfig"]["options"] = json!([{ "name": "timeout", "value": "9" }]);
        assert_eq!(of(&healthy, Mode::Inject), Ok(Vec::new()));
    }

    #[test]
    fn what_was_set_when_less_was_known_is_told_all_the_same() {
        let text = mended().to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let mut fingerprint = image::assume("alpine:3.19");
        fingerprint.evidence = crate::image::Evidence::Inspected;
        let profile = Profile::default();
        // The profile gives other options to what is musl for certain.
        let told = story(&pod, vec![fingerprint], &Context::usual(&profile)).unwrap();
        let reasons: Vec<EventReason> = told.iter().map(|told| told.reason).collect();
        assert_eq!(reasons, [EventReason::DnsOptionsInjected, EventReason::MuslResolver], "{told:#?}");
        assert!(told[0].message.starts_with("has single-request-reopen timeout:5 attempts:5 by "), "{told:#?}");
        assert!(told[1].message.ends_with("(mended)"), "{told:#?}");
    }

    #[test]
    fn a_message_is_never_longer_than_an_event_takes() {
        let options: Vec<Value> = (0..200).map(|index| json!({ "name": format!("nonsense-{index}") })).collect();
        let mut many = mended();
        many["spec"]["dnsConfig"]["options"] = json!(options);
        let told = of(&many, Mode::Warn).unwrap();
        assert!(told.iter().all(|told| told.message.len() <= MESSAGE_MAX), "{told:#?}");
        assert!(told.iter().any(|told| told.message.len() > MESSAGE_MAX - 8), "{told:#?}");
    }
}
