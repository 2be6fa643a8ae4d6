//! The JSON Patch (RFC 6902) of a plan. The patch applies to the pod as the API server sent it: no parent is missing, nothing of others is
//! overwritten, and a pod that is as desired gets an empty patch. The API server denies the whole request if a patch does not apply,
//! whatever the failure policy (kubernetes `staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook`).

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value, json};

use crate::pod::{self, Dns, DnsOption, Pod};
use crate::policy::Stage;

use super::messages;
use super::pod_plan::Plan;

/// Returns the patch that changes the pod as planned. `removed` are the indexes of options that the pod should not have any more.
pub(super) fn patch(pod: &Pod<'_>, current: &Dns, desired: &Dns, removed: &[usize], plan: &Plan) -> Patch {
    let mut patch = Operations::default();
    patch.metadata(pod, plan);
    patch.dns(pod, current, desired, removed);
    Patch(patch.0)
}

#[derive(Default)]
struct Operations(Vec<PatchOperation>);

// === impl Operations ===

impl Operations {
    /// Sets a value; `add` also replaces an existing member of an object (RFC 6902, 4.1).
    fn add<const N: usize>(&mut self, path: [&str; N], value: Value) {
        self.0.push(PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value }));
    }

    fn remove<const N: usize>(&mut self, path: [&str; N]) {
        self.0.push(PatchOperation::Remove(RemoveOperation { path: PointerBuf::from_tokens(path) }));
    }

    fn metadata(&mut self, pod: &Pod<'_>, plan: &Plan) {
        let annotations = annotations(pod, plan);
        let labels = labels(pod, plan);
        let metadata = pod.metadata.as_ref();
        if metadata.is_none() {
            self.add(["metadata"], json!({}));
        }
        if metadata.is_some_and(|metadata| metadata.labels.is_some()) {
            for (key, value) in labels {
                self.add(["metadata", "labels", key], json!(value));
            }
        } else if !labels.is_empty() {
            self.add(
                ["metadata", "labels"],
                labels.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect(),
            );
        }
        if metadata.is_some_and(|metadata| metadata.annotations.is_some()) {
            for (key, value) in annotations {
                match value {
                    Some(value) => self.add(["metadata", "annotations", key], json!(value)),
                    None => self.remove(["metadata", "annotations", key]),
                }
            }
        } else {
            let map: Map<String, Value> =
                annotations.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))).collect();
            if !map.is_empty() {
                self.add(["metadata", "annotations"], Value::Object(map));
            }
        }
    }

    fn dns(&mut self, pod: &Pod<'_>, current: &Dns, desired: &Dns, removed: &[usize]) {
        if desired.policy != current.policy {
            self.add(["spec", "dnsPolicy"], json!(desired.policy.name()));
        }
        let shape = pod.dns_config_shape();
        let lists = [
            ("nameservers", &current.nameservers, &desired.nameservers),
            ("searches", &current.searches, &desired.searches),
        ];
        let mut whole = Map::new();
        for (field, current, desired) in lists {
            if current != desired {
                whole.insert(field.to_owned(), json!(desired));
            }
        }
        if current.options != desired.options && !shape.has_options {
            whole.insert("options".to_owned(), desired.options.iter().map(option).collect());
        }
        if shape.is_object {
            for (field, value) in whole {
                self.add(["spec", "dnsConfig", &field], value);
            }
            if shape.has_options {
                self.options(&current.options, &desired.options, removed);
            }
        } else if !whole.is_empty() {
            self.add(["spec", "dnsConfig"], Value::Object(whole));
        }
    }

    /// Removes options by their indexes, changes the ones that differ, and appends the new ones. Options are changed field by field, so
    /// that unknown fields stay.
    fn options(&mut self, current: &[DnsOption], desired: &[DnsOption], removed: &[usize]) {
        for index in removed.iter().rev() {
            self.remove(["spec", "dnsConfig", "options", &index.to_string()]);
        }
        let kept = current.iter().enumerate().filter(|(index, _)| removed.binary_search(index).is_err());
        let kept: Vec<&DnsOption> = kept.map(|(_, option)| option).collect();
        for (index, (current, desired)) in kept.iter().zip(desired).enumerate() {
            let index = index.to_string();
            if current.name != desired.name {
                self.add(["spec", "dnsConfig", "options", &index, "name"], json!(desired.name));
            }
            if current.value != desired.value {
                self.add(["spec", "dnsConfig", "options", &index, "value"], json!(desired.value));
            }
        }
        for new in desired.iter().skip(kept.len()) {
            self.add(["spec", "dnsConfig", "options", "-"], option(new));
        }
    }
}

fn option(option: &DnsOption) -> Value {
    match &option.value {
        Some(value) => json!({ "name": option.name, "value": value }),
        None => json!({ "name": option.name }),
    }
}

/// Returns the labels to set, because their values differ from the plan. A pod outside of every rollout keeps what it has.
fn labels(pod: &Pod<'_>, plan: &Plan) -> Vec<(&'static str, &'static str)> {
    let wanted = [
        (pod::LIBC_LABEL, pod.libc_label(), Some(plan.libc.name())),
        (pod::ROLLOUT_KEY, pod.rollout_label(), plan.rollout.label().map(Stage::name)),
    ];
    let differs = |(key, present, value): (_, Option<&str>, Option<_>)| {
        Some((key, value.filter(|value| present != Some(*value))?))
    };
    wanted.into_iter().filter_map(differs).collect()
}

/// Returns the annotations to set or to remove, because their values differ from the plan. If the pod's own annotations leave too little
/// room, the ones that explain least are left out.
fn annotations(pod: &Pod<'_>, plan: &Plan) -> Vec<(&'static str, Option<String>)> {
    let present = pod.annotations();
    let injected = (!plan.injected.is_empty()).then(|| plan.injected.to_string());
    // A pod outside of every rollout keeps what it has.
    let rollout = if plan.rollout.is_empty() {
        present.rollout.as_deref().map(str::to_owned)
    } else {
        Some(plan.rollout.to_string())
    };
    let wanted = [
        // First: without its record a second pass would draw the pod again.
        (pod::ROLLOUT_KEY, present.rollout.as_deref(), rollout),
        (pod::INJECTED_ANNOTATION, present.injected.as_deref(), injected),
        (pod::WARNINGS_ANNOTATION, present.warnings.as_deref(), messages::warnings_annotation(plan)),
        (pod::RESOLVERS_ANNOTATION, present.resolvers.as_deref(), Some(plan.resolvers.to_string())),
    ];
    let mut room = present.room();
    wanted
        .into_iter()
        .filter_map(|(key, present, value)| {
            let value = value.filter(|value| {
                let size = key.len() + value.len();
                let fits = size <= room;
                room -= if fits { size } else { 0 };
                fits
            });
            (value.as_deref() != present).then_some((key, value))
        })
        .collect()
}
