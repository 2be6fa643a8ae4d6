//! `muslin inspect`: which resolver images use, with the evidence.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, stream};
use serde::Serialize;

use crate::image::contents::{EvidenceFile, Invocation};
use crate::image::{Fingerprint, Reference, suggest};
use crate::plan::libc_of;
use crate::registry::{Archive, Client, Depth, Error, ImageSource, Inspection, Inspector, Limits, Platform, Remote};
use crate::resolver::{Cgo, Resolver};

use super::outcome::{Failure, Outcome};
use super::progress::Progress;
use super::registry_args::{RegistryArgs, own_platform};
use super::terminal;
use crate::text::{Block, Line};

/// Cache size for layers shared by several images.
const CACHE_BYTES: u64 = 64 << 20;
/// Images read in parallel.
const AT_ONCE: usize = 4;

/// Show which resolver images use, with the evidence.
///
/// Reads each image as far as necessary to learn which program its command starts, and which C library or resolver that program
/// has. With --offline, reads no images and shows what their names suggest.
#[derive(Debug, Args)]
#[command(after_help = "Images on disk: oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME].")]
pub(super) struct Inspect {
    /// Image names, such as alpine:3.17 or registry.example.com/team/app@sha256:..., or images on disk
    #[arg(value_name = "IMAGE", required = true)]
    references: Vec<String>,

    /// Read no images; show what their names suggest
    #[arg(long)]
    offline: bool,

    /// The platform, such as linux/arm64 [default: this machine's]
    #[arg(long, value_name = "OS/ARCH", conflicts_with = "offline")]
    platform: Option<Platform>,

    #[command(flatten)]
    registry: RegistryArgs,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Human,
    /// An array of objects with image, libc, resolver, version, evidence and because; of images that were read also digest,
    /// platform, source and files (path, layer, says)
    Json,
}

/// The facts about one image.
#[derive(Debug, Serialize)]
struct Inspected<'r> {
    /// The image name, as given.
    image: &'r str,
    /// `musl`, `glibc`, `other` or `unknown`.
    libc: &'static str,
    /// The resolver's name, without its version.
    resolver: &'static str,
    version: Option<String>,
    evidence: &'static str,
    because: String,
    /// The source of a fact about a publisher's images.
    #[serde(skip)]
    publisher: Option<&'static str>,
    #[serde(flatten)]
    contents: Option<ReadContents>,
}

/// The parts of an image that were read.
#[derive(Debug, Serialize)]
struct ReadContents {
    /// Digest of the manifest for the platform; `null` for an archive without manifest.
    digest: Option<String>,
    platform: String,
    /// `registry`, `oci`, `oci-archive` or `docker-archive`.
    source: &'static str,
    /// The files that are the evidence.
    files: Vec<FileEvidence>,
}

/// A file and what it shows.
#[derive(Debug, Serialize)]
struct FileEvidence {
    path: String,
    /// Digest of the layer, compressed as stored.
    layer: String,
    /// The layer's number, from 1 at the base.
    #[serde(skip)]
    number: usize,
    says: String,
}

// === impl Inspect ===

impl Inspect {
    pub(super) fn run(&self) -> Outcome {
        let results = if self.offline {
            self.references.iter().map(|text| inspect_name(text)).collect()
        } else {
            self.read_images()?
        };
        let mut inspected = Vec::with_capacity(results.len());
        let mut failures = Vec::new();
        for result in results {
            match result {
                Ok(image) => inspected.push(image),
                Err(failure) => failures.push(failure),
            }
        }
        terminal::print(&self.text_of(&inspected))?;
        // Bad input decides the exit code before outside failures: trying again does not help.
        failures.sort_by_key(|failure| matches!(failure, Failure::Input(_)));
        let Some(last) = failures.pop() else { return Ok(()) };
        for failure in failures {
            terminal::failure(&failure);
        }
        Err(last)
    }

    /// Reads the images, several in parallel, and returns the results in the order of the arguments.
    fn read_images(&self) -> Result<Vec<Result<Inspected<'_>, Failure>>, Failure> {
        let platform = self.platform.clone().unwrap_or_else(own_platform);
        let client = Client::new(self.registry.settings()?, Limits::default());
        let client = Arc::new(client.map_err(|error| Failure::Input(error.into()))?);
        let inspector = Inspector::new(Limits::default(), CACHE_BYTES);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let (client, inspector, platform) = (&client, &inspector, &platform);
        let images = stream::iter(&self.references)
            .map(|text| async move { inspect_image(text, Arc::clone(client), inspector, platform).await })
            .buffered(AT_ONCE);
        let results = runtime.block_on(async {
            let (mut progress, mut results) = (Progress::default(), Vec::with_capacity(self.references.len()));
            let mut images = pin!(images);
            while let Some(result) = images.next().await {
                results.push(result);
                progress.advance(|| format!("{} of {} images inspected", results.len(), self.references.len()).into());
            }
            results
        });
        // A thread may still decompress a layer of an abandoned image; do not wait for it.
        runtime.shutdown_background();
        Ok(results)
    }

    fn text_of(&self, inspected: &[Inspected<'_>]) -> Block {
        match self.output {
            Output::Human => {
                let mut text = Block::default();
                inspected.iter().for_each(|image| image.write(&mut text));
                text
            }
            Output::Json => Block::indented_json(&inspected),
        }
    }
}

