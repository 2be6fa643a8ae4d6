//! `muslin compile`: its policies on the API server give pods what the engine gives them, or leave them as they are. No muslin runs here.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use axum::http::Request;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use muslin::compilation::{LIMITS, Limit};
use muslin::image;
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::{Mode, Profile};
use serde_json::{Value, json};

use crate::cluster::replicas::wait;
use crate::cluster::written_pods::{IMAGES, odd_pods, written_pods};
use crate::common::harness::tests;
use crate::common::pods::{awkward_pods, pod, without_identity};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    policies_give_pods_what_the_engine_gives_them,
    a_pod_that_the_page_names_stays_as_it_is,
    policies_warn_about_findings_and_deny_them_without_muslin
];

pub(crate) const ON_REQUEST: Topic = tests![policies_give_10_000_pods_what_the_engine_gives_them];

/// A change of a policy counts after this time at the latest; usually after 0.1 s.
const SOON: Duration = Duration::from_secs(60);

/// Concurrent requests.
const AT_ONCE: usize = 8;

/// The release that serves MutatingAdmissionPolicy by default.
const STABLE: &str = "1.37";

/// The releases' version for `muslin compile` in which an administrator has to enable MutatingAdmissionPolicy.
pub(crate) const BETA: &str = "1.34";

/// Flags of the API server that serve MutatingAdmissionPolicy. Other releases than those with the beta have it by default, or not at all.
pub(crate) fn api_server_flags() -> &'static [&'static str] {
    match kubernetes() {
        Some(BETA) => &[
            "--feature-gates=MutatingAdmissionPolicy=true",
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        ],
        _ => &[],
    }
}

/// The outcome of a comparison.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// The pods that the policy changed as the engine does.
    handled: usize,
    /// The pods whose images are all in the table.
    known: usize,
    handled_of_known: usize,
}

/// Applied policies; deleted when dropped, because they select namespaces of other tests.
pub(crate) struct Applied<'c> {
    cluster: &'c Cluster,
    text: String,
}

impl<'c> Applied<'c> {
    pub(crate) fn of(cluster: &'c Cluster, text: &str) -> Result<Self> {
        let output = cluster.control_plane.kubectl(&["apply", "--server-side", "-f", "-"], Some(text))?;
        let applied = Self { cluster, text: text.to_owned() };
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(applied)
    }
}

impl Drop for Applied<'_> {
    fn drop(&mut self) {
        let arguments = ["delete", "--ignore-not-found", "--wait=false", "-f", "-"];
        let _ = self.cluster.control_plane.kubectl(&arguments, Some(&self.text));
    }
}

fn policies_give_pods_what_the_engine_gives_them(cluster: &Cluster) -> Result<()> {
    compare_all(cluster, "policies", 150).map(drop)
}

fn policies_give_10_000_pods_what_the_engine_gives_them(cluster: &Cluster) -> Result<()> {
    let compared = compare_all(cluster, "many-policies", 3_300)?;
    ensure!(kubernetes().is_none() || compared >= 10_000, "{compared} pods, as the API server denies the others");
    Ok(())
}

/// Compares as many written and as many odd pods, in two profiles and in the modes `inject` and `warn`. Returns the number of pods that the
/// API server accepted.
fn compare_all(cluster: &Cluster, namespace: &str, count: usize) -> Result<usize> {
    let Some(kubernetes) = kubernetes() else { return Ok(0) };
    let mut all = 0;
    let plain = format!("{namespace}-plain");
    cluster.namespace(&plain, &[("muslin.dev/mode", "off")])?;
    for (profile, mode) in [("fast", Mode::Inject), ("default", Mode::Warn)] {
        let name = format!("{namespace}-{profile}");
        cluster.namespace(&name, &[("muslin.dev/mode", mode.name()), ("muslin.dev/profile", profile)])?;
        let _applied = apply(cluster, &compiled(profile, kubernetes)?, &name)?;
        let comparison =
            Comparison { cluster, namespace: &name, plain: &plain, profile: Profile::builtin(profile)?, mode };
        let written = comparison.counts(written_pods(count))?;
        let share = written.handled_of_known * 100 / written.known.max(1);
        eprintln!("{profile}: {written:?}: {share} %");
        ensure!(share >= 90, "{profile}: {written:?}: the policy handles {share} % of the pods with known images");
        let mut odd = odd_pods(count);
        odd.extend(awkward_pods().into_iter().filter(|pod| pod.to_string().len() < 100_000));
        let odd = comparison.counts(odd)?;
        eprintln!("{profile}: odd pods: {odd:?}");
        ensure!(odd.handled > 0, "{odd:?}");
        all += written.all + odd.all;
    }
    Ok(all)
}

