//! The cost of a review: the largest pods of each shape within the budget are planned in bounded memory, and larger ones are left
//! unchanged in less.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::unconstrained;

use super::*;
use crate::admission::hooks::pods;
use crate::admission::memory::REVIEW_MAX;
use crate::admission::state::Effort;
use crate::plan::plan;

/// The most memory that a review within its budget holds, beside its body.
const HELD_MAX: u64 = REVIEW_MAX as u64;

/// A pod that grows in one direction.
type Shape = (&'static str, fn(usize) -> Value);

/// Pods of a tenant who wants muslin to work.
const SHAPES: [Shape; 18] = [
    ("containers", |number| pod(containers(number, "alpine:3.18"), json!({}))),
    ("empty containers", |number| pod(json!(vec![json!({}); number]), json!({}))),
    (
        "init containers",
        |number| json!({ "metadata": {}, "spec": { "initContainers": containers(number, "golang:1.22") } }),
    ),
    ("unknown images", |number| {
        pod(
            (0..number).map(|index| json!({ "name": "a", "image": format!("example.com/{index}") })).collect(),
            json!({}),
        )
    }),
    ("options", |number| {
        pod(
            containers(1, "alpine:3.18"),
            json!({ "options": (0..number).map(|index| json!({ "name": format!("o{index}") })).collect::<Value>() }),
        )
    }),
    ("equal options", |number| {
        pod(containers(1, "alpine:3.18"), json!({ "options": vec![json!({ "name": "ndots", "value": "2" }); number] }))
    }),
    ("options that hide a value", |number| {
        pod(
            containers(1, "debian:12"),
            json!({ "options": (0..number).map(|index| json!({ "name": format!("ndots:{index}") })).collect::<Value>() }),
        )
    }),
    ("zeros", |number| {
        pod(
            containers(1, "debian:12"),
            json!({ "options": (0..number).map(|index| json!({ "name": format!("attempts:0 x{index}") })).collect::<Value>() }),
        )
    }),
    ("options with containers", |number| {
        pod(
            containers(number, "alpine:3.18"),
            json!({ "options": (0..number * 5).map(|index| json!({ "name": format!("rotate:{index}"), "value": "0" })).collect::<Value>() }),
        )
    }),
    ("searches", |number| {
        pod(
            containers(1, "alpine:3.18"),
            json!({ "searches": (0..number).map(|index| format!("s{index}.example.com")).collect::<Value>() }),
        )
    }),
    ("searches with containers", |number| {
        pod(
            containers(number, "alpine:3.18"),
            json!({ "searches": (0..number).map(|index| format!("s{index}.example.com")).collect::<Value>() }),
        )
    }),
    ("nameservers", |number| {
        pod(
            containers(1, "alpine:3.18"),
            json!({ "nameservers": (0..number).map(|index| format!("10.0.{}.{}", index / 256, index % 256)).collect::<Value>() }),
        )
    }),
    (
        "ignored rules",
        |number| json!({ "metadata": { "annotations": { "muslin.dev/ignore": "a ".repeat(number) } }, "spec": { "containers": containers(1, "alpine:3.18") } }),
    ),
    ("injected options", |number| {
        let mut pod = pod(
            containers(1, "alpine:3.18"),
            json!({ "options": (0..number).map(|index| json!({ "name": format!("timeout:{index}") })).collect::<Value>() }),
        );
        pod["metadata"]["annotations"] = json!({ "muslin.dev/injected": (0..number).map(|index| format!("timeout:5 (was timeout:0) attempts:{index} ")).collect::<String>() });
        pod
    }),
    ("options in the environment", |number| {
        pod(vec![json!({ "name": "a", "image": "debian:12", "env": [{ "name": "RES_OPTIONS", "value": "rotate ".repeat(number) }] }); 20].into(), json!({}))
    }),
    ("variables that stand for long texts", |number| {
        let long = json!({ "name": "V", "value": "v".repeat(4096) });
        let more = (0..number).map(|index| json!({ "name": format!("V{index}"), "value": "$(V)".repeat(60) }));
        let env: Vec<Value> = std::iter::once(long).chain(more).collect();
        pod(vec![json!({ "name": "a", "image": "alpine:3.19", "command": ["$(V)"], "env": env }); 12].into(), json!({}))
    }),
    ("a long name and image", |number| {
        pod(json!([{ "name": "a".repeat(number), "image": "debian:".repeat(number) }]), json!({}))
    }),
    ("architectures", |number| {
        let values: Vec<String> = (0..number).map(|index| format!("arch{index}")).collect();
        let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "kubernetes.io/arch", "operator": "In", "values": values }] }] });
        let mut pod = pod(containers(20, "alpine:3.18"), json!({}));
        pod["spec"]["affinity"] =
            json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } });
        pod
    }),
];

fn containers(number: usize, image: &str) -> Value {
    (0..number).map(|index| json!({ "name": format!("c{index}"), "image": image })).collect()
}

fn pod(containers: Value, dns_config: Value) -> Value {
    json!({ "metadata": { "name": "web" }, "spec": { "containers": containers, "dnsConfig": dns_config } })
}

