//! muslin against a real API server: the webhook's own configuration from `manifests/`, real objects created through it and
//! read back. One control plane serves all tests; each has a namespace of its own.

#![expect(clippy::print_stderr, reason = "a test program with no harness says on standard error why it cannot start")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod control_plane;
mod webhook;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};
use control_plane::ControlPlane;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use webhook::Muslin;

/// What every test uses.
struct Cluster {
    control_plane: ControlPlane,
    runtime: tokio::runtime::Runtime,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some tests stop the webhook that others need.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    match Cluster::start() {
        Ok(cluster) => libtest_mimic::run(&arguments, trials(Some(Arc::new(cluster)))).exit_code(),
        Err(error) => {
            eprintln!("cannot start the control plane: {error:?}");
            ExitCode::FAILURE
        }
    }
}

type Test = fn(&Cluster) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("an_alpine_pod_comes_out_mended_and_its_author_is_told", an_alpine_pod_comes_out_mended),
    ("each_mode_goes_as_far_as_it_says", each_mode_goes_as_far_as_it_says),
    ("what_the_user_set_survives", what_the_user_set_survives),
    ("what_is_not_to_be_touched_is_not", what_is_not_to_be_touched_is_not),
    ("a_dry_run_says_the_same_and_keeps_nothing", a_dry_run_says_the_same),
    ("awkward_pods_differ_only_by_the_plan", awkward_pods_differ_only_by_the_plan),
    ("pods_are_created_without_muslin", pods_are_created_without_muslin),
];

fn trials(cluster: Option<Arc<Cluster>>) -> Vec<Trial> {
    TESTS
        .iter()
        .map(|(name, test)| {
            let cluster = cluster.clone();
            Trial::test(*name, move || {
                let Some(cluster) = cluster else { return Ok(()) };
                test(&cluster)
                    .map_err(|error| Failed::from(format!("{error:?}\n{}", cluster.control_plane.api_server_log())))
            })
        })
        .collect()
}

// === impl Cluster ===

impl Cluster {
    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let cluster = Self { control_plane: ControlPlane::start()?, runtime };
        cluster.namespace(webhook::PROBE_NAMESPACE, &[])?;
        Ok(cluster)
    }

    fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        self.runtime.block_on(self.control_plane.prepare_namespace(name, labels))
    }

    fn apply(&self, object: &Value) -> Result<String> {
        let output = self.control_plane.kubectl(&["create", "-f", "-"], Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}\n{object}", output.stderr);
        Ok(output.stderr)
    }

    fn pod(&self, namespace: &str, name: &str) -> Result<Value> {
        let output = self.control_plane.kubectl(&["get", "pod", name, "-n", namespace, "-o", "json"], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(serde_json::from_str(&output.stdout)?)
    }

    /// Creates a pod and reads it back, with the warnings that its author saw.
    fn created(&self, pod: &Value) -> Result<(Value, String)> {
        let warnings = self.apply(pod)?;
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        Ok((self.pod(&text("namespace"), &text("name"))?, warnings))
    }
}

fn pod(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "app", "image": image }] }
    })
}

fn default_options() -> Value {
    json!([
        { "name": "single-request-reopen" },
        { "name": "timeout", "value": "5" },
        { "name": "attempts", "value": "5" }
    ])
}

