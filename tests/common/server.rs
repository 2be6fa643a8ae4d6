//! A server under load: a child process that writes its URL to stdout and, if it made its own certificate, its CA. Must not know
//! the load.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::common::process::{Child, Process};

/// Time limit until a server has written its URL. muslin's own goal is 300 ms; the rest is for a busy
/// machine.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// The last line of a certificate in PEM.
const PEM_END: &str = "-----END CERTIFICATE-----";

/// A ready server.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    url: String,
    ca_pem: String,
}

// === impl Server ===

impl Server {
    /// muslin without a cluster, in mode `inject`, with this profile.
    pub(crate) async fn muslin(name: &'static str, program: &Path, profile: &str, logs: bool) -> Result<Self> {
        let arguments = "serve --standalone --bind 127.0.0.1:0 --metrics-bind 127.0.0.1:0 --mode inject --profile"
            .split(' ')
            .chain([profile])
            .map(String::from);
        Self::start(name, program, &arguments.collect::<Vec<_>>(), None, logs).await
    }

    /// This program again, as the echo server.
    pub(crate) async fn echo(answer_bytes: usize, logs: bool) -> Result<Self> {
        let program = std::env::current_exe().context("find the benchmark's own program")?;
        let arguments = ["--serve-echo".to_owned(), answer_bytes.to_string()];
        Self::start("echo", &program, &arguments, None, logs).await
    }

    /// The echo server, walking over the JSON of each review.
    pub(crate) async fn walk(answer_bytes: usize, logs: bool) -> Result<Self> {
        let program = std::env::current_exe().context("find the benchmark's own program")?;
        let arguments = ["--serve-echo".to_owned(), answer_bytes.to_string(), "--walk".to_owned()];
        Self::start("echo that walks", &program, &arguments, None, logs).await
    }

    /// Starts a program and waits until it is ready: its first line is its URL. Unless its CA is given, the CA's
    /// certificate follows as PEM.
    pub(crate) async fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        ca_pem: Option<String>,
        logs: bool,
    ) -> Result<Self> {
        let mut child = Child::spawn(program, arguments, logs)?;
        let mut lines = child.lines()?;
        let ready = async {
            let url = lines.recv().await.context("it ended before it wrote its URL")?;
            let ca_pem = match ca_pem {
                Some(known) => known,
                None => read_certificate(&mut lines).await?,
            };
            anyhow::Ok((url, ca_pem))
        };
        let (url, ca_pem) = timeout(START_DEADLINE, ready)
            .await
            .with_context(|| format!("it was not ready after {START_DEADLINE:?}"))
            .flatten()
            .with_context(|| format!("start {name} (--server-logs shows what it says)"))?;
        Ok(Self { name, child, url, ca_pem })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the URL for reviews, such as `https://127.0.0.1:40123/mutate`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the CA of its certificate.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn process(&self) -> Process {
        self.child.process()
    }
}

async fn read_certificate(lines: &mut UnboundedReceiver<String>) -> Result<String> {
    let mut pem = String::new();
    while !pem.trim_end().ends_with(PEM_END) {
        pem.push_str(&lines.recv().await.context("it ended before it wrote its CA certificate")?);
        pem.push('\n');
    }
    Ok(pem)
}
