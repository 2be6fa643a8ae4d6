//! The commands as people and CI run them: tests run the real program with arguments, files and standard input, and check its
//! output and exit code. Nothing here uses muslin's internals.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bad_input;
mod check;
mod compile;
mod config;
mod fix;
mod folders;
mod formats;
mod gate;
mod git;
mod inject;
mod kinds;
mod outside_text;
mod probe;
mod queries;
mod streams;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A pod on Alpine with one finding: `musl-slow-retry`, a warning on line 8.
const ALPINE: &str = "# The first line.
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - {name: app, image: alpine:3.19} # the base
";

/// A pod template that something else has a copy of, which must not change.
const COPIED: &str = "apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: a}
  spec:
    template: &template
      spec:
        containers: [{name: app, image: alpine:3.19}] # kept
- apiVersion: example.com/v1
  kind: Copy
  data: *template
";

/// A Deployment with a finding of level `deny`: `attempts-zero`, which makes every lookup fail.
const DENIED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: app
          image: alpine:3.19
      dnsConfig:
        options:
          - name: attempts
            value: \"0\"
          - name: timeout
            value: \"5\"
";

/// A Pod on Debian with one finding of level `info`: `parallel-a-aaaa`.
const DEBIAN: &str = "apiVersion: v1
kind: Pod
metadata: {name: batch}
spec:
  containers:
    - name: app
      image: debian:12
";

/// Rules of level `info` that fire on most pods of these tests.
const ADVICE: [&str; 3] = ["musl-aaaa-all-or-nothing", "musl-query-id-collision", "ndots-amplification"];

/// An object without a pod.
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}   # odd   spacing\n";

/// A folder with files, in which muslin runs.
struct Folder(tempfile::TempDir);

/// The exit code and output of a run.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Folder {
    /// Returns a folder whose muslin.toml turns off the rules that nearly every pod triggers, so that only the finding under test
    /// remains. Its profile changes every pod.
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
            .with("muslin.toml", format!("profile = \"fast\"\n[levels]\n{}", without_advice()))
    }

    /// Writes a file, and creates the folders above it.
    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with("", arguments)
    }

    fn run_with(&self, stdin: &str, arguments: &[&str]) -> Run {
        run_in(self.0.path(), stdin, arguments, &[])
    }
}

impl Run {
    /// Fails with the output unless the exit code is `code`.
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{}", self.stdout))
    }

    /// Returns the rules of the findings in JSON output.
    fn rules(&self) -> Vec<String> {
        let json = self.json();
        json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["rule"].as_str().unwrap().to_owned())
            .filter(|rule| !ADVICE.contains(&&**rule))
            .collect()
    }
}

/// Returns lines for `[levels]` that turn advice off.
fn without_advice() -> String {
    ADVICE.iter().map(|rule| format!("{rule} = \"off\"\n")).collect()
}

/// Returns the rules of the findings of `check` in files.
fn rules(folder: &Folder, paths: &[&str]) -> Vec<String> {
    folder.run(&[&["check", "-o", "json", "--level", "info", "--fail-on", "never"], paths].concat()).ended(0).rules()
}

/// Runs `muslin inject -` on a text.
fn inject(text: &str, arguments: &[&str]) -> Run {
    Folder::new().run_with(text, &[&["inject", "-"], arguments].concat())
}

fn run_in(folder: &Path, stdin: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Standard input closes here, so that the program sees its end; a program that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