/// Tries each row of the page's table that is about pods.
fn a_pod_that_the_page_names_stays_as_it_is(cluster: &Cluster) -> Result<()> {
    let Some(kubernetes) = kubernetes() else { return Ok(()) };
    let namespace = "policies-leave";
    cluster.namespace(namespace, &[("muslin.dev/profile", "fast")])?;
    let _applied = apply(cluster, &compiled("fast", kubernetes)?, namespace)?;
    for Limit { what, instead } in LIMITS {
        for changes in examples(what).with_context(|| format!("no example for: {what}"))? {
            let mut pod = pod(namespace, "left", "alpine:3.19");
            for (pointer, value) in changes {
                set(&mut pod, pointer, value)?;
            }
            let created = cluster
                .runtime
                .block_on(async { create(&cluster.control_plane.client().await?, namespace, &pod).await })?;
            let created = created.with_context(|| format!("the API server denies {pod}"))?;
            let label = &created["metadata"]["labels"]["muslin.dev/libc"];
            ensure!(label.is_null(), "{what}: {instead}: {created:#}");
        }
    }
    Ok(())
}

/// Changes of a pod: JSON pointers and values.
type Changes = Vec<(&'static str, Value)>;

/// Returns pods with what a row names, each as changes of a pod that the policy knows; no pods for a row about profiles and about muslin.
fn examples(what: &str) -> Option<Vec<Changes>> {
    let one = |pointer, value| vec![(pointer, value)];
    let options = |options: Value| one("/spec/dnsConfig", json!({ "options": options }));
    let annotated = |key: &str, value: &str| one("/metadata/annotations", json!({ key: value }));
    let image = "/spec/containers/0/image";
    let container = |index: usize| json!({ "name": format!("c{index}"), "image": "alpine:3.19" });
    let examples = match what {
        "an image that is not in the table" => {
            vec![one(image, json!("example.com/app:1")), one(image, json!("alpine:3.99"))]
        }
        "a command that is not in the table" => vec![
            vec![(image, json!("traefik:v3.1")), ("/spec/containers/0/command", json!(["/app/server"]))],
            one("/spec/containers/0/command", json!(["/usr/bin/curl"])),
            one("/spec/containers/0/command", json!(["$(PROGRAM)"])),
        ],
        "nameservers or searches of the pod's author, and `dnsPolicy: None`" => vec![
            one("/spec/dnsConfig", json!({ "nameservers": ["192.0.2.53"] })),
            one("/spec/dnsConfig", json!({ "searches": ["example.com"] })),
            vec![("/spec/dnsPolicy", json!("None")), ("/spec/dnsConfig", json!({ "nameservers": ["192.0.2.53"] }))],
        ],
        "options of the pod's author that are not in the table" => vec![
            options(json!([{ "name": "ndots", "value": "14" }])),
            options(json!([{ "name": "ndots:2" }])),
            options(json!([{ "name": "attempts", "value": "00" }])),
            options(json!([{ "name": "ndots", "value": "2" }, { "name": "ndots", "value": "3" }])),
        ],
        "the variables GODEBUG, RES_OPTIONS, LOCALDOMAIN and ISTIO_META_DNS_CAPTURE" => {
            let with = |name: &str| one("/spec/containers/0/env", json!([{ "name": name, "value": "x" }]));
            ["GODEBUG", "RES_OPTIONS", "LOCALDOMAIN", "ISTIO_META_DNS_CAPTURE"].map(with).to_vec()
        }
        "a DNS proxy of Istio" => vec![
            annotated("proxy.istio.io/config", "proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}"),
            one("/metadata/labels", json!({ "istio.io/dataplane-mode": "ambient" })),
        ],
        "`muslin.dev/ignore`, and keys of muslin that nothing reads" => vec![
            annotated("muslin.dev/ignore", "musl-slow-retry"),
            annotated("muslin.dev/mode", "off"),
            one("/metadata/labels", json!({ "muslin.dev/team": "shop" })),
        ],
        "`muslin.dev/inject` with another value than true" => {
            vec![annotated("muslin.dev/inject", "false"), annotated("muslin.dev/inject", "maybe")]
        }
        "more than 16 containers or 16 options" => vec![
            one("/spec/containers", (0..17).map(container).collect()),
            options((0..17).map(|index| json!({ "name": format!("o{index}") })).collect()),
        ],
        "a pod that muslin changed before, if it would get something else now" => {
            vec![annotated("muslin.dev/injected", "timeout:5 attempts:10")]
        }
        "`nodeLocal` and `search` of a profile"
        | "`namespaces` of a profile, and broken search domains of nodes"
        | "Events, metrics, previews, warnings about workloads, and the inspection of images" => Vec::new(),
        _ => return None,
    };
    Some(examples)
}

/// Sets a value, with its parent where that is absent.
fn set(pod: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let (parent, field) = pointer.rsplit_once('/').context("a pointer")?;
    pod.pointer_mut(parent).with_context(|| format!("there is no {parent}"))?[field] = value;
    Ok(())
}

/// Warnings have the API server's prefix; pods are denied for findings of level `deny` that nothing fixes.
fn policies_warn_about_findings_and_deny_them_without_muslin(cluster: &Cluster) -> Result<()> {
    let Some(kubernetes) = kubernetes() else { return Ok(()) };
    let namespace = "policies-enforce";
    cluster.namespace(namespace, &[("muslin.dev/mode", "enforce")])?;
    let _applied = apply(cluster, &compiled("default", kubernetes)?, namespace)?;
    let create = |pod: &Value| {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        cluster.control_plane.kubectl(&arguments, Some(&pod.to_string()))
    };
    let warning = "'muslin-default-findings-unlabelled': muslin: app: use Alpine 3.18+ (musl 1.2.3 cannot ask by TCP: answers over 512 bytes are cut \
                   or lost) [musl-no-tcp]";
    // The API server learns of each policy by itself.
    let mut says = String::new();
    let warned = wait("warned", || {
        let output = create(&pod(namespace, "warned", "alpine:3.17"))?;
        ensure!(output.status.success(), "{}", output.stderr);
        says = output.stderr;
        Ok(says.contains(warning))
    });
    warned.with_context(|| says.clone())?;

    let zero = |options: Value, more: &[(&str, Value)]| {
        let mut pod = pod(namespace, "denied", "alpine:3.19");
        pod["spec"]["dnsConfig"] = json!({ "options": options });
        more.iter().try_for_each(|(pointer, value)| set(&mut pod, pointer, value.clone()))?;
        anyhow::Ok(pod)
    };
    let written = json!([{ "name": "attempts", "value": "0" }]);
    // What the policy fixes is no reason to deny the pod.
    let output = create(&zero(written.clone(), &[])?)?;
    ensure!(
        output.status.success() && output.stdout.contains("attempts:2 (was attempts:0)"),
        "{}{}",
        output.stdout,
        output.stderr
    );
    let opted_out = [("/metadata/annotations", json!({ "muslin.dev/inject": "false" }))];
    let env = [("/spec/containers/0/env", json!([{ "name": "RES_OPTIONS", "value": "x" }]))];
    for (options, more) in [
        (json!([{ "name": "attempts:0" }]), &[][..]),
        (json!([{ "name": "timeout", "value": "0" }, { "name": "unknown", "value": "7" }]), &[][..]),
        (written.clone(), &opted_out[..]),
        (written, &env[..]),
    ] {
        let pod = zero(options, more)?;
        let output = create(&pod)?;
        let denial = "muslin enforces DNS settings in namespace policies-enforce: ";
        ensure!(
            !output.status.success() && output.stderr.contains(denial),
            "{pod}: {}{}",
            output.stdout,
            output.stderr
        );
        ensure!(output.stderr.contains("-zero: app: "), "{}", output.stderr);
    }
    let healthy = zero(json!([{ "name": "unknown", "value": "7" }]), &[])?;
    ensure!(create(&healthy)?.status.success(), "a pod without a finding of level deny is denied");
    Ok(())
}

/// Returns the version for `muslin compile`; none where the API server has no such policies.
pub(crate) fn kubernetes() -> Option<&'static str> {
    match env::var("MUSLIN_KUBERNETES").as_deref() {
        Err(_) | Ok("" | "1.35") => Some(BETA),
        Ok(STABLE) => Some("1.36"),
        Ok(_) => None,
    }
}

