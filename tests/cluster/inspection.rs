//! Image inspection: a real registry beside the real API server, and image names without hints.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::events::events;
use crate::common::harness::tests;
use crate::common::image::Entry::{Link, Part, Text};
use crate::common::image::{Entry, Image, layer, run};
use crate::common::pods::pod;
use crate::common::registry::Registry;
use crate::common::webhook::{Certificate, Process};
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_pod_is_fixed_by_its_image_and_the_next_one_without_the_registry,
    a_go_program_on_an_alpine_root_gets_no_musl_warnings,
    an_unreadable_image_is_judged_by_its_name,
    an_image_is_read_with_the_pods_pull_secret_if_allowed,
    a_stopping_leader_releases_the_lease,
    inspections_survive_a_restart_with_the_registry_down,
    events_use_the_inspections_of_another_replica,
    a_declaration_outranks_an_inspection,
    a_declaration_without_a_resolver_or_a_digest_is_rejected,
    the_leader_deletes_the_least_recently_used_fingerprints,
    the_warm_up_reads_the_images_of_running_pods,
    an_image_with_different_platforms_is_judged_by_the_pods_platforms
];

const ALPINE: &[Entry<'_>] = &[
    Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
    Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
    Text("etc/os-release", "ID=alpine\nVERSION_ID=3.16.2\n"),
    Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\n"),
];

/// The fingerprints on the API server, with the rights of `manifests/image-inspection`; both are deleted when dropped.
pub(crate) struct Fingerprints<'c>(&'c Cluster);

/// The rights that the overlay adds to the base.
const OVERLAY: &str = "components/image-inspection/cluster-role.yaml";
/// The right to read the Secrets of pods.
pub(crate) const PULL_SECRETS: &str = "components/pull-secrets/cluster-role.yaml";

/// Time limit for writing a fingerprint, or reading it back.
const SOON: Duration = Duration::from_secs(20);

// === impl Fingerprints ===

impl<'c> Fingerprints<'c> {
    pub(crate) fn apply(cluster: &'c Cluster) -> Result<Self> {
        let kept = Self(cluster);
        kept.kubectl(&["apply", "-f", &overlay(OVERLAY)])?;
        Ok(kept)
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = self.0.control_plane.kubectl(arguments, None)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(output.stdout)
    }

