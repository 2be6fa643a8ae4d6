//! The Events of pods and their workloads, as `kubectl describe` shows them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::webhook::Muslin;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    kubectl_describe_shows_findings_on_a_pod_and_its_deployment,
    each_mode_writes_exactly_its_events,
    forged_annotations_do_not_reach_events,
    hostile_text_of_a_pod_stays_on_its_line,
    each_event_is_written_once_across_three_restarts,
    a_terminating_namespace_is_not_a_failure,
    a_namespace_with_many_pods_gets_a_bounded_number_of_events
];

/// Limit of the time until the lease of a killed muslin expires and another one writes Events.
const SOON: Duration = Duration::from_secs(60);

/// Creates many objects with one call, and returns those that the API server accepted.
fn create_all(cluster: &Cluster, objects: &[Value]) -> Result<Vec<Value>> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let arguments = ["create", "--validate=ignore", "-o", "json", "-f", "-"];
    let output = cluster.control_plane.kubectl(&arguments, Some(&list.to_string()))?;
    let made = serde_json::Deserializer::from_str(&output.stdout).into_iter::<Value>();
    let made = made.collect::<Result<Vec<_>, _>>().with_context(|| output.stderr.clone())?;
    Ok(made
        .into_iter()
        .flat_map(|object| match object["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![object],
        })
        .collect())
}

/// Returns the owner reference to an object.
fn owner(object: &Value) -> Value {
    json!([{
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "controller": true,
    }])
}

fn owned(mut object: Value, by: &Value) -> Value {
    object["metadata"]["ownerReferences"] = owner(by);
    object
}

fn workload(api_version: &str, kind: &str, namespace: &str, name: &str, image: &str) -> Value {
    let labels = json!({ "app": name });
    let mut template = json!({
        "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "app", "image": image }] }
    });
    let specification = match kind {
        "CronJob" | "Job" => {
            template["spec"]["restartPolicy"] = json!("Never");
            let job = json!({ "template": template });
            if kind == "Job" { job } else { json!({ "schedule": "@daily", "jobTemplate": { "spec": job } }) }
        }
        _ => json!({ "selector": { "matchLabels": labels }, "template": template }),
    };
    json!({
        "apiVersion": api_version, "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "spec": specification,
    })
}

