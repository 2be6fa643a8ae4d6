//! What admission policies cost, on request: their expressions, by the code of the API server, and creating pods with a webhook, with
//! policies, and with both, in turn. `cargo test --test cluster -- --ignored polic`.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, iter};

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use muslin::compilation::{ApiVersion, KnownImage, Settings, Webhooks, compile, usual_images, webhook_condition};
use muslin::policy::{Mode, Profile};
use serde_json::{Map, Value, json};

use crate::cluster::measuring::resident;
use crate::cluster::policies::{BETA, apply, create, kubernetes};
use crate::cluster::written_pods::{IMAGES, written_pods};
use crate::common::harness::tests;
use crate::common::pods::{awkward_pods, pod};
use crate::{Cluster, Topic};

pub(crate) const ON_REQUEST: Topic = tests![
    a_policy_costs_less_than_a_hundredth_of_the_budget,
    measures_policies_beside_the_webhook,
    measures_constants_against_parameters
];

/// The API server's budgets for one policy on one request (k8s.io/apiserver `pkg/apis/cel/config.go`, `RuntimeCELCostBudget` and
/// `RuntimeCELCostBudgetMatchConditions`).
const BUDGET: u64 = 10_000_000;
const CONDITIONS_BUDGET: u64 = 2_500_000;

/// Creates in each namespace for one measurement.
const CREATES: usize = 400;

/// The images of the large table.
const MANY: usize = 5_000;

/// Returns the objects of the profile `fast`, with these images: alone, or beside these webhooks.
fn objects(images: &[KnownImage], webhooks: Option<&Webhooks>) -> Result<Vec<Value>> {
    let profile = Profile::builtin("fast")?;
    let version = if kubernetes() == Some(BETA) { ApiVersion::V1Beta1 } else { ApiVersion::V1 };
    let settings = Settings {
        profile: &profile,
        pod_selector: None,
        images,
        cluster_domain: "cluster.local",
        cluster_nameservers: 1,
        default_mode: Mode::Inject,
        // Every binding is made to select the measured namespaces, so that there must be one.
        default_profile: "default",
        version,
        webhooks,
    };
    Ok(compile(&settings)?.objects)
}

fn images() -> Vec<KnownImage> {
    IMAGES.map(KnownImage::by_name).into_iter().chain(usual_images()).collect()
}

fn a_policy_costs_less_than_a_hundredth_of_the_budget(_: &Cluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("policy-cost");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/policy-cost");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .status()?;
    ensure!(built.success(), "go build ended with {built}");
    let mut pods = written_pods(1000);
    pods.extend(awkward_pods());
    for pod in pods.iter_mut().step_by(5) {
        pod["metadata"]["annotations"]["muslin.dev/policies"] = json!("a mark that the author wrote");
    }
    let file = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, value.to_string()).map(|()| path)
    };
    let pods = file("pods.json", &json!(pods))?;
    let beside = Webhooks { is_separated: true, ..Webhooks::default() };
    // The webhook's condition, as a policy.
    let (condition, of_webhook) = (webhook_condition(), "the condition of the webhook");
    let validations = json!([{ "expression": condition["expression"] }]);
    let spec = json!({ "variables": [], "matchConditions": [condition], "validations": validations });
    let of_webhook = json!({ "metadata": { "name": of_webhook }, "spec": spec });
    let all = [objects(&images(), None)?, objects(&images(), Some(&beside))?, vec![of_webhook]].concat();
    for object in all.iter().filter(|object| !object["spec"]["variables"].is_null()) {
        let policy = file("policy.json", object)?;
        let output = Command::new(&program).args([&policy, &pods]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (mut most, mut conditions) = (0, 0);
        for line in String::from_utf8(output.stdout)?.lines() {
            let cost: Value = serde_json::from_str(line)?;
            ensure!(cost["error"].is_null(), "{line}");
            most = most.max(cost["policy"].as_u64().context("a cost")?);
            conditions = conditions.max(cost["conditions"].as_u64().context("a cost")?);
        }
        eprintln!(
            "{}: at most {most} of {BUDGET}, conditions {conditions} of {CONDITIONS_BUDGET}",
            object["metadata"]["name"]
        );
        ensure!(most + conditions > 0 && most < BUDGET / 100, "{most}");
        ensure!(conditions < CONDITIONS_BUDGET / 100, "{conditions}");
    }
    Ok(())
}

