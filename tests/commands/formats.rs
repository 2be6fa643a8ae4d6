//! The output formats for programs.

use serde_json::{Value, json};

use crate::{ALPINE, DENIED, Folder, SERVICE};

/// A manifest that is not YAML: the bracket of line 3 stays open.
const BROKEN: &str = "apiVersion: v1\nkind: Pod\nspec: [\n";

fn folder() -> Folder {
    Folder::new().with("a.yaml", ALPINE).with("dir b/c%.yaml", DENIED).with("service.yaml", SERVICE)
}

fn sarif(folder: &Folder) -> Value {
    folder.run(&["check", ".", "-o", "sarif", "--fail-on", "never"]).ended(0).json()
}

#[test]
fn json_has_the_documented_fields() {
    let run = folder().run(&["check", ".", "-o", "json"]).ended(1);
    assert_eq!(
        run.json(),
        json!({
            "schemaVersion": 1,
            "findings": [
                {
                    "rule": "musl-slow-retry",
                    "level": "warn",
                    "message": "musl 1.2.4 resends a lost query only after 2.5 s",
                    "help": "use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3",
                    "file": "a.yaml",
                    "line": 8,
                    "column": 26,
                    "renderedIn": null,
                    "object": { "kind": "Pod", "namespace": "default", "name": "web" },
                    "container": "app",
                    "path": "/spec/dnsConfig/options"
                },
                {
                    "rule": "attempts-zero",
                    "level": "deny",
                    "message": "attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver",
                    "help": "remove the option, or set attempts to 2 or 3",
                    "file": "dir b/c%.yaml",
                    "line": 15,
                    "column": 20,
                    "renderedIn": null,
                    "object": { "kind": "Deployment", "namespace": "shop", "name": "web" },
                    "container": "app",
                    "path": "/spec/template/spec/dnsConfig/options/0"
                }
            ],
            "unread": [],
            "unclearKinds": [],
            "changedFiles": [],
            "summary": { "files": 3, "objects": 3, "pods": 2, "containers": 2, "unknownContainers": 0, "deny": 1, "warn": 1, "info": 0, "hidden": 0 }
        })
    );
}

#[test]
fn json_without_findings_is_complete() {
    let json = Folder::new().with("a.yaml", SERVICE).run(&["check", ".", "-o", "json"]).ended(0).json();
    assert_eq!(
        json,
        json!({
            "schemaVersion": 1,
            "findings": [],
            "unread": [],
            "unclearKinds": [],
            "changedFiles": [],
            "summary": { "files": 1, "objects": 1, "pods": 0, "containers": 0, "unknownContainers": 0, "deny": 0, "warn": 0, "info": 0, "hidden": 0 }
        })
    );
}

#[test]
fn sarif_validates_against_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../data/sarif/sarif-2.1.0.json")).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let broken = Folder::new().with("a b.yaml", BROKEN).with("other.json", "{");
    let broken = broken.run(&["check", ".", "none.yaml", "-o", "sarif"]).ended(2).json();
    for log in [sarif(&folder()), sarif(&Folder::new().with("a.yaml", SERVICE)), broken] {
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, [""; 0]);
    }
    // The validator rejects an invalid log.
    assert!(!validator.is_valid(&json!({ "version": "2.1.0" })));
}

#[test]
fn sarif_links_each_rule_to_its_page() {
    let docs = "https://docs.example.com/muslin";
    let log = folder().run(&["check", ".", "-o", "sarif", "--fail-on", "never", "--docs-url", docs]).ended(0).json();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 10);
    assert_eq!(log["runs"][0]["tool"]["driver"]["informationUri"], docs);
    for rule in &rules {
        assert_eq!(rule["helpUri"], format!("{docs}/rules/{}.md", rule["id"].as_str().unwrap()));
        // The page exists where the address says.
        let page = format!("{}/docs/rules/{}.md", env!("CARGO_MANIFEST_DIR"), rule["id"].as_str().unwrap());
        assert!(std::fs::exists(&page).unwrap(), "{page}");
    }
    let run = folder().run(&["check", ".", "--docs-url", "docs.example.com"]).ended(2);
    assert!(run.stderr.contains("write https://HOST/PATH"), "{}", run.stderr);
}

#[test]
fn sarif_describes_every_rule_and_has_the_place_of_the_value() {
    let log = sarif(&folder());
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.len() >= 10);
    // As services other than GitHub's want them.
    assert_eq!(run["tool"]["driver"]["fullName"], concat!("muslin ", env!("CARGO_PKG_VERSION")));
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        assert!(
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric),
            "{name}"
        );
        assert_eq!(name.to_lowercase(), rule["id"].as_str().unwrap().replace('-', ""));
        assert!(rule["help"]["markdown"].as_str().unwrap().contains("## How to fix it"), "{rule}");
    }
    let result = &run["results"][1];
    assert_eq!(rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()]["id"], result["ruleId"]);
    assert_eq!(result["level"], "error");
    let location = &result["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "dir%20b/c%25.yaml");
    assert_eq!(
        location["region"],
        json!({ "startLine": 15, "startColumn": 20, "endLine": 15, "endColumn": 23, "snippet": { "text": "\"0\"" } })
    );
}

