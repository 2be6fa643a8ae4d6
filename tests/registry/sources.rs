//! Images on disk, as `skopeo` writes them, and `muslin inspect` on all kinds of sources.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::image::Entry::{Link, Part, Text};
use crate::common::image::{Image, blob, layout, run};
use crate::common::registry_server::{ServedImage, Server};
use crate::common::schemas::ensure_valid;
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    reads_the_same_image_from_a_registry_and_each_kind_of_archive,
    reports_unreadable_images_and_inspects_the_others,
    rejects_files_that_are_no_image,
    takes_a_path_for_an_image_on_disk,
    judges_the_command_of_a_pod,
    says_what_to_do_about_an_encrypted_layer,
    shows_the_files_that_were_read_and_the_reason,
    contacts_no_private_address_unless_allowed,
    shows_progress_on_a_terminal_only
];

fn image(world: &World) -> Result<Image> {
    let layers = vec![
        world.layer(&[
            Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
            Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
            Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\n"),
        ])?,
        world.layer(&[Part("app/server", "musl-lookup")])?,
    ];
    Ok(Image::new(layers, json!({"Entrypoint": ["/app/server"]})))
}

/// Runs `muslin inspect` with access to the test's registry.
fn inspect(world: &World, arguments: &[&str]) -> Result<Output> {
    let address = world.registry.address.to_string();
    let reach = ["--plain-http", &address, "--allow-network", "127.0.0.1"];
    let home = tempfile::tempdir()?;
    Ok(Command::new(env!("CARGO_BIN_EXE_muslin"))
        .arg("inspect")
        .args(reach)
        .args(arguments)
        .env("HOME", home.path())
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("DOCKER_CONFIG")
        .output()?)
}

fn reads_the_same_image_from_a_registry_and_each_kind_of_archive(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let image = image(world)?;
    layout(&folder.path().join("oci"), std::slice::from_ref(&image))?;
    world.registry.push("sources", &[image])?;
    let layout = format!("oci:{}", path("oci"));
    for scheme in ["oci-archive", "docker-archive"] {
        let to = format!("{scheme}:{}:example.com/app:1", path(scheme));
        run("skopeo", &["copy", "-q", "--insecure-policy", &layout, &to])?;
    }
    let references = [
        format!("{}/sources", world.registry.address),
        layout,
        format!("oci-archive:{}", path("oci-archive")),
        format!("docker-archive:{}", path("docker-archive")),
    ];
    let mut arguments = vec!["-o", "json", "--platform", "linux/amd64"];
    arguments.extend(references.iter().map(String::as_str));
    let output = inspect(world, &arguments)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}");
    let inspected: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    ensure_valid("inspect", &inspected.clone().into())?;
    ensure!(inspected.len() == 4, "{inspected:#?}");
    for ((image, reference), source) in
        inspected.iter().zip(&references).zip(["registry", "oci", "oci-archive", "docker-archive"])
    {
        ensure!(image["image"] == **reference && image["source"] == source, "{image:#}");
        ensure!(image["libc"] == "musl" && image["resolver"] == "musl" && image["version"] == "1.2.3", "{image:#}");
        ensure!(image["evidence"] == "inspected" && image["platform"] == "linux/amd64", "{image:#}");
        ensure!(image["because"].as_str().is_some_and(|because| because.contains("ld-musl-x86_64.so.1")), "{image:#}");
        let files = image["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_program =
            |file: &Value| file["path"] == "/app/server" && file["layer"].as_str().is_some_and(|l| l.len() == 71);
        ensure!(files.len() == 3 && files.iter().any(is_program), "{image:#}");
        ensure!(image["digest"].is_string() || source == "docker-archive", "{image:#}");
    }
    ensure!(inspected[0]["digest"] == inspected[1]["digest"], "{inspected:#?}");
    Ok(())
}

