//! `muslin inspect`: which resolver images use, and how that is known.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::image::{Fingerprint, Reference, suggest};
use crate::plan::libc_of;

use super::{Failure, Outcome};

/// Say which resolver images use, and how that is known.
///
/// With --offline, what the references alone suggest, without a look at the images.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// References, such as alpine:3.17 or registry.example.com/team/app@sha256:...
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,

    /// Read no image: go by the references alone
    #[arg(long)]
    offline: bool,

    /// How to write it
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Human,
    /// An array of objects with image, libc, resolver, version, evidence and because
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
    source: Option<&'static str>,
}

// === impl Inspect ===

impl Inspect {
    pub(super) fn run(&self) -> Outcome {
        if !self.offline {
            return Err(Failure::Input(anyhow!(
                "reading images is not built in yet: add --offline to go by the references alone"
            )));
        }
        let mut inspected = Vec::with_capacity(self.references.len());
        let mut invalid = Vec::new();
        for text in &self.references {
            match Reference::parse(text) {
                Ok(reference) => inspected.push(Inspected::new(text, suggest(&reference))),
                Err(error) => invalid.push(error),
            }
        }
        if let Err(error) = self.write(&inspected) {
            Failure::output(error)?;
        }
        let Some(last) = invalid.pop() else { return Ok(()) };
        for error in invalid {
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(anstream::stderr(), "{}", Failure::Input(error.into()));
        }
        Err(Failure::Input(last.into()))
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
    fn new(image: &'r str, fingerprint: Fingerprint) -> Self {
        let Fingerprint { resolver, evidence, because } = fingerprint;
        Self {
            image,
            libc: libc_of(std::iter::once(resolver.family)).name(),
            resolver: resolver.family.name(),
            version: resolver.version.map(|version| version.to_string()),
            evidence: evidence.name(),
            because: because.to_string(),
            source: because.source(),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { image, libc: _, resolver, version, evidence, because, source } = self;
        let bold = anstyle::Style::new().bold();
        let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        writeln!(out, "{bold}{image}{bold:#}: {resolver}{version} ({evidence})")?;
        writeln!(out, "  why: {because}")?;
        source.map_or(Ok(()), |source| writeln!(out, "  source: {source}"))
    }
}
