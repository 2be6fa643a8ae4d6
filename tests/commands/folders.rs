//! Files in folders that are no manifests, and the effect of `--strict`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::{ALPINE, Folder, Run};

/// A folder with files that are no manifests, and one that is.
fn mixed() -> Folder {
    Folder::new()
        .with("a.yaml", ALPINE)
        .with("library/templates/_x.yaml", "{{- define \"x\" }}\napiVersion: v1\nkind: Pod\n{{- end }}\n")
        .with("ansible/pod.yaml", "{% if x %}\napiVersion: v1\nkind: Pod\n{% endif %}\n")
        .with("pkg/testdata/bad.yaml", "apiVersion: v1\nkind: Pod\nspec: [\n")
        .with("pkg/fixtures/pod.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"spec\": {\"containers\": 7}}")
        .with("tsconfig.json", "{\n  \"a\": [1,\n}\n")
        .with("latin1.yaml", b"a: \xe9\n")
}

fn unread(run: &Run) -> Vec<(String, String)> {
    let json = run.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut unread: Vec<(String, String)> = json["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| (text(&unread["file"]), text(&unread["level"])))
        .collect();
    unread.sort();
    unread
}

#[test]
fn what_is_no_manifest_is_a_note_in_a_folder() {
    let files = [
        "ansible/pod.yaml",
        "latin1.yaml",
        "library/templates/_x.yaml",
        "pkg/fixtures/pod.json",
        "pkg/testdata/bad.yaml",
        "tsconfig.json",
    ];
    let expected = |level: &str| files.map(|file| (file.to_owned(), level.to_owned()));
    let folder = mixed();
    let run = folder.run(&["check", ".", "-o", "json"]).ended(0);
    assert_eq!(unread(&run), expected("note"));
    assert_eq!(run.rules(), ["musl-slow-retry"]);
    insta::assert_snapshot!(run.stderr, @"
    note: skipped 2 files, not YAML but templates; check what they are rendered to: ansible/pod.yaml, library/templates/_x.yaml (`-v` says why, `--strict` makes this an error)
    note: skipped 2 files, broken test data: pkg/fixtures/pod.json, pkg/testdata/bad.yaml (`-v` says why, `--strict` makes this an error)
    note: skipped 2 files, not YAML, and without apiVersion and kind: latin1.yaml, tsconfig.json (`-v` says why, `--strict` makes this an error)
    6 files, 2 objects, 2 pods; findings: 0 deny, 1 warn, 0 info
    `--fix` can fix 1 of them, `--diff` shows how
    ");
    let verbose = folder.run(&["check", ".", "-v"]).ended(0);
    for file in files {
        assert!(verbose.stderr.contains(&format!("note: {file}:")), "{file}: {}", verbose.stderr);
    }
    let strict = folder.run(&["check", ".", "--strict", "-o", "json"]).ended(2);
    assert_eq!(unread(&strict), expected("error"));
    // A named file is meant to be a manifest, wherever it is.
    for file in files {
        assert_eq!(
            unread(&folder.run(&["check", file, "-o", "json"]).ended(2)),
            [(file.to_owned(), "error".to_owned())]
        );
    }
}

#[test]
fn a_broken_manifest_is_an_error_in_a_folder() {
    for text in [
        "apiVersion: v1\nkind: Pod\nspec: [\n",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":",
        "apiVersion: v1\nkind: Pod\nspec: {containers: 7}\n",
        // A workflow's own templates are in quotes.
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{args: [\"{{x}}\"]}, {]\n",
    ] {
        let run = Folder::new().with("a.yaml", text).run(&["check", ".", "-o", "json"]).ended(2);
        assert_eq!(unread(&run), [("a.yaml".to_owned(), "error".to_owned())], "{text}");
    }
}

#[test]
fn strict_makes_templates_of_charts_errors() {
    let folder = Folder::new()
        .with("web/Chart.yaml", "apiVersion: v2\nname: web\n")
        .with("web/templates/a.yaml", "kind: {{ .Values.kind }}\n")
        .with("b.yaml", ALPINE);
    let run = folder.run(&["check", "."]).ended(0);
    assert!(
        run.stderr.contains("note: skipped 1 Helm template in web; check its output: helm template web"),
        "{}",
        run.stderr
    );
    let run = folder.run(&["check", ".", "--strict"]).ended(2);
    assert!(
        run.stderr.starts_with(
            "error: web/templates/a.yaml: a Helm template\nhint: check its output: helm template web | muslin check -\n"
        ),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_no_regular_file_is_passed_over() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b/c.yaml", ALPINE);
    assert!(Command::new("mkfifo").arg(folder.path("pipe.yaml")).status().unwrap().success());
    let _socket = UnixListener::bind(folder.path("socket.yaml")).unwrap();
    symlink("/dev/zero", folder.path("device.yaml")).unwrap();
    symlink("b", folder.path("folder.yaml")).unwrap();
    symlink("pipe.yaml", folder.path("link-to-pipe.yaml")).unwrap();
    fs::create_dir(folder.path("named.yaml")).unwrap();
    let run = folder.run(&["check", ".", "-o", "json"]).ended(0);
    assert_eq!((run.rules().len(), unread(&run).len()), (2, 0), "{}", run.stderr);
    // A link that leads nowhere, or to itself.
    symlink("none.yaml", folder.path("nowhere.yaml")).unwrap();
    symlink("itself.yaml", folder.path("itself.yaml")).unwrap();
    let run = folder.run(&["check", ".", "-o", "json"]).ended(0);
    assert_eq!(unread(&run).len(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("note: skipped 2 files, links to files that do not exist: "), "{}", run.stderr);
    folder.run(&["check", ".", "--strict"]).ended(2);
}

#[test]
fn a_text_in_utf_16_is_named_as_such() {
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(ALPINE.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let run = Folder::new().with("a.yaml", utf16).run(&["check", "."]).ended(2);
    assert!(run.stderr.starts_with("error: a.yaml:1:1: the text is UTF-16; save it as UTF-8\n"), "{}", run.stderr);
}
