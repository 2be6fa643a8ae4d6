//! `muslin inspect`: which resolver images use, and how that is known.

use std::io::{self, Write};
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
use crate::registry::{Archive, Client, Depth, Error, Inspection, Inspector, Limits, Platform, Remote, Source};
use crate::resolver::{Cgo, Resolver};

use super::progress::Progress;
use super::reach::{Reach, own_platform};
use super::{Failure, Outcome};

/// What is kept of layers that several images share.
const CACHE_BYTES: u64 = 64 << 20;
/// How many images are read at once.
const AT_ONCE: usize = 4;

/// Say which resolver images use, and how that is known.
///
/// Reads as much of each image as its own command needs: which program that starts, and which C library or resolver of its own
/// this program has. With --offline, what the references alone suggest, without a look at the images.
#[derive(Debug, Args)]
#[command(after_help = "Images on disk: oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME].")]
pub(super) struct Inspect {
    /// References, such as alpine:3.17 or registry.example.com/team/app@sha256:..., or images on disk
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,

    /// Read no image: go by the references alone
    #[arg(long)]
    offline: bool,

    /// For which platform, such as linux/arm64; that of this machine if none is named
    #[arg(long, value_name = "OS/ARCH", conflicts_with = "offline")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: Reach,

    /// How to write it
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

/// What is known of one image.
#[derive(Debug, Serialize)]
struct Inspected<'r> {
    /// The reference as it was given.
    image: &'r str,
    /// `musl`, `glibc`, `other` or `unknown`.
    libc: &'static str,
    /// The resolver's name, without its release.
    resolver: &'static str,
    version: Option<String>,
    evidence: &'static str,
    because: String,
    /// Who says so, of what is known of a publisher.
    #[serde(skip)]
    publisher: Option<&'static str>,
    #[serde(flatten)]
    read: Option<Read>,
}

/// What was read to know it.
#[derive(Debug, Serialize)]
struct Read {
    /// Of the manifest for the platform; `null` in an archive that has none.
    digest: Option<String>,
    platform: String,
    /// `registry`, `oci`, `oci-archive` or `docker-archive`.
    source: &'static str,
    /// The files from which it follows.
    files: Vec<File>,
}

/// A file, and what it says.
#[derive(Debug, Serialize)]
struct File {
    path: String,
    /// The digest of the layer, as it is stored.
    layer: String,
    /// Which layer that is, counted from 1 at the base.
    #[serde(skip)]
    number: usize,
    says: String,
}

// === impl Inspect ===

impl Inspect {
    pub(super) fn run(&self) -> Outcome {
        let answers =
            if self.offline { self.references.iter().map(|text| suggested(text)).collect() } else { self.read()? };
        let mut inspected = Vec::with_capacity(answers.len());
        let mut failures = Vec::new();
        for answer in answers {
            match answer {
                Ok(image) => inspected.push(image),
                Err(failure) => failures.push(failure),
            }
        }
        if let Err(error) = self.write(&inspected) {
            Failure::output(error)?;
        }
        // Bad input outranks what failed outside: it fails every time.
        failures.sort_by_key(|failure| matches!(failure, Failure::Input(_)));
        let Some(last) = failures.pop() else { return Ok(()) };
        for failure in failures {
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(anstream::stderr(), "{failure}");
        }
        Err(last)
    }

    /// Reads the images, several at once, and answers in the order in which they were named.
    fn read(&self) -> Result<Vec<Result<Inspected<'_>, Failure>>, Failure> {
        let platform = self.platform.clone().unwrap_or_else(own_platform);
        let client = Client::new(self.reach.settings()?, Limits::default());
        let client = Arc::new(client.map_err(|error| Failure::Input(error.into()))?);
        let inspector = Inspector::new(Limits::default(), CACHE_BYTES);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let (client, inspector, platform) = (&client, &inspector, &platform);
        let images = stream::iter(&self.references)
            .map(|text| async move { read(text, Arc::clone(client), inspector, platform).await })
            .buffered(AT_ONCE);
        let answers = runtime.block_on(async {
            let (mut progress, mut answers) = (Progress::default(), Vec::with_capacity(self.references.len()));
            let mut images = pin!(images);
            while let Some(answer) = images.next().await {
                answers.push(answer);
                progress.advance(|| format!("{} of {} images inspected", answers.len(), self.references.len()));
            }
            answers
        });
        // What was given up may still be decompressed by a thread, for which nobody waits.
        runtime.shutdown_background();
        Ok(answers)
    }

    fn write(&self, inspected: &[Inspected<'_>]) -> io::Result<()> {
        let mut stdout = anstream::stdout().lock();
        match self.output {
            Output::Human => inspected.iter().try_for_each(|image| image.write(&mut stdout)),
            Output::Json => {
                serde_json::to_writer_pretty(&mut stdout, inspected)?;
                writeln!(stdout)
            }
        }
    }
}

