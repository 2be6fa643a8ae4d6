//! Inspects images: selects the manifest for a platform, reads its layers, each once for all images that share it, and reduces them to
//! facts. Must not know the protocols of registries or archives.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::archive::Archive;
use super::digest::Digest;
use super::error::{Error, ErrorSubject};
use super::layer::Layer;
use super::limits::Limits;
use super::manifest::{self, Descriptor, ImageConfig, IndexOrManifest};
use super::platform::Platform;
use super::remote::Remote;
use crate::image::contents::{Config, EvidenceFile, ImageFacts, Invocation, LayerFacts, Tree};

/// The number of layers that the cache is laid out for.
const LAYERS_ESTIMATE: usize = 256;

/// The part of an image to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All layers: the facts answer for any command.
    Whole,
    /// From the top layer down, until the program of the image's own command is certain. A lower layer cannot change a file of a
    /// higher one, so reading ends with the first layer from which the answer follows without an unread file. The facts are then
    /// [`partial`](ImageFacts::partial) and answer for that command alone.
    OwnCommand,
}

/// The place of an image.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// On disk.
    Archive(Arc<Archive>),
    /// In a registry.
    Remote(Arc<Remote>),
}

/// The result of an inspection.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The digest of the manifest for the platform; `None` in an archive that has no manifest.
    pub manifest: Option<Digest>,
    /// The platform that the configuration names.
    pub platform: Platform,
    /// The facts from its layers and configuration.
    pub facts: ImageFacts,
    /// The files from which it follows what its own command is; their layers counted from the base up.
    pub evidence: Vec<EvidenceFile>,
    /// The digests of all stored layers, from the base up.
    pub layers: Vec<Digest>,
}

/// Inspects images.
#[derive(Debug)]
pub struct Inspector {
    limits: Limits,
    /// By the digest of the stored layer.
    stored: Cache<Digest, Layer, LayerBytes>,
    /// By the digest after decompression: another registry may hold the same layer with another compression.
    unpacked: Cache<Digest, Layer, LayerBytes>,
}

/// Weighs a cached layer by its memory.
#[derive(Clone, Debug)]
struct LayerBytes;

/// One image of a source, for one platform.
struct SelectedImage {
    manifest: Option<Digest>,
    config: ImageConfig,
    layers: Vec<Descriptor>,
}

// === impl Inspector ===

impl Inspector {
    /// An inspector that caches `cache_bytes` of layers' facts. An Alpine base takes some 50 KiB, a Debian one some 400 KiB.
    pub fn new(limits: Limits, cache_bytes: u64) -> Self {
        Self {
            limits,
            stored: Cache::with_weighter(LAYERS_ESTIMATE, cache_bytes, LayerBytes),
            unpacked: Cache::with_weighter(LAYERS_ESTIMATE, cache_bytes, LayerBytes),
        }
    }

    /// Inspects the image of `source` for `platform`.
    ///
    /// # Errors
    /// The image cannot be read, or is not for this platform.
    pub async fn inspect(&self, source: &ImageSource, platform: &Platform, depth: Depth) -> Result<Inspection, Error> {
        let limit = self.limits.total;
        let inspection = async {
            let image = self.select(source, platform).await?;
            self.read_layers(source, image, depth).await
        };
        let late = || Error::Slow { what: "the inspection".to_owned(), limit };
        tokio::time::timeout(limit, inspection).await.map_err(|_| late())?
    }

    /// Returns the platforms of an image, from its index or, without one, from its configuration.
    ///
    /// # Errors
    /// The image cannot be read.
    pub async fn platforms(&self, source: &ImageSource) -> Result<Vec<Platform>, Error> {
        let limit = self.limits.total;
        let listing = async {
            match source.root().await? {
                (_, IndexOrManifest::Index(entries)) => Ok(platforms_of(&entries)),
                (_, IndexOrManifest::Manifest { config, .. }) => {
                    Ok(vec![ImageConfig::parse(&source.document(&config, ErrorSubject::Config).await?)?.platform])
                }
            }
        };
        let late = || Error::Slow { what: "listing the platforms".to_owned(), limit };
        tokio::time::timeout(limit, listing).await.map_err(|_| late())?
    }

