//! The programs of a release in the userlands where they must run: an empty root, glibc, each musl; aarch64 under qemu. The roots hold C
//! libraries of `tests/lab/tools`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::release::release_folder::{ARCHITECTURES, Architecture, REPOSITORY, VERSION, release, run};

/// Time for a server to start, under qemu and beside other programs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A pod whose image has a musl that retries slowly.
const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  containers: [{name: app, image: 'alpine:3.17'}]
";

/// A root folder with a program of the release, and the words by which it is run there.
struct Userland {
    name: String,
    root: TempDir,
    command: Vec<String>,
}

/// A server that is killed when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Userland ===

impl Userland {
    /// A root with nothing else.
    fn empty(architecture: Architecture) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::copy(release().program(architecture), root.path().join("muslin")).unwrap();
        let mut command = vec!["/muslin".to_owned()];
        if !architecture.is_own() {
            let qemu = format!("qemu-{}-static", architecture.machine);
            let path = run("which", [&qemu], None);
            fs::copy(path.trim_end(), root.path().join("qemu")).unwrap();
            command.insert(0, "/qemu".to_owned());
        }
        Self { name: format!("empty, {}", architecture.name), root, command }
    }

    /// A root with a C library, which shows its release when it is run.
    fn with_library(name: &str, library: &Path, path: &str) -> Self {
        let own = ARCHITECTURES.into_iter().find(|architecture| architecture.is_own()).unwrap();
        let userland = Self { name: name.to_owned(), ..Self::empty(own) };
        let to = userland.root.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(library, &to).unwrap();
        userland
    }

    /// Returns a command in this root. qemu is given `more` before the program.
    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.root.path());
        let (program, before) = self.command.split_last().unwrap();
        command.args(before).args(if before.is_empty() { &[] } else { more }).arg(program).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin");
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(&[]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs the commands that a user tries first.
    fn answers(&self) {
        let expect = |arguments: &[&str], input: &str, code: i32, words: &str| {
            let output = self.run(arguments, input);
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            let found = (output.status.code(), text.contains(words));
            assert_eq!(found, (Some(code), true), "{}: {arguments:?}: {} {text}", self.name, output.status);
        };
        expect(&["--version"], "", 0, VERSION);
        expect(&["check", "--fail-on", "warn", "-"], POD, 1, "musl-slow-retry");
        expect(&["inject", "-"], POD, 0, "kind: Pod");
        expect(&["probe", "--help"], "", 0, "--lookup-program");
        expect(&["install", "--image", "registry.example.com/muslin:1"], "", 0, "kind: Deployment");
        expect(&["probe"], "", 2, "/etc/resolv.conf");
    }

    /// Starts the server, posts a review, and stops it by SIGTERM.
    fn serves(&self, more: &[&str]) {
        let mut command = self.command(more);
        command.args(["serve", "--standalone", "--bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0"]);
        let mut serving = Serving(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let (sender, lines) = mpsc::channel();
        let stdout = serving.0.stdout.take().unwrap();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let line = || lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let url = line();
        let mut authority = String::new();
        while !authority.ends_with("-----END CERTIFICATE-----\n") {
            authority += &(line() + "\n");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        fs::write(&file, authority).unwrap();
        let review = format!("@{REPOSITORY}/benches/reviews/12k.json");
        let answer = run(
            "curl",
            [
                "--silent",
                "--show-error",
                "--max-time",
                "60",
                "--cacert",
                file.to_str().unwrap(),
                "--json",
                &review,
                &url,
            ],
            None,
        );
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["response"]["allowed"] == true && answer["response"]["patch"].is_string(), "{answer:#}");
        run("kill", ["-s", "TERM", &serving.0.id().to_string()], None);
        assert!(serving.0.wait().unwrap().success());
    }
}

/// Returns the C libraries of the laboratory, by family and release.
fn libraries() -> Vec<(String, PathBuf, String)> {
    let lab = run(&format!("{REPOSITORY}/tests/lab/tools"), [""; 0], None);
    let lab = PathBuf::from(lab.trim_end());
    let machine = std::env::consts::ARCH;
    let found = run("find", [".", "-name", "libc.so", "-o", "-name", "libc.so.6"], Some(&lab));
    let libraries: Vec<_> = found
        .lines()
        .map(|path| {
            let name = path.split('/').nth(1).unwrap().to_owned();
            let to = if name.starts_with("musl") {
                format!("lib/ld-musl-{machine}.so.1")
            } else {
                format!("lib/{machine}-linux-gnu/libc.so.6")
            };
            (name, lab.join(path), to)
        })
        .collect();
    for family in ["musl-1.2.2", "musl-1.2.5", "glibc-2.31"] {
        assert!(libraries.iter().any(|(name, ..)| name == family), "the laboratory has no {family}");
    }
    libraries
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, and root"]
fn runs_in_every_userland() {
    for (name, library, path) in libraries() {
        let userland = Userland::with_library(&name, &library, &path);
        userland.answers();
    }
}

#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, and root"]
fn runs_and_serves_in_an_empty_root() {
    for &architecture in &release().architectures {
        let userland = Userland::empty(architecture);
        userland.answers();
        userland.serves(&[]);
    }
}

/// jemalloc built for small pages ends at its start where the kernel has larger ones, as RHEL 8 on aarch64 has.
#[test]
#[ignore = "needs a release: MUSLIN_RELEASE, and root"]
fn serves_with_pages_of_64_kib() {
    for &architecture in release().architectures.iter().filter(|architecture| !architecture.is_own()) {
        Userland::empty(architecture).serves(&["-p", "65536"]);
    }
}
