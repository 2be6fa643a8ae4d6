//! Modes and profiles by the labels of namespaces: warnings, denials and previews.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::Request;
use serde_json::{Value, json};

use crate::cluster::load::under_load;
use crate::common::control_plane::KubectlOutput;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    each_mode_treats_each_level_and_kind_as_documented,
    flags_set_mode_and_profile_for_namespaces_without_labels,
    a_denial_names_the_problem_and_the_fix,
    an_opt_out_is_ignored_in_an_enforcing_namespace,
    forged_labels_and_annotations_change_nothing,
    with_muslin_down_only_enforcing_namespaces_deny_pods,
    an_invalid_mode_label_is_denied_and_a_missing_profile_warns,
    a_namespace_with_a_bad_label_can_still_be_changed,
    labelling_a_namespace_previews_the_changes_to_its_pods,
    a_workload_gets_warnings_only_when_its_template_changes,
    objects_made_by_a_controller_get_no_warnings,
    every_workload_kind_gets_at_most_three_warnings,
    kube_system_and_muslins_namespace_are_never_enforced,
    no_review_mixes_two_policies_while_a_namespace_is_relabelled,
    a_dry_run_of_a_label_on_5000_pods_is_answered_within_a_second
];

/// Time limit until the watch learns of a label.
const SOON: Duration = Duration::from_secs(60);

/// Returns a pod spec with a finding of this level. glibc reads `attempts:x` as 0, and the intended value is unknown.
pub(crate) fn specification(level: &str) -> Value {
    let container = |image: &str| json!([{ "name": "app", "image": image }]);
    match level {
        "deny" => json!({
            "containers": container("debian:12"), "dnsConfig": { "options": [{ "name": "attempts", "value": "x" }] }
        }),
        // musl without TCP, which no option changes.
        "warn" => json!({ "containers": container("alpine:3.17") }),
        _ => json!({ "containers": container("debian:12") }),
    }
}

/// Returns an object of this kind, as a user applies it.
pub(crate) fn object(kind: &str, namespace: &str, name: &str, specification: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": namespace });
    let labels = json!({ "app": name });
    let template = json!({ "metadata": { "labels": labels }, "spec": specification });
    match kind {
        "Pod" => json!({
            "apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": specification
        }),
        "CronJob" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = json!("Never");
            json!({
                "apiVersion": "batch/v1", "kind": kind, "metadata": metadata,
                "spec": { "schedule": "@daily", "jobTemplate": { "spec": { "template": template } } }
            })
        }
        _ => json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": metadata,
            "spec": { "selector": { "matchLabels": labels }, "template": template }
        }),
    }
}

pub(crate) fn apply(cluster: &Cluster, object: &Value) -> Result<KubectlOutput> {
    cluster.control_plane.kubectl(&["apply", "--validate=ignore", "-f", "-"], Some(&object.to_string()))
}

pub(crate) fn label(cluster: &Cluster, namespace: &str, labels: &[&str]) -> Result<KubectlOutput> {
    cluster.control_plane.kubectl(&[&["label", "--overwrite", "namespace", namespace], labels].concat(), None)
}

/// Returns the pod spec without a token, because the service account does not exist.
pub(crate) fn without_token(mut specification: Value) -> Value {
    specification["automountServiceAccountToken"] = json!(false);
    specification
}

fn each_mode_treats_each_level_and_kind_as_documented(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    for mode in ["off", "audit", "warn", "inject", "enforce"] {
        let namespace = format!("level-{mode}");
        cluster.namespace(&namespace, &[("muslin.dev/mode", mode)])?;
        let warns = matches!(mode, "warn" | "inject" | "enforce");
        for level in ["info", "warn", "deny"] {
            for kind in ["Pod", "Deployment", "CronJob"] {
                let case = format!("{mode} {level} {kind}");
                let specification = without_token(specification(level));
                let object = object(kind, &namespace, &format!("{level}-{}", kind.to_lowercase()), &specification);
                let output = apply(cluster, &object)?;
                let denied = (mode, level, kind) == ("enforce", "deny", "Pod");
                ensure!(output.status.success() != denied, "{case}: {}", output.stderr);
                let warned = output.stderr.contains("Warning: muslin: ");
                ensure!(warned == (warns && level != "info"), "{case}: {}", output.stderr);
                let foretold = output.stderr.contains("its pods will be denied");
                ensure!(
                    foretold == (mode == "enforce" && level == "deny" && kind != "Pod"),
                    "{case}: {}",
                    output.stderr
                );
                let mut lines = output.stderr.lines().filter_map(|line| line.strip_prefix("Warning: "));
                let most = if kind == "Pod" { 5 } else { 3 };
                ensure!(lines.clone().count() <= most && lines.all(|line| line.len() <= 120), "{}", output.stderr);
            }
        }
    }
    Ok(())
}