    /// Selects the manifest for a platform, through indexes, and reads its configuration.
    async fn select(&self, source: &ImageSource, platform: &Platform) -> Result<SelectedImage, Error> {
        let (mut digest, mut document) = source.root().await?;
        let mut depth = 0;
        loop {
            match document {
                IndexOrManifest::Manifest { config, layers } => {
                    if !config.is_image_config() {
                        let problem =
                            format!("it is no container image (its configuration is `{}`)", config.media_type);
                        return Err(Error::malformed(ErrorSubject::Manifest, problem));
                    }
                    let config = ImageConfig::parse(&source.document(&config, ErrorSubject::Config).await?)?;
                    if config.platform.os == "windows" {
                        return Err(Error::Windows);
                    }
                    if config.platform.fitness(platform).is_none() {
                        return Err(Error::NoPlatform { wanted: platform.clone(), offered: vec![config.platform] });
                    }
                    return Ok(SelectedImage { manifest: digest, config, layers });
                }
                IndexOrManifest::Index(entries) => {
                    depth += 1;
                    if depth > self.limits.index_depth {
                        return Err(Error::too_many("nested indexes", self.limits.index_depth));
                    }
                    let chosen = best_entry(&entries, platform)?;
                    let bytes = source.document(chosen, ErrorSubject::Manifest).await?;
                    (digest, document) = (Some(chosen.digest.clone()), IndexOrManifest::parse(&bytes, &self.limits)?);
                }
            }
        }
    }

    /// Reads the layers of an image, from the top down.
    async fn read_layers(&self, source: &ImageSource, image: SelectedImage, depth: Depth) -> Result<Inspection, Error> {
        let SelectedImage { manifest, config: ImageConfig { platform, process, diff_ids }, layers } = image;
        if layers.len() != diff_ids.len() {
            let problem = format!("it lists {} layers and the manifest {}", diff_ids.len(), layers.len());
            return Err(Error::malformed(ErrorSubject::Config, problem));
        }
        let mut read: Vec<Layer> = Vec::new();
        let mut bytes = 0;
        let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        // From the top down: a higher layer hides files of those below, which may not be needed then.
        for (left, (descriptor, diff_id)) in layers.iter().zip(&diff_ids).enumerate().rev() {
            let layer = match self.layer(source, descriptor, diff_id).await {
                // A foreign layer may hide any file of the layers below it, so these are not read.
                Err(_) if descriptor.is_foreign() => {
                    let (facts, evidence) = collect_facts(&read, &process, left + 1).await?;
                    return Ok(Inspection { manifest, platform, facts, evidence, layers: digests });
                }
                layer => layer?,
            };
            bytes += layer.facts.bytes();
            let limit_bytes = self.limits.image_facts_bytes;
            if bytes > limit_bytes {
                return Err(Error::TooLarge { subject: ErrorSubject::Facts, limit_bytes: limit_bytes as u64 });
            }
            read.push(layer);
            if left > 0 && depth == Depth::OwnCommand {
                let (facts, evidence) = collect_facts(&read, &process, left).await?;
                if facts.process(&Invocation::default()).is_ok() {
                    return Ok(Inspection { manifest, platform, facts, evidence, layers: digests });
                }
            }
        }
        let (facts, evidence) = collect_facts(&read, &process, 0).await?;
        Ok(Inspection { manifest, platform, facts, evidence, layers: digests })
    }

