//! Generates folders of manifests like those in real repositories: one folder for each application, with workloads, Services,
//! ConfigMaps and so on, and comments. The same seed gives the same bytes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The generated files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

/// Images in realistic proportions: about a third on Alpine, a third on glibc, the rest from a company's own registry, whose names
/// show no resolver.
const IMAGES: [&str; 12] = [
    "alpine:3.19",
    "node:20-alpine",
    "nginx:1.25-alpine3.18",
    "redis:7.2-alpine",
    "postgres:16",
    "python:3.12-slim-bookworm",
    "debian:12",
    "gcr.io/distroless/static-debian12:nonroot",
    "registry.example.com/shop/checkout:2024.11.3",
    "registry.example.com/shop/web@sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270",
    "ghcr.io/example/exporter:v1.9.0",
    "envoyproxy/envoy:v1.30.1",
];

/// A generator of one file, given its object's name and namespace.
pub(crate) type Shape = fn(&mut Random, &str, &str) -> String;

/// The shapes of ten files. Half of them hold a pod, as in a real application's folder.
pub(crate) const SHAPES: [Shape; 10] =
    [deployment, service, config_map, deployment, ingress, cron_job, role, stateful_set, autoscaler, deployment];

// === impl Random ===

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn image(&mut self) -> &'static str {
        IMAGES[self.below(IMAGES.len())]
    }
}

/// Writes files of these shapes below a folder, ten to a folder.
pub(crate) fn generate(root: &Path, shapes: &[Shape; 10], files: usize, seed: u64) -> Result<Made> {
    let mut random = Random(seed);
    let mut made = Made::default();
    for index in 0..files {
        let (team, app) = (index / 100, index / 10);
        let folder = root.join(format!("team-{team:03}/app-{app:05}"));
        let (name, namespace) = (format!("app-{app:05}"), format!("team-{team:03}"));
        let shape = index % shapes.len();
        let text = shapes[shape](&mut random, &format!("{name}-{shape}"), &namespace);
        fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
        let path = folder.join(format!("{:02}.yaml", index % 10));
        fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
        made.files += 1;
        made.bytes += text.len();
    }
    Ok(made)
}

fn metadata(name: &str, namespace: &str) -> String {
    format!(
        "metadata:\n  name: {name}\n  namespace: {namespace}\n  labels:\n    app.kubernetes.io/name: {name}\n    \
         app.kubernetes.io/part-of: {namespace}\n    app.kubernetes.io/managed-by: kustomize\n"
    )
}

/// Returns the pod template of a workload, indented to a column.
fn template(random: &mut Random, name: &str, column: usize) -> String {
    let mut text = format!(
        "template:\n  metadata:\n    labels:\n      app.kubernetes.io/name: {name}\n    annotations:\n      prometheus.io/scrape: \"true\"\n      \
         prometheus.io/port: \"9090\"\n  spec:\n    serviceAccountName: {name}\n    securityContext:\n      runAsNonRoot: true\n      runAsUser: 10001\n      \
         seccompProfile:\n        type: RuntimeDefault\n    containers:\n"
    );
    for container in 0..1 + random.below(3) {
        let _ = write!(
            text,
            "      - name: c{container}\n        image: {}\n        imagePullPolicy: IfNotPresent\n        args: [\"--port=8080\", \"--log-level=info\"]\n        \
             ports:\n          - name: http\n            containerPort: 8080\n        env:\n          - name: LOG_LEVEL\n            value: info\n          \
             - name: DATABASE_URL # rotated weekly\n            valueFrom:\n              secretKeyRef:\n                name: {name}-database\n                key: url\n        \
             resources:\n          requests: {{cpu: 100m, memory: 128Mi}}\n          limits: {{memory: 512Mi}}\n        readinessProbe:\n          httpGet:\n            \
             path: /healthz\n            port: http\n          initialDelaySeconds: 5\n          periodSeconds: 10\n        volumeMounts:\n          \
             - name: config\n            mountPath: /etc/{name}\n            readOnly: true\n",
            random.image(),
        );
    }
    text.push_str("    volumes:\n      - name: config\n        configMap:\n");
    let _ = writeln!(text, "          name: {name}-config");
    if random.chance(15) {
        let ndots = 1 + random.below(3);
        let _ = write!(text, "    dnsConfig:\n      options:\n        - name: ndots\n          value: \"{ndots}\"\n");
        if random.chance(30) {
            text.push_str("        - name: single-request-reopen\n");
        }
    }
    text.lines().map(|line| format!("{:column$}{line}\n", "")).collect()
}

fn deployment(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "# {name}: see the runbook before you change replicas.\napiVersion: apps/v1\nkind: Deployment\n{}spec:\n  replicas: {}\n  strategy:\n    rollingUpdate:\n      \
         maxSurge: 1\n      maxUnavailable: 0\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: {name}\n{}",
        metadata(name, namespace),
        1 + random.below(5),
        template(random, name, 2),
    )
}

fn stateful_set(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\n{}spec:\n  serviceName: {name}\n  replicas: 3\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: {name}\n{}  \
         volumeClaimTemplates:\n    - metadata:\n        name: data\n      spec:\n        accessModes: [ReadWriteOnce]\n        resources:\n          requests:\n            storage: 10Gi\n---\n{}",
        metadata(name, namespace),
        template(random, name, 2),
        service(random, name, namespace),
    )
}

fn cron_job(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\n{}spec:\n  schedule: \"{} 3 * * *\"\n  concurrencyPolicy: Forbid\n  jobTemplate:\n    spec:\n      backoffLimit: 2\n{}",
        metadata(name, namespace),
        random.below(60),
        template(random, name, 6),
    )
}

fn service(_: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\n{}spec:\n  type: ClusterIP\n  selector:\n    app.kubernetes.io/name: {name}\n  ports:\n    - name: http\n      port: 80\n      targetPort: http\n    \
         - name: metrics\n      port: 9090\n      targetPort: metrics\n",
        metadata(name, namespace),
    )
}

fn config_map(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text =
        format!("apiVersion: v1\nkind: ConfigMap\n{}data:\n  application.properties: |\n", metadata(name, namespace));
    for line in 0..20 + random.below(60) {
        let _ = writeln!(text, "    feature.{line}.enabled={} # {:x}", random.chance(50), random.next());
    }
    text
}

fn ingress(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n{}spec:\n  ingressClassName: nginx\n  rules:\n",
        metadata(name, namespace)
    );
    for rule in 0..1 + random.below(4) {
        let _ = write!(
            text,
            "    - host: {name}-{rule}.example.com\n      http:\n        paths:\n          - path: /\n            pathType: Prefix\n            backend:\n              service:\n                \
             name: {name}\n                port:\n                  name: http\n"
        );
    }
    text
}

fn role(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text =
        format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n{}rules:\n", metadata(name, namespace));
    for _ in 0..1 + random.below(5) {
        text.push_str("  - apiGroups: [\"\", \"apps\"]\n    resources: [\"configmaps\", \"deployments\"]\n    verbs: [\"get\", \"list\", \"watch\"]\n");
    }
    text
}

fn autoscaler(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n{}spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {name}\n  minReplicas: 2\n  \
         maxReplicas: {}\n  metrics:\n    - type: Resource\n      resource:\n        name: cpu\n        target:\n          type: Utilization\n          averageUtilization: 70\n",
        metadata(name, namespace),
        4 + random.below(20),
    )
}
