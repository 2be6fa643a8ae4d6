//! Tries each row of the tables in `docs/policies.md` on the API server: what the policies of `muslin compile` do, and each warning.
//! `policies` tries the rows of pods that they leave unchanged.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use muslin::compilation::FEATURES;
use muslin::rules::RULES;
use serde_json::{Value, json};

use crate::cluster::policies::{Applied, kubernetes};
use crate::cluster::policies_beside_webhook::{dry_run, is_reviewed, options};
use crate::cluster::replicas::wait;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![the_policies_do_what_each_row_of_the_page_says];

pub(crate) const ON_REQUEST: Topic = tests![the_policies_warn_as_each_row_of_the_page_says];

const NAMESPACE: &str = "policies-rows";
const ENFORCING: &str = "policies-rows-enforcing";

const PROFILE: &str = r#"apiVersion: muslin.dev/v1alpha1
kind: ResolverProfile
metadata: {name: rows}
spec:
  options: {musl: ["timeout:4"], mixed: ["timeout:4"], others: ["attempts:3"]}
  onConflict: override
  images: [{prefix: registry.example.com/declared, resolver: musl 1.2.5}]
  exempt: {images: [registry.example.com/vendor], serviceAccounts: [policies-rows/agent]}
  podSelector: {matchLabels: {tier: web}}
  rules: {musl-no-tcp: deny}
"#;

/// An image with glibc 2.31, as inspection finds it.
const DEBIAN_11: &str = "registry.example.com/debian:11";

const IMAGES: &str =
    "alpine:3.17\nalpine:3.19\ndebian:12\nregistry.example.com/declared/app:1\nregistry.example.com/vendor/agent:1\n";

/// Returns the output of `muslin compile` with files of these contents.
fn compiled(arguments: &[&str], files: &[(&str, &str)]) -> Result<String> {
    let kubernetes = kubernetes().context("the API server has no such policies")?;
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(
            [&["compile", "--no-official-images", "--kubernetes", kubernetes, "--images", "images.txt"], arguments]
                .concat(),
        )
        .current_dir(folder.path())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Applies policies, and waits until they count.
fn applied<'c>(cluster: &'c Cluster, text: &str, known: &Value) -> Result<Applied<'c>> {
    let applied = Applied::of(cluster, text)?;
    wait("changed by the policies", || Ok(is_reviewed(&dry_run(cluster, known)?.0)))?;
    Ok(applied)
}

fn selected(namespace: &str, image: &str, more: Value) -> Value {
    let mut pod = pod(namespace, "selected", image);
    pod["metadata"]["labels"] = json!({ "tier": "web" });
    for (key, value) in more.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn the_policies_do_what_each_row_of_the_page_says(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    cluster.namespace(NAMESPACE, &[("muslin.dev/profile", "rows")])?;
    cluster.namespace(ENFORCING, &[("muslin.dev/profile", "rows"), ("muslin.dev/mode", "enforce")])?;
    cluster.create(&json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "agent", "namespace": NAMESPACE },
    }))?;
    let text = compiled(&["--file", "profile.yaml"], &[("profile.yaml", PROFILE), ("images.txt", IMAGES)])?;
    let _applied = applied(cluster, &text, &selected(NAMESPACE, "alpine:3.19", json!({})))?;
    for (what, how) in FEATURES {
        feature(cluster, what).with_context(|| format!("{what}: {how}"))?;
    }
    Ok(())
}

