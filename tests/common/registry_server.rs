//! Servers whose answers a test chooses: those of a registry, from an image on disk, or answers that no registry should give.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use muslin::registry::ClientSettings;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::image::{Image, layout};

/// A request that was read, and its connection.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a str,
    /// The head of the request, and the body after it.
    pub(crate) head: &'a str,
    pub(crate) stream: &'a mut TcpStream,
}

/// A server with chosen answers, which records its requests.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

/// An image that is served as by a registry.
pub(crate) struct ServedImage {
    folder: TempDir,
    manifest: String,
}

// === impl Request ===

impl Request<'_> {
    pub(crate) fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        // A client that hung up gets no answer.
        let _ = self.stream.write_all(head.as_bytes()).and_then(|()| self.stream.write_all(b"\r\n"));
        let _ = self.stream.write_all(body);
    }

    pub(crate) fn manifest(&mut self, body: &[u8]) {
        self.answer("200 OK", &[("Content-Type", "application/vnd.oci.image.index.v1+json")], body);
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(header, value)| header.eq_ignore_ascii_case(name).then(|| value.trim()))
    }
}

// === impl Server ===

impl Server {
    pub(crate) fn start(ip: &str, answer: impl Fn(&mut Request<'_>) + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        // Ends with the test program.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    while let Some(head) = read_request(&mut stream) {
                        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
                        answer(&mut Request { path: &path, head: &head, stream: &mut stream });
                    }
                });
            }
        });
        Ok(Self { address, requests })
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of requests whose first line contains `part`.
    pub(crate) fn count_requests(&self, part: &str) -> usize {
        self.requests().iter().filter(|head| head.lines().next().is_some_and(|line| line.contains(part))).count()
    }
}

/// Reads a request; returns its head and its body.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

// === impl ServedImage ===

impl ServedImage {
    pub(crate) fn new(image: &Image) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        layout(folder.path(), std::slice::from_ref(image))?;
        let index: Value = serde_json::from_slice(&fs::read(folder.path().join("index.json"))?)?;
        let manifest = index["manifests"][0]["digest"].as_str().context("it has a manifest")?.to_owned();
        Ok(Self { folder, manifest })
    }

    /// Answers as a registry that has this image under every name.
    pub(crate) fn answer(&self, request: &mut Request<'_>) {
        match self.body(request.path) {
            Some(bytes) if request.path.contains("/manifests/") => {
                request.answer("200 OK", &[("Content-Type", "application/vnd.oci.image.manifest.v1+json")], &bytes);
            }
            Some(bytes) => request.answer("200 OK", &[], &bytes),
            None => request.answer("404 Not Found", &[], b""),
        }
    }

    /// Returns the body of the answer at this path, if there is one.
    pub(crate) fn body(&self, path: &str) -> Option<Vec<u8>> {
        let wanted = path.rsplit('/').next().unwrap_or_default();
        self.blob(if path.contains("/manifests/") && !wanted.contains(':') { &self.manifest } else { wanted })
    }

    fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        let digits = digest.strip_prefix("sha256:")?;
        fs::read(Path::new(self.folder.path()).join("blobs/sha256").join(digits)).ok()
    }
}

/// Settings that allow the servers of the test.
pub(crate) fn settings_for(servers: &[SocketAddr]) -> ClientSettings {
    ClientSettings {
        plain_http: servers.iter().map(ToString::to_string).collect(),
        allowed: servers.iter().filter_map(|server| server.ip().to_string().parse().ok()).collect(),
        ..ClientSettings::default()
    }
}
