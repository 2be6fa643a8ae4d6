//! The floors of the house (`ARCHITECTURE.md`): a lower one must not name a higher one, and a pure one must do no I/O.

#![expect(clippy::unwrap_used, reason = "a source tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const FLOORS: [&str; 15] = [
    "resolver",
    "pod",
    "image",
    "policy",
    "rules",
    "plan",
    "verdicts",
    "explain",
    "manifest",
    "report",
    "registry",
    "probe",
    "cluster",
    "admission",
    "cli",
];

/// Do no I/O, and know neither the cluster nor a runtime.
const PURE: [&str; 10] =
    ["resolver", "pod", "image", "policy", "rules", "plan", "verdicts", "explain", "manifest", "report"];

/// What a pure floor must not name, and where it belongs.
const FOREIGN: [(&str, &str); 6] = [
    ("kube::", "what talks to the Kubernetes API belongs in src/cluster"),
    ("k8s_openapi", "what talks to the Kubernetes API belongs in src/cluster"),
    ("axum", "what speaks HTTP belongs in src/admission"),
    ("tokio", "what waits belongs in src/registry, src/probe, src/cluster or src/admission"),
    ("std::fs", "what reads files belongs in src/registry, src/probe or src/cli"),
    ("std::net::Tcp", "what opens sockets belongs in src/registry, src/probe or src/admission"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every line of a floor's code, comments left out, with its place.
fn lines(floor: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(floor);
    sources(&folder)
        .into_iter()
        .flat_map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
            let lines: Vec<_> = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .map(|(number, line)| (format!("{name}:{}", number + 1), line.to_owned()))
                .collect();
            lines
        })
        .collect()
}

#[test]
fn a_lower_floor_knows_nothing_of_a_higher_one() {
    for (height, floor) in FLOORS.iter().enumerate() {
        for (place, line) in lines(floor) {
            for higher in &FLOORS[height + 1..] {
                assert!(
                    !line.contains(&format!("crate::{higher}::")) && !line.contains(&format!("crate::{higher};")),
                    "{place}: `{floor}` names `{higher}`, which stands above it: move the code up to `{higher}`, or what it needs down",
                );
            }
        }
    }
}

#[test]
fn a_pure_floor_does_no_io() {
    for floor in PURE {
        for (place, line) in lines(floor) {
            for (foreign, belongs) in FOREIGN {
                assert!(!line.contains(foreign), "{place}: `{floor}` is pure and names `{foreign}`: {belongs}");
            }
        }
    }
}

#[test]
fn every_folder_of_the_source_is_a_floor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!path.is_dir() || FLOORS.contains(&name), "src/{name} is on no floor: name it in tests/floors.rs");
    }
}
