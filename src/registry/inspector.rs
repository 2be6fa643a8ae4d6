//! Inspects images: finds the manifest for a platform, reads its layers, each once for all images that share it, and makes of them
//! the facts that are kept. Must not know how registries or archives are spoken to.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::archive::Archive;
use super::digest::Digest;
use super::error::{Error, Subject};
use super::layer::Layer;
use super::limits::Limits;
use super::manifest::{self, Descriptor, Document, ImageConfig};
use super::platform::Platform;
use super::remote::Remote;
use crate::image::contents::{Config, EvidenceFile, ImageFacts, Invocation, LayerFacts, Tree};

/// How many layers the cache is laid out for.
const LAYERS_ESTIMATE: usize = 256;

/// How much of an image is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All layers: the facts answer for any command.
    Whole,
    /// From the top down, until it is certain what the image's own command runs. What a higher layer holds, no lower one can
    /// change; so the search ends with the first layer from which the answer follows without a file that was not read. The
    /// facts are then [`partial`](ImageFacts::partial) and answer for that command alone.
    OwnCommand,
}

/// Where an image is.
#[derive(Clone, Debug)]
pub enum Source {
    /// On disk.
    Archive(Arc<Archive>),
    /// In a registry.
    Remote(Arc<Remote>),
}

/// What was read of an image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The digest of the manifest for the platform; `None` in an archive that has no manifest.
    pub manifest: Option<Digest>,
    /// The platform that the image itself names.
    pub platform: Platform,
    /// What is kept of it.
    pub facts: ImageFacts,
    /// The files from which it follows what its own command is; their layers counted from the base up.
    pub evidence: Vec<EvidenceFile>,
    /// The digests of all layers as they are stored, from the base up.
    pub layers: Vec<Digest>,
}

/// Inspects images.
#[derive(Debug)]
pub struct Inspector {
    limits: Limits,
    /// By the digest of the layer as it is stored.
    stored: Cache<Digest, Layer, Bytes>,
    /// By the digest of the layer once decompressed: the same layer in another registry may be compressed otherwise.
    unpacked: Cache<Digest, Layer, Bytes>,
}

/// Weighs what is cached by the memory that it takes.
#[derive(Clone, Debug)]
struct Bytes;

/// One image of a source, for one platform.
struct Image {
    manifest: Option<Digest>,
    config: ImageConfig,
    layers: Vec<Descriptor>,
}

// === impl Inspector ===

impl Inspector {
    /// An inspector that keeps `cache_bytes` of layers' facts. An Alpine base takes some 50 KiB, a Debian one some 400 KiB.
    pub fn new(limits: Limits, cache_bytes: u64) -> Self {
        Self {
            limits,
            stored: Cache::with_weighter(LAYERS_ESTIMATE, cache_bytes, Bytes),
            unpacked: Cache::with_weighter(LAYERS_ESTIMATE, cache_bytes, Bytes),
        }
    }

    /// Inspects the image of `source` for `platform`.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn inspect(&self, source: &Source, platform: &Platform, depth: Depth) -> Result<Inspection, Error> {
        let limit = self.limits.total;
        let inspection = async {
            let image = self.image(source, platform).await?;
            self.read(source, image, depth).await
        };
        let late = || Error::Slow { what: "the inspection".to_owned(), limit };
        tokio::time::timeout(limit, inspection).await.map_err(|_| late())?
    }

    /// The platforms that an image is there for, as its index names them; one that has no index is asked itself.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn platforms(&self, source: &Source) -> Result<Vec<Platform>, Error> {
        let limit = self.limits.total;
        let listing = async {
            match source.root().await? {
                (_, Document::Index(entries)) => Ok(offered(&entries)),
                (_, Document::Manifest { config, .. }) => {
                    Ok(vec![ImageConfig::parse(&source.document(&config, Subject::Config).await?)?.platform])
                }
            }
        };
        let late = || Error::Slow { what: "listing the platforms".to_owned(), limit };
        tokio::time::timeout(limit, listing).await.map_err(|_| late())?
    }

    /// Finds the manifest for a platform, through indexes, and reads its configuration.
    async fn image(&self, source: &Source, platform: &Platform) -> Result<Image, Error> {
        let (mut digest, mut document) = source.root().await?;
        let mut depth = 0;
        loop {
            match document {
                Document::Manifest { config, layers } => {
                    if !config.is_image_config() {
                        let problem = format!("it is no container image: its configuration is `{}`", config.media_type);
                        return Err(Error::malformed(Subject::Manifest, problem));
                    }
                    let config = ImageConfig::parse(&source.document(&config, Subject::Config).await?)?;
                    if config.platform.os == "windows" {
                        return Err(Error::Windows);
                    }
                    if config.platform.fitness(platform).is_none() {
                        return Err(Error::NoPlatform { wanted: platform.clone(), offered: vec![config.platform] });
                    }
                    return Ok(Image { manifest: digest, config, layers });
                }
                Document::Index(entries) => {
                    depth += 1;
                    if depth > self.limits.index_depth {
                        return Err(Error::too_many("indexes in one another", self.limits.index_depth));
                    }
                    let chosen = choose(&entries, platform)?;
                    let bytes = source.document(chosen, Subject::Manifest).await?;
                    (digest, document) = (Some(chosen.digest.clone()), Document::parse(&bytes, &self.limits)?);
                }
            }
        }
    }

    async fn read(&self, source: &Source, image: Image, depth: Depth) -> Result<Inspection, Error> {
        let Image { manifest, config: ImageConfig { platform, process, diff_ids }, layers } = image;
        if layers.len() != diff_ids.len() {
            let problem = format!("it names {} layers, and the manifest {}", diff_ids.len(), layers.len());
            return Err(Error::malformed(Subject::Config, problem));
        }
        let mut read: Vec<Layer> = Vec::new();
        let mut bytes = 0;
        let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        // From the top down: a higher layer outranks those below, so that these may not be needed.
        for (left, (descriptor, diff_id)) in layers.iter().zip(&diff_ids).enumerate().rev() {
            let layer = match self.layer(source, descriptor, diff_id).await {
                // It is kept elsewhere, where nobody looks. What is below it may be hidden by it, and is of no use.
                Err(_) if descriptor.is_foreign() => {
                    let (facts, evidence) = conclude(&read, &process, left + 1).await?;
                    return Ok(Inspection { manifest, platform, facts, evidence, layers: digests });
                }
                layer => layer?,
            };
            bytes += layer.facts.bytes();
            let limit_bytes = self.limits.image_facts_bytes;
            if bytes > limit_bytes {
                return Err(Error::TooLarge { subject: Subject::Facts, limit_bytes: limit_bytes as u64 });
            }
            read.push(layer);
            if left > 0 && depth == Depth::OwnCommand {
                let (facts, evidence) = conclude(&read, &process, left).await?;
                if facts.process(&Invocation::default()).is_ok() {
                    return Ok(Inspection { manifest, platform, facts, evidence, layers: digests });
                }
            }
        }
        let (facts, evidence) = conclude(&read, &process, 0).await?;
        Ok(Inspection { manifest, platform, facts, evidence, layers: digests })
    }

    /// A layer's facts, from the cache if they are there. Of several that ask at once, one reads, and all get what it read.
    async fn layer(&self, source: &Source, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer, Error> {
        if let Some(known) = self.unpacked.get(diff_id) {
            return Ok(known);
        }
        let layer = self.stored.get_or_insert_async(&descriptor.digest, source.layer(descriptor)).await?;
        if layer.diff_id != *diff_id {
            return Err(Error::WrongDigest {
                subject: Subject::UnpackedLayer,
                expected: diff_id.clone(),
                actual: layer.diff_id,
            });
        }
        self.unpacked.insert(diff_id.clone(), layer.clone());
        Ok(layer)
    }
}

