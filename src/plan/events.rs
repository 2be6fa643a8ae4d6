//! The Events about a running pod: at most one for each of the reasons that people filter and alert by. Everything is computed from the
//! pod as it is, so a forged annotation causes no Event. Must not know how Events are written.

use super::context::Context;
use super::dns_config::is_outdated;
use super::messages::{self, FIXED};
use super::planning::{earlier_options, findings_as_is, plan, plan_after};
use super::pod_plan::{Plan, Planned};
use crate::image::Fingerprint;
use crate::pod::{Injected, InjectedOption, Pod};
use crate::policy::{Level, Skip};
use crate::rules::{EventReason, Finding};
use crate::text::Line;

/// The API server's limit on the bytes of an Event's text (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const MESSAGE_MAX: usize = 1024;

/// The content of one Event about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// The reason.
    pub reason: EventReason,
    /// Is true if the pod needs action, because muslin did not fix it.
    pub is_warning: bool,
    /// The text, within the limit of an Event.
    pub message: Line,
}

/// Returns the Events about a pod as the API server stores it, at most one for each reason. `fingerprints` has one for each of
/// [`Pod::containers`], in their order.
///
/// # Errors
/// muslin skips the pod.
pub fn pod_events(
    pod: &Pod<'_>,
    fingerprints: Vec<Fingerprint>,
    context: &Context<'_>,
) -> Result<Vec<EventNote>, Skip> {
    let Plan { findings, injected, resolvers, is_done, .. } = plan(pod, fingerprints.clone(), context)?;
    if is_done {
        return Ok(notes(&injected, &findings, &resolvers, context));
    }
    // The pod was planned by another profile, with other knowledge of its images, or not at all. The pod's present settings show what
    // is fixed.
    let injected = confirmed(pod, context);
    let trusting = Context { trusts_annotation: true, ..*context };
    let Plan { mut findings, .. } = plan_after(&injected, pod, fingerprints.clone(), &trusting)?;
    let remaining = findings_as_is(pod, fingerprints, context)?;
    let mut remaining: Vec<_> = remaining.iter().map(Finding::case).collect();
    remaining.sort_unstable();
    for Planned { finding, fixed } in &mut findings {
        *fixed = remaining.binary_search(&finding.case()).is_err();
    }
    Ok(notes(&injected, &findings, &resolvers, context))
}

/// Returns the entries of the annotation that the pod really has and that the profile allows.
fn confirmed(pod: &Pod<'_>, context: &Context<'_>) -> Injected {
    let options: Vec<String> = pod.dns().options.iter().map(|option| option.text()).collect();
    let mut injected = earlier_options(pod);
    injected.options.retain(|InjectedOption { option: set, replaced, index: _ }| {
        replaced.is_none() && options.contains(set) && context.profile.every_option().any(|option| option == set)
    });
    injected
}

