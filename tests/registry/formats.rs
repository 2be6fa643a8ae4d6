//! Formats in which tools store images. Every format of one image gives the same result.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use muslin::image::contents::Invocation;
use muslin::registry::{Archive, Depth, ImageSource, Inspection, Inspector, Limits, Platform};
use serde_json::{Value, json};

use crate::common::harness::tests;
use crate::common::image::Entry::{Link, Part, Text};
use crate::common::image::{Image, Packing, blob, layout, run};
use crate::{Topic, World};

pub(crate) const TESTS: Topic = tests![
    reads_gzip_members_and_skippable_zstd_frames,
    reads_the_same_image_after_skopeo_converts_it,
    accepts_attestations_and_entries_without_a_platform,
    reads_an_image_of_127_layers,
    skips_a_foreign_layer,
    rejects_an_invalid_digest,
    requires_a_name_for_an_archive_of_several_images,
    reads_a_docker_archive_with_compressed_layers,
    rejects_an_oversized_command,
    stops_reading_at_the_loader_that_names_its_release
];

const AMD64: &str = "linux/amd64";

fn musl(world: &World) -> Result<Vec<u8>> {
    world.layer(&[
        Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
        Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
        Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\n"),
    ])
}

fn image(world: &World) -> Result<Image> {
    let layers = vec![musl(world)?, world.layer(&[Part("app/server", "musl-lookup")])?];
    Ok(Image::new(layers, json!({"Entrypoint": ["/app/server"]})))
}

fn is_musl(what: &str, inspection: &Inspection) -> Result<()> {
    let fingerprint = inspection.facts.fingerprint(&Invocation::default());
    ensure!(fingerprint.resolver.to_string() == "musl 1.2.3", "{what}: {fingerprint}: {}", fingerprint.reason);
    Ok(())
}

fn inspect_archive(world: &World, archive: Archive, platform: &str, depth: Depth) -> Result<Inspection> {
    let platform: Platform = platform.parse()?;
    let inspector = Inspector::new(Limits::default(), 1 << 20);
    Ok(world.runtime.block_on(inspector.inspect(&ImageSource::Archive(archive.into()), &platform, depth))?)
}

fn reads_gzip_members_and_skippable_zstd_frames(world: &World) -> Result<()> {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd, Packing::Members, Packing::Frames] {
        let folder = tempfile::tempdir()?;
        layout(folder.path(), &[Image { packing, ..image(world)? }])?;
        let archive = Archive::oci_folder(folder.path(), None, Limits::default())?;
        is_musl(&format!("{packing:?}"), &inspect_archive(world, archive, AMD64, Depth::Whole)?)?;
    }
    Ok(())
}

