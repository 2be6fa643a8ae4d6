//! A pod that the API server is to create as a dry run, so that it calls muslin.

use hyper::Request;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answers::{TIMEOUT, unseen};
use crate::doctor::{CallResult, DryRun, Unseen};
use crate::pod::DOCTOR_ANNOTATION;

/// Returns the image of the dry-run pod: muslin's own, which the cluster's policies allow.
pub(super) fn dry_run_image(deployment: Option<&Value>) -> String {
    let image =
        deployment.and_then(|deployment| deployment.pointer("/spec/template/spec/containers/0/image")?.as_str());
    image.unwrap_or("muslin").to_owned()
}

/// Asks for a pod in a namespace.
pub(super) async fn dry_run(client: &Client, namespace: Option<String>, image: &str) -> Option<DryRun> {
    let namespace = namespace?;
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let request =
        Request::post(path).header("Content-Type", "application/json").body(pod(image).to_string().into_bytes());
    let started = Instant::now();
    let result = match request {
        Ok(request) => match tokio::time::timeout(TIMEOUT, client.request::<Value>(request)).await {
            Ok(Ok(pod)) => CallResult::Created(Box::new(pod)),
            Ok(Err(error)) => failed(&error),
            Err(_) => CallResult::Unseen(Unseen::Failed(format!("no answer in {} s", TIMEOUT.as_secs()))),
        },
        Err(error) => CallResult::Unseen(Unseen::Failed(error.to_string())),
    };
    Some(DryRun { namespace, took: started.elapsed(), result })
}

/// Tells a denial by an admission plugin from a right that the caller lacks: both have the status 403.
fn failed(error: &kube::Error) -> CallResult {
    match error {
        kube::Error::Api(status) if status.message.contains("cannot create resource") => {
            CallResult::Unseen(Unseen::Forbidden(status.message.clone()))
        }
        kube::Error::Api(status) => CallResult::Denied(status.message.clone()),
        error => CallResult::Unseen(unseen(error)),
    }
}

/// Returns a pod that the Pod Security Standard `restricted` and quotas allow.
fn pod(image: &str) -> Value {
    let resources = json!({ "cpu": "1m", "memory": "16Mi" });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "generateName": "muslin-doctor-", "annotations": { DOCTOR_ANNOTATION: "?" } },
        "spec": {
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "doctor",
                "image": image,
                "resources": { "requests": resources, "limits": resources },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } }
            }]
        }
    })
}
