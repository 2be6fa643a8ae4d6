//! A real registry, Debian's `docker-registry`, on a port of its own, and pushing images into it.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::common::image::{self, Image};

/// Time for the registry to listen.
const START: Duration = Duration::from_secs(30);

/// The user name, if the registry requires a login.
const USER: &str = "puller";

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
    /// The required password.
    password: Option<String>,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn start() -> Result<Self> {
        Self::configured(None, None)
    }

    /// A registry with TLS, by this certificate and key.
    pub(crate) fn with_certificate(certificate: &str, key: &str) -> Result<Self> {
        Self::configured(None, Some((certificate, key)))
    }

    /// A registry that requires the user `puller` and this password.
    pub(crate) fn with_password(password: &str) -> Result<Self> {
        Self::configured(Some(password), None)
    }

    fn configured(password: Option<&str>, certificate: Option<(&str, &str)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let users = folder.path().join("users");
        let mut more = String::new();
        if let Some(password) = password {
            fs::write(&users, image::run("htpasswd", &["-Bbn", USER, password])?)?;
            more = format!("auth: {{htpasswd: {{realm: muslin, path: {}}}}}\n", users.display());
        }
        let mut tls = String::new();
        if let Some((certificate, key)) = certificate {
            let (certificate_path, key_path) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
            fs::write(&certificate_path, certificate)?;
            fs::write(&key_path, key)?;
            tls = format!(", tls: {{certificate: {}, key: {}}}", certificate_path.display(), key_path.display());
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let root = folder.path().join("storage");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}{tls}}}\n{more}",
            root.display()
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start docker-registry; tests/registry/tools installs it")?;
        let mut registry = Self { process, address, folder, password: password.map(str::to_owned) };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = registry.process.try_wait()? {
                bail!("docker-registry ended ({status}): {}", fs::read_to_string(registry.folder.path().join("log"))?);
            }
            if Instant::now() > deadline {
                bail!("docker-registry does not listen on {address} within {START:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Pushes an image, or the images of several platforms.
    pub(crate) fn push(&self, name: &str, images: &[Image]) -> Result<()> {
        let folder = tempfile::tempdir()?;
        image::layout(folder.path(), images)?;
        self.push_layout(name, folder.path())
    }

    pub(crate) fn push_layout(&self, name: &str, folder: &Path) -> Result<()> {
        let from = format!("oci:{}", folder.display());
        let to = format!("docker://{}/{name}", self.address);
        let arguments = ["copy", "-q", "--all", "--preserve-digests", "--insecure-policy", "--dest-tls-verify=false"];
        let login = self.password.as_ref().map(|password| format!("--dest-creds={USER}:{password}"));
        let login: Vec<&str> = login.iter().map(String::as_str).collect();
        image::run("skopeo", &[arguments.as_slice(), &login, &[&from, &to]].concat()).map(drop)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
