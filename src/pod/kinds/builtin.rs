//! Kubernetes' own kinds that make pods.

use super::kind::{PodKind, PodPlace};

/// The group of Deployment, DaemonSet and ReplicaSet until Kubernetes 1.16; some charts still use it.
const OLD_APPS_GROUP: &str = "extensions";

const IN_SPEC: &[PodPlace] = &[PodPlace::template("/spec/template")];

const CORE: &str = "kubernetes/kubernetes staging/src/k8s.io/api/core/v1/types.go";
const APPS: &str = "kubernetes/kubernetes staging/src/k8s.io/api/apps/v1/types.go";
const BATCH: &str = "kubernetes/kubernetes staging/src/k8s.io/api/batch/v1/types.go";

pub(super) const KINDS: &[PodKind] = &[
    PodKind::new(("", "Pod", "pods"), &[PodPlace::template("")], CORE),
    PodKind::new(("apps", "Deployment", "deployments"), IN_SPEC, APPS),
    PodKind::new(("apps", "StatefulSet", "statefulsets"), IN_SPEC, APPS),
    PodKind::new(("apps", "DaemonSet", "daemonsets"), IN_SPEC, APPS),
    PodKind::new(("apps", "ReplicaSet", "replicasets"), IN_SPEC, APPS),
    PodKind::new(("", "ReplicationController", "replicationcontrollers"), IN_SPEC, CORE),
    PodKind::new(("batch", "CronJob", "cronjobs"), &[PodPlace::template("/spec/jobTemplate/spec/template")], BATCH),
    PodKind::new(("batch", "Job", "jobs"), IN_SPEC, BATCH),
    PodKind::new(("", "PodTemplate", "podtemplates"), &[PodPlace::template("/template")], CORE),
];

/// Returns the group that a kind of this group is in today.
pub(super) fn current_group<'g>(group: &'g str, kind: &str) -> &'g str {
    let moved = matches!(kind, "Deployment" | "DaemonSet" | "ReplicaSet");
    if group == OLD_APPS_GROUP && moved { "apps" } else { group }
}
