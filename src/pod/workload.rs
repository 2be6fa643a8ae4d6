//! Workloads, the objects that make pods: their kinds, the place of the pod template in each, and the part that matters to DNS.

use serde::Deserialize;

use super::keys::{KeyOwner, UnreadKey};
use super::object::{Metadata, Pod};
use super::objects_only::deserialize_objects_only;

/// A Deployment, a CronJob or another object with a pod template.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Workload<'a> {
    /// The workload's own metadata, not the template's.
    #[serde(borrow, default)]
    pub metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    spec: Option<Spec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, default)]
    template: Option<Pod<'a>>,
    #[serde(borrow, default)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
struct JobTemplate<'a> {
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    spec: Option<JobSpec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
struct JobSpec<'a> {
    #[serde(borrow, default)]
    template: Option<Pod<'a>>,
}

deserialize_objects_only! { Workload, Spec, JobTemplate, JobSpec }

// === impl Workload ===

impl<'a> Workload<'a> {
    /// Returns the template of the workload's pods.
    pub fn template(&self) -> Option<&Pod<'a>> {
        let Spec { template, job_template } = self.spec.as_ref()?;
        template.as_ref().or_else(|| job_template.as_ref()?.spec.as_ref()?.template.as_ref())
    }

    /// Returns the annotation [`super::IGNORE_ANNOTATION`] on the workload itself.
    pub fn ignores(&self) -> Option<&str> {
        self.metadata.as_ref()?.annotations.as_ref()?.ignore.as_deref()
    }

    /// Returns the labels and annotations of the workload and of its Job template that begin with `muslin.dev/` and that nothing
    /// reads, some of them.
    pub fn unread_keys(&self) -> impl Iterator<Item = UnreadKey<'_>> {
        let job = || self.spec.as_ref()?.job_template.as_ref()?.metadata.as_ref();
        let owners = [(KeyOwner::Workload, self.metadata.as_ref()), (KeyOwner::JobTemplate, job())];
        owners.into_iter().filter_map(|(owner, metadata)| Some(metadata?.unread_keys(owner))).flatten()
    }
}

/// A kind of object that makes pods.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkloadKind {
    /// The kind's name, such as `Deployment`.
    pub kind: &'static str,
    /// The API group, such as `apps`; empty for the core group.
    pub group: &'static str,
    /// The name in the API's paths, such as `deployments`.
    pub plural: &'static str,
    /// The JSON pointer from the object to its pod template.
    pub template_pointer: &'static str,
}

/// Every kind of Kubernetes' own API groups that makes pods, all of version `v1` (kubernetes `pkg/apis/{core,apps,batch}/types.go`).
pub const WORKLOAD_KINDS: [WorkloadKind; 7] = [
    WorkloadKind::apps("Deployment", "deployments"),
    WorkloadKind::apps("StatefulSet", "statefulsets"),
    WorkloadKind::apps("DaemonSet", "daemonsets"),
    WorkloadKind::apps("ReplicaSet", "replicasets"),
    WorkloadKind {
        kind: "ReplicationController",
        group: "",
        plural: "replicationcontrollers",
        template_pointer: "/spec/template",
    },
    WorkloadKind {
        kind: "CronJob",
        group: "batch",
        plural: "cronjobs",
        template_pointer: "/spec/jobTemplate/spec/template",
    },
    WorkloadKind { kind: "Job", group: "batch", plural: "jobs", template_pointer: "/spec/template" },
];

/// The group of Deployment, DaemonSet and ReplicaSet until Kubernetes 1.16; some charts still use it.
const OLD_APPS_GROUP: &str = "extensions";

// === impl WorkloadKind ===

impl WorkloadKind {
    const fn apps(kind: &'static str, plural: &'static str) -> Self {
        Self { kind, group: "apps", plural, template_pointer: "/spec/template" }
    }

    /// Returns the API server's path for the kind's group and version, such as `/apis/apps/v1`.
    pub fn api_path(&self) -> String {
        if self.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", self.group) }
    }
}

/// Returns the JSON pointer from an object of this kind to its pod, or to its pod template; `None` for a kind without pods.
pub fn template_pointer(api_version: &str, kind: &str) -> Option<&'static str> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => Some(""),
        ("", "PodTemplate") => Some("/template"),
        _ => WORKLOAD_KINDS
            .iter()
            .find(|known| {
                known.kind == kind && (known.group == group || known.group == "apps" && group == OLD_APPS_GROUP)
            })
            .map(|known| known.template_pointer),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn reads_the_template_of_a_deployment_and_of_a_cron_job() {
        let template = r#"{"spec":{"containers":[{"name":"app","image":"alpine"}]}}"#;
        for text in [
            format!(r#"{{"spec":{{"replicas":2,"template":{template}}}}}"#),
            format!(r#"{{"spec":{{"schedule":"@daily","jobTemplate":{{"spec":{{"template":{template}}}}}}}}}"#),
        ] {
            let workload: Workload<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(workload.template().unwrap().containers().count(), 1, "{text}");
        }
        let none: Workload<'_> = serde_json::from_str(r#"{"spec":{"jobTemplate":null,"template":null}}"#).unwrap();
        assert!(none.template().is_none());
    }

    #[test]
    fn finds_the_template_of_each_kind() {
        for (api_version, kind, pointer) in [
            ("v1", "Pod", Some("")),
            ("v1", "ReplicationController", Some("/spec/template")),
            ("apps/v1", "Deployment", Some("/spec/template")),
            ("apps/v1", "StatefulSet", Some("/spec/template")),
            ("apps/v1", "DaemonSet", Some("/spec/template")),
            ("apps/v1", "ReplicaSet", Some("/spec/template")),
            ("batch/v1", "Job", Some("/spec/template")),
            ("batch/v1", "CronJob", Some("/spec/jobTemplate/spec/template")),
            ("extensions/v1beta1", "Deployment", Some("/spec/template")),
            ("extensions/v1beta1", "Job", None),
            ("v1", "PodTemplate", Some("/template")),
            ("v1", "Service", None),
            ("example.com/v1", "Deployment", None),
        ] {
            assert_eq!(template_pointer(api_version, kind), pointer, "{api_version} {kind}");
        }
    }

    /// Every `{group}/{plural}` of the webhook `workloads.muslin.dev` in the manifest.
    fn kinds_of_the_webhook() -> BTreeSet<String> {
        const MANIFEST: &str = include_str!("../../manifests/base/validating-webhook.yaml");
        let manifest: Value = serde_saphyr::from_str(MANIFEST).unwrap();
        let webhooks = manifest["webhooks"].as_array().unwrap();
        let webhook = webhooks.iter().find(|webhook| webhook["name"] == "workloads.muslin.dev").unwrap();
        let rules = webhook["rules"].as_array().unwrap();
        rules
            .iter()
            .flat_map(|rule| {
                assert_eq!(rule["apiVersions"], json!(["v1"]));
                let group = rule["apiGroups"][0].as_str().unwrap();
                let plurals = rule["resources"].as_array().unwrap();
                plurals.iter().map(move |plural| format!("{group}/{}", plural.as_str().unwrap()))
            })
            .collect()
    }

    #[test]
    fn the_webhook_of_the_manifests_covers_every_kind() {
        let table = WORKLOAD_KINDS.iter().map(|kind| format!("{}/{}", kind.group, kind.plural)).collect();
        assert_eq!(kinds_of_the_webhook(), table);
    }
}
