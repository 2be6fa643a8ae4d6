//! Kinds of operators for databases, monitoring and other programs. Most operators make the main container themselves, so the object
//! lists others at most.

use super::kind::{DnsSource, Layout, PodKind, PodPlace};

const PROMETHEUS: &str =
    "prometheus-operator/prometheus-operator 6adcebc50 example/prometheus-operator-crd-full, since 0.78.0";
const VICTORIA: &str = "VictoriaMetrics/operator d0d258c8 config/crd/overlay/crd.descriptionless.yaml";
const STRIMZI: &str =
    "strimzi/strimzi-kafka-operator 8541da1e33 packaging/install/cluster-operator, since 0.46.0 (CHANGELOG.md)";
const ELASTIC: &str = "elastic/cloud-on-k8s 7b93383d8 pkg/apis";
const SPARK: &str = "kubeflow/spark-operator 38082f33 api/v1beta2/sparkapplication_types.go";
const KSERVE: &str = "kserve/kserve config/crd/full/serving.kserve.io_inferenceservices.yaml";
const FLINK: &str = "apache/flink-kubernetes-operator helm/flink-kubernetes-operator/crds";
const KUBEVIRT: &str = "kubevirt/kubevirt staging/src/kubevirt.io/api/core/v1/types.go";

const KSERVE_FLAG: &str = "KServe on Knative takes dnsConfig only with kubernetes.podspec-dnsconfig: enabled in the ConfigMap \
    config-features of knative-serving";