fn an_alpine_pod_comes_out_mended(cluster: &Cluster) -> Result<()> {
    let _muslin = Muslin::start(&cluster.control_plane)?;
    cluster.namespace("mended", &[])?;
    let (pod, warnings) = cluster.created(&pod("mended", "web", "alpine:3.19"))?;
    ensure!(pod["spec"]["dnsConfig"]["options"] == default_options(), "{pod:#}");
    ensure!(pod["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{pod:#}");
    let annotations = &pod["metadata"]["annotations"];
    ensure!(annotations["muslin.dev/injected"] == "single-request-reopen timeout:5 attempts:5", "{annotations}");
    ensure!(annotations["muslin.dev/resolvers"] == "app=musl-1.2.4 (assumed)", "{annotations}");
    ensure!(warnings.contains("Warning: muslin: musl-slow-retry: app: musl 1.2.4 resends"), "{warnings}");
    let described = cluster.control_plane.kubectl(&["describe", "pod", "web", "-n", "mended"], None)?;
    ensure!(described.stdout.contains("musl-slow-retry") && !described.stdout.contains("..."), "{}", described.stdout);
    Ok(())
}

fn each_mode_goes_as_far_as_it_says(cluster: &Cluster) -> Result<()> {
    let _muslin = Muslin::start(&cluster.control_plane)?;
    for (mode, annotated, warned, injected) in [
        ("off", false, false, false),
        ("audit", false, false, false),
        ("warn", true, true, false),
        ("inject", true, true, true),
    ] {
        let namespace = format!("mode-{mode}");
        cluster.namespace(&namespace, &[("muslin.dev/mode", mode)])?;
        let (pod, warnings) = cluster.created(&pod(&namespace, "web", "alpine:3.19"))?;
        ensure!(pod["metadata"]["annotations"]["muslin.dev/warnings"].is_string() == annotated, "{mode}: {pod:#}");
        ensure!(pod["metadata"]["labels"]["muslin.dev/libc"].is_string() == annotated, "{mode}: {pod:#}");
        ensure!(warnings.contains("muslin") == warned, "{mode}: {warnings}");
        ensure!(pod["spec"]["dnsConfig"]["options"].is_array() == injected, "{mode}: {pod:#}");
    }
    Ok(())
}

fn what_the_user_set_survives(cluster: &Cluster) -> Result<()> {
    let _muslin = Muslin::start(&cluster.control_plane)?;
    cluster.namespace("survives", &[])?;
    let mut wanted = pod("survives", "web", "alpine:3.19");
    wanted["spec"]["dnsConfig"] = json!({
        "nameservers": ["192.0.2.1"], "searches": ["example.com"],
        "options": [{ "name": "ndots", "value": "2" }, { "name": "timeout", "value": "9" }]
    });
    let (pod, _) = cluster.created(&wanted)?;
    let config = &pod["spec"]["dnsConfig"];
    ensure!(config["nameservers"] == json!(["192.0.2.1"]) && config["searches"] == json!(["example.com"]), "{config}");
    let options = config["options"].to_string();
    ensure!(
        options.starts_with(r#"[{"name":"ndots","value":"2"},{"name":"timeout","value":"9"}"#)
            && !options.contains("\"5\"},{\"name\":\"timeout\""),
        "{options}"
    );
    Ok(())
}

fn what_is_not_to_be_touched_is_not(cluster: &Cluster) -> Result<()> {
    let _muslin = Muslin::start(&cluster.control_plane)?;
    cluster.namespace("untouched", &[])?;
    let mut opted_out = pod("untouched", "opted-out", "alpine:3.19");
    opted_out["metadata"]["annotations"] = json!({ "muslin.dev/inject": "false" });
    let mut windows = pod("untouched", "windows", "alpine:3.19");
    windows["spec"]["os"] = json!({ "name": "windows" });
    for wanted in [opted_out, windows] {
        let (pod, warnings) = cluster.created(&wanted)?;
        ensure!(pod["spec"].get("dnsConfig").is_none(), "{pod:#}");
        ensure!(pod["metadata"]["labels"].get("muslin.dev/libc").is_none(), "{pod:#}");
        ensure!(!warnings.contains("muslin"), "{warnings}");
    }
    Ok(())
}

fn a_dry_run_says_the_same(cluster: &Cluster) -> Result<()> {
    let _muslin = Muslin::start(&cluster.control_plane)?;
    cluster.namespace("dry-run", &[])?;
    let text = pod("dry-run", "web", "alpine:3.19").to_string();
    let output =
        cluster.control_plane.kubectl(&["create", "--dry-run=server", "-o", "json", "-f", "-"], Some(&text))?;
    let answer: Value = serde_json::from_str(&output.stdout)?;
    ensure!(answer["spec"]["dnsConfig"]["options"] == default_options(), "{answer:#}");
    ensure!(output.stderr.contains("musl-slow-retry"), "{}", output.stderr);
    ensure!(cluster.pod("dry-run", "web").is_err(), "the pod was kept");
    Ok(())
}

/// Pods of odd shapes: each is accepted, and differs from the one created with no webhook only by what muslin owns.
fn awkward_pods_differ_only_by_the_plan(cluster: &Cluster) -> Result<()> {
    let pods = webhook::awkward_pods();
    ensure!(pods.len() >= 40, "only {} pods", pods.len());
    cluster.namespace("plain", &[])?;
    cluster.namespace("awkward", &[])?;
    let create = |namespace: &str| -> Result<Vec<Value>> {
        pods.iter()
            .map(|pod| {
                let mut pod = pod.clone();
                pod["metadata"]["namespace"] = json!(namespace);
                Ok(cluster.created(&pod)?.0)
            })
            .collect()
    };
    let plain = create("plain")?;
    let _muslin = Muslin::start(&cluster.control_plane)?;
    for (plain, mended) in plain.iter().zip(create("awkward")?) {
        let (plain, mended) = (webhook::without_what_muslin_owns(plain), webhook::without_what_muslin_owns(&mended));
        ensure!(plain == mended, "{plain:#}\n{mended:#}");
    }
    Ok(())
}

fn pods_are_created_without_muslin(cluster: &Cluster) -> Result<()> {
    let muslin = Muslin::start(&cluster.control_plane)?;
    cluster.namespace("without", &[])?;
    muslin.kill()?;
    let (pod, _) = cluster.created(&pod("without", "web", "alpine:3.19"))?;
    ensure!(pod["spec"].get("dnsConfig").is_none(), "{pod:#}");
    muslin.uninstall(&cluster.control_plane)
}