/// Returns muslin's Events in a namespace.
pub(crate) fn events(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>> {
    let output = cluster.control_plane.kubectl(&["get", "events", "-n", namespace, "-o", "json"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let list: Value = serde_json::from_str(&output.stdout)?;
    let events = list["items"].as_array().cloned().context("kubectl get gave no list")?;
    Ok(events.into_iter().filter(|event| event["reportingComponent"] == "muslin").collect())
}

/// Formats an Event as `Deployment/web MuslResolver`.
fn short(event: &Value) -> String {
    let (about, text) = (&event["involvedObject"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
    format!("{}/{} {}", text(&about["kind"]), text(&about["name"]), text(&event["reason"]))
}

fn shorts(events: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = events.iter().map(short).collect();
    all.sort();
    all
}

/// Creates a pod and waits for its Events. muslin writes Events in order, so that those of earlier pods are complete then.
fn settle(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    cluster.create(&pod(namespace, name, "alpine:3.19"))?;
    let deadline = Instant::now() + SOON;
    loop {
        let found = shorts(&events(cluster, namespace)?);
        if found.contains(&format!("Pod/{name} MuslResolver")) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no Event for {name}: {found:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the value of one of muslin's metrics.
fn counted(muslin: &Muslin<'_>, metric: &str) -> Result<u64> {
    let text = muslin.metrics()?;
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.with_context(|| format!("no {metric} in\n{text}"))?.parse().context("not a number")
}

fn kubectl_describe_shows_findings_on_a_pod_and_its_deployment(cluster: &Cluster) -> Result<()> {
    let muslin = cluster.muslin()?;
    cluster.namespace("described", &[])?;
    let tops = [
        workload("apps/v1", "Deployment", "described", "web", "alpine:3.19"),
        workload("batch/v1", "CronJob", "described", "nightly", "alpine:3.16"),
    ];
    let tops = create_all(cluster, &tops)?;
    let [deployment, cron] = &tops[..] else { anyhow::bail!("{tops:#?}") };
    let between = [
        owned(workload("apps/v1", "ReplicaSet", "described", "web-5d", "alpine:3.19"), deployment),
        owned(workload("batch/v1", "Job", "described", "nightly-1", "alpine:3.16"), cron),
        workload("apps/v1", "StatefulSet", "described", "store", "alpine:3.19"),
    ];
    let between = create_all(cluster, &between)?;
    let [set, job, stateful] = &between[..] else { anyhow::bail!("{between:#?}") };
    for (name, image, by) in [
        ("web-5d-1", "alpine:3.19", set),
        ("web-5d-2", "alpine:3.19", set),
        ("nightly-1-x", "alpine:3.16", job),
        ("store-0", "alpine:3.19", stateful),
    ] {
        cluster.create(&owned(pod("described", name, image), by))?;
    }
    settle(cluster, "described", "last")?;

    let describe = |kind: &str, name: &str| -> Result<String> {
        let output = cluster.control_plane.kubectl(&["describe", kind, name, "-n", "described"], None)?;
        let (_, events) = output.stdout.split_once("\nEvents:").with_context(|| output.stdout.clone())?;
        Ok(events.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let injected = "muslin set timeout:3 attempts:6 by profile fast: app=musl-1.2.4 (assumed)";
    let slow = "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (fixed)";
    let shown = describe("pod", "web-5d-1")?;
    ensure!(shown.contains("Normal DNSOptionsInjected") && shown.contains(injected), "{shown}");
    ensure!(shown.contains("Normal MuslResolver") && shown.contains(slow), "{shown}");
    for (kind, name) in [("deployment", "web"), ("statefulset", "store")] {
        let shown = describe(kind, name)?;
        ensure!(shown.contains("Normal DNSOptionsInjected") && shown.contains("in its pods: set timeout:3"), "{shown}");
        ensure!(shown.contains(&format!("in its pods: {slow}")), "{shown}");
    }
    // An unfixed finding is a warning with a fix.
    let shown = describe("cronjob", "nightly")?;
    ensure!(shown.contains("Warning MuslResolver") && shown.contains("musl-no-tcp: app: musl 1.2.3"), "{shown}");
    ensure!(shown.contains("(fix: use Alpine 3.18 or later"), "{shown}");

    // The workload at the top has each Event once, and objects between have none.
    let found = shorts(&events(cluster, "described")?);
    let of = |what: &str| found.iter().filter(|event| event.starts_with(what)).count();
    ensure!(of("Deployment/web ") == 2 && of("ReplicaSet/") == 0 && of("Job/") == 0, "{found:?}");
    ensure!(counted(&muslin, "muslin_events_written_total")? == found.len() as u64, "{found:?}");
    ensure!(counted(&muslin, "muslin_events_failed_total")? == 0, "{}", muslin.metrics()?);
    Ok(())
}

/// Creates a Deployment and a CronJob with pods for each level, and pods without an owner, as their controllers would. Returns the
/// number of admitted pods.
fn create_each_level(cluster: &Cluster, namespace: &str) -> Result<usize> {
    const LEVELS: [&str; 3] = ["info", "warn", "deny"];
    let image = |level: &str| if level == "warn" { "alpine:3.19" } else { "debian:12" };
    let tops: Vec<Value> = LEVELS
        .iter()
        .flat_map(|level| {
            [("apps/v1", "Deployment"), ("batch/v1", "CronJob")]
                .map(|(api_version, kind)| workload(api_version, kind, namespace, level, image(level)))
        })
        .collect();
    let between: Vec<Value> = create_all(cluster, &tops)?
        .iter()
        .map(|top| {
            let is_job = top["kind"] == "CronJob";
            let (api_version, kind) = if is_job { ("batch/v1", "Job") } else { ("apps/v1", "ReplicaSet") };
            let level = top["metadata"]["name"].as_str().unwrap_or_default();
            owned(workload(api_version, kind, namespace, level, image(level)), top)
        })
        .collect();
    let between = create_all(cluster, &between)?;
    ensure!(between.len() == 6, "{between:#?}");
    let of_level = |level: &str, name: &str| {
        let mut pod = pod(namespace, name, image(level));
        if level == "deny" {
            pod["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "x" }] });
        }
        pod
    };
    let mut pods: Vec<Value> = LEVELS.iter().map(|level| of_level(level, &format!("{level}-without-owner"))).collect();
    pods.extend(between.iter().map(|by| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        let level = text(&by["metadata"]["name"]);
        owned(of_level(&level, &format!("{level}-of-{}", text(&by["kind"]))), by)
    }));
    Ok(create_all(cluster, &pods)?.len())
}

/// Returns the Events that a mode writes for the pods of [`create_each_level`], in order.
fn expected_events(mode: &str) -> Vec<String> {
    let mut expected = Vec::new();
    let mut expect = |level: &str, reason: &str| {
        for about in ["without-owner", "of-replicaset", "of-job"] {
            expected.push(format!("Pod/{level}-{about} {reason}"));
        }
        expected.push(format!("Deployment/{level} {reason}"));
        expected.push(format!("CronJob/{level} {reason}"));
    };
    if matches!(mode, "warn" | "inject" | "enforce") {
        expect("warn", "MuslResolver");
        if mode != "warn" {
            expect("info", "DNSOptionsInjected");
            expect("warn", "DNSOptionsInjected");
        }
        if mode != "enforce" {
            expect("deny", "DNSOptions");
        }
    }
    expected.sort();
    expected
}

/// Covers every mode and level, for a pod without an owner, a Deployment and a CronJob.
fn each_mode_writes_exactly_its_events(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    for mode in ["off", "audit", "warn", "inject", "enforce"] {
        let namespace = format!("events-{mode}");
        cluster.namespace(&namespace, &[("muslin.dev/mode", mode)])?;
        let admitted = create_each_level(cluster, &namespace)?;
        // Three pods with findings of the level deny are denied.
        ensure!(admitted == if mode == "enforce" { 6 } else { 9 }, "{mode}: {admitted} pods");
        let expected = expected_events(mode);
        if expected.is_empty() {
            cluster.namespace(&format!("after-{mode}"), &[])?;
            settle(cluster, &format!("after-{mode}"), "last")?;
        } else {
            settle(cluster, &namespace, "last")?;
        }
        let found = events(cluster, &namespace)?;
        let found: Vec<String> = shorts(&found).into_iter().filter(|event| !event.starts_with("Pod/last ")).collect();
        ensure!(found == expected, "{mode}:\n{found:#?}\n{expected:#?}");
    }
    Ok(())
}

fn forged_annotations_do_not_reach_events(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("lies", &[])?;
    cluster.namespace("lies-audited", &[("muslin.dev/mode", "audit")])?;
    let forge = |pod: &mut Value| {
        pod["metadata"]["labels"]["muslin.dev/libc"] = json!("musl");
        pod["metadata"]["annotations"]["muslin.dev/warnings"] = json!("attempts-zero: app: it crashes");
        pod["metadata"]["annotations"]["muslin.dev/injected"] = json!("timeout:9 attempts:9");
        pod["metadata"]["annotations"]["muslin.dev/resolvers"] = json!("app=musl-1.1.13 (inspected)");
    };
    let deployment = create_all(cluster, &[workload("apps/v1", "Deployment", "lies", "web", "alpine:3.19")])?;
    let mut sets = Vec::new();
    // A forged owner: a Deployment with another uid, and a ReplicaSet with another uid.
    let mut stranger = deployment[0].clone();
    stranger["metadata"]["uid"] = json!("705ab4f5-6393-11e8-b7cc-42010a800002");
    sets.push(owned(workload("apps/v1", "ReplicaSet", "lies", "web-5d", "alpine:3.19"), &stranger));
    let sets = create_all(cluster, &sets)?;
    let mut of_stranger = sets[0].clone();
    of_stranger["metadata"]["uid"] = stranger["metadata"]["uid"].clone();
    let mut elsewhere = sets[0].clone();
    elsewhere["metadata"]["name"] = json!("../../../../api/v1/namespaces/lies/pods/healthy");

    let mut healthy = pod("lies", "healthy", "debian:12");
    let mut opted_out = pod("lies", "opted-out", "alpine:3.19");
    opted_out["metadata"]["annotations"]["muslin.dev/inject"] = json!("false");
    let mut audited = pod("lies-audited", "audited", "alpine:3.19");
    [&mut healthy, &mut opted_out, &mut audited].into_iter().for_each(forge);
    for pod in [
        healthy,
        opted_out,
        audited,
        owned(pod("lies", "of-a-stranger", "alpine:3.19"), &of_stranger),
        owned(pod("lies", "of-elsewhere", "alpine:3.19"), &elsewhere),
    ] {
        cluster.create(&pod)?;
    }
    // Annotations that are added later are not reviewed.
    cluster.create(&pod("lies", "annotated", "debian:12"))?;
    let arguments = ["annotate", "--overwrite", "pod", "annotated", "-n", "lies", "muslin.dev/injected=timeout:9"];
    let annotated = cluster
        .control_plane
        .kubectl(&[arguments.as_slice(), &["muslin.dev/warnings=attempts-zero: app: it crashes"]].concat(), None)?;
    ensure!(annotated.status.success(), "{}", annotated.stderr);
    settle(cluster, "lies", "last")?;

    let mut found = shorts(&events(cluster, "lies")?);
    found.retain(|event| !event.starts_with("Pod/last "));
    let expected = [
        "Pod/annotated DNSOptionsInjected",
        "Pod/healthy DNSOptionsInjected",
        "Pod/of-a-stranger DNSOptionsInjected",
        "Pod/of-a-stranger MuslResolver",
        "Pod/of-elsewhere DNSOptionsInjected",
        "Pod/of-elsewhere MuslResolver",
    ];
    ensure!(found == expected, "{found:#?}");
    ensure!(events(cluster, "lies-audited")?.is_empty());
    Ok(())
}

/// Text for terminals, lines, the direction of text and CI systems, in each field of a pod that the API server accepts it in.
fn hostile_text_of_a_pod_stays_on_its_line(cluster: &Cluster) -> Result<()> {
    const HOSTILE: &str = "x\n::error::a\r\n##[error]b\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{7f}y";
    let is_raw = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let _muslin = cluster.muslin()?;
    cluster.namespace("hostile", &[])?;
    let mut hostile = pod("hostile", "hostile", &format!("docker.io/library/{HOSTILE}:3.16"));
    hostile["metadata"]["annotations"] = json!({ "muslin.dev/ignore": HOSTILE, "muslin.dev/injected": HOSTILE });
    hostile["spec"]["dnsConfig"] = json!({
        "options": [{ "name": HOSTILE, "value": HOSTILE }, { "name": "attempts", "value": HOSTILE }, { "name": "timeout:0" }],
    });
    let container = &mut hostile["spec"]["containers"][0];
    container["env"] =
        json!([{ "name": "RES_OPTIONS", "value": HOSTILE }, { "name": "LOCALDOMAIN", "value": HOSTILE }]);
    container["command"] = json!([HOSTILE, "-c", HOSTILE]);
    let (stored, warnings) = cluster.created(&hostile)?;
    ensure!(warnings.lines().count() > 1, "muslin warns of nothing: {warnings}");
    settle(cluster, "hostile", "last")?;
    let events = events(cluster, "hostile")?;
    let notes = events.iter().filter_map(|event| event["message"].as_str());
    let annotations = stored["metadata"]["annotations"].as_object().context("muslin has not reviewed the pod")?;
    let own = ["muslin.dev/injected", "muslin.dev/resolvers", "muslin.dev/warnings"];
    let own = own.iter().filter_map(|key| annotations.get(*key)?.as_str());
    for text in warnings.lines().chain(notes).chain(own.flat_map(|text| text.split('\n'))) {
        ensure!(!text.contains(is_raw) && !text.contains("##["), "{text:?}");
        ensure!(!text.trim_start().starts_with("::"), "{text:?}");
    }
    Ok(())
}

fn each_event_is_written_once_across_three_restarts(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    cluster.namespace("restarted", &[])?;
    let top = create_all(cluster, &[workload("apps/v1", "Deployment", "restarted", "web", "alpine:3.16")])?;
    let set = create_all(
        cluster,
        &[owned(workload("apps/v1", "ReplicaSet", "restarted", "web-5d", "alpine:3.16"), &top[0])],
    )?;
    for name in ["web-5d-1", "web-5d-2", "web-5d-3"] {
        cluster.create(&owned(pod("restarted", name, "alpine:3.16"), &set[0]))?;
    }
    settle(cluster, "restarted", "after-0")?;
    let written = |event: &Value| {
        let metadata = &event["metadata"];
        (metadata["name"].to_string(), (short(event), metadata["resourceVersion"].to_string()))
    };
    let mut before: BTreeMap<String, (String, String)> = events(cluster, "restarted")?.iter().map(written).collect();
    let of_pods = before.values().filter(|(event, _)| event.starts_with("Pod/web-5d-")).count();
    let of_top = before.values().filter(|(event, _)| event.starts_with("Deployment/web ")).count();
    ensure!(of_pods == 3 * of_top && of_top >= 2, "{before:#?}");
    for restart in 1..=3 {
        if restart == 1 {
            muslin.kill()?;
        } else {
            muslin.stop()?;
        }
        drop(muslin);
        muslin = cluster.muslin()?;
        let last = format!("after-{restart}");
        settle(cluster, "restarted", &last)?;
        let after: BTreeMap<String, (String, String)> = events(cluster, "restarted")?.iter().map(written).collect();
        for (name, event) in &before {
            ensure!(after.get(name) == Some(event), "{event:?} was written again: {:?}", after.get(name));
        }
        let new: Vec<&str> =
            after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(_, (event, _))| &**event).collect();
        ensure!(new.iter().all(|event| event.starts_with(&format!("Pod/{last} "))), "{new:?}");
        before = after;
    }
    Ok(())
}

fn a_terminating_namespace_is_not_a_failure(cluster: &Cluster) -> Result<()> {
    cluster.namespace("ending", &[])?;
    cluster.namespace("staying", &[])?;
    // Created without muslin, so that there are no Events yet.
    let mut wanted = pod("ending", "web", "alpine:3.19");
    wanted["metadata"]["labels"] = json!({ "muslin.dev/libc": "musl" });
    wanted["metadata"]["annotations"] = json!({ "muslin.dev/warnings": "" });
    let mut other = wanted.clone();
    other["metadata"]["namespace"] = json!("staying");
    cluster.create(&wanted)?;
    cluster.create(&other)?;
    let arguments = ["delete", "namespace", "ending", "--wait=false"];
    ensure!(cluster.control_plane.kubectl(&arguments, None)?.status.success());
    let muslin = cluster.muslin()?;
    settle(cluster, "staying", "last")?;
    // Pods from before muslin get Events, too.
    let found = shorts(&events(cluster, "staying")?);
    ensure!(found.contains(&"Pod/web MuslResolver".to_owned()), "{found:?}");
    ensure!(events(cluster, "ending")?.is_empty());
    ensure!(counted(&muslin, "muslin_events_failed_total")? == 0, "{}", muslin.metrics()?);
    Ok(())
}

fn a_namespace_with_many_pods_gets_a_bounded_number_of_events(cluster: &Cluster) -> Result<()> {
    const PODS: usize = 160;
    let muslin = cluster.muslin()?;
    cluster.namespace("crowded", &[])?;
    cluster.namespace("uncrowded", &[])?;
    settle(cluster, "uncrowded", "first")?;
    let pods: Vec<Value> = (0..PODS).map(|number| pod("crowded", &format!("web-{number}"), "alpine:3.19")).collect();
    let began = Instant::now();
    let made = create_all(cluster, &pods)?;
    ensure!(made.len() == PODS, "{} pods", made.len());
    settle(cluster, "uncrowded", "last")?;
    let took = began.elapsed().as_secs() as usize + 1;
    let found = shorts(&events(cluster, "crowded")?);
    let reported = found.iter().filter(|event| event.ends_with(" MuslResolver")).count();
    ensure!((100..=100 + took).contains(&reported), "{reported} pods have Events after {took} s");
    let dropped = counted(&muslin, "muslin_events_dropped_total")?;
    ensure!(dropped as usize == PODS - reported, "{dropped} of {PODS} were dropped, {reported} have Events");
    cluster.delete_pods("crowded")
}