fn reports_unreadable_images_and_inspects_the_others(world: &World) -> Result<()> {
    world.registry.push("readable", &[image(world)?])?;
    let (readable, missing) =
        (format!("{}/readable", world.registry.address), format!("{}/missing", world.registry.address));
    for (references, code, complaint) in [
        (vec![missing.as_str(), &readable], 3, "cannot inspect 127.0.0.1:"),
        (vec![missing.as_str(), "No:Such:Reference", &readable], 2, "No:Such:Reference"),
    ] {
        let arguments = [&["-o", "json", "--platform", "linux/amd64"], references.as_slice()].concat();
        let output = inspect(world, &arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code) && said.contains(complaint), "{:?}: {said}", output.status);
        let inspected: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        ensure!(inspected.len() == 1 && inspected[0]["image"] == readable, "{inspected:#?}");
    }
    Ok(())
}

fn rejects_files_that_are_no_image(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("text");
    std::fs::write(&file, "no tar at all")?;
    for reference in [
        format!("oci:{}", folder.path().display()),
        format!("oci-archive:{}", file.display()),
        format!("docker-archive:{}", file.display()),
        format!("docker-archive:{}", folder.path().join("missing").display()),
    ] {
        let output = inspect(world, &[&reference])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(3), "{reference}: {:?}: {said}", output.status);
        ensure!(said.contains(&format!("cannot inspect {reference}: ")), "{said}");
    }
    Ok(())
}

fn takes_a_path_for_an_image_on_disk(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    layout(&folder.path().join("layout"), &[image(world)?])?;
    let from = format!("oci:{}", path("layout"));
    for (scheme, name) in [("oci-archive", "A.tar"), ("docker-archive", "b.TAR"), ("docker-archive", "saved")] {
        let to = format!("{scheme}:{}:example.com/app:1", path(name));
        run("skopeo", &["copy", "-q", "--insecure-policy", &from, &to])?;
    }
    for (name, source) in
        [("A.tar", "oci-archive"), ("b.TAR", "docker-archive"), ("saved", "docker-archive"), ("layout", "oci")]
    {
        let output = inspect(world, &["-o", "json", "--platform", "linux/amd64", &path(name)])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let inspected: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        ensure!(inspected[0]["source"] == source && inspected[0]["version"] == "1.2.3", "{inspected:#?}");
    }
    for name in ["./Missing.tar", "Missing.tar", "/nowhere/app.tar"] {
        let output = inspect(world, &[name])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && said.contains("docker-archive:FILE"), "{name}: {said}");
    }
    Ok(())
}

fn judges_the_command_of_a_pod(world: &World) -> Result<()> {
    let glibc = &[
        Part("lib64/ld-linux-x86-64.so.2", "ld-linux"),
        Part("usr/bin/tool", "glibc-lookup"),
        Part("usr/bin/go", "go-pure"),
    ];
    let image = Image::new(vec![world.layer(glibc)?], json!({"Entrypoint": ["/usr/bin/tool"]}));
    world.registry.push("pods-command", &[image])?;
    let reference = format!("{}/pods-command", world.registry.address);
    let inspected = |arguments: &[&str], command: &[&str]| -> Result<Value> {
        let first = ["-o", "json", "--platform", "linux/amd64", &reference];
        let output = inspect(world, &[first.as_slice(), arguments, &["--"], command].concat())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice::<Vec<Value>>(&output.stdout)?.remove(0))
    };
    // glibc's release as its project writes it.
    let own = inspected(&[], &[])?;
    ensure!(own["resolver"] == "glibc" && own["version"] == "2.36", "{own:#}");
    for (variables, command, resolver) in [
        (&[][..], &["go", "-x"][..], "go"),
        (&[], &["/usr/bin/env", "A=1", "go"], "go"),
        (&["--env", "APP=go"], &["$(APP)"], "go"),
        (&["--env", "DIR=/usr/bin", "--env", "APP=$(DIR)/go"], &["$(APP)", "$(OTHER)"], "go"),
        (&["--env", "APP=go"], &["$(OTHER)"], "unknown"),
        (&["--env", "APP=go"], &["$$(APP)"], "unknown"),
        (&[], &["missing"], "unknown"),
        (&["--env", "PATH=/usr/bin"], &["tool"], "glibc"),
        (&["--env", "PATH=/sbin"], &["tool"], "unknown"),
    ] {
        let found = inspected(variables, command)?;
        ensure!(found["resolver"] == resolver, "{variables:?} {command:?}: {found:#}");
    }
    let evidence = inspected(&[], &["go"])?;
    ensure!(evidence["files"][0]["path"] == "/usr/bin/go", "{evidence:#}");
    Ok(())
}

