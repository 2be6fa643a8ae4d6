//! The checks, one file for each subject, in the order in which muslin's parts depend on each other.

mod calls;
mod certificates;
mod inside;
mod rights;
mod service;
mod versions;
mod webhooks;
mod workload;

pub use versions::TESTED_KUBERNETES;

use super::check::Check;
use super::expected::expected_objects;
use super::observed::Observed;
use crate::installation::ManifestError;

/// Returns all checks.
///
/// # Errors
/// The manifests in the program cannot be read.
pub fn judge(observed: &Observed) -> Result<Vec<Check>, ManifestError> {
    let deployment = observed.deployment.as_ref().ok().and_then(Option::as_ref);
    let expected = expected_objects(deployment, &observed.namespace)?;
    let mut checks = vec![versions::api_server(observed), versions::definitions(observed, &expected)];
    checks.push(workload::deployment(observed));
    checks.push(workload::pods(observed));
    checks.push(versions::replicas(observed));
    checks.push(rights::rights(observed));
    checks.push(service::service(observed, &expected));
    checks.push(webhooks::webhooks(observed, &expected));
    checks.push(webhooks::selectors(observed, &expected));
    checks.push(certificates::certificate(observed));
    checks.push(certificates::ca_bundle(observed));
    checks.push(calls::port(observed));
    checks.push(calls::call(observed));
    checks.push(calls::fail_open(observed));
    checks.push(inside::missed_pods(observed));
    checks.extend(inside::policies(observed));
    checks.push(inside::node_cache(observed));
    checks.push(inside::registries(observed));
    Ok(checks)
}

/// Returns the checks of muslin's parts: what can be seen without a dry run, and without a question to muslin's pods.
///
/// # Errors
/// The manifests in the program cannot be read.
pub fn judge_parts(observed: &Observed) -> Result<Vec<Check>, ManifestError> {
    let deployment = observed.deployment.as_ref().ok().and_then(Option::as_ref);
    let expected = expected_objects(deployment, &observed.namespace)?;
    Ok(vec![
        workload::deployment(observed),
        workload::pods(observed),
        service::service(observed, &expected),
        webhooks::webhooks(observed, &expected),
        certificates::certificate(observed),
        certificates::ca_bundle(observed),
    ])
}
