//! Inspects images: selects the manifest for a platform, reads its layers, each once for all images that share it, and reduces them to
//! facts. Must not know the protocols of registries or archives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::archive::Archive;
use super::blocking::run_blocking;
use super::digest::Digest;
use super::error::{Error, ErrorSubject};
use super::layer::Layer;
use super::limits::Limits;
use super::manifest::{self, Descriptor, ImageConfig, IndexOrManifest};
use super::platform::Platform;
use super::remote::Remote;
use crate::budget::Budget;
use crate::image::contents::{Config, EvidenceFile, ImageFacts, Invocation, LayerFacts, Tree};

/// The number of layers that the cache is laid out for.
const LAYERS_ESTIMATE: usize = 256;
/// The work of putting the layers of one image together, in steps of the budget: some seconds. A Debian image needs 20,000.
const IMAGE_STEPS: u32 = 1_000_000;

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
    /// By the digest of the stored layer, and by its source, so that no image waits for another registry.
    stored: Cache<LayerKey, Layer, LayerBytes>,
    /// By the digest after decompression: another registry may hold the same layer with another compression.
    unpacked: Cache<LayerKey, Layer, LayerBytes>,
}

/// For whom layers are cached. A manifest may name layers that its author cannot read, and says nothing about them by that.
#[derive(Clone, Debug)]
pub(super) enum LayerScope {
    /// Everybody may read this registry's image.
    Public(Arc<str>),
    /// Only readers of this repository.
    Private(Arc<str>),
}

/// A layer of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LayerKey {
    /// The registry of a public layer, or the repository of a private one; empty for all public layers.
    source: Arc<str>,
    digest: Digest,
}

/// Weighs a cached layer by its memory.
#[derive(Clone, Debug)]
struct LayerBytes;

