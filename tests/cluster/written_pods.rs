//! Pods as authors write them, by chance: most without DNS settings, some with options, few with anything odd. Must not know what muslin
//! does with them.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// Images whose names tell their resolver, in the shares in which clusters run them.
pub(crate) const IMAGES: [&str; 24] = [
    "alpine:3.12",
    "alpine:3.17",
    "alpine:3.19",
    "alpine:3.22",
    "alpine",
    "debian:12",
    "docker.io/library/debian:12-slim",
    "ubuntu:24.04",
    "nginx:1.27",
    "nginx:1.27-alpine",
    "redis:7",
    "redis:7-alpine",
    "postgres:16",
    "postgres:16-alpine3.20",
    "node:22-alpine",
    "node:22",
    "python:3.12-slim",
    "python:3.12-alpine3.19",
    "golang:1.23",
    "busybox:1.28",
    "busybox:1.36",
    "traefik:v3.1",
    "registry.k8s.io/pause:3.10",
    "gcr.io/distroless/static",
];

/// Options as manifests have them.
const LISTS: [&str; 26] = [
    "ndots:1",
    "ndots:2",
    "ndots:2",
    "ndots:2",
    "ndots:3",
    "ndots:5",
    "single-request-reopen",
    "single-request-reopen",
    "single-request",
    "use-vc",
    "edns0",
    "timeout:1",
    "timeout:2",
    "attempts:3",
    "attempts:0",
    "timeout:0",
    "rotate",
    "ndots:2 edns0",
    "ndots:1 single-request-reopen",
    "edns0 ndots:2",
    "timeout:2 attempts:3",
    "attempts:5 timeout:1",
    "ndots:2 timeout:2 attempts:2",
    "ndots:1 timeout:1 attempts:3",
    "single-request-reopen ndots:2",
    "timeout:3 attempts:6",
];

/// Returns pods as authors write them, always the same ones.
pub(crate) fn written_pods(count: usize) -> Vec<Value> {
    generated(&written(), count)
}

/// Returns pods of odd settings, always the same ones.
pub(crate) fn odd_pods(count: usize) -> Vec<Value> {
    generated(&odd(), count)
}

fn generated(strategy: &impl Strategy<Value = Value>, count: usize) -> Vec<Value> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let pod = |number: usize| {
        let mut pod = strategy.new_tree(&mut runner).ok()?.current();
        pod["metadata"]["name"] = json!(format!("pod-{number}"));
        Some(pod)
    };
    (0..count).filter_map(pod).collect()
}

fn option(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, value)) => json!({ "name": name, "value": value }),
        None => json!({ "name": text }),
    }
}

fn options(list: &str) -> Value {
    list.split(' ').map(option).collect()
}

fn container() -> impl Strategy<Value = Value> {
    let command = prop_oneof![
        14 => Just(Value::Null),
        5 => select(vec!["sh", "/bin/sh", "bash", "sleep"]).prop_map(|word| json!([word, "-c", "run"])),
        1 => Just(json!(["/app/server"])),
    ];
    (select(IMAGES.to_vec()), command).prop_map(|(image, command)| {
        let mut container = json!({ "image": image, "env": [{ "name": "LEVEL", "value": "info" }] });
        if !command.is_null() {
            container["command"] = command;
        }
        container
    })
}

fn named(prefix: &str, containers: Vec<Value>) -> Value {
    let name = |(index, mut container): (usize, Value)| {
        container["name"] = json!(format!("{prefix}-{index}"));
        container
    };
    containers.into_iter().enumerate().map(name).collect()
}

