//! muslin's Deployment and its pods.

use serde_json::Value;

use crate::doctor::check::{APPLY, Check};
use crate::doctor::observed::{Observed, PortAnswer};
use crate::doctor::shape::{array, number, text};

pub(super) fn deployment(observed: &Observed) -> Check {
    const NAME: &str = "deployment";
    let namespace = &observed.namespace;
    let deployment = match &observed.deployment {
        Ok(Some(deployment)) => deployment,
        Ok(None) => {
            return Check::wrong(
                NAME,
                format!("there is no Deployment muslin in namespace {namespace}"),
                "install muslin, or name its namespace by --namespace",
            );
        }
        Err(unseen) => return unseen.check(NAME, "muslin's Deployment"),
    };
    // The API server writes the default, 1.
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let available = number(deployment, "/status/availableReplicas");
    if wanted == 0 {
        let fix = format!("kubectl scale deployment/muslin -n {namespace} --replicas=2");
        return Check::wrong(NAME, "the Deployment is scaled to no replicas", fix);
    }
    let failure = array(deployment, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == "ReplicaFailure" && text(condition, "/status") == "True");
    if let Some(condition) = failure {
        let message = text(condition, "/message");
        return Check::wrong(NAME, format!("no pod can be created: {message}"), advice_on_denied_pods(message));
    }
    if available < wanted {
        return Check::wrong(
            NAME,
            format!("{available} of {wanted} replicas are available"),
            format!("the check pods has the reason, or kubectl describe deployment/muslin -n {namespace}"),
        );
    }
    Check::ok(NAME, format!("{available} of {wanted} replicas are available"))
}

/// Returns the advice where an admission plugin denies muslin's own pods.
fn advice_on_denied_pods(message: &str) -> String {
    let advice = if message.contains("security context constraint") {
        "on OpenShift, install with muslin install --platform openshift, which sets no user id"
    } else if message.contains("serviceaccount") {
        APPLY
    } else if message.contains("quota") {
        "raise the ResourceQuota of muslin's namespace"
    } else {
        "change the policy that the message names, or exempt muslin's namespace from it"
    };
    advice.to_owned()
}

pub(super) fn pods(observed: &Observed) -> Check {
    const NAME: &str = "pods";
    let pods = match &observed.pods {
        Ok(pods) => pods,
        Err(unseen) => return unseen.check(NAME, "muslin's pods"),
    };
    let mut current = pods.iter().filter(|pod| text(pod, "/metadata/deletionTimestamp").is_empty()).peekable();
    if current.peek().is_none() {
        // The pods are those of the Deployment.
        if let Err(unseen) = &observed.deployment {
            return unseen.check(NAME, "muslin's pods");
        }
        return Check::wrong(NAME, "muslin has no pod", "the check deployment has the reason");
    }
    let mut ready = 0;
    for pod in current {
        if let Some(check) = waiting(pod, NAME, &observed.namespace) {
            return check;
        }
        if !is_ready(pod) {
            return not_ready(pod, NAME, observed);
        }
        ready += 1;
    }
    let pods = if ready == 1 { "1 pod is".to_owned() } else { format!("{ready} pods are") };
    Check::ok(NAME, format!("{pods} ready"))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = array(pod, "/status/conditions");
    conditions.iter().any(|one| text(one, "/type") == "Ready" && text(one, "/status") == "True")
}

/// Returns the check of a pod whose container does not run.
fn waiting(pod: &Value, check: &'static str, namespace: &str) -> Option<Check> {
    let name = text(pod, "/metadata/name");
    let status = array(pod, "/status/containerStatuses").first();
    let waiting = status.map_or(&Value::Null, |status| &status["state"]["waiting"]);
    let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
    let image = text(pod, "/spec/containers/0/image");
    let check = match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            Check::wrong(
                check,
                format!("the pod {name} cannot pull the image {image} ({reason}): {message}"),
                "push the image to a registry that the nodes reach, and name it by muslin install --image; a private registry needs \
                 imagePullSecrets",
            )
        }
        "CrashLoopBackOff" => {
            let last = status.map_or(&Value::Null, |status| &status["lastState"]["terminated"]);
            let (code, cause) = (number(last, "/exitCode"), text(last, "/reason"));
            let restarts = status.map(|status| number(status, "/restartCount")).unwrap_or_default();
            Check::wrong(
                check,
                format!("the pod {name} ends again and again: exit code {code} ({cause}), {restarts} restarts"),
                format!("kubectl logs -n {namespace} {name} --previous says why"),
            )
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Check::wrong(
            check,
            format!("the kubelet cannot start the pod {name} ({reason}): {message}"),
            format!("kubectl describe pod -n {namespace} {name} has more"),
        ),
        "ContainerCreating" | "PodInitializing" => Check::wrong(
            check,
            format!("the pod {name} does not run yet: the kubelet pulls its image {image}, or prepares it"),
            format!(
                "run muslin doctor again in ten seconds; if this stays, kubectl describe pod -n {namespace} {name} says why"
            ),
        ),
        _ => {
            let conditions = array(pod, "/status/conditions");
            let unscheduled = conditions
                .iter()
                .find(|one| text(one, "/type") == "PodScheduled" && text(one, "/status") == "False")?;
            Check::wrong(
                check,
                format!("no node takes the pod {name}: {}", text(unscheduled, "/message")),
                "make room on a node, or change what the message names; a second replica needs a second node",
            )
        }
    };
    Some(check)
}

/// Returns the check of a pod that runs and is not ready, with muslin's own reason.
fn not_ready(pod: &Value, check: &'static str, observed: &Observed) -> Check {
    let name = text(pod, "/metadata/name");
    let namespace = &observed.namespace;
    let logs = format!("kubectl logs -n {namespace} {name} has more");
    let replica = observed.replicas.iter().find(|replica| replica.pod == name);
    match replica.map(|replica| &replica.ready) {
        Some(PortAnswer::Answer(200, _)) => Check::warning(
            check,
            format!("the pod {name} says that it is ready, and the kubelet does not know that yet"),
            "run muslin doctor again in ten seconds",
        ),
        Some(PortAnswer::Answer(_, reason)) => {
            let reason = reason.trim();
            let fix =
                if reason.contains("listed") { format!("the check rights has the likely cause; {logs}") } else { logs };
            Check::wrong(check, format!("the pod {name} is not ready: {reason}"), fix)
        }
        Some(PortAnswer::Silent(reason)) => {
            Check::wrong(check, format!("the pod {name} is not ready, and does not answer: {reason}"), logs)
        }
        Some(PortAnswer::Unseen(_)) | None => {
            let phase = text(pod, "/status/phase");
            Check::wrong(check, format!("the pod {name} is not ready (phase {phase})"), logs)
        }
    }
}
