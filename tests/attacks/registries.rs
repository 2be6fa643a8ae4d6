//! Images that are numerous, slow, large in facts, or none of the tenant's business: nobody else waits for them, and nothing of a dry run
//! is kept.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::http::Method;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::attacks::tenant::{NAMESPACE, path};
use crate::attacks::tenant_registry::{ALPINE, HONEST, Pace, TenantRegistry};
use crate::attacks::victim::Victim;
use crate::common::harness::tests;
use crate::common::image::Entry::{Part, Script};
use crate::common::image::{Image, layer, parts};
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::common::registry::Registry;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![slow_images, many_images, private_images, stored_fingerprints];

/// The longest time until an honest person's new image is known while the tenant attacks.
const KNOWN_MAX: Duration = Duration::from_secs(3);

/// The most fingerprints that one namespace's real pods may leave.
const FINGERPRINTS_MAX: usize = 600;

/// The path of all fingerprints.
const FINGERPRINTS: &str = "/apis/muslin.dev/v1alpha1/imagefingerprints";

/// The number of fingerprints that the attack on an earlier muslin left.
const STORED: usize = 1136;

fn slow_images(world: &World) -> Result<()> {
    // Who makes a registry slow owns it, or a part of it.
    let (registry, honest) = (TenantRegistry::start()?, TenantRegistry::start()?);
    let flags = [honest.flags(), vec!["--plain-http".to_owned(), registry.address.to_string()]].concat();
    let mut victim = Victim::start_with(world, &flags, &honest.reference(HONEST, 1))?;
    honest.add_many("fresh", Pace::AtOnce, &[])?;
    let mut fresh = 0;
    for (attack, pace, images) in [
        ("4 images at 10 KB/s", Pace::Slow, 4),
        ("100 images at 10 KB/s", Pace::Slow, 100),
        ("100 images of a silent registry", Pace::Silent, 100),
        ("100 images with a head and no body", Pace::HeadOnly, 100),
    ] {
        let name = format!("{pace:?}-{images}").to_lowercase();
        registry.add_many(&name, pace, &[])?;
        let mut tag = 0;
        victim.attack(attack, |_| {
            let mut pod = pod(NAMESPACE, "slow", "x");
            pod["spec"]["containers"] = (0..images)
                .map(|index| {
                    tag += 1;
                    json!({ "name": format!("c{index}"), "image": registry.reference(&name, tag) })
                })
                .collect();
            world.runtime.block_on(world.tenant.create(&path("api/v1", "pods"), &pod.to_string(), 1));
            fresh += 1;
            wait_until_known(world, &honest.reference("fresh", fresh))
        })?;
    }
    victim.finish()
}

