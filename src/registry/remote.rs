//! One image in a registry, by the OCI distribution protocol: its endpoint, through mirrors, its manifests and its layers, which are
//! decompressed as they arrive. Must not know HTTP's details, nor the content of layers.

use std::io::{self, Read};
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{OnceCell, mpsc};

use super::blocking::Blocking;
use super::digest::Digest;
use super::error::{Error, ErrorSubject};
use super::http::{BodyParts, Client, Credentials, read_body};
use super::layer::{Layer, read_layer_unless};
use super::manifest::{ACCEPT, Descriptor, IndexOrManifest};
use crate::image::Reference;

/// Parts of a body that are kept ahead of its reader. A part is at most one read of the socket.
const PARTS_AHEAD: usize = 2;
/// Attempts to read a layer whose connection breaks in the middle.
const LAYER_ATTEMPTS: u32 = 2;

/// One image in a registry.
#[derive(Debug)]
pub struct Remote {
    client: Arc<Client>,
    registry: Box<str>,
    /// The mirrors, then the registry itself.
    endpoints: Vec<Endpoint>,
    /// A tag or a digest.
    wanted: String,
    digest: Option<Digest>,
    /// The index of the endpoint that has the image, and what it has.
    found: OnceCell<(usize, Digest, IndexOrManifest)>,
}

/// A repository in a registry or a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    host: String,
    repository: String,
}

/// A blocking reader of a body that arrives in an asynchronous task.
struct ArrivingBody {
    parts: mpsc::Receiver<Result<Bytes, Error>>,
    part: Bytes,
}

// === impl Remote ===

impl Remote {
    /// The image that a reference names. Nothing is requested yet.
    ///
    /// # Errors
    /// The algorithm of its digest is unknown.
    pub fn new(client: Arc<Client>, reference: &Reference<'_>) -> Result<Self, Error> {
        let digest = reference.digest().map(str::parse::<Digest>).transpose()?;
        let wanted = reference.digest().or(reference.tag()).unwrap_or("latest").to_owned();
        let endpoints = endpoints(&client, reference);
        Ok(Self { client, registry: reference.registry().into(), endpoints, wanted, digest, found: OnceCell::new() })
    }

    /// Returns whether credentials have one for the registry of a reference.
    pub(super) fn is_covered(reference: &Reference<'_>, credentials: &Credentials) -> bool {
        credentials.cover(host_of(reference.registry()), &reference.repository())
    }