    pub(crate) fn fingerprints(&self) -> Result<Vec<Value>> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", "imagefingerprints", "-o", "json"])?)?;
        list["items"].as_array().cloned().context("kubectl get gave no list")
    }

    /// Returns the name of the leader.
    fn holder(&self) -> Result<String> {
        self.kubectl(&["get", "lease", "muslin", "-n", "muslin", "-o", "jsonpath={.spec.holderIdentity}"])
    }

    /// Waits until this process is the leader, which takes until the lease of the previous one expires.
    fn wait_until_holder_is(&self, process: u32) -> Result<()> {
        let deadline = Instant::now() + SOON;
        while !self.holder().is_ok_and(|holder| holder.ends_with(&format!("-{process}"))) {
            ensure!(Instant::now() < deadline, "{:?}", self.holder());
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Waits until the fingerprints meet a condition, and returns them.
    pub(crate) fn wait(&self, what: &str, are: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.fingerprints()?;
            if are(&found) {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "not {what}: {found:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Fingerprints<'_> {
    fn drop(&mut self) {
        for what in [["imagefingerprints", "--all"], ["-f", &overlay(OVERLAY)]] {
            let _ = self.0.control_plane.kubectl(&[["delete", "--ignore-not-found"], what].concat(), None);
        }
    }
}

pub(crate) fn overlay(file: &str) -> String {
    format!("{}/manifests/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Starts a registry with one image, and returns the image's reference.
pub(crate) fn registry(name: &str, program: &str) -> Result<(Registry, String)> {
    let parts = parts()?;
    let layers = vec![layer(&parts, ALPINE)?, layer(&parts, &[Part("app/server", program)])?];
    let registry = Registry::start()?;
    registry.push(name, &[Image::new(layers, json!({"Entrypoint": ["/app/server"]}))])?;
    let reference = format!("{}/{name}", registry.address);
    Ok((registry, reference))
}

/// Returns the folder of real programs and libraries.
pub(crate) fn parts() -> Result<PathBuf> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/tools");
    let printed = String::from_utf8(run(tools, &[])?)?;
    Ok(printed.lines().last().context("the tools print a folder")?.into())
}

/// Returns the flags that make muslin inspect the images of this registry, and wait for the results.
pub(crate) fn reading(registry: &Registry) -> [String; 7] {
    let arguments = ["--inspect-images", "--inspection-budget", "4000", "--allow-network", "127.0.0.1", "--plain-http"];
    let [a, b, c, d, e, f] = arguments.map(str::to_owned);
    [a, b, c, d, e, f, registry.address.to_string()]
}

pub(crate) fn resolvers(pod: &Value) -> &Value {
    &pod["metadata"]["annotations"]["muslin.dev/resolvers"]
}

fn a_pod_is_fixed_by_its_image_and_the_next_one_without_the_registry(cluster: &Cluster) -> Result<()> {
    let (registry, reference) = registry("team/nothing:1", "musl-lookup")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("inspected", &[("muslin.dev/profile", "three-attempts")])?;
    let (first, warnings) = cluster.created(&pod("inspected", "first", &reference))?;
    ensure!(resolvers(&first) == "app=musl-1.2.3 (inspected)", "{first:#}");
    // A known musl gets what an image's name alone would not give.
    let options = json!([{ "name": "attempts", "value": "3" }]);
    ensure!(first["spec"]["dnsConfig"]["options"] == options, "{first:#}");
    ensure!(first["metadata"]["labels"]["muslin.dev/libc"] == "musl", "{first:#}");
    ensure!(warnings.contains("app: use Alpine 3.18+ (musl 1.2.3"), "{warnings}");
    drop(registry);
    let (second, again) = cluster.created(&pod("inspected", "second", &reference))?;
    ensure!(resolvers(&second) == resolvers(&first) && again == warnings.replace("first", "second"), "{second:#}");
    Ok(())
}

fn a_go_program_on_an_alpine_root_gets_no_musl_warnings(cluster: &Cluster) -> Result<()> {
    let (registry, reference) = registry("team/go-on-alpine:1", "go-pure")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("inspected-go", &[])?;
    let (created, warnings) = cluster.created(&pod("inspected-go", "app", &reference))?;
    let told = resolvers(&created).as_str().unwrap_or_default();
    ensure!(told.starts_with("app=go-1.") && told.ends_with(" (inspected)"), "{created:#}");
    ensure!(!warnings.contains("musl-"), "{warnings}");
    Ok(())
}

fn an_unreadable_image_is_judged_by_its_name(cluster: &Cluster) -> Result<()> {
    let (registry, _) = registry("team/other:1", "go-pure")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("unread", &[])?;
    let missing = format!("{}/library/alpine:3.19", registry.address);
    let (created, _) = cluster.created(&pod("unread", "app", &missing))?;
    ensure!(resolvers(&created) == "app=musl-1.2.4 (assumed)", "{created:#}");
    Ok(())
}

fn an_image_is_read_with_the_pods_pull_secret_if_allowed(cluster: &Cluster) -> Result<()> {
    const PASSWORD: &str = "only-for-those-who-know";
    let parts = parts()?;
    let registry = Registry::with_password(PASSWORD)?;
    let layers = vec![layer(&parts, ALPINE)?, layer(&parts, &[Part("app/server", "musl-lookup")])?];
    registry.push("team/private:1", &[Image::new(layers, json!({"Entrypoint": ["/app/server"]}))])?;
    let reference = format!("{}/team/private:1", registry.address);
    cluster.namespace("private", &[])?;
    let kubectl = |arguments: &[&str]| {
        let output = cluster.control_plane.kubectl(arguments, None)?;
        ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
        Ok(())
    };
    let (server, password) = (format!("--docker-server={}", registry.address), format!("--docker-password={PASSWORD}"));
    let secret = ["create", "secret", "docker-registry", "pull", "-n", "private", "--docker-username=puller"];
    kubectl(&[secret.as_slice(), &[&server, &password]].concat())?;
    let mut named = pod("private", "named", &reference);
    named["spec"]["imagePullSecrets"] = json!([{ "name": "missing" }, { "name": "pull" }]);

    let mut arguments = reading(&registry).to_vec();
    arguments.push("--pull-secrets".to_owned());
    {
        // The flag is set, but the right is missing.
        let _muslin = cluster.muslin_with(&arguments)?;
        let (created, _) = cluster.created(&renamed(&named, "refused"))?;
        ensure!(resolvers(&created) == "app=unknown", "{created:#}");
    }
    kubectl(&["apply", "-f", &overlay(PULL_SECRETS)])?;
    let result = (|| {
        let _muslin = cluster.muslin_with(&arguments)?;
        let (without, _) = cluster.created(&pod("private", "without", &reference))?;
        ensure!(resolvers(&without) == "app=unknown", "{without:#}");
        // A failure for a pod without the Secret does not prevent inspection for a pod with it.
        let (with, _) = cluster.created(&named)?;
        ensure!(resolvers(&with) == "app=musl-1.2.3 (inspected)", "{with:#}");
        Ok(())
    })();
    kubectl(&["delete", "-f", &overlay(PULL_SECRETS)])?;
    result
}

fn renamed(pod: &Value, name: &str) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["name"] = json!(name);
    pod
}

fn a_stopping_leader_releases_the_lease(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, _) = registry("team/lease:1", "go-pure")?;
    let mut muslin = cluster.muslin_with(&reading(&registry))?;
    kept.wait_until_holder_is(muslin.id())?;
    muslin.stop()?;
    ensure!(kept.holder()?.is_empty(), "{}", kept.holder()?);
    Ok(())
}

fn events_use_the_inspections_of_another_replica(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/shared:1", "musl-lookup")?;
    // This leader is not registered as a webhook, so that it never inspects an image.
    let folder = tempfile::tempdir()?;
    let arguments = [Certificate::new()?.arguments(folder.path())?, reading(&registry).to_vec()].concat();
    let holder = Process::start(&cluster.account, &arguments)?;
    kept.wait_until_holder_is(holder.id())?;
    let _reviewer = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("shared", &[])?;
    let (created, _) = cluster.created(&pod("shared", "app", &reference))?;
    ensure!(resolvers(&created) == "app=musl-1.2.3 (inspected)", "{created:#}");
    let deadline = Instant::now() + SOON;
    let injected = loop {
        let found = events(cluster, "shared")?;
        if let Some(injected) = found.iter().find(|event| event["reason"] == "DNSOptionsInjected") {
            break injected["message"].to_string();
        }
        ensure!(Instant::now() < deadline, "no Event: {found:#?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    ensure!(injected.contains("app=musl-1.2.3 (inspected)"), "{injected}");
    Ok(())
}

fn inspections_survive_a_restart_with_the_registry_down(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/kept:1", "musl-lookup")?;
    let arguments = reading(&registry);
    cluster.namespace("kept", &[])?;
    let muslin = cluster.muslin_with(&arguments)?;
    let (first, _) = cluster.created(&pod("kept", "first", &reference))?;
    let found = kept.wait("kept", |found| found.len() == 1 && found[0]["status"].is_object())?;
    let status = &found[0]["status"];
    ensure!(status["resolver"] == "musl" && status["version"] == "1.2.3", "{status:#}");
    ensure!(status["image"] == reference.as_str() && status["evidence"] == "inspected", "{status:#}");
    drop(muslin);
    drop(registry);
    let _restarted = cluster.muslin_with(&arguments)?;
    let (second, _) = cluster.created(&pod("kept", "second", &reference))?;
    ensure!(
        resolvers(&second) == "app=musl-1.2.3 (inspected)" && resolvers(&first) == resolvers(&second),
        "{first:#}{second:#}"
    );
    let table = kept.kubectl(&["get", "imagefingerprints"])?;
    ensure!(table.starts_with("NAME ") && table.contains("musl") && table.contains(&reference), "{table}");
    Ok(())
}

fn a_declaration_outranks_an_inspection(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/declared:1", "musl-lookup")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("declared", &[])?;
    cluster.created(&pod("declared", "before", &reference))?;
    let found = kept.wait("kept", |found| found.len() == 1 && found[0]["status"].is_object())?;
    let name = found[0]["metadata"]["name"].as_str().context("it has a name")?;
    let declare = r#"{"spec":{"declared":"glibc 2.36"}}"#;
    kept.kubectl(&["patch", "imagefingerprint", name, "--type=merge", "-p", declare])?;
    let deadline = Instant::now() + SOON;
    for number in 0.. {
        let (after, _) = cluster.created(&pod("declared", &format!("after-{number}"), &reference))?;
        if resolvers(&after) == "app=glibc-2.36 (declared)" {
            break;
        }
        ensure!(Instant::now() < deadline, "{after:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn a_declaration_without_a_resolver_or_a_digest_is_rejected(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let object = |name: &str, declared: &str| {
        json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint",
            "metadata": { "name": name }, "spec": { "declared": declared },
        })
    };
    let digest = format!("sha256-{}", "0".repeat(64));
    let create = |object: &Value| kept.0.control_plane.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
    for (name, declared, why) in [
        ("alpine", "musl", "the name is the digest of the image's manifest"),
        (digest.as_str(), "bionic", "spec.declared"),
        (digest.as_str(), "musl latest", "spec.declared"),
    ] {
        let output = create(&object(name, declared))?;
        ensure!(!output.status.success() && output.stderr.contains(why), "{name} {declared}: {}", output.stderr);
    }
    let output = create(&object(&digest, "musl 1.2.5"))?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

fn the_leader_deletes_the_least_recently_used_fingerprints(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/newest:1", "musl-lookup")?;
    let old: Vec<String> = (0..3).map(|number| format!("sha256-{}", number.to_string().repeat(64))).collect();
    for (day, name) in old.iter().enumerate() {
        let object = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": name }, "spec": {},
        });
        let output = kept.0.control_plane.kubectl(&["create", "-f", "-"], Some(&object.to_string()))?;
        ensure!(output.status.success(), "{}", output.stderr);
        let status = json!({ "status": {
            "resolver": "unknown", "evidence": "none", "because": "it is old", "image": "old", "format": 3, "data": "{\"config\":{}}",
            "digest": name.replace('-', ":"), "platform": "linux/amd64", "lastUsed": format!("2020-01-0{}T00:00:00Z", day + 1),
        } });
        kept.kubectl(&[
            "patch",
            "imagefingerprint",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status.to_string(),
        ])?;
    }
    let mut arguments = reading(&registry).to_vec();
    arguments.extend(["--keep-fingerprints", "2"].map(str::to_owned));
    let _muslin = cluster.muslin_with(&arguments)?;
    cluster.namespace("pruned", &[])?;
    cluster.created(&pod("pruned", "app", &reference))?;
    let is_there = |found: &[Value], name: &str| found.iter().any(|object| object["metadata"]["name"] == name);
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let found = kept.fingerprints()?;
        // The newest of the old ones stays beside the image in use.
        if found.len() == 2 && is_there(&found, &old[2]) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{found:#?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn an_image_with_different_platforms_is_judged_by_the_pods_platforms(cluster: &Cluster) -> Result<()> {
    let parts = parts()?;
    let registry = Registry::start()?;
    let entrypoint = || json!({"Entrypoint": ["/app/server"]});
    let musl = vec![layer(&parts, ALPINE)?, layer(&parts, &[Part("app/server", "musl-lookup")])?];
    let go = vec![layer(&parts, &[Part("app/server", "go-pure")])?];
    let images = [Image::new(musl, entrypoint()), Image { platform: ("arm64", None), ..Image::new(go, entrypoint()) }];
    registry.push("team/both:1", &images)?;
    let reference = format!("{}/team/both:1", registry.address);
    let mut arguments = reading(&registry).to_vec();
    arguments.extend(["--architectures", "amd64,arm64"].map(str::to_owned));
    let _muslin = cluster.muslin_with(&arguments)?;
    cluster.namespace("platforms", &[])?;

    let (anywhere, warnings) = cluster.created(&pod("platforms", "anywhere", &reference))?;
    ensure!(warnings.contains("platforms differ: musl 1.2.3 on amd64, go 1."), "{warnings}");
    ensure!(resolvers(&anywhere) == "app=musl-1.2.3 (assumed)", "{anywhere:#}");

    let mut on_arm = pod("platforms", "on-arm", &reference);
    on_arm["spec"]["nodeSelector"] = json!({ "kubernetes.io/arch": "arm64" });
    let (on_arm, warnings) = cluster.created(&on_arm)?;
    ensure!(!warnings.contains("platforms differ"), "{warnings}");
    ensure!(resolvers(&on_arm).as_str().is_some_and(|told| told.starts_with("app=go-1.")), "{on_arm:#}");
    Ok(())
}

fn the_warm_up_reads_the_images_of_running_pods(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    // Pods of other tests have images in registries that no test may contact.
    cluster.delete_all_pods()?;
    let (registry, reference) = registry("team/running:1", "go-pure")?;
    cluster.namespace("running", &[("muslin.dev/mode", "off")])?;
    cluster.create(&pod("running", "app", &reference))?;
    let mut arguments = reading(&registry).to_vec();
    arguments.push("--warm-up".to_owned());
    let _muslin = cluster.muslin_with(&arguments)?;
    let is_read =
        |object: &Value| object["status"]["image"] == reference.as_str() && object["status"]["resolver"] == "go";
    let deadline = Instant::now() + Duration::from_secs(90);
    while !kept.fingerprints()?.iter().any(is_read) {
        ensure!(Instant::now() < deadline, "{:#?}", kept.fingerprints()?);
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