#[test]
fn sarif_fingerprints_survive_moved_lines_and_differ_between_findings() {
    let fingerprints = |text: &str| -> Vec<String> {
        let log = sarif(&Folder::new().with("a.yaml", text));
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        results
            .iter()
            .map(|result| result["partialFingerprints"]["muslinFinding/v1"].as_str().unwrap().to_owned())
            .collect()
    };
    let text = format!("{ALPINE}---\n{DENIED}");
    let moved = format!(
        "# one\n# two\n{}---\n{}",
        ALPINE.replace("spec:", "  labels: {a: b}\nspec:"),
        DENIED.replace("spec:\n  template", "spec:\n  replicas: 3\n  template")
    );
    assert_eq!(fingerprints(&text), fingerprints(&moved));
    let mut all =
        fingerprints(&format!("{text}---\n{}", DENIED.replace("name: web", "name: other").replace("ndots", "x")));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), count), (3, 3));
}

#[test]
fn github_commands_are_escaped_as_in_its_toolkit() {
    let run = folder().run(&["check", ".", "-o", "github"]).ended(1);
    insta::assert_snapshot!(run.stdout, @"
    ::warning file=a.yaml,line=8,endLine=8,col=26,endColumn=37,title=muslin%3A musl-slow-retry::Pod default/web, container app: musl 1.2.4 resends a lost query only after 2.5 s%0Ahelp: use a NodeLocal DNSCache, or, where nameservers are never near their capacity, attempts:3
    ::error file=dir b/c%25.yaml,line=15,endLine=15,col=20,endColumn=23,title=muslin%3A attempts-zero::Deployment shop/web, container app: attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver%0Ahelp: remove the option, or set attempts to 2 or 3
    ");
}

#[test]
fn only_findings_go_to_standard_output() {
    for format in ["human", "concise", "json", "sarif", "github", "gitlab", "junit"] {
        let run = Folder::new()
            .with("a.yaml", SERVICE)
            .with("b.yaml", BROKEN)
            .run(&["check", ".", "-v", "-o", format])
            .ended(2);
        assert!(!run.stdout.contains("error: ") && !run.stdout.contains("note: "), "{format}: {}", run.stdout);
        assert!(run.stderr.contains("error: b.yaml:"), "{format}: {}", run.stderr);
    }
}

#[test]
fn unread_files_are_notifications_of_sarif_and_entries_of_json() {
    let folder = Folder::new().with("a b.yaml", BROKEN).with("other.json", "{").with("web.yaml", ALPINE);
    let log = folder.run(&["check", ".", "none.yaml", "-o", "sarif"]).ended(2).json();
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notifications: Vec<(&str, &str)> = invocation["toolExecutionNotifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|notification| {
            let uri = &notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
            (notification["level"].as_str().unwrap(), uri.as_str().unwrap())
        })
        .collect();
    assert_eq!(notifications, [("error", "a%20b.yaml"), ("note", "other.json"), ("error", "none.yaml")]);
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 1);

    let json = folder.run(&["check", ".", "none.yaml", "-o", "json"]).ended(2).json();
    let unread: Vec<(&str, &str, bool)> = json["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| (unread["level"].as_str().unwrap(), unread["file"].as_str().unwrap(), unread["line"].is_u64()))
        .collect();
    assert_eq!(unread, [("error", "a b.yaml", true), ("note", "other.json", true), ("error", "none.yaml", false)]);
    let complete = sarif(&Folder::new().with("a.yaml", SERVICE));
    assert_eq!(complete["runs"][0]["invocations"][0]["executionSuccessful"], true);

    let github = folder.run(&["check", ".", "-o", "github"]).ended(2).stdout;
    assert!(github.starts_with("::error file=a b.yaml,line="), "{github}");
    assert!(github.contains(",title=muslin%3A not checked::") && !github.contains("other.json"), "{github}");
}

