//! Objects of many parts, each small enough for the API server: containers, options, words in annotations, and their relatives.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use crate::attacks::tenant::path;
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    pods_of_many_parts,
    pods_with_long_annotations,
    templates_of_many_parts,
    namespaces_and_profiles_of_many_parts
];

/// The number of requests at once: more than a large pod's share of two threads.
const AT_ONCE: usize = 3;

fn pods_of_many_parts(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    for (attack, pod) in large_pods() {
        victim.attack(attack, |_| create(world, "pods", &pod))?;
    }
    victim.finish()
}

fn pods_with_long_annotations(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    for (attack, pod) in annotated_pods() {
        victim.attack(attack, |_| create(world, "pods", &pod))?;
    }
    victim.finish()
}

/// The same pods as templates, for the hook of workloads.
fn templates_of_many_parts(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    let template = |attack: &str| {
        let pods = large_pods().into_iter().chain(annotated_pods());
        let pod = pods.into_iter().find_map(|(name, pod)| (name == attack).then_some(pod)).unwrap_or_default();
        json!({ "metadata": { "labels": { "app": "x" }, "annotations": pod["metadata"]["annotations"] }, "spec": pod["spec"] })
    };
    let metadata = json!({ "name": "large" });
    let selector = json!({ "matchLabels": { "app": "x" } });
    let deployment = |attack: &str| {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": { "selector": selector, "template": template(attack) } })
    };
    for attack in ["20,000 containers", "100,000 options", "200,000 words in muslin.dev/ignore"] {
        victim.attack(&format!("a Deployment with {attack}"), |_| {
            create_at(world, &path("apis/apps/v1", "deployments"), &deployment(attack))
        })?;
    }
    let job = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": {
        "schedule": "@daily", "jobTemplate": { "spec": { "template": template("100,000 search domains") } } } });
    victim.attack("a CronJob with 100,000 search domains", |_| {
        create_at(world, &path("apis/batch/v1", "cronjobs"), &job)
    })?;
    victim.finish()
}