    /// Returns the name of the registry.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns whether a manifest can be read, by one attempt at each endpoint.
    pub(super) async fn has_manifest(&self, digest: &Digest) -> bool {
        for Endpoint { host, repository } in &self.endpoints {
            let path = format!("/v2/{repository}/manifests/{digest}");
            if self.client.get_once(host, repository, &path, Some(ACCEPT)).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Returns the index or manifest that the reference names, and its digest.
    pub(super) async fn root(&self) -> Result<(Digest, IndexOrManifest), Error> {
        let (_, digest, document) = self.found.get_or_try_init(|| self.find()).await?;
        Ok((digest.clone(), document.clone()))
    }

    /// Finds the first endpoint that has the image.
    async fn find(&self) -> Result<(usize, Digest, IndexOrManifest), Error> {
        let mut last = Error::Cancelled;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            match self.manifest(endpoint, &self.wanted, self.digest.as_ref()).await {
                Ok((digest, bytes)) => return Ok((at, digest, IndexOrManifest::parse(&bytes, &self.client.limits)?)),
                // A mirror need not have the image; the error of the registry itself is the last.
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Reads a manifest; returns its digest and its bytes.
    async fn manifest(
        &self,
        endpoint: &Endpoint,
        wanted: &str,
        digest: Option<&Digest>,
    ) -> Result<(Digest, Vec<u8>), Error> {
        let Endpoint { host, repository } = endpoint;
        let path = format!("/v2/{repository}/manifests/{wanted}");
        let answer = self.client.get(host, repository, &path, Some(ACCEPT)).await?;
        let announced =
            answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse().ok());
        let limit = self.client.limits.document_bytes;
        let parts = BodyParts::new(host, answer.into_body(), self.client.limits);
        let bytes = read_body(parts, ErrorSubject::Manifest, limit).await?;
        let Some(expected) = digest.cloned().or(announced) else { return Ok((Digest::sha256(&bytes), bytes)) };
        let actual = expected.with_same_algorithm(&bytes);
        if actual == expected {
            Ok((actual, bytes))
        } else {
            Err(Error::WrongDigest { subject: ErrorSubject::Manifest, expected, actual })
        }
    }

    async fn endpoint(&self) -> Result<&Endpoint, Error> {
        let (at, ..) = self.found.get_or_try_init(|| self.find()).await?;
        self.endpoints.get(*at).ok_or(Error::Cancelled)
    }

    /// Reads a manifest or configuration. The caller compares it with its descriptor.
    pub(super) async fn document(&self, descriptor: &Descriptor, subject: ErrorSubject) -> Result<Vec<u8>, Error> {
        let endpoint = self.endpoint().await?;
        let limit_bytes = self.client.limits.document_bytes;
        if descriptor.size > limit_bytes {
            return Err(Error::TooLarge { subject, limit_bytes });
        }
        if subject == ErrorSubject::Manifest {
            return Ok(self.manifest(endpoint, descriptor.digest.as_str(), Some(&descriptor.digest)).await?.1);
        }
        let Endpoint { host, repository } = endpoint;
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let answer = self.client.get(host, repository, &path, None).await?;
        let parts = BodyParts::new(host, answer.into_body(), self.client.limits);
        read_body(parts, subject, limit_bytes).await
    }

    /// Reads a layer. A mirror that has the manifest need not have all of its layers.
    pub(super) async fn layer(&self, descriptor: &Descriptor) -> Result<Layer, Error> {
        let (at, ..) = self.found.get_or_try_init(|| self.find()).await?;
        let mut last = Error::Cancelled;
        for endpoint in self.endpoints.iter().skip(*at) {
            match self.layer_from(endpoint, descriptor).await {
                Ok(layer) => return Ok(layer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn layer_from(&self, endpoint: &Endpoint, descriptor: &Descriptor) -> Result<Layer, Error> {
        let mut attempt = 1;
        loop {
            match self.stream_layer(endpoint, descriptor).await {
                Err(Error::Transport { .. }) if attempt < LAYER_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// Reads a layer as it arrives.
    async fn stream_layer(
        &self,
        Endpoint { host, repository }: &Endpoint,
        descriptor: &Descriptor,
    ) -> Result<Layer, Error> {
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let answer = self.client.get(host, repository, &path, None).await?;
        let limits = self.client.limits;
        let mut parts = BodyParts::new(host, answer.into_body(), limits);
        let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
        let descriptor = descriptor.clone();
        // The thread ends with this future, or at the end of the body.
        let reading = Blocking::start(move |is_cancelled| {
            let body = ArrivingBody { parts: receiver, part: Bytes::new() };
            read_layer_unless(is_cancelled, body, &descriptor, &limits)
        });
        while let Some(part) = parts.next().await.transpose() {
            let failed = part.is_err();
            // A reader that has ended returns its own error below.
            if sender.send(part).await.is_err() || failed {
                break;
            }
        }
        drop(sender);
        reading.result().await
    }
}

/// Returns the mirrors for a reference, then its registry.
fn endpoints(client: &Client, reference: &Reference<'_>) -> Vec<Endpoint> {
    let repository = reference.repository().into_owned();
    let full = format!("{}/{repository}", reference.registry());
    let mirrors = client.settings.mirrors.iter();
    let rest = |prefix: &str| full.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    // The longest prefix is the most specific.
    let best = mirrors.filter_map(|mirror| Some((mirror, rest(&mirror.prefix)?))).min_by_key(|(_, rest)| rest.len());
    let mirrored = best.into_iter().flat_map(|(mirror, rest)| {
        mirror.endpoints.iter().filter_map(move |endpoint| {
            let (host, path) = endpoint.split_once('/').unwrap_or((endpoint, ""));
            let repository = format!("{}{rest}", path.trim_end_matches('/')).trim_matches('/').to_owned();
            (!repository.is_empty()).then(|| Endpoint { host: host.to_owned(), repository })
        })
    });
    let host = host_of(reference.registry()).to_owned();
    mirrored.chain([Endpoint { host, repository: repository.clone() }]).collect()
}

/// Returns the host of a registry. Docker Hub's has another name than the registry (distribution/reference knows the name alone).
fn host_of(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

// === impl ArrivingBody ===

impl Read for ArrivingBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.part.len());
        buffer[..length].copy_from_slice(&self.part.split_to(length));
        Ok(length)
    }
}