/// Returns the output of `muslin compile` with the images of the tests.
fn compiled(profile: &str, kubernetes: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images.txt");
    fs::write(&images, IMAGES.join("\n"))?;
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["compile", profile, "--kubernetes", kubernetes, "--no-official-images", "--images"])
        .arg(images)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Applies policies, and waits until they count in a namespace.
pub(crate) fn apply<'c>(cluster: &'c Cluster, text: &str, namespace: &str) -> Result<Applied<'c>> {
    let applied = Applied::of(cluster, text)?;
    let wanted = pod(namespace, "known", "alpine:3.19").to_string();
    let deadline = Instant::now() + SOON;
    loop {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let output = cluster.control_plane.kubectl(&arguments, Some(&wanted))?;
        let pod: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        if pod["metadata"]["labels"]["muslin.dev/libc"] == "musl" {
            return Ok(applied);
        }
        if Instant::now() > deadline {
            bail!("the policy does not change pods: {}\n{}", output.stderr, conditions(cluster));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns what the API server says about the policies.
fn conditions(cluster: &Cluster) -> String {
    let mut text = String::new();
    for kind in ["mutatingadmissionpolicies", "validatingadmissionpolicies"] {
        if let Ok(output) = cluster.control_plane.kubectl(&["get", kind, "-o", "jsonpath={.items[*].status}"], None) {
            let _ = writeln!(text, "{kind}: {}{}", output.stdout, output.stderr);
        }
    }
    text
}

/// Compares pods that a policy leaves with those that the engine makes.
struct Comparison<'c> {
    cluster: &'c Cluster,
    namespace: &'c str,
    /// A namespace without policies.
    plain: &'c str,
    profile: Profile,
    mode: Mode,
}

impl Comparison<'_> {
    fn counts(&self, pods: Vec<Value>) -> Result<Counts> {
        self.cluster.runtime.block_on(async {
            let client = self.cluster.control_plane.client().await?;
            let outcomes = stream::iter(pods).map(|pod| self.compare(client.clone(), pod)).buffer_unordered(AT_ONCE);
            let outcomes: Vec<Option<(bool, bool)>> = outcomes.try_collect().await?;
            let mut counts = Counts::default();
            for (is_known, is_handled) in outcomes.into_iter().flatten() {
                counts.all += 1;
                counts.known += usize::from(is_known);
                counts.handled += usize::from(is_handled);
                counts.handled_of_known += usize::from(is_known && is_handled);
            }
            Ok(counts)
        })
    }

    /// Returns whether the policy knows all images of the pod, and whether it changes the pod; nothing for a pod that the API server denies.
    async fn compare(&self, client: Client, pod: Value) -> Result<Option<(bool, bool)>> {
        let Some(plain) = create(&client, self.plain, &pod).await? else { return Ok(None) };
        let plain = without_identity(&plain);
        let changed = create(&client, self.namespace, &pod).await?.context("the policy denies the pod")?;
        let changed = without_identity(&changed);
        let planned = self.planned(&plain)?;
        let is_known = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| plain["spec"][list].as_array().into_iter().flatten())
            .all(|container| container["image"].as_str().is_some_and(|image| IMAGES.contains(&image)));
        if changed == plain && planned != plain {
            return Ok(Some((is_known, false)));
        }
        ensure!(changed == planned, "the policy made\n{changed:#}\nand the engine\n{planned:#}\nof\n{plain:#}");
        if changed != plain {
            let again =
                create(&client, self.namespace, &changed).await?.context("the API server denies its own pod")?;
            ensure!(without_identity(&again) == changed, "a second pass made\n{again:#}\nof\n{changed:#}");
            // Where both are installed, the webhook comes after the policy.
            let after = self.planned(&changed)?;
            ensure!(after == changed, "the engine made\n{after:#}\nof\n{changed:#}");
        }
        Ok(Some((is_known, true)))
    }

    /// Returns the pod as the engine makes it.
    fn planned(&self, plain: &Value) -> Result<Value> {
        let text = plain.to_string();
        let pod: Pod<'_> = serde_json::from_str(&text)?;
        let fingerprints = pod
            .containers()
            .map(|container| image::assume_started(container.image(), container.started().as_deref()))
            .collect();
        let context = Context { namespace: self.namespace, mode: self.mode, ..Context::usual(&self.profile) };
        let mut planned = plain.clone();
        if let Ok(plan) = plan(&pod, fingerprints, &context) {
            json_patch::patch(&mut planned, &plan.patch).context("the plan's patch does not apply")?;
        }
        Ok(planned)
    }
}

/// Returns the pod that the API server would store; nothing if it denies the pod.
pub(crate) async fn create(client: &Client, namespace: &str, pod: &Value) -> Result<Option<Value>> {
    let mut pod = pod.clone();
    pod["metadata"]["namespace"] = json!(namespace);
    let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"))
        .header("content-type", "application/json")
        .body(pod.to_string().into_bytes())?;
    match client.request::<Value>(request).await {
        Ok(pod) => Ok(Some(pod)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
