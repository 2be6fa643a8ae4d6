//! The way from the API server to muslin: the webhook's port, a dry-run pod that must come back marked, and the API server's counts.

use std::time::Duration;

use super::versions::answered_version;
use crate::doctor::check::{Check, PODS};
use crate::doctor::metrics::{label, samples};
use crate::doctor::observed::{CallResult, Observed, PortAnswer, Replica};
use crate::doctor::shape::text;

/// The time of a call from which on the check warns: half of the webhook's timeout.
const SLOW: Duration = Duration::from_secs(1);

/// The advice where packets to the webhook's port disappear.
const BLOCKED: &str = "let the control plane reach the webhook's port of muslin's pods by TCP: NetworkPolicies, node firewalls, security \
     groups. On a private GKE cluster install with --platform gke (or add a firewall rule for 8443); on EKS with another network plugin than \
     Amazon's install with --host-network";

pub(super) fn port(observed: &Observed) -> Check {
    const NAME: &str = "port";
    if observed.replicas.is_empty() {
        return match &observed.pods {
            Err(unseen) => unseen.check(NAME, "muslin's pods"),
            Ok(_) => Check::unknown(NAME, "no pod of muslin runs", PODS),
        };
    }
    let mut reached = 0;
    for Replica { pod, ready, webhook, metrics: _ } in &observed.replicas {
        match webhook {
            PortAnswer::Answer(..) => reached += 1,
            PortAnswer::Unseen(unseen) => return unseen.check(NAME, "muslin's pods through the API server's proxy"),
            PortAnswer::Silent(reason) => {
                let plain = match ready {
                    PortAnswer::Answer(..) => "its plain port answers",
                    _ => "its plain port does not answer either",
                };
                let message =
                    format!("the API server does not reach the webhook's port of the pod {pod}: {reason}; {plain}");
                return Check::wrong(NAME, message, advice(reason));
            }
        }
    }
    let pods = if reached == 1 { "1 pod".to_owned() } else { format!("all {reached} pods") };
    Check::ok(NAME, format!("the API server reaches the webhook's port of {pods}"))
}

/// Returns the advice for the error of a call.
fn advice(error: &str) -> String {
    if error.contains("x509") {
        "the checks certificate and ca-bundle have the reason".to_owned()
    } else if error.contains("refused") {
        "muslin does not listen there: compare MUSLIN_BIND and the container's port https with the Service's targetPort, and see the check pods"
            .to_owned()
    } else if error.contains("no endpoints available") || error.contains("not found") {
        "the check service has the reason".to_owned()
    } else {
        BLOCKED.to_owned()
    }
}

pub(super) fn call(observed: &Observed) -> Check {
    const NAME: &str = "call";
    let Some(dry_run) = &observed.dry_run else {
        return Check::unknown(
            NAME,
            "there is no namespace whose pods muslin reviews, so nothing proves that the API server reaches it",
            "the check selectors has the reason; label a namespace muslin.dev/mode=audit",
        );
    };
    let (namespace, millis) = (&dry_run.namespace, dry_run.took.as_millis());
    match &dry_run.result {
        CallResult::Unseen(unseen) => unseen.check(NAME, "the answer to a dry-run pod"),
        CallResult::Denied(message) => denied(NAME, namespace, message),
        CallResult::Created(pod) => {
            let answer = text(pod, "/metadata/annotations/muslin.dev~1doctor");
            let is_marked = !text(pod, "/metadata/labels/muslin.dev~1libc").is_empty();
            if answered_version(observed).is_none() && !is_marked {
                return unmarked(NAME, observed, namespace, millis);
            }
            let by = if answer.starts_with("version=") { format!(" ({answer})") } else { String::new() };
            let message = format!("a dry-run pod in namespace {namespace} came back marked in {millis} ms{by}");
            if dry_run.took >= SLOW {
                let fix = "look at muslin_review_duration_seconds: if reviews are quick, another webhook or the network is slow";
                return Check::warning(NAME, message, fix);
            }
            Check::ok(NAME, message)
        }
    }
}

fn denied(name: &'static str, namespace: &str, message: &str) -> Check {
    if message.contains("failed calling webhook") && message.contains(".muslin.dev") {
        return Check::wrong(name, format!("the API server cannot call muslin: {message}"), advice(message));
    }
    Check::unknown(
        name,
        format!("the API server denied a dry-run pod in namespace {namespace}: {message}"),
        "the message names what denied it; muslin denies no pod of muslin doctor",
    )
}

/// Returns the check of a pod that muslin did not see, with the API server's reason as far as a namespace of mode `enforce` tells it.
fn unmarked(name: &'static str, observed: &Observed, namespace: &str, millis: u128) -> Check {
    let reason = observed.enforced_dry_run.as_ref().and_then(|dry_run| match &dry_run.result {
        CallResult::Denied(message) if message.contains("failed calling webhook") => Some(message.as_str()),
        _ => None,
    });
    let message = format!(
        "a dry-run pod in namespace {namespace} came back unmarked after {millis} ms: pods start without a review"
    );
    match reason {
        Some(reason) => Check::wrong(name, format!("{message}: {reason}"), advice(reason)),
        None => Check::wrong(name, message, "the other checks have the reason; the API server's log has its error"),
    }
}

pub(super) fn fail_open(observed: &Observed) -> Check {
    const NAME: &str = "fail-open";
    let [before, after] = &observed.api_metrics;
    let (before, after) = match (before, after) {
        (Ok(before), Ok(after)) => (failures(before), failures(after)),
        (Err(unseen), _) | (_, Err(unseen)) => return unseen.check(NAME, "the metrics of the API server"),
    };
    if after > before {
        let message = format!("the API server failed to call muslin {} while muslin doctor ran", times(after - before));
        return Check::wrong(NAME, message, "the checks port, ca-bundle and call have the reason");
    }
    if after > 0.0 {
        let message =
            format!("this API server failed to call muslin {} since its own start, but not now", times(after));
        let fix = "alert on it: muslin install --monitoring has MuslinApiServerFailsOpen. Some are normal while muslin is installed";
        return Check::warning(NAME, message, fix);
    }
    Check::ok(NAME, "this API server never failed to call muslin")
}

fn times(count: f64) -> String {
    if count > 1.0 { format!("{count} times") } else { "once".to_owned() }
}

/// Returns the number of calls of muslin's webhooks that failed: ignored ones, and those that denied an object.
fn failures(metrics: &str) -> f64 {
    let is_muslins = |labels: &str| label(labels, "name").is_some_and(|name| name.ends_with(".muslin.dev"));
    let ignored =
        samples(metrics, "apiserver_admission_webhook_fail_open_count").filter(|(labels, _)| is_muslins(labels));
    let rejected = samples(metrics, "apiserver_admission_webhook_rejection_count")
        .filter(|(labels, _)| is_muslins(labels) && label(labels, "error_type") == Some("calling_webhook_error"));
    ignored.chain(rejected).map(|(_, value)| value).sum()
}