/// Creates pods in turn with nothing, with the webhook, with policies, and with both, and then with policies alone while muslin is down.
fn measures_policies_beside_the_webhook(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let (own, measured) = (("muslin.dev/self", "true"), ("measured", "yes"));
    cluster.namespace("measured-nothing", &[own])?;
    cluster.namespace("measured-webhook", &[("muslin.dev/profile", "fast")])?;
    cluster.namespace("measured-policies", &[own, measured])?;
    cluster.namespace("measured-both", &[("muslin.dev/profile", "fast"), measured])?;
    let namespaces = ["measured-nothing", "measured-webhook", "measured-policies", "measured-both"];
    let api_server = cluster.control_plane.api_server_process();
    for count in [0, MANY] {
        let many =
            (0..count).map(|number| KnownImage::by_name(format!("registry.example.com/team/s-{number}:1-alpine3.20")));
        let images: Vec<KnownImage> = images().into_iter().chain(many).collect();
        let before = resident(api_server)?;
        let _applied = apply(cluster, &selecting_measured(objects(&images, None)?)?, "measured-policies")?;
        let after = resident(api_server)?;
        measure_a_rewrite(cluster, &images)?;
        eprintln!("{} images: the API server has {before} KiB before and {after} KiB after", images.len());
        let muslin = cluster.muslin()?;
        let taken = cluster.runtime.block_on(async {
            let client = cluster.control_plane.client().await?;
            let mut taken = [const { Vec::new() }; 4];
            for _ in 0..CREATES {
                for (namespace, taken) in iter::zip(namespaces, &mut taken) {
                    taken.push(timed(&client, namespace, namespace != "measured-nothing").await?);
                }
            }
            anyhow::Ok(taken)
        })?;
        for (namespace, mut taken) in iter::zip(namespaces, taken) {
            taken.sort();
            let (half, most) = (taken[taken.len() / 2], taken[taken.len() * 95 / 100]);
            eprintln!("{namespace}: p50 {half:?}, p95 {most:?}, of {}", taken.len());
        }
        drop(muslin);
        cluster.runtime.block_on(async {
            let client = cluster.control_plane.client().await?;
            for _ in 0..CREATES {
                timed(&client, "measured-policies", true).await?;
            }
            anyhow::Ok(())
        })?;
        eprintln!("{CREATES} of {CREATES} pods changed while muslin is down");
    }
    Ok(())
}

/// Writes all policies of a profile with one image more, as the leader does for a new one, and reports what that costs the API server.
fn measure_a_rewrite(cluster: &Cluster, images: &[KnownImage]) -> Result<()> {
    let process = cluster.control_plane.api_server_process();
    let more = images.iter().cloned().chain([KnownImage::by_name("registry.example.com/team/new:1-alpine3.20")]);
    let objects = selecting_measured(objects(&more.collect::<Vec<_>>(), None)?)?;
    let (before, begin) = (cpu_time(process)?, Instant::now());
    let output = cluster.control_plane.kubectl(&["apply", "--server-side", "-f", "-"], Some(&objects))?;
    ensure!(output.status.success(), "{}", output.stderr);
    let took = begin.elapsed();
    // The policies are compiled again when the API server's watch brings them.
    std::thread::sleep(Duration::from_secs(4));
    let cpu = cpu_time(process)? - before;
    eprintln!("a rewrite for a new image takes {took:?}, and {cpu:?} of the API server's CPU");
    Ok(())
}

