//! Generates manifests in the styles of public repositories: lists in the column of their keys, maps in brackets, comments everywhere,
//! anchors with merge keys, block texts, several objects to a file, and custom resources with pods in them. Must not know how they are
//! read.

use std::fmt::Write as _;

use crate::generate::{Random, Shape};

/// The shapes of ten files, about half of which hold a pod of a built-in kind.
pub(crate) const SHAPES: [Shape; 10] = [
    commented_deployment,
    custom_definition,
    anchored_daemon_set,
    rollout,
    values_like_config,
    commented_deployment,
    workflow,
    dense_bundle,
    flow_job,
    commented_deployment,
];

const LICENSE: &str = "# Copyright 2024 The Example Authors.\n#\n# Licensed under the Apache License, Version 2.0 (the \"License\");\n# you may not use this file except in compliance with the License.\n# You may obtain a copy of the License at\n#\n#     http://www.apache.org/licenses/LICENSE-2.0\n#\n---\n";

/// Lists stand in the column of their keys, with comments before, behind and between the items.
fn commented_deployment(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text = LICENSE.to_owned();
    let _ = write!(
        text,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}   # also the name of the Service\n  namespace: {namespace}\n  \
         annotations: {{ \"example.com/owner\": 'team-a', example.com/tier: \"2\" }}\nspec:\n  # Scaled by hand until the autoscaler is fixed.\n  replicas: {}\n  selector: {{ matchLabels: {{ app: {name} }} }}\n  \
         template:\n    metadata:\n      labels: {{ app: {name}, version: v1 }}\n    spec:\n      # The node pool of this team.\n      nodeSelector: {{ pool: general }}\n      containers:\n",
        1 + random.below(4),
    );
    for container in 0..1 + random.below(3) {
        let _ = write!(
            text,
            "      # ---- container {container} ----\n      - name: c{container}\n        image: {}   # pinned by the release job\n        command:\n        - /bin/sh\n        - -c\n        - |\n          set -e\n          \
             # wait for the database\n          until nc -z db 5432; do sleep 1; done\n          exec server --port=8080\n        args: [ \"--verbose\", '--color=never', --timeout=30s ]\n        env:\n        \
             - {{ name: LOG_LEVEL, value: info }}\n        # - {{ name: DEBUG, value: \"1\" }}\n        - {{ name: POD_IP, valueFrom: {{ fieldRef: {{ fieldPath: status.podIP }} }} }}\n        \
             ports: [ {{ containerPort: 8080, name: http }} ]\n        resources: {{ limits: {{ cpu: 500m, memory: 256Mi }}, requests: {{ cpu: 100m, memory: 64Mi }} }}\n\n",
            random.image(),
        );
    }
    text.push_str("      volumes:\n      - name: secrets\n        secret:\n          secretName: s\n          defaultMode: 0400 # owner reads\n");
    if random.chance(15) {
        text.push_str(
            "      dnsConfig:\n        options:\n        # fewer queries\n        - {name: ndots, value: \"2\"}\n",
        );
    }
    text
}

/// Half of the text is the schema of a custom resource.
fn custom_definition(random: &mut Random, name: &str, _: &str) -> String {
    let mut text = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {name}s.example.com\nspec:\n  group: example.com\n  names: {{kind: Widget, plural: {name}s}}\n  scope: Namespaced\n  \
         versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          spec:\n            type: object\n            properties:\n"
    );
    for field in 0..20 + random.below(40) {
        let _ = write!(
            text,
            "              field{field}:\n                description: |-\n                  Field {field} of the widget. It holds what the controller needs\n                  to know about {:x}.\n                type: string\n                \
             x-kubernetes-validations:\n                - rule: self != \"\"\n                  message: 'must not be empty'\n",
            random.next(),
        );
    }
    text
}

/// Anchors, aliases and merge keys.
fn anchored_daemon_set(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  labels: &labels\n    app: {name}\n    tier: node\nspec:\n  selector:\n    matchLabels: *labels\n  template:\n    metadata:\n      \
         labels:\n        <<: *labels\n        extra: \"yes\"\n    spec:\n      hostNetwork: {}\n      containers:\n      - &agent\n        name: agent\n        image: {}\n        env: &env\n        - name: NODE\n          valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}\n        \
         resources: &resources {{requests: {{cpu: 10m}}, limits: {{memory: 64Mi}}}}\n      - name: sidecar\n        image: {}\n        env: *env\n        resources: *resources\n",
        random.chance(50),
        random.image(),
        random.image(),
    )
}

/// A custom resource with a pod template.
fn rollout(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  strategy:\n    canary:\n      steps:\n      - setWeight: 20\n      - pause: {{}}\n      - setWeight: 40\n      - pause: {{duration: 10m}}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      - name: app\n        image: \"{}\"\n        ports:\n        - containerPort: 80\n",
        random.image(),
    )
}

/// Texts of many lines in single and double quotes and in blocks.
fn values_like_config(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text = format!(
        "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: {name}\n  namespace: '{namespace}'\ndata:\n  motd: \"Welcome to \\\"{name}\\\",\n    please\\tread\n    the rules\"\n  config.json: |-\n    {{\n      \"servers\": [\n"
    );
    for line in 0..20 + random.below(40) {
        let _ = writeln!(text, "        {{ \"host\": \"h{line}.example.com\", \"weight\": {} }},", random.below(100));
    }
    text.push_str("      ]\n    }\n  run.sh: >\n    echo one\n    && echo two\n\n    # done\n");
    text
}

fn workflow(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  generateName: {name}-\n  namespace: {namespace}\nspec:\n  entrypoint: main\n  templates:\n  - name: main\n    dag:\n      tasks:\n"
    );
    let tasks = 2 + random.below(8);
    for task in 0..tasks {
        let _ = writeln!(
            text,
            "      - {{name: t{task}, template: step, arguments: {{parameters: [{{name: n, value: '{task}'}}]}}}}"
        );
    }
    let _ = write!(
        text,
        "  - name: step\n    inputs:\n      parameters: [{{name: n}}]\n    container:\n      image: {}\n      command: [sh, -c]\n      args: [\"echo {{{{inputs.parameters.n}}}}\"]\n",
        random.image(),
    );
    text
}

/// Several objects in one file, as tools render them.
fn dense_bundle(random: &mut Random, name: &str, namespace: &str) -> String {
    let mut text = String::new();
    for part in 0..3 + random.below(4) {
        let _ = write!(
            text,
            "---\n# Source: {name}/templates/part-{part}.yaml\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}-{part}\n  namespace: {namespace}\n  labels:\n    helm.sh/chart: {name}-1.2.3\n    \
             app.kubernetes.io/managed-by: Helm\nautomountServiceAccountToken: true\n---\n# Source: {name}/templates/role-{part}.yaml\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: {name}-{part}\nrules:\n\
             - apiGroups: [\"\"]\n  resources: [\"pods\", \"pods/log\"]\n  verbs: [\"get\", \"list\", \"watch\"]\n",
        );
    }
    text
}

fn flow_job(random: &mut Random, name: &str, namespace: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, namespace: {namespace}}},\n spec: {{backoffLimit: {}, template: {{\n  spec: {{restartPolicy: Never, containers: [\n   {{name: a, image: \"{}\", command: [sh, -c, 'exit 0']}}, # the only one\n  ]}}}}}}}}\n",
        random.below(6),
        random.image(),
    )
}
