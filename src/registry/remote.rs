//! One image of a registry, by the OCI distribution protocol: where it is, through mirrors, its manifests and its layers, which
//! are decompressed as they arrive. Must not know HTTP's details, nor what layers hold.

use std::io::{self, Read};
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{OnceCell, mpsc};

use super::client::{Client, Parts};
use super::digest::Digest;
use super::error::{Error, Subject};
use super::layer::{self, Layer};
use super::manifest::{ACCEPT, Descriptor, Document};
use crate::image::Reference;

/// How many parts of a body are kept ahead of its reader. A part has at most what one read of the socket gives.
const AHEAD: usize = 2;
/// How often a layer is begun in all, if the connection breaks in the middle of it.
const LAYER_ATTEMPTS: u32 = 2;

/// One image of a registry.
#[derive(Debug)]
pub struct Remote {
    client: Arc<Client>,
    /// Where it may be: mirrors, then the registry itself.
    places: Vec<Place>,
    /// A tag or a digest.
    wanted: String,
    digest: Option<Digest>,
    /// Which place had it, and what it had.
    found: OnceCell<(usize, Digest, Document)>,
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    repository: String,
}

/// Reads what arrives elsewhere.
struct Arriving {
    parts: mpsc::Receiver<Result<Bytes, Error>>,
    part: Bytes,
}

// === impl Remote ===

impl Remote {
    /// The image that a reference names. Nothing is asked yet.
    ///
    /// # Errors
    /// Its digest is by an algorithm that is not known.
    pub fn new(client: Arc<Client>, reference: &Reference<'_>) -> Result<Self, Error> {
        let digest = reference.digest().map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|error| Error::NoImage(error.to_string()))?;
        let wanted = reference.digest().or(reference.tag()).unwrap_or("latest").to_owned();
        let places = places(&client, reference);
        Ok(Self { client, places, wanted, digest, found: OnceCell::new() })
    }

    /// The index or manifest that the reference names.
    pub(super) async fn root(&self) -> Result<(Digest, Document), Error> {
        let (_, digest, document) = self.found.get_or_try_init(|| self.find()).await?;
        Ok((digest.clone(), document.clone()))
    }

    async fn find(&self) -> Result<(usize, Digest, Document), Error> {
        let mut last = Error::Cancelled;
        for (at, place) in self.places.iter().enumerate() {
            match self.manifest(place, &self.wanted, self.digest.as_ref()).await {
                Ok((digest, bytes)) => return Ok((at, digest, Document::parse(&bytes, &self.client.limits)?)),
                // A mirror need not have it; what the registry itself says is told.
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A manifest, and its digest.
    async fn manifest(&self, place: &Place, wanted: &str, digest: Option<&Digest>) -> Result<(Digest, Vec<u8>), Error> {
        let Place { host, repository } = place;
        let path = format!("/v2/{repository}/manifests/{wanted}");
        let answer = self.client.get(host, repository, &path, Some(ACCEPT)).await?;
        let announced =
            answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse().ok());
        let limit = self.client.limits.document_bytes;
        let bytes = self.client.small(host, answer.into_body(), Subject::Manifest, limit).await?;
        let Some(expected) = digest.cloned().or(announced) else { return Ok((Digest::sha256(&bytes), bytes)) };
        let actual = expected.of_same_kind(&bytes);
        if actual == expected {
            Ok((actual, bytes))
        } else {
            Err(Error::WrongDigest { subject: Subject::Manifest, expected, actual })
        }
    }

    async fn place(&self) -> Result<&Place, Error> {
        let (at, ..) = self.found.get_or_try_init(|| self.find()).await?;
        self.places.get(*at).ok_or(Error::Cancelled)
    }

    /// A manifest or configuration. The caller compares it with its descriptor.
    pub(super) async fn document(&self, descriptor: &Descriptor, subject: Subject) -> Result<Vec<u8>, Error> {
        let place = self.place().await?;
        let limit_bytes = self.client.limits.document_bytes;
        if descriptor.size > limit_bytes {
            return Err(Error::TooLarge { subject, limit_bytes });
        }
        if subject == Subject::Manifest {
            return Ok(self.manifest(place, descriptor.digest.as_str(), Some(&descriptor.digest)).await?.1);
        }
        let Place { host, repository } = place;
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let answer = self.client.get(host, repository, &path, None).await?;
        self.client.small(host, answer.into_body(), subject, limit_bytes).await
    }

    /// A layer's facts. A mirror that has the manifest need not have all of its layers.
    pub(super) async fn layer(&self, descriptor: &Descriptor) -> Result<Layer, Error> {
        let (at, ..) = self.found.get_or_try_init(|| self.find()).await?;
        let mut last = Error::Cancelled;
        for place in self.places.iter().skip(*at) {
            match self.layer_at(place, descriptor).await {
                Ok(layer) => return Ok(layer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn layer_at(&self, place: &Place, descriptor: &Descriptor) -> Result<Layer, Error> {
        let mut attempt = 1;
        loop {
            match self.stream(place, descriptor).await {
                Err(Error::Transport { .. }) if attempt < LAYER_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn stream(&self, Place { host, repository }: &Place, descriptor: &Descriptor) -> Result<Layer, Error> {
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let answer = self.client.get(host, repository, &path, None).await?;
        let limits = self.client.limits;
        let mut parts = Parts::new(host, answer.into_body(), limits);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let descriptor = descriptor.clone();
        // Ends by itself when the sender is dropped, with this future or at the end of the body.
        let reading = tokio::task::spawn_blocking(move || {
            layer::read(Arriving { parts: receiver, part: Bytes::new() }, &descriptor, &limits)
        });
        while let Some(part) = parts.next().await.transpose() {
            let failed = part.is_err();
            // A reader that has gone has its reasons, and tells them.
            if sender.send(part).await.is_err() || failed {
                break;
            }
        }
        drop(sender);
        reading.await.map_err(|_| Error::Cancelled)?
    }
}

fn places(client: &Client, reference: &Reference<'_>) -> Vec<Place> {
    let repository = reference.repository().into_owned();
    let full = format!("{}/{repository}", reference.registry());
    let mirrors = client.settings.mirrors.iter();
    let rest = |prefix: &str| full.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    // The longest prefix says best what is meant.
    let best = mirrors.filter_map(|mirror| Some((mirror, rest(&mirror.prefix)?))).min_by_key(|(_, rest)| rest.len());
    let mirrored = best.into_iter().flat_map(|(mirror, rest)| {
        mirror.endpoints.iter().filter_map(move |endpoint| {
            let (host, path) = endpoint.split_once('/').unwrap_or((endpoint, ""));
            let repository = format!("{}{rest}", path.trim_end_matches('/')).trim_matches('/').to_owned();
            (!repository.is_empty()).then(|| Place { host: host.to_owned(), repository })
        })
    });
    // Docker Hub's registry is not at its name (distribution/reference knows the name alone).
    let host = if reference.registry() == "docker.io" { "registry-1.docker.io" } else { reference.registry() };
    mirrored.chain([Place { host: host.to_owned(), repository: repository.clone() }]).collect()
}

// === impl Arriving ===

impl Read for Arriving {
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
