//! `muslin check --fix`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{ALPINE, DEBIAN, DENIED, Folder, SERVICE};

/// Mends a text, shows that a second run changes nothing and says the same, and returns what the file says.
fn fixed(text: &str) -> String {
    let folder = Folder::new().with("a.yaml", text);
    folder.run(&["check", "--fix", "--fail-on", "never", "a.yaml"]).ended(0);
    let once = folder.read("a.yaml");
    let again = folder.run(&["check", "--fix", "--fail-on", "never", "a.yaml"]).ended(0);
    assert_eq!(folder.read("a.yaml"), once);
    let checked = folder.run(&["check", "--fail-on", "never", "a.yaml"]).ended(0);
    assert_eq!((checked.stdout, checked.stderr), (again.stdout, again.stderr));
    once
}

#[test]
fn writes_options_only_and_loses_no_comment() {
    insta::assert_snapshot!(fixed(&format!("{SERVICE}---\n{ALPINE}# the end\n")), @r#"
    apiVersion: v1
    kind: Service
    metadata: {name: web}   # odd   spacing
    ---
    # The first line.
    apiVersion: v1
    kind: Pod
    metadata:
      name: web
    spec:
      containers:
        - {name: app, image: alpine:3.19} # the base
      dnsConfig:
        options:
          - name: single-request-reopen
          - name: timeout
            value: "5"
          - name: attempts
            value: "5"
    # the end
    "#);
}

#[test]
fn repairs_a_zero_in_its_place() {
    assert_eq!(
        fixed(DENIED),
        DENIED.replace("\"0\"", "\"5\"").replace("value: \"5\"\n          - name: timeout\n            value: \"5\"\n", "value: \"5\"\n          - name: timeout\n            value: \"5\"\n          - name: single-request-reopen\n")
    );
}

#[test]
fn keeps_what_the_user_set() {
    let text = DENIED.replace("value: \"0\"", "value: \"3\" # ours");
    let fixed = fixed(&text);
    assert!(fixed.contains("value: \"3\" # ours"), "{fixed}");
}

#[test]
fn leaves_alone_what_has_nothing_to_mend() {
    for text in [DEBIAN, SERVICE, "a: 1\n", ""] {
        assert_eq!(fixed(text), text);
    }
}

#[test]
fn mends_json_and_keeps_its_layout() {
    let json = "{\n  \"apiVersion\": \"v1\", \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"alpine:3.19\"}]}\n}\n";
    let fixed = fixed(json);
    assert!(fixed.starts_with(json.split("]}\n}").next().unwrap()), "{fixed}");
    assert!(fixed.contains("\"dnsConfig\""), "{fixed}");
}

#[test]
fn a_silenced_finding_is_not_mended() {
    let text = ALPINE.replace("name: web", "name: web\n  annotations: {muslin.dev/ignore: musl-slow-retry}");
    assert_eq!(fixed(&text), text);
}

#[test]
fn a_document_whose_layout_cannot_be_kept_is_left_and_that_is_said() {
    let shared = "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: a}\n    spec: &spec\n      containers: [{name: app, image: alpine:3.19}] # kept\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: b, annotations: {muslin.dev/inject: \"false\"}}\n    spec: *spec\n";
    let folder = Folder::new().with("a.yaml", shared);
    let run = folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert_eq!(folder.read("a.yaml"), shared);
    assert!(
        run.stderr
            .contains("note: a.yaml:1: the document is left as it is: it cannot be changed without losing its layout"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("musl-slow-retry"), "{}", run.stdout);
}

#[test]
fn reports_what_is_left_where_it_then_stands() {
    let text = DENIED.replace(
        "          - name: attempts\n",
        "          - name: ndots\n            value: \"1\"\n          - name: attempts\n",
    );
    let folder = Folder::new().with("a.yaml", text);
    let run = folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert!(
        run.stdout.starts_with("warn[ndots-breaks-musl]") && run.stdout.contains("--> a.yaml:15:20"),
        "{}",
        run.stdout
    );
    assert!(run.stderr.ends_with("findings: 0 deny, 1 warn, 0 info\nmended 1 other\n"), "{}", run.stderr);
}

#[test]
fn keeps_permissions_and_links_and_leaves_nothing_behind() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new().with("real.yaml", ALPINE);
    fs::set_permissions(folder.path("real.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", folder.path("link.yaml")).unwrap();
    folder.run(&["check", "--fix", "link.yaml"]).ended(0);
    assert!(fs::symlink_metadata(folder.path("link.yaml")).unwrap().is_symlink());
    assert!(folder.read("real.yaml").contains("dnsConfig"));
    assert_eq!(fs::metadata(folder.path("real.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    // With the configuration.
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3);
}

#[test]
fn a_file_that_may_not_be_written_is_said_and_the_others_are_mended() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", ALPINE);
    fs::set_permissions(folder.path("a.yaml"), fs::Permissions::from_mode(0o444)).unwrap();
    let run = folder.run(&["check", "--fix", "."]).ended(2);
    assert!(run.stderr.contains("error: cannot write a.yaml: the file is read-only"), "{}", run.stderr);
    assert_eq!(folder.read("a.yaml"), ALPINE);
    assert!(folder.read("b.yaml").contains("dnsConfig"));
}

#[test]
fn a_bad_document_is_left_as_it_is_beside_one_that_is_mended() {
    let folder = Folder::new().with("a.yaml", format!("a: [1,\n---\n{ALPINE}"));
    folder.run(&["check", "--fix", "a.yaml"]).ended(2);
    assert!(folder.read("a.yaml").starts_with("a: [1,\n---\n") && folder.read("a.yaml").contains("dnsConfig"));
}

#[test]
fn the_node_s_cache_is_left_to_the_webhook() {
    let folder = Folder::new().with("a.yaml", ALPINE);
    folder.run(&["check", "--fix", "a.yaml", "--profile", "node-local"]).ended(0);
    let text = folder.read("a.yaml");
    assert!(text.contains("timeout") && !text.contains("nameservers") && !text.contains("dnsPolicy"), "{text}");
}