fn reads_the_same_image_after_skopeo_converts_it(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let other = Image { platform: ("arm64", Some("v8")), ..image(world)? };
    layout(folder.path(), &[image(world)?, other])?;
    let from = format!("oci:{}", folder.path().display());
    for (name, arguments) in [
        ("oci", &["--format", "oci"][..]),
        ("docker-schema-2", &["--format", "v2s2"]),
        ("zstd", &["--format", "oci", "--dest-compress-format", "zstd"]),
        ("zstd-chunked", &["--format", "oci", "--dest-compress-format", "zstd:chunked"]),
        ("list", &["--format", "v2s2", "--all"]),
        ("index", &["--all"]),
    ] {
        let reference = format!("converted/{name}:1");
        let to = format!("docker://{}/{reference}", world.registry.address);
        let always =
            ["copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "--dest-compress", "--override-arch=amd64"];
        run("skopeo", &[always.as_slice(), arguments, &[&from, &to]].concat())?;
        for depth in [Depth::Whole, Depth::OwnCommand] {
            is_musl(name, &world.inspect(&reference, AMD64, depth)?)?;
        }
    }
    is_musl("list", &world.inspect("converted/list:1", "linux/arm64", Depth::Whole)?)
}

fn accepts_attestations_and_entries_without_a_platform(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[image(world)?])?;
    let path = folder.path().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let manifest = index["manifests"][0].clone();
    let nothing = blob(folder.path(), b"{}", "application/vnd.oci.image.manifest.v1+json")?;
    let with = |platform: Value, annotations: Value| {
        let mut entry = nothing.clone();
        entry["platform"] = platform;
        entry["annotations"] = annotations;
        entry
    };
    let unknown = with(
        json!({"os": "unknown", "architecture": "unknown"}),
        json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": manifest["digest"]}),
    );
    let windows = with(json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348"}), json!({}));
    index["manifests"] = json!([unknown, windows, manifest]);
    fs::write(&path, index.to_string())?;
    let open = || Archive::oci_folder(folder.path(), None, Limits::default());
    is_musl("beside attestations", &inspect_archive(world, open()?, AMD64, Depth::Whole)?)?;
    let error = inspect_archive(world, open()?, "linux/s390x", Depth::Whole).err().context("there is none")?;
    ensure!(error.to_string().ends_with("only for windows/amd64, linux/amd64"), "{error}");
    for platform in [json!({"os": "", "architecture": ""}), json!({}), Value::Null] {
        let mut manifest = manifest.clone();
        manifest["platform"] = platform;
        index["manifests"] = json!([unknown, manifest]);
        fs::write(&path, index.to_string())?;
        is_musl("without a platform", &inspect_archive(world, open()?, AMD64, Depth::Whole)?)?;
    }
    Ok(())
}

fn reads_an_image_of_127_layers(world: &World) -> Result<()> {
    let empty = world.layer(&[])?;
    let mut image = image(world)?;
    let app = image.layers.pop().context("it has a program")?;
    image.layers.resize(126, empty);
    image.layers.push(app);
    world.registry.push("layers/127:1", std::slice::from_ref(&image))?;
    for depth in [Depth::Whole, Depth::OwnCommand] {
        is_musl("127 layers", &world.inspect("layers/127:1", AMD64, depth)?)?;
    }
    image.layers.resize(129, image.layers[1].clone());
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[image])?;
    let archive = Archive::oci_folder(folder.path(), None, Limits::default())?;
    let error = inspect_archive(world, archive, AMD64, Depth::Whole).err().context("the image was read")?;
    ensure!(error.to_string() == "there are more than 128 layers", "{error}");
    Ok(())
}

