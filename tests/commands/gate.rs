//! `muslin check` as a gate in CI: the levels that are shown, groups, several outputs, and every exit code of the README's table.

use std::fs;

use serde_json::Value;

use crate::{ALPINE, DEBIAN, DENIED, Folder, SERVICE};

#[test]
fn shows_findings_from_warn_and_counts_the_others() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", DEBIAN);
    let run = folder.run(&["check", "."]).ended(0);
    assert!(run.stdout.contains("musl-slow-retry") && !run.stdout.contains("parallel-a-aaaa"), "{}", run.stdout);
    insta::assert_snapshot!(run.stderr, @"
    2 files, 2 objects, 2 pods; findings: 0 deny, 1 warn, 1 info
    1 finding not shown; `--level info` shows all
    `--fix` can fix 1 of them, `--diff` shows how
    ");
    for (arguments, shown, hidden) in [
        (&["--level", "info"][..], 2, 0),
        (&["--level", "warn"], 1, 1),
        (&["--level", "deny"], 0, 2),
        // A finding that fails the command is shown, unless the user says otherwise.
        (&["--fail-on", "info"], 2, 0),
        (&["--fail-on", "info", "--level", "deny"], 0, 2),
        (&["--fail-on", "never"], 1, 1),
        (&[], 1, 1),
    ] {
        for format in ["json", "sarif", "gitlab", "concise", "github"] {
            let run = folder.run(&[&["check", ".", "-o", format], arguments].concat());
            let count = match format {
                "json" => {
                    let json = run.json();
                    assert_eq!(json["summary"]["hidden"], hidden, "{arguments:?}");
                    json["findings"].as_array().unwrap().len()
                }
                "sarif" => run.json()["runs"][0]["results"].as_array().unwrap().len(),
                "gitlab" => run.json().as_array().unwrap().len(),
                _ => run.stdout.lines().count(),
            };
            assert_eq!(count, shown, "{format} {arguments:?}");
        }
    }
    let run = folder.run(&["check", "a.yaml", "--level", "deny"]).ended(0);
    assert!(run.stderr.contains("1 finding not shown; `--level warn` shows all"), "{}", run.stderr);
    let inject = folder.run(&["inject", "b.yaml"]).ended(0);
    assert!(!inject.stderr.contains("parallel-a-aaaa") && inject.stderr.contains("1 finding not shown"));
}

