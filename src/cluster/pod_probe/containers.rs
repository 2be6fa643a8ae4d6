//! The inspected pod, and the pod beside it or the ephemeral container that probes it. Both meet Pod Security's standard `restricted`, as far as
//! the inspected pod does.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Map, Value, json};

use super::errors::{PodProbeError, Request};
use super::settings::PodProbeSettings;
use crate::pod::INJECT_ANNOTATION;

/// The name of the container in the pod beside.
pub(super) const CONTAINER: &str = "probe";

/// The annotation that names the container for `kubectl logs`, `exec` and `debug` without `-c`.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The user of muslin's image, for a pod whose own user is root.
const USER: i64 = 65532;

/// The variables that C libraries read beside resolv.conf (glibc `resolv/res_init.c`).
const RESOLVER_VARIABLES: [&str; 2] = ["RES_OPTIONS", "LOCALDOMAIN"];

/// The time after which the kubelet ends a pod beside that nothing deleted, beyond that of the probe.
const SPARE_SECONDS: u64 = 30;

/// The inspected pod.
pub(super) struct Target {
    name: String,
    uid: String,
    spec: PodSpec,
    /// The pod's node.
    pub(super) node: String,
    /// The container whose process and variables count.
    pub(super) container: String,
}

// === impl Target ===

impl Target {
    /// Checks that a pod can be probed, and chooses its container.
    pub(super) fn of(pod: Pod, container: Option<&str>) -> Result<Self, PodProbeError> {
        let name = pod.metadata.name.unwrap_or_default();
        let unfit = |because: String| Err(PodProbeError::Unfit { pod: name.clone(), because });
        let spec = pod.spec.unwrap_or_default();
        let status = pod.status.unwrap_or_default();
        if is_windows(&spec) {
            return unfit("it runs on Windows, whose resolver muslin does not know".to_owned());
        }
        if let Some(phase) = status.phase.filter(|phase| ["Succeeded", "Failed"].contains(&phase.as_str())) {
            return unfit(format!(
                "it has finished ({phase}). Probe a running pod of the same workload, or run the Job of `muslin install probe`"
            ));
        }
        if pod.metadata.deletion_timestamp.is_some() {
            return unfit("it is being deleted".to_owned());
        }
        let Some(node) = spec.node_name.clone().filter(|node| !node.is_empty()) else {
            let conditions = status.conditions.unwrap_or_default();
            let unscheduled = conditions.into_iter().find(|condition| condition.type_ == "PodScheduled");
            let because = unscheduled.and_then(|condition| condition.message).map(|text| format!(": {text}"));
            return unfit(format!("it has no node yet{}", because.unwrap_or_default()));
        };
        let annotations = pod.metadata.annotations.unwrap_or_default();
        let container = match container {
            Some(container) => container.to_owned(),
            None => {
                let default = annotations.get(DEFAULT_CONTAINER).filter(|name| find(&spec, name).is_some()).cloned();
                default.or_else(|| Some(spec.containers.first()?.name.clone())).unwrap_or_default()
            }
        };
        if find(&spec, &container).is_none() {
            let containers: Vec<&str> = all(&spec).map(|container| container.name.as_str()).collect();
            return Err(PodProbeError::NoContainer { container, containers: containers.join(", ") });
        }
        Ok(Self { name, uid: pod.metadata.uid.unwrap_or_default(), spec, node, container })
    }

    /// Fails if the pod beside, as the API server made it, has other DNS settings.
    pub(super) fn check_same_dns(&self, made: &Pod) -> Result<(), PodProbeError> {
        let wanted = dns_settings(&self.spec);
        let found = dns_settings(made.spec.as_ref().unwrap_or(&PodSpec::default()));
        if wanted == found { Ok(()) } else { Err(PodProbeError::Changed(format!("{found}; not {wanted}"))) }
    }

    /// Returns the variables of the container that change how C libraries resolve names.
    fn variables(&self) -> Vec<Value> {
        let variables =
            find(&self.spec, &self.container).and_then(|container| container.env.clone()).unwrap_or_default();
        let variables = variables.into_iter().filter(|variable| RESOLVER_VARIABLES.contains(&variable.name.as_str()));
        variables.filter_map(|variable| serde_json::to_value(variable).ok()).collect()
    }

    /// Returns the user for an ephemeral container: that of the container, whose processes it can then see; root's place has another.
    fn user(&self) -> Option<i64> {
        let of_container =
            find(&self.spec, &self.container).and_then(|container| container.security_context.as_ref()?.run_as_user);
        let of_pod = || self.spec.security_context.as_ref().and_then(|context| context.run_as_user);
        match of_container.or_else(of_pod) {
            Some(0) => Some(USER),
            user => user,
        }
    }
}

/// Returns the containers that run all the time, and the init containers.
fn all(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

fn find<'s>(spec: &'s PodSpec, name: &str) -> Option<&'s Container> {
    all(spec).find(|container| container.name == name)
}