fn notes(injected: &Injected, findings: &[Planned], resolvers: &Line, context: &Context<'_>) -> Vec<EventNote> {
    let mut notes: Vec<(EventReason, bool, String)> = Vec::new();
    // Not what muslin 0.1.0 set: the profile has no such option now.
    let options = injected.options.iter().filter(|entry| !is_outdated(&entry.option, context)).cloned().collect();
    let injected = Injected { options };
    if !injected.is_empty() {
        let message = format!("set {injected} by profile {}: {resolvers}", context.profile.name);
        notes.push((EventReason::DnsOptionsInjected, false, message));
    }
    let serious = findings.iter().filter(|planned| planned.finding.level >= Level::Warn);
    for (planned, names) in messages::grouped(serious) {
        let Planned { finding, fixed } = planned;
        let text = messages::finding_line(planned, &names);
        let line = if *fixed { format!("{text}{FIXED}") } else { format!("{text} (fix: {})", finding.help) };
        let reason = finding.rule.reason;
        match notes.iter_mut().find(|(other, ..)| *other == reason) {
            Some((_, is_warning, message)) => {
                *is_warning |= !fixed;
                message.push_str("; ");
                message.push_str(&line);
            }
            None => notes.push((reason, !fixed, line)),
        }
    }
    let note =
        |(reason, is_warning, message)| EventNote { reason, is_warning, message: Line::cut(message, MESSAGE_MAX) };
    notes.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image;
    use crate::plan::tests::quick;
    use crate::policy::Mode;

    fn notes_on(pod: &Value, mode: Mode) -> Result<Vec<EventNote>, Skip> {
        let text = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let fingerprints = pod
            .containers()
            .map(|container| image::assume_started(container.image(), container.started().as_deref()))
            .collect();
        let profile = quick();
        pod_events(&pod, fingerprints, &Context { mode, ..Context::usual(&profile) })
    }

    /// Returns an Alpine pod with the options that the profile `quick` gives it.
    fn fixed_pod() -> Value {
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
    fn events_list_the_injected_options_and_the_fixed_findings() {
        let notes = notes_on(&fixed_pod(), Mode::Inject).unwrap();
        let notes: Vec<(&str, bool, &str)> =
            notes.iter().map(|note| (note.reason.name(), note.is_warning, &*note.message)).collect();
        assert_eq!(
            notes,
            [
                (
                    "DNSOptionsInjected",
                    false,
                    "set single-request-reopen timeout:5 attempts:5 by profile quick: app=musl-1.2.4 (assumed)"
                ),
                (
                    "MuslResolver",
                    false,
                    "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (fixed)"
                ),
            ]
        );
    }

    #[test]
    fn forged_annotations_cause_no_events() {
        let mut never_fixed = fixed_pod();
        never_fixed["spec"]["dnsConfig"] = Value::Null;
        never_fixed["metadata"]["annotations"]["muslin.dev/warnings"] = json!("attempts-zero: app: it crashes");
        let notes = notes_on(&never_fixed, Mode::Inject).unwrap();
        assert_eq!(notes.len(), 1, "{notes:#?}");
        assert!(notes[0].is_warning && notes[0].message.contains("only after 2.5 s (fix: "), "{notes:#?}");
        assert!(!notes[0].message.contains("attempts-zero"), "{notes:#?}");

        let mut healthy = fixed_pod();
        healthy["spec"]["containers"][0]["image"] = json!("debian:12");
        healthy["metadata"]["annotations"]["muslin.dev/injected"] = json!("edns0 timeout:9");
        healthy["spec"]["dnsConfig"]["options"] = json!([{ "name": "timeout", "value": "9" }]);
        assert_eq!(notes_on(&healthy, Mode::Inject), Ok(Vec::new()));
    }

    #[test]
    fn options_of_an_earlier_profile_row_are_reported() {
        let text = fixed_pod().to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let mut fingerprint = image::assume("alpine:3.19");
        fingerprint.evidence = crate::image::Evidence::Inspected;
        let profile = quick();
        // The profile gives other options to a pod that certainly uses musl.
        let notes = pod_events(&pod, vec![fingerprint], &Context::usual(&profile)).unwrap();
        let reasons: Vec<EventReason> = notes.iter().map(|note| note.reason).collect();
        assert_eq!(reasons, [EventReason::DnsOptionsInjected, EventReason::MuslResolver], "{notes:#?}");
        assert!(notes[0].message.starts_with("set single-request-reopen timeout:5 attempts:5 by "), "{notes:#?}");
        assert!(notes[1].message.ends_with("(fixed)"), "{notes:#?}");
    }

    #[test]
    fn messages_fit_into_an_event() {
        let options: Vec<Value> = (0..200).map(|index| json!({ "name": format!("nonsense-{index}") })).collect();
        let mut many = fixed_pod();
        many["spec"]["dnsConfig"]["options"] = json!(options);
        let notes = notes_on(&many, Mode::Warn).unwrap();
        assert!(notes.iter().all(|note| note.message.len() <= MESSAGE_MAX), "{notes:#?}");
        assert!(notes.iter().any(|note| note.message.len() > MESSAGE_MAX - 8), "{notes:#?}");
    }
}
