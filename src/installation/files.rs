//! The files of `manifests` that are part of the program.

/// The files by their paths below `manifests`.
pub(super) const FILES: &[(&str, &str)] = &[
    ("base/certificates.yaml", include_str!("../../manifests/base/certificates.yaml")),
    ("base/cluster-role.yaml", include_str!("../../manifests/base/cluster-role.yaml")),
    ("base/crds.yaml", include_str!("../../manifests/base/crds.yaml")),
    ("base/deployment.yaml", include_str!("../../manifests/base/deployment.yaml")),
    ("base/kustomization.yaml", include_str!("../../manifests/base/kustomization.yaml")),
    ("base/mutating-webhook.yaml", include_str!("../../manifests/base/mutating-webhook.yaml")),
    ("base/name-references.yaml", include_str!("../../manifests/base/name-references.yaml")),
    ("base/namespace.yaml", include_str!("../../manifests/base/namespace.yaml")),
    ("base/role.yaml", include_str!("../../manifests/base/role.yaml")),
    ("base/service-account.yaml", include_str!("../../manifests/base/service-account.yaml")),
    ("base/service.yaml", include_str!("../../manifests/base/service.yaml")),
    ("base/validating-webhook.yaml", include_str!("../../manifests/base/validating-webhook.yaml")),
    ("components/aks/kustomization.yaml", include_str!("../../manifests/components/aks/kustomization.yaml")),
    ("components/aks/mutating-webhook.yaml", include_str!("../../manifests/components/aks/mutating-webhook.yaml")),
    ("components/aks/validating-webhook.yaml", include_str!("../../manifests/components/aks/validating-webhook.yaml")),
    (
        "components/cert-manager/certificates.yaml",
        include_str!("../../manifests/components/cert-manager/certificates.yaml"),
    ),
    (
        "components/cert-manager/kustomization.yaml",
        include_str!("../../manifests/components/cert-manager/kustomization.yaml"),
    ),
    ("components/eks/kustomization.yaml", include_str!("../../manifests/components/eks/kustomization.yaml")),
    (
        "components/enforce-everywhere-but-system/deployment.yaml",
        include_str!("../../manifests/components/enforce-everywhere-but-system/deployment.yaml"),
    ),
    (
        "components/enforce-everywhere-but-system/kustomization.yaml",
        include_str!("../../manifests/components/enforce-everywhere-but-system/kustomization.yaml"),
    ),
    (
        "components/enforce-everywhere-but-system/validating-webhook.yaml",
        include_str!("../../manifests/components/enforce-everywhere-but-system/validating-webhook.yaml"),
    ),
    ("components/gke/deployment.yaml", include_str!("../../manifests/components/gke/deployment.yaml")),
    ("components/gke/kustomization.yaml", include_str!("../../manifests/components/gke/kustomization.yaml")),
    (
        "components/high-availability/deployment.yaml",
        include_str!("../../manifests/components/high-availability/deployment.yaml"),
    ),
    (
        "components/high-availability/kustomization.yaml",
        include_str!("../../manifests/components/high-availability/kustomization.yaml"),
    ),
    (
        "components/high-availability/pod-disruption-budget.yaml",
        include_str!("../../manifests/components/high-availability/pod-disruption-budget.yaml"),
    ),
    (
        "components/host-network/deployment.yaml",
        include_str!("../../manifests/components/host-network/deployment.yaml"),
    ),
    (
        "components/host-network/kustomization.yaml",
        include_str!("../../manifests/components/host-network/kustomization.yaml"),
    ),
    ("components/host-network/namespace.yaml", include_str!("../../manifests/components/host-network/namespace.yaml")),
    (
        "components/image-inspection/cluster-role.yaml",
        include_str!("../../manifests/components/image-inspection/cluster-role.yaml"),
    ),
    (
        "components/image-inspection/deployment.yaml",
        include_str!("../../manifests/components/image-inspection/deployment.yaml"),
    ),
    (
        "components/image-inspection/kustomization.yaml",
        include_str!("../../manifests/components/image-inspection/kustomization.yaml"),
    ),
    (
        "components/network-policy/kustomization.yaml",
        include_str!("../../manifests/components/network-policy/kustomization.yaml"),
    ),
    (
        "components/network-policy/network-policy.yaml",
        include_str!("../../manifests/components/network-policy/network-policy.yaml"),
    ),
    ("components/openshift/deployment.yaml", include_str!("../../manifests/components/openshift/deployment.yaml")),
    (
        "components/openshift/kustomization.yaml",
        include_str!("../../manifests/components/openshift/kustomization.yaml"),
    ),
    (
        "components/own-certificate/deployment.yaml",
        include_str!("../../manifests/components/own-certificate/deployment.yaml"),
    ),
    (
        "components/own-certificate/kustomization.yaml",
        include_str!("../../manifests/components/own-certificate/kustomization.yaml"),
    ),
    ("components/policies/cluster-role.yaml", include_str!("../../manifests/components/policies/cluster-role.yaml")),
    ("components/policies/deployment.yaml", include_str!("../../manifests/components/policies/deployment.yaml")),
    ("components/policies/kustomization.yaml", include_str!("../../manifests/components/policies/kustomization.yaml")),
    (
        "components/policies/validating-webhook.yaml",
        include_str!("../../manifests/components/policies/validating-webhook.yaml"),
    ),
    (
        "components/private-registries/deployment.yaml",
        include_str!("../../manifests/components/private-registries/deployment.yaml"),
    ),
    (
        "components/private-registries/kustomization.yaml",
        include_str!("../../manifests/components/private-registries/kustomization.yaml"),
    ),
    (
        "components/pull-secrets/cluster-role.yaml",
        include_str!("../../manifests/components/pull-secrets/cluster-role.yaml"),
    ),
    (
        "components/pull-secrets/deployment.yaml",
        include_str!("../../manifests/components/pull-secrets/deployment.yaml"),
    ),
    (
        "components/pull-secrets/kustomization.yaml",
        include_str!("../../manifests/components/pull-secrets/kustomization.yaml"),
    ),
    ("components/reports/cluster-role.yaml", include_str!("../../manifests/components/reports/cluster-role.yaml")),
    ("components/reports/deployment.yaml", include_str!("../../manifests/components/reports/deployment.yaml")),
    ("components/reports/kustomization.yaml", include_str!("../../manifests/components/reports/kustomization.yaml")),
    (
        "components/watch-node-files/daemon-set.yaml",
        include_str!("../../manifests/components/watch-node-files/daemon-set.yaml"),
    ),
    (
        "components/watch-node-files/kustomization.yaml",
        include_str!("../../manifests/components/watch-node-files/kustomization.yaml"),
    ),
    (
        "components/watch-node-files/namespace.yaml",
        include_str!("../../manifests/components/watch-node-files/namespace.yaml"),
    ),
    (
        "components/watch-rights/cluster-role.yaml",
        include_str!("../../manifests/components/watch-rights/cluster-role.yaml"),
    ),
    (
        "components/watch-rights/kustomization.yaml",
        include_str!("../../manifests/components/watch-rights/kustomization.yaml"),
    ),
    (
        "components/watch-rights/service-account.yaml",
        include_str!("../../manifests/components/watch-rights/service-account.yaml"),
    ),
    ("components/watch-zones/deployment.yaml", include_str!("../../manifests/components/watch-zones/deployment.yaml")),
    (
        "components/watch-zones/kustomization.yaml",
        include_str!("../../manifests/components/watch-zones/kustomization.yaml"),
    ),
    ("components/watch/daemon-set.yaml", include_str!("../../manifests/components/watch/daemon-set.yaml")),
    ("components/watch/kustomization.yaml", include_str!("../../manifests/components/watch/kustomization.yaml")),
    ("monitoring/dashboard.json", include_str!("../../manifests/monitoring/dashboard.json")),
    ("monitoring/kustomization.yaml", include_str!("../../manifests/monitoring/kustomization.yaml")),
    ("monitoring/pod-monitor.yaml", include_str!("../../manifests/monitoring/pod-monitor.yaml")),
    ("monitoring/prometheus-rule.yaml", include_str!("../../manifests/monitoring/prometheus-rule.yaml")),
];

/// Is true if the path is a file's.
pub(super) fn is_file(path: &str) -> bool {
    FILES.iter().any(|(name, _)| *name == path)
}

/// Returns the path that a file of a folder names, such as `../own-certificate`.
pub(super) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