/// Returns the settings that decide about the pod's resolv.conf, in words.
fn dns_settings(spec: &PodSpec) -> String {
    let config = spec.dns_config.clone().unwrap_or_default();
    let options = config.options.unwrap_or_default().into_iter().map(|option| {
        let value = option.value.map(|value| format!(":{value}"));
        format!("{}{}", option.name.unwrap_or_default(), value.unwrap_or_default())
    });
    format!(
        "dnsPolicy {}, nameservers [{}], searches [{}], options [{}]{}",
        spec.dns_policy.as_deref().unwrap_or("ClusterFirst"),
        config.nameservers.unwrap_or_default().join(" "),
        config.searches.unwrap_or_default().join(" "),
        options.collect::<Vec<_>>().join(" "),
        if spec.host_network == Some(true) { ", in the host's network" } else { "" }
    )
}

fn is_windows(spec: &PodSpec) -> bool {
    let named = spec.os.as_ref().map(|os| os.name.as_str());
    let selected = spec.node_selector.as_ref().and_then(|labels| labels.get("kubernetes.io/os")).map(String::as_str);
    named.or(selected) == Some("windows")
}

fn security_context() -> Map<String, Value> {
    let context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    context.as_object().cloned().unwrap_or_default()
}

/// Returns the pod beside.
pub(super) fn beside(target: &Target, name: &str, settings: &PodProbeSettings) -> Result<Pod, PodProbeError> {
    let limit = settings.start_max.as_secs() + settings.run_max.as_secs() + SPARE_SECONDS;
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": {
                "app.kubernetes.io/name": "muslin",
                "app.kubernetes.io/component": "probe",
                "sidecar.istio.io/inject": "false",
            },
            "annotations": {
                (INJECT_ANNOTATION): "false",
                "linkerd.io/inject": "disabled",
            },
            // If nothing deletes the pod, it goes with the inspected one.
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": target.name, "uid": target.uid }],
        },
        "spec": {
            "nodeName": target.node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": limit,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": CONTAINER,
                "image": settings.image,
                "args": settings.arguments,
                "env": target.variables(),
                "resources": {
                    "requests": { "cpu": "50m", "memory": "32Mi" },
                    "limits": { "memory": "128Mi" },
                },
                "securityContext": security_context(),
            }],
        },
    });
    // The same network, files and node; none of what starts, mounts or schedules.
    let spec = serde_json::to_value(&target.spec).unwrap_or_default();
    let same =
        ["dnsPolicy", "dnsConfig", "hostNetwork", "hostAliases", "imagePullSecrets", "runtimeClassName", "tolerations"];
    for field in same {
        if let Some(value) = spec.get(field) {
            pod["spec"][field] = value.clone();
        }
    }
    let failed =
        |error: serde_json::Error| PodProbeError::Failed { what: Request::CreatePod, message: error.to_string() };
    serde_json::from_value(pod).map_err(failed)
}

