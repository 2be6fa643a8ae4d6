//! muslin's own metrics: missed pods, caches on the node, and registries.

use std::collections::BTreeSet;

use super::webhooks::marks_left_out;
use crate::doctor::check::{Check, PODS};
use crate::doctor::metrics::{label, samples, sum};
use crate::doctor::observed::{FailedInspection, Observed, PortAnswer};

/// The check of the admission policies.
const POLICIES: &str = "policies";

/// Returns the metrics of the replicas, or the check that cannot be made without them.
fn metrics<'o>(name: &'static str, observed: &'o Observed) -> Result<Vec<&'o str>, Check> {
    let mut texts = Vec::new();
    for replica in &observed.replicas {
        match &replica.metrics {
            PortAnswer::Answer(200, text) => texts.push(text.as_str()),
            PortAnswer::Answer(status, _) => {
                return Err(Check::unknown(name, format!("the metrics of {} answer {status}", replica.pod), PODS));
            }
            PortAnswer::Silent(reason) => {
                return Err(Check::unknown(
                    name,
                    format!("the metrics of {} do not answer: {reason}", replica.pod),
                    PODS,
                ));
            }
            PortAnswer::Unseen(unseen) => {
                return Err(unseen.check(name, "muslin's metrics through the API server's proxy"));
            }
        }
    }
    if texts.is_empty() { Err(Check::unknown(name, "no replica runs", PODS)) } else { Ok(texts) }
}

fn total(texts: &[&str], metric: &str) -> f64 {
    texts.iter().filter_map(|text| sum(text, metric)).sum()
}

pub(super) fn missed_pods(observed: &Observed) -> Check {
    const NAME: &str = "missed-pods";
    let texts = match metrics(NAME, observed) {
        Ok(texts) => texts,
        Err(check) => return check,
    };
    let missed = total(&texts, "muslin_pods_missed_total");
    if missed > 0.0 {
        let message = format!("{missed} pods were created without a review since the leader started");
        let fix = "the checks port, call and ca-bundle have the reason if it lasts; kubectl get pods -A -l '!muslin.dev/libc' lists pods without \
                   a mark";
        return Check::warning(NAME, message, fix);
    }
    Check::ok(NAME, "no pod was missed since the leader started")
}

/// Judges the admission policies beside the webhook; `None` where muslin keeps none, and none is left.
pub(super) fn policies(observed: &Observed) -> Option<Check> {
    let texts = metrics(POLICIES, observed).ok()?;
    if texts.iter().any(|text| sum(text, "muslin_policy_objects").is_some()) {
        return Some(policies_of(&texts, observed));
    }
    let place = marks_left_out(observed)?;
    let message = "muslin keeps no admission policies, but the webhook leaves out pods with their mark, which any author can write";
    let fix = format!(
        "kubectl patch mutatingwebhookconfiguration muslin.dev --type=json \
         -p '[{{\"op\": \"remove\", \"path\": \"{place}\"}}]'"
    );
    Some(Check::warning(POLICIES, message, fix))
}

fn policies_of(texts: &[&str], observed: &Observed) -> Check {
    let (objects, replaces) =
        (total(texts, "muslin_policy_objects"), total(texts, "muslin_policies_replace_webhook") > 0.0);
    if objects == 0.0 {
        let fix = format!(
            "kubectl logs -n {} deployment/muslin has the reason; MutatingAdmissionPolicy needs Kubernetes 1.36, or 1.34 with its feature gate and \
             v1beta1 enabled",
            observed.namespace
        );
        return Check::warning(POLICIES, "there are no admission policies, so the webhook changes all pods", fix);
    }
    let is_known = texts.iter().any(|text| sum(text, "muslin_policies_served").is_some());
    if is_known && total(texts, "muslin_policies_served") == 0.0 {
        let message = "the API server does not serve MutatingAdmissionPolicy: the webhook changes all pods, and policies only deny";
        let fix = "upgrade to Kubernetes 1.36, or enable the feature gate and v1beta1 in 1.34 or 1.35; muslin follows within ten minutes";
        return Check::warning(POLICIES, message, fix);
    }
    let by_policies = total(texts, "muslin_policy_pods_total");
    let is_review = |labels: &str| label(labels, "hook") == Some("mutate");
    let reviews = texts.iter().flat_map(|text| samples(text, "muslin_reviews_total"));
    let by_webhook: f64 = reviews.filter(|(labels, _)| is_review(labels)).map(|(_, value)| value).sum();
    let images = total(texts, "muslin_policy_images");
    let ways = format!(
        "policies that know {images} images changed {by_policies} pods since the leader started, and the webhook reviewed {by_webhook}"
    );
    let (left_out, others) =
        (total(texts, "muslin_policy_images_left_out"), total(texts, "muslin_policy_profiles_left_out"));
    if left_out > 0.0 {
        let fix = "the webhook changes pods with the others; delete ImageFingerprints of images that no pod needs";
        return Check::warning(POLICIES, format!("{ways}; there is no room for {left_out} more images"), fix);
    }
    let others = if others > 0.0 { format!("; {others} profiles are the webhook's alone") } else { String::new() };
    let both =
        if replaces { "" } else { "; the webhook also sees the pods of the policies (docs/policies.md says when)" };
    Check::ok(POLICIES, format!("{ways}{others}{both}"))
}