/// Objects that only an admin may write, whose hooks read lists as well.
fn namespaces_and_profiles_of_many_parts(world: &World) -> Result<()> {
    let mut victim = Victim::start(world)?;
    let many = |count: usize, value: &str| -> Value {
        (0..count).map(|index| (format!("example.com/{index}"), json!(value))).collect::<serde_json::Map<_, _>>().into()
    };
    let mut labels = many(10_000, "x");
    labels["muslin.dev/mode"] = json!("warn");
    let named = |metadata: Value| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
    let long = "x".repeat(1_400_000);
    let profile = |spec: Value| json!({ "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "large" }, "spec": spec });
    let rows: Vec<Value> =
        (0..20_000).map(|index| json!({ "resolver": "musl", "options": [format!("o{index}:1")] })).collect();
    let levels: serde_json::Map<_, _> = (0..50_000).map(|index| (format!("rule-{index}"), json!("deny"))).collect();
    let options: Vec<Value> = (0..100_000).map(|index| json!(format!("o{index}:1"))).collect();
    let (namespaces, profiles) = ("/api/v1/namespaces", "/apis/muslin.dev/v1alpha1/resolverprofiles");
    for (attack, path, object) in [
        ("a Namespace with 10,000 labels", namespaces, named(json!({ "name": "large", "labels": labels }))),
        (
            "a Namespace with a profile label of 1.4 MB",
            namespaces,
            named(json!({ "name": "large", "labels": { "muslin.dev/profile": long } })),
        ),
        ("a ResolverProfile with 20,000 rows", profiles, profile(json!({ "rows": rows }))),
        ("a ResolverProfile with 50,000 levels", profiles, profile(json!({ "levels": levels }))),
        ("a ResolverProfile with 100,000 options", profiles, profile(json!({ "options": { "musl": options } }))),
    ] {
        victim.attack(attack, |_| {
            world.runtime.block_on(world.admin.create(path, &object.to_string(), AT_ONCE));
            Ok(())
        })?;
    }
    victim.finish()
}

fn create(world: &World, resource: &str, object: &Value) -> Result<()> {
    create_at(world, &path("api/v1", resource), object)
}

/// Creates the object several times at once. The answers do not matter, what others get does.
fn create_at(world: &World, path: &str, object: &Value) -> Result<()> {
    world.runtime.block_on(world.tenant.create(path, &object.to_string(), AT_ONCE));
    Ok(())
}

fn list(count: usize, item: impl Fn(usize) -> Value) -> Value {
    (0..count).map(item).collect()
}

/// Returns a pod of the tenant with this value at a path of its own.
fn with(pointer: &str, value: Value) -> Value {
    let mut pod = pod(crate::attacks::tenant::NAMESPACE, "large", "alpine:3.19");
    let mut place = &mut pod;
    for key in pointer.split('/') {
        place = match key.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[key],
        };
    }
    *place = value;
    pod
}

fn large_pods() -> Vec<(&'static str, Value)> {
    let container = |index: usize| json!({ "name": format!("c{index}"), "image": "alpine:3" });
    let musl =
        |index: usize| json!({ "name": format!("c{index}"), "image": "alpine:3", "command": ["/bin/sh", "-c", "a;b"] });
    let term = |index: usize| json!({ "matchExpressions": [{ "key": format!("k{index}"), "operator": "Exists" }] });
    let terms = "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    vec![
        ("20,000 containers", with("spec/containers", list(20_000, container))),
        ("100,000 options", with("spec/dnsConfig/options", list(100_000, |_| json!({ "name": "x" })))),
        ("20,000 init containers", with("spec/initContainers", list(20_000, container))),
        ("12,000 init containers with commands", with("spec/initContainers", list(12_000, musl))),
        ("3,000 ephemeral containers", with("spec/ephemeralContainers", list(3_000, container))),
        (
            "15,000 variables",
            with("spec/containers/0/env", list(15_000, |index| json!({ "name": format!("V{index}") }))),
        ),
        ("2,000 variables that stand for 240 KiB each", {
            let long = json!({ "name": "V", "value": "v".repeat(4096) });
            let more = (0..2_000).map(|index| json!({ "name": format!("V{index}"), "value": "$(V)".repeat(60) }));
            let mut pod = with("spec/containers/0/env", std::iter::once(long).chain(more).collect());
            pod["spec"]["containers"][0]["command"] = json!(["$(V)"]);
            pod
        }),
        ("100,000 arguments", with("spec/containers/0/args", list(100_000, |_| json!("sh -c a")))),
        (
            "6,000 volumes",
            with("spec/volumes", list(6_000, |index| json!({ "name": format!("v{index}"), "emptyDir": {} }))),
        ),
        ("20,000 nodeSelectorTerms", with(terms, list(20_000, term))),
        (
            "15,000 pull secrets",
            with("spec/imagePullSecrets", list(15_000, |index| json!({ "name": format!("s{index}") }))),
        ),
        ("20,000 tolerations", with("spec/tolerations", list(20_000, |index| json!({ "key": format!("t{index}") })))),
        (
            "100,000 search domains",
            with("spec/dnsConfig/searches", list(100_000, |index| json!(format!("d{index}.x")))),
        ),
        ("100,000 nameservers", with("spec/dnsConfig/nameservers", list(100_000, |_| json!("192.0.2.1")))),
        (
            "20,000 different options with values",
            with(
                "spec/dnsConfig/options",
                list(20_000, |index| json!({ "name": format!("ndots{index}"), "value": "attempts:0" })),
            ),
        ),
        (
            "an option of 1.4 MB",
            with("spec/dnsConfig/options", json!([{ "name": "attempts:0 ".repeat(130_000), "value": "0" }])),
        ),
        ("an image name of 1.4 MB", with("spec/containers/0/image", json!("alpine-3.19-".repeat(120_000)))),
        ("a search domain of 1.4 MB", with("spec/dnsConfig/searches", json!(["a.".repeat(700_000)]))),
        ("a container name of 1.4 MB", with("spec/containers/0/name", json!("n".repeat(1_400_000)))),
    ]
}

fn annotated_pods() -> Vec<(&'static str, Value)> {
    let annotated = |key: &str, value: String| with("metadata/annotations", json!({ key: value }));
    let mut labels = serde_json::Map::new();
    (0..10_000).for_each(|index| drop(labels.insert(format!("example.com/{index}"), json!("x"))));
    let words = |count: usize| {
        (0..count).fold(String::new(), |mut text, index| {
            let _ = write!(text, "r{index},");
            text
        })
    };
    // Each alias stands for ten of the one before.
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        let _ = writeln!(laughs, "a{level}: &a{level} [{}]", vec![alias; 10].join(", "));
    }
    vec![
        ("200,000 words in muslin.dev/ignore", annotated("muslin.dev/ignore", words(200_000))),
        ("200,000 words in muslin.dev/injected", annotated("muslin.dev/injected", "timeout:5 ".repeat(130_000))),
        (
            "200,000 replaced options in muslin.dev/injected",
            annotated("muslin.dev/injected", "attempts:2 (was attempts:0 at 1) ".repeat(42_000)),
        ),
        ("200,000 lines in muslin.dev/warnings", annotated("muslin.dev/warnings", "x\n".repeat(200_000))),
        ("1.4 MB in muslin.dev/resolvers", annotated("muslin.dev/resolvers", "app=musl-1.2.4 ".repeat(93_000))),
        ("aliases of aliases in proxy.istio.io/config", annotated("proxy.istio.io/config", laughs)),
        ("1.4 MB of nested lists in proxy.istio.io/config", annotated("proxy.istio.io/config", "[".repeat(1_400_000))),
        ("1.4 MB of keys in proxy.istio.io/config", annotated("proxy.istio.io/config", "a:\n ".repeat(350_000))),
        ("1.4 MB in another annotation", annotated("example.com/notes", "\u{e9}\n".repeat(450_000))),
        ("10,000 labels", with("metadata/labels", labels.into())),
    ]
}
