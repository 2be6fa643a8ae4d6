//! `muslin serve` as a process: what it prints, how it stops, how it fails. On loopback, with no cluster or one that is not
//! there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it is")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod addresses;
mod drain;
mod floods;
mod tls;

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far more than anything here takes; what waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `muslin serve`; killed when dropped.
struct Serve {
    child: Child,
    log: Receiver<Value>,
    /// The lines that were read while waiting for others.
    read: RefCell<Vec<Value>>,
    /// Where /metrics, /healthz and /readyz are.
    metrics: String,
}

fn muslin(arguments: &[&str]) -> Command {
    let mut command = muslin_with_default_addresses(arguments);
    command.args(["--metrics-bind", "127.0.0.1:0"]);
    command
}

fn muslin_with_default_addresses(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    // What the surroundings say must not decide a test.
    for variable in
        ["KUBECONFIG", "POD_NAMESPACE", "MUSLIN_LOG", "MUSLIN_LOG_FORMAT", "MUSLIN_BIND", "MUSLIN_METRICS_BIND"]
    {
        command.env_remove(variable);
    }
    command.arg("serve").args(arguments);
    command
}

/// Runs it to its end.
fn run(arguments: &[&str]) -> Output {
    muslin(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// === impl Serve ===

impl Serve {
    fn standalone(arguments: &[&str]) -> Self {
        Self::start(&[&["--standalone", "--bind", "127.0.0.1:0"], arguments].concat())
    }

    fn start(arguments: &[&str]) -> Self {
        Self::spawn(muslin(arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the log is not JSON: {line}"));
                let _ = sender.send(event);
            }
        });
        let mut serve = Self { child, log, read: RefCell::default(), metrics: String::new() };
        let serving = serve.wait_for("serving");
        serve.metrics = serving["metrics"].as_str().unwrap().to_owned();
        serve
    }

    /// Returns the first line of this message, and reads the log up to there.
    fn wait_for(&self, message: &str) -> Value {
        if let Some(event) = self.read.borrow().iter().find(|event| event["message"] == message) {
            return event.clone();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.log.recv_timeout(deadline - Instant::now()).unwrap_or_else(|_| panic!("no {message:?}"));
            self.read.borrow_mut().push(event.clone());
            if event["message"] == message {
                return event;
            }
        }
    }

    /// The status and the body of the answer of the metrics port.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "muslin does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Both fail only for a program that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_standalone_server_prints_its_address_and_its_ca() {
    let mut serve = Serve::standalone(&[]);
    let mut lines = BufReader::new(serve.child.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    assert!(address.starts_with("https://127.0.0.1:") && address.ends_with("/mutate"), "{address}");
    assert_eq!(lines.next().unwrap().unwrap(), "-----BEGIN CERTIFICATE-----");
}

#[test]
fn a_standalone_server_is_ready_at_once_and_says_what_it_counts() {
    let serve = Serve::standalone(&[]);
    assert_eq!(serve.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(serve.get("/healthz").0, 200);
    let (status, metrics) = serve.get("/metrics");
    assert!(status == 200 && metrics.contains("muslin_review_duration_seconds") && metrics.ends_with("# EOF\n"));
    assert_eq!(serve.get("/mutate").0, 404);
}

#[test]
fn stops_at_sigterm_sigint_and_sighup_though_a_connection_is_idle() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut serve = Serve::standalone(&[]);
        let _idle = TcpStream::connect(&serve.metrics).unwrap();
        serve.signal(signal);
        serve.wait_for("stopping");
        assert_eq!(serve.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn is_not_ready_but_answers_while_it_waits_to_be_left_alone() {
    let mut serve = Serve::standalone(&["--shutdown-delay", "600"]);
    serve.signal("TERM");
    serve.wait_for("stopping");
    assert_eq!(serve.get("/readyz"), (503, "stopping\n".to_owned()));
    assert_eq!(serve.get("/healthz").0, 200);
    // A second signal ends the process at once.
    serve.signal("TERM");
    assert_eq!(serve.wait().code(), Some(0));
}

#[test]
fn waits_for_a_cluster_that_cannot_be_reached() {
    let files = Files::new();
    let mut serve = Serve::start(
        &["--bind", "127.0.0.1:0", "--shutdown-delay", "0", &files.kubeconfig()]
            .into_iter()
            .chain(files.keys().iter().map(String::as_str))
            .collect::<Vec<_>>(),
    );
    serve.wait_for("a watch failed and is retried; the known labels stay in use");
    assert_eq!(serve.get("/readyz"), (503, "the namespaces are not listed yet\n".to_owned()));
    assert_eq!(serve.get("/healthz").0, 200);
    serve.signal("TERM");
    assert_eq!(serve.wait().code(), Some(0));
}

#[test]
fn says_which_address_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--standalone", "--bind", &address]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&format!("cannot listen at {address}")), "{}", stderr(&output));
}

#[test]
fn says_which_file_cannot_be_used() {
    let files = Files::new();
    let [certificate, key] = files.keys();
    let missing = format!("--tls-key={}", files.path("missing"));
    let garbage = format!("--tls-cert={}", files.path("kubeconfig"));
    for (arguments, message) in
        [([&certificate, &missing], files.path("missing")), ([&garbage, &key], "holds no certificate".to_owned())]
    {
        let output = run(&["--bind", "127.0.0.1:0", &files.kubeconfig(), arguments[0], arguments[1]]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
}

#[test]
fn says_what_is_wrong_with_the_kubeconfig() {
    let files = Files::new();
    let [certificate, key] = files.keys();
    let missing = format!("--kubeconfig={}", files.path("missing"));
    let output = run(&["--bind", "127.0.0.1:0", &missing, &certificate, &key]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&files.path("missing")), "{}", stderr(&output));
}

#[test]
fn wrong_use_is_explained() {
    for (arguments, message) in [
        (["--standalone", "--mode", "on"], "[possible values: off, audit, warn, inject, enforce]"),
        (["--standalone", "--profile", "quick"], "there is no profile `quick`: use default,"),
        (["--standalone", "--log", "muslin=loud"], "--log muslin=loud"),
        (["--tls-cert=tls.crt", "--mode", "warn"], "--tls-key"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}

/// A kubeconfig of a cluster that is not there, and a certificate with its key.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("tls.crt", certificate.pem());
        write("tls.key", key.serialize_pem());
        // Port 9 is that of the discard protocol: nothing listens there.
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "gone",
            "clusters": [{ "name": "gone", "cluster": { "server": "https://127.0.0.1:9" } }],
            "users": [{ "name": "gone", "user": {} }],
            "contexts": [{ "name": "gone", "context": { "cluster": "gone", "user": "gone" } }]
        });
        write("kubeconfig", kubeconfig.to_string());
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.0.path()).join(name).display().to_string()
    }

    fn kubeconfig(&self) -> String {
        format!("--kubeconfig={}", self.path("kubeconfig"))
    }

    fn keys(&self) -> [String; 2] {
        [format!("--tls-cert={}", self.path("tls.crt")), format!("--tls-key={}", self.path("tls.key"))]
    }
}