// === impl Inspected ===

impl<'r> Inspected<'r> {
    fn new(image: &'r str, fingerprint: Fingerprint, contents: Option<ReadContents>) -> Self {
        let Fingerprint { resolver, evidence, reason, .. } = fingerprint;
        Self {
            image,
            libc: libc_name(resolver),
            resolver: resolver.family.name(),
            version: resolver.version.map(|version| version.to_string()),
            evidence: evidence.name(),
            because: reason.to_string(),
            publisher: reason.source(),
            contents,
        }
    }

    fn write(&self, text: &mut Block) {
        let Self { image, libc: _, resolver, version, evidence, because, publisher, contents } = self;
        let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        text.push_styled(anstyle::Style::new().bold(), &Line::new((*image).to_owned()));
        text.push_line(format!(": {resolver}{version} ({evidence})"));
        text.push_line(format!("  why: {because}"));
        if let Some(ReadContents { digest, platform, source, files }) = contents {
            for FileEvidence { path, layer, number, says } in files {
                text.push_line(format!("  {path} {says} (layer {number}, {})", short_digest(layer)));
            }
            let digest = digest.as_deref().unwrap_or("no manifest");
            text.push_line(format!("  read: {digest} for {platform} ({source})"));
        }
        if let Some(publisher) = publisher {
            text.push_line(format!("  source: {publisher}"));
        }
    }
}

/// Returns the name of the C library that the program is linked to, even if its first resolver is another.
fn libc_name(resolver: Resolver) -> &'static str {
    let family = match resolver.cgo {
        Cgo::Linked { libc, .. } => libc,
        Cgo::Unknown | Cgo::Absent => resolver.family,
    };
    libc_of(std::iter::once(family)).name()
}

/// Returns the part of a digest that people compare.
fn short_digest(digest: &str) -> &str {
    const DIGITS: usize = 12;
    digest.split_once(':').and_then(|(name, _)| digest.get(..name.len() + 1 + DIGITS)).unwrap_or(digest)
}

/// Returns what an image's name suggests.
fn inspect_name(text: &str) -> Result<Inspected<'_>, Failure> {
    let reference = Reference::parse(text).map_err(|error| Failure::Input(error.into()))?;
    Ok(Inspected::new(text, suggest(&reference), None))
}

async fn inspect_image<'r>(
    text: &'r str,
    client: Arc<Client>,
    inspector: &Inspector,
    platform: &Platform,
) -> Result<Inspected<'r>, Failure> {
    let failed = |error: Error| {
        let is_input = error.is_bad_input();
        let error = anyhow::Error::new(error).context(format!("cannot inspect {text}"));
        if is_input { Failure::Input(error) } else { Failure::Outside(error) }
    };
    let (name, source) = match on_disk(text) {
        Some((scheme, archive)) => (scheme, ImageSource::Archive(Arc::new(archive.map_err(failed)?))),
        None => {
            let reference = Reference::parse(text).map_err(|error| Failure::Input(error.into()))?;
            ("registry", ImageSource::Remote(Arc::new(Remote::new(client, &reference).map_err(failed)?)))
        }
    };
    let inspection = inspector.inspect(&source, platform, Depth::OwnCommand).await.map_err(failed)?;
    let Inspection { manifest, platform, facts, evidence, layers } = inspection;
    let file = |EvidenceFile { path, layer, says }: EvidenceFile| {
        let digest = layers.get(layer).map(ToString::to_string).unwrap_or_default();
        FileEvidence { path: format!("/{path}"), layer: digest, number: layer + 1, says }
    };
    let contents = ReadContents {
        digest: manifest.map(|digest| digest.to_string()),
        platform: platform.to_string(),
        source: name,
        files: evidence.into_iter().map(file).collect(),
    };
    Ok(Inspected::new(text, facts.fingerprint(&Invocation::default()), Some(contents)))
}

/// Opens the image on disk that a text such as `oci:DIR[:NAME]` names; `None` for other texts.
fn on_disk(text: &str) -> Option<(&'static str, Result<Archive, Error>)> {
    type Open = fn(&Path, Option<&str>, Limits) -> Result<Archive, Error>;
    let schemes: [(&str, Open); 3] = [
        ("oci", Archive::oci_folder),
        ("oci-archive", Archive::oci_archive),
        ("docker-archive", Archive::docker_archive),
    ];
    let (scheme, rest) = text.split_once(':')?;
    let (scheme, open) = schemes.into_iter().find(|(known, _)| *known == scheme)?;
    let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
    Some((scheme, open(Path::new(path), name, Limits::default())))
}