#[test]
fn findings_of_one_cause_are_one_group() {
    let mut folder = Folder::new().with("other.yaml", ALPINE.replace("alpine:3.19", "nginx:1.25.3-alpine3.18"));
    for index in 0..9 {
        folder = folder.with(&format!("{index}.yaml"), ALPINE.replace("name: web", &format!("name: web-{index}")));
    }
    let folder = folder.with("z.yaml", DENIED);
    let run = folder.run(&["check", "."]).ended(1);
    insta::assert_snapshot!(run.stdout, @r#"
    deny[attempts-zero]: attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver
      --> z.yaml:15:20
       |
    15 |             value: "0"
       |                    ^^^ Deployment shop/web, container app
       |
       = why: alpine:3.19 is musl 1.2.4 (assumed): official `alpine` images are Alpine 3.19, which has musl 1.2.4; curl of Alpine asks by c-ares since Alpine 3.19
       = help: remove the option, or set attempts to 2 or 3

    warn[musl-slow-retry]: musl 1.2.4 resends a lost query only after 2.5 s
     --> 0.yaml:8:26
      |
    8 |     - {name: app, image: alpine:3.19} # the base
      |                          ^^^^^^^^^^^ Pod default/web-0, container app
      |
      = why: alpine:3.19 is musl 1.2.4 (assumed): official `alpine` images are Alpine 3.19, which has musl 1.2.4; curl of Alpine asks by c-ares since Alpine 3.19
      = why: nginx:1.25.3-alpine3.18 is musl 1.2.4 (assumed): the tag says Alpine 3.18, which has musl 1.2.4
      = help: use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3
      = also: 1.yaml:8:26: Pod default/web-1, container app
      = also: 2.yaml:8:26: Pod default/web-2, container app
      = also: 3.yaml:8:26: Pod default/web-3, container app
      = also: 4.yaml:8:26: Pod default/web-4, container app
      = also: 5.yaml:8:26: Pod default/web-5, container app
      = also: 4 more places (`muslin check -o concise` lists all)
    "#);
    assert_eq!(folder.run(&["check", ".", "-o", "concise"]).ended(1).stdout.lines().count(), 11);
    // Programs get each finding.
    assert_eq!(folder.run(&["check", ".", "-o", "json"]).ended(1).json()["findings"].as_array().unwrap().len(), 11);
}

#[test]
fn inject_groups_findings_as_check_does() {
    let list: String =
        (0..3).map(|index| format!("---\n{}", ALPINE.replace("name: web", &format!("name: web-{index}")))).collect();
    let run = Folder::new().run_with(&list, &["inject", "-"]).ended(0);
    assert_eq!(run.stderr.matches("warn[musl-slow-retry]").count(), 1, "{}", run.stderr);
    assert_eq!(run.stderr.matches("= also: -:").count(), 2, "{}", run.stderr);
}

#[test]
fn several_formats_are_written_in_one_run() {
    let folder = Folder::new().with("a.yaml", ALPINE).with("b.yaml", DENIED);
    let alone = |format: &str| folder.run(&["check", "a.yaml", "b.yaml", "-o", format]).ended(1).stdout;
    let run = folder
        .run(&[
            "check",
            ".",
            "-o",
            "sarif=out.sarif",
            "-o",
            "json=out.json",
            "-o",
            "junit=out.xml",
            "-o",
            "human=out.txt",
        ])
        .ended(1);
    assert_eq!(run.stdout, alone("human"), "people read standard output");
    for (file, format) in [("out.sarif", "sarif"), ("out.json", "json"), ("out.xml", "junit"), ("out.txt", "human")] {
        assert_eq!(folder.read(file), alone(format), "{file}");
    }
    // A report of an earlier run is no manifest, and not half read while it is written anew.
    let again = folder.run(&["check", ".", "-o", "github", "-o", "json=out.json", "--strict"]).ended(1);
    assert_eq!(again.stdout, alone("github"));
    let json: Value = serde_json::from_str(&folder.read("out.json")).unwrap();
    assert_eq!(json["summary"]["files"], 2);
    assert_eq!(folder.run(&["check", "a.yaml", "-o", "json=-"]).ended(0).json()["summary"]["files"], 1);
}

#[test]
fn outputs_that_cannot_be_are_usage_errors() {
    let folder = Folder::new().with("a.yaml", ALPINE);
    for (arguments, expected) in [
        (&["-o", "json", "-o", "sarif"][..], "only one format can go to standard output"),
        (&["-o", "json=x", "-o", "sarif=x"], "two formats cannot go to one file"),
        (&["-o", "json="], "-o names no file after the equals sign"),
        (&["-o", "xml=x"], "invalid value 'xml'"),
        (&["--diff", "-o", "json"], "--diff writes to standard output"),
        (&["--stdin-filename", "x"], "add - to the paths"),
    ] {
        let run = folder.run(&[&["check", "a.yaml"], arguments].concat()).ended(2);
        assert!(run.stderr.contains(expected) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
        assert!(!folder.path("x").exists(), "{arguments:?}");
    }
}

#[test]
fn nothing_to_check_is_a_warning_or_an_error() {
    let folder = Folder::new().with("a.yaml", SERVICE).with("b.yaml", ALPINE);
    fs::create_dir(folder.path("empty")).unwrap();
    for (path, warning) in [
        ("a.yaml", "warning: nothing to check: no pod and no pod template in 1 file and 1 object\n"),
        ("empty", "warning: nothing to check: no pod and no pod template in 0 files and 0 objects\n"),
        ("-", "warning: nothing to check: no pod and no pod template in 1 file and 0 objects\n"),
    ] {
        assert!(folder.run(&["check", path]).ended(0).stderr.starts_with(warning));
        let run = folder.run(&["check", path, "--fail-on-empty"]).ended(2);
        assert!(
            run.stderr.ends_with("error: there is nothing to check, and --fail-on-empty is set\n"),
            "{}",
            run.stderr
        );
    }
    assert!(!folder.run(&["check", ".", "--fail-on-empty"]).ended(0).stderr.contains("warning"));
}

/// Each exit code of the table in README.md, for each way to it that `check` and `inject` have.
#[test]
fn exit_codes_are_those_of_the_readme() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for row in [
        "- 0: no findings at or above `--fail-on`",
        "- 1: findings (fixed ones count, except for `scan` and `check --fix`)",
        "- 2: bad input or usage; the check is incomplete",
        "- 3: a cluster, registry or network error, or a file that cannot be written",
    ] {
        assert!(readme.contains(&format!("\n{row}\n")), "README.md has no line {row}");
    }
    let broken = "apiVersion: v1\nkind: Pod\nspec: [\n";
    let folder = || Folder::new().with("warn.yaml", ALPINE).with("deny.yaml", DENIED).with("broken.yaml", broken);
    for (code, arguments) in [
        (0, &["check", "warn.yaml"][..]),
        (1, &["check", "warn.yaml", "--fail-on", "warn"]),
        (1, &["check", "deny.yaml"]),
        // A fixed finding does not count; one that a diff would fix does.
        (0, &["check", "deny.yaml", "--fix"]),
        (0, &["check", "warn.yaml", "--fix", "--fail-on", "warn"]),
        (1, &["check", "deny.yaml", "--diff"]),
        (1, &["check", "deny.yaml", "--fix", "--diff"]),
        (0, &["check", "deny.yaml", "--diff", "--fail-on", "never"]),
        (1, &["inject", "deny.yaml"]),
        (1, &["inject", "deny.yaml", "--diff"]),
        (0, &["inject", "deny.yaml", "--fail-on", "never"]),
        // An incomplete check proves nothing: 2 comes before 1.
        (2, &["check", "broken.yaml"]),
        (2, &["check", ".", "--fail-on", "never"]),
        (2, &["check", "none.yaml", "deny.yaml"]),
        (2, &["check", ".", "--fix"]),
        (2, &["inject", "broken.yaml"]),
        (2, &["check"]),
        (3, &["check", "deny.yaml", "-o", "json=none/out.json"]),
        (3, &["check", "deny.yaml", "-o", "json=/dev/full"]),
    ] {
        let run = folder().run(arguments);
        assert_eq!(run.code, code, "{arguments:?}\n{}{}", run.stdout, run.stderr);
    }
}
