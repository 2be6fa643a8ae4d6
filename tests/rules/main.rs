//! Each rule on whole manifests, as people write them: `<slug>/fires.yaml`, `near.yaml` that nearly is the same trouble
//! and is none, and `fixed.yaml`, which is `fires.yaml` after its author did what the rule says. And all rules on known
//! images, against what is true of these by another account. Through the library's public face only.

#![expect(clippy::unwrap_used, reason = "an example that cannot be read fails the test")]

mod examples;
mod truth;

use json_patch::patch;
use muslin::image;
use muslin::manifest::{Stream, objects};
use muslin::plan::{Context, Plan, plan};
use muslin::pod::Pod;
use muslin::policy::{BrokenDomain, DomainFault, Mode, Profile};
use serde_json::Value;

/// The pods and pod templates of a manifest.
fn pods(manifest: &str) -> Vec<Value> {
    let documents = Stream::new(manifest).documents;
    documents
        .iter()
        .flat_map(|document| {
            let tree = document.parse().unwrap();
            let pointers = objects(tree.root()).filter_map(|object| object.pod_pointer());
            pointers.map(|pointer| tree.root().pointer(&pointer).unwrap().to_value().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the plan for a pod whose images are known by their names.
fn planned(pod: &Value, mode: Mode, profile: &str) -> Plan {
    let json = pod.to_string();
    let pod: Pod<'_> = serde_json::from_str(&json).unwrap();
    let fingerprints = pod
        .containers()
        .map(|container| image::assume_started(container.image(), container.started().as_deref()))
        .collect();
    let profile = Profile::builtin(profile).unwrap();
    // Only the pod of one example is on a node with a broken domain.
    let is_on_it = pod.labels().get("app").is_some_and(|app| app == "broken-search-domain");
    let broken = BrokenDomain { domain: "corp.example.com".to_owned(), fault: DomainFault::NoData };
    let broken_domains: Vec<_> = is_on_it.then_some(broken).into_iter().collect();
    let context = Context { mode, broken_domains: &broken_domains, ..Context::usual(&profile) };
    plan(&pod, fingerprints, &context).unwrap()
}

/// The pod after muslin changed it.
fn changed(pod: &Value, profile: &str) -> Value {
    let mut changed = pod.clone();
    patch(&mut changed, &planned(pod, Mode::Inject, profile).patch).unwrap();
    changed
}