/// Tries one row.
fn feature(cluster: &Cluster, what: &str) -> Result<()> {
    let with_options =
        |image: &str, list: Value| selected(NAMESPACE, image, json!({ "dnsConfig": { "options": list } }));
    let made = |pod: &Value| anyhow::Ok(dry_run(cluster, pod)?.0);
    let has = |pod: &Value, wanted: &str| {
        let pod = made(pod)?;
        ensure!(options(&pod) == wanted, "{wanted}: {pod:#}");
        anyhow::Ok(pod)
    };
    let stays = |pod: &Value| {
        let pod = made(pod)?;
        ensure!(!is_reviewed(&pod) && options(&pod).is_empty(), "{pod:#}");
        anyhow::Ok(())
    };
    let annotation = |pod: &Value, key: &str| pod["metadata"]["annotations"][format!("muslin.dev/{key}")].clone();
    match what {
        "options by the resolvers of the pod's containers" => {
            has(&selected(NAMESPACE, "alpine:3.19", json!({})), "timeout:4")?;
            has(&selected(NAMESPACE, "debian:12", json!({})), "attempts:3")?;
        }
        "options of the pod's author" => {
            has(&with_options("debian:12", json!([{ "name": "timeout", "value": "2" }])), "timeout:2 attempts:3")?;
            has(&with_options("debian:12", json!([{ "name": "attempts", "value": "5" }])), "attempts:3")?;
        }
        "`attempts:0` and `timeout:0`" => {
            let pod = made(&with_options("debian:12", json!([{ "name": "timeout", "value": "0" }])))?;
            ensure!(annotation(&pod, "injected").to_string().contains("(was timeout:0)"), "{pod:#}");
        }
        annotations if annotations.starts_with("the annotations ") => {
            let pod = made(&selected(NAMESPACE, "alpine:3.17", json!({})))?;
            let text = |key: &str| annotation(&pod, key).as_str().unwrap_or_default().to_owned();
            ensure!(text("injected") == "timeout:4" && text("resolvers").contains("app=musl-1.2.3"), "{pod:#}");
            ensure!(text("warnings").contains("musl-no-tcp: app: "), "{pod:#}");
            ensure!(pod["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{pod:#}");
        }
        "a second pass" => {
            let once = made(&selected(NAMESPACE, "alpine:3.19", json!({})))?;
            let twice = made(&once)?;
            ensure!(
                (&once["spec"], &once["metadata"]["annotations"])
                    == (&twice["spec"], &twice["metadata"]["annotations"]),
                "{twice:#}"
            );
        }
        "declared images of a profile" => {
            has(&selected(NAMESPACE, "registry.example.com/declared/app:1", json!({})), "timeout:4")?;
        }
        "exempt images and service accounts" => {
            stays(&selected(NAMESPACE, "registry.example.com/vendor/agent:1", json!({})))?;
            stays(&selected(NAMESPACE, "alpine:3.19", json!({ "serviceAccountName": "agent" })))?;
        }
        "`podSelector` of a profile" => stays(&pod(NAMESPACE, "other", "alpine:3.19"))?,
        "levels of rules" => {
            let denied = dry_run(cluster, &selected(ENFORCING, "alpine:3.17", json!({})));
            let denied = denied.err().context("a pod with a finding of level deny is not denied")?;
            ensure!(format!("{denied:#}").contains("musl-no-tcp"), "{denied:#}");
            made(&selected(ENFORCING, "alpine:3.19", json!({})))?;
        }
        _ => bail!("no test for this row"),
    }
    Ok(())
}

/// Tries the example of each rule, which fires in the mode `warn` with the profile `default`.
fn the_policies_warn_as_each_row_of_the_page_says(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let namespace = "policies-warnings";
    cluster.namespace(namespace, &[("muslin.dev/mode", "warn")])?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules");
    let mut pods = Vec::new();
    for rule in RULES {
        let text = fs::read_to_string(format!("{folder}/{}/fires.yaml", rule.slug))?;
        let object: Value = serde_saphyr::from_str(&text)?;
        let places = ["/spec/jobTemplate/spec/template", "/spec/template", ""];
        let template = places.iter().find_map(|place| object.pointer(place)).context("a pod")?;
        let mut pod = pod(namespace, "fires", "alpine:3.19");
        pod["spec"] = template["spec"].clone();
        for field in ["labels", "annotations"] {
            pod["metadata"][field] = template["metadata"][field].clone();
        }
        // The release is in the image, and no name tells it.
        let first = &mut pod["spec"]["containers"][0];
        if first["image"] == "debian:11" {
            first["image"] = json!(DEBIAN_11);
            first["command"] = Value::Null;
        }
        pods.push((rule, pod));
    }
    let images: BTreeSet<&str> = pods
        .iter()
        .flat_map(|(_, pod)| ["containers", "initContainers"].map(|list| pod["spec"][list].as_array()))
        .flatten()
        .flatten()
        .filter_map(|container| container["image"].as_str())
        .chain(["alpine:3.17"])
        .collect();
    let resolver = |image: &str| if image == DEBIAN_11 { " glibc 2.31" } else { "" };
    let images: Vec<String> = images.into_iter().map(|image| format!("{image}{}", resolver(image))).collect();
    let images = images.join("\n");
    let text = compiled(&["default"], &[("images.txt", &images)])?;
    let warned = pod(namespace, "warned", "alpine:3.17");
    let _applied = applied(cluster, &text, &warned)?;
    wait("warned", || Ok(dry_run(cluster, &warned)?.1.contains("[musl-no-tcp]")))?;
    let mut wrong = Vec::new();
    let page = include_str!("../../docs/policies.md");
    for (rule, pod) in pods {
        let row = format!("| [{slug}](rules/{slug}.md) | ", slug = rule.slug);
        let says = page.lines().find_map(|line| line.strip_prefix(&row)).context("no row")?;
        let (changed, warnings) = dry_run(cluster, &pod)?;
        let is_warned = warnings.contains(&format!("[{}]", rule.slug));
        let is_right = match says.trim_end_matches(" |") {
            // The page lists that variable among what the policies leave.
            "yes" if pod.to_string().contains("\"GODEBUG\"") => !is_warned && !is_reviewed(&changed),
            "yes" => is_warned,
            "no: a pod that could have it stays as it is" => !is_warned && !is_reviewed(&changed),
            "no warning by itself: advice" => !is_warned,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{row}{says}\n{warnings}{changed:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{} rows: {}", wrong.len(), wrong.join("\n"));
    Ok(())
}
