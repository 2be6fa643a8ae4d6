//! The image of a release: one index over the images of all architectures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use muslin::registry::Digest;
use serde_json::Value;

use crate::common::registry::Registry;
use crate::release::release_folder::{ARCHITECTURES, Architecture, REPOSITORY, VERSION, release, run};

/// Where an image has the certificate authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes a layout of the image of these binaries.
fn layout(binaries: &[PathBuf], folder: &Path) {
    let binaries = binaries.iter().map(|binary| binary.display().to_string());
    let arguments = ["layout".to_owned(), folder.display().to_string()].into_iter().chain(binaries);
    run(&format!("{REPOSITORY}/scripts/image"), arguments, None);
}

/// Pulls the image of an architecture, checks its configuration, and unpacks its files into a folder.
fn pull(registry: &Registry, architecture: Architecture, folder: &Path) -> BTreeSet<String> {
    fs::create_dir_all(folder).unwrap();
    let (from, to) =
        (format!("docker://{}/muslin:{VERSION}", registry.address), format!("dir:{}/image", folder.display()));
    let platform = format!("--override-arch={}", architecture.name);
    let copied =
        ["--override-os=linux", &platform, "copy", "-q", "--insecure-policy", "--src-tls-verify=false", &from, &to];
    run("skopeo", copied, None);
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join("image").join(name)).unwrap()).unwrap() };
    let blob = |descriptor: &Value| descriptor["digest"].as_str().unwrap().replace("sha256:", "");
    let manifest = read("manifest.json");
    let config = read(&blob(&manifest["config"]));
    assert_eq!((&config["architecture"], &config["os"]), (&architecture.name.into(), &"linux".into()));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/muslin"]));
    let [layer] = &manifest["layers"].as_array().unwrap()[..] else { panic!("{manifest:#}") };
    let files = folder.join("files");
    fs::create_dir_all(&files).unwrap();
    let layer = folder.join("image").join(blob(layer)).display().to_string();
    let listed = run("tar", ["--list", "--verbose", "--numeric-owner", "--gzip", "--file", &layer], None);
    assert!(listed.lines().all(|line| line.contains(" 0/0 ") && line[1..10].matches('w').count() == 1), "{listed}");
    run("tar", ["--extract", "--gzip", "--file", &layer], Some(&files));
    let found = run("find", [".", "-type", "f"], Some(&files));
    found.lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
}

/// A registry serves one name for both architectures, and keeps the digest. Layouts of the same programs are the same.
#[test]
fn a_registry_serves_each_architecture_its_image() {
    let parts = run(&format!("{REPOSITORY}/tests/registry/tools"), [""; 0], None);
    let parts = PathBuf::from(parts.trim_end());
    // Programs for x86-64, and for aarch64 by Go.
    let programs = [parts.join("musl-static-stripped"), parts.join("go-arm64")];
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    layout(&programs, &one);
    layout(&programs, &other);
    run("diff", ["--recursive".as_ref(), one.as_os_str(), other.as_os_str()], None);

    let registry = Registry::start().unwrap();
    registry.push_layout(&format!("muslin:{VERSION}"), &one).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(one.join("index.json")).unwrap()).unwrap();
    let reference = format!("docker://{}/muslin:{VERSION}", registry.address);
    let served = run("skopeo", ["inspect", "--raw", "--tls-verify=false", &reference], None);
    assert_eq!(index["manifests"][0]["digest"], Digest::sha256(served.as_bytes()).to_string());
    for (architecture, program) in ARCHITECTURES.into_iter().zip(&programs) {
        let pulled = folder.path().join(architecture.name);
        let files = pull(&registry, architecture, &pulled);
        assert_eq!(files, BTreeSet::from([AUTHORITIES.to_owned(), "muslin".to_owned()]));
        assert_eq!(fs::read(pulled.join("files/muslin")).unwrap(), fs::read(program).unwrap());
    }
}

/// Tests deploy an image of a program that is not static: with its libraries it runs in a root of its own.
#[test]
fn an_image_of_a_dynamic_program_brings_its_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let program = env!("CARGO_BIN_EXE_muslin");
    run(&format!("{REPOSITORY}/scripts/image"), ["files", program, root.to_str().unwrap()], None);
    let version = run("chroot", [root.to_str().unwrap(), "/muslin", "--version"], None);
    assert!(version.contains(VERSION), "{version}");
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE"]
fn the_image_of_a_release_has_the_programs_of_its_archives() {
    let folder = tempfile::tempdir().unwrap();
    let image = release().folder.join(format!("muslin-{VERSION}-image.tar"));
    let layout = folder.path().join("layout");
    fs::create_dir(&layout).unwrap();
    run("tar", ["--extract".as_ref(), "--file".as_ref(), image.as_os_str()], Some(&layout));
    let registry = Registry::start().unwrap();
    registry.push_layout(&format!("muslin:{VERSION}"), &layout).unwrap();
    for &architecture in &release().architectures {
        let pulled = folder.path().join(architecture.name);
        let files = pull(&registry, architecture, &pulled);
        assert_eq!(files, BTreeSet::from([AUTHORITIES.to_owned(), "muslin".to_owned()]));
        assert_eq!(fs::read(pulled.join("files/muslin")).unwrap(), fs::read(release().program(architecture)).unwrap());
    }
}
