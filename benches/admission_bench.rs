//! How long creating a pod takes on a real API server: with no webhook, with webhooks that do nothing or little, with muslin, and
//! with a MutatingAdmissionPolicy that adds the same options. One pod at a time, in turn, so that noise hits all alike.
//!
//! ```text
//! cargo bench --bench admission -- --help
//! ```
//!
//! This file makes the lanes and takes the times. It must not know how the webhooks answer.

#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod authority;
    pub(crate) mod component;
    pub(crate) mod control_plane;
    pub(crate) mod pods;
    pub(crate) mod process;
    pub(crate) mod registration;
    pub(crate) mod server;
    pub(crate) mod webhook;
}

mod admission {
    pub(crate) mod answers;
    pub(crate) mod report;
}

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use crate::admission::answers::{self, Answer};
use crate::admission::report;
use crate::common::control_plane::ControlPlane;
use crate::common::registration::{MANIFESTS, MUSLIN, PROBE_NAMESPACE};
use crate::common::server::Server;
use crate::common::webhook::Muslin;

/// Measure how long creating a pod takes on a real API server, by what is called for it.
#[derive(Debug, Parser)]
#[command(name = "admission", bin_name = "cargo bench --bench admission --")]
struct Options {
    /// Pods of each lane; in each round every lane creates one, in another order.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rounds: u32,

    /// Unmeasured rounds before.
    #[arg(long, value_name = "N", default_value_t = 200)]
    warm_up: u32,

    /// The pod to create.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reviews/12k.pod.json"),
          hide_default_value = true)]
    pod: PathBuf,

    /// Another muslin, such as the last release, to measure in a lane of its own. It runs without a cluster.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,

    /// Be the webhook that answers so. The benchmark starts itself so.
    #[arg(long, value_name = "ANSWER", hide = true)]
    serve: Option<Answer>,

    /// What the webhook replays: an answer whose uid is `UID`.
    #[arg(long, value_name = "TEXT", hide = true)]
    answer: Option<String>,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The lanes, by what the API server calls when a pod is created in the lane's namespace.
const LANES: [&str; 6] = ["none", "allow", "patch", "replay", "muslin", "policy"];

/// The lane of the muslin of `--before`.
const BEFORE: &str = "before";

/// The options that muslin (by its profile `fast`), the fixed patch and the policy inject.
const PROFILE: &str = "fast";
const INJECTED: [(&str, &str); 2] = [("timeout", "3"), ("attempts", "6")];

/// The policy is beta in the oldest release that is tested, and its API is served only where asked for.
const POLICIES: [&str; 2] =
    ["--feature-gates=MutatingAdmissionPolicy=true", "--runtime-config=admissionregistration.k8s.io/v1beta1=true"];

/// How long the API server may take to learn of what is registered, by watches: it takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let options = Options::parse();
    // The control plane does the same; the second call returns an error, which does not matter.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Some(answer) = options.serve {
        return answers::serve(answer, options.answer);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let lanes: Vec<&str> = LANES.into_iter().chain(options.before.as_ref().map(|_| BEFORE)).collect();
    let control_plane = ControlPlane::start_with(&POLICIES)?;
    prepare(&control_plane, &runtime, &lanes)?;

    let account = control_plane.service_account_kubeconfig("muslin", "muslin")?;
    let muslin = Muslin::start(&control_plane, &account, &["--profile".to_owned(), PROFILE.to_owned()])?;
    let mut servers = Vec::new();
    for answer in [Answer::Allow, Answer::Patch, Answer::Replay] {
        let server = runtime.block_on(start(answer, &answer_of(&muslin)?))?;
        register(&control_plane, answer.name(), &server)?;
        servers.push(server);
    }
    if let Some(program) = &options.before {
        let server = runtime.block_on(Server::muslin(BEFORE, program, PROFILE, false))?;
        register(&control_plane, BEFORE, &server)?;
        servers.push(server);
    }
    create(&control_plane, &policy())?;

    let pod: Value = serde_json::from_slice(&std::fs::read(&options.pod)?).context("reading the pod")?;
    let bodies: Vec<Vec<u8>> = lanes.iter().map(|lane| body(&pod, lane)).collect();
    let times = runtime.block_on(async {
        let client = control_plane.client().await?;
        for (lane, body) in lanes.iter().zip(&bodies) {
            wait_until_called(&client, lane, body).await?;
        }
        let before = reviews(&client, &lanes).await?;
        let times = measure(&client, &lanes, &bodies, &options).await?;
        let pods = u64::from(options.rounds + options.warm_up);
        for ((name, after), (_, before)) in reviews(&client, &lanes).await?.into_iter().zip(before) {
            ensure!(after - before == pods, "{name} answered {} reviews of {pods}", after - before);
        }
        anyhow::Ok(times)
    })?;
    drop(muslin);

    let table = report::table(&lanes, &times, bodies[0].len());
    std::io::stdout().lock().write_all(table.as_bytes()).context("writing the table to stdout")
}

