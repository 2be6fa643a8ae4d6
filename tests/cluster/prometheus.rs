//! A real Prometheus beside a test: Debian's package, which `scripts/test` installs. Gone when dropped.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::replicas::wait;
use crate::common::component::dying_with_this_thread;

/// A running Prometheus, which reads its targets every second.
pub(crate) struct Prometheus {
    child: Child,
    address: String,
    folder: TempDir,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts a Prometheus with these `scrape_configs`.
    pub(crate) fn start(targets: &[Value]) -> Result<Self> {
        let folder = TempDir::new()?;
        let config =
            json!({ "global": { "scrape_interval": "1s", "scrape_timeout": "1s" }, "scrape_configs": targets });
        fs::write(folder.path().join("prometheus.yml"), config.to_string())?;
        // Free for a moment; the test would fail, and not be wrong, if another program took the port.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = File::create(folder.path().join("log"))?;
        let child = dying_with_this_thread(Path::new("prometheus"))
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start prometheus, which scripts/test installs")?;
        let prometheus = Self { child, address, folder };
        wait("ready Prometheus", || Ok(prometheus.get("/-/ready").is_ok_and(|(status, _)| status == "200")))
            .with_context(|| fs::read_to_string(prometheus.folder.path().join("log")).unwrap_or_default())?;
        Ok(prometheus)
    }

    /// Returns the queries that have no data now, or only what is no number.
    pub(crate) fn without_data<'q>(&self, queries: impl Iterator<Item = &'q String>) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for query in queries {
            let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
            let (status, body) = self.get(&format!("/api/v1/query?query={encoded}"))?;
            ensure!(status == "200", "{query}: {body}");
            let answer: Value = serde_json::from_str(&body)?;
            let results = answer["data"]["result"].as_array().with_context(|| body.clone())?;
            let has_number = |result: &Value| result["value"][1].as_str().is_some_and(|value| value != "NaN");
            if !results.iter().any(has_number) {
                missing.push(query.clone());
            }
        }
        Ok(missing)
    }

    fn get(&self, path: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        // HTTP/1.0, so that the body comes in one piece.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        let status = head.split(' ').nth(1).context("the answer has no status")?;
        Ok((status.to_owned(), body.to_owned()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only for a program that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
