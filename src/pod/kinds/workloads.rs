//! Kinds that stand in place of Deployments, StatefulSets and Jobs: each holds one or more pod templates, which its controller passes on
//! as they are.

use super::kind::{PodKind, PodPlace};

const IN_SPEC: &[PodPlace] = &[PodPlace::template("/spec/template")];

const KRUISE: &str = "openkruise/kruise 07169cfac apis/apps/v1beta1";
const ROLLOUTS: &str = "argoproj/argo-rollouts 9f8d111d8 manifests/crds";
const TRAINING: &str = "kubeflow/manifests applications/training-operator/upstream/base/crds";
const RUNTIMES: &str = "kubeflow/trainer manifests/base/crds";
const VOLCANO: &str = "volcano-sh/volcano ed72c7c81 config/crd";
const RAY: &str = "ray-project/kuberay feeaf72fa helm-chart/kuberay-operator/crds";
const LWS: &str = "kubernetes-sigs/lws charts/lws/crds";
const RUNNERS: &str = "actions/actions-runner-controller config/crd/bases";

/// The job templates of an analysis (Argo Rollouts).
const ANALYSIS: &[PodPlace] = &[PodPlace::template("/spec/metrics/*/provider/job/spec/template")];

const REPLICATED_JOBS: &[PodPlace] =
    &[PodPlace::template("/spec/template/spec/replicatedJobs/*/template/spec/template")];