/// Returns the patch that adds the ephemeral container.
pub(super) fn ephemeral(target: &Target, name: &str, settings: &PodProbeSettings) -> Value {
    let mut context = security_context();
    if let Some(user) = target.user() {
        context.insert("runAsUser".to_owned(), json!(user));
    }
    let container = json!({
        "name": name,
        "image": settings.image,
        "args": settings.arguments,
        "env": target.variables(),
        "targetContainerName": target.container,
        "securityContext": context,
    });
    json!({ "spec": { "ephemeralContainers": [container] } })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::settings::ProbePlace;
    use super::*;

    fn settings() -> PodProbeSettings {
        PodProbeSettings {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            container: None,
            place: ProbePlace::Beside,
            image: "registry.example.com/muslin:0.1.0".to_owned(),
            arguments: vec!["probe".to_owned()],
            start_max: Duration::from_secs(60),
            run_max: Duration::from_secs(40),
        }
    }

    fn pod(spec: &Value) -> Pod {
        let mut pod = json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u-1" },
            "spec": {
                "nodeName": "worker-1",
                "containers": [
                    { "name": "app", "image": "alpine:3.19", "env": [
                        { "name": "RES_OPTIONS", "value": "ndots:1" }, { "name": "PASSWORD", "value": "x" },
                    ] },
                    { "name": "sidecar", "image": "envoy" },
                ],
            },
            "status": { "phase": "Running" },
        });
        for (field, value) in spec.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    fn unfit(change: impl FnOnce(&mut Pod)) -> String {
        let mut pod = pod(&json!({}));
        change(&mut pod);
        match Target::of(pod, None) {
            Err(error @ PodProbeError::Unfit { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it can be probed"),
        }
    }

    #[test]
    fn the_pod_beside_has_the_pods_network_and_nothing_else_of_it() {
        let spec = json!({
            "dnsPolicy": "None",
            "dnsConfig": { "nameservers": ["10.0.0.2"], "searches": ["a"], "options": [{ "name": "ndots", "value": "2" }] },
            "hostNetwork": true,
            "hostAliases": [{ "ip": "10.0.0.3", "hostnames": ["b"] }],
            "imagePullSecrets": [{ "name": "registry" }],
            "tolerations": [{ "operator": "Exists" }],
            "runtimeClassName": "gvisor",
            "serviceAccountName": "admin",
            "volumes": [{ "name": "secret", "secret": { "secretName": "s" } }],
            "hostPID": true,
        });
        let target = Target::of(pod(&spec), None).unwrap();
        let made = beside(&target, "muslin-probe-1", &settings()).unwrap();
        let made_spec = serde_json::to_value(made.spec.as_ref().unwrap()).unwrap();
        for field in [
            "dnsPolicy",
            "dnsConfig",
            "hostNetwork",
            "hostAliases",
            "imagePullSecrets",
            "tolerations",
            "runtimeClassName",
        ] {
            assert_eq!(made_spec[field], spec[field], "{field}");
        }
        for field in ["serviceAccountName", "volumes", "hostPID"] {
            assert_eq!(made_spec.get(field), None, "{field}");
        }
        assert_eq!(made_spec["nodeName"], "worker-1");
        assert_eq!(made_spec["containers"][0]["env"], json!([{ "name": "RES_OPTIONS", "value": "ndots:1" }]));
        assert_eq!(made_spec["activeDeadlineSeconds"], 130);
        assert_eq!(made.metadata.owner_references.as_ref().unwrap()[0].uid, "u-1");
        assert!(target.check_same_dns(&made).is_ok());
    }

    #[test]
    fn a_pod_that_a_webhook_changed_is_not_used() {
        let target =
            Target::of(pod(&json!({ "dnsConfig": { "options": [{ "name": "attempts", "value": "3" }] } })), None);
        let target = target.unwrap();
        let mut made = beside(&target, "muslin-probe-1", &settings()).unwrap();
        made.spec.as_mut().unwrap().dns_config = None;
        let error = target.check_same_dns(&made).unwrap_err().to_string();
        assert!(error.contains("options []; not dnsPolicy ClusterFirst") && error.contains("[attempts:3]"), "{error}");
    }

    #[test]
    fn an_ephemeral_container_has_the_containers_user_but_never_root() {
        let user = |container: Value, of_pod: Value| {
            let mut pod = pod(&json!({ "securityContext": of_pod }));
            let spec = pod.spec.as_mut().unwrap();
            spec.containers[0].security_context = serde_json::from_value(container).unwrap();
            let patch = ephemeral(&Target::of(pod, None).unwrap(), "muslin-probe-1", &settings());
            let container = patch["spec"]["ephemeralContainers"][0].clone();
            assert_eq!(container["targetContainerName"], "app");
            assert_eq!(container["securityContext"]["runAsNonRoot"], true);
            container["securityContext"].get("runAsUser").and_then(Value::as_i64)
        };
        assert_eq!(user(json!({ "runAsUser": 1000 }), json!({})), Some(1000));
        assert_eq!(user(json!({}), json!({ "runAsUser": 2000 })), Some(2000));
        assert_eq!(user(json!({ "runAsUser": 0 }), json!({ "runAsUser": 2000 })), Some(USER));
        assert_eq!(user(json!({}), json!({})), None);
    }

    #[test]
    fn a_pod_without_a_resolver_to_probe_is_named_with_the_reason() {
        let windows = |pod: &mut Pod| {
            pod.spec.as_mut().unwrap().os = Some(serde_json::from_value(json!({ "name": "windows" })).unwrap())
        };
        assert!(unfit(windows).contains("Windows"));
        let selected = |pod: &mut Pod| {
            let labels = [("kubernetes.io/os".to_owned(), "windows".to_owned())];
            pod.spec.as_mut().unwrap().node_selector = Some(labels.into_iter().collect());
        };
        assert!(unfit(selected).contains("Windows"));
        for phase in ["Succeeded", "Failed"] {
            let finished = unfit(|pod| pod.status.as_mut().unwrap().phase = Some(phase.to_owned()));
            assert!(finished.contains(&format!("it has finished ({phase})")), "{finished}");
        }
        let pending = unfit(|pod| {
            pod.spec.as_mut().unwrap().node_name = None;
            let condition =
                json!([{ "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }]);
            pod.status.as_mut().unwrap().conditions = Some(serde_json::from_value(condition).unwrap());
        });
        assert!(pending.contains("it has no node yet: 0/3 nodes are available"), "{pending}");
        let deleted = unfit(|pod| {
            pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        });
        assert!(deleted.contains("is being deleted"), "{deleted}");
    }

    #[test]
    fn the_default_container_is_kubectls() {
        let mut marked = pod(&json!({}));
        let annotations = [(DEFAULT_CONTAINER.to_owned(), "sidecar".to_owned())];
        marked.metadata.annotations = Some(annotations.into_iter().collect());
        assert_eq!(Target::of(marked, None).unwrap().container, "sidecar");
        assert_eq!(Target::of(pod(&json!({})), None).unwrap().container, "app");
        let missing = Target::of(pod(&json!({})), Some("ap")).err().unwrap().to_string();
        assert_eq!(missing, "the pod has no container ap; it has app, sidecar");
    }
}
