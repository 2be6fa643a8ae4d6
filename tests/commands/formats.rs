//! The output formats for programs.

use serde_json::{Value, json};

use crate::{ALPINE, DENIED, Folder, SERVICE};

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
                    "object": { "kind": "Deployment", "namespace": "shop", "name": "web" },
                    "container": "app",
                    "path": "/spec/template/spec/dnsConfig/options/0"
                }
            ],
            "summary": { "files": 3, "objects": 3, "pods": 2, "containers": 2, "unknownContainers": 0, "deny": 1, "warn": 1, "info": 0 }
        })
    );
}

#[test]
fn json_without_findings_is_complete() {
    let json = Folder::new().with("a.yaml", SERVICE).run(&["check", ".", "-o", "json"]).ended(0).json();
    assert_eq!(
        json,
        json!({ "schemaVersion": 1, "findings": [], "summary": { "files": 1, "objects": 1, "pods": 0, "containers": 0, "unknownContainers": 0, "deny": 0, "warn": 0, "info": 0 } })
    );
}

#[test]
fn sarif_validates_against_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../data/sarif/sarif-2.1.0.json")).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    for log in [sarif(&folder()), sarif(&Folder::new().with("a.yaml", SERVICE))] {
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
    for rule in rules {
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
    for format in ["human", "json", "sarif", "github"] {
        let run = Folder::new()
            .with("a.yaml", SERVICE)
            .with("b.yaml", "a: [")
            .run(&["check", ".", "-v", "-o", format])
            .ended(2);
        assert!(!run.stdout.contains("error: ") && !run.stdout.contains("note: "), "{format}: {}", run.stdout);
        assert!(run.stderr.contains("error: b.yaml:"), "{format}: {}", run.stderr);
    }
}
