//! What makes pods: where the pod template stands in each kind of workload, and the part of one that matters.

use serde::Deserialize;

use super::object::objects;
use super::{Metadata, Pod};

/// A Deployment, a CronJob or another object that holds a pod template. Which of the two places has it its kind tells.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Workload<'a> {
    /// Its own metadata, not the template's.
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
    spec: Option<JobSpec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
struct JobSpec<'a> {
    #[serde(borrow, default)]
    template: Option<Pod<'a>>,
}

objects! { Workload, Spec, JobTemplate, JobSpec }

// === impl Workload ===

impl<'a> Workload<'a> {
    /// The template of its pods.
    pub fn template(&self) -> Option<&Pod<'a>> {
        let Spec { template, job_template } = self.spec.as_ref()?;
        template.as_ref().or_else(|| job_template.as_ref()?.spec.as_ref()?.template.as_ref())
    }

    /// The annotation [`super::IGNORE_ANNOTATION`] on the workload itself.
    pub fn ignores(&self) -> Option<&str> {
        self.metadata.as_ref()?.annotations.as_ref()?.ignore.as_deref()
    }
}

/// The JSON pointer from an object of this kind to its pod, or to its pod template; `None` for a kind that has none.
///
/// The kinds are those of Kubernetes' own API groups (kubernetes `pkg/apis/{core,apps,batch}/types.go`).
pub fn template_pointer(api_version: &str, kind: &str) -> Option<&'static str> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => Some(""),
        ("", "PodTemplate") => Some("/template"),
        ("", "ReplicationController")
        // Deployment, DaemonSet and ReplicaSet stood in `extensions` until Kubernetes 1.16, and charts still say so.
        | ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => Some("/spec/template"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_where_its_kind_has_it() {
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
            ("v1", "Service", None),
            ("example.com/v1", "Deployment", None),
        ] {
            assert_eq!(template_pointer(api_version, kind), pointer, "{api_version} {kind}");
        }
    }
}
