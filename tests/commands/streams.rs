//! Manifests that other programs write to a stream, and the files from which they were rendered.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::{ALPINE, DEBIAN, DENIED, Folder, SERVICE};

/// The output of `helm template charts/frontend`, whose chart has the name web.
fn helm() -> String {
    format!(
        "---\n# Source: web/templates/service.yaml\n{SERVICE}---\n# Source: web/charts/redis/templates/pod.yaml\n{ALPINE}---\n# Source: web/templates/web.yaml\n{DENIED}"
    )
}

/// The output of `kustomize build overlays/production`, with `buildMetadata: [originAnnotations]`.
fn kustomize() -> String {
    let annotated = |origin: &str| {
        ALPINE.replace(
            "  name: web\n",
            &format!("  name: web\n  annotations:\n    config.kubernetes.io/origin: |\n{origin}"),
        )
    };
    format!(
        "{}---\n{}---\n{}",
        annotated("      path: ../../base/web.yaml\n"),
        annotated("      path: base/pod.yaml\n      repo: https://example.com/repo\n      ref: v1\n"),
        annotated("      path: patch.yaml\n"),
    )
}

fn files(folder: &Folder, stdin: &str, arguments: &[&str]) -> Vec<String> {
    let run =
        folder.run_with(stdin, &[&["check", "-", "-o", "json", "--fail-on", "never"], arguments].concat()).ended(0);
    let findings = run.json()["findings"].as_array().unwrap().clone();
    findings.iter().map(|finding| finding["file"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn standard_input_has_the_name_that_it_is_given() {
    let folder = Folder::new();
    assert_eq!(files(&folder, ALPINE, &[]), ["-"]);
    assert_eq!(files(&folder, ALPINE, &["--stdin-filename", "./deploy/web.yaml"]), ["deploy/web.yaml"]);
    // A file that was rendered once is a file like others.
    assert_eq!(files(&folder, &helm(), &["--stdin-filename", "all.yaml"]), ["all.yaml", "all.yaml"]);
    let broken = folder.run_with("a: [", &["check", "-", "--stdin-filename", "x.yaml"]).ended(2);
    assert!(broken.stderr.starts_with("error: x.yaml:1:"), "{}", broken.stderr);
    let inject = folder.run_with(ALPINE, &["inject", "-", "--stdin-filename", "x.yaml", "--diff"]).ended(0);
    assert!(inject.stderr.contains("--> x.yaml:8:26"), "{}", inject.stderr);
    assert!(inject.stdout.starts_with("--- a/x.yaml\n+++ b/x.yaml\n@@"), "{}", inject.stdout);
    folder.with("a.yaml", ALPINE).run(&["inject", "a.yaml", "--stdin-filename", "x.yaml"]).ended(2);
}

#[test]
fn a_finding_in_the_output_of_helm_has_its_template() {
    let folder = Folder::new().with("charts/frontend/Chart.yaml", "name: web\n");
    assert_eq!(files(&folder, &helm(), &[]), ["web/charts/redis/templates/pod.yaml", "web/templates/web.yaml"]);
    assert_eq!(
        files(&folder, &helm(), &["--stdin-filename", "charts/frontend"]),
        ["charts/frontend/charts/redis/templates/pod.yaml", "charts/frontend/templates/web.yaml"]
    );
    let run = |format: &str| {
        let arguments = ["check", "-", "--stdin-filename", "charts/frontend", "-o", format, "--fail-on", "never"];
        folder.run_with(&helm(), &arguments).ended(0)
    };
    insta::assert_snapshot!(run("concise").stdout, @"
    charts/frontend/charts/redis/templates/pod.yaml, rendered at -:15:26: warn[musl-slow-retry] Pod default/web, container app: musl 1.2.4 resends a lost query only after 2.5 s
    charts/frontend/templates/web.yaml, rendered at -:32:20: deny[attempts-zero] Deployment shop/web, container app: attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver
    ");
    assert!(run("human").stdout.contains("--> charts/frontend/templates/web.yaml, rendered at -:32:20"));
    let github = run("github").stdout;
    assert!(github.starts_with("::warning file=charts/frontend/charts/redis/templates/pod.yaml,title="), "{github}");
    let json = run("json").json();
    assert_eq!((&json["findings"][1]["renderedIn"], &json["findings"][1]["line"]), (&json!("-"), &json!(32)));
    let location = run("sarif").json()["runs"][0]["results"][1]["locations"][0]["physicalLocation"].clone();
    assert_eq!(
        location,
        json!({ "artifactLocation": { "uri": "charts/frontend/templates/web.yaml" }, "region": { "startLine": 1 } })
    );
    assert_eq!(
        run("gitlab").json()[1]["location"],
        json!({ "path": "charts/frontend/templates/web.yaml", "lines": { "begin": 1 } })
    );
    // In a file, line and column are true.
    let file = Folder::new().with("all.yaml", helm()).run(&["check", ".", "-o", "concise"]).ended(1).stdout;
    assert!(file.starts_with("all.yaml:15:26: "), "{file}");
}

#[test]
fn a_finding_in_the_output_of_kustomize_has_its_file() {
    let folder = Folder::new().with("overlays/production/kustomization.yaml", "resources: []\n");
    assert_eq!(files(&folder, &kustomize(), &[]), ["../../base/web.yaml", "-", "patch.yaml"]);
    assert_eq!(
        files(&folder, &kustomize(), &["--stdin-filename", "overlays/production"]),
        ["base/web.yaml", "-", "overlays/production/patch.yaml"]
    );
}

#[test]
fn a_named_pipe_is_read_as_a_stream() {
    let folder = Folder::new().with("stream", helm());
    let script = format!("exec {} check <(cat stream) -o json --fail-on never", env!("CARGO_BIN_EXE_muslin"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.0.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &json["findings"][0];
    assert_eq!(finding["file"], "web/charts/redis/templates/pod.yaml");
    assert!(finding["renderedIn"].as_str().unwrap().starts_with("/dev/fd/"), "{finding}");
    assert_eq!(json["findings"].as_array().unwrap().len(), 2);
}

#[test]
fn a_diff_of_standard_input_can_be_shown() {
    let folder = Folder::new();
    let run = folder.run_with(ALPINE, &["check", "-", "--diff", "--stdin-filename", "web.yaml"]).ended(0);
    assert!(run.stdout.starts_with("--- a/web.yaml\n"), "{}", run.stdout);
    assert_eq!(folder.run_with(DEBIAN, &["check", "-", "--diff", "--profile", "default"]).ended(0).stdout, "");
}