    /// Returns a layer, from the cache if possible. Concurrent calls for one layer read it once.
    async fn layer(&self, source: &ImageSource, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer, Error> {
        if let Some(known) = self.unpacked.get(diff_id) {
            return Ok(known);
        }
        let layer = self.stored.get_or_insert_async(&descriptor.digest, source.layer(descriptor)).await?;
        if layer.diff_id != *diff_id {
            return Err(Error::WrongDigest {
                subject: ErrorSubject::UnpackedLayer,
                expected: diff_id.clone(),
                actual: layer.diff_id,
            });
        }
        self.unpacked.insert(diff_id.clone(), layer.clone());
        Ok(layer)
    }
}

/// Collects the facts of layers, which were read from the top down; `left` are unread. Runs on a thread of its own, because an image
/// can be made to take long.
async fn collect_facts(
    read: &[Layer],
    process: &Config,
    left: usize,
) -> Result<(ImageFacts, Vec<EvidenceFile>), Error> {
    let (read, process) = (read.to_vec(), process.clone());
    run_blocking(move || {
        let mut tree = Tree::default();
        let layers: Vec<&LayerFacts> = read.iter().rev().map(|layer| &*layer.facts).collect();
        layers.iter().for_each(|layer| tree.add_layer(layer));
        let facts = ImageFacts::new(&tree, process, left > 0);
        let mut evidence = facts.evidence_files(&Invocation::default(), &tree, &layers);
        evidence.iter_mut().for_each(|file| file.layer += left);
        Ok((facts, evidence))
    })
    .await
}

/// Returns the entry of an index that fits a platform best, and the first of equal ones, as containerd does.
fn best_entry<'a>(entries: &'a [Descriptor], wanted: &Platform) -> Result<&'a Descriptor, Error> {
    let images = || entries.iter().filter(|entry| !entry.is_attestation());
    let fitting = images().filter_map(|entry| Some((entry.platform.as_ref()?.fitness(wanted)?, entry)));
    let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
    // The index of an archive names no platform; the configuration has it.
    let unnamed = || images().find(|entry| !entry.platform.as_ref().is_some_and(Platform::is_named));
    best.map(|(_, entry)| entry)
        .or_else(unnamed)
        .ok_or_else(|| Error::NoPlatform { wanted: wanted.clone(), offered: platforms_of(entries) })
}

fn platforms_of(entries: &[Descriptor]) -> Vec<Platform> {
    entries.iter().filter(|entry| !entry.is_attestation()).filter_map(|entry| entry.platform.clone()).collect()
}

// === impl ImageSource ===

impl ImageSource {
    /// Returns the index or manifest to start from, and its digest if it has one.
    async fn root(&self) -> Result<(Option<Digest>, IndexOrManifest), Error> {
        match self {
            Self::Archive(archive) => Ok((None, archive.root().clone())),
            Self::Remote(remote) => remote.root().await.map(|(digest, document)| (Some(digest), document)),
        }
    }

    async fn document(&self, descriptor: &Descriptor, subject: ErrorSubject) -> Result<Vec<u8>, Error> {
        match self {
            Self::Archive(archive) => {
                let (archive, descriptor) = (Arc::clone(archive), descriptor.clone());
                run_blocking(move || archive.document(&descriptor, subject)).await
            }
            Self::Remote(remote) => {
                let bytes = remote.document(descriptor, subject).await?;
                manifest::check_content(&bytes, descriptor, subject)?;
                Ok(bytes)
            }
        }
    }

    async fn layer(&self, descriptor: &Descriptor) -> Result<Layer, Error> {
        match self {
            Self::Archive(archive) => {
                let (archive, descriptor) = (Arc::clone(archive), descriptor.clone());
                run_blocking(move || archive.layer(&descriptor)).await
            }
            Self::Remote(remote) => remote.layer(descriptor).await,
        }
    }
}

/// Runs blocking work on a thread of its own.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Cancelled)?
}

// === impl LayerBytes ===

impl Weighter<Digest, Layer> for LayerBytes {
    fn weight(&self, _: &Digest, layer: &Layer) -> u64 {
        layer.facts.bytes() as u64 + 256
    }
}