fn flags_set_mode_and_profile_for_namespaces_without_labels(cluster: &Cluster) -> Result<()> {
    let arguments = ["--default-mode", "warn", "--profile", "fast"].map(str::to_owned);
    let _muslin = cluster.muslin_with(&arguments)?;
    cluster.namespace("unlabelled", &[])?;
    let (warned, warnings) = cluster.created(&pod("unlabelled", "web", "alpine:3.19"))?;
    ensure!(warned["spec"].get("dnsConfig").is_none() && warnings.contains("musl-slow-retry"), "{warnings}{warned:#}");
    cluster.namespace("labelled-inject", &[("muslin.dev/mode", "inject")])?;
    let (fast, _) = cluster.created(&pod("labelled-inject", "web", "alpine:3.19"))?;
    let options = json!([{ "name": "timeout", "value": "3" }, { "name": "attempts", "value": "6" }]);
    ensure!(fast["spec"]["dnsConfig"]["options"] == options, "{fast:#}");
    Ok(())
}

fn a_denial_names_the_problem_and_the_fix(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("denials", &[("muslin.dev/mode", "enforce")])?;
    let output = apply(cluster, &object("Pod", "denials", "web", &without_token(specification("deny"))))?;
    ensure!(!output.status.success(), "{}", output.stdout);
    for part in ["enforce.muslin.dev", "namespace denials", "attempts-zero: app: ", "(fix: "] {
        ensure!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    Ok(())
}

fn an_opt_out_is_ignored_in_an_enforcing_namespace(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("no-way-out", &[("muslin.dev/mode", "enforce")])?;
    let mut wanted = object("Pod", "no-way-out", "web", &without_token(specification("deny")));
    wanted["metadata"]["annotations"] = json!({ "muslin.dev/inject": "false", "muslin.dev/ignore": "attempts-zero" });
    let output = apply(cluster, &wanted)?;
    ensure!(!output.status.success() && output.stderr.contains("attempts-zero"), "{}", output.stderr);
    Ok(())
}

fn forged_labels_and_annotations_change_nothing(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("forged", &[("muslin.dev/mode", "enforce")])?;
    let (honest, _) = cluster.created(&pod("forged", "honest", "alpine:3.19"))?;
    let mut forged = pod("forged", "forged", "alpine:3.19");
    forged["metadata"]["labels"] = json!({ "muslin.dev/libc": "glibc", "muslin.dev/mode": "off" });
    forged["metadata"]["annotations"] = json!({
        "muslin.dev/resolvers": "app=glibc (inspected)", "muslin.dev/warnings": "all is well",
        "muslin.dev/injected": "attempts:6 timeout:3",
    });
    let (forged, _) = cluster.created(&forged)?;
    ensure!(forged["spec"]["dnsConfig"] == honest["spec"]["dnsConfig"], "{forged:#}");
    let mut annotations = forged["metadata"]["annotations"].clone();
    let warnings = annotations["muslin.dev/warnings"].as_str().unwrap_or_default().to_owned();
    let (unread, warnings): (Vec<&str>, Vec<&str>) = warnings.lines().partition(|line| line.starts_with("unread-key"));
    ensure!(unread == ["unread-key: nothing reads the label `muslin.dev/mode`"], "{forged:#}");
    annotations["muslin.dev/warnings"] = json!(warnings.join("\n"));
    ensure!(annotations == honest["metadata"]["annotations"], "{forged:#}");
    ensure!(forged["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{forged:#}");

    let mut denied = object("Pod", "forged", "denied", &without_token(specification("deny")));
    denied["metadata"]["annotations"] = json!({ "muslin.dev/injected": "attempts:x", "muslin.dev/warnings": "" });
    let output = apply(cluster, &denied)?;
    ensure!(!output.status.success() && output.stderr.contains("attempts-zero"), "{}", output.stderr);
    Ok(())
}

fn with_muslin_down_only_enforcing_namespaces_deny_pods(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    cluster.namespace("strict", &[("muslin.dev/mode", "enforce")])?;
    cluster.namespace("lenient", &[("muslin.dev/mode", "inject")])?;
    muslin.kill()?;
    let output = apply(cluster, &pod("strict", "web", "alpine:3.19"))?;
    // docs/policy.md quotes this text.
    let told = r#"failed calling webhook "enforce.muslin.dev": failed to call webhook: "#;
    ensure!(!output.status.success() && output.stderr.contains(told), "{}", output.stderr);
    let output = apply(cluster, &pod("lenient", "web", "alpine:3.19"))?;
    ensure!(output.status.success(), "{}", output.stderr);
    let deployment = object("Deployment", "strict", "web", &specification("warn"));
    let output = apply(cluster, &deployment)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let output = label(cluster, "lenient", &["muslin.dev/mode=warn"])?;
    ensure!(output.status.success(), "{}", output.stderr);
    // Labels can still be changed while muslin is down.
    let output = label(cluster, "strict", &["muslin.dev/mode=inject"])?;
    ensure!(output.status.success(), "{}", output.stderr);
    let output = apply(cluster, &pod("strict", "web", "alpine:3.19"))?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

fn an_invalid_mode_label_is_denied_and_a_missing_profile_warns(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("labelled", &[])?;
    let output = label(cluster, "labelled", &["muslin.dev/mode=disabled"])?;
    let told = "label muslin.dev/mode: `disabled` is not a mode: use off, audit, warn, inject or enforce";
    ensure!(!output.status.success() && output.stderr.contains(told), "{}", output.stderr);
    let output = label(cluster, "labelled", &["muslin.dev/profile=quick"])?;
    ensure!(output.status.success() && output.stderr.contains("there is no profile `quick`"), "{}", output.stderr);
    let output = label(cluster, "labelled", &["muslin.dev/profile=fast"])?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
    let output = label(cluster, "labelled", &["muslin.dev/self=true"])?;
    let told = "label muslin.dev/self excludes namespace labelled";
    ensure!(output.status.success() && output.stderr.contains(told), "{}", output.stderr);
    let annotate = &["annotate", "namespace", "labelled", "muslin.dev/mode=warn"];
    let output = cluster.control_plane.kubectl(annotate, None)?;
    let told = "Warning: muslin: write muslin.dev/mode as a label (nothing reads the annotation `muslin.dev/mode`";
    ensure!(output.status.success() && output.stderr.contains(told), "{}", output.stderr);
    let output = label(cluster, "muslin", &["muslin.dev/self=true", "team=dns"])?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
    Ok(())
}

fn a_namespace_with_a_bad_label_can_still_be_changed(cluster: &Cluster) -> Result<()> {
    // Created without muslin, which would deny the label.
    cluster.namespace("strange", &[("muslin.dev/mode", "on")])?;
    let _muslin = cluster.muslin()?;
    for labels in [["team=shop"], ["muslin.dev/profile=fast"]] {
        let output = label(cluster, "strange", &labels)?;
        ensure!(output.status.success(), "{labels:?}: {}", output.stderr);
    }
    let output = label(cluster, "strange", &["muslin.dev/mode=enforced"])?;
    ensure!(!output.status.success(), "{}", output.stdout);
    Ok(())
}

fn labelling_a_namespace_previews_the_changes_to_its_pods(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("preview", &[("muslin.dev/mode", "off")])?;
    for name in ["one", "two"] {
        cluster.create(&pod("preview", name, "alpine:3.19"))?;
    }
    cluster.create(&object("Pod", "preview", "three", &without_token(specification("deny"))))?;
    let dry = label(cluster, "preview", &["muslin.dev/mode=enforce", "--dry-run=server"])?;
    ensure!(dry.status.success(), "{}", dry.stderr);
    for line in [
        "muslin: 1 of 3 pods would be denied for attempts-zero, for example three",
        "muslin: 2 of 3 pods would get timeout:3 attempts:6, for example one",
    ] {
        ensure!(dry.stderr.contains(line), "no {line} in\n{}", dry.stderr);
    }
    // The profile's options fix it.
    ensure!(!dry.stderr.contains("musl-slow-retry"), "{}", dry.stderr);
    let warn = label(cluster, "preview", &["muslin.dev/mode=warn"])?;
    ensure!(!warn.stderr.contains("would get") && !warn.stderr.contains("denied"), "{}", warn.stderr);
    ensure!(
        warn.stderr.contains("2 of 3 pods would be warned about musl-slow-retry, for example one"),
        "{}",
        warn.stderr
    );
    let off = label(cluster, "preview", &["muslin.dev/mode=off"])?;
    ensure!(off.status.success() && off.stderr.is_empty(), "{}", off.stderr);
    Ok(())
}

fn a_workload_gets_warnings_only_when_its_template_changes(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("templates", &[("muslin.dev/mode", "warn")])?;
    let mut deployment = object("Deployment", "templates", "web", &specification("warn"));
    let warned = |deployment: &Value| -> Result<bool> {
        let output = apply(cluster, deployment)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(output.stderr.contains("[musl-slow-retry]"))
    };
    ensure!(warned(&deployment)?, "a new Deployment gets no warning");
    deployment["spec"]["replicas"] = json!(3);
    ensure!(!warned(&deployment)?, "a changed number of replicas gets a warning");
    deployment["metadata"]["labels"] = json!({ "team": "shop" });
    ensure!(!warned(&deployment)?, "a label gets a warning");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("alpine:3.20");
    ensure!(warned(&deployment)?, "a changed image gets no warning");
    let template = &mut deployment["spec"]["template"];
    template["metadata"]["annotations"] = json!({ "muslin.dev/ignore": "musl-slow-retry" });
    ensure!(!warned(&deployment)?, "an ignored rule gives a warning");
    deployment["metadata"]["annotations"] = json!({ "muslin.dev/inject": "false" });
    let output = apply(cluster, &deployment)?;
    let misplaced =
        "Warning: muslin: annotate the pod template with muslin.dev/inject (nothing reads `muslin.dev/inject`";
    ensure!(output.stderr.contains(misplaced), "{}", output.stderr);
    deployment["spec"]["replicas"] = json!(4);
    ensure!(!apply(cluster, &deployment)?.stderr.contains("unread-key"), "an old annotation gives a warning");
    let read = cluster.control_plane.kubectl(&["get", "deployment", "web", "-n", "templates", "-o", "json"], None)?;
    let kept: Value = serde_json::from_str(&read.stdout)?;
    ensure!(kept["spec"]["template"]["spec"].get("dnsConfig").is_none(), "a template was changed: {kept:#}");
    Ok(())
}

fn objects_made_by_a_controller_get_no_warnings(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("owned", &[("muslin.dev/mode", "warn")])?;
    let mut set = object("ReplicaSet", "owned", "web", &specification("warn"));
    set["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": true,
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002"
    }]);
    let output = apply(cluster, &set)?;
    ensure!(output.status.success() && !output.stderr.contains("muslin"), "{}", output.stderr);
    set["metadata"]["ownerReferences"][0]["controller"] = json!(false);
    set["metadata"]["name"] = json!("own");
    let output = apply(cluster, &set)?;
    ensure!(output.stderr.contains("[musl-slow-retry]"), "{}", output.stderr);
    Ok(())
}

/// Returns whether a pod is as `inject` makes it, with options, annotations and a label, or as `audit` leaves it, with none of these.
fn is_injected(pod: &Value) -> Result<bool> {
    let options = pod["spec"]["dnsConfig"]["options"].is_array();
    let annotated = pod["metadata"]["annotations"]["muslin.dev/injected"].is_string();
    let labelled = pod["metadata"]["labels"]["muslin.dev/libc"].is_string();
    ensure!(annotated == options && labelled == options, "{pod:#}");
    Ok(options)
}

fn no_review_mixes_two_policies_while_a_namespace_is_relabelled(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("relabelled", &[("muslin.dev/mode", "audit")])?;
    let (all, nothing) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let look = |pod: &Value| {
        let count = if is_injected(pod)? { &all } else { &nothing };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let wanted = pod("relabelled", "load", "alpine:3.17");
    let (_, made) = under_load(cluster, &wanted, look, || {
        let deadline = Instant::now() + SOON;
        for number in 0.. {
            let mode = if number % 2 == 0 { "inject" } else { "audit" };
            let output = label(cluster, "relabelled", &[&format!("muslin.dev/mode={mode}")])?;
            ensure!(output.status.success(), "{}", output.stderr);
            // kubectl also shows the warnings.
            let (created, warnings) = cluster.created(&pod("relabelled", &format!("web-{number}"), "alpine:3.17"))?;
            ensure!(warnings.contains("musl-no-tcp") == is_injected(&created)?, "{warnings}{created:#}");
            let counts = [&all, &nothing].map(|count| count.load(Ordering::Relaxed));
            if number >= 20 && counts.iter().all(|count| *count > 100) {
                break;
            }
            ensure!(Instant::now() < deadline, "only {counts:?}");
        }
        Ok(())
    })?;
    ensure!(made > 200, "{made}");
    cluster.delete_pods("relabelled")
}

/// Labels a namespace as a dry run, and returns the API server's time from request to answer, and the warnings.
fn labelled_in(cluster: &Cluster, namespace: &str, mode: &str) -> Result<(Duration, Vec<String>)> {
    let patch = json!({ "metadata": { "labels": { "muslin.dev/mode": mode } } });
    let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
    let request = Request::new("/api/v1/namespaces").patch(namespace, &parameters, &Patch::Merge(patch))?;
    cluster.runtime.block_on(async {
        let client = cluster.control_plane.client().await?;
        client.apiserver_version().await?;
        let asked = Instant::now();
        let response = client.send(request.map(Body::from)).await?;
        let took = asked.elapsed();
        ensure!(response.status().is_success(), "{}", response.status());
        let warnings = response.headers().get_all("warning").iter();
        Ok((took, warnings.map(|warning| String::from_utf8_lossy(warning.as_bytes()).into_owned()).collect()))
    })
}

fn a_dry_run_of_a_label_on_5000_pods_is_answered_within_a_second(cluster: &Cluster) -> Result<()> {
    const PODS: usize = 5000;
    const AT_ONCE: usize = 16;
    // Creating the pods without muslin is quicker.
    cluster.namespace("full", &[("muslin.dev/mode", "off")])?;
    cluster.runtime.block_on(async {
        let pods: Api<Pod> = Api::namespaced(cluster.control_plane.client().await?, "full");
        let create = |number: usize| {
            let pods = pods.clone();
            async move {
                let wanted: Pod = serde_json::from_value(pod("full", &format!("web-{number}"), "alpine:3.19"))?;
                pods.create(&PostParams::default(), &wanted).await?;
                anyhow::Ok(())
            }
        };
        stream::iter((0..PODS).map(create)).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await
    })?;
    let _muslin = cluster.muslin()?;
    for mode in ["warn", "inject", "enforce"] {
        let (took, warnings) = labelled_in(cluster, "full", mode)?;
        let told = warnings.iter().find_map(|warning| warning.split_once("of the first ")?.1.split_once(' '));
        let looked_at: usize = told.with_context(|| format!("{warnings:#?}"))?.0.parse()?;
        eprintln!("{mode}: {looked_at} of {PODS} pods looked at, answered in {took:?}");
        ensure!(took < Duration::from_secs(1), "it took {took:?}");
        ensure!((500..=3000).contains(&looked_at), "{looked_at} of {PODS} pods");
        let effect = if mode == "warn" { "be warned about musl-slow-retry" } else { "get timeout:3 attempts:6" };
        ensure!(warnings.iter().any(|warning| warning.contains(effect)), "{warnings:#?}");
    }
    // The pods fill more than one page.
    let scan = std::process::Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["scan", "-n", "full", "-o", "json", "--kubeconfig"])
        .arg(cluster.control_plane.admin_kubeconfig())
        .output()?;
    ensure!(scan.status.success(), "{}", String::from_utf8_lossy(&scan.stderr));
    let found: Value = serde_json::from_slice(&scan.stdout)?;
    let slow = found["rules"].as_array().into_iter().flatten().find(|row| row["rule"] == "musl-slow-retry");
    ensure!(slow.is_some_and(|row| row["pods"] == PODS), "{:#}", found["rules"]);
    cluster.delete_pods("full")
}

/// Covers each workload kind, with a template that has more findings than a warning has room for.
fn every_workload_kind_gets_at_most_three_warnings(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("kinds", &[("muslin.dev/mode", "enforce"), ("muslin.dev/profile", "missing")])?;
    let mut specification = without_token(specification("deny"));
    specification["containers"] = json!([
        { "name": "app", "image": "debian:12" }, { "name": "sidecar", "image": "alpine:3.16" }
    ]);
    specification["dnsConfig"] = json!({
        "options": [
            { "name": "attempts", "value": "x" }, { "name": "ndots", "value": "1" }, { "name": "rotate" },
            { "name": "use-vc" }, { "name": "ndots:2" }
        ]
    });
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"] {
        let mut wanted = object(kind, "kinds", &kind.to_lowercase(), &specification);
        match kind {
            "ReplicationController" => {
                wanted["apiVersion"] = json!("v1");
                wanted["spec"]["selector"] = wanted["spec"]["selector"]["matchLabels"].clone();
            }
            "Job" => {
                wanted["apiVersion"] = json!("batch/v1");
                wanted["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
                wanted["spec"].as_object_mut().context("it is an object")?.remove("selector");
            }
            _ => {}
        }
        let output = apply(cluster, &wanted)?;
        ensure!(output.status.success(), "{kind}: {}", output.stderr);
        let lines: Vec<&str> = output.stderr.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect();
        ensure!(lines.len() == 3 && lines.iter().all(|line| line.len() <= 120), "{kind}: {}", output.stderr);
        ensure!(lines[0].contains("its pods will be denied"), "{kind}: {}", output.stderr);
        ensure!(
            lines[2].starts_with("muslin: and ") && lines[2].ends_with(" more findings"),
            "{kind}: {}",
            output.stderr
        );
    }
    Ok(())
}

/// muslin must never stand in the way in these namespaces, whatever their labels.
fn kube_system_and_muslins_namespace_are_never_enforced(cluster: &Cluster) -> Result<()> {
    let mut muslin = cluster.muslin()?;
    let output = label(cluster, "kube-system", &["muslin.dev/mode=enforce"])?;
    ensure!(output.stderr.contains("namespace kube-system is excluded, whatever its labels"), "{}", output.stderr);
    let output = label(cluster, "muslin", &["muslin.dev/mode=enforce"])?;
    ensure!(output.stderr.contains("namespace muslin is excluded, whatever its labels"), "{}", output.stderr);
    let restricted = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let create = || -> Result<()> {
        for namespace in ["kube-system", "muslin"] {
            let mut wanted = object("Pod", namespace, "in-the-way", &without_token(specification("deny")));
            wanted["spec"]["serviceAccountName"] = json!(if namespace == "muslin" { "muslin" } else { "default" });
            wanted["spec"]["containers"][0]["securityContext"] = restricted.clone();
            let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
            let output = cluster.control_plane.kubectl(&arguments, Some(&wanted.to_string()))?;
            ensure!(output.status.success() && !output.stderr.contains("muslin.dev"), "{}", output.stderr);
            let made: Value = serde_json::from_str(&output.stdout)?;
            ensure!(made["metadata"].get("labels").is_none(), "{made:#}");
        }
        Ok(())
    };
    let account = ["get", "serviceaccount", "default", "-n", "kube-system"];
    if !cluster.control_plane.kubectl(&account, None)?.status.success() {
        cluster.runtime.block_on(cluster.control_plane.prepare_service_account("kube-system"))?;
    }
    let result = create().and_then(|()| muslin.kill()).and_then(|()| create());
    for namespace in ["kube-system", "muslin"] {
        label(cluster, namespace, &["muslin.dev/mode-"])?;
    }
    result
}