// === impl Inspected ===

impl<'r> Inspected<'r> {
    fn new(image: &'r str, fingerprint: Fingerprint, read: Option<Read>) -> Self {
        let Fingerprint { resolver, evidence, reason } = fingerprint;
        Self {
            image,
            libc: libc(resolver),
            resolver: resolver.family.name(),
            version: resolver.version.map(|version| version.to_string()),
            evidence: evidence.name(),
            because: reason.to_string(),
            publisher: reason.source(),
            read,
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { image, libc: _, resolver, version, evidence, because, publisher, read } = self;
        let bold = anstyle::Style::new().bold();
        let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        writeln!(out, "{bold}{image}{bold:#}: {resolver}{version} ({evidence})")?;
        writeln!(out, "  why: {because}")?;
        if let Some(Read { digest, platform, source, files }) = read {
            for File { path, layer, number, says } in files {
                writeln!(out, "  {path} {says} (layer {number}, {})", short(layer))?;
            }
            let digest = digest.as_deref().unwrap_or("no manifest");
            writeln!(out, "  read: {digest} for {platform} ({source})")?;
        }
        publisher.map_or(Ok(()), |publisher| writeln!(out, "  source: {publisher}"))
    }
}

/// The C library that a process has, whether or not it asks it first.
fn libc(resolver: Resolver) -> &'static str {
    let family = match resolver.cgo {
        Cgo::Linked { libc, .. } => libc,
        Cgo::Unknown | Cgo::Absent => resolver.family,
    };
    libc_of(std::iter::once(family)).name()
}

/// A digest, as far as people compare it.
fn short(digest: &str) -> &str {
    const DIGITS: usize = 12;
    digest.split_once(':').and_then(|(name, _)| digest.get(..name.len() + 1 + DIGITS)).unwrap_or(digest)
}

/// What a reference alone tells.
fn suggested(text: &str) -> Result<Inspected<'_>, Failure> {
    let reference = Reference::parse(text).map_err(|error| Failure::Input(error.into()))?;
    Ok(Inspected::new(text, suggest(&reference), None))
}

async fn read<'r>(
    text: &'r str,
    client: Arc<Client>,
    inspector: &Inspector,
    platform: &Platform,
) -> Result<Inspected<'r>, Failure> {
    let failed = |error: Error| {
        let is_input = matches!(error, Error::NoImage(_));
        let error = anyhow::Error::new(error).context(format!("cannot inspect {text}"));
        if is_input { Failure::Input(error) } else { Failure::Outside(error) }
    };
    let (name, source) = match on_disk(text) {
        Some((scheme, archive)) => (scheme, Source::Archive(Arc::new(archive.map_err(failed)?))),
        None => {
            let reference = Reference::parse(text).map_err(|error| Failure::Input(error.into()))?;
            ("registry", Source::Remote(Arc::new(Remote::new(client, &reference).map_err(failed)?)))
        }
    };
    let inspection = inspector.inspect(&source, platform, Depth::OwnCommand).await.map_err(failed)?;
    let Inspection { manifest, platform, facts, evidence, layers } = inspection;
    let file = |EvidenceFile { path, layer, says }: EvidenceFile| {
        let digest = layers.get(layer).map(ToString::to_string).unwrap_or_default();
        File { path: format!("/{path}"), layer: digest, number: layer + 1, says }
    };
    let read = Read {
        digest: manifest.map(|digest| digest.to_string()),
        platform: platform.to_string(),
        source: name,
        files: evidence.into_iter().map(file).collect(),
    };
    Ok(Inspected::new(text, facts.fingerprint(&Invocation::default()), Some(read)))
}

/// The image that `oci:DIR[:NAME]` and the like name.
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