/// One image of a source, for one platform.
pub(super) struct SelectedImage {
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
        self.inspect_as(source, platform, depth, &|config: Config| config).await
    }

    /// Inspects the image of `source` for `platform`, for a container whose settings `container` makes of the image's.
    ///
    /// # Errors
    /// The image cannot be read, or is not for this platform.
    pub async fn inspect_as(
        &self,
        source: &ImageSource,
        platform: &Platform,
        depth: Depth,
        container: &(impl Fn(Config) -> Config + Sync),
    ) -> Result<Inspection, Error> {
        let limit = self.limits.total;
        let inspection = async {
            let mut image = self.select(source, platform).await?;
            image.config.process = container(image.config.process);
            let scope = LayerScope::Public(source.registry());
            self.read_layers(source, image, depth, &scope, &self.limits).await
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

    /// Returns the digest of the image's manifest for a platform, and reads no layer; `None` in an archive that has no manifest.
    ///
    /// # Errors
    /// The manifest or the configuration cannot be read, or the image is not for this platform.
    pub async fn digest(&self, source: &ImageSource, platform: &Platform) -> Result<Option<Digest>, Error> {
        let limit = self.limits.total;
        let selected = tokio::time::timeout(limit, self.select(source, platform)).await;
        let late = || Error::Slow { what: "finding the manifest".to_owned(), limit };
        Ok(selected.map_err(|_| late())??.manifest)
    }

    /// Selects the manifest for a platform, through indexes, and reads its configuration.
    pub(super) async fn select(&self, source: &ImageSource, platform: &Platform) -> Result<SelectedImage, Error> {
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
    pub(super) async fn read_layers(
        &self,
        source: &ImageSource,
        image: SelectedImage,
        depth: Depth,
        scope: &LayerScope,
        limits: &Limits,
    ) -> Result<Inspection, Error> {
        let SelectedImage { manifest, config: ImageConfig { platform, process, diff_ids }, layers } = image;
        if layers.len() != diff_ids.len() {
            let problem = format!("it lists {} layers and the manifest {}", diff_ids.len(), layers.len());
            return Err(Error::malformed(ErrorSubject::Config, problem));
        }
        let mut collector = Collector { process, limits: *limits, budget: Budget::new(IMAGE_STEPS), read: Vec::new() };
        let mut bytes = 0;
        let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        let inspection = |(facts, evidence)| Inspection { manifest, platform, facts, evidence, layers: digests };
        // From the top down: a higher layer hides files of those below, which may not be needed then.
        for (left, (descriptor, diff_id)) in layers.iter().zip(&diff_ids).enumerate().rev() {
            if descriptor.is_encrypted() {
                return Err(Error::Encrypted);
            }
            let layer = match self.layer(source, descriptor, diff_id, scope).await {
                // A foreign layer may hide any file of the layers below it, so these are not read.
                Err(_) if descriptor.is_foreign() => return collector.collect(left + 1).await.map(inspection),
                layer => layer?,
            };
            bytes += layer.facts.bytes();
            let limit_bytes = limits.image_facts_bytes;
            if bytes > limit_bytes {
                return Err(Error::TooLarge { subject: ErrorSubject::Facts, limit_bytes: limit_bytes as u64 });
            }
            collector.read.push(layer);
            if left > 0 && depth == Depth::OwnCommand {
                let (facts, evidence) = collector.collect(left).await?;
                if facts.process(&Invocation::default()).is_ok() {
                    return Ok(inspection((facts, evidence)));
                }
            }
        }
        collector.collect(0).await.map(inspection)
    }

    /// Returns a layer, from the cache if possible. Concurrent calls for one layer of a source read it once.
    async fn layer(
        &self,
        source: &ImageSource,
        descriptor: &Descriptor,
        diff_id: &Digest,
        scope: &LayerScope,
    ) -> Result<Layer, Error> {
        let (stored, unpacked) = match scope {
            LayerScope::Public(registry) => (Arc::clone(registry), Arc::from("")),
            LayerScope::Private(repository) => (Arc::clone(repository), Arc::clone(repository)),
        };
        let unpacked = LayerKey { source: unpacked, digest: diff_id.clone() };
        if let Some(known) = self.unpacked.get(&unpacked) {
            return Ok(known);
        }
        let stored = LayerKey { source: stored, digest: descriptor.digest.clone() };
        let layer = self.stored.get_or_insert_async(&stored, source.layer(descriptor)).await?;
        if layer.diff_id != *diff_id {
            return Err(Error::WrongDigest {
                subject: ErrorSubject::UnpackedLayer,
                expected: diff_id.clone(),
                actual: layer.diff_id,
            });
        }
        self.unpacked.insert(unpacked, layer.clone());
        Ok(layer)
    }
}

/// Collects the facts of the layers that were read.
struct Collector {
    process: Config,
    limits: Limits,
    /// For all work on one image.
    budget: Budget,
    /// From the top down.
    read: Vec<Layer>,
}

// === impl Collector ===

impl Collector {
    /// Collects the facts of the layers; `left` are unread. Runs on a thread of its own, because an image can be made to take long.
    async fn collect(&mut self, left: usize) -> Result<(ImageFacts, Vec<EvidenceFile>), Error> {
        let Self { process, limits, budget, read } = self;
        let (process, limit_bytes, read, mut spent) = (process.clone(), limits.tree_bytes, read.clone(), *budget);
        let (collected, spent) = run_blocking(move |is_cancelled| {
            let collected = spent.run(|| {
                let mut tree = Tree::new(limit_bytes);
                let layers: Vec<&LayerFacts> = read.iter().rev().map(|layer| &*layer.facts).collect();
                for layer in &layers {
                    tree.add_layer(layer);
                    if tree.is_too_large() {
                        return Err(Error::TooLarge { subject: ErrorSubject::Facts, limit_bytes: limit_bytes as u64 });
                    }
                    if is_cancelled.load(Ordering::Relaxed) {
                        return Err(Error::Cancelled);
                    }
                }
                let facts = ImageFacts::new(&tree, process, left > 0);
                let mut evidence = facts.evidence_files(&Invocation::default(), &tree, &layers);
                evidence.iter_mut().for_each(|file| file.layer += left);
                Ok((facts, evidence))
            })?;
            spent.check().map_err(|_| Error::TooManyLinks)?;
            Ok((collected, spent))
        })
        .await?;
        *budget = spent;
        Ok(collected)
    }
}

// === impl SelectedImage ===

impl SelectedImage {
    /// Returns the digest of the manifest; `None` in an archive that has no manifest.
    pub(super) const fn digest(&self) -> Option<&Digest> {
        self.manifest.as_ref()
    }
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
    /// Returns the registry; empty for an archive.
    fn registry(&self) -> Arc<str> {
        match self {
            Self::Archive(_) => "".into(),
            Self::Remote(remote) => remote.registry().into(),
        }
    }

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
                run_blocking(move |_| archive.document(&descriptor, subject)).await
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
                run_blocking(move |is_cancelled| archive.layer(&descriptor, is_cancelled)).await
            }
            Self::Remote(remote) => remote.layer(descriptor).await,
        }
    }
}

// === impl LayerBytes ===

impl Weighter<LayerKey, Layer> for LayerBytes {
    fn weight(&self, _: &LayerKey, layer: &Layer) -> u64 {
        layer.facts.bytes() as u64 + 256
    }
}
