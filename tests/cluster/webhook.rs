//! muslin itself in a test: the real binary on loopback, with the rights of its own service account and no others.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::control_plane::ControlPlane;
use crate::registration::Registration;

/// How long the server may take to know the namespaces: it takes milliseconds.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// How long the server may take to stop when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(2);

/// A running and registered `muslin serve`. Dropped, it is unregistered and stopped.
pub(crate) struct Muslin<'c> {
    // In this order: what is registered runs.
    _registrations: [Registration<'c>; 2],
    process: Process,
    started_in: Duration,
    /// Where reviews are answered, and the certificate to believe there.
    address: SocketAddr,
    certificate: Certificate,
}

/// The process of a `muslin serve`; stopped when dropped.
struct Process {
    child: Child,
    /// Where /metrics is.
    metrics: String,
    _folder: TempDir,
}

/// A certificate for a server on loopback, and its key, both PEM. It is its own CA.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

// === impl Muslin ===

impl<'c> Muslin<'c> {
    /// Starts the server, and registers it when it is ready.
    pub(crate) fn start(control_plane: &'c ControlPlane, kubeconfig: &Path, arguments: &[String]) -> Result<Self> {
        let certificate = Certificate::new()?;
        let asked = Instant::now();
        let (process, address) = Process::start(kubeconfig, &certificate, arguments)?;
        let started_in = asked.elapsed();
        let server = format!("https://{address}");
        let mutating = Registration::of_muslin(control_plane, &format!("{server}/mutate"), &certificate.certificate)?;
        let validating = Registration::of_policy(control_plane, &server, &certificate.certificate)?;
        mutating.wait_until_muslin_answers()?;
        validating.wait_until_labels_are_judged()?;
        let address = address.parse()?;
        Ok(Self { _registrations: [mutating, validating], process, started_in, address, certificate })
    }

    /// How long it took from the start of the process until it was ready.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// What it answers at `/metrics`.
    pub(crate) fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.process.metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: muslin\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, text) = answer.split_once("\r\n\r\n").context("/metrics has no body")?;
        Ok(text.to_owned())
    }

    /// What it answers to a review that no API server would send.
    pub(crate) fn review(&self, path: &str, review: &Value) -> Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.certificate.certificate.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut socket = TcpStream::connect(self.address)?;
        let mut session = rustls::ClientConnection::new(Arc::new(config), self.address.ip().into())?;
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let (body, host) = (review.to_string(), self.address);
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

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Ends the server as the kernel does when memory runs out.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.child.kill()?;
        self.process.child.wait()?;
        Ok(())
    }

    /// Asks the server to stop, as the kubelet does, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal("TERM")?;
        Ok(self.process.child.wait()?)
    }

    /// Makes the server hang: its connections stay, and nothing on them is ever answered.
    pub(crate) fn hang(&self) -> Result<()> {
        self.process.signal("STOP")
    }
}

// === impl Process ===

impl Process {
    fn start(kubeconfig: &Path, certificate: &Certificate, arguments: &[String]) -> Result<(Self, String)> {
        let folder = TempDir::new()?;
        let (certificate_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        fs::write(&certificate_file, &certificate.certificate)?;
        fs::write(&key_file, &certificate.key)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_muslin"))
            .args(["serve", "--bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0", "--log-format", "json"])
            .args(["--shutdown-delay", "0", "--own-namespace", "muslin"])
            .args(arguments)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--tls-cert")
            .arg(&certificate_file)
            .arg("--tls-key")
            .arg(&key_file)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start muslin")?;
        let log = child.stderr.take().context("muslin has no standard error")?;
        let mut process = Self { child, metrics: String::new(), _folder: folder };
        let (address, metrics) = wait_until_ready(log)?;
        process.metrics = metrics;
        Ok((process, address))
    }

    fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill ended with {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked to stop it gives the lease up, for which the next one would wait otherwise. One that hangs does not stop.
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

/// Reads the log until the server serves and knows the namespaces; the addresses that it serves reviews and metrics at.
fn wait_until_ready(log: impl std::io::Read + Send + 'static) -> Result<(String, String)> {
    let (sender, lines) = std::sync::mpsc::channel();
    // The log is read to its end, so that the server never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
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
}
