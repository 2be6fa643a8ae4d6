//! The Service by which API servers reach muslin.

use serde_json::Value;

use crate::doctor::check::{APPLY, Check};
use crate::doctor::observed::Observed;
use crate::doctor::shape::{array, text};

pub(super) fn service(observed: &Observed, expected: &[Value]) -> Check {
    const NAME: &str = "service";
    let namespace = &observed.namespace;
    let service = match &observed.service {
        Ok(Some(service)) => service,
        Ok(None) => {
            return Check::wrong(NAME, format!("there is no Service muslin in namespace {namespace}"), APPLY);
        }
        Err(unseen) => return unseen.check(NAME, "muslin's Service"),
    };
    let slices = match &observed.slices {
        Ok(slices) => slices,
        Err(unseen) => return unseen.check(NAME, "the EndpointSlices of muslin's Service"),
    };
    let selector = &service["spec"]["selector"];
    let unselected = unselected_pods(observed, selector);
    let ready = slices.iter().flat_map(|slice| array(slice, "/endpoints")).filter(is_ready).count();
    if let Some(pod) = unselected {
        let wanted = expected.iter().find(|object| text(object, "/kind") == "Service");
        let wanted = wanted.map(|wanted| wanted["spec"]["selector"].to_string()).unwrap_or_default();
        return Check::wrong(
            NAME,
            format!("the selector {selector} of the Service muslin does not match the labels of the pod {pod}"),
            format!("set the selector to {wanted}, or {APPLY}"),
        );
    }
    if ready == 0 {
        return Check::wrong(
            NAME,
            "the Service muslin has no ready endpoint",
            "the check pods has the reason, unless the controller manager does not run",
        );
    }
    let endpoints = if ready == 1 { "1 ready endpoint".to_owned() } else { format!("{ready} ready endpoints") };
    Check::ok(NAME, format!("the Service muslin has {endpoints}"))
}

/// Returns a pod of the Deployment that the Service's selector does not match.
fn unselected_pods<'o>(observed: &'o Observed, selector: &Value) -> Option<&'o str> {
    let pods = observed.pods.as_ref().ok()?;
    let wanted = selector.as_object()?;
    let is_selected =
        |pod: &Value| wanted.iter().all(|(label, value)| pod["metadata"]["labels"].get(label) == Some(value));
    pods.iter().find(|pod| !is_selected(pod)).map(|pod| text(pod, "/metadata/name"))
}

fn is_ready(endpoint: &&Value) -> bool {
    // An absent condition means ready (`kubectl explain endpointslice.endpoints.conditions.ready`).
    endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
}
