//! Headless Chromium, spoken to by its own protocol through two pipes. Must not know the page.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Time for the browser to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page, until it is dropped.
pub(crate) struct Browser {
    process: Child,
    to: File,
    from: Receiver<Value>,
    session: String,
    number: u64,
    /// The addresses that the page asked for.
    pub(crate) requests: Vec<String>,
    _profile: TempDir,
}

// === impl Browser ===

impl Browser {
    pub(crate) fn start() -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let (to, from) = (profile.path().join("to"), profile.path().join("from"));
        ensure!(Command::new("mkfifo").args([&to, &from]).status()?.success(), "cannot make pipes");
        // Chromium reads from the file descriptor 3 and writes to 4. In a process group of its own, which ends as a whole.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run \
                      --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
                      --user-data-dir=\"$1\" --remote-debugging-pipe about:blank 3<\"$2\" 4>\"$3\"";
        let process = Command::new("bash")
            .args(["-c", script, "bash"])
            .args([&profile.path().join("profile"), &to, &from])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start Chromium; tests/adoption/tools installs it")?;
        let to = File::options().write(true).open(to)?;
        let answers = BufReader::new(File::open(from)?);
        let (sender, from) = channel();
        thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap_or_default();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let session = String::new();
        let mut browser = Self { process, to, from, session, number: 0, requests: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page.enable", "Network.enable"] {
            browser.call(domain, json!({}))?;
        }
        Ok(browser)
    }

    /// Calls a method of the protocol, and returns its result.
    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let answer = self.next()?;
            if answer["id"] == self.number {
                ensure!(answer["error"].is_null(), "{method}: {answer}");
                return Ok(answer["result"].clone());
            }
        }
    }

    fn next(&mut self) -> Result<Value> {
        let message = self.from.recv_timeout(PATIENCE).context("Chromium does not answer")?;
        if message["method"] == "Network.requestWillBeSent" {
            self.requests.extend(message["params"]["request"]["url"].as_str().map(str::to_owned));
        }
        Ok(message)
    }

    /// Opens a file, and returns when it is loaded.
    pub(crate) fn open(&mut self, file: &Path) -> Result<()> {
        let navigated = self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }))?;
        ensure!(navigated["errorText"].is_null(), "{navigated}");
        while self.next()?["method"] != "Page.loadEventFired" {}
        Ok(())
    }

    /// Sets the width of the window, and the colours that the user prefers: `light` or `dark`.
    pub(crate) fn show_as(&mut self, width: u32, scheme: &str) -> Result<()> {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", feature).map(drop)
    }

    /// Returns the value of an expression of JavaScript.
    pub(crate) fn value(&mut self, expression: &str) -> Result<Value> {
        let result = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }))?;
        if !result["exceptionDetails"].is_null() {
            bail!("{result:#}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// Writes a picture of the whole page.
    pub(crate) fn screenshot(&mut self, file: &Path) -> Result<()> {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }))?;
        let picture = taken["data"].as_str().context("no picture")?;
        Ok(fs::write(file, base64::engine::general_purpose::STANDARD.decode(picture)?)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers end with the browser.
        let _ = self.call("Browser.close", json!({}));
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
