//! `muslin check --inspect`: the images of manifests, read in a registry, and kept on disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::image::Entry::{Part, Text};
use crate::common::image::Image;
use crate::common::registry::Registry;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    a_check_reads_the_images_of_manifests,
    a_check_follows_the_command_of_the_pod,
    a_second_check_reads_no_layer,
    a_moved_tag_is_read_again_after_its_time,
    an_image_that_cannot_be_read_is_noted_once,
    a_check_reads_no_image_that_is_declared,
    a_check_uses_credentials_as_inspect_does,
    inject_reads_images_too
];

/// A folder of manifests with a cache beside it.
struct Folder(tempfile::TempDir);

// === impl Folder ===

impl Folder {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Result<Self> {
        fs::write(self.path().join(name), text)?;
        Ok(self)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs muslin with access to a registry.
    fn run(&self, registry: &str, arguments: &[&str]) -> Result<Output> {
        let reach =
            ["--inspect", "--platform", "linux/amd64", "--plain-http", registry, "--allow-network", "127.0.0.1"];
        Ok(Command::new(env!("CARGO_BIN_EXE_muslin"))
            .args(arguments)
            .args(reach)
            .current_dir(self.path())
            .env("HOME", self.path().join("home"))
            .env_remove("XDG_CACHE_HOME")
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("DOCKER_CONFIG")
            .output()?)
    }

    /// Checks the folder, and returns the document and the messages.
    fn check(&self, registry: &str, arguments: &[&str]) -> Result<(Value, String)> {
        let output = self.run(registry, &[&["check", ".", "-o", "json", "--fail-on", "never"], arguments].concat())?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{messages}");
        Ok((serde_json::from_slice(&output.stdout)?, messages))
    }

    fn cached(&self) -> Result<usize> {
        let folder = self.path().join("home/.cache/muslin/images");
        Ok(if folder.exists() { fs::read_dir(folder)?.count() } else { 0 })
    }

    /// Makes every file of the cache older than a tag is trusted.
    fn grow_old(&self) -> Result<()> {
        for entry in fs::read_dir(self.path().join("home/.cache/muslin/images"))? {
            let path = entry?.path();
            let mut cached: Value = serde_json::from_slice(&fs::read(&path)?)?;
            cached["at"] = json!(cached["at"].as_u64().unwrap_or_default() - 2 * 60 * 60);
            fs::write(&path, cached.to_string())?;
        }
        Ok(())
    }
}

fn rules(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().into_iter().flatten();
    findings.filter_map(|finding| finding["rule"].as_str()).collect()
}

fn musl(world: &World, release: &str) -> Result<Image> {
    let database = format!("C:Q1\nP:musl\nV:{release}-r3\nA:x86_64\n\n");
    let layer = world.layer(&[
        Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
        Text("lib/apk/db/installed", &database),
        Part("app/server", "musl-lookup"),
        Part("app/go", "go-pure"),
    ])?;
    Ok(Image::new(vec![layer], json!({"Entrypoint": ["/app/server"]})))
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:\n    - name: app\n      image: {image}\n"
    )
}

fn a_check_reads_the_images_of_manifests(world: &World) -> Result<()> {
    world.registry.push("checked/app", &[musl(world, "1.2.3")?])?;
    let registry = world.registry.address.to_string();
    let folder = Folder::new()?.with("web.yaml", pod(&format!("{registry}/checked/app")))?;
    // The name says nothing.
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["check", ".", "-o", "json", "--fail-on", "never"])
        .current_dir(folder.path())
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        document["summary"]["unknownContainers"] == 1 && !rules(&document).contains(&"musl-no-tcp"),
        "{document:#}"
    );
    let (document, messages) = folder.check(&registry, &[])?;
    ensure!(rules(&document).contains(&"musl-no-tcp"), "{document:#}{messages}");
    ensure!(document["summary"]["unknownContainers"] == 0, "{document:#}");
    let output = folder.run(&registry, &["check", ".", "--fail-on", "never"])?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(shown.contains("is musl 1.2.3 (inspected): "), "{shown}");
    Ok(())
}

fn a_check_follows_the_command_of_the_pod(world: &World) -> Result<()> {
    world.registry.push("checked/command", &[musl(world, "1.2.3")?])?;
    let registry = world.registry.address.to_string();
    let text = pod(&format!("{registry}/checked/command")) + "      command: [/app/go]\n";
    let (document, messages) = Folder::new()?.with("web.yaml", text)?.check(&registry, &[])?;
    ensure!(document["summary"]["unknownContainers"] == 0, "{document:#}{messages}");
    ensure!(!rules(&document).iter().any(|rule| rule.starts_with("musl")), "{document:#}");
    Ok(())
}