/// Answers a review without waiting; returns the response, and what the answer held.
fn measure(webhook: &Webhook, pod: Value) -> (Value, u64, Duration) {
    let body = review(pod).to_string();
    let mut answered = None;
    let began = cpu_time();
    let held = allocation_counter::measure(|| {
        let effort = &mut Effort::new(body.len());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(600);
        let parse = webhook.state().read(effort, deadline, || crate::admission::review::parse(body.as_bytes()));
        let request = unconstrained(parse).now_or_never().unwrap().unwrap().unwrap();
        answered = unconstrained(pods::mutate(webhook.state(), &request, effort, deadline)).now_or_never();
    });
    let took = cpu_time() - began;
    let answer: Value = serde_json::from_slice(&answered.unwrap().body).unwrap();
    (answer["response"].clone(), held.bytes_max, took)
}

/// Returns the time that this thread used a processor.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn is_over_the_limit(response: &Value) -> bool {
    response["warnings"].to_string().contains("steps of work")
}

/// Returns the largest number that is within the budget, to within an eighth.
fn largest(webhook: &Webhook, shape: fn(usize) -> Value) -> usize {
    let is_within = |number: usize| !is_over_the_limit(&measure(webhook, shape(number)).0);
    let mut number = 1;
    while number < 1 << 20 && is_within(number * 2) {
        number *= 2;
    }
    for eighths in [4, 2, 1] {
        if is_within(number + number * eighths / 8) {
            number += number * eighths / 8;
        }
    }
    number
}

#[tokio::test]
async fn two_hundred_containers_with_a_thousand_options_are_planned() {
    let webhook = webhook(NamespacePolicy::default());
    for image in ["alpine:3.18", "debian:12", "golang:1.22"] {
        let options: Value = (0..1000).map(|index| json!({ "name": format!("o{index}"), "value": "1" })).collect();
        let searches: Value = (0..32).map(|index| format!("s{index}.example.com")).collect();
        let pod = pod(containers(200, image), json!({ "options": options, "searches": searches }));
        let (response, held, _) = measure(&webhook, pod);
        assert!(!is_over_the_limit(&response), "{}", response["warnings"]);
        assert!(held <= HELD_MAX, "{image}: {held} bytes");
    }
}

#[tokio::test]
async fn the_largest_review_within_the_budget_holds_at_most_4_mib() {
    let webhook = webhook(NamespacePolicy::default());
    for (name, shape) in SHAPES {
        let number = largest(&webhook, shape);
        let (response, held, took) = measure(&webhook, shape(number));
        println!("{name}: {number}, {} KiB, {took:?}, {}", held / 1024, response["warnings"]);
        assert!(held <= HELD_MAX, "{name}: {number} hold {held} bytes");
    }
}

#[tokio::test]
async fn a_review_beyond_the_budget_is_left_unchanged_in_the_same_memory() {
    let webhook = webhook(NamespacePolicy::default());
    for (name, shape) in SHAPES {
        let (response, held, took) = measure(&webhook, shape(60_000));
        println!("{name}: {} KiB, {took:?}, {}", held / 1024, response["warnings"]);
        assert!(held <= HELD_MAX, "{name} hold {held} bytes");
        if is_over_the_limit(&response) {
            assert_eq!((&response["allowed"], response.get("patch")), (&json!(true), None), "{name}");
        }
    }
}

#[tokio::test]
async fn enforce_denies_a_pod_beyond_the_budget_with_the_limit() {
    let webhook = webhook(NamespacePolicy::from_labels(Some("enforce"), None));
    let body = review(pod(containers(60_000, "debian:12"), json!({}))).to_string();
    let request = Request::post("/enforce").body(Body::from(body)).unwrap();
    let response = webhook.router().oneshot(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(answer["response"]["allowed"], false);
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains("too many containers (the limit is 64000 steps of work)"), "{message}");
}

#[tokio::test]
async fn an_ordinary_review_never_waits_for_large_ones() {
    let webhook = webhook(NamespacePolicy::default());
    let soon = || tokio::time::Instant::now() + Duration::from_millis(50);
    let large = review(pod(containers(600, "alpine:3.18"), json!({}))).to_string();
    let mut held = Vec::new();
    let full = loop {
        let mut effort = Effort::new(large.len());
        let read =
            webhook.state().read(&mut effort, soon(), || crate::admission::review::parse::<Pod<'_>>(large.as_bytes()));
        match read.await {
            Ok(_) => held.push(effort),
            Err(undone) => break undone,
        }
    };
    assert!(full.to_string().contains("too many large objects"), "{full}");
    let waiting = webhook.state().read(&mut held[0], soon(), || ());
    let mut waiting = std::pin::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none(), "a large one waits");
    let response = answer(&webhook, &review(pod(containers(12, "alpine:3.18"), json!({})))).await;
    assert!(response["patch"].is_string());
}

/// A planner is a function that tests may replace; these bounds are those of the real one.
#[test]
fn the_measured_planner_is_the_real_one() {
    let webhook = webhook(NamespacePolicy::default());
    assert!(std::ptr::fn_addr_eq(webhook.state().planner, plan as crate::admission::state::Planner));
}