/// What follows from layers, which were read from the top down; so many are left. On a thread of its own: an image may be made so
/// that it takes a while.
async fn conclude(read: &[Layer], process: &Config, left: usize) -> Result<(ImageFacts, Vec<EvidenceFile>), Error> {
    let (read, process) = (read.to_vec(), process.clone());
    blocking(move || {
        let mut tree = Tree::default();
        let layers: Vec<&LayerFacts> = read.iter().rev().map(|layer| &*layer.facts).collect();
        layers.iter().for_each(|layer| tree.lay(layer));
        let facts = ImageFacts::new(&tree, process, left > 0);
        let mut evidence = facts.evidence_files(&Invocation::default(), &tree, &layers);
        evidence.iter_mut().for_each(|file| file.layer += left);
        Ok((facts, evidence))
    })
    .await
}

/// The entry of an index that fits best; the first of those that fit alike, as containerd chooses.
fn choose<'a>(entries: &'a [Descriptor], wanted: &Platform) -> Result<&'a Descriptor, Error> {
    let images = || entries.iter().filter(|entry| !entry.is_attestation());
    let fitting = images().filter_map(|entry| Some((entry.platform.as_ref()?.fitness(wanted)?, entry)));
    let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
    // An archive's index names no platform; the configuration then tells.
    let unnamed = || images().find(|entry| !entry.platform.as_ref().is_some_and(Platform::is_named));
    best.map(|(_, entry)| entry)
        .or_else(unnamed)
        .ok_or_else(|| Error::NoPlatform { wanted: wanted.clone(), offered: offered(entries) })
}

fn offered(entries: &[Descriptor]) -> Vec<Platform> {
    entries.iter().filter(|entry| !entry.is_attestation()).filter_map(|entry| entry.platform.clone()).collect()
}

// === impl Source ===

impl Source {
    /// The index or manifest from which to start, and its digest if it has one.
    async fn root(&self) -> Result<(Option<Digest>, Document), Error> {
        match self {
            Self::Archive(archive) => Ok((None, archive.root().clone())),
            Self::Remote(remote) => remote.root().await.map(|(digest, document)| (Some(digest), document)),
        }
    }

    async fn document(&self, descriptor: &Descriptor, subject: Subject) -> Result<Vec<u8>, Error> {
        match self {
            Self::Archive(archive) => {
                let (archive, descriptor) = (Arc::clone(archive), descriptor.clone());
                blocking(move || archive.document(&descriptor, subject)).await
            }
            Self::Remote(remote) => {
                let bytes = remote.document(descriptor, subject).await?;
                manifest::check(&bytes, descriptor, subject)?;
                Ok(bytes)
            }
        }
    }

    async fn layer(&self, descriptor: &Descriptor) -> Result<Layer, Error> {
        match self {
            Self::Archive(archive) => {
                let (archive, descriptor) = (Arc::clone(archive), descriptor.clone());
                blocking(move || archive.layer(&descriptor)).await
            }
            Self::Remote(remote) => remote.layer(descriptor).await,
        }
    }
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(read).await.map_err(|_| Error::Cancelled)?
}

// === impl Bytes ===

impl Weighter<Digest, Layer> for Bytes {
    fn weight(&self, _: &Digest, layer: &Layer) -> u64 {
        layer.facts.bytes() as u64 + 256
    }
}
