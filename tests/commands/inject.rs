//! `muslin inject`: manifests in, fixed manifests out.

use crate::{ALPINE, COPIED, DEBIAN, DENIED, Folder, SERVICE, inject, run_in};

#[test]
fn fixes_a_pod_and_keeps_comments_and_order() {
    let run = inject(ALPINE, &[]).ended(0);
    insta::assert_snapshot!(run.stdout, @r#"
    # The first line.
    apiVersion: v1
    kind: Pod
    metadata:
      name: web
      labels:
        muslin.dev/libc: musl
      annotations:
        muslin.dev/injected: "timeout:3 attempts:6"
        muslin.dev/warnings: "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (fixed)\nprofile fast accepts retry-storm: app: musl 1.2.4 sends an unanswered query 6 times, each 0.5 s"
        muslin.dev/resolvers: "app=musl-1.2.4 (assumed)"
    spec:
      containers:
        - {name: app, image: alpine:3.19} # the base
      dnsConfig:
        options:
          - name: timeout
            value: "3"
          - name: attempts
            value: "6"
    "#);
}

#[test]
fn writes_findings_to_standard_error() {
    let run = inject(ALPINE, &[]).ended(0);
    insta::assert_snapshot!(run.stderr, @"
    warn[musl-slow-retry]: musl 1.2.4 resends a lost query only after 2.5 s (fixed)
     --> -:8:26
      |
    8 |     - {name: app, image: alpine:3.19} # the base
      |                          ^^^^^^^^^^^ Pod default/web, container app
      |
      = why: alpine:3.19 is musl 1.2.4 (assumed): official `alpine` images are Alpine 3.19, which has musl 1.2.4; curl of Alpine asks by c-ares since Alpine 3.19
      = help: use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3

    note: Pod default/web: profile fast accepts retry-storm: app: musl 1.2.4 sends an unanswered query 6 times, each 0.5 s
    1 pod, 1 changed; findings: 0 deny, 1 warn, 0 info
    ");
}

#[test]
fn quiet_prints_no_findings() {
    assert_eq!(inject(ALPINE, &["--quiet"]).ended(0).stderr, "");
}

#[test]
fn a_second_inject_of_the_output_changes_nothing() {
    for text in [ALPINE, DENIED, DEBIAN, &format!("{ALPINE}---\n{SERVICE}---\n{DENIED}")] {
        let once = inject(text, &["--fail-on", "never"]).ended(0).stdout;
        assert_eq!(inject(&once, &["--fail-on", "never"]).ended(0).stdout, once);
    }
}

#[test]
fn keeps_documents_without_a_pod_byte_for_byte() {
    let stream = format!("# head\n---\n{SERVICE}\n--- # second\n- not\n- an object\n...\n---\n# nothing\n");
    assert_eq!(inject(&stream, &[]).ended(0).stdout, stream);
    let mixed = inject(&format!("{SERVICE}---\n{ALPINE}---\n{SERVICE}"), &[]).ended(0).stdout;
    assert!(
        mixed.starts_with(&format!("{SERVICE}---\n# The first line.\n")) && mixed.ends_with(&format!("---\n{SERVICE}"))
    );
}

#[test]
fn empty_input_gives_empty_output() {
    assert_eq!(inject("", &[]).ended(0).stdout, "");
}

#[test]
fn fixes_every_kind_of_workload() {
    let pod = "metadata: {name: x}\nspec:\n  containers: [{name: app, image: alpine:3.19}]";
    let indented = |by: usize| pod.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<String>();
    let holder = |version: &str, kind: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n  template:\n{}", indented(4))
    };
    for manifest in [
        format!("apiVersion: v1\nkind: Pod\n{pod}\n"),
        format!("apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: x}}\ntemplate:\n{}", indented(2)),
        holder("v1", "ReplicationController"),
        holder("apps/v1", "Deployment"),
        holder("apps/v1", "StatefulSet"),
        holder("apps/v1", "DaemonSet"),
        holder("apps/v1", "ReplicaSet"),
        holder("batch/v1", "Job"),
        format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: x}}\nspec:\n  jobTemplate:\n    spec:\n      template:\n{}",
            indented(8)
        ),
        format!(
            "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: x}}\n    spec:\n      template:\n{}",
            indented(8)
        ),
    ] {
        let run = inject(&manifest, &[]).ended(0);
        assert!(run.stdout.contains("- name: attempts\n"), "{}", run.stdout);
        assert!(run.stderr.contains("1 pod, 1 changed"), "{}", run.stderr);
    }
}

#[test]
fn fixes_each_pod_of_a_list() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec: {containers: [{name: app, image: alpine:3.19}]}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: b}\n  spec: {containers: [{name: app, image: debian:12}]}\n";
    let run = inject(list, &[]).ended(0);
    insta::assert_snapshot!(run.stdout, @r#"
    apiVersion: v1
    kind: List
    items:
    - apiVersion: v1
      kind: Pod
      metadata: {name: a, labels: {muslin.dev/libc: musl}, annotations: {muslin.dev/injected: "timeout:3 attempts:6", muslin.dev/warnings: "musl-slow-retry: app: musl 1.2.4 resends a lost query only after 2.5 s (fixed)\nprofile fast accepts retry-storm: app: musl 1.2.4 sends an unanswered query 6 times, each 0.5 s", muslin.dev/resolvers: "app=musl-1.2.4 (assumed)"}}
      spec: {containers: [{name: app, image: alpine:3.19}], dnsConfig: {options: [{name: timeout, value: "3"}, {name: attempts, value: "6"}]}}
    - apiVersion: v1
      kind: Service
      metadata: {name: s}
    - apiVersion: v1
      kind: Pod
      metadata: {name: b, labels: {muslin.dev/libc: glibc}, annotations: {muslin.dev/injected: "timeout:3 attempts:6", muslin.dev/resolvers: "app=glibc (assumed)"}}
      spec: {containers: [{name: app, image: debian:12}], dnsConfig: {options: [{name: timeout, value: "3"}, {name: attempts, value: "6"}]}}
    "#);
}

