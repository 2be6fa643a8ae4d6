//! `muslin check --fix`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{ALPINE, COPIED, DEBIAN, DENIED, Folder, SERVICE};

/// Fixes a text, checks that a second run changes nothing and reports the same, and returns the fixed text.
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
fn writes_only_options_and_keeps_comments() {
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
          - name: timeout
            value: "3"
          - name: attempts
            value: "6"
    # the end
    "#);
}

#[test]
fn replaces_a_zero_in_place() {
    // The author's own timeout stays, so the profile adds none of its timing.
    assert_eq!(fixed(DENIED), DENIED.replace("\"0\"", "\"2\""));
}

#[test]
fn keeps_an_option_the_user_set() {
    let text = DENIED.replace("value: \"0\"", "value: \"3\" # ours");
    let fixed = fixed(&text);
    assert!(fixed.contains("value: \"3\" # ours"), "{fixed}");
}

#[test]
fn does_not_change_a_file_without_fixable_findings() {
    for text in [DEBIAN, SERVICE, "a: 1\n", ""] {
        assert_eq!(fixed(text), text);
    }
}

#[test]
fn fixes_json_and_keeps_its_layout() {
    let json = "{\n  \"apiVersion\": \"v1\", \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"alpine:3.19\"}]}\n}\n";
    let fixed = fixed(json);
    assert!(fixed.starts_with(json.split("]}\n}").next().unwrap()), "{fixed}");
    assert!(fixed.contains("\"dnsConfig\""), "{fixed}");
}

#[test]
fn does_not_fix_an_ignored_finding() {
    let text = ALPINE.replace("name: web", "name: web\n  annotations: {muslin.dev/ignore: musl-slow-retry}");
    assert_eq!(fixed(&text), text);
}

#[test]
fn does_not_change_what_others_share_and_does_not_offer_it() {
    let folder = Folder::new().with("a.yaml", COPIED);
    let run = folder.run(&["check", "a.yaml"]).ended(0);
    assert!(run.stdout.contains("musl-slow-retry") && !run.stderr.contains("`--fix`"), "{}", run.stderr);
    let run = folder.run(&["check", "--fix", "a.yaml"]).ended(0);
    assert_eq!(folder.read("a.yaml"), COPIED);
    assert!(
        run.stderr.contains("note: a.yaml:1: did not change this document: other places share the value"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("musl-slow-retry"), "{}", run.stdout);
}

#[test]
fn edits_a_list_in_the_column_of_its_key() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, image: alpine:3.17}\n  dnsConfig:\n    options:\n    # why\n    - {name: attempts, value: \"0\"} # zero\n";
    assert_eq!(fixed(text), text.replace("\"0\"", "\"2\""));
}

#[test]
fn reports_remaining_findings_at_their_new_lines() {
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
    assert!(run.stderr.ends_with("findings: 0 deny, 2 warn, 0 info\nfixed 1 other finding\n"), "{}", run.stderr);
}

#[test]
fn keeps_permissions_and_links_and_leaves_no_temporary_file() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new().with("real.yaml", ALPINE);
    fs::set_permissions(folder.path("real.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", folder.path("link.yaml")).unwrap();
    folder.run(&["check", "--fix", "link.yaml"]).ended(0);
    assert!(fs::symlink_metadata(folder.path("link.yaml")).unwrap().is_symlink());
    assert!(folder.read("real.yaml").contains("dnsConfig"));
    assert_eq!(fs::metadata(folder.path("real.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    // The file, the link and muslin.toml.
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3);
}

#[test]
fn reports_a_read_only_file_and_fixes_the_others() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", ALPINE);
    fs::set_permissions(folder.path("a.yaml"), fs::Permissions::from_mode(0o444)).unwrap();
    let run = folder.run(&["check", "--fix", "."]).ended(2);
    assert!(run.stderr.contains("error: cannot write a.yaml: the file is read-only"), "{}", run.stderr);
    assert_eq!(folder.read("a.yaml"), ALPINE);
    assert!(folder.read("b.yaml").contains("dnsConfig"));
}

#[test]
fn fixes_the_other_documents_of_a_file_with_a_bad_one() {
    let folder = Folder::new().with("a.yaml", format!("a: [1,\n---\n{ALPINE}"));
    folder.run(&["check", "--fix", "a.yaml"]).ended(2);
    assert!(folder.read("a.yaml").starts_with("a: [1,\n---\n") && folder.read("a.yaml").contains("dnsConfig"));
}

#[test]
fn only_the_webhook_sets_the_nameserver_of_node_local_dnscache() {
    let folder = Folder::new().with("a.yaml", DENIED);
    folder.run(&["check", "--fix", "a.yaml", "--profile", "node-local", "--fail-on", "never"]).ended(0);
    let text = folder.read("a.yaml");
    assert!(text.contains("value: \"2\""), "the zero is fixed: {text}");
    assert!(!text.contains("nameservers") && !text.contains("dnsPolicy"), "{text}");
}