/// Waits until muslin knows an image by its files.
fn wait_until_known(world: &World, image: &str) -> Result<()> {
    let asked = Instant::now();
    loop {
        let resolvers = resolvers_of(world, &pod("honest", "fresh", image))?;
        if resolvers.contains("(inspected)") {
            return Ok(());
        }
        ensure!(asked.elapsed() < KNOWN_MAX, "an honest image is not known after {KNOWN_MAX:?}: {resolvers}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Creates a pod as a dry run by the user of its namespace, and returns what muslin says about its resolvers.
fn resolvers_of(world: &World, pod: &Value) -> Result<String> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let user = if namespace == NAMESPACE { &world.tenant } else { &world.admin };
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let created = world.runtime.block_on(user.send(Method::POST, &path, pod.to_string().into_bytes()))?;
    let created: Value = serde_json::from_str(&created)?;
    let resolvers = created.pointer("/metadata/annotations/muslin.dev~1resolvers").and_then(Value::as_str);
    Ok(resolvers.context("muslin has not reviewed the pod")?.to_owned())
}

fn many_images(world: &World) -> Result<()> {
    let _rights = Rights::apply(world, "components/image-inspection/cluster-role.yaml")?;
    let registry = TenantRegistry::start()?;
    // Each script is started by another program, so that the facts of an image are large.
    let scripts: Vec<(String, String)> = (0..2_000)
        .map(|index| (format!("usr/bin/a-program-with-a-name-{index}"), format!("#!/usr/bin/interpreter-{index} -x\n")))
        .collect();
    let scripts: Vec<_> = scripts.iter().map(|(path, text)| Script(path, text)).collect();
    registry.add_many("many", Pace::AtOnce, &scripts)?;
    registry.add_many("plain", Pace::AtOnce, &[])?;
    let mut victim = Victim::start_with(world, &registry.flags(), &registry.reference(HONEST, 1))?;
    let mut tag = 0;
    for (attack, repository, is_dry_run, platform) in [
        ("dry runs with 100 tags each, 64 KiB of facts", "many", true, None),
        ("dry runs with 100 tags each, few facts", "plain", true, None),
        ("dry runs for another platform", "plain", true, Some("arm64")),
        ("pods with 100 tags each, 64 KiB of facts", "many", false, None),
    ] {
        let dry_run = if is_dry_run { "?dryRun=All" } else { "" };
        victim.attack(attack, |_| {
            for _ in 0..5 {
                let mut pod = pod(NAMESPACE, "many", "x");
                pod["metadata"] = json!({ "generateName": "many-", "namespace": NAMESPACE });
                if let Some(platform) = platform {
                    pod["spec"]["nodeSelector"] = json!({ "kubernetes.io/arch": platform });
                }
                pod["spec"]["containers"] = (0..100)
                    .map(|index| {
                        tag += 1;
                        json!({ "name": format!("c{index}"), "image": registry.reference(repository, tag) })
                    })
                    .collect();
                let path = path("api/v1", "pods") + dry_run;
                world.runtime.block_on(world.tenant.send(Method::POST, &path, pod.to_string().into_bytes()))?;
            }
            Ok(())
        })?;
        // Fingerprints are written in batches, one a second.
        std::thread::sleep(Duration::from_millis(1500));
        let kept = fingerprints(world)?;
        let allowed = if is_dry_run { 0 } else { FINGERPRINTS_MAX };
        victim.note((|| {
            ensure!(kept <= allowed, "{kept} ImageFingerprints");
            Ok(())
        })());
    }
    victim.finish()
}

fn fingerprints(world: &World) -> Result<usize> {
    let output = world.control_plane.kubectl(&["get", "imagefingerprints", "-o", "name"], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(output.stdout.lines().count())
}

/// What an attack on an earlier muslin left in etcd is read at each start: fingerprints in an old format, of 64 KiB each.
fn stored_fingerprints(world: &World) -> Result<()> {
    let _rights = Rights::apply(world, "components/image-inspection/cluster-role.yaml")?;
    let number = if world.attacks == usize::MAX { STORED } else { STORED / 5 };
    let half = "x".repeat(32 << 10);
    let store = async |index: usize| {
        let name = format!("sha256-{index:064x}");
        let metadata = json!({ "name": name, "annotations": { "example.com/filler": half } });
        let object = json!({ "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": metadata, "spec": {} });
        let created = world.admin.send(Method::POST, FINGERPRINTS, object.to_string().into_bytes()).await?;
        let mut object: Value = serde_json::from_str(&created)?;
        object["status"] = json!({
            "format": 1, "digest": name.replace('-', ":"), "platform": "linux/amd64", "resolver": "musl 1.2.4",
            "because": "/lib/ld-musl-x86_64.so.1", "evidence": "inspected", "image": "example.com/many:1",
            "lastUsed": "2026-11-01T00:00:00Z", "data": half,
        });
        world.admin.send(Method::PUT, &format!("{FINGERPRINTS}/{name}/status"), object.to_string().into_bytes()).await
    };
    let stored = futures::stream::iter(0..number).map(store).buffer_unordered(8).try_collect::<Vec<_>>();
    world.runtime.block_on(stored)?;
    let registry = TenantRegistry::start()?;
    // Starts within the memory limit, or not at all.
    let mut victim = Victim::start_with(world, &registry.flags(), &registry.reference(HONEST, 1))?;
    let peak = victim.peak()?;
    victim.attack(&format!("a start with {number} stored fingerprints of 64 KiB"), |_| Ok(()))?;
    victim.note((|| {
        ensure!(peak < world.manifest.memory_limit / 2, "the start took {peak} bytes");
        Ok(())
    })());
    victim.finish()
}

/// A private image that one namespace's Secret opens; the tenant has none, or a wrong one. Two registries and two Secrets make the test
/// long.
fn private_images(world: &World) -> Result<()> {
    const PASSWORD: &str = "only-for-those-who-know";
    let _rights = Rights::apply(world, "components/pull-secrets/cluster-role.yaml")?;
    let registry = Registry::with_password(PASSWORD)?;
    let parts = parts()?;
    let files = [Part("app/server", "musl-lookup"), Script("entry", "#!/bin/sh\nexec /app/server\n")];
    let layers = vec![layer(&parts, &ALPINE)?, layer(&parts, &files)?];
    registry.push("team/private:1", &[Image::new(layers, json!({ "Entrypoint": ["/app/server"] }))])?;
    let image = format!("{}/team/private:1", registry.address);
    let secret = |namespace: &str, password: &str| {
        let server = format!("--docker-server={}", registry.address);
        let password = format!("--docker-password={password}");
        let arguments = ["create", "secret", "docker-registry", "pull", "-n", namespace, "--docker-username=puller"];
        let output = world.control_plane.kubectl(&[&arguments[..], &[&server, &password]].concat(), None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    };
    secret("honest", PASSWORD)?;
    secret(NAMESPACE, "a-guess")?;
    let address = registry.address.to_string();
    let flags = [
        "--inspect-images",
        "--inspection-budget",
        "1500",
        "--pull-secrets",
        "--allow-network",
        "127.0.0.1",
        "--plain-http",
        &address,
    ];
    let flags = flags.map(str::to_owned);
    let tenants = TenantRegistry::start()?;
    let flags = [&flags[..], &["--plain-http".to_owned(), tenants.address.to_string()]].concat();
    let mut victim = Victim::start_with(world, &flags, &tenants.reference(HONEST, 1))?;
    let with = |namespace: &str, image: &str, secret: bool, command: Option<&str>| {
        let mut pod = pod(namespace, "private", image);
        if secret {
            pod["spec"]["imagePullSecrets"] = json!([{ "name": "pull" }]);
        }
        if let Some(command) = command {
            pod["spec"]["containers"][0]["command"] = json!([command]);
        }
        pod
    };
    for (attack, secret, command) in [
        ("a private image without a Secret", false, None),
        ("a private image with a wrong Secret", true, None),
        ("a path of a private image as a command", false, Some("/entry")),
        ("another path of a private image as a command, with a wrong Secret", true, Some("/app/server")),
    ] {
        victim.attack(attack, |_| {
            let known = resolvers_of(world, &with("honest", &image, true, None))?;
            ensure!(known.contains("(inspected)"), "those who may read it know nothing: {known}");
            let told = resolvers_of(world, &with(NAMESPACE, &image, secret, command))?;
            ensure!(told == "app=unknown", "the tenant learns {told}");
            Ok(())
        })?;
    }
    for namespace in ["honest", NAMESPACE] {
        world.control_plane.kubectl(&["delete", "secret", "pull", "-n", namespace], None)?;
    }
    victim.finish()
}

/// Rights of an overlay of `manifests/`; taken back when dropped, with what was written by them.
struct Rights<'w> {
    world: &'w World,
    file: String,
}

// === impl Rights ===

impl<'w> Rights<'w> {
    fn apply(world: &'w World, file: &str) -> Result<Self> {
        let file = format!("{MANIFESTS}/{file}");
        let output = world.control_plane.kubectl(&["apply", "-f", &file], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(Self { world, file })
    }
}

impl Drop for Rights<'_> {
    fn drop(&mut self) {
        // All at once; `--all` sends a request for each.
        for what in [["--raw", FINGERPRINTS], ["-f", &self.file]] {
            let _ = self.world.control_plane.kubectl(&[&["delete"], &what[..]].concat(), None);
        }
    }
}
