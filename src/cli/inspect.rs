//! `muslin inspect`: which resolver images use, with the evidence.

use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;

use crate::image::contents::{Config, EvidenceFile, Invocation};
use crate::image::{Fingerprint, Reference, SecondResolver, assume_started};
use crate::plan::libc_of;
use crate::pod::Variables;
use crate::registry::{Client, Depth, Error, ImageSource, Inspection, Inspector, Limits, Platform, Remote};
use crate::report::SchemaVersion;
use crate::resolver::{Cgo, Resolver};

use super::disk_images::{self, FORMS, is_path, on_disk};
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
#[command(after_help = format!("Images on disk: {FORMS}, or the path of an archive, such as ./app.tar."))]
pub(super) struct Inspect {
    /// Image names, such as alpine:3.17 or registry.example.com/team/app@sha256:..., or images on disk
    #[arg(value_name = "IMAGE", required = true)]
    references: Vec<String>,

    /// The command of a pod, with its arguments, in place of the image's
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,

    /// An environment variable of the pod; $(NAME) in the command and in later variables refers to it
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,

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
    /// An array with one object for each image; `muslin schema inspect` describes it
    Json,
}

/// The facts about one image.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Inspected<'r> {
    #[serde(rename = "schemaVersion")]
    schema: SchemaVersion<1>,
    /// The image name, as given.
    image: &'r str,
    /// `musl`, `glibc`, `other` or `unknown`.
    libc: &'static str,
    /// The resolver's name, without its version.
    resolver: &'static str,
    /// The resolver's version, if known.
    version: Option<String>,
    /// `inspected` (read in the image), `assumed` (suggested by its name), or `none`.
    evidence: &'static str,
    /// The reason for this result.
    because: String,
    /// A resolver that the program may use as well.
    beside: Option<Beside>,
    /// The source of a fact about a publisher's images.
    #[serde(skip)]
    publisher: Option<&'static str>,
    #[serde(flatten)]
    contents: Option<ReadContents>,
}

/// A resolver that a program may use beside the main one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Beside {
    /// The resolver's name, without its version.
    resolver: &'static str,
    /// The resolver's version, if known.
    version: Option<String>,
    /// The program itself has it; otherwise the image has it.
    in_program: bool,
    /// The reason for this result.
    because: String,
}

/// The parts of an image that were read.
#[derive(Debug, Serialize, JsonSchema)]
struct ReadContents {
    /// Digest of the manifest for the platform; `null` for an archive without manifest.
    digest: Option<String>,
    /// The platform that the image names, such as `linux/amd64`.
    platform: String,
    /// `registry`, `oci`, `oci-archive` or `docker-archive`.
    source: &'static str,
    /// The files that are the evidence.
    files: Vec<FileEvidence>,
}

/// A file and what it shows.
#[derive(Debug, Serialize, JsonSchema)]
struct FileEvidence {
    /// The path in the image.
    path: String,
    /// Digest of the layer, compressed as stored.
    layer: String,
    /// The layer's number, from 1 at the base.
    #[serde(skip)]
    number: usize,
    /// What the file shows.
    says: String,
}

// === impl Inspect ===