fn says_what_to_do_about_an_encrypted_layer(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[image(world)?])?;
    // Only the media type says that a layer is encrypted.
    let index: Value = serde_json::from_slice(&std::fs::read(folder.path().join("index.json"))?)?;
    let digest = index["manifests"][0]["digest"].as_str().unwrap_or_default().to_owned();
    let blobs = folder.path().join("blobs/sha256");
    let manifest = std::fs::read_to_string(blobs.join(digest.trim_start_matches("sha256:")))?;
    let mut manifest: Value = serde_json::from_str(&manifest)?;
    let top = manifest["layers"].as_array().map_or(0, |layers| layers.len() - 1);
    manifest["layers"][top]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let descriptor = blob(folder.path(), &serde_json::to_vec(&manifest)?, media_type)?;
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]});
    std::fs::write(folder.path().join("index.json"), serde_json::to_vec(&index)?)?;
    let output = inspect(world, &["--platform", "linux/amd64", &format!("oci:{}", folder.path().display())])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && said.contains("--decryption-key"), "{said}");
    Ok(())
}

fn shows_the_files_that_were_read_and_the_reason(world: &World) -> Result<()> {
    world.registry.push("human", &[image(world)?])?;
    let reference = format!("{}/human", world.registry.address);
    let output = inspect(world, &["--platform", "linux/amd64", &reference])?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains(&format!("{reference}: musl 1.2.3 (inspected)\n  why: ")), "{said}");
    let library = "  /lib/ld-musl-x86_64.so.1 is musl 1.2.3 (layer 1, sha256:";
    let database = "  /lib/apk/db/installed lists the package musl 1.2.3 (layer 1, sha256:";
    let program = "  /app/server asks for the loader /lib/ld-musl-x86_64.so.1 (layer 2, sha256:";
    ensure!([program, library, database].iter().all(|line| said.contains(line)), "{said}");
    ensure!(said.contains("  read: sha256:") && said.contains(" for linux/amd64 (registry)"), "{said}");
    Ok(())
}

fn contacts_no_private_address_unless_allowed(world: &World) -> Result<()> {
    let address = world.registry.address.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["inspect", "--plain-http", &address, &format!("{address}/human")])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && said.contains("if this is intended, pass --allow-network"), "{said}");
    Ok(())
}

fn shows_progress_on_a_terminal_only(world: &World) -> Result<()> {
    const IMAGES: usize = 8;
    let served = ServedImage::new(&image(world)?)?;
    let server = Server::start("127.0.0.1", move |request| {
        // Longer than the delay before progress is shown.
        if request.path.contains("/manifests/") {
            std::thread::sleep(Duration::from_millis(1200));
        }
        served.answer(request);
    })?;
    let address = server.address.to_string();
    let references = (0..IMAGES).map(|number| format!("{address}/app{number}"));
    let mut arguments: Vec<String> =
        ["inspect", "--platform", "linux/amd64", "--allow-network", "127.0.0.1", "--plain-http"]
            .map(str::to_owned)
            .into_iter()
            .chain([address.clone()])
            .chain(references)
            .collect();
    let muslin = env!("CARGO_BIN_EXE_muslin");
    let piped = Command::new(muslin).args(&arguments).env("DOCKER_CONFIG", "/nonexistent").output()?;
    ensure!(piped.status.success() && piped.stderr.is_empty(), "{}", String::from_utf8_lossy(&piped.stderr));
    arguments.insert(0, muslin.to_owned());
    // `script` runs its command on a terminal.
    let terminal = Command::new("script")
        .args(["-qec", &arguments.join(" "), "/dev/null"])
        .env("DOCKER_CONFIG", "/nonexistent")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()?;
    let seen = String::from_utf8_lossy(&terminal.stdout);
    ensure!(seen.contains(&format!("of {IMAGES} images inspected")), "{seen}");
    ensure!(seen.matches("musl 1.2.3").count() >= IMAGES, "{seen}");
    Ok(())
}
