//! Kinds of serverless and of pipelines: Knative, Argo Workflows and Events, Tekton. They take `dnsConfig` in places of their own, under
//! conditions, or not at all.

use super::kind::{DnsSource, PodKind, PodPlace};

const KNATIVE: &str = "knative/serving 98e5ef90aa config/core/300-resources and config/core/configmaps/features.yaml";
const WORKFLOWS: &str = "argoproj/argo-workflows f016ad89eb manifests/base/crds/full";
const TEKTON: &str = "tektoncd/pipeline 3ee1745ae config/300-crds and docs/podtemplates.md";

const KNATIVE_FLAG: &str = "Knative takes dnsConfig only with kubernetes.podspec-dnsconfig: enabled in the ConfigMap \
    config-features of knative-serving";

const TASK_INSTEAD: &str = "a Task takes no dnsConfig: set spec.podTemplate.dnsConfig in its TaskRun, \
    spec.taskRunTemplate.podTemplate.dnsConfig in its PipelineRun, or default-pod-template in the ConfigMap config-defaults of Tekton";

const PIPELINE_INSTEAD: &str = "a Pipeline takes no dnsConfig: set spec.taskRunTemplate.podTemplate.dnsConfig in its PipelineRun, or \
    default-pod-template in the ConfigMap config-defaults of Tekton";

const EVENTS_INSTEAD: &str = "Argo Events passes no dnsConfig on: muslin's webhook sets it in the pods";

/// The settings of a whole workflow are for the pods of each of its templates.
const fn workflow(at: &'static str) -> PodPlace {
    PodPlace::fields(
        at,
        &["/templates/*/initContainers/*"],
        &[
            "/templates/*/container",
            "/templates/*/script",
            "/templates/*/containerSet/containers/*",
            "/templates/*/sidecars/*",
        ],
        DnsSource::Spec,
    )
}

const WORKFLOW: &[PodPlace] = &[workflow("/spec")];

/// The steps of a Task run as containers of one pod.
const STEPS: &[&str] = &["/steps/*", "/sidecars/*"];

const PIPELINE_STEPS: &[&str] = &[
    "/tasks/*/taskSpec/steps/*",
    "/tasks/*/taskSpec/sidecars/*",
    "/finally/*/taskSpec/steps/*",
    "/finally/*/taskSpec/sidecars/*",
];

const RUN_STEPS: &[&str] = &[
    "/pipelineSpec/tasks/*/taskSpec/steps/*",
    "/pipelineSpec/tasks/*/taskSpec/sidecars/*",
    "/pipelineSpec/finally/*/taskSpec/steps/*",
    "/pipelineSpec/finally/*/taskSpec/sidecars/*",
];

const IN_POD_TEMPLATE: DnsSource = DnsSource::Elsewhere { map: "/podTemplate", field: "dnsConfig" };

const TASK: &[PodPlace] = &[PodPlace::fields("/spec", &[], STEPS, DnsSource::Nowhere(TASK_INSTEAD))];

pub(super) const KINDS: &[PodKind] = &[
    PodKind::new(
        ("serving.knative.dev", "Service", "services"),
        &[PodPlace::template("/spec/template").passed_on_if(KNATIVE_FLAG)],
        KNATIVE,
    ),
    PodKind::new(
        ("serving.knative.dev", "Configuration", "configurations"),
        &[PodPlace::template("/spec/template").passed_on_if(KNATIVE_FLAG)],
        KNATIVE,
    ),
    PodKind::new(
        ("serving.knative.dev", "Revision", "revisions"),
        &[PodPlace::template("").passed_on_if(KNATIVE_FLAG)],
        KNATIVE,
    ),
    PodKind::new(
        ("sources.knative.dev", "ContainerSource", "containersources"),
        &[PodPlace::template("/spec/template")],
        "knative/eventing pkg/apis/sources/v1/container_types.go",
    ),
    PodKind::new(
        ("sinks.knative.dev", "JobSink", "jobsinks"),
        &[PodPlace::template("/spec/job/spec/template")],
        "knative/eventing pkg/apis/sinks/v1alpha1/job_sink_types.go",
    ),
    PodKind::new(("argoproj.io", "Workflow", "workflows"), WORKFLOW, WORKFLOWS),
    PodKind::new(("argoproj.io", "WorkflowTemplate", "workflowtemplates"), WORKFLOW, WORKFLOWS),
    PodKind::new(("argoproj.io", "ClusterWorkflowTemplate", "clusterworkflowtemplates"), WORKFLOW, WORKFLOWS),
    PodKind::new(("argoproj.io", "CronWorkflow", "cronworkflows"), &[workflow("/spec/workflowSpec")], WORKFLOWS),
    PodKind::new(
        ("argoproj.io", "Sensor", "sensors"),
        &[PodPlace::fields("/spec/template", &[], &["/container"], DnsSource::Nowhere(EVENTS_INSTEAD)).with_others()],
        "argoproj/argo-events manifests/base/crds/argoproj.io_sensors.yaml",
    ),
    PodKind::new(
        ("argoproj.io", "EventSource", "eventsources"),
        &[PodPlace::fields("/spec/template", &[], &["/container"], DnsSource::Nowhere(EVENTS_INSTEAD)).with_others()],
        "argoproj/argo-events manifests/base/crds/argoproj.io_eventsources.yaml",
    ),
    PodKind::new(("tekton.dev", "Task", "tasks"), TASK, TEKTON),
    PodKind::new(
        ("tekton.dev", "ClusterTask", "clustertasks"),
        TASK,
        "tektoncd/pipeline 24bca00a9 pkg/apis/pipeline/v1beta1/cluster_task_types.go",
    ),
    PodKind::new(
        ("tekton.dev", "StepAction", "stepactions"),
        &[PodPlace::fields("/spec", &[], &[""], DnsSource::Nowhere(TASK_INSTEAD)).with_others()],
        TEKTON,
    ),
    PodKind::new(
        ("tekton.dev", "TaskRun", "taskruns"),
        &[PodPlace::fields("/spec", &[], &["/taskSpec/steps/*", "/taskSpec/sidecars/*"], IN_POD_TEMPLATE)],
        TEKTON,
    ),
    PodKind::new(
        ("tekton.dev", "Pipeline", "pipelines"),
        &[PodPlace::fields("/spec", &[], PIPELINE_STEPS, DnsSource::Nowhere(PIPELINE_INSTEAD))],
        TEKTON,
    ),
    PodKind::new(
        ("tekton.dev", "PipelineRun", "pipelineruns"),
        &[
            PodPlace::fields("/spec", &[], RUN_STEPS, IN_POD_TEMPLATE),
            PodPlace::settings("/spec/taskRunSpecs/*/taskPodTemplate"),
        ],
        TEKTON,
    )
    .only_in("v1beta1"),
    PodKind::new(
        ("tekton.dev", "PipelineRun", "pipelineruns"),
        &[
            PodPlace::fields(
                "/spec",
                &[],
                RUN_STEPS,
                DnsSource::Elsewhere { map: "/taskRunTemplate/podTemplate", field: "dnsConfig" },
            ),
            PodPlace::settings("/spec/taskRunSpecs/*/podTemplate"),
        ],
        TEKTON,
    ),
];