fn a_second_check_reads_no_layer(world: &World) -> Result<()> {
    let registry = Registry::start()?;
    registry.push("cached/app", &[musl(world, "1.2.3")?])?;
    let address = registry.address.to_string();
    let folder = Folder::new()?.with("web.yaml", pod(&format!("{address}/cached/app")))?;
    let (first, _) = folder.check(&address, &[])?;
    ensure!(rules(&first).contains(&"musl-no-tcp") && folder.cached()? == 1, "{first:#}");
    drop(registry);
    let (second, messages) = folder.check(&address, &[])?;
    ensure!(second == first && !messages.contains("note: "), "{messages}");
    // After its time the tag is asked for again, and what was read is better than a guess.
    folder.grow_old()?;
    let (third, messages) = folder.check(&address, &[])?;
    ensure!(third == first && messages.contains("going by what an earlier run read"), "{third:#}{messages}");
    let (without, messages) = folder.check(&address, &["--no-image-cache"])?;
    ensure!(without["summary"]["unknownContainers"] == 1 && messages.contains("cannot read "), "{without:#}{messages}");
    let (elsewhere, _) = folder.check(&address, &["--image-cache", "other"])?;
    ensure!(elsewhere["summary"]["unknownContainers"] == 1, "{elsewhere:#}");
    Ok(())
}

fn a_moved_tag_is_read_again_after_its_time(world: &World) -> Result<()> {
    world.registry.push("moved/app", &[musl(world, "1.2.3")?])?;
    let registry = world.registry.address.to_string();
    let folder = Folder::new()?.with("web.yaml", pod(&format!("{registry}/moved/app")))?;
    let (old, _) = folder.check(&registry, &[])?;
    ensure!(rules(&old).contains(&"musl-no-tcp"), "{old:#}");
    folder.grow_old()?;
    let (same, messages) = folder.check(&registry, &[])?;
    ensure!(same == old && !messages.contains("note: "), "{messages}");
    world.registry.push("moved/app", &[musl(world, "1.2.5")?])?;
    folder.grow_old()?;
    let (new, _) = folder.check(&registry, &[])?;
    ensure!(!rules(&new).contains(&"musl-no-tcp"), "{new:#}");
    Ok(())
}

fn an_image_that_cannot_be_read_is_noted_once(world: &World) -> Result<()> {
    let registry = world.registry.address.to_string();
    let missing = format!("{registry}/missing/app:1");
    let mut folder = Folder::new()?;
    for number in 0..5 {
        folder = folder.with(&format!("{number}.yaml"), format!("{0}---\n{0}", pod(&missing)))?;
    }
    let invalid = pod("'{{ .Values.image }}'");
    let folder = folder.with("named.yaml", pod(&format!("{registry}/missing/alpine:3.19")))?.with("x.yml", invalid)?;
    let (document, messages) = folder.check(&registry, &[])?;
    let notes = |start: &str| messages.lines().filter(|line| line.starts_with(start)).count();
    ensure!(notes(&format!("note: cannot read {missing}: ")) == 1, "{messages}");
    ensure!(messages.contains("its resolver is unknown"), "{messages}");
    ensure!(
        messages.contains(&format!("{registry}/missing/alpine:3.19")) && messages.contains("suggests musl"),
        "{messages}"
    );
    ensure!(notes("note: ") == 3, "{messages}");
    ensure!(document["summary"]["unknownContainers"] == 11, "{document:#}");
    ensure!(folder.cached()? == 0);
    Ok(())
}

fn a_check_reads_no_image_that_is_declared(world: &World) -> Result<()> {
    let registry = world.registry.address.to_string();
    let config = format!("[images]\n\"{registry}/declared/\" = \"musl 1.2.3\"\n");
    let folder =
        Folder::new()?.with("muslin.toml", config)?.with("a.yaml", pod(&format!("{registry}/declared/app")))?;
    let (document, messages) = folder.check(&registry, &[])?;
    ensure!(rules(&document).contains(&"musl-no-tcp") && !messages.contains("note: "), "{document:#}{messages}");
    Ok(())
}

fn a_check_uses_credentials_as_inspect_does(world: &World) -> Result<()> {
    let private = Registry::with_password("let-me-in")?;
    private.push("team/app", &[musl(world, "1.2.3")?])?;
    let address = private.address.to_string();
    let folder = Folder::new()?.with("web.yaml", pod(&format!("{address}/team/app")))?;
    let (document, messages) = folder.check(&address, &[])?;
    ensure!(document["summary"]["unknownContainers"] == 1 && messages.contains("cannot read "), "{messages}");
    let config = json!({"auths": {&address: {"username": "puller", "password": "let-me-in"}}});
    let folder = folder.with("auth", config.to_string())?;
    let (document, messages) = folder.check(&address, &["--auth-file", "auth"])?;
    ensure!(rules(&document).contains(&"musl-no-tcp"), "{document:#}{messages}");
    ensure!(!messages.contains("let-me-in"), "{messages}");
    Ok(())
}

fn inject_reads_images_too(world: &World) -> Result<()> {
    world.registry.push("injected/app", &[musl(world, "1.2.3")?])?;
    let registry = world.registry.address.to_string();
    let folder = Folder::new()?.with("web.yaml", pod(&format!("{registry}/injected/app")))?;
    let output = folder.run(&registry, &["inject", "web.yaml", "--profile", "three-attempts"])?;
    let (text, messages) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains(r#"muslin.dev/resolvers: "app=musl-1.2.3 (inspected)""#), "{text}{messages}");
    Ok(())
}
