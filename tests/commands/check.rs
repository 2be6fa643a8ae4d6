//! `muslin check`: its input, its findings and its exit codes.

use crate::{ALPINE, DEBIAN, DENIED, Folder, SERVICE, rules, run_in};

#[test]
fn quotes_the_wrong_value_as_a_compiler_does() {
    let run = Folder::new().with("deploy/web.yaml", DENIED).run(&["check", "deploy"]).ended(1);
    insta::assert_snapshot!(run.stdout, @r#"
    deny[attempts-zero]: attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver
      --> deploy/web.yaml:15:20
       |
    15 |             value: "0"
       |                    ^^^ Deployment shop/web, container app
       |
       = why: alpine:3.19 is musl 1.2.4 (assumed): official `alpine` images are Alpine 3.19, which has musl 1.2.4; curl of Alpine asks by c-ares since Alpine 3.19
       = help: remove the option, or set attempts to 2 or 3
    "#);
    insta::assert_snapshot!(run.stderr, @"
    1 file, 1 object, 1 pod; findings: 1 deny, 0 warn, 0 info
    `--fix` can fix 1 of them, `--diff` shows how
    error: there are findings at or above --fail-on
    ");
}

#[test]
fn fails_on_findings_at_or_above_the_given_level() {
    for (text, level, code) in [
        (DENIED, "deny", 1),
        (DENIED, "never", 0),
        (ALPINE, "deny", 0),
        (ALPINE, "warn", 1),
        (DEBIAN, "warn", 0),
        (DEBIAN, "info", 1),
        (SERVICE, "info", 0),
    ] {
        Folder::new().run_with(text, &["check", "-", "--fail-on", level]).ended(code);
    }
}

#[test]
fn reads_files_folders_and_standard_input() {
    let folder = Folder::new()
        .with("a.yaml", ALPINE)
        .with("more/b.yml", ALPINE)
        .with("more/c.json", "{}")
        .with("more/d.txt", ALPINE);
    let run = folder
        .run_with(DEBIAN, &["check", "-o", "json", "--level", "info", "--fail-on", "never", "a.yaml", "-", "more"])
        .ended(0);
    let json = run.json();
    let files: Vec<_> =
        json["findings"].as_array().unwrap().iter().map(|finding| finding["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["a.yaml", "-", "more/b.yml"]);
    assert_eq!(json["summary"]["files"], 4);
}

#[test]
fn skips_hidden_and_git_ignored_files_in_a_folder() {
    let folder = Folder::new()
        .with(".gitignore", "build/\n*.local.yaml\n")
        .with("a.yaml", ALPINE)
        .with("build/b.yaml", ALPINE)
        .with("c.local.yaml", ALPINE)
        .with(".hidden/d.yaml", ALPINE);
    assert_eq!(rules(&folder, &["."]), ["musl-slow-retry"]);
    // Named files are read even if they are ignored.
    assert_eq!(rules(&folder, &["build/b.yaml", "c.local.yaml", ".hidden/d.yaml", "build"]).len(), 3);
}

#[test]
fn reads_each_file_once() {
    let folder = Folder::new().with("a/b.yaml", ALPINE);
    assert_eq!(rules(&folder, &["a/b.yaml", ".", "a", "./a/b.yaml"]).len(), 1);
}

#[test]
fn reports_files_in_order_with_their_names_as_given() {
    let mut folder = Folder::new();
    for index in 0..50 {
        folder = folder.with(&format!("{index:02}.yaml"), format!("{}{ALPINE}", "# long\n".repeat((50 - index) * 200)));
    }
    let json = folder.run(&["check", "-o", "json", "."]).ended(0).json();
    let files: Vec<String> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["file"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, (0..50).map(|index| format!("{index:02}.yaml")).collect::<Vec<_>>());
}

#[test]
fn finds_pods_in_every_document_and_in_lists() {
    let item = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>().replacen("  ", "- ", 1);
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item(DENIED), item(DEBIAN));
    let folder = Folder::new().with("a.yaml", format!("{SERVICE}---\n{ALPINE}---\n{list}"));
    assert_eq!(rules(&folder, &["a.yaml"]), ["musl-slow-retry", "attempts-zero", "parallel-a-aaaa"]);
    let run = folder.run(&["check", "a.yaml"]).ended(1);
    assert!(run.stderr.starts_with("1 file, 4 objects, 3 pods; "), "{}", run.stderr);
}

#[test]
fn verbose_reports_what_was_skipped() {
    let opted_out = ALPINE.replace("name: web", "name: web\n  annotations: {muslin.dev/inject: \"false\"}");
    let system = ALPINE.replace("name: web", "name: web\n  namespace: kube-system");
    let folder =
        Folder::new().with("a.yaml", format!("{SERVICE}---\n{SERVICE}---\n{opted_out}---\n{system}---\n{ALPINE}"));
    let run = folder.run(&["check", "-v", "a.yaml"]).ended(0);
    insta::assert_snapshot!(run.stderr, @"
    note: a.yaml: Pod default/web: profile fast accepts retry-storm: app: musl 1.2.4 sends an unanswered query 6 times, each 0.5 s
    note: skipped 2 objects of kind Service
    note: skipped 1 pod: it is in kube-system
    note: skipped 1 pod: the pod opted out
    1 file, 5 objects, 3 pods; findings: 0 deny, 1 warn, 0 info
    `--fix` can fix 1 of them, `--diff` shows how
    ");
}

#[test]
fn points_at_the_nearest_key_if_the_value_is_missing() {
    let node = ALPINE.replace("alpine:3.19", "debian:12").replace("spec:\n", "spec:\n  hostNetwork: true\n");
    let json = Folder::new()
        .with("a.yaml", node)
        .run(&["check", "-o", "json", "--level", "info", "a.yaml", "--fail-on", "never"])
        .ended(0)
        .json();
    let finding =
        json["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == "node-resolv-conf").unwrap();
    assert_eq!((finding["line"].as_u64(), finding["column"].as_u64()), (Some(6), Some(1)), "{finding}");
}

#[test]
fn points_into_the_anchor_of_an_alias() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  dnsConfig:\n    options: &options\n      - {name: attempts, value: '0'}\n  containers:\n    - name: app\n      image: &image alpine:3.19\n    - name: other\n      image: *image\n";
    let json = Folder::new().with("a.yaml", text).run(&["check", "-o", "json", "a.yaml"]).ended(1).json();
    let places: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["line"].as_u64().unwrap(), finding["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(7, 33), (7, 33)]);
}

#[test]
fn an_ignore_annotation_works_on_the_pod_the_template_and_their_object() {
    let annotations = "annotations: {muslin.dev/ignore: \"attempts-zero\"}";
    let pod = ALPINE
        .replace("name: web", "name: web\n  annotations: {muslin.dev/ignore: \"musl-slow-retry, option-ignored\"}");
    let template = DENIED.replace("  template:\n", &format!("  template:\n    metadata:\n      {annotations}\n"));
    let holder = DENIED.replace("  namespace: shop\n", &format!("  namespace: shop\n  {annotations}\n"));
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", holder.trim_end().replace('\n', "\n  "));
    for text in [&pod, &template, &holder, &list] {
        assert_eq!(rules(&Folder::new().with("a.yaml", text), &["a.yaml"]), [""; 0], "{text}");
    }
}

#[test]
fn an_unknown_rule_in_an_ignore_annotation_is_a_finding_at_the_annotation() {
    let holder = DENIED
        .replace("  namespace: shop\n", "  namespace: shop\n  annotations:\n    muslin.dev/ignore: atempts-zero\n");
    let run = Folder::new().with("a.yaml", holder).run(&["check", "a.yaml"]).ended(1);
    let finding = &run.stdout[run.stdout.find("warn[unknown-rule]").unwrap()..];
    insta::assert_snapshot!(finding, @"
    warn[unknown-rule]: muslin.dev/ignore names `atempts-zero`, which is not a rule
     --> a.yaml:7:24
      |
    7 |     muslin.dev/ignore: atempts-zero
      |                        ^^^^^^^^^^^^ Deployment shop/web
      |
      = help: did you mean `attempts-zero`?
    ");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut folder = Folder::new();
    for index in 0..300 {
        folder = folder.with(&format!("{index}.yaml"), ALPINE);
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["check", "."])
        .current_dir(folder.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn colour_is_used_on_terminals_and_on_request() {
    let folder = Folder::new().with("a.yaml", ALPINE);
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        run_in(folder.0.path(), "", &[&["check", "a.yaml"], arguments].concat(), environment).ended(0).stdout
    };
    assert!(!run(&[], &[("TERM", "xterm-256color")]).contains('\u{1b}'));
    assert!(!run(&[], &[("TERM", "xterm-256color"), ("CLICOLOR", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(run(&["--color", "always"], &[]).contains('\u{1b}'));
    assert!(!run(&["--color", "always", "-o", "json"], &[]).contains('\u{1b}'));
    assert!(!run(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'));
}

#[test]
fn a_manifest_cannot_control_the_terminal() {
    let evil = ALPINE.replace("name: web", "name: \"w\\e[2Jeb\"").replace("name: app", "name: \"a\\e[2Jpp\"");
    let folder = Folder::new().with("e\u{1b}[2Jvil.yaml", evil);
    let run = folder.run(&["check", "."]).ended(0);
    assert!(run.stdout.contains("musl-slow-retry") && !run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
}

#[test]
fn a_very_long_line_is_not_quoted_but_its_value_is() {
    let padding = "\"x\": 1, ".repeat(200);
    let json = format!(
        "{{{padding}\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"a\"}}, \"spec\": {{\"containers\": [{{\"name\": \"app\", \"image\": \"alpine:3.19\"}}]}}}}"
    );
    let run = Folder::new().with("a.json", json).run(&["check", "a.json"]).ended(0);
    insta::assert_snapshot!(run.stdout, @r#"
    warn[musl-slow-retry]: musl 1.2.4 resends a lost query only after 2.5 s
    --> a.json:1:1713
     = at: "alpine:3.19" of Pod default/a, container app
     = why: alpine:3.19 is musl 1.2.4 (assumed): official `alpine` images are Alpine 3.19, which has musl 1.2.4; curl of Alpine asks by c-ares since Alpine 3.19
     = help: use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3
    "#);
}
