//! Errors in one file are reported, and do not keep other files from being checked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{ALPINE, DENIED, Folder, rules};

#[test]
fn reports_a_bad_file_with_its_place_and_checks_the_others() {
    let folder = Folder::new()
        .with("a.yaml", ALPINE)
        .with("b.yaml", "apiVersion: v1\nkind: [1,\nc: 2\n")
        .with("c.yaml", b"kind: Pod\napiVersion: \xff\n")
        .with("d.yaml", DENIED);
    let run = folder.run(&["check", ".", "-o", "json"]).ended(2);
    assert_eq!(run.rules(), ["musl-slow-retry", "attempts-zero"]);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors[0].starts_with("error: b.yaml:2:7: ") || errors[0].starts_with("error: b.yaml:3:"), "{errors:?}");
    assert_eq!(errors[1], "error: c.yaml:2:13: the text is not UTF-8");
    assert_eq!(errors[2], "error: the check is incomplete: see 2 errors above");
    let unread = &run.json()["unread"];
    assert_eq!(
        (&unread[0]["level"], &unread[0]["file"], &unread[1]["line"]),
        (&"error".into(), &"b.yaml".into(), &2.into())
    );
}

#[test]
fn checks_the_other_documents_of_a_bad_file() {
    let folder = Folder::new().with("a.yaml", format!("{ALPINE}---\na: [1,\n---\n{DENIED}"));
    let run = folder.run(&["check", "a.yaml", "-o", "json"]).ended(2);
    assert_eq!(run.rules(), ["musl-slow-retry", "attempts-zero"]);
}

#[test]
fn reports_an_invalid_pod_with_the_place_of_the_error() {
    let folder = Folder::new().with("a.yaml", format!("{}---\n{ALPINE}", DENIED.replace("\"5\"", "5")));
    let run = folder.run(&["check", "a.yaml", "-o", "json"]).ended(2);
    assert_eq!(run.rules(), ["musl-slow-retry"]);
    let expected = "error: a.yaml:17:20: Deployment shop/web: spec.dnsConfig.options.1.value: invalid type: integer `5`, expected a string\n";
    assert!(run.stderr.starts_with(expected), "{}", run.stderr);
}

#[test]
fn reports_a_missing_file() {
    let folder = Folder::new().with("a.yaml", ALPINE);
    let run = folder.run(&["check", "none.yaml", "a.yaml", "-o", "json"]).ended(2);
    assert_eq!(run.rules(), ["musl-slow-retry"]);
    assert!(run.stderr.starts_with("error: cannot read none.yaml: "), "{}", run.stderr);
}

#[test]
fn reports_an_unreadable_file() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", ALPINE);
    fs::set_permissions(folder.path("b.yaml"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(folder.path("b.yaml")).is_ok() {
        return; // root may read everything
    }
    let run = folder.run(&["check", ".", "-o", "json"]).ended(2);
    assert_eq!(run.rules(), ["musl-slow-retry"]);
    assert!(run.stderr.starts_with("error: cannot read b.yaml: "), "{}", run.stderr);
}

#[test]
fn skips_helm_templates_and_shows_how_to_check_them() {
    let folder = Folder::new()
        .with("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
        .with("charts/web/values.yaml", "image: alpine:3.19\n")
        .with("charts/web/templates/deployment.yaml", "{{- if .Values.on }}\nkind: Deployment\n{{- end }}\n")
        .with("charts/web/templates/more/job.yaml", "kind: {{ .Values.kind }}\n")
        .with("charts/web/templates/plain.yaml", ALPINE);
    let run = folder.run(&["check", ".", "-o", "json"]).ended(0);
    assert_eq!(run.rules(), ["musl-slow-retry"]);
    let note =
        "note: skipped 2 Helm templates in charts/web; check their output: helm template charts/web | muslin check -\n";
    assert!(run.stderr.ends_with(note) || run.stderr.contains(note), "{}", run.stderr);
}

#[test]
fn reads_a_named_helm_template_and_its_error_has_a_hint() {
    let folder = Folder::new()
        .with("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
        .with("web/templates/a.yaml", "{{- if .Values.on }}\nkind: Deployment\n{{- end }}\n")
        .with("other.yaml", "kind: {{ .Values.kind }}\n");
    let run = folder.run(&["check", "web/templates/a.yaml"]).ended(2);
    assert!(run.stderr.contains("error: web/templates/a.yaml:1:"), "{}", run.stderr);
    assert!(
        run.stderr.contains(
            "\nhint: this looks like a template; check its output, such as `helm template web | muslin check -`\n"
        ),
        "{}",
        run.stderr
    );
    let run = folder.run(&["check", "other.yaml"]).ended(2);
    assert!(run.stderr.contains("`helm template CHART | muslin check -`"), "{}", run.stderr);
}

#[test]
fn rejects_wrong_usage() {
    let folder = Folder::new();
    for arguments in
        [&["check"][..], &["check", "-", "--fail-on", "error"], &["check", "-", "-o", "xml"], &["check", "-", "--fix"]]
    {
        let run = folder.run(arguments).ended(2);
        assert!(run.stderr.starts_with("error: ") && run.stdout.is_empty(), "{}", run.stderr);
    }
}

#[test]
fn accepts_unusual_but_valid_input() {
    for text in [
        "",
        "\n",
        "---\n",
        "\u{feff}a: 1\n",
        "- 1\n",
        "text\n",
        "a: !Custom {b: c}\n",
        "{}\n[]\n",
        "a: \"\\ud83d\\ude00\"\n",
    ] {
        assert_eq!(rules(&Folder::new().with("a.yaml", text), &["a.yaml"]), [""; 0], "{text:?}");
    }
}