pub(super) fn node_cache(observed: &Observed) -> Check {
    const NAME: &str = "node-cache";
    let texts = match metrics(NAME, observed) {
        Ok(texts) => texts,
        Err(check) => return check,
    };
    let mut trials = 0;
    for (labels, value) in texts.iter().flat_map(|text| samples(text, "muslin_node_local_reachable")) {
        trials += 1;
        if value == 0.0 {
            let address = label(labels, "address").unwrap_or("?");
            let message = format!("the cache on the node at {address} does not answer muslin");
            let fix = "check that the cache runs on muslin's node, and that no NetworkPolicy keeps muslin's pod from it; pods keep the cluster's \
                       nameserver meanwhile";
            return Check::wrong(NAME, message, fix);
        }
    }
    let message =
        if trials == 0 { "no profile uses a cache on the node" } else { "the caches on the node answer muslin" };
    Check::ok(NAME, message)
}

pub(super) fn registries(observed: &Observed) -> Check {
    const NAME: &str = "registries";
    let texts = match metrics(NAME, observed) {
        Ok(texts) => texts,
        Err(check) => return check,
    };
    if !texts.iter().any(|text| sum(text, "muslin_inspections_read_total").is_some()) {
        return Check::ok(NAME, "muslin does not inspect images: it goes by their names");
    }
    let (read, failed) =
        (total(&texts, "muslin_inspections_read_total"), total(&texts, "muslin_inspections_failed_total"));
    if let Some(check) = unreachable(NAME, observed) {
        return check;
    }
    let last = observed.failed_inspections.last();
    let last =
        last.map(|FailedInspection { image, error, .. }| format!("; the last: {image}: {error}")).unwrap_or_default();
    let fix = format!(
        "kubectl logs -n {} deployment/muslin names the images and the reasons; private ones need credentials \
         (manifests/components/private-registries)",
        observed.namespace
    );
    match (read > 0.0, failed > 0.0) {
        (false, true) => Check::wrong(NAME, format!("all {failed} inspections of images failed{last}"), fix),
        (true, true) => {
            Check::warning(NAME, format!("{failed} inspections of images failed, and {read} did not{last}"), fix)
        }
        (_, false) => Check::ok(NAME, format!("muslin inspected {read} images, and no inspection failed")),
    }
}

/// Returns the check of registries that muslin did not reach in the last minutes.
fn unreachable(name: &'static str, observed: &Observed) -> Option<Check> {
    let mut failed = observed.failed_inspections.iter().filter(|failed| failed.unreachable);
    let registries: BTreeSet<&str> = failed.clone().map(|failed| failed.registry.as_str()).collect();
    let FailedInspection { registry, error, .. } = failed.next_back()?;
    let more = if registries.len() > 1 { format!(" (and {} more)", registries.len() - 1) } else { String::new() };
    let message = format!("muslin did not reach the registry {registry}{more} in the last ten minutes: {error}");
    let fix = "let muslin's pods reach it by TCP: NetworkPolicies, firewalls, the cluster's DNS. A registry at a private address needs \
               --allow-network, and a mirror --mirror (manifests/components/private-registries)";
    Some(Check::wrong(name, message, fix))
}