#[test]
fn concise_is_a_line_for_each_finding() {
    let run = folder().run(&["check", ".", "-o", "concise"]).ended(1);
    insta::assert_snapshot!(run.stdout, @"
    a.yaml:8:26: warn[musl-slow-retry] Pod default/web, container app: musl 1.2.4 resends a lost query only after 2.5 s
    dir b/c%.yaml:15:20: deny[attempts-zero] Deployment shop/web, container app: attempts:0 makes musl 1.2.4 crash (SIGFPE), or on arm64 flood the nameserver
    ");
}

/// The report of GitLab's Code Quality as its documentation has it ("Code Quality report format").
#[test]
fn gitlab_has_the_fields_that_gitlab_reads() {
    let item = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": { "type": "string", "minLength": 1 },
            "check_name": { "type": "string", "minLength": 1 },
            "fingerprint": { "type": "string", "minLength": 16 },
            "severity": { "enum": ["info", "minor", "major", "critical", "blocker"] },
            "location": {
                "type": "object",
                "additionalProperties": false,
                "required": ["path", "lines"],
                "properties": {
                    // Relative, and without `./`.
                    "path": { "type": "string", "pattern": "^[^./]" },
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": { "begin": { "type": "integer", "minimum": 1 } },
                        "additionalProperties": false
                    }
                }
            }
        }
    });
    let validator = jsonschema::draft7::new(&json!({ "type": "array", "items": item })).unwrap();
    let report = folder().run(&["check", ".", "-o", "gitlab"]).ended(1).json();
    assert_eq!(validator.iter_errors(&report).map(|error| error.to_string()).collect::<Vec<_>>(), [""; 0]);
    assert_eq!((&report[0]["severity"], &report[1]["severity"]), (&json!("major"), &json!("critical")));
    assert_eq!(report[1]["location"], json!({ "path": "dir b/c%.yaml", "lines": { "begin": 15 } }));
    let empty = Folder::new().with("a.yaml", SERVICE).run(&["check", ".", "-o", "gitlab"]).ended(0).json();
    assert_eq!(empty, json!([]));
    assert!(!validator.is_valid(&json!([{ "description": "x" }])));
}

#[test]
fn junit_is_read_by_its_own_library() {
    use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
    let evil = ALPINE.replace("name: web", "name: \"<&\\\"'\\e\\uFFFE]]>\"");
    let folder =
        folder().with("b.yaml", BROKEN).with("e<v&il.yaml", evil).with("good.yaml", PINNED).with("notes.json", "{");
    let run = folder.run(&["check", ".", "-o", "junit"]).ended(2);
    let report = Report::deserialize_from_str(&run.stdout).unwrap();
    let suites: Vec<(&str, usize, usize, usize, usize)> = report
        .test_suites
        .iter()
        .map(|suite| (suite.name.as_str(), suite.tests, suite.failures, suite.errors, suite.skipped))
        .collect();
    assert_eq!(
        suites,
        [
            ("a.yaml", 1, 1, 0, 0),
            ("b.yaml", 1, 0, 1, 0),
            ("dir b/c%.yaml", 1, 1, 0, 0),
            ("e<v&il.yaml", 1, 1, 0, 0),
            ("good.yaml", 1, 0, 0, 0),
            ("notes.json", 1, 0, 0, 1),
        ]
    );
    for suite in &report.test_suites {
        let count = |wanted: NonSuccessKind| {
            let of =
                |status: &TestCaseStatus| matches!(status, TestCaseStatus::NonSuccess { kind, .. } if *kind == wanted);
            suite.test_cases.iter().filter(|test| of(&test.status)).count()
        };
        assert_eq!(suite.test_cases.len(), suite.tests);
        assert_eq!((count(NonSuccessKind::Failure), count(NonSuccessKind::Error)), (suite.failures, suite.errors));
    }
    let evil = &report.test_suites[3].test_cases[0];
    assert!(evil.name.as_str().starts_with("musl-slow-retry: Pod default/<&\"'\\u{1b}"), "{}", evil.name.as_str());
    assert_eq!(evil.classname.as_ref().unwrap().as_str(), "e<v&il.yaml");
    let empty = Folder::new().with("a.yaml", SERVICE).run(&["check", ".", "-o", "junit"]).ended(0);
    assert_eq!(Report::deserialize_from_str(&empty.stdout).unwrap().test_suites.len(), 0);
}

/// A pod without findings of level `warn`.
const PINNED: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: pinned}\nspec:\n  containers: [{name: app, image: debian:12}]\n";

/// A key that is written twice is no error to kubectl, and seldom what the author meant.
#[test]
fn what_kubectl_reads_otherwise_is_a_finding_in_every_format() {
    const TEXT: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a, name: b}\n...\nkind: Pod\n";
    let folder = Folder::new().with("a.yaml", TEXT);
    let json = folder.run(&["check", ".", "-o", "json", "--fail-on", "warn"]).ended(1).json();
    let unread: Vec<(&str, u64)> = json["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| (unread["level"].as_str().unwrap(), unread["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(unread, [("warning", 3), ("warning", 5)], "{json:#}");
    assert_eq!(json["summary"]["warn"], 2);
    let sarif = folder.run(&["check", ".", "-o", "sarif"]).ended(0).json();
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["toolExecutionNotifications"][0]["level"], "warning", "{invocation:#}");
    assert_eq!(invocation["executionSuccessful"], true);
    let shown = folder.run(&["check", ".", "-o", "github"]).ended(0).stdout;
    assert!(shown.contains("::warning file=a.yaml,line=3,col=21,"), "{shown}");
    let shown = folder.run(&["check", ".", "-o", "junit"]).ended(0).stdout;
    assert!(shown.contains("tests=\"2\" failures=\"2\"") && shown.contains("<failure type=\"warn\""), "{shown}");
    let run = folder.run(&["inject", "a.yaml", "--fail-on", "warn"]).ended(1);
    assert!(run.stderr.contains("2 warn"), "{}", run.stderr);
}