fn skips_a_foreign_layer(world: &World) -> Result<()> {
    // The foreign layer is missing.
    let image = image(world)?;
    let foreign = world.layer(&[Text("foreign", "not here")])?;
    for (layers, resolver) in [
        (vec![foreign.clone(), image.layers[0].clone(), image.layers[1].clone()], "musl 1.2.3"),
        (vec![image.layers[0].clone(), foreign.clone(), image.layers[1].clone()], "unknown"),
    ] {
        let folder = tempfile::tempdir()?;
        layout(folder.path(), &[Image { layers, packing: Packing::Gzip, ..image.clone() }])?;
        edit_manifest(folder.path(), |manifest| {
            let digest = muslin::registry::Digest::sha256(
                &crate::common::image::pack(&foreign, Packing::Gzip).unwrap_or_default(),
            );
            fs::remove_file(folder.path().join("blobs/sha256").join(digest.parts().1))?;
            for layer in manifest["layers"].as_array_mut().context("it has layers")? {
                if layer["digest"] == digest.as_str() {
                    layer["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
                    layer["urls"] = json!(["http://127.0.0.1:1/layer"]);
                }
            }
            Ok(())
        })?;
        let archive = Archive::oci_folder(folder.path(), None, Limits::default())?;
        let inspection = inspect_archive(world, archive, AMD64, Depth::Whole)?;
        let fingerprint = inspection.facts.fingerprint(&Invocation::default());
        ensure!(fingerprint.resolver.to_string() == resolver, "{fingerprint}: {}", fingerprint.reason);
        ensure!(inspection.facts.partial, "the layers below it were read");
    }
    Ok(())
}

/// Edits the one manifest of a layout.
fn edit_manifest(folder: &std::path::Path, edit: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    let path = folder.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let digest = index["manifests"][0]["digest"].as_str().context("it has a manifest")?.to_owned();
    let digits = digest.strip_prefix("sha256:").context("it is a SHA-256")?;
    let mut manifest: Value = serde_json::from_slice(&fs::read(folder.join("blobs/sha256").join(digits))?)?;
    edit(&mut manifest)?;
    let mut entry = blob(folder, manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")?;
    entry["platform"] = index["manifests"][0]["platform"].clone();
    index["manifests"][0] = entry;
    fs::write(path, index.to_string())?;
    Ok(())
}

fn rejects_an_invalid_digest(world: &World) -> Result<()> {
    for make in [
        str::to_uppercase as fn(&str) -> String,
        |digest| digest.replace("sha256", "md5"),
        |digest| digest[..40].to_owned(),
    ] {
        let folder = tempfile::tempdir()?;
        layout(folder.path(), &[image(world)?])?;
        edit_manifest(folder.path(), |manifest| {
            let digest = manifest["layers"][0]["digest"].as_str().context("it has a digest")?;
            let (name, digits) = digest.split_once(':').context("it has a digest")?;
            let odd = make(digits);
            manifest["layers"][0]["digest"] = json!(if odd == digits { make(digest) } else { format!("{name}:{odd}") });
            Ok(())
        })?;
        let archive = Archive::oci_folder(folder.path(), None, Limits::default())?;
        let error = inspect_archive(world, archive, AMD64, Depth::Whole).err().context("the image was read")?;
        ensure!(error.to_string().contains("is no digest"), "{error}");
    }
    Ok(())
}

fn requires_a_name_for_an_archive_of_several_images(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[image(world)?])?;
    let path = folder.path().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let named = |name: &str, index: &Value| {
        let mut entry = index["manifests"][0].clone();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        entry
    };
    index["manifests"] = json!([named("one", &index), named("two", &index)]);
    fs::write(&path, index.to_string())?;
    let error = Archive::oci_folder(folder.path(), None, Limits::default()).err().context("which of them?")?;
    ensure!(error.to_string().contains("name one of: one, two"), "{error}");
    let two = Archive::oci_folder(folder.path(), Some("two"), Limits::default())?;
    is_musl("two", &inspect_archive(world, two, AMD64, Depth::Whole)?)
}

/// Docker 25 and later save images from containerd's store in this form.
fn reads_a_docker_archive_with_compressed_layers(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    layout(folder.path(), &[image(world)?])?;
    let mut saved = Value::Null;
    edit_manifest(folder.path(), |manifest| {
        let name = |value: &Value| format!("blobs/{}", value["digest"].as_str().unwrap_or_default().replace(':', "/"));
        let layers: Vec<String> = manifest["layers"].as_array().into_iter().flatten().map(name).collect();
        saved = json!([{"Config": name(&manifest["config"]), "RepoTags": ["app:1"], "Layers": layers}]);
        Ok(())
    })?;
    fs::write(folder.path().join("manifest.json"), saved.to_string())?;
    let file = tempfile::NamedTempFile::new()?;
    let (to, of) = (file.path().to_string_lossy(), folder.path().to_string_lossy());
    run("tar", &["--create", "--file", &to, "--directory", &of, "."])?;
    for name in [None, Some("app:1")] {
        let archive = Archive::docker_archive(file.path(), name, Limits::default())?;
        is_musl("saved", &inspect_archive(world, archive, AMD64, Depth::Whole)?)?;
    }
    let archive = Archive::oci_archive(file.path(), None, Limits::default())?;
    is_musl("the same as an OCI archive", &inspect_archive(world, archive, AMD64, Depth::Whole)?)
}

fn rejects_an_oversized_command(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let long = "x".repeat(40 << 10);
    layout(folder.path(), &[Image::new(vec![], json!({"Entrypoint": ["/bin/sh", "-c", long]}))])?;
    let archive = Archive::oci_folder(folder.path(), None, Limits::default())?;
    let error = inspect_archive(world, archive, AMD64, Depth::Whole).err().context("the image was read")?;
    ensure!(error.to_string().starts_with("the image's command exceeds the limit"), "{error}");
    Ok(())
}

fn stops_reading_at_the_loader_that_names_its_release(world: &World) -> Result<()> {
    let layers = vec![
        world.layer(&[Part("bin/tool", "musl-nothing")])?,
        musl(world)?,
        world.layer(&[Part("app/server", "musl-lookup")])?,
    ];
    world.registry.push("early/loader:1", &[Image::new(layers, json!({"Entrypoint": ["/app/server"]}))])?;
    let inspection = world.inspect("early/loader:1", AMD64, Depth::OwnCommand)?;
    is_musl("early", &inspection)?;
    ensure!(inspection.facts.partial, "a layer that can change nothing was read");
    Ok(())
}
