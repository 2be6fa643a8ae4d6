//! Where the pod template stands in each kind of workload.

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