#[test]
fn json_input_gives_json_output() {
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"x\"},\n \"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"alpine:3.19\"}]}}\n";
    let run = inject(json, &[]).ended(0);
    assert_eq!(run.json()["spec"]["dnsConfig"]["options"][0], serde_json::json!({ "name": "timeout", "value": "3" }));
    assert!(run.stdout.starts_with("{\"apiVersion\": \"v1\", \"kind\": \"Pod\", "), "{}", run.stdout);
}

#[test]
fn changes_one_of_two_pods_that_share_a_value() {
    let text = "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: a}\n    spec: &spec # shared\n      containers: [{name: app, image: alpine:3.19}]\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: b, annotations: {muslin.dev/inject: \"false\"}}\n    spec: *spec\n";
    let run = inject(text, &["--quiet"]).ended(0);
    let expected = "    spec: # shared\n      <<: &spec\n        containers: [{name: app, image: alpine:3.19}]\n      dnsConfig:\n";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    assert_eq!(run.stdout.matches("- name: attempts").count(), 1, "{}", run.stdout);
}

#[test]
fn leaves_a_document_that_cannot_be_changed_and_says_so() {
    let run = inject(COPIED, &[]).ended(0);
    assert_eq!(run.stdout, COPIED);
    assert!(
        run.stderr.contains("note: -:1: did not change this document: other places share the value"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("2 pods, 0 changed") && !run.stderr.contains("(fixed)"), "{}", run.stderr);
}

#[test]
fn a_scalar_that_does_not_change_stays_as_it_stood() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: &l {app: a}\nspec:\n  containers: [{name: app, image: alpine:3.19}]\n  nodeSelector: *l\n  volumes:\n  - name: v\n    secret: {secretName: s, defaultMode: 0400} # owner\n  priority: 0_7\n  activeDeadlineSeconds: 0x_1F\n  hostname: 1e400\n  subdomain: tRue\n  nodeName: \"\\tx\"\n";
    let run = inject(text, &["--quiet"]).ended(0);
    for line in text.lines().filter(|line| !line.contains("&l")) {
        assert!(run.stdout.lines().any(|other| other == line), "no {line}\n{}", run.stdout);
    }
}

#[test]
fn says_what_kubectl_does_not_read() {
    let run = inject("a: 1\nb: {c: 1, c: 2}\n...\nd: 1\n", &[]).ended(0);
    let notes: Vec<&str> = run.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert_eq!(
        notes,
        [
            "note: -:2:11: warning: the key `c` is repeated, and kubectl takes the last one",
            "note: -:4:1: warning: kubectl does not read what follows `...`; begin a document with `---`",
        ]
    );
}

#[test]
fn fails_on_findings_at_or_above_the_given_level() {
    for (text, level, code) in [
        (DENIED, "deny", 1),
        (DENIED, "never", 0),
        (ALPINE, "deny", 0),
        (ALPINE, "warn", 1),
        (ALPINE, "info", 1),
        (DEBIAN, "warn", 0),
        (DEBIAN, "info", 1),
        (SERVICE, "info", 0),
    ] {
        let run = inject(text, &["--fail-on", level]).ended(code);
        // The fixed manifests are written all the same.
        assert!(run.stdout.contains("kind: "), "{text}");
    }
}

#[test]
fn bad_input_gives_no_output_and_an_error_with_its_place() {
    let run = inject(&format!("{ALPINE}---\na: [1,\nb: 2\n"), &[]).ended(2);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.starts_with("error: -:10:4: "), "{}", run.stderr);
    let number = DENIED.replace("\"5\"", "5");
    let run = inject(&number, &[]).ended(2);
    assert_eq!(
        run.stderr,
        "error: -:17:20: Deployment shop/web: spec.dnsConfig.options.1.value: invalid type: integer `5`, expected a string\n"
    );
}

#[test]
fn reads_a_named_file_and_reports_a_missing_one() {
    let folder = Folder::new().with("pod.yaml", DENIED);
    assert!(folder.run(&["inject", "pod.yaml"]).ended(1).stderr.contains("--> pod.yaml:15:20"));
    assert_eq!(folder.read("pod.yaml"), DENIED);
    let missing = folder.run(&["inject", "none.yaml"]).ended(2);
    assert!(missing.stderr.starts_with("error: cannot read none.yaml: "), "{}", missing.stderr);
}

#[test]
fn a_mode_below_inject_sets_no_option() {
    let run = inject(ALPINE, &["--mode", "warn"]).ended(0);
    assert!(run.stdout.contains("muslin.dev/libc: musl") && !run.stdout.contains("dnsConfig"), "{}", run.stdout);
    assert_eq!(inject(ALPINE, &["--mode", "audit"]).ended(0).stdout, ALPINE);
    assert_eq!(inject(ALPINE, &["--mode", "off"]).ended(0).stdout, ALPINE);
}

#[test]
fn colour_is_used_on_terminals_and_on_request() {
    let folder = Folder::new();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        run_in(folder.0.path(), ALPINE, &[&["inject", "-"], arguments].concat(), environment).ended(0)
    };
    assert!(!run(&[], &[("TERM", "xterm-256color")]).stderr.contains('\u{1b}'));
    let coloured = run(&["--color", "always"], &[]);
    assert!(coloured.stderr.contains('\u{1b}') && !coloured.stdout.contains('\u{1b}'));
    assert!(!run(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]).stderr.contains('\u{1b}'));
}
