//! Who learns what of images, and what is stored of it: private images, dry runs, fingerprints in old formats.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::inspection::{Fingerprints, PULL_SECRETS, overlay, reading, registry, resolvers};
use crate::common::harness::tests;
use crate::common::image::Entry::Part;
use crate::common::image::{Image, layer};
use crate::common::pods::pod;
use crate::common::registry::Registry;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    a_private_image_is_known_in_the_namespace_whose_secret_reads_it,
    a_dry_run_writes_no_fingerprint,
    a_fingerprint_in_an_old_format_is_written_anew
];

/// The namespaces with a Secret `pull`, and its password.
const NAMESPACES: [(&str, Option<&str>); 3] = [("knows", Some("right")), ("guesses", Some("wrong")), ("names", None)];

fn a_private_image_is_known_in_the_namespace_whose_secret_reads_it(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let registry = Registry::with_password("right")?;
    let parts = crate::cluster::inspection::parts()?;
    let image =
        Image::new(vec![layer(&parts, &[Part("app/server", "go-pure")])?], json!({"Entrypoint": ["/app/server"]}));
    registry.push("team/secret:1", &[image])?;
    let reference = format!("{}/team/secret:1", registry.address);
    for (namespace, password) in NAMESPACES {
        cluster.namespace(namespace, &[])?;
        let Some(password) = password else { continue };
        let (server, password) =
            (format!("--docker-server={}", registry.address), format!("--docker-password={password}"));
        let secret = ["create", "secret", "docker-registry", "pull", "-n", namespace, "--docker-username=puller"];
        kept.kubectl(&[secret.as_slice(), &[&server, &password]].concat())?;
    }
    let create = |namespace: &str, name: &str, command: &Value| -> Result<String> {
        let mut pod = pod(namespace, name, &reference);
        pod["spec"]["imagePullSecrets"] = json!([{ "name": "pull" }]);
        pod["spec"]["containers"][0]["command"] = command.clone();
        let (created, _) = cluster.created(&pod)?;
        Ok(resolvers(&created).as_str().unwrap_or_default().to_owned())
    };
    kept.kubectl(&["apply", "-f", &overlay(PULL_SECRETS)])?;
    let result = (|| {
        let mut arguments = reading(&registry).to_vec();
        arguments.push("--pull-secrets".to_owned());
        let _muslin = cluster.muslin_with(&arguments)?;
        let (own, probed) = (Value::Null, json!(["/app/server"]));
        let known = create("knows", "own", &own)?;
        ensure!(known.starts_with("app=go-1.") && known.ends_with(" (inspected)"), "{known}");
        for namespace in ["guesses", "names"] {
            for (name, command) in [("own", &own), ("probed", &probed)] {
                let learned = create(namespace, name, command)?;
                ensure!(learned == "app=unknown", "{namespace} learned {learned}");
            }
        }
        ensure!(create("knows", "again", &probed)?.ends_with(" (inspected)"));
        // What is stored names no credential.
        let found = kept.wait("stored", |found| found.len() == 1 && found[0]["status"].is_object())?;
        let reader = found[0]["status"]["references"][0]["reader"].as_str().context("it is private")?;
        ensure!(reader.len() == 32 && !found[0].to_string().contains("right"), "{:#}", found[0]);
        Ok(())
    })();
    kept.kubectl(&["delete", "-f", &overlay(PULL_SECRETS)])?;
    result
}

fn a_dry_run_writes_no_fingerprint(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/dry:1", "musl-lookup")?;
    let _muslin = cluster.muslin_with(&reading(&registry))?;
    cluster.namespace("dry", &[])?;
    let dry = |name: &str| {
        let output = cluster.control_plane.kubectl(
            &["create", "--dry-run=server", "-o", "json", "-f", "-"],
            Some(&pod("dry", name, &reference).to_string()),
        )?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(serde_json::from_str::<Value>(&output.stdout)?)
    };
    let created = dry("first")?;
    ensure!(resolvers(&created) == "app=musl-1.2.3 (inspected)", "{created:#}");
    dry("second")?;
    // An image of a real pod is written within a second; the other is written before it, if at all.
    let other = registry_copy(&registry, &reference)?;
    cluster.created(&pod("dry", "real", &other))?;
    let found = kept.wait("kept", |found| !found.is_empty() && found.iter().all(|one| one["status"].is_object()))?;
    ensure!(found.len() == 1 && found[0]["status"]["image"] == other.as_str(), "{found:#?}");
    ensure!(found[0]["status"]["namespace"] == "dry" && found[0]["status"]["format"] == 3, "{found:#?}");
    Ok(())
}

/// Pushes another image to a registry, and returns its reference.
fn registry_copy(registry: &Registry, reference: &str) -> Result<String> {
    let parts = crate::cluster::inspection::parts()?;
    let image =
        Image::new(vec![layer(&parts, &[Part("app/server", "go-pure")])?], json!({"Entrypoint": ["/app/server"]}));
    registry.push("team/real:1", &[image])?;
    let (host, _) = reference.split_once('/').context("it has a registry")?;
    Ok(format!("{host}/team/real:1"))
}

fn a_fingerprint_in_an_old_format_is_written_anew(cluster: &Cluster) -> Result<()> {
    let kept = Fingerprints::apply(cluster)?;
    let (registry, reference) = registry("team/old:1", "musl-lookup")?;
    let arguments = reading(&registry);
    cluster.namespace("old", &[])?;
    {
        let _muslin = cluster.muslin_with(&arguments)?;
        cluster.created(&pod("old", "first", &reference))?;
        kept.wait("kept", |found| found.len() == 1 && found[0]["status"]["format"] == 3)?;
    }
    let found = kept.wait("kept", |found| found.len() == 1)?;
    let name = found[0]["metadata"]["name"].as_str().context("it has a name")?;
    // Facts that would make any command a Go program, by an older muslin.
    let old = json!({ "status": { "format": 1, "resolver": "go", "data": "{\"config\":{}}" } }).to_string();
    kept.kubectl(&["patch", "imagefingerprint", name, "--subresource=status", "--type=merge", "-p", &old])?;
    let _muslin = cluster.muslin_with(&arguments)?;
    let (created, _) = cluster.created(&pod("old", "second", &reference))?;
    ensure!(resolvers(&created) == "app=musl-1.2.3 (inspected)", "{created:#}");
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_new = |one: &Value| one["status"]["format"] == 3 && one["status"]["resolver"] == "musl";
    while !kept.fingerprints()?.iter().all(is_new) || kept.fingerprints()?.is_empty() {
        ensure!(Instant::now() < deadline, "{:#?}", kept.fingerprints()?);
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