pub(super) const KINDS: &[PodKind] = &[
    PodKind::new(("argoproj.io", "Rollout", "rollouts"), IN_SPEC, ROLLOUTS),
    PodKind::new(
        ("argoproj.io", "Experiment", "experiments"),
        &[PodPlace::template("/spec/templates/*/template")],
        ROLLOUTS,
    ),
    PodKind::new(("argoproj.io", "AnalysisTemplate", "analysistemplates"), ANALYSIS, ROLLOUTS),
    PodKind::new(("argoproj.io", "ClusterAnalysisTemplate", "clusteranalysistemplates"), ANALYSIS, ROLLOUTS),
    PodKind::new(("argoproj.io", "AnalysisRun", "analysisruns"), ANALYSIS, ROLLOUTS),
    PodKind::new(
        ("apps.openshift.io", "DeploymentConfig", "deploymentconfigs"),
        IN_SPEC,
        "openshift/api apps/v1/types.go",
    ),
    PodKind::new(("apps.kruise.io", "CloneSet", "clonesets"), IN_SPEC, KRUISE),
    PodKind::new(("apps.kruise.io", "StatefulSet", "statefulsets"), IN_SPEC, KRUISE),
    PodKind::new(("apps.kruise.io", "DaemonSet", "daemonsets"), IN_SPEC, KRUISE),
    PodKind::new(("apps.kruise.io", "BroadcastJob", "broadcastjobs"), IN_SPEC, KRUISE),
    PodKind::new(
        ("apps.kruise.io", "AdvancedCronJob", "advancedcronjobs"),
        &[
            PodPlace::template("/spec/template/jobTemplate/spec/template"),
            PodPlace::template("/spec/template/broadcastJobTemplate/spec/template"),
        ],
        KRUISE,
    ),
    PodKind::new(
        ("apps.kruise.io", "UnitedDeployment", "uniteddeployments"),
        &[
            PodPlace::template("/spec/template/statefulSetTemplate/spec/template"),
            PodPlace::template("/spec/template/advancedStatefulSetTemplate/spec/template"),
            PodPlace::template("/spec/template/cloneSetTemplate/spec/template"),
            PodPlace::template("/spec/template/deploymentTemplate/spec/template"),
        ],
        KRUISE,
    ),
    PodKind::new(
        ("keda.sh", "ScaledJob", "scaledjobs"),
        &[PodPlace::template("/spec/jobTargetRef/template")],
        "kedacore/keda 8b4f083ca config/crd/bases/keda.sh_scaledjobs.yaml",
    ),
    PodKind::new(
        ("kubeflow.org", "PyTorchJob", "pytorchjobs"),
        &[PodPlace::template("/spec/pytorchReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "TFJob", "tfjobs"),
        &[PodPlace::template("/spec/tfReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "MPIJob", "mpijobs"),
        &[PodPlace::template("/spec/mpiReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "XGBoostJob", "xgboostjobs"),
        &[PodPlace::template("/spec/xgbReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "PaddleJob", "paddlejobs"),
        &[PodPlace::template("/spec/paddleReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "JAXJob", "jaxjobs"),
        &[PodPlace::template("/spec/jaxReplicaSpecs/*/template")],
        TRAINING,
    ),
    PodKind::new(
        ("kubeflow.org", "MXJob", "mxjobs"),
        &[PodPlace::template("/spec/mxReplicaSpecs/*/template")],
        "kubeflow/training-operator 5fa872ff1 manifests/base/crds/kubeflow.org_mxjobs.yaml",
    ),
    PodKind::new(
        ("kubeflow.org", "Notebook", "notebooks"),
        IN_SPEC,
        "kubeflow/manifests applications/jupyter/notebook-controller/upstream/crd/bases/kubeflow.org_notebooks.yaml",
    ),
    PodKind::new(("trainer.kubeflow.org", "TrainingRuntime", "trainingruntimes"), REPLICATED_JOBS, RUNTIMES),
    PodKind::new(
        ("trainer.kubeflow.org", "ClusterTrainingRuntime", "clustertrainingruntimes"),
        REPLICATED_JOBS,
        RUNTIMES,
    ),
    PodKind::new(("batch.volcano.sh", "Job", "jobs"), &[PodPlace::template("/spec/tasks/*/template")], VOLCANO),
    PodKind::new(
        ("batch.volcano.sh", "CronJob", "cronjobs"),
        &[PodPlace::template("/spec/jobTemplate/spec/tasks/*/template")],
        VOLCANO,
    ),
    PodKind::new(
        ("flow.volcano.sh", "JobTemplate", "jobtemplates"),
        &[PodPlace::template("/spec/tasks/*/template")],
        VOLCANO,
    ),
    PodKind::new(
        ("ray.io", "RayCluster", "rayclusters"),
        &[PodPlace::template("/spec/headGroupSpec/template"), PodPlace::template("/spec/workerGroupSpecs/*/template")],
        RAY,
    ),
    PodKind::new(
        ("ray.io", "RayJob", "rayjobs"),
        &[
            PodPlace::template("/spec/rayClusterSpec/headGroupSpec/template"),
            PodPlace::template("/spec/rayClusterSpec/workerGroupSpecs/*/template"),
            PodPlace::template("/spec/submitterPodTemplate"),
        ],
        RAY,
    ),
    PodKind::new(
        ("ray.io", "RayService", "rayservices"),
        &[
            PodPlace::template("/spec/rayClusterConfig/headGroupSpec/template"),
            PodPlace::template("/spec/rayClusterConfig/workerGroupSpecs/*/template"),
        ],
        RAY,
    ),
    PodKind::new(
        ("ray.io", "RayCronJob", "raycronjobs"),
        &[
            PodPlace::template("/spec/jobTemplate/rayClusterSpec/headGroupSpec/template"),
            PodPlace::template("/spec/jobTemplate/rayClusterSpec/workerGroupSpecs/*/template"),
            PodPlace::template("/spec/jobTemplate/submitterPodTemplate"),
        ],
        RAY,
    ),
    PodKind::new(
        ("leaderworkerset.x-k8s.io", "LeaderWorkerSet", "leaderworkersets"),
        &[
            PodPlace::template("/spec/leaderWorkerTemplate/leaderTemplate"),
            PodPlace::template("/spec/leaderWorkerTemplate/workerTemplate"),
        ],
        LWS,
    ),
    PodKind::new(
        ("jobset.x-k8s.io", "JobSet", "jobsets"),
        &[PodPlace::template("/spec/replicatedJobs/*/template/spec/template")],
        "kubernetes-sigs/jobset config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml",
    ),
    PodKind::new(
        ("actions.github.com", "AutoscalingRunnerSet", "autoscalingrunnersets"),
        &[PodPlace::template("/spec/template"), PodPlace::template("/spec/listenerTemplate").with_others()],
        RUNNERS,
    ),
    PodKind::new(
        ("actions.summerwind.dev", "RunnerDeployment", "runnerdeployments"),
        &[PodPlace::template("/spec/template").with_others()],
        RUNNERS,
    ),
    PodKind::new(
        ("actions.summerwind.dev", "RunnerSet", "runnersets"),
        &[PodPlace::template("/spec/template").with_others()],
        RUNNERS,
    ),
    PodKind::new(
        ("agones.dev", "GameServer", "gameservers"),
        &[PodPlace::template("/spec/template").with_others()],
        "agones-dev/agones pkg/apis/agones/v1/gameserver.go",
    ),
    PodKind::new(
        ("agones.dev", "Fleet", "fleets"),
        &[PodPlace::template("/spec/template/spec/template").with_others()],
        "agones-dev/agones pkg/apis/agones/v1/fleet.go",
    ),
];