/// Returns the CPU time of a process (proc(5): fields 14 and 15 of `stat`, in hundredths of a second).
fn cpu_time(process: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = text.rsplit(')').next().context("no name")?.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("a field")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Creates a pod, and checks whether it was changed. Returns how long that took.
async fn timed(client: &Client, namespace: &str, is_changed: bool) -> Result<Duration> {
    let start = Instant::now();
    let pod =
        create(client, namespace, &pod(namespace, "measured", "alpine:3.19")).await?.context("the pod is denied")?;
    let taken = start.elapsed();
    ensure!(pod["spec"]["dnsConfig"]["options"].is_array() == is_changed, "{namespace}: {pod:#}");
    Ok(taken)
}

/// Returns the objects as YAML, with bindings that select the measured namespaces.
fn selecting_measured(mut objects: Vec<Value>) -> Result<String> {
    for object in &mut objects {
        if let Some(selector) = object.pointer_mut("/spec/matchResources/namespaceSelector") {
            *selector = json!({ "matchLabels": { "measured": "yes" } });
        }
    }
    Ok(json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string())
}

/// Creates pods in turn with the table as constants, and with a parameter of as many images: a ConfigMap, or a custom resource.
fn measures_constants_against_parameters(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let kubectl = |arguments: &[&str], input: Option<String>| {
        let output = cluster.control_plane.kubectl(arguments, input.as_deref())?;
        ensure!(output.status.success(), "{}", output.stderr);
        anyhow::Ok(())
    };
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "tables.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": { "kind": "Table", "plural": "tables" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    kubectl(&["create", "-f", "-"], Some(definition.to_string()))?;
    kubectl(&["wait", "--for=condition=Established", "crd/tables.example.com"], None)?;
    let many =
        (0..MANY).map(|number| KnownImage::by_name(format!("registry.example.com/team/s-{number}:1-alpine3.20")));
    let images: Vec<KnownImage> = images().into_iter().chain(many).collect();
    let data: Map<String, Value> =
        (0..MANY).map(|number| (format!("registry.example.com.team.s-{number}.1-alpine3.20"), json!("k0"))).collect();
    let ways = [
        ("constants", None),
        ("configmap", Some(json!({ "apiVersion": "v1", "kind": "ConfigMap" }))),
        ("resource", Some(json!({ "apiVersion": "example.com/v1", "kind": "Table" }))),
    ];
    let mut applied = Vec::new();
    for (way, kind) in &ways {
        let namespace = format!("measured-{way}");
        cluster.namespace(&namespace, &[("muslin.dev/self", "true"), ("measured", way)])?;
        if let Some(kind) = kind {
            let mut parameter = kind.clone();
            parameter["metadata"] = json!({ "name": "table", "namespace": namespace });
            parameter["data"] = json!(data);
            kubectl(&["create", "-f", "-"], Some(parameter.to_string()))?;
        }
        applied.push(apply(cluster, &with_parameter(&objects(&images, None)?, way, kind.as_ref()), &namespace)?);
    }
    let taken = cluster.runtime.block_on(async {
        let client = cluster.control_plane.client().await?;
        let mut taken = [const { Vec::new() }; 3];
        for _ in 0..CREATES {
            for ((way, _), taken) in iter::zip(&ways, &mut taken) {
                taken.push(timed(&client, &format!("measured-{way}"), true).await?);
            }
        }
        anyhow::Ok(taken)
    })?;
    for ((way, _), mut taken) in iter::zip(&ways, taken) {
        taken.sort();
        let (half, most) = (taken[taken.len() / 2], taken[taken.len() * 95 / 100]);
        eprintln!("{way} of {MANY} images: p50 {half:?}, p95 {most:?}, of {}", taken.len());
    }
    Ok(())
}

/// Returns the mutating policy alone, under another name and with a condition that reads its parameter.
fn with_parameter(objects: &[Value], way: &str, kind: Option<&Value>) -> String {
    let is_mutating = |object: &&Value| object["kind"].as_str().is_some_and(|kind| kind.starts_with("Mutating"));
    let mut objects: Vec<Value> = objects.iter().filter(is_mutating).cloned().collect();
    for object in &mut objects {
        object["metadata"]["name"] = json!(format!("measured-{way}"));
        if object["spec"]["policyName"].is_string() {
            object["spec"]["policyName"] = json!(format!("measured-{way}"));
            object["spec"]["matchResources"]["namespaceSelector"] = json!({ "matchLabels": { "measured": way } });
            if kind.is_some() {
                object["spec"]["paramRef"] = json!({ "name": "table", "namespace": format!("measured-{way}"), "parameterNotFoundAction": "Deny" });
            }
        } else if let (Some(kind), Some(conditions)) = (kind, object["spec"]["matchConditions"].as_array_mut()) {
            conditions.insert(
                0,
                json!({
                    "name": "in-the-parameter",
                    "expression": "'registry.example.com.team.s-7.1-alpine3.20' in params.data",
                }),
            );
            object["spec"]["paramKind"] = kind.clone();
        }
    }
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}