/// Creates the lanes' namespaces, and registers muslin's webhook as in `manifests/`, for all namespaces that it does not exclude.
fn prepare(control_plane: &ControlPlane, runtime: &tokio::runtime::Runtime, lanes: &[&str]) -> Result<()> {
    kubectl(control_plane, &["apply", "-k", MANIFESTS], None)?;
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        kubectl(control_plane, &["delete", kind, MUSLIN], None)?;
    }
    runtime.block_on(control_plane.prepare_namespace(PROBE_NAMESPACE, &[]))?;
    for lane in lanes.iter().copied() {
        let labels: &[(&str, &str)] = if lane == "muslin" { &[] } else { &[("muslin.dev/mode", "off")] };
        runtime.block_on(control_plane.prepare_namespace(&namespace(lane), labels))?;
    }
    Ok(())
}

fn namespace(lane: &str) -> String {
    format!("lane-{lane}")
}

/// What muslin answers to a review of the pod in its lane, with `UID` in place of the uid.
fn answer_of(muslin: &Muslin<'_>) -> Result<String> {
    let mut review: Value = serde_json::from_str(include_str!("reviews/12k.json"))?;
    review["request"]["namespace"] = json!(namespace("muslin"));
    review["request"]["object"]["metadata"]["namespace"] = json!(namespace("muslin"));
    review["request"]["uid"] = json!("UID");
    let answer = muslin.review("/mutate", &review)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("muslin answered with no body")?;
    ensure!(body.contains("UID") && body.contains("patchType"), "muslin answered {answer}");
    Ok(body.to_owned())
}

/// This program again, as a webhook.
async fn start(answer: Answer, of_muslin: &str) -> Result<Server> {
    let program = std::env::current_exe().context("finding the benchmark's own program")?;
    let arguments = ["--serve", answer.name(), "--answer", of_muslin].map(str::to_owned);
    Server::start(answer.name(), &program, &arguments, None, true).await
}

/// Registers a webhook for the namespace of this lane, in all else as muslin's.
fn register(control_plane: &ControlPlane, lane: &str, server: &Server) -> Result<()> {
    let muslins = kubectl(control_plane, &["get", "mutatingwebhookconfiguration", MUSLIN, "-o", "json"], None)?;
    let mut configuration: Value = serde_json::from_str(&muslins)?;
    configuration["metadata"] = json!({ "name": format!("{lane}.example.com") });
    let webhook = &mut configuration["webhooks"][0];
    webhook["name"] = json!(format!("{lane}.example.com"));
    webhook["clientConfig"] = json!({ "url": server.url(), "caBundle": BASE64_STANDARD.encode(server.ca_pem()) });
    webhook["namespaceSelector"] = only(lane);
    create(control_plane, &configuration)
}

fn only(lane: &str) -> Value {
    json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace(lane) } })
}

/// The policy and what binds it to its lane. `ApplyConfiguration` may not touch a list such as dnsConfig's.
fn policy() -> Value {
    let options: Vec<String> = INJECTED
        .iter()
        .map(|(name, value)| format!(r#"Object.spec.dnsConfig.options{{name: "{name}", value: "{value}"}}"#))
        .collect();
    let expression = format!(
        r#"[JSONPatch{{op: "add", path: "/spec/dnsConfig", value: Object.spec.dnsConfig{{options: [{}]}}}}]"#,
        options.join(", ")
    );
    let version = "admissionregistration.k8s.io/v1beta1";
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": version, "kind": "MutatingAdmissionPolicy", "metadata": { "name": "options.example.com" },
            "spec": {
                "failurePolicy": "Ignore", "reinvocationPolicy": "IfNeeded",
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]
                }] },
                "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } }]
            }
        },
        {
            "apiVersion": version, "kind": "MutatingAdmissionPolicyBinding", "metadata": { "name": "options.example.com" },
            "spec": { "policyName": "options.example.com", "matchResources": { "namespaceSelector": only("policy") } }
        }
    ] })
}