/// The fields of an operator's own pod spec: `image` for the main container, and lists for more.
const fn operand(at: &'static str, containers: &'static [&'static str]) -> PodPlace {
    let layout = Layout::Fields { init: &["/initContainers/*"], containers };
    PodPlace { at, layout, dns: DnsSource::Spec, is_complete: false }
}

/// A pod template in which the operator completes its own container.
const fn completed(at: &'static str) -> PodPlace {
    PodPlace::template(at).with_others()
}

/// A kind of which nothing but the image can be checked.
const fn nowhere(at: &'static str, containers: &'static [&'static str], instead: &'static str) -> PodPlace {
    PodPlace::fields(at, &[], containers, DnsSource::Nowhere(instead)).with_others()
}

const OPERAND: &[PodPlace] = &[operand("/spec", &["", "/containers/*"])];
const POD_TEMPLATE: &[PodPlace] = &[completed("/spec/podTemplate")];
const BEATS: &[PodPlace] = &[completed("/spec/deployment/podTemplate"), completed("/spec/daemonSet/podTemplate")];
const SPARK_PODS: &[&str] = &["", "/sidecars/*"];

pub(super) const KINDS: &[PodKind] = &[
    PodKind::new(("monitoring.coreos.com", "Prometheus", "prometheuses"), OPERAND, PROMETHEUS),
    PodKind::new(("monitoring.coreos.com", "PrometheusAgent", "prometheusagents"), OPERAND, PROMETHEUS),
    PodKind::new(("monitoring.coreos.com", "Alertmanager", "alertmanagers"), OPERAND, PROMETHEUS),
    PodKind::new(("monitoring.coreos.com", "ThanosRuler", "thanosrulers"), OPERAND, PROMETHEUS),
    PodKind::new(("operator.victoriametrics.com", "VMAgent", "vmagents"), OPERAND, VICTORIA),
    PodKind::new(("operator.victoriametrics.com", "VMAlert", "vmalerts"), OPERAND, VICTORIA),
    PodKind::new(("operator.victoriametrics.com", "VMAlertmanager", "vmalertmanagers"), OPERAND, VICTORIA),
    PodKind::new(("operator.victoriametrics.com", "VMAuth", "vmauths"), OPERAND, VICTORIA),
    PodKind::new(("operator.victoriametrics.com", "VMSingle", "vmsingles"), OPERAND, VICTORIA),
    PodKind::new(("operator.victoriametrics.com", "VLSingle", "vlsingles"), OPERAND, VICTORIA),
    PodKind::new(
        ("operator.victoriametrics.com", "VMCluster", "vmclusters"),
        &[
            operand("/spec/vminsert", &["/containers/*"]),
            operand("/spec/vmselect", &["/containers/*"]),
            operand("/spec/vmstorage", &["/containers/*"]),
        ],
        VICTORIA,
    ),
    PodKind::new(
        ("opentelemetry.io", "OpenTelemetryCollector", "opentelemetrycollectors"),
        &[PodPlace {
            dns: DnsSource::Elsewhere { map: "", field: "podDnsConfig" },
            ..operand("/spec", &["", "/additionalContainers/*"])
        }],
        "open-telemetry/opentelemetry-operator apis/v1beta1/common.go",
    ),
    PodKind::new(
        ("grafana.integreatly.org", "Grafana", "grafanas"),
        &[completed("/spec/deployment/spec/template")],
        "grafana/grafana-operator config/crd/bases/grafana.integreatly.org_grafanas.yaml",
    ),
    PodKind::new(
        ("kafka.strimzi.io", "Kafka", "kafkas"),
        &[
            PodPlace::settings("/spec/kafka/template/pod"),
            PodPlace::settings("/spec/entityOperator/template/pod"),
            PodPlace::settings("/spec/cruiseControl/template/pod"),
            PodPlace::settings("/spec/kafkaExporter/template/pod"),
        ],
        STRIMZI,
    ),
    PodKind::new(
        ("kafka.strimzi.io", "KafkaNodePool", "kafkanodepools"),
        &[PodPlace::settings("/spec/template/pod")],
        STRIMZI,
    ),
    PodKind::new(
        ("kafka.strimzi.io", "KafkaConnect", "kafkaconnects"),
        &[PodPlace::settings("/spec/template/pod"), PodPlace::settings("/spec/template/buildPod")],
        STRIMZI,
    ),
    PodKind::new(
        ("kafka.strimzi.io", "KafkaBridge", "kafkabridges"),
        &[PodPlace::settings("/spec/template/pod")],
        STRIMZI,
    ),
    PodKind::new(
        ("kafka.strimzi.io", "KafkaMirrorMaker2", "kafkamirrormaker2s"),
        &[PodPlace::settings("/spec/template/pod")],
        STRIMZI,
    ),
    PodKind::new(
        ("elasticsearch.k8s.elastic.co", "Elasticsearch", "elasticsearches"),
        &[completed("/spec/nodeSets/*/podTemplate")],
        ELASTIC,
    ),
    PodKind::new(("kibana.k8s.elastic.co", "Kibana", "kibanas"), POD_TEMPLATE, ELASTIC),
    PodKind::new(("apm.k8s.elastic.co", "ApmServer", "apmservers"), POD_TEMPLATE, ELASTIC),
    PodKind::new(("logstash.k8s.elastic.co", "Logstash", "logstashes"), POD_TEMPLATE, ELASTIC),
    PodKind::new(("beat.k8s.elastic.co", "Beat", "beats"), BEATS, ELASTIC),
    PodKind::new(
        ("agent.k8s.elastic.co", "Agent", "agents"),
        &[
            completed("/spec/deployment/podTemplate"),
            completed("/spec/daemonSet/podTemplate"),
            completed("/spec/statefulSet/podTemplate"),
        ],
        ELASTIC,
    ),
    PodKind::new(
        ("sparkoperator.k8s.io", "SparkApplication", "sparkapplications"),
        &[operand("/spec/driver", SPARK_PODS), operand("/spec/executor", SPARK_PODS)],
        SPARK,
    ),
    PodKind::new(
        ("sparkoperator.k8s.io", "ScheduledSparkApplication", "scheduledsparkapplications"),
        &[operand("/spec/template/driver", SPARK_PODS), operand("/spec/template/executor", SPARK_PODS)],
        SPARK,
    ),
    PodKind::new(
        ("flink.apache.org", "FlinkDeployment", "flinkdeployments"),
        &[
            completed("/spec/podTemplate"),
            completed("/spec/jobManager/podTemplate"),
            completed("/spec/taskManager/podTemplate"),
        ],
        FLINK,
    ),
    PodKind::new(
        ("serving.kserve.io", "InferenceService", "inferenceservices"),
        &[
            kserve("/spec/predictor", &["/containers/*", "/model"]),
            kserve("/spec/transformer", &["/containers/*"]),
            kserve("/spec/explainer", &["/containers/*"]),
        ],
        KSERVE,
    ),
    PodKind::new(
        ("serving.kserve.io", "LLMInferenceService", "llminferenceservices"),
        LLM_PODS,
        "kserve/kserve config/crd/full/llmisvc",
    ),
    PodKind::new(
        ("serving.kserve.io", "LLMInferenceServiceConfig", "llminferenceserviceconfigs"),
        LLM_PODS,
        "kserve/kserve config/crd/full/llmisvc",
    ),
    PodKind::new(
        ("serving.kserve.io", "ServingRuntime", "servingruntimes"),
        &[nowhere("/spec", &["/containers/*"], RUNTIME_INSTEAD)],
        KSERVE,
    ),
    PodKind::new(
        ("serving.kserve.io", "ClusterServingRuntime", "clusterservingruntimes"),
        &[nowhere("/spec", &["/containers/*"], RUNTIME_INSTEAD)],
        KSERVE,
    ),
    PodKind::new(
        ("postgresql.cnpg.io", "Pooler", "poolers"),
        &[completed("/spec/template")],
        "cloudnative-pg/cloudnative-pg a95a534db config/crd/bases/postgresql.cnpg.io_poolers.yaml",
    ),
    PodKind::new(
        ("postgresql.cnpg.io", "Cluster", "clusters"),
        &[nowhere(
            "/spec",
            &[],
            "CloudNativePG passes no dnsConfig on to the pods of a Cluster: muslin's webhook sets it in the pods",
        )],
        "cloudnative-pg/cloudnative-pg a95a534db config/crd/bases/postgresql.cnpg.io_clusters.yaml",
    ),
    PodKind::new(
        ("rabbitmq.com", "RabbitmqCluster", "rabbitmqclusters"),
        &[completed("/spec/override/statefulSet/spec/template")],
        "rabbitmq/cluster-operator config/crd/bases/rabbitmq.com_rabbitmqclusters.yaml",
    ),
    PodKind::new(
        ("minio.min.io", "Tenant", "tenants"),
        &[nowhere(
            "/spec/sideCars",
            &["/containers/*"],
            "MinIO's operator passes no dnsConfig on: muslin's webhook sets it in the pods",
        )],
        "minio/operator helm/operator/templates/minio.min.io_tenants.yaml",
    ),
    PodKind::new(
        ("acid.zalan.do", "postgresql", "postgresqls"),
        &[nowhere(
            "/spec",
            &["/sidecars/*", "/initContainers/*"],
            "Zalando's operator passes no dnsConfig on: muslin's webhook sets it in the pods",
        )],
        "zalando/postgres-operator charts/postgres-operator/crds/postgresqls.yaml",
    ),
    PodKind::new(
        ("jenkins.io", "Jenkins", "jenkins"),
        &[nowhere(
            "/spec/master",
            &["/containers/*"],
            "Jenkins' operator passes no dnsConfig on: muslin's webhook sets it in the pods",
        )],
        "jenkinsci/kubernetes-operator chart/jenkins-operator/crds/jenkins-crd.yaml",
    ),
    PodKind::new(
        ("pkg.crossplane.io", "DeploymentRuntimeConfig", "deploymentruntimeconfigs"),
        &[completed("/spec/deploymentTemplate/spec/template")],
        "crossplane/crossplane cluster/crds/pkg.crossplane.io_deploymentruntimeconfigs.yaml",
    ),
    PodKind::new(
        ("cert-manager.io", "Issuer", "issuers"),
        &[nowhere("/spec", &[], SOLVER_INSTEAD)],
        "cert-manager/cert-manager deploy/crds/cert-manager.io_issuers.yaml",
    ),
    PodKind::new(
        ("cert-manager.io", "ClusterIssuer", "clusterissuers"),
        &[nowhere("/spec", &[], SOLVER_INSTEAD)],
        "cert-manager/cert-manager deploy/crds/cert-manager.io_clusterissuers.yaml",
    ),
    PodKind::new(("kubevirt.io", "VirtualMachine", "virtualmachines"), GUEST_TEMPLATE, KUBEVIRT),
    PodKind::new(
        ("kubevirt.io", "VirtualMachineInstanceReplicaSet", "virtualmachineinstancereplicasets"),
        GUEST_TEMPLATE,
        KUBEVIRT,
    ),
    PodKind::new(
        ("kubevirt.io", "VirtualMachineInstance", "virtualmachineinstances"),
        &[PodPlace::settings("/spec")],
        KUBEVIRT,
    ),
];

/// Pod specs, which the controller merges with those of base configurations.
const LLM_PODS: &[PodPlace] = &[
    PodPlace::spec("/spec/template").with_others(),
    PodPlace::spec("/spec/worker").with_others(),
    PodPlace::spec("/spec/prefill/template").with_others(),
    PodPlace::spec("/spec/prefill/worker").with_others(),
    PodPlace::spec("/spec/router/scheduler/template").with_others(),
];

/// The guest's own resolver reads what the launcher's DHCP server passes on.
const GUEST_TEMPLATE: &[PodPlace] = &[PodPlace::settings("/spec/template/spec")];

const RUNTIME_INSTEAD: &str =
    "a ServingRuntime takes no dnsConfig: set spec.predictor.dnsConfig in the InferenceService";

const SOLVER_INSTEAD: &str =
    "cert-manager passes no dnsConfig on to the pods that solve challenges: muslin's webhook sets it in the pods";

/// The pod spec of a component of an InferenceService.
const fn kserve(at: &'static str, containers: &'static [&'static str]) -> PodPlace {
    operand(at, containers).passed_on_if(KSERVE_FLAG)
}