impl Inspect {
    pub(super) fn run(&self) -> Outcome {
        let results = if self.offline {
            let command = self.pod_command()?;
            self.references.iter().map(|text| inspect_name(text, command.first().map(String::as_str))).collect()
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

    /// Returns the environment variables of the pod as the kubelet sets them.
    fn pod_variables(&self) -> Variables {
        let mut variables = Variables::default();
        self.variables.iter().for_each(|(name, value)| variables.set(name, Some(value)));
        variables
    }

    /// Returns the command of the pod as the kubelet starts it.
    fn pod_command(&self) -> Result<Vec<String>, Failure> {
        let variables = self.pod_variables();
        let expand = |word: &String| -> anyhow::Result<String> { Ok(variables.expand(word)?.into_owned()) };
        self.command.iter().map(expand).collect::<anyhow::Result<_>>().map_err(Failure::Input)
    }

    /// Returns the settings of a container of the image, by the pod's own.
    fn container(&self, command: &[String], image: Config) -> Config {
        let mut container = image;
        let variables = self.pod_variables();
        let value = |name: &str| variables.get(name).unwrap_or_default().to_owned();
        let pairs: Vec<String> = self.variables.iter().map(|(name, _)| format!("{name}={}", value(name))).collect();
        container.keep_env(pairs.iter().map(String::as_str));
        if !command.is_empty() {
            container.entrypoint = command.to_vec();
            container.cmd = Vec::new();
        }
        container
    }

    /// Reads the images, several in parallel, and returns the results in the order of the arguments.
    fn read_images(&self) -> Result<Vec<Result<Inspected<'_>, Failure>>, Failure> {
        let platform = self.platform.clone().unwrap_or_else(own_platform);
        let command = self.pod_command()?;
        let container = |image| self.container(&command, image);
        let client = Client::new(self.registry.settings()?, Limits::default());
        let client = Arc::new(client.map_err(|error| Failure::Input(error.into()))?);
        let inspector = Inspector::new(Limits::default(), CACHE_BYTES);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
        let (client, inspector, platform, container) = (&client, &inspector, &platform, &container);
        let images = stream::iter(&self.references)
            .map(|text| async move { inspect_image(text, Arc::clone(client), inspector, platform, container).await })
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
        let Fingerprint { resolver, evidence, reason, beside, .. } = fingerprint;
        Self {
            schema: SchemaVersion,
            image,
            libc: libc_name(resolver),
            resolver: resolver.family.name(),
            version: resolver.release(),
            evidence: evidence.name(),
            because: reason.to_string(),
            beside: beside.map(|SecondResolver { resolver, in_program, reason }| Beside {
                resolver: resolver.family.name(),
                version: resolver.release(),
                in_program,
                because: reason.to_string(),
            }),
            publisher: reason.source(),
            contents,
        }
    }

    fn write(&self, text: &mut Block) {
        let Self { schema: _, image, libc: _, resolver, version, evidence, because, beside, publisher, contents } =
            self;
        let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        text.push_styled(anstyle::Style::new().bold(), &Line::new((*image).to_owned()));
        text.push_line(format!(": {resolver}{version} ({evidence})"));
        text.push_line(format!("  why: {because}"));
        if let Some(Beside { resolver, version, in_program, because }) = beside {
            let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
            let may_be = if *in_program { "" } else { "perhaps " };
            text.push_line(format!("  beside: {may_be}{resolver}{version}: {because}"));
        }
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

/// Returns what an image's name suggests, for the program that starts with `command`, or for its own.
fn inspect_name<'r>(text: &'r str, command: Option<&str>) -> Result<Inspected<'r>, Failure> {
    parse_reference(text)?;
    Ok(Inspected::new(text, assume_started(text, command), None))
}

/// Parses an image name. An error about a text that looks like a path says how to name an image on disk.
fn parse_reference(text: &str) -> Result<Reference<'_>, Failure> {
    match Reference::parse(text) {
        Err(error) if is_path(text) => {
            Err(Failure::Usage(anyhow!("{error}, and no such file exists"), disk_images::HINT))
        }
        parsed => parsed.map_err(|error| Failure::Input(error.into())),
    }
}

/// Parses `NAME=VALUE`.
fn parse_variable(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(anyhow!("expected NAME=VALUE, such as GODEBUG=netdns=go")),
    }
}

async fn inspect_image<'r>(
    text: &'r str,
    client: Arc<Client>,
    inspector: &Inspector,
    platform: &Platform,
    container: &(impl Fn(Config) -> Config + Sync),
) -> Result<Inspected<'r>, Failure> {
    let failed = |error: Error| {
        let is_input = error.is_bad_input();
        let error = anyhow::Error::new(error).context(format!("cannot inspect {text}"));
        if is_input { Failure::Input(error) } else { Failure::Outside(error) }
    };
    let (name, source) = match on_disk(text) {
        Some((scheme, archive)) => (scheme, ImageSource::Archive(Arc::new(archive.map_err(failed)?))),
        None => {
            let reference = parse_reference(text)?;
            ("registry", ImageSource::Remote(Arc::new(Remote::new(client, &reference).map_err(failed)?)))
        }
    };
    let inspection = inspector.inspect_as(&source, platform, Depth::OwnCommand, container).await.map_err(failed)?;
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
