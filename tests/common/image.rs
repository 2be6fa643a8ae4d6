//! A builder of images for tests, layer by layer from real programs, written as OCI layouts. `skopeo` copies them to a registry and
//! rejects invalid ones.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use muslin::registry::Digest;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// One entry of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    /// An executable program of `tests/registry/tools`.
    Part(&'a str, &'a str),
    /// A text file.
    Text(&'a str, &'a str),
    /// An executable text file.
    Script(&'a str, &'a str),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Folder(&'a str),
    /// A whiteout, by the path that it removes.
    Gone(&'a str),
    /// A folder that hides its content in lower layers.
    Opaque(&'a str),
}

/// The compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// gzip of several members, each with a field of its own, as in eStargz.
    Members,
    /// zstd of several frames with skippable frames between them, as in zstd:chunked.
    Frames,
}

/// An image to be written.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) packing: Packing,
    pub(crate) config: Value,
    pub(crate) platform: (&'static str, Option<&'static str>),
}

// === impl Image ===

impl Image {
    pub(crate) fn new(layers: Vec<Vec<u8>>, config: Value) -> Self {
        Self { layers, packing: Packing::Gzip, config, platform: ("amd64", None) }
    }

    /// Writes the blobs of the image below `folder`, and returns the descriptor of its manifest.
    pub(crate) fn write(&self, folder: &Path) -> Result<Value> {
        let Self { layers, packing, config, platform: (arch, variant) } = self;
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
        let mut platform = json!({"os": "linux", "architecture": arch});
        variant.iter().for_each(|variant| platform["variant"] = json!(variant));
        let mut document = json!({"config": config, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        for (key, value) in platform.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
        let config = blob(folder, &serde_json::to_vec(&document)?, "application/vnd.oci.image.config.v1+json")?;
        let suffix = match packing {
            Packing::Plain => "",
            Packing::Gzip | Packing::Members => "+gzip",
            Packing::Zstd | Packing::Frames => "+zstd",
        };
        let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
        let layers: Vec<Value> =
            layers.iter().map(|layer| blob(folder, &pack(layer, *packing)?, &media_type)).collect::<Result<_>>()?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut descriptor = blob(folder, &serde_json::to_vec(&manifest)?, media_type)?;
        descriptor["platform"] = platform;
        Ok(descriptor)
    }
}

/// Writes an OCI layout with these images, several of them as platforms of one index.
pub(crate) fn layout(folder: &Path, images: &[Image]) -> Result<()> {
    fs::create_dir_all(folder.join("blobs/sha256"))?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let media_type = "application/vnd.oci.image.index.v1+json";
    let mut manifests: Vec<Value> = images.iter().map(|image| image.write(folder)).collect::<Result<_>>()?;
    if manifests.len() > 1 {
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        manifests = vec![blob(folder, &serde_json::to_vec(&index)?, media_type)?];
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    fs::write(folder.join("index.json"), serde_json::to_vec(&index)?)?;
    Ok(())
}

/// Writes a blob, and returns its descriptor.
pub(crate) fn blob(folder: &Path, bytes: &[u8], media_type: &str) -> Result<Value> {
    let digest = Digest::sha256(bytes);
    fs::write(folder.join("blobs/sha256").join(digest.parts().1), bytes)?;
    Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
}

pub(crate) fn pack(layer: &[u8], packing: Packing) -> Result<Vec<u8>> {
    Ok(match packing {
        Packing::Plain => layer.to_vec(),
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(layer)?;
            encoder.finish()?
        }
        Packing::Zstd => run_with_input("zstd", &["-q", "-3", "--stdout"], layer)?,
        Packing::Members => {
            let mut packed = Vec::new();
            for part in layer.chunks(layer.len().div_ceil(5).max(1)).chain([&[][..]]) {
                let member = flate2::GzBuilder::new().extra(*b"SG\x04\0abcd").filename("part");
                let mut encoder = member.write(packed, Compression::fast());
                encoder.write_all(part)?;
                packed = encoder.finish()?;
            }
            packed
        }
        Packing::Frames => {
            // A skippable frame (RFC 8878 3.1.2): its magic number, its length, and as many bytes.
            let skipped = |number: u8| [&[0x50 + number, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
            let mut packed = skipped(0);
            for part in layer.chunks(layer.len().div_ceil(3).max(1)) {
                packed.extend(pack(part, Packing::Zstd)?);
                packed.extend(skipped(1));
            }
            packed
        }
    })
}

/// Builds a layer of these entries, with programs from the folder `parts`.
pub(crate) fn layer(parts: &Path, entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut add = |path: &str, kind: EntryType, mode: u32, link: Option<&str>, bytes: &[u8]| -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        match link {
            Some(link) => builder.append_link(&mut header, path, link)?,
            None => builder.append_data(&mut header, path, bytes)?,
        }
        Ok(())
    };
    for entry in entries {
        match entry {
            Entry::Part(path, part) => {
                let bytes = fs::read(parts.join(part)).with_context(|| format!("no part {part}"))?;
                add(path, EntryType::Regular, 0o755, None, &bytes)?;
            }
            Entry::Text(path, text) => add(path, EntryType::Regular, 0o644, None, text.as_bytes())?,
            Entry::Script(path, text) => add(path, EntryType::Regular, 0o755, None, text.as_bytes())?,
            Entry::Link(path, target) => add(path, EntryType::Symlink, 0o777, Some(target), b"")?,
            Entry::Hard(path, target) => add(path, EntryType::Link, 0o755, Some(target), b"")?,
            Entry::Folder(path) => add(path, EntryType::Directory, 0o755, None, b"")?,
            Entry::Gone(path) => {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                let path = PathBuf::from(folder).join(format!(".wh.{name}"));
                add(&path.to_string_lossy(), EntryType::Regular, 0o644, None, b"")?;
            }
            Entry::Opaque(path) => add(&format!("{path}/.wh..wh..opq"), EntryType::Regular, 0o644, None, b"")?,
        }
    }
    Ok(builder.into_inner()?)
}

/// Returns the folder of real programs and libraries for layers.
pub(crate) fn parts() -> Result<PathBuf> {
    let printed = String::from_utf8(run(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/tools"), &[])?)?;
    Ok(printed.lines().last().context("the tools print a folder")?.into())
}

/// Runs a program, and returns its standard output.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {program}; tests/registry/tools installs it"))?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} {}: {complaint}", arguments.join(" "));
    Ok(output.stdout)
}

fn run_with_input(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(input)?;
    let path = file.path().to_string_lossy().into_owned();
    run(program, &[arguments, &[path.as_str()]].concat())
}