/// The pod as it is posted in a lane: named by the API server.
fn body(pod: &Value, lane: &str) -> Vec<u8> {
    let mut pod = pod.clone();
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.remove("name");
    }
    pod["metadata"]["generateName"] = json!("pod-");
    pod["metadata"]["namespace"] = json!(namespace(lane));
    pod["spec"]["automountServiceAccountToken"] = json!(false);
    pod.to_string().into_bytes()
}

/// Posts a pod, and gives the API server's answer once all of it was read.
async fn post(client: &kube::Client, lane: &str, query: &str, body: &[u8]) -> Result<Vec<u8>> {
    let request = Request::post(format!("/api/v1/namespaces/{}/pods{query}", namespace(lane)))
        .header("Content-Type", "application/json")
        .body(Body::from(body.to_vec()))?;
    let answer = client.send(request).await?;
    let status = answer.status();
    let answer = answer.into_body().collect().await?.to_bytes().to_vec();
    if !status.is_success() {
        bail!("in lane {lane} the API server answered {status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(answer)
}

/// Creates pods for nothing until they become what they should in this lane.
async fn wait_until_called(client: &kube::Client, lane: &str, body: &[u8]) -> Result<()> {
    let injected: Vec<Value> = INJECTED.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let expected = if ["none", "allow"].contains(&lane) { Value::Null } else { Value::Array(injected) };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let pod: Value = serde_json::from_slice(&post(client, lane, "?dryRun=All", body).await?)?;
        let options = &pod["spec"]["dnsConfig"]["options"];
        let called = lane != "allow"
            || reviews(client, &["allow"]).await?.iter().any(|(name, count)| name == "allow" && *count > 0);
        if *options == expected && called {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "in lane {lane} a pod has the options {options}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many reviews each webhook has answered, as the API server counts them.
async fn reviews(client: &kube::Client, lanes: &[&str]) -> Result<Vec<(String, u64)>> {
    let request = Request::get("/metrics").body(Vec::new())?;
    let metrics = client.request_text(request).await?;
    let count = |webhook: &str| {
        let of_it = |line: &&str| {
            line.starts_with("apiserver_admission_webhook_request_total{")
                && line.contains(r#"code="200""#)
                && line.contains(webhook)
        };
        let counts = metrics.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum::<u64>()
    };
    let webhook = |lane| if lane == "muslin" { "pods.muslin.dev".to_owned() } else { format!("{lane}.example.com") };
    let called = lanes.iter().copied().filter(|lane| !["none", "policy"].contains(lane));
    Ok(called.map(|lane| (lane.to_owned(), count(&webhook(lane)))).collect())
}

/// Creates a pod of each lane in each round, in random order, and returns the times of each lane.
async fn measure(
    client: &kube::Client,
    lanes: &[&str],
    bodies: &[Vec<u8>],
    options: &Options,
) -> Result<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::new(); lanes.len()];
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..options.warm_up + options.rounds {
        for last in (1..order.len()).rev() {
            // xorshift64.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(last, (random % (last as u64 + 1)) as usize);
        }
        for lane in order.iter().copied() {
            let started = Instant::now();
            post(client, lanes[lane], "", &bodies[lane]).await?;
            if round >= options.warm_up {
                times[lane].push(started.elapsed());
            }
        }
        if round % 500 == 499 {
            report::progress(&format!("round {} of {}", round + 1, options.warm_up + options.rounds));
        }
    }
    Ok(times)
}

fn create(control_plane: &ControlPlane, object: &Value) -> Result<()> {
    kubectl(control_plane, &["create", "-f", "-"], Some(&object.to_string())).map(drop)
}

fn kubectl(control_plane: &ControlPlane, arguments: &[&str], input: Option<&str>) -> Result<String> {
    let output = control_plane.kubectl(arguments, input)?;
    ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), output.stderr);
    Ok(output.stdout)
}
