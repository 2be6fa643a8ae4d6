//! The examples on `docs/ci.md`: each has the form of its kind of file, names inputs and hooks that exist.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::programs::{Downloads, REPOSITORY, ensure_schema, program, release, text};
use super::{DENIED, SERVICE};

/// Returns the examples on the page, each with the name of its file.
fn examples() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/ci.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    blocks.map(|block| (block.lines().next().unwrap().trim_start_matches("# ").to_owned(), block)).collect()
}

fn example(name: &str) -> Value {
    let (_, text) = examples().into_iter().find(|(named, _)| named == name).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn each_example_has_the_form_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples();
    assert_eq!(examples.len(), 4);
    for (name, text_of) in examples {
        let file = folder.path().join(name.replace('/', "-"));
        fs::write(&file, text_of).unwrap();
        match name.as_str() {
            ".gitlab-ci.yml" => ensure_schema("vendor.gitlab-ci", &file),
            ".pre-commit-config.yaml" => {
                let output = program("pre-commit").arg("validate-config").arg(&file).output().unwrap();
                assert!(output.status.success(), "{}", text(&output));
            }
            _ => ensure_schema("vendor.github-workflows", &file),
        }
    }
}

#[test]
fn the_examples_name_inputs_and_hooks_that_exist() {
    let read = |name: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap()).unwrap()
    };
    let (action, hooks) = (read("action.yml"), read(".pre-commit-hooks.yaml"));
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/ci.md")).unwrap();
    for workflow in [".github/workflows/dns.yml", ".github/workflows/dns-code-scanning.yml"] {
        let workflow = example(workflow);
        for (input, _) in workflow["jobs"]["muslin"]["steps"][1]["with"].as_object().unwrap() {
            assert!(!action["inputs"][input].is_null(), "{input}");
        }
    }
    for name in action["inputs"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{name}` |")), "docs/ci.md lacks the input {name}");
    }
    for name in action["outputs"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{name}`")), "docs/ci.md lacks the output {name}");
    }
    let ids: Vec<&str> = hooks.as_array().unwrap().iter().map(|hook| hook["id"].as_str().unwrap()).collect();
    for id in &ids {
        assert!(page.contains(&format!("`{id}`")), "docs/ci.md lacks the hook {id}");
    }
    let used = example(".pre-commit-config.yaml")["repos"][0]["hooks"][0]["id"].as_str().unwrap().to_owned();
    assert!(ids.contains(&used.as_str()));
}

#[test]
fn the_job_for_gitlab_downloads_checks_and_reports() {
    let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let digest = release(folder.path(), "0.1.0");
    let downloads = Downloads::start(folder.path(), keys.path());
    let job = &example(".gitlab-ci.yml")["dns-of-pods"];
    let lines = |key: &str| job[key].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    // The packages of the example's image are here already, and the archive must not meet that of another test.
    let temporary = tempfile::tempdir().unwrap();
    let script: Vec<String> =
        lines("before_script").chain(lines("script")).filter(|line| !line.starts_with("apt-get ")).collect();
    let script = script.join("\n").replace("/tmp", &temporary.path().display().to_string());
    let run = |manifest: &str, sha256: &str| {
        let work = tempfile::tempdir().unwrap();
        fs::write(work.path().join("web.yaml"), manifest).unwrap();
        let output = Command::new("bash")
            .args(["-eo", "pipefail", "-c", &script])
            .current_dir(work.path())
            .env("MUSLIN_VERSION", "0.1.0")
            .env("MUSLIN_URL", &downloads.url)
            .env("MUSLIN_SHA256", sha256)
            .env("CURL_CA_BUNDLE", &downloads.authority)
            .output()
            .unwrap();
        let report = job["artifacts"]["reports"]["codequality"].as_str().unwrap();
        let report = fs::read_to_string(work.path().join(report)).ok();
        (output.status.code(), report.map(|report| serde_json::from_str::<Value>(&report).unwrap()), text(&output))
    };
    let (code, report, shown) = run(DENIED, &digest);
    assert_eq!(code, Some(1), "{shown}");
    let report = report.unwrap();
    assert_eq!(report[0]["location"]["path"], "web.yaml", "{report:#}");
    assert!(shown.contains("deny[attempts-zero]"), "{shown}");
    let (code, report, shown) = run(SERVICE, &digest);
    assert_eq!((code, report), (Some(0), Some(Value::Array(Vec::new()))), "{shown}");
    let (code, report, shown) = run(DENIED, &"0".repeat(64));
    assert!(code == Some(1) && report.is_none() && shown.contains("FAILED"), "{shown}");
}
