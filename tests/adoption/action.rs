//! The GitHub Action: its steps run as a runner runs them, with the muslin of this build, and with a release that is downloaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::programs::{Downloads, REPOSITORY, ensure_schema, path_with_muslin, release, text};
use super::{DENIED, SERVICE};

/// The part of a runner that the action uses: inputs, step outputs, and the files that steps write to.
struct Runner {
    folder: tempfile::TempDir,
    inputs: BTreeMap<String, String>,
    /// More variables of the runner.
    environment: BTreeMap<&'static str, String>,
}

/// The end of a job.
#[derive(Debug, Default)]
struct Job {
    /// The exit code of the first step that failed; 0 if none did.
    code: i32,
    shown: String,
    outputs: BTreeMap<String, String>,
    /// The actions that were used, with their inputs.
    used: Vec<(String, Value)>,
    /// The folders that were added to the PATH.
    path: String,
}

fn action() -> Value {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("action.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

// === impl Runner ===

impl Runner {
    fn new(inputs: &[(&str, &str)]) -> Self {
        let defaults = action()["inputs"].as_object().unwrap().clone();
        let mut all: BTreeMap<String, String> = defaults
            .into_iter()
            .map(|(name, input)| (name, input["default"].as_str().unwrap_or_default().to_owned()))
            .collect();
        for (name, value) in inputs {
            assert!(all.insert((*name).to_owned(), (*value).to_owned()).is_some(), "there is no input {name}");
        }
        Self { folder: tempfile::tempdir().unwrap(), inputs: all, environment: BTreeMap::new() }
    }

    fn with(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join("work").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn has(&self, name: &str) -> bool {
        self.folder.path().join("work").join(name).exists()
    }

    /// Returns a text with the values of its expressions.
    fn expand(&self, text: &str, outputs: &BTreeMap<String, String>) -> String {
        let mut parts = text.split("${{");
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").unwrap();
            expanded.push_str(&self.value(expression.trim(), outputs));
            expanded.push_str(rest);
        }
        expanded
    }

    fn value(&self, expression: &str, outputs: &BTreeMap<String, String>) -> String {
        if let Some(input) = expression.strip_prefix("inputs.") {
            return self.inputs.get(input).unwrap_or_else(|| panic!("no input {input}")).clone();
        }
        if let Some(output) = expression.strip_prefix("steps.check.outputs.") {
            return outputs.get(output).cloned().unwrap_or_default();
        }
        assert_eq!(expression, "github.action_repository");
        "example/muslin".to_owned()
    }

    /// Returns whether a condition of the form `A != '' && B == 'c'` holds.
    fn holds(&self, condition: &str, outputs: &BTreeMap<String, String>) -> bool {
        condition.split(" && ").all(|term| {
            let (operator, is_equal) = if term.contains(" == ") { (" == ", true) } else { (" != ", false) };
            let (expression, literal) = term.split_once(operator).unwrap();
            (self.value(expression, outputs) == literal.trim_matches('\'')) == is_equal
        })
    }

    fn run(&self) -> Job {
        let temporary = self.folder.path().join("temporary");
        let work = self.folder.path().join("work");
        fs::create_dir_all(&temporary).unwrap();
        fs::create_dir_all(&work).unwrap();
        let mut job = Job::default();
        for step in action()["runs"]["steps"].as_array().unwrap() {
            if step["if"].as_str().is_some_and(|condition| !self.holds(condition, &job.outputs)) {
                continue;
            }
            if let Some(used) = step["uses"].as_str() {
                job.used.push((used.to_owned(), step["with"].clone()));
                continue;
            }
            assert_eq!(step["shell"], "bash");
            let script = step["run"].as_str().unwrap();
            assert!(!script.contains("${{"), "a value in a script can be code: {script}");
            let file = self.folder.path().join("script");
            fs::write(&file, script).unwrap();
            let output = self.folder.path().join("output");
            let added = self.folder.path().join("path");
            fs::write(&output, "").unwrap();
            fs::write(&added, "").unwrap();
            let environment = step["env"].as_object().into_iter().flatten();
            // The command by which a runner starts bash.
            let ended = Command::new("bash")
                .args(["--noprofile", "--norc", "-eo", "pipefail"])
                .arg(&file)
                .current_dir(&work)
                .env_clear()
                .env(
                    "PATH",
                    format!(
                        "{}{}",
                        job.path,
                        if self.inputs["version"].is_empty() {
                            path_with_muslin()
                        } else {
                            std::env::var("PATH").unwrap()
                        }
                    ),
                )
                .env("RUNNER_TEMP", &temporary)
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_PATH", &added)
                .env("GITHUB_REPOSITORY", "example/shop")
                .env("GITHUB_SERVER_URL", "https://server.example.com")
                .envs(&self.environment)
                .envs(environment.map(|(name, value)| (name, self.expand(value.as_str().unwrap(), &job.outputs))))
                .output()
                .unwrap();
            job.shown.push_str(&text(&ended));
            for line in fs::read_to_string(&output).unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                job.outputs.insert(name.to_owned(), value.to_owned());
            }
            for line in fs::read_to_string(&added).unwrap().lines() {
                job.path = format!("{line}:{}", job.path);
            }
            job.code = ended.status.code().unwrap();
            if job.code != 0 {
                break;
            }
        }
        job
    }
}

#[test]
fn the_action_has_the_form_of_an_action() {
    ensure_schema("vendor.github-actions", &Path::new(REPOSITORY).join("action.yml"));
    for step in action()["runs"]["steps"].as_array().unwrap() {
        // A tag can be moved to other code.
        let pinned = step["uses"].as_str().and_then(|used| used.split_once('@'));
        assert!(pinned.is_none_or(|(_, commit)| commit.len() == 40), "{step:#}");
    }
}

#[test]
fn findings_are_annotations_and_fail_the_job_at_its_end() {
    let job = Runner::new(&[("path", "deploy"), ("upload-sarif", "true")]).with("deploy/web.yaml", DENIED).run();
    assert_eq!((job.code, job.outputs["exit-code"].as_str()), (1, "1"), "{job:#?}");
    assert!(job.shown.contains("::error file=deploy/web.yaml,line=15"), "{job:#?}");
    let [(used, with)] = &job.used[..] else { panic!("the findings were not uploaded: {job:#?}") };
    assert!(used.starts_with("github/codeql-action/upload-sarif@"), "{job:#?}");
    assert_eq!(with["sarif_file"], "${{ steps.check.outputs.sarif-file }}");
}

#[test]
fn the_findings_are_in_the_sarif_file() {
    let runner = Runner::new(&[]).with("web.yaml", DENIED);
    let job = runner.run();
    let sarif: Value = serde_json::from_str(&fs::read_to_string(&job.outputs["sarif-file"]).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "attempts-zero");
    assert!(job.used.is_empty(), "nothing is uploaded unless the user wants it");
}

#[test]
fn no_finding_ends_well() {
    let job = Runner::new(&[("args", "--fail-on\nwarn")]).with("service.yaml", SERVICE).run();
    assert_eq!((job.code, job.outputs["exit-code"].as_str()), (0, "0"), "{job:#?}");
    let job = Runner::new(&[("args", "--fail-on never  --no-config")]).with("web.yaml", DENIED).run();
    assert_eq!((job.code, job.outputs["exit-code"].as_str()), (0, "0"), "{job:#?}");
}

#[test]
fn bad_input_fails_the_job_with_its_own_code() {
    let job = Runner::new(&[("path", "missing")]).run();
    assert_eq!((job.code, job.outputs["exit-code"].as_str()), (2, "2"), "{job:#?}");
    let job = Runner::new(&[("args", "--no-such-option")]).run();
    assert_eq!((job.code, job.outputs["exit-code"].as_str()), (2, "2"), "{job:#?}");
}

#[test]
fn paths_and_arguments_are_no_code() {
    let hostile = "a b.yaml\n$(touch x)\n`touch y`\n; touch z\n--fix\n* ?";
    let runner = Runner::new(&[("path", hostile), ("args", "--fail-on $(touch x) ;touch y")]).with("a b.yaml", DENIED);
    let job = runner.run();
    assert_eq!(job.code, 2, "{job:#?}");
    assert!(!["x", "y", "z"].iter().any(|name| runner.has(name)), "{job:#?}");
    let runner = Runner::new(&[("path", "a b.yaml\n")]).with("a b.yaml", DENIED);
    assert!(runner.run().shown.contains("file=a b.yaml,"));
}

#[test]
fn a_release_is_downloaded_checked_and_run() {
    let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let digest = release(folder.path(), "0.1.0");
    let downloads = Downloads::start(folder.path(), keys.path());
    let runner = |version: &str, sha256: &str, url: &str| {
        let mut runner = Runner::new(&[("version", version), ("sha256", sha256), ("download-url", url)]);
        runner.environment.insert("CURL_CA_BUNDLE", downloads.authority.display().to_string());
        runner.with("web.yaml", DENIED)
    };
    for (version, sha256) in [("0.1.0", digest.as_str()), ("v0.1.0", ""), ("0.1.0", "")] {
        let job = runner(version, sha256, &downloads.url).run();
        assert_eq!((job.code, job.outputs["exit-code"].as_str()), (1, "1"), "{job:#?}");
        assert!(job.path.contains("muslin-0.1.0"), "{job:#?}");
    }
    for (version, sha256, url, says) in [
        ("0.1.0", "0".repeat(64), downloads.url.clone(), "another SHA-256"),
        ("0.1.0", "x".to_owned(), downloads.url.clone(), "64 hexadecimal digits"),
        ("0.1.0", digest.clone(), downloads.url.replace("https", "http"), "http"),
        ("0.1.0", digest.clone(), format!("file://{}", folder.path().display()), "file"),
        ("9.9.9", String::new(), downloads.url.clone(), "404"),
        ("../../x", String::new(), downloads.url.clone(), "no release"),
        ("0.1.0;touch x", String::new(), downloads.url.clone(), "no release"),
    ] {
        let job = runner(version, &sha256, &url).run();
        assert!(
            job.code != 0 && job.code != 1 && job.path.is_empty() && job.outputs.is_empty(),
            "{version} {sha256}: {job:#?}"
        );
        assert!(job.shown.contains(says), "{version} {sha256}: {job:#?}");
    }
    // The digest beside a damaged archive shows the damage.
    let name = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let archive = name.filter(|path| path.extension().is_some_and(|ending| ending == "gz")).next().unwrap();
    fs::write(&archive, "damaged").unwrap();
    let job = runner("0.1.0", "", &downloads.url).run();
    assert!(job.code == 2 && job.path.is_empty() && job.shown.contains("another SHA-256"), "{job:#?}");
}
