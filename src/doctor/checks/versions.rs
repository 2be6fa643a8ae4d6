//! The versions of the API server, of the custom resource definitions, and of the replicas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::doctor::check::{APPLY, Check, PODS};
use crate::doctor::observed::{CallResult, Observed};
use crate::doctor::shape::{array, difference, text};

/// The oldest and the newest minor release of Kubernetes 1 with which the tests ran (`docs/contract.md`).
pub const TESTED_KUBERNETES: [u32; 2] = [30, 37];

pub(super) fn api_server(observed: &Observed) -> Check {
    const NAME: &str = "api-server";
    let version = match &observed.server {
        Ok(version) => version,
        Err(unseen) => return unseen.check(NAME, "the version of the API server"),
    };
    let mut parts = version.trim_start_matches('v').split(['.', '+', '-']);
    let major = parts.next().and_then(|part| part.parse::<u32>().ok());
    let minor = parts.next().and_then(|part| part.parse::<u32>().ok());
    let [oldest, newest] = TESTED_KUBERNETES;
    match (major, minor) {
        (Some(1), Some(minor)) if minor < oldest => Check::wrong(
            NAME,
            format!("Kubernetes {version} is older than 1.{oldest}, the oldest that muslin supports"),
            "upgrade the cluster",
        ),
        (Some(1), Some(minor)) if minor <= newest => Check::ok(NAME, format!("Kubernetes {version} is supported")),
        (Some(_), Some(_)) => Check::warning(
            NAME,
            format!("Kubernetes {version} is newer than 1.{newest}, with which this muslin was tested"),
            "look for a newer release of muslin",
        ),
        _ => Check::unknown(
            NAME,
            format!("the API server calls its version {version:?}"),
            "compare it with the releases in docs/contract.md",
        ),
    }
}

pub(super) fn definitions(observed: &Observed, expected: &[Value]) -> Check {
    const NAME: &str = "definitions";
    let found = match &observed.definitions {
        Ok(found) => found,
        Err(unseen) => return unseen.check(NAME, "custom resource definitions"),
    };
    let expected: Vec<&Value> =
        expected.iter().filter(|object| text(object, "/kind") == "CustomResourceDefinition").collect();
    for definition in &expected {
        let name = text(definition, "/metadata/name");
        let Some(found) = found.iter().find(|found| text(found, "/metadata/name") == name) else {
            return Check::wrong(NAME, format!("the custom resource definition {name} is missing"), APPLY);
        };
        let is = |condition: &Value| text(condition, "/type") == "Established" && text(condition, "/status") == "True";
        if !array(found, "/status/conditions").iter().any(is) {
            return Check::wrong(
                NAME,
                format!("the API server does not serve {name}"),
                format!("kubectl describe crd {name} says why"),
            );
        }
        if let Some(place) = difference(&definition["spec"], &found["spec"]) {
            return Check::wrong(
                NAME,
                format!("{name} is not that of muslin {}: it differs at spec{place}", observed.own_version),
                "apply the definitions of your release: muslin manifests crds | kubectl apply -f -",
            );
        }
    }
    Check::ok(NAME, format!("all {} custom resource definitions are current", expected.len()))
}

pub(super) fn replicas(observed: &Observed) -> Check {
    const NAME: &str = "versions";
    let pods = match &observed.pods {
        Ok(pods) => pods,
        Err(unseen) => return unseen.check(NAME, "muslin's pods"),
    };
    let images: BTreeSet<&str> = pods
        .iter()
        .filter(|pod| text(pod, "/metadata/deletionTimestamp").is_empty())
        .map(|pod| text(pod, "/status/containerStatuses/0/imageID"))
        .filter(|image| !image.is_empty())
        .collect();
    if images.len() > 1 {
        return Check::warning(
            NAME,
            format!("the replicas run {} different images", images.len()),
            format!("wait for the rollout: kubectl rollout status deployment/muslin -n {}", observed.namespace),
        );
    }
    let own = &observed.own_version;
    match answered_version(observed) {
        Some(version) if version == own => Check::ok(NAME, format!("all replicas and this muslin are {own}")),
        Some(version) => Check::warning(
            NAME,
            format!("muslin in the cluster is {version}, and this muslin is {own}"),
            "use a muslin doctor of the same version, which knows what that version needs",
        ),
        None if images.is_empty() => Check::unknown(NAME, "no replica runs", PODS),
        None => Check::unknown(
            NAME,
            format!("no replica told its version; this muslin is {own}"),
            "the check call has the reason",
        ),
    }
}

/// Returns the version that muslin wrote into the dry-run pod.
pub(super) fn answered_version(observed: &Observed) -> Option<&str> {
    let CallResult::Created(pod) = &observed.dry_run.as_ref()?.result else { return None };
    let answer = text(pod, "/metadata/annotations/muslin.dev~1doctor");
    answer.strip_prefix("version=")?.split(' ').next()
}