fn settings() -> impl Strategy<Value = Map<String, Value>> {
    let config = prop_oneof![
        65 => Just(Value::Null),
        30 => select(LISTS.to_vec()).prop_map(|list| json!({ "options": options(list) })),
        2 => Just(json!({})),
        1 => Just(json!({ "searches": ["example.com"], "options": options("ndots:2") })),
        1 => Just(json!({ "nameservers": ["192.0.2.53"] })),
        1 => Just(json!({ "options": [{ "name": "ndots:2" }] })),
    ];
    let network = prop_oneof![
        88 => Just(json!({})),
        3 => Just(json!({ "hostNetwork": true })),
        4 => Just(json!({ "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet" })),
        3 => Just(json!({ "dnsPolicy": "Default" })),
        2 => Just(json!({ "nodeSelector": { "kubernetes.io/os": "linux" } })),
    ];
    (config, network).prop_map(|(config, network)| {
        let mut spec = network.as_object().cloned().unwrap_or_default();
        if !config.is_null() {
            spec.insert("dnsConfig".to_owned(), config);
        }
        spec
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    prop_oneof![
        40 => Just(json!({})),
        30 => Just(json!({ "labels": { "app": "web" } })),
        28 => Just(json!({ "labels": { "app": "web" }, "annotations": { "example.com/team": "shop" } })),
        1 => Just(json!({ "annotations": { "muslin.dev/inject": "true" } })),
        1 => Just(json!({ "annotations": { "muslin.dev/ignore": "musl-slow-retry" } })),
    ]
}

fn written() -> impl Strategy<Value = Value> {
    let main = prop::collection::vec(container(), 1..4);
    let init = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(container(), 1..3)];
    (main, init, settings(), metadata()).prop_map(|(main, init, mut spec, metadata)| {
        spec.insert("automountServiceAccountToken".to_owned(), json!(false));
        spec.insert("containers".to_owned(), named("c", main));
        if !init.is_empty() {
            spec.insert("initContainers".to_owned(), named("init", init));
        }
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
    })
}

fn odd_option() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => select(vec!["ndots", "timeout", "attempts", "single-request-reopen", "rotate", "use-vc", "no-aaaa", "trust-ad"]),
        1 => select(vec!["ndotss", "ndots:2", "attempts:0", "~/", "ß", "attempts:0 timeout:0"]),
    ];
    let value = select(vec![
        None,
        Some("0"),
        Some("1"),
        Some("2"),
        Some("3"),
        Some("5"),
        Some("10"),
        Some("00"),
        Some(""),
        Some("x y"),
    ]);
    (name, value).prop_map(|(name, value)| match value {
        Some(value) => json!({ "name": name, "value": value }),
        None => json!({ "name": name }),
    })
}

fn odd_annotations() -> impl Strategy<Value = Value> {
    let claim = select(vec![
        "timeout:3 attempts:6",
        "attempts:6 timeout:3",
        "attempts:6",
        "timeout:5 attempts:10",
        "single-request-reopen",
        "attempts:2 (was attempts:0)",
        "",
        " ",
        "ndots:5",
    ]);
    prop_oneof![
        3 => Just(json!({})),
        4 => claim.prop_map(|claim| json!({ "muslin.dev/injected": claim, "a~b/c": "kept" })),
        1 => select(vec!["false", "no", "1", ""]).prop_map(|word| json!({ "muslin.dev/inject": word })),
        1 => Just(json!({ "muslin.dev/warnings": "forged", "muslin.dev/resolvers": "forged" })),
        1 => Just(json!({ "muslin.dev/mode": "off" })),
        1 => Just(json!({ "proxy.istio.io/config": "proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}" })),
        1 => Just(json!({ "kubernetes.io/config.mirror": "1" })),
    ]
}

fn odd() -> impl Strategy<Value = Value> {
    let options = prop_oneof![
        2 => select(LISTS.to_vec()).prop_map(options),
        3 => prop::collection::vec(odd_option(), 0..5).prop_map(|options| json!(options)),
    ];
    let env = prop_oneof![
        6 => Just(Value::Null),
        1 => select(vec!["GODEBUG", "RES_OPTIONS", "LOCALDOMAIN", "ISTIO_META_DNS_CAPTURE"])
            .prop_map(|name| json!([{ "name": name, "value": "netdns=cgo" }])),
    ];
    let labels = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({ "muslin.dev/libc": "forged" })),
        1 => Just(json!({ "muslin.dev/team": "shop" })),
        1 => Just(json!({ "istio.io/dataplane-mode": "ambient" })),
    ];
    let claimed = any::<bool>();
    (written(), options, odd_annotations(), labels, env, claimed).prop_map(
        |(mut pod, options, annotations, labels, env, claimed)| {
            let mut options = options.as_array().cloned().unwrap_or_default();
            if claimed {
                options.extend([option("timeout:3"), option("attempts:6")]);
            }
            pod["metadata"]["annotations"] = annotations;
            pod["metadata"]["labels"] = labels;
            pod["spec"]["dnsConfig"]["options"] = json!(options);
            if !env.is_null() {
                pod["spec"]["containers"][0]["env"] = env;
            }
            pod
        },
    )
}
