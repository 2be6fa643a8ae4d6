//! A registry in the hands of the tenant: images of any content, each as fast as it pleases, and one of the honest people. Must not know
//! what muslin makes of them.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use muslin::registry::Digest;
use serde_json::{Value, json};

use crate::common::image::Entry::{Link, Part, Text};
use crate::common::image::{Entry, Image, Packing, layer, pack, parts};
use crate::common::registry_server::{Request, ServedImage, Server};

/// The repository of the image that honest pods have.
pub(crate) const HONEST: &str = "honest";

/// The pause after each KiB of a slow answer.
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// The time for which a silent registry keeps a connection.
const SILENCE: Duration = Duration::from_secs(60);

/// Files that make an image one of Alpine.
pub(crate) const ALPINE: [Entry<'static>; 4] = [
    Part("lib/ld-musl-x86_64.so.1", "ld-musl"),
    Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"),
    Text("etc/os-release", "ID=alpine\nVERSION_ID=3.16.2\n"),
    Text("lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.3-r3\nA:x86_64\n\n"),
];

/// A registry on loopback.
pub(crate) struct TenantRegistry {
    pub(crate) address: SocketAddr,
    parts: PathBuf,
    repositories: Arc<Mutex<HashMap<String, Repository>>>,
    _server: Server,
}

/// The way in which a repository answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    AtOnce,
    /// 10 KB a second.
    Slow,
    /// Nothing.
    Silent,
    /// A head, and no body.
    HeadOnly,
}

struct Repository {
    pace: Pace,
    content: Content,
}

enum Content {
    /// One image under every tag.
    One(ServedImage),
    /// Another image under every tag, with the same layer.
    Many { layer: Vec<u8>, diff_id: Digest, blobs: Mutex<HashMap<String, Vec<u8>>> },
}

// === impl TenantRegistry ===

impl TenantRegistry {
    /// Starts the registry, with the honest image in it.
    pub(crate) fn start() -> Result<Self> {
        let repositories: Arc<Mutex<HashMap<String, Repository>>> = Arc::default();
        let answering = Arc::clone(&repositories);
        let server = Server::start("127.0.0.1", move |request| answer(&answering, request))?;
        let registry = Self { address: server.address, parts: parts()?, repositories, _server: server };
        registry.add(HONEST, Pace::AtOnce, &[], &["/app/server"])?;
        Ok(registry)
    }

    /// Returns the flags that make muslin inspect the images of this registry.
    pub(crate) fn flags(&self) -> Vec<String> {
        let address = self.address.to_string();
        let flags = ["--inspect-images", "--allow-network", "127.0.0.1", "--plain-http", &address];
        flags.map(str::to_owned).to_vec()
    }

    /// Returns the reference of a repository with a tag.
    pub(crate) fn reference(&self, repository: &str, tag: impl std::fmt::Display) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// Adds a repository with one image: Alpine with a shell, a server, and these files.
    pub(crate) fn add(&self, name: &str, pace: Pace, files: &[Entry<'_>], entrypoint: &[&str]) -> Result<()> {
        let layer = self.layer(files)?;
        let image = Image::new(vec![layer], json!({ "Entrypoint": entrypoint }));
        self.insert(name, Repository { pace, content: Content::One(ServedImage::new(&image)?) });
        Ok(())
    }

    /// Adds a repository with another image for each tag, with these files in all of them.
    pub(crate) fn add_many(&self, name: &str, pace: Pace, files: &[Entry<'_>]) -> Result<()> {
        let layer = self.layer(files)?;
        let diff_id = Digest::sha256(&layer);
        let content = Content::Many { layer: pack(&layer, Packing::Gzip)?, diff_id, blobs: Mutex::default() };
        self.insert(name, Repository { pace, content });
        Ok(())
    }

    fn layer(&self, files: &[Entry<'_>]) -> Result<Vec<u8>> {
        let programs = [Part("bin/sh", "musl-nothing"), Part("app/server", "musl-lookup")];
        layer(&self.parts, &[&ALPINE[..], &programs, files].concat()).context("cannot make a layer")
    }

    fn insert(&self, name: &str, repository: Repository) {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), repository);
    }
}

/// Answers a request at `/v2/REPOSITORY/…`.
fn answer(repositories: &Mutex<HashMap<String, Repository>>, request: &mut Request<'_>) {
    let name = request.path.split('/').nth(2).unwrap_or_default().to_owned();
    let found = {
        let repositories = repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let repository = repositories.get(&name);
        repository.and_then(|Repository { pace, content }| Some((*pace, content.body(request.path)?)))
    };
    let Some((pace, body)) = found else { return request.answer("404 Not Found", &[], b"") };
    let media_type = if request.path.contains("/manifests/") {
        "application/vnd.oci.image.manifest.v1+json"
    } else {
        "application/octet-stream"
    };
    match pace {
        Pace::AtOnce => request.answer("200 OK", &[("Content-Type", media_type)], &body),
        Pace::Silent => thread::sleep(SILENCE),
        Pace::Slow | Pace::HeadOnly => {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut is_open = request.stream.write_all(head.as_bytes()).is_ok();
            if matches!(pace, Pace::HeadOnly) {
                return thread::sleep(SILENCE);
            }
            for chunk in body.chunks(1024) {
                is_open = is_open && request.stream.write_all(chunk).is_ok();
                if !is_open {
                    return;
                }
                thread::sleep(SLOW_PAUSE);
            }
        }
    }
}

// === impl Content ===

impl Content {
    /// Returns the body of the answer at this path, if there is one.
    fn body(&self, path: &str) -> Option<Vec<u8>> {
        let Self::Many { layer, diff_id, blobs } = self else {
            let Self::One(image) = self else { return None };
            return image.body(path);
        };
        let wanted = path.rsplit('/').next()?;
        let packed = Digest::sha256(layer);
        if wanted == packed.to_string() {
            return Some(layer.clone());
        }
        let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = blobs.get(wanted) {
            return Some(blob.clone());
        }
        if wanted.contains(':') {
            return None;
        }
        let config = json!({
            "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "config": { "Entrypoint": ["/app/server"], "Labels": { "tag": wanted } },
        });
        let config = config.to_string().into_bytes();
        let descriptor = |media_type: &str, digest: &Digest, size: usize| -> Value {
            json!({ "mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": digest, "size": size })
        };
        let config_digest = Digest::sha256(&config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config_digest, config.len()),
            "layers": [descriptor("layer.v1.tar+gzip", &packed, layer.len())],
        });
        blobs.insert(config_digest.to_string(), config);
        let manifest = manifest.to_string().into_bytes();
        blobs.insert(Digest::sha256(&manifest).to_string(), manifest.clone());
        Some(manifest)
    }
}
