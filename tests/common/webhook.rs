//! muslin itself in a test: the real binary on loopback, with the rights of its own service account and no others.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::control_plane::ControlPlane;
use crate::common::registration::Registration;

/// muslin's own program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_muslin");

/// Time limit until the server knows the namespaces, which takes milliseconds.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// A built-in profile that changes every pod.
const CHANGES_EVERY_POD: &str = "fast";

/// By default, a test does not wait until API servers notice that muslin stops.
const NO_DELAY: [&str; 2] = ["--shutdown-delay", "0"];

/// The namespace of the manifests.
const OWN_NAMESPACE: [&str; 2] = ["--own-namespace", "muslin"];

/// Time limit of a stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// A running and registered `muslin serve`; unregistered and stopped when dropped.
pub(crate) struct Muslin<'c> {
    // Dropped in this order, so that a registered server is running.
    _registrations: [Registration<'c>; 2],
    process: Process,
    started_in: Duration,
    certificate: Certificate,
    folder: TempDir,
}

/// The process of a `muslin serve`; stopped when dropped.
pub(crate) struct Process {
    child: Child,
    /// The address for reviews.
    pub(crate) address: String,
    /// The address of /metrics.
    pub(crate) metrics: String,
    /// The number of lines of the log so far.
    log_lines: Arc<AtomicU64>,
}

/// A self-signed certificate for a server on loopback, and its key, both PEM.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

// === impl Muslin ===

impl<'c> Muslin<'c> {
    /// Starts the server, and registers it when it is ready.
    pub(crate) fn start(control_plane: &'c ControlPlane, kubeconfig: &Path, arguments: &[String]) -> Result<Self> {
        Self::start_by(Command::new(PROGRAM), control_plane, kubeconfig, arguments)
    }

    /// As [`Self::start`], by a command that runs [`PROGRAM`] with the arguments that it gets.
    pub(crate) fn start_by(
        command: Command,
        control_plane: &'c ControlPlane,
        kubeconfig: &Path,
        arguments: &[String],
    ) -> Result<Self> {
        let certificate = Certificate::new()?;
        let asked = Instant::now();
        let folder = TempDir::new()?;
        let arguments = [&certificate.arguments(folder.path())?, arguments].concat();
        let process = Process::start_by(command, kubeconfig, &arguments)?;
        let started_in = asked.elapsed();
        let server = format!("https://{}", process.address);
        let mutating = Registration::of_muslin(control_plane, &format!("{server}/mutate"), &certificate.certificate)?;
        let validating = Registration::of_policy(control_plane, &server, &certificate.certificate)?;
        mutating.wait_until_muslin_answers()?;
        validating.wait_until_labels_are_judged()?;
        Ok(Self { _registrations: [mutating, validating], process, started_in, certificate, folder })
    }

    /// Returns the time from the start of the process until it was ready.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Returns the text at `/metrics`.
    pub(crate) fn metrics(&self) -> Result<String> {
        Ok(self.process.get("/metrics")?.1)
    }

    /// Returns the answer to a review that no API server would send.
    pub(crate) fn review(&self, path: &str, review: &Value) -> Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.certificate.certificate.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let host: SocketAddr = self.process.address.parse()?;
        let mut socket = TcpStream::connect(host)?;
        let mut session = rustls::ClientConnection::new(Arc::new(config), host.ip().into())?;
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let body = review.to_string();
        let head = format!(
            "POST {path}?timeout=5s HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns the process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Returns the server's certificate.
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns the folder with the server's certificate and key.
    pub(crate) fn certificate_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the exit status if the server has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.child.try_wait()?)
    }

    /// Kills the server, as the kernel does when memory runs out.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks the server to stop, as the kubelet does, and waits until it ends.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.process.stop()
    }

    /// Makes the server hang: its connections stay open, without answers.
    pub(crate) fn hang(&self) -> Result<()> {
        self.process.signal("STOP")
    }
}

// === impl Process ===

impl Process {
    /// Starts muslin with these arguments, and waits until it serves and knows the namespaces. Unless the arguments name another, its
    /// profile changes every pod.
    pub(crate) fn start(kubeconfig: &Path, arguments: &[String]) -> Result<Self> {
        Self::start_by(Command::new(PROGRAM), kubeconfig, arguments)
    }

    /// As [`Self::start`], by a command that runs [`PROGRAM`] with the arguments that it gets.
    pub(crate) fn start_by(mut command: Command, kubeconfig: &Path, arguments: &[String]) -> Result<Self> {
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        let mut child = command
            .args(["serve", "--bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0", "--log-format", "json"])
            .args(if has("--own-namespace") { &[][..] } else { &OWN_NAMESPACE })
            .args(if has("--shutdown-delay") { &[][..] } else { &NO_DELAY })
            .env("MUSLIN_PROFILE", CHANGES_EVERY_POD)
            .args(arguments)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start muslin")?;
        let log = child.stderr.take().context("muslin has no standard error")?;
        // Created before the wait, so that a process that does not become ready is killed.
        let mut process = Self { child, address: String::new(), metrics: String::new(), log_lines: Arc::default() };
        (process.address, process.metrics) = wait_until_ready(log, Arc::clone(&process.log_lines))?;
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the status and the body of an answer at the port for the kubelet and Prometheus.
    pub(crate) fn get(&self, path: &str) -> Result<(String, String)> {
        let (head, body) = self.get_with_head(path)?;
        let status = head.split(' ').nth(1).context("the answer has no status")?;
        Ok((status.to_owned(), body))
    }

    /// Returns the status line with the headers, and the body.
    pub(crate) fn get_with_head(&self, path: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(&self.metrics)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: muslin\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        Ok((head.to_owned(), body.to_owned()))
    }

    /// Returns the number of lines of the log so far.
    pub(crate) fn log_lines(&self) -> u64 {
        self.log_lines.load(Ordering::Relaxed)
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait()
    }

    /// Waits until the process ends.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill ended with {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A clean stop releases the lease, for which the next process would wait otherwise. A hanging process does not stop.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal("TERM");
        }
        let deadline = Instant::now() + STOP_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Both fail only for a program that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log until the server serves and knows the namespaces. Returns its addresses for reviews and metrics.
fn wait_until_ready(log: impl std::io::Read + Send + 'static, count: Arc<AtomicU64>) -> Result<(String, String)> {
    let (sender, lines) = std::sync::mpsc::channel();
    // The log is read to its end, so that the server never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + READY_DEADLINE;
    let (mut address, mut listed) = (None, false);
    let mut seen = String::new();
    loop {
        let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            bail!("muslin is not ready:\n{seen}")
        };
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        match event["message"].as_str() {
            Some("serving") => {
                let text = |field: &str| event[field].as_str().map(str::to_owned);
                address = text("address").zip(text("metrics"));
            }
            Some("listed the namespaces") => listed = true,
            _ => {}
        }
        seen.push_str(&line);
        seen.push('\n');
        if let (Some(address), true) = (&address, listed) {
            return Ok(address.clone());
        }
    }
}

// === impl Certificate ===

impl Certificate {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        Ok(Self { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    }

    /// Writes the certificate to files in this folder, and returns the arguments for muslin.
    pub(crate) fn arguments(&self, folder: &Path) -> Result<Vec<String>> {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        fs::write(&certificate, &self.certificate)?;
        fs::write(&key, &self.key)?;
        let arguments = [("--tls-cert", certificate), ("--tls-key", key)];
        Ok(arguments.into_iter().flat_map(|(name, file)| [name.to_owned(), file.display().to_string()]).collect())
    }
}
