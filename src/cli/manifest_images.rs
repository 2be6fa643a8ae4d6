//! `--inspect` of the commands that read manifests: the resolvers of a pod's containers, read in their images, each image once. What
//! cannot be read goes by the image name, and is noted once. Must not know manifests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures::future::join_all;
use tokio::sync::OnceCell;

use crate::cluster::PodImages;
use crate::image::{self, Evidence, Fingerprint, Reference};
use crate::pod::Pod;
use crate::policy::Profile;
use crate::registry::{
    Client, Depth, Error, Image, ImageSource, Inspection, Inspector, Limits, Lookup, Platform, Remote,
};
use crate::text::Line;

use super::image_cache::{CachedImage, ImageCache};
use super::outcome::Failure;
use super::registry_args::{RegistryArgs, own_platform};

/// Cache size for layers shared by several images.
const LAYERS_BYTES: u64 = 64 << 20;
/// The time for which a tag is assumed to name the same image. Later its manifest is asked for again, and its layers only if it changed.
const TAG_TTL: Duration = Duration::from_secs(60 * 60);
/// The longest wait for one image.
const IMAGE_MAX: Duration = Duration::from_secs(120);

/// The heading of the arguments in the help.
const HEADING: &str = "Images";

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ManifestImagesArgs {
    /// Read images from their registries instead of trusting their names
    #[arg(long, help_heading = HEADING)]
    inspect: bool,

    /// The platform of images, unless a pod names one, such as linux/arm64 [default: this machine's]
    #[arg(long, help_heading = HEADING, value_name = "OS/ARCH", requires = "inspect")]
    platform: Option<Platform>,

    /// The folder for facts of images that --inspect read [default: muslin/images in ~/.cache or $XDG_CACHE_HOME]
    #[arg(long, help_heading = HEADING, value_name = "DIR", env = "MUSLIN_IMAGE_CACHE")]
    image_cache: Option<PathBuf>,

    /// Keep no facts of images on disk
    #[arg(long, help_heading = HEADING, conflicts_with = "image_cache")]
    no_image_cache: bool,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// Reads the images of pods.
#[derive(Debug)]
pub(super) struct ManifestImages {
    runtime: tokio::runtime::Runtime,
    client: Arc<Client>,
    inspector: Inspector,
    platform: Platform,
    cache: Option<ImageCache>,
    /// By image name and platform. Concurrent readers of one image wait for one another.
    known: Mutex<HashMap<(String, Platform), Arc<OnceCell<Option<Lookup>>>>>,
    /// Notes that were not shown yet.
    notes: Mutex<Vec<Line>>,
}

// === impl ManifestImagesArgs ===

impl ManifestImagesArgs {
    /// Returns the reader of images, if the user wants one.
    pub(super) fn open(&self) -> Result<Option<ManifestImages>, Failure> {
        let Self { inspect, platform, image_cache, no_image_cache, registry } = self;
        if !inspect {
            return Ok(None);
        }
        let client = Client::new(registry.settings()?, Limits::default());
        let client = Arc::new(client.map_err(|error| Failure::Input(error.into()))?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let folder = image_cache.clone().or_else(ImageCache::usual_folder).filter(|_| !no_image_cache);
        Ok(Some(ManifestImages {
            runtime: runtime.context("cannot start the runtime").map_err(Failure::Outside)?,
            client,
            inspector: Inspector::new(Limits::default(), LAYERS_BYTES),
            platform: platform.clone().unwrap_or_else(own_platform),
            cache: folder.map(ImageCache::new),
            known: Mutex::default(),
            notes: Mutex::default(),
        }))
    }
}

// === impl ManifestImages ===

impl ManifestImages {
    /// The number of files that are worth checking at once: most of the time goes into waiting for registries.
    pub(super) const THREADS: usize = 8;

    /// Returns the fingerprint of each container of a pod, in their order. Images that the profile declares are not read.
    pub(super) fn fingerprints(&self, pod: &Pod<'_>, profile: &Profile) -> Vec<Fingerprint> {
        let own = self.platform.arch.as_str();
        let platforms: Vec<Platform> = pod.architectures(&[own]).into_iter().map(Platform::linux).collect();
        let containers: Vec<&str> = pod.containers().map(|container| container.image()).collect();
        let lookups =
            containers.iter().flat_map(|image| platforms.iter().map(|platform| self.look_up(image, platform, profile)));
        let known = self.runtime.block_on(join_all(lookups));
        PodImages::new(platforms, known).fingerprints(pod).0
    }

    /// Returns the notes since the last call, each only once in a run.
    pub(super) fn take_notes(&self) -> Vec<Line> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(Line::new(text));
    }

    async fn look_up(&self, image: &str, platform: &Platform, profile: &Profile) -> Option<Lookup> {
        let assumed = image::assume(image);
        if image.is_empty() || profile.images.apply(image, assumed).evidence == Evidence::Declared {
            return None;
        }
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((image.to_owned(), platform.clone())).or_default())
        };
        cell.get_or_init(|| self.find(image, platform)).await.clone()
    }

    /// Returns the image, from disk or from its registry; `None` with a note if it cannot be read.
    async fn find(&self, image: &str, platform: &Platform) -> Option<Lookup> {
        let cached = self.cache.as_ref().and_then(|cache| cache.get(image, platform));
        match cached {
            // A digest names the same image for ever.
            Some(CachedImage { image: known, age }) if age < TAG_TTL || image.contains('@') => {
                return Some(Lookup::Image(Arc::new(known)));
            }
            _ => {}
        }
        let found = tokio::time::timeout(IMAGE_MAX, self.read(image, platform, cached.as_ref())).await;
        let late = || Error::Slow { what: "the inspection".to_owned(), limit: IMAGE_MAX };
        match (found.unwrap_or_else(|_| Err(late())), cached) {
            (Ok(found), _) => {
                self.store(image, platform, &found);
                Some(Lookup::Image(Arc::new(found)))
            }
            (Err(Error::NoPlatform { .. }), _) => {
                self.note(format!("{image}: there is no image for {platform}; {}", by_name(image)));
                Some(Lookup::NoPlatform)
            }
            (Err(error), Some(CachedImage { image: known, .. })) => {
                self.note(format!("{image}: {error}; going by what an earlier run read"));
                Some(Lookup::Image(Arc::new(known)))
            }
            (Err(error), None) => {
                self.note(format!("cannot read {image}: {error}; {}", by_name(image)));
                None
            }
        }
    }

    /// Reads the image, unless its manifest is still that of the cached one.
    async fn read(&self, image: &str, platform: &Platform, cached: Option<&CachedImage>) -> Result<Image, Error> {
        let reference = Reference::parse(image)?;
        let source = ImageSource::Remote(Arc::new(Remote::new(Arc::clone(&self.client), &reference)?));
        if let Some(CachedImage { image: known, .. }) = cached {
            let digest = self.inspector.digest(&source, platform).await?;
            if digest.as_ref() == Some(&known.digest) {
                return Ok(known.clone());
            }
        }
        // A pod may bring a command of its own, so the whole image is read.
        let Inspection { manifest, platform, facts, .. } =
            self.inspector.inspect(&source, platform, Depth::Whole).await?;
        Ok(Image { digest: manifest.ok_or(Error::Cancelled)?, platform, facts })
    }

    fn store(&self, image: &str, platform: &Platform, found: &Image) {
        let Some(cache) = &self.cache else { return };
        if let Err(error) = cache.put(image, platform, found) {
            let note = Line::new(format!("cannot keep facts of images in {}: {error}", cache.folder().display()));
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
}

impl Drop for ManifestImages {
    fn drop(&mut self) {
        if let Some(cache) = &self.cache {
            cache.shrink();
        }
    }
}

/// Returns what the name of an image that was not read suggests.
fn by_name(image: &str) -> String {
    match image::assume(image) {
        Fingerprint { evidence: Evidence::None, .. } => "its resolver is unknown".to_owned(),
        assumed => format!("its name suggests {}", assumed.resolver),
    }
}
