//! Custom resources, patches and Helm values: where pods and their DNS settings are found, and where `--fix` and `inject` write.

use serde_json::{Value, json};

use crate::{Folder, inject};

/// A container on Alpine, in flow style.
const CONTAINER: &str = "{name: app, image: 'alpine:3.17'}";
/// A `dnsConfig` that makes every lookup fail.
const ZERO: &str = "{options: [{name: attempts, value: \"0\"}]}";

fn object(api_version: &str, kind: &str, spec: &str) -> String {
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n  {}\n", spec.replace('\n', "\n  "))
}

/// Returns the findings of level `deny` as `(line, path, container)`, in order.
fn denials(text: &str) -> Vec<(u64, String, Option<String>)> {
    let run = Folder::new().run_with(text, &["check", "-", "-o", "json", "--fail-on", "never"]).ended(0);
    let json = run.json();
    let findings = json["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "deny");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    findings
        .map(|finding| {
            (finding["line"].as_u64().unwrap(), text(&finding["path"]).unwrap(), text(&finding["container"]))
        })
        .collect()
}

/// Returns the text after `check --fix`.
fn fixed(text: &str) -> String {
    let folder = Folder::new().with("a.yaml", text);
    folder.run(&["check", "--fix", "--profile", "default", "--fail-on", "never", "a.yaml"]).ended(0);
    folder.read("a.yaml")
}

#[test]
fn a_pod_template_is_found_in_each_kind_that_holds_one() {
    let template = format!("{{spec: {{containers: [{CONTAINER}], dnsConfig: {ZERO}}}}}");
    for (api_version, kind, spec, place) in [
        ("argoproj.io/v1alpha1", "Rollout", "template: @", "/spec/template"),
        (
            "argoproj.io/v1alpha1",
            "AnalysisTemplate",
            "metrics: [{name: m, provider: {job: {spec: {template: @}}}}]",
            "/spec/metrics/0/provider/job/spec/template",
        ),
        ("apps.openshift.io/v1", "DeploymentConfig", "template: @", "/spec/template"),
        ("apps.kruise.io/v1alpha1", "CloneSet", "template: @", "/spec/template"),
        ("apps.kruise.io/v1beta1", "StatefulSet", "template: @", "/spec/template"),
        (
            "apps.kruise.io/v1alpha1",
            "AdvancedCronJob",
            "template: {broadcastJobTemplate: {spec: {template: @}}}",
            "/spec/template/broadcastJobTemplate/spec/template",
        ),
        ("keda.sh/v1alpha1", "ScaledJob", "jobTargetRef: {template: @}", "/spec/jobTargetRef/template"),
        (
            "kubeflow.org/v1",
            "PyTorchJob",
            "pytorchReplicaSpecs: {Master: {template: @}}",
            "/spec/pytorchReplicaSpecs/Master/template",
        ),
        (
            "kubeflow.org/v1",
            "MPIJob",
            "mpiReplicaSpecs: {Launcher: {template: @}}",
            "/spec/mpiReplicaSpecs/Launcher/template",
        ),
        ("batch.volcano.sh/v1alpha1", "Job", "tasks: [{name: t, template: @}]", "/spec/tasks/0/template"),
        (
            "ray.io/v1",
            "RayCluster",
            "workerGroupSpecs: [{groupName: g, template: @}]",
            "/spec/workerGroupSpecs/0/template",
        ),
        (
            "ray.io/v1",
            "RayJob",
            "rayClusterSpec: {headGroupSpec: {template: @}}",
            "/spec/rayClusterSpec/headGroupSpec/template",
        ),
        (
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            "leaderWorkerTemplate: {workerTemplate: @}",
            "/spec/leaderWorkerTemplate/workerTemplate",
        ),
        (
            "jobset.x-k8s.io/v1alpha2",
            "JobSet",
            "replicatedJobs: [{name: r, template: {spec: {template: @}}}]",
            "/spec/replicatedJobs/0/template/spec/template",
        ),
        ("serving.knative.dev/v1", "Service", "template: @", "/spec/template"),
        (
            "elasticsearch.k8s.elastic.co/v1",
            "Elasticsearch",
            "nodeSets: [{name: n, podTemplate: @}]",
            "/spec/nodeSets/0/podTemplate",
        ),
        ("postgresql.cnpg.io/v1", "Pooler", "template: @", "/spec/template"),
        ("example.com/v1", "Unheard", "some: [{where: @}]", "/spec/some/0/where"),
    ] {
        let text = object(api_version, kind, &spec.replace('@', &template));
        let path = format!("{place}/spec/dnsConfig/options/0");
        assert_eq!(denials(&text), [(5, path, Some("app".to_owned()))], "{text}");
        // An existing dnsConfig shows that the kind takes one.
        assert_eq!(fixed(&text), text.replace("\"0\"", "\"2\""), "{kind}");
    }
}

#[test]
fn a_workflow_s_settings_are_for_all_its_templates() {
    let spec = "entrypoint: m
dnsConfig:
  options:
  - name: attempts
    value: \"0\"
templates:
- name: m
  container: {image: 'alpine:3.17'}
- name: other
  initContainers: [{name: first, image: 'debian:12'}]
  script: {image: 'golang:1.22', source: 'x'}
  sidecars: [{name: side, image: 'alpine:3.19'}]
- name: steps
  steps: [[{name: a, template: m}]]";
    for (kind, spec, prefix) in [
        ("Workflow", spec.to_owned(), "/spec"),
        ("WorkflowTemplate", spec.to_owned(), "/spec"),
        (
            "CronWorkflow",
            format!("schedule: '@daily'\nworkflowSpec:\n  {}", spec.replace('\n', "\n  ")),
            "/spec/workflowSpec",
        ),
    ] {
        let text = object("argoproj.io/v1alpha1", kind, &spec);
        let found = denials(&text);
        let names: Vec<_> = found.iter().map(|(_, _, name)| name.as_deref().unwrap()).collect();
        assert_eq!(names, ["other/first", "m", "other", "other/side"], "{kind}");
        assert!(found.iter().all(|(_, path, _)| *path == format!("{prefix}/dnsConfig/options/0")), "{found:?}");
        assert_eq!(fixed(&text), text.replace("\"0\"", "\"2\""));
    }
}

#[test]
fn options_go_where_the_kind_takes_them() {
    let run = |text: &str| inject(text, &["--profile", "single-request-reopen"]).ended(0);
    let workflow =
        object("argoproj.io/v1alpha1", "Workflow", "templates:\n- name: m\n  container:\n    image: debian:12");
    let injected = run(&workflow);
    assert!(
        injected.stdout.contains("\n  dnsConfig:\n    options:\n    - name: single-request-reopen"),
        "{}",
        injected.stdout
    );
    assert!(!injected.stdout.contains("muslin.dev/"), "{}", injected.stdout);

    let task_run = object("tekton.dev/v1", "TaskRun", "taskSpec:\n  steps:\n  - name: s\n    image: debian:12");
    let injected = run(&task_run).stdout;
    assert!(injected.contains("\n  podTemplate:\n    dnsConfig:\n      options:"), "{injected}");

    let pipeline_run = "pipelineSpec:\n  tasks:\n  - name: t\n    taskSpec:\n      steps:\n      - image: debian:12";
    let injected = run(&object("tekton.dev/v1", "PipelineRun", pipeline_run)).stdout;
    assert!(injected.contains("\n  taskRunTemplate:\n    podTemplate:\n      dnsConfig:"), "{injected}");
    let injected = run(&object("tekton.dev/v1beta1", "PipelineRun", pipeline_run)).stdout;
    assert!(injected.contains("\n  podTemplate:\n    dnsConfig:"), "{injected}");
}

#[test]
fn nothing_is_written_where_the_kind_passes_none_on_and_the_finding_says_so() {
    for (text, why) in [
        (
            object("tekton.dev/v1", "Task", "steps:\n- name: s\n  image: debian:12\n  env: [{name: A, value: b}]"),
            "a Task takes no dnsConfig: set spec.podTemplate.dnsConfig in its TaskRun",
        ),
        (
            object(
                "serving.knative.dev/v1",
                "Service",
                &format!("template:\n  spec:\n    containers: [{CONTAINER}]").replace("alpine:3.17", "debian:12"),
            ),
            "Knative takes dnsConfig only with kubernetes.podspec-dnsconfig: enabled",
        ),
        (
            object(
                "example.com/v1",
                "Unheard",
                &format!("template:\n  spec:\n    containers: [{CONTAINER}]").replace("alpine:3.17", "debian:12"),
            ),
            "muslin does not know whether objects of this kind pass dnsConfig on",
        ),
    ] {
        let run = inject(&text, &["--profile", "single-request-reopen", "--level", "info"]).ended(0);
        assert_eq!(run.stdout, text);
        assert!(run.stderr.contains("muslin writes no dnsConfig here: ") && run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn no_options_are_chosen_where_the_operator_adds_containers() {
    let spec = format!("containers: [{CONTAINER}]\ndnsConfig: {ZERO}");
    let text = object("monitoring.coreos.com/v1", "Prometheus", &spec);
    assert_eq!(denials(&text).len(), 1);
    let run = inject(&text, &["--profile", "fast"]).ended(1);
    assert_eq!(run.stdout, text.replace("\"0\"", "\"2\""));
    let text = object("opentelemetry.io/v1beta1", "OpenTelemetryCollector", &format!("podDnsConfig: {ZERO}"));
    assert_eq!(denials(&text), [(5, "/spec/podDnsConfig/options/0".to_owned(), None)]);
    let text = object("kafka.strimzi.io/v1", "Kafka", &format!("kafka: {{template: {{pod: {{dnsConfig: {ZERO}}}}}}}"));
    assert_eq!(denials(&text), [(5, "/spec/kafka/template/pod/dnsConfig/options/0".to_owned(), None)]);
}

#[test]
fn objects_inside_of_objects_are_read() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: y}\nspec:\n  template:\n    spec:\n      \
                      containers: [{name: app, image: 'alpine:3.17'}]\n      dnsConfig: {options: [{name: attempts, value: \"0\"}]}";
    let text = format!(
        "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {{name: t}}\nobjects:\n- {}\n",
        deployment.replace('\n', "\n  ")
    );
    assert_eq!(denials(&text).len(), 1);
    assert_eq!(fixed(&text), text.replace("\"0\"", "\"2\""));
}

#[test]
fn kinds_that_are_not_understood_are_counted_by_default() {
    let odd = object("example.com/v1", "Odd", "pool:\n  containers:\n  - image: alpine:3.17");
    let other = object("example.com/v1", "Other", "sidecars: [{image: 'a'}]");
    for arguments in [&["check", "-"][..], &["inject", "-"]] {
        let run = Folder::new().run_with(&format!("{odd}---\n{odd}---\n{other}"), arguments).ended(0);
        let note = "3 objects of kinds muslin does not understand: Odd, Other";
        assert!(run.stderr.contains(note), "{}", run.stderr);
    }
    let crd = object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "containers: [{image: 'a'}]");
    let none = Folder::new().run_with(&crd, &["check", "-"]).ended(0);
    assert!(!none.stderr.contains("does not understand"), "{}", none.stderr);
}

#[test]
fn json_and_sarif_name_kinds_that_are_not_understood() {
    let odd = object("example.com/v1", "Odd", "pool:\n  containers:\n  - image: alpine:3.17");
    let text = format!("{odd}---\n{odd}");
    let json: Value = Folder::new().run_with(&text, &["check", "-o", "json", "-"]).ended(0).json();
    assert_eq!(json["unclearKinds"], json!([{ "kind": "Odd", "objects": 2 }]));
    let sarif: Value = Folder::new().run_with(&text, &["check", "-o", "sarif", "-"]).ended(0).json();
    let notifications = &sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"];
    let note = "2 objects of a kind muslin does not understand: Odd";
    assert_eq!(*notifications, json!([{ "level": "note", "message": { "text": note } }]));
}

#[test]
fn settings_without_containers_are_checked_for_what_they_say() {
    let patch = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    spec:\n      dnsConfig: {ZERO}\n"
    );
    assert_eq!(denials(&patch), [(7, "/spec/template/spec/dnsConfig/options/0".to_owned(), None)]);
    assert_eq!(fixed(&patch), patch.replace("\"0\"", "\"2\""));
    let values = format!("replicas: 2\ncontroller:\n  dnsPolicy: ClusterFirst\n  dnsConfig: {ZERO}\n");
    assert_eq!(denials(&values), [(4, "/controller/dnsConfig/options/0".to_owned(), None)]);
    assert_eq!(fixed(&values), values.replace("\"0\"", "\"2\""));
    let operations = "- op: add\n  path: /spec/template/spec/dnsConfig\n  value: {}\n- op: add\n  path: \
                      /spec/template/spec/dnsConfig/options/-\n  value: {name: attempts, value: \"0\"}\n";
    assert_eq!(denials(operations), [(6, "/1/value".to_owned(), None)]);
    assert_eq!(fixed(operations), operations.replace("\"0\"", "\"2\""));
    let release = object("helm.toolkit.fluxcd.io/v2", "HelmRelease", &format!("values:\n  dnsConfig: {ZERO}"));
    assert_eq!(denials(&release), [(6, "/spec/values/dnsConfig/options/0".to_owned(), None)]);
}

#[test]
fn settings_without_containers_say_nothing_of_resolvers_for_certain() {
    let values = "dnsPolicy: None\ndnsConfig:\n  nameservers: [8.8.8.8]\n  options:\n  - {name: ndot, value: '2'}\n  - {name: ndots, value: 1}\n  - \
                  {name: use-vc}\n";
    let run = Folder::new().run_with(values, &["check", "-", "-o", "json"]).ended(0);
    let json = run.json();
    let found: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["rule"].as_str().unwrap(), finding["level"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("option-ignored", "warn"), ("no-cluster-nameserver", "warn")]);
}

#[test]
fn what_only_looks_like_settings_is_no_error() {
    for text in [
        "dnsConfig: {type: object, properties: {options: {type: array}}}\n",
        "dnsConfig: {options: {ndots: 2}}\n",
        "dnsConfig: {options: [1, [2]]}\n",
        "a: [{dnsPolicy: 3, dnsConfig: []}]\n",
        "- op: add\n- 3\n",
        "- {op: remove, path: /spec/dnsConfig}\n",
    ] {
        let run = Folder::new().run_with(text, &["check", "-", "--fail-on", "info"]).ended(0);
        assert_eq!(run.stdout, "", "{text}");
    }
}

#[test]
fn no_depth_is_too_deep() {
    let deep = format!("{}{}{}", "{\"a\":".repeat(60), format_args!("{{\"dnsPolicy\":\"Default\"}}"), "}".repeat(60));
    Folder::new().run_with(&deep, &["check", "-"]).ended(0);
}

#[test]
fn patches_and_values_in_strings_are_checked_at_their_lines() {
    let kustomization = format!(
        "resources: [web.yaml]\npatches:\n- target: {{kind: Deployment}}\n  patch: |-\n    - op: add\n      path: \
         /spec/template/spec/dnsConfig\n      value: {ZERO}\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: \
         {{name: web}}\n    spec:\n      template:\n        spec:\n          dnsConfig:\n            options:\n            - name: \
         attempts\n              value: \"0\"\n- path: other.yaml\n"
    );
    let found = denials(&kustomization);
    assert_eq!(found.iter().map(|(line, _, _)| *line).collect::<Vec<_>>(), [7, 18], "{found:?}");
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: x}}\nspec:\n  source:\n    helm:\n      values: |\n        \
         replicas: 2\n        dnsConfig: {ZERO}\n"
    );
    assert_eq!(denials(&application), [(9, "/dnsConfig/options/0".to_owned(), None)]);
    // Strings are left alone, and `check` does not offer to fix them.
    for text in [&kustomization, &application] {
        assert_eq!(fixed(text), *text);
        let run = Folder::new().run_with(text, &["check", "-"]).ended(1);
        assert!(!run.stderr.contains("--fix"), "{}", run.stderr);
    }
}

#[test]
fn findings_point_at_the_container_where_the_object_has_no_place_for_the_cause() {
    let text = object("tekton.dev/v1", "Task", "steps:\n- name: s\n  image: alpine:3.12");
    let run = Folder::new().run_with(&text, &["check", "-", "-o", "json"]).ended(0);
    let json = run.json();
    let findings = json["findings"].as_array().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding["line"] == 7), "{json}");
}
